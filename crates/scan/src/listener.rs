//! A socket that waits for connections.

use std::cmp::Ordering;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use portolan_linux::error::Escaped;
use portolan_linux::{NamespaceId, ProcessId};

pub use portolan_linux::sock_diag::{Local, Protocol};

/// A socket that waits for connections, or for datagrams of anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listener {
    /// The protocol.
    pub protocol: Protocol,
    /// Where it was bound: an address and a port, unspecified (`0.0.0.0`, `::`) for all of its namespace, or the name
    /// of a Unix socket.
    pub local: Local,
    /// Whether an IPv6 socket refuses IPv4; a listener on `::` that does not serves both, and is told once.
    pub v6_only: bool,
    /// The process that owns it: when several share it, the oldest of its own network namespace, and if it was handed
    /// to another, the oldest there. `None` when it could not be found, as for a listener of the kernel or without the
    /// right to look.
    pub owner: Option<ProcessId>,
    /// The owner's name, escaped. It chooses it itself.
    pub command: Option<String>,
    /// The id of the container that it belongs to; `None` for the host's own.
    pub container: Option<String>,
    /// The network namespace that it lives in.
    pub netns: NamespaceId,
    /// From where it can be reached.
    pub reach: Reach,
    /// The user who made it, as a number of the host; `None` where the kernel does not tell.
    pub uid: Option<u32>,
    /// The socket's inode number; 0 when it has none.
    pub inode: u32,
}

impl Listener {
    /// Its address, if it has one of the network.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        match self.local {
            Local::Inet(address, _) => Some(address),
            _ => None,
        }
    }

    /// Its port, if it has one.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        match self.local {
            Local::Inet(_, port) => Some(port),
            _ => None,
        }
    }

    /// Where to dial it from inside its namespace: an unspecified address becomes the loopback of its family.
    /// `None` for a Unix socket.
    #[must_use]
    pub fn dial_address(&self) -> Option<SocketAddr> {
        let address = match self.address()? {
            IpAddr::V4(a) if a.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            // A dual-stack socket is there on both loopbacks, and IPv6 may be off on the interface.
            IpAddr::V6(a) if a.is_unspecified() && !self.v6_only => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(a) if a.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            bound => bound,
        };
        Some(SocketAddr::new(address, self.port()?))
    }

    /// What listeners of a chart are ordered by.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        let key = |l: &Self| (l.netns, l.protocol, l.port());
        (&self.container, key(self), &self.local, self.inode).cmp(&(
            &other.container,
            key(other),
            &other.local,
            other.inode,
        ))
    }

    /// Its address as people write it: `127.0.0.1:80`, `[::]:80`, a path, or an abstract name with `@` before it;
    /// what could forge a line is escaped.
    #[must_use]
    pub fn place(&self) -> String {
        match &self.local {
            Local::Inet(address, port) => SocketAddr::new(*address, *port).to_string(),
            Local::Path(path) => Escaped(path).to_string(),
            Local::Abstract(name) => format!("@{}", Escaped(name)),
            _ => String::new(),
        }
    }
}

/// From where a listener can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reach {
    /// Only from inside its network namespace: it is bound to a loopback address.
    Loopback,
    /// From its network namespace, and from where that is connected to. A Unix socket: from where its name is seen,
    /// which is its container.
    Namespace,
    /// In the host's network namespace, on an address that is not loopback. A Unix socket: from the host.
    Host,
}

impl fmt::Display for Reach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Loopback => "loopback",
            Self::Namespace => "namespace",
            Self::Host => "host",
        })
    }
}
