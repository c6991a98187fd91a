//! Charts a Linux host: its containers and its listeners, without any runtime's API.
//!
//! # What it does
//! By BPF iterators where they work, it is told of all processes and listeners in one pass; otherwise it reads every process
//! of `/proc` once, asks each network namespace once for its listeners, and finds who owns them. It groups the processes
//! into containers by their cgroup and, where that says nothing, by their namespaces.
//!
//! # What it does not do
//! It connects to nothing (that is `portolan-dial`), reads nothing inside containers (`portolan-files`), and asks
//! no daemon. What it could not look at is told in [`Inventory::faults`], and is never reported as absent.
//!
//! # Example
//! ```
//! let chart = portolan_scan::scan(&portolan_scan::ScanOptions::default())?;
//! for container in &chart.containers {
//!     println!("{} {} (pid {})", container.runtime, container.id, container.init.pid);
//!     for listener in chart.listeners_of(&container.id) {
//!         println!("  {} {} {}", listener.protocol, listener.place(), listener.reach);
//!     }
//! }
//! # Ok::<(), portolan_scan::Error>(())
//! ```
//!
//! # Layout
//! - [`inventory`]: the answer
//! - [`container`], [`listener`], [`member`], [`fault`]: its parts
//! - [`cgroup`]: what a cgroup's path says
//! - [`mod@explain`]: why a process belongs to its container
//! - [`mod@output`]: where a container's output goes, as its runtime recorded it
//! - [`scanner`], [`watch`], [`diff`]: scans in a row, and what changes between them
//! - [`source`]: how the kernel is asked
//! - `walk` (the processes), `pass` (processes and listeners by BPF iterators), `group` (into containers)
//! - `identity`: who a container is; `evidence` (what tells, and how far it is believed), `records` (the files that
//!   runtimes keep)
//! - `places`, `held` (the network namespaces), `ask`, `lookup`, `text` (what they say), `ports`, `owners` (listeners, and whose
//!   they are)
#![forbid(unsafe_code)]

mod ask;
pub mod cgroup;
pub mod container;
pub mod diff;
pub mod error;
mod evidence;
pub mod explain;
pub mod fault;
mod group;
mod held;
mod identity;
pub mod inventory;
pub mod listener;
mod lookup;
pub mod member;
pub mod output;
mod owners;
mod pass;
mod places;
mod ports;
mod records;
pub mod scanner;
pub mod source;
mod text;
mod walk;
pub mod watch;

use std::time::Duration;

pub use cgroup::Runtime;
pub use container::{Container, Namespaces, Pod};
pub use diff::{Changes, Diff};
pub use error::Error;
pub use explain::{Explanation, explain};
pub use fault::Fault;
pub use inventory::Inventory;
pub use listener::{Listener, Local, Protocol, Reach};
pub use member::Member;
pub use output::{Driver, Output};
pub use portolan_linux::{ErrorKind, ProcessId};
pub use scanner::Scanner;
pub use source::{Source, SourceChoice};
pub use watch::{Stopper, Update, Watch, WatchOptions};

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// How a host is scanned.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScanOptions {
    /// How long one network namespace may take to tell its listeners; one second by default.
    pub namespace_timeout: Duration,
    /// Whether to look for network namespaces that are held by nothing but an open descriptor: of the namespace, or of
    /// a socket that was made in it; and at every thread of a process rather than at the first 64. By BPF iterators, also
    /// whether to ask every namespace for sockets that no process has, and not the host's own alone.
    ///
    /// It costs about a microsecond for each descriptor of each process, and four for each socket, which is borrowed
    /// for a moment (`pidfd_getfd(2)`): should its owner close it just then, its peer is told a moment later. Off by
    /// default.
    pub thorough: bool,
    /// How the kernel is asked; automatic by default.
    pub source: SourceChoice,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self { namespace_timeout: Duration::from_secs(1), thorough: false, source: SourceChoice::Auto }
    }
}

/// Charts the host as it is now. Who asks again keeps a [`Scanner`].
///
/// # Errors
/// Only when `/proc` itself cannot be read. Everything less is a [`Fault`] in the answer.
pub fn scan(options: &ScanOptions) -> Result<Inventory> {
    Scanner::new(options.clone()).scan()
}
