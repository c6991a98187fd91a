//! The one name that means the same everywhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What it stands for: the loopback of wherever one is, here always inside.
pub(crate) const ADDRESSES: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// Whether a name is `localhost` or below it, to which nobody may give another meaning (RFC 6761, 6.3).
pub(crate) fn is_meant(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name).as_bytes();
    let last = name.rsplit(|byte| *byte == b'.').next().unwrap_or(name);
    last.eq_ignore_ascii_case(b"localhost")
}
