//! What the directives of a Redis server come to, the last of each name.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::grammar::Directive;
use super::title::Title;
use crate::config::reading::{host, number, path_of};
use crate::configuration::{ListenAddress, Purpose};
use crate::launch::Launch;

/// The settings of one server.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    pub(super) sentinel: bool,
    pub(super) settings: BTreeMap<String, Vec<Vec<u8>>>,
    /// Directives that are given again and again: users, renamed commands, watched masters.
    pub(super) users: Vec<Vec<Vec<u8>>>,
    pub(super) renamed: Vec<Vec<u8>>,
    pub(super) watched: Vec<Vec<Vec<u8>>>,
}

impl State {
    pub(super) fn take(&mut self, directive: Directive) {
        let Directive { name, words } = directive;
        match &*name {
            "user" => self.users.push(words),
            "rename-command" => self.renamed.extend(words.into_iter().next()),
            "sentinel" if words.first().is_some_and(|word| word.eq_ignore_ascii_case(b"monitor")) => {
                self.watched.push(words);
            }
            "slaveof" => drop(self.settings.insert("replicaof".to_owned(), words)),
            _ => drop(self.settings.insert(name, words)),
        }
    }

    /// A setting's words.
    pub(super) fn words(&self, name: &str) -> &[Vec<u8>] {
        self.settings.get(name).map_or(&[], Vec::as_slice)
    }

    /// A setting's first word.
    pub(super) fn value(&self, name: &str) -> Option<&[u8]> {
        self.words(name).first().map(Vec::as_slice)
    }

    pub(super) fn is_on(&self, name: &str) -> bool {
        self.value(name).is_some_and(|value| value.eq_ignore_ascii_case(b"yes"))
    }

    pub(super) fn port(&self) -> u16 {
        let default = if self.sentinel { 26379 } else { 6379 };
        self.value("port").map_or(Some(default), number).unwrap_or(default)
    }

    pub(super) fn tls_port(&self) -> u16 {
        self.value("tls-port").and_then(number).unwrap_or(0)
    }

    /// The hosts that it listens on, as `bind` has them; nothing for all.
    fn hosts(&self) -> Vec<Vec<u8>> {
        // An address with a minus may be missing on the machine.
        let bare = |host: &Vec<u8>| host.strip_prefix(b"-").unwrap_or(host).to_vec();
        self.words("bind").iter().filter(|word| !word.is_empty()).map(bare).collect()
    }

    /// All that it listens on.
    pub(super) fn listens(&self) -> Vec<(ListenAddress, bool, Purpose)> {
        let mut found = Vec::new();
        let cluster = self.is_on("cluster-enabled");
        let of_cluster = if self.is_on("tls-cluster") { self.tls_port() } else { self.port() };
        let bus = match self.value("cluster-port").and_then(number) {
            Some(port) if port != 0 => port,
            _ => of_cluster.saturating_add(10_000),
        };
        let ports = [
            (self.port(), false, Purpose::Service),
            (self.tls_port(), true, Purpose::Service),
            (if cluster { bus } else { 0 }, self.is_on("tls-cluster"), Purpose::Cluster),
        ];
        let mut hosts = self.hosts();
        if hosts.is_empty() || hosts.iter().any(|host| host == b"*") {
            hosts = vec![b"*".to_vec()];
        }
        for (port, tls, purpose) in ports.into_iter().filter(|(port, ..)| *port != 0) {
            for name in &hosts {
                let name = if name == b"::*" { b"::" } else { name.as_slice() };
                found.push((host(name, port), tls, purpose));
            }
        }
        if let Some(path) = self.value("unixsocket").filter(|path| !path.is_empty()) {
            found.push((ListenAddress::Unix(path_of(path)), false, Purpose::Service));
        }
        found
    }

    /// Whether a server of this configuration would have written this title, and be what the kernel says of it.
    pub(super) fn agrees(&self, title: &Title, launch: &Launch) -> bool {
        let port = if self.port() == 0 { self.tls_port() } else { self.port() };
        let address = if port == 0 {
            self.value("unixsocket").unwrap_or_default().to_vec()
        } else {
            self.hosts().into_iter().next().unwrap_or_else(|| b"*".to_vec())
        };
        let directory = self.value("dir").filter(|dir| dir.starts_with(b"/")).map(path_of);
        title.port == port
            && (title.address == address || title.address == b"*" && address == b"::*")
            && title.sentinel == self.sentinel
            && title.cluster == self.is_on("cluster-enabled")
            && (launch.ports.is_empty() || port == 0 || launch.ports.contains(&port))
            && (self.tls_port() == 0 || launch.ports.is_empty() || launch.ports.contains(&self.tls_port()))
            // It works in its directory. Links on the way would hide that, so that only a plain difference counts.
            && directory.is_none_or(|dir| alike(&dir, &launch.directory))
    }

    /// The data directory: where it works.
    pub(super) fn directory(&self, launch: &Launch) -> PathBuf {
        self.value("dir")
            .filter(|dir| dir.starts_with(b"/"))
            .map_or_else(|| launch.directory.clone(), path_of)
    }
}

/// Whether two directories may be the same one: by their names, the last of which links rarely change.
fn alike(configured: &std::path::Path, kernel: &std::path::Path) -> bool {
    let clean: PathBuf = configured.components().collect();
    clean == *kernel || kernel.as_os_str().is_empty() || clean.file_name() == kernel.file_name()
}
