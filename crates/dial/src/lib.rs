//! Sockets born in a container's network namespace.
//!
//! # What it does
//! A [`Dialer`] connects to addresses as a process of its container would, from anywhere in the agent: a socket
//! belongs for life to the namespace in which it was created, so the calling thread enters, creates it, leaves,
//! and connects at home. What comes out is an ordinary stream, for the service's own client.
//!
//! # What it does not do
//! - It never falls back to the host's network: what cannot be dialed inside is an error.
//! - It resolves no names: a name means something else inside. Addresses only; for names there is a resolver that
//!   asks the container's own name servers, from inside (feature `dns`).
//! - A stream never connects again by itself. A client that does is given a connector, which dials inside each time.
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
//! # Features
//! None is on by default.
//!
//! | feature | what it gives |
//! |---|---|
//! | `tokio` | [`Dialer::connect_async`], `unix_async`, `udp_async`, `udp_bound_async` |
//! | `tower` | [`Dialer::connector`], a `tower_service::Service<Uri>`: hyper-util, tonic, kube, clickhouse, bollard |
//! | `ureq` | [`Dialer::ureq_connector`], for ureq 3 |
//! | `tunnel` | [`Dialer::tunnel`], a local way in for clients that take no stream; with SOCKS5 |
//! | `runtime` | [`Dialer::runtime`], a thread inside with all that it starts |
//! | `dns` | [`Resolver`], names by the container's resolv.conf and hosts |
//!
//! # Layout
//! - [`dialer`]: the dialer and its blocking doors
//! - [`options`]: how to dial, when address and time are not all
//! - [`error`]: gone, refused, unreachable, timed out, not permitted: told apart
//! - `unix`: Unix sockets, by path or abstract; `resolve`: finding them by path
//! - `asynchronous`: the same for tokio (feature `tokio`)
//! - `tunnel`: a local way in for clients that take no stream (feature `tunnel`)
//! - `runtime`: a thread inside, and all that it starts (feature `runtime`)
//! - [`connector`]: for clients that want to call for each connection (features `tower`, `ureq`)
//! - [`dns`]: names (feature `dns`); `loopback`: the one that means the same everywhere
#![forbid(unsafe_code)]

#[cfg(feature = "tokio")]
mod asynchronous;
#[cfg(any(feature = "tower", feature = "ureq"))]
pub mod connector;
pub mod dialer;
#[cfg(feature = "dns")]
pub mod dns;
pub mod error;
#[cfg(any(feature = "tower", feature = "ureq", feature = "dns"))]
mod loopback;
pub mod options;
mod resolve;
#[cfg(feature = "runtime")]
pub mod runtime;
#[cfg(feature = "tunnel")]
pub mod tunnel;
mod unix;

#[cfg(feature = "ureq")]
pub use connector::UreqConnector;
#[cfg(feature = "tower")]
pub use connector::{Connector, UnixConnector};
pub use dialer::Dialer;
#[cfg(feature = "dns")]
pub use dns::Resolver;
pub use error::Error;
pub use options::DialOptions;
pub use portolan_linux::ErrorKind;

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;
