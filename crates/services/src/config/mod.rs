//! Reads services' configurations, each by its service's own rules.
//!
//! A reader is a function from how a process was started and the files that it sees to a [`Configuration`]. It opens
//! nothing itself: a [`Source`] gives it files, from inside a container as well as from a test's memory. What it does
//! not understand it leaves out, and says so.

mod apache;
mod elasticsearch;
pub(crate) mod generic;
pub(crate) mod getopt;
mod haproxy;
pub(crate) mod includes;
pub(crate) mod java;
mod kafka;
mod memcached;
mod mongodb;
mod mosquitto;
mod mysql;
mod nginx;
mod pgbouncer;
mod php_fpm;
mod postgresql;
pub(crate) mod properties;
mod rabbitmq;
pub(crate) mod reading;
mod redis;
mod values;
pub(crate) mod yaml;
mod zookeeper;

#[cfg(test)]
mod hostile;

use std::path::PathBuf;

use portolan_files::Find;

use crate::configuration::Configuration;
use crate::launch::Launch;
use crate::source::Source;

/// What reads the configuration of one service.
#[derive(Debug)]
pub(crate) struct Reader {
    /// The name by which rules call it.
    pub(crate) name: &'static str,
    /// What it is likely to read, so that all of it is fetched at once. Nothing depends on it.
    pub(crate) foresee: fn(&Launch) -> Vec<Wanted>,
    /// Reads it.
    pub(crate) read: fn(&Launch, &mut dyn Source) -> Configuration,
}

/// A file that will most likely be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// A file.
    Read(PathBuf),
    /// The files that match a pattern.
    Include(PathBuf),
    /// What a path is.
    Look(PathBuf),
    /// What is around texts in a file.
    Find(PathBuf, Find),
}

/// All readers.
const READERS: &[Reader] = &[
    apache::READER,
    elasticsearch::READER,
    haproxy::READER,
    kafka::READER,
    memcached::READER,
    mongodb::READER,
    mosquitto::READER,
    mysql::READER,
    nginx::READER,
    pgbouncer::READER,
    php_fpm::READER,
    postgresql::READER,
    rabbitmq::READER,
    redis::READER,
    zookeeper::READER,
];

/// The reader of this name.
pub(crate) fn reader(name: &str) -> Option<&'static Reader> {
    READERS.iter().find(|reader| reader.name == name)
}
