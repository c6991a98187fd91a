//! Finds, reads inside and connects inside the containers of a Linux host, for monitoring agents.
//!
//! No runtime's API is needed: LXC, plain runc and a bare `unshare` are containers too. The container needs no
//! route to the host, no published port and no shell, and it may be hostile.
//!
//! | door | what it gives |
//! |---|---|
//! | [`Host::scan`] | the chart: containers, and the listeners of every network namespace |
//! | [`Host::scanner`] | the chart again and again for less, and what changes as it happens |
//! | [`Host::survey`] | the services: what they are, where they are configured, log and are reached |
//! | [`Host::read`], [`Host::glob`] | bytes and paths from inside a container's mount namespace |
//! | [`Host::logs`] | the container's standard output and error, at their source |
//! | [`Host::dialer`] | connections born in a container's network namespace |
//!
//! # Example
//! ```no_run
//! use portolan::{Host, ReadOptions};
//! use std::time::Duration;
//!
//! let host = Host::new();
//! for container in &host.scan()?.containers {
//!     println!("{} {}", container.runtime, container.id);
//! }
//! let web = host.target("web-1")?;
//! let config = host.read(&web, "/etc/nginx/nginx.conf", &ReadOptions::default())?;
//! let stream = host.dialer(&web)?.connect("127.0.0.1:8080".parse()?, Duration::from_secs(2))?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Privileges
//! `CAP_SYS_PTRACE` to look at others' processes, `CAP_SYS_ADMIN` to enter namespaces, `CAP_SYS_CHROOT` and
//! `CAP_DAC_READ_SEARCH` to read files. [`doctor`] tells which of them is missing, and for what; what works
//! without goes on working.
//!
//! # Layout
//! - [`host`]: the three doors in one value
//! - [`target`]: what a name stands for
//! - [`doctor`]: what works here, and what is missing
//! - `metadata`: what Docker and Podman say of containers (feature `docker`)
//! - `resolver`: names as a container has them (feature `dns`)
//! - `watch`: a watch as an asynchronous stream (feature `tokio`)
//! - [`error`]: all errors of the doors as one
#![forbid(unsafe_code)]

pub mod doctor;
pub mod error;
pub mod host;
#[cfg(feature = "docker")]
pub mod metadata;
#[cfg(feature = "dns")]
mod resolver;
pub mod target;
#[cfg(feature = "tokio")]
pub mod watch;

pub use error::Error;
pub use host::Host;
#[cfg(feature = "docker")]
pub use metadata::{Metadata, Runtimes};
pub use target::Target;
#[cfg(feature = "tokio")]
pub use watch::WatchStream;

#[cfg(feature = "ureq")]
pub use portolan_dial::UreqConnector;
#[cfg(feature = "runtime")]
pub use portolan_dial::runtime;
#[cfg(feature = "tunnel")]
pub use portolan_dial::tunnel;
#[cfg(feature = "tower")]
pub use portolan_dial::{Connector, UnixConnector};
pub use portolan_dial::{DialOptions, Dialer};
#[cfg(feature = "dns")]
pub use portolan_dial::{Resolver, dns};
pub use portolan_files::tail::Lines as LogLines;
pub use portolan_files::{
    Batch, Content, Event, Files, Find, Found, GlobOptions, Included, Matches, Operation, Outcome, Place,
    ReadOptions, Stat, Tail, TailOptions,
};
pub use portolan_linux::error::{Escaped, Feature, FileKind, Limit, NetError};
pub use portolan_linux::privilege::Capability;
pub use portolan_linux::wait::hung_up;
pub use portolan_linux::{ErrorKind, NamespaceId, NamespaceKind, Process, ProcessId};
pub use portolan_scan::cgroup::{Classification, Kind, classify};
pub use portolan_scan::{
    Changes, Container, Diff, Explanation, Fault, Inventory, Listener, Local, Member, Namespaces, Pod,
    Protocol, Reach, Runtime, ScanOptions, Scanner, Source, SourceChoice, Stopper, Update, Watch,
    WatchOptions, explain,
};
pub use portolan_services::{
    Confidence, Configuration, Endpoint, EndpointAddress, LogFile, Progress, Rules, Service, Survey,
    SurveyFault, SurveyOptions, Surveyor, Version, configuration,
};

pub use portolan_services::logs;

/// Is the helper, and ends this process, if the library started it as such; else it does nothing.
///
/// For an agent that ships a single binary. It is the first line of `main`, before a thread is started or anything is
/// read; then [`Files::with_own_binary`] finds its helper in the agent itself. The whole binary is copied to sealed
/// memory, and its start-up is paid once more for the helper's server: see `examples/own_helper.rs`, and the README
/// for what both cost.
///
/// # Example
/// ```
/// portolan::run_helper_if_asked();
/// // ... and the agent goes on: Host::with_files(Files::with_own_binary()?)
/// ```
#[cfg(feature = "own-helper")]
pub fn run_helper_if_asked() {
    portolan_helper::run_if_asked();
}

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;
