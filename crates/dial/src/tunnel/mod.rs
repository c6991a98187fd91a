//! A local way into a container, for clients that take no stream of ours.
//!
//! A tunnel listens on the agent's side, and dials inside for every connection that it accepts. So a client that pools
//! and connects again by itself lands inside each time: it knows no other address than the tunnel's.
//!
//! | it listens on | who can use it |
//! |---|---|
//! | a Unix socket in a new directory of mode 0700 ([`Builder::file_name`]; the default) | the agent's own user, asked of the kernel for each connection |
//! | a Unix socket at a path of the caller's ([`Builder::unix`]) | the same |
//! | a port of 127.0.0.1 ([`Builder::port`]) | **every user and program of this host**, and of containers that share its network |
//!
//! | it leads to | for |
//! |---|---|
//! | one address inside | almost every client |
//! | what the client asks for by SOCKS5 ([`Socks`]) | clients that follow advertised addresses: Kafka, replica sets, clusters |
//!
//! What cannot be dialed inside is closed, or answered by SOCKS5's code for it; nothing is ever dialed on the host.
//! A tunnel ends when it is dropped, and by itself when the container does. It holds no namespace; each of its open
//! connections does, as every socket of the container.
//!
//! # What a client can still do wrong
//! - When the container has ended, so has its tunnel, and a port is free for whoever takes it next: end the clients that
//!   still hold its address, or give them a Unix socket, whose directory is nobody else's.
//! - A client of MariaDB that reaches its server over a loopback port asks it for its Unix socket, and connects to
//!   that path then, on the agent's own files: another server, with the container's password. Use a Unix socket, and
//!   `prefer_socket(false)` whatever the way.
//! - A client that is told other addresses by its server connects to those, past a tunnel to one address. It wants
//!   [`Socks`], with names left to the proxy.
//! - TLS verifies the name that the client is given, and a tunnel has none of it: give it the server's.
//!
//! # Example
//! A pool of a client that knows Unix sockets, here one that wants PostgreSQL's file name:
//! ```no_run
//! # async fn example(dialer: portolan_dial::Dialer) -> Result<(), Box<dyn std::error::Error>> {
//! let tunnel = dialer.tunnel("127.0.0.1:5432".parse::<std::net::SocketAddr>()?).file_name(".s.PGSQL.5432").start()?;
//! println!("psql -h {}", tunnel.directory().ok_or("no directory")?.display());
//! # Ok(()) }
//! ```
//! A client that follows addresses, through a SOCKS5 proxy on a port:
//! ```no_run
//! # async fn example(dialer: portolan_dial::Dialer) -> Result<(), Box<dyn std::error::Error>> {
//! use portolan_dial::tunnel::Socks;
//!
//! let tunnel = dialer.tunnel(Socks::new().credentials("agent", "a long secret")).port(0).start()?;
//! println!("socks5h://agent:a long secret@{}", tunnel.address());
//! # Ok(()) }
//! ```
//!
//! # Layout
//! - `builder`: how a tunnel is to be
//! - `handle`: a tunnel that runs, and how it ended
//! - `place`: where it listens, and that nothing of it is left behind
//! - `listener`: who is let in
//! - `serve`: accepts until the end
//! - `connection`: one connection, from its dial to its end
//! - `counted`: counts what passes
//! - `counters`: what a tunnel has done
//! - `socks`, `password`: SOCKS5

mod builder;
mod connection;
mod counted;
mod counters;
mod handle;
mod listener;
mod password;
mod place;
mod serve;
mod socks;

use std::net::SocketAddr;

use crate::Dialer;

pub use builder::Builder;
pub use counters::{Counters, Trouble};
pub use handle::{End, Tunnel, TunnelThread};
pub use place::Address;
pub use socks::Socks;

/// Where the connections of a tunnel go.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Destination {
    /// All to one address inside.
    Address(SocketAddr),
    /// Each to the address that its client asks for.
    Socks(Socks),
}

impl From<SocketAddr> for Destination {
    fn from(address: SocketAddr) -> Self {
        Self::Address(address)
    }
}

impl From<Socks> for Destination {
    fn from(socks: Socks) -> Self {
        Self::Socks(socks)
    }
}

impl Dialer {
    /// A tunnel to one address inside (a [`SocketAddr`]), or to any by SOCKS5 ([`Socks`]). See [`tunnel`](crate::tunnel).
    ///
    /// Nothing listens before it is started.
    pub fn tunnel(&self, to: impl Into<Destination>) -> Builder {
        Builder::new(self.clone(), to.into())
    }
}
