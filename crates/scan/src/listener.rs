//! A socket that waits for connections.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use portolan_linux::{NamespaceId, ProcessId};

/// A socket that waits for connections.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listener {
    /// The protocol.
    pub protocol: Protocol,
    /// The address that it is bound to; unspecified (`0.0.0.0`, `::`) for all of its namespace.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
    /// Whether an IPv6 socket refuses IPv4; a listener on `::` that does not serves both.
    pub v6_only: bool,
    /// The process that owns it: the oldest, when several share it. `None` when it could not be found, as for a
    /// listener of the kernel or without the right to look.
    pub owner: Option<ProcessId>,
    /// The owner's name, escaped. It chooses it itself.
    pub command: Option<String>,
    /// The id of the container that it belongs to; `None` for the host's own.
    pub container: Option<String>,
    /// The network namespace that it lives in.
    pub netns: NamespaceId,
    /// From where it can be reached.
    pub reach: Reach,
    /// The user who made it, as a number of the host.
    pub uid: u32,
    /// The socket's inode number; 0 when it has none.
    pub inode: u32,
}

impl Listener {
    /// Where to dial it from inside its namespace: an unspecified address becomes the loopback of its family.
    #[must_use]
    pub fn dial_address(&self) -> SocketAddr {
        let address = match self.address {
            IpAddr::V4(a) if a.is_unspecified() => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
            // A dual-stack socket is there on both loopbacks, and IPv6 may be off on the interface.
            IpAddr::V6(a) if a.is_unspecified() && !self.v6_only => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
            IpAddr::V6(a) if a.is_unspecified() => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
            bound => bound,
        };
        SocketAddr::new(address, self.port)
    }
}

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Protocol {
    /// TCP, over IPv4 or IPv6.
    Tcp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp => f.write_str("tcp"),
        }
    }
}

/// From where a listener can be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Reach {
    /// Only over the loopback of its own network namespace.
    Loopback,
    /// From its own network namespace, and from wherever that is routed.
    Namespace,
    /// It is in the host's network namespace, on an address that is not loopback.
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
