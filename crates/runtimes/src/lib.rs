//! What Docker and Podman say of their containers, within a deadline.
//!
//! The chart knows containers, their names and images without any daemon. What only a daemon knows (labels, published
//! ports, health, the restart policy) is asked here, off the chart's way: what is not answered in time is a [`Fault`],
//! and nothing is ever lost by it.
//!
//! # What it does
//! With the feature `docker` it finds the sockets of Docker and Podman, root's and each user's, and asks all of them at
//! once. Each has a thread of its own, a limit on what it may send, and the deadline: one that hangs or lies holds up no
//! other.
//!
//! # What it does not do
//! It believes no socket further than the user who serves it. Root's may speak of every container; another user's only of
//! containers that the kernel shows to be that user's. And a container whose first process the daemon and the kernel do
//! not agree on gets no metadata: the chart stands.
//!
//! # Example
//! ```no_run
//! # #[cfg(feature = "docker")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//!
//! let runtimes = portolan_runtimes::Runtimes::new();
//! let chart = portolan_scan::scan(&portolan_scan::ScanOptions::default())?;
//! let answer = runtimes.ask(&chart, Duration::from_secs(2));
//! for (id, metadata) in &answer.containers {
//!     println!("{id}: {metadata}");
//! }
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "docker"))]
//! # fn main() {}
//! ```
//!
//! # Layout
//! - [`metadata`]: what a runtime says of one container
//! - [`answer`], [`fault`]: what all of them said, and what they did not
//! - `runtimes`: the sockets asked, once or again and again (feature `docker`)
//! - `watch`: told by them what happens (feature `docker`)
//! - `sockets` (where they are), `speaker` (who answers, and whom that concerns), `transport` (a connection with a limit),
//!   `client` (what is asked), `described` (their types into ours), `moment` (their times), `round` (one socket asked once),
//!   `cache` (what was said before)
#![forbid(unsafe_code)]

pub mod answer;
pub mod fault;
pub mod metadata;

#[cfg(feature = "docker")]
mod cache;
#[cfg(feature = "docker")]
mod client;
#[cfg(feature = "docker")]
mod described;
#[cfg(feature = "docker")]
mod moment;
#[cfg(feature = "docker")]
mod round;
#[cfg(feature = "docker")]
pub mod runtimes;
#[cfg(feature = "docker")]
mod sockets;
#[cfg(feature = "docker")]
mod speaker;
#[cfg(feature = "docker")]
mod transport;
#[cfg(feature = "docker")]
pub mod watch;

pub use answer::Answer;
pub use fault::{Fault, Trouble};
pub use metadata::Metadata;
#[cfg(feature = "docker")]
pub use runtimes::Runtimes;
#[cfg(feature = "docker")]
pub use watch::{Happened, Watching};
