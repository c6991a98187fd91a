//! Where a service is reached: what listens, as the kernel says, joined with what the configuration says of it.

use std::net::{IpAddr, SocketAddr};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use portolan_scan::{Listener, Local, Protocol};

use crate::configuration::{Configuration, Listen, ListenAddress, Purpose};
use crate::service::{Endpoint, EndpointAddress};

/// The endpoints of what a service listens on, best first: the port that clients use before others, what serves before
/// what is for its own nodes, IPv4 before IPv6, TCP before a Unix socket.
pub(crate) fn of(listeners: &[&Listener], configuration: &Configuration, ports: &[u16]) -> Vec<Endpoint> {
    let mut endpoints: Vec<(Rank, Endpoint)> = Vec::new();
    for listener in listeners {
        let Some(mut address) = address(listener) else { continue };
        let configured = configuration.listens.iter().find(|listen| means(listen, listener));
        // The kernel knows a socket by the name that it was bound to, also after it was renamed.
        if let (EndpointAddress::Unix(bound), Some(ListenAddress::Unix(path))) =
            (&mut address, configured.map(|listen| &listen.address))
        {
            bound.clone_from(path);
        }
        let purpose = configured.map_or(Purpose::Service, |listen| listen.purpose);
        let tls = configured.and_then(|listen| listen.tls);
        let endpoint = Endpoint { address, purpose, tls, listening: true };
        if !endpoints.iter().any(|(_, known)| known.address == endpoint.address) {
            endpoints.push((rank(&endpoint, ports), endpoint));
        }
    }
    endpoints.sort();
    endpoints.into_iter().map(|(_, endpoint)| endpoint).collect()
}

type Rank = (Purpose, u8, usize, bool);

fn rank(endpoint: &Endpoint, ports: &[u16]) -> Rank {
    let place = |port: u16| ports.iter().position(|usual| *usual == port).unwrap_or(usize::MAX);
    let (sort, place, v6) = match &endpoint.address {
        EndpointAddress::Tcp(address) => (0, place(address.port()), address.is_ipv6()),
        EndpointAddress::Unix(_) => (1, 0, false),
        EndpointAddress::Abstract(_) => (2, 0, false),
        EndpointAddress::Udp(address) => (3, place(address.port()), address.is_ipv6()),
    };
    // A service whose usual port is for datagrams (DNS) has them first all the same if that is all it has there.
    (endpoint.purpose, sort, place, v6)
}

fn address(listener: &Listener) -> Option<EndpointAddress> {
    match (&listener.local, listener.protocol) {
        (Local::Inet(..), Protocol::Udp) => listener.dial_address().map(EndpointAddress::Udp),
        (Local::Inet(..), _) => listener.dial_address().map(EndpointAddress::Tcp),
        (Local::Path(path), _) => {
            Some(EndpointAddress::Unix(PathBuf::from(std::ffi::OsString::from_vec(path.clone()))))
        }
        (Local::Abstract(name), _) => Some(EndpointAddress::Abstract(name.clone())),
        _ => None,
    }
}

/// Whether a service listens on any of the addresses that its configuration names.
pub(crate) fn agree(listeners: &[&Listener], configuration: &Configuration) -> bool {
    configuration.listens.iter().any(|listen| listeners.iter().any(|listener| means(listen, listener)))
}

/// Whether a configuration's address is the one of a socket.
fn means(listen: &Listen, listener: &Listener) -> bool {
    match (&listen.address, &listener.local) {
        (ListenAddress::Inet(configured, port), Local::Inet(bound, bound_port)) => {
            port == bound_port && configured.is_none_or(|configured| alike(configured, *bound))
        }
        (ListenAddress::Name(_, port), Local::Inet(_, bound_port)) => port == bound_port,
        (ListenAddress::Unix(path), Local::Path(bound)) => {
            let path = path.as_os_str().as_encoded_bytes();
            path == bound.as_slice() || is_before_renaming(bound, path)
        }
        (ListenAddress::Abstract(name), Local::Abstract(bound)) => name == bound,
        _ => false,
    }
}

/// Whether a socket was bound to a name that HAProxy gives it at first: the path, its pid, and `.tmp`.
fn is_before_renaming(bound: &[u8], path: &[u8]) -> bool {
    let pid = bound.strip_prefix(path).and_then(|rest| rest.strip_prefix(b".")?.strip_suffix(b".tmp"));
    pid.is_some_and(|pid| !pid.is_empty() && pid.iter().all(u8::is_ascii_digit))
}

fn alike(configured: IpAddr, bound: IpAddr) -> bool {
    configured.to_canonical() == bound.to_canonical()
        || configured.is_unspecified() && bound.is_unspecified()
        // Where an address is already taken by a wildcard of the same service, the wildcard serves it.
        || bound.is_unspecified()
}

impl Ord for Endpoint {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (&self.address, self.purpose, self.tls, self.listening).cmp(&(
            &other.address,
            other.purpose,
            other.tls,
            other.listening,
        ))
    }
}

impl PartialOrd for Endpoint {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl EndpointAddress {
    /// The address of a TCP endpoint, as a dialer takes it.
    #[must_use]
    pub fn tcp(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(address) => Some(*address),
            _ => None,
        }
    }
}
