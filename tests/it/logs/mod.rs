//! What containers wrote to their standard output and error, read where their runtimes keep it and held against what
//! the runtimes themselves say; and where their own log files are on the host.
//!
//! # Layout
//! - `docker`, `podman`, `cri`, `ctr`, `lxc`: a runtime each
//! - `journal`: Docker, Podman and systemd-nspawn on a host with a journal
//! - `places`: files of containers, and the paths that the host has for them
//! - `read`: what the command prints

mod cri;
mod ctr;
mod docker;
mod journal;
mod lxc;
mod places;
mod podman;
mod read;
