//! Sockets born in a container's network namespace.
//!
//! # What it does
//! A [`Dialer`] connects to addresses as a process of its container would, from anywhere in the agent: a socket
//! belongs for life to the namespace in which it was created, so the calling thread enters, creates it, leaves,
//! and connects at home. What comes out is an ordinary stream, for the service's own client.
//!
//! # What it does not do
//! - It never falls back to the host's network: what cannot be dialed inside is an error.
//! - It resolves no names: a name means something else inside. Addresses only.
//! - It keeps no namespace open: a container that stops can go.
//! - It sends nothing by itself. Whoever listens inside may be hostile; credentials are the caller's to give.
//!
//! # Example
//! ```no_run
//! use portolan_dial::Dialer;
//! use std::io::{Read, Write};
//! use std::time::Duration;
//!
//! let dialer = Dialer::new(portolan_linux::Process::open(4242)?)?;
//! let mut redis = dialer.connect("127.0.0.1:6379".parse()?, Duration::from_secs(2))?;
//! redis.write_all(b"PING\r\n")?;
//! let mut answer = [0; 7];
//! redis.read_exact(&mut answer)?;
//! assert_eq!(&answer, b"+PONG\r\n");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Layout
//! - [`dialer`]: the dialer and its blocking doors
//! - [`error`]: gone, refused, unreachable, timed out, not permitted: told apart
//! - `unix`: Unix sockets, by path or abstract
//! - `asynchronous`: the same for tokio (feature `tokio`)
//! - `tunnel`: a local way in for clients that take no stream (feature `tunnel`)
//! - `runtime`: a thread inside, and all that it starts (feature `runtime`)
#![forbid(unsafe_code)]

#[cfg(feature = "tokio")]
mod asynchronous;
pub mod dialer;
pub mod error;
#[cfg(feature = "runtime")]
pub mod runtime;
#[cfg(feature = "tunnel")]
pub mod tunnel;
mod unix;

pub use dialer::Dialer;
pub use error::Error;
pub use portolan_linux::ErrorKind;

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;
