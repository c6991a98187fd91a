//! TCP and UDP: requests and answers of `linux/inet_diag.h`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::message::{BOTH_FAMILIES, BY_FAMILY, Request, attribute};
use super::{Listening, Local, Protocol};

pub(super) const TCP: u8 = 6;
pub(super) const UDP: u8 = 17;
/// `IPPROTO_MPTCP`, which is too large for the request's own field.
const MPTCP: u32 = 262;
/// `INET_DIAG_REQ_PROTOCOL` and `INET_DIAG_SKV6ONLY`.
const REQUEST_PROTOCOL: u16 = 3;
const SKV6ONLY: u16 = 11;
/// States by their numbers in `net/tcp_states.h`. A UDP socket that has no peer is "closed".
const LISTEN: u32 = 1 << 10;
const UNCONNECTED: u32 = 1 << 7;
/// `struct inet_diag_sockid`, all zero: any.
const ANY: [u8; 48] = [0; 48];
/// `struct inet_diag_msg`.
const ANSWER: usize = 72;

/// `struct inet_diag_req_v2`: one family, one protocol.
pub(super) fn request(family: i32, protocol: u8) -> Request {
    let (says, states) = if protocol == UDP { (Protocol::Udp, UNCONNECTED) } else { (Protocol::Tcp, LISTEN) };
    Request::new(BY_FAMILY, says, &[&[short(family), protocol, 0, 0], &states.to_ne_bytes(), &ANY])
}

/// For the one TCP listener with this address; `None` for an address that is not of the network.
pub(super) fn exactly(local: &Local, interface: u32) -> Option<Request> {
    let Local::Inet(address, port) = *local else { return None };
    let mut socket = ANY;
    let (family, bytes) = match address {
        IpAddr::V4(a) => (libc::AF_INET, a.to_ipv6_compatible().octets().to_vec().split_off(12)),
        IpAddr::V6(a) => (libc::AF_INET6, a.octets().to_vec()),
    };
    // Ports (the peer's is zero), source, destination (zero), interface, and "no cookie": all ones.
    let fields: [(usize, &[u8]); 4] =
        [(0, &port.to_be_bytes()), (4, &bytes), (36, &interface.to_ne_bytes()), (40, &[0xff; 8])];
    for (at, field) in fields {
        for (to, from) in socket.iter_mut().skip(at).zip(field) {
            *to = *from;
        }
    }
    let head = [short(family), TCP, 0, 0];
    Some(Request::new(BY_FAMILY, Protocol::Tcp, &[&head, &LISTEN.to_ne_bytes(), &socket]).for_one())
}

/// `struct inet_diag_req`, the older form: it knows no family, so that TCP over IPv4 and IPv6 come in one walk.
pub(super) fn both_families() -> Request {
    let head = [short(libc::AF_INET), 0, 0, 0];
    // Family, two lengths and extensions; the socket; states; device.
    Request::new(BOTH_FAMILIES, Protocol::Tcp, &[&head, &ANY, &LISTEN.to_ne_bytes(), &[0; 4]])
}

/// As [`request`], with the protocol in an attribute (Linux 5.9).
pub(super) fn mptcp(family: i32) -> Request {
    let attribute =
        [&8_u16.to_ne_bytes()[..], &REQUEST_PROTOCOL.to_ne_bytes(), &MPTCP.to_ne_bytes()].concat();
    let head = [short(family), TCP, 0, 0];
    Request::new(BY_FAMILY, Protocol::Tcp, &[&head, &LISTEN.to_ne_bytes(), &ANY, &attribute])
}

fn short(family: i32) -> u8 {
    u8::try_from(family).unwrap_or(0)
}

/// Reads one `struct inet_diag_msg` and its attributes.
pub(super) fn listening(message: &[u8], protocol: Protocol) -> Option<Listening> {
    let (fixed, attributes) = message.split_first_chunk::<ANSWER>()?;
    let field =
        |at: usize| -> Option<u32> { fixed.get(at..)?.first_chunk::<4>().map(|b| u32::from_ne_bytes(*b)) };
    let port = u16::from_be_bytes(*fixed.get(4..)?.first_chunk()?);
    let address = match i32::from(*fixed.first()?) {
        libc::AF_INET => IpAddr::V4(Ipv4Addr::from(*fixed.get(8..)?.first_chunk::<4>()?)),
        libc::AF_INET6 => IpAddr::V6(Ipv6Addr::from(*fixed.get(8..)?.first_chunk::<16>()?)),
        _ => return None,
    };
    let v6_only = attribute(attributes, SKV6ONLY).is_some_and(|value| value.first() == Some(&1));
    Some(Listening {
        protocol,
        local: Local::Inet(address, port),
        interface: field(40)?,
        uid: Some(field(64)?),
        inode: field(68)?,
        v6_only,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_every_length() {
        for length in 0..=ANSWER {
            let message = vec![2_u8; length];
            assert!(listening(&message, Protocol::Tcp).is_none() || length == ANSWER);
        }
    }
}
