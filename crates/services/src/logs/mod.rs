//! Where a service's and a container's logs are, and what is in them.
//!
//! Nothing here asks a daemon: the records and files that runtimes keep are read, and where the source is the journal,
//! `journalctl`, which reads files as well. No file of a container is opened by this process; see [`place`] for those
//! that have a path on the host too.
//!
//! # Example
//! ```no_run
//! use portolan_services::logs::{Event, Log, Options, stdio};
//!
//! let chart = portolan_scan::scan(&portolan_scan::ScanOptions::default())?;
//! let web = chart.find("web")?;
//! let mut log = Log::open(&stdio::of(web)?, &Options::default())?;
//! for event in log.poll()?.events {
//!     if let Event::Entry(entry) = event {
//!         println!("{} {}", entry.stream, String::from_utf8_lossy(&entry.bytes));
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Layout
//! - [`open`]: the files that a process holds open to write its logs
//! - [`place`]: where a container's file is on the host
//! - [`stdio`]: where a container's standard output and error go
//! - [`format`](mod@format): what is in a log
//! - [`read`]: the last lines of a log, and what is written to it, through its rotations
//! - [`error`]: what makes a log unreadable

pub mod error;
pub mod format;
pub mod open;
pub mod place;
pub mod read;
pub mod stdio;

pub use error::Error;
pub use format::{Entry, Format, Stream};
pub use place::{Mapping, Place};
pub use read::{Event, Log, Options, Polled};
pub use stdio::{Source, Stdio};

/// The result of this module's functions.
pub type Result<T> = std::result::Result<T, Error>;
