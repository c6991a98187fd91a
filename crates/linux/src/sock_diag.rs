//! The listeners of a network namespace, from the kernel's own dump (`sock_diag(7)`).
//!
//! Only sockets in state `LISTEN` are asked for: the kernel then walks its short table of listeners and not the
//! table of connections, which all namespaces of the host share.
//!
//! The socket lies in the container's namespace, so a process there with `CAP_NET_ADMIN` can send to it: whatever
//! does not come from the kernel (port 0) is dropped.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::sys::socket::{MsgFlags, NetlinkAddr, recvfrom, send, setsockopt, sockopt};
use nix::sys::time::{TimeVal, TimeValLike as _};

use crate::error::{ErrorKind, Subject, os};
use crate::{Error, Result};

/// A socket that listens for TCP connections.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listening {
    /// The local address, as bound: unspecified means all addresses of the namespace.
    pub address: IpAddr,
    /// The local port.
    pub port: u16,
    /// The socket's inode number, as in `/proc/PID/fd`; 0 when no file belongs to it (a listener of the kernel).
    pub inode: u32,
    /// The user who made it, as a number of the host.
    pub uid: u32,
    /// The interface that it is bound to, by the namespace's own index; 0 for any.
    pub interface: u32,
    /// Whether an IPv6 socket refuses IPv4 (`IPV6_V6ONLY`).
    pub v6_only: bool,
}

/// `struct nlmsghdr` and `struct inet_diag_req_v2` of `linux/netlink.h` and `linux/inet_diag.h`.
const HEADER: usize = 16;
const MESSAGE: usize = 72;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const LISTEN: u32 = 1 << 10;
const DUMP_INTERRUPTED: u16 = 0x10;
const SKV6ONLY: u16 = 11;
/// The kernel fills what it is given, up to 32 KiB a message.
const BUFFER: usize = 64 * 1024;
/// A dump that listeners come and go under is asked for this often before its last answer is taken.
const TRIES: u32 = 3;

/// Asks for all TCP listeners, IPv4 and IPv6, of the namespace that the socket belongs to.
///
/// The socket is one of [`SocketKind::SockDiag`](crate::netns::SocketKind::SockDiag); it can be used again.
///
/// # Errors
/// [`ErrorKind::Timeout`] after `timeout`; [`ErrorKind::Unsupported`] when the kernel has no `inet_diag`;
/// [`ErrorKind::Io`] when the dump fails half way.
pub fn tcp_listeners(socket: &OwnedFd, timeout: Duration) -> Result<Vec<Listening>> {
    let deadline = Instant::now().checked_add(timeout);
    let micros = i64::try_from(timeout.as_micros()).unwrap_or(i64::MAX).max(1);
    setsockopt(socket, sockopt::ReceiveTimeout, &TimeVal::microseconds(micros)).map_err(|e| failed(os(e)))?;
    let mut listeners = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        for attempt in 1..=TRIES {
            let before = listeners.len();
            let whole = dump(socket, u8::try_from(family).unwrap_or(0), attempt, deadline, &mut listeners)?;
            if whole || attempt == TRIES {
                break;
            }
            listeners.truncate(before);
        }
    }
    Ok(listeners)
}

fn failed(source: std::io::Error) -> Error {
    let timeout = matches!(source.raw_os_error(), Some(libc::EAGAIN));
    let error = Error::of_call("sock_diag", Subject::Socket, source);
    match error.kind() {
        _ if timeout => error.with_kind(ErrorKind::Timeout),
        // The kernel's words for "inet_diag is not there".
        ErrorKind::NotFound => error.with_kind(ErrorKind::Unsupported(crate::error::Feature::Kernel)),
        _ => error,
    }
}

/// One dump; gives whether nothing changed while it was made.
fn dump(
    socket: &OwnedFd,
    family: u8,
    sequence: u32,
    deadline: Option<Instant>,
    into: &mut Vec<Listening>,
) -> Result<bool> {
    let sequence = sequence.wrapping_shl(8) | u32::from(family);
    send(socket.as_raw_fd(), &request(family, sequence), MsgFlags::empty()).map_err(|e| failed(os(e)))?;
    let mut buffer = vec![0_u8; BUFFER];
    let mut whole = true;
    loop {
        if deadline.is_some_and(|d| Instant::now() > d) {
            return Err(failed(std::io::Error::from_raw_os_error(libc::EAGAIN)));
        }
        let (length, sender) = match recvfrom::<NetlinkAddr>(socket.as_fd().as_raw_fd(), &mut buffer) {
            Err(nix::Error::EINTR) => continue,
            other => other.map_err(|e| failed(os(e)))?,
        };
        if sender.is_none_or(|s| s.pid() != 0) {
            continue;
        }
        match messages(buffer.get(..length).unwrap_or(&[]), sequence, &mut whole, into) {
            Ok(true) => return Ok(whole),
            Ok(false) => {}
            Err(errno) => return Err(failed(std::io::Error::from_raw_os_error(errno))),
        }
    }
}

fn request(family: u8, sequence: u32) -> [u8; MESSAGE] {
    let mut bytes = [0_u8; MESSAGE];
    let flags = u16::try_from(libc::NLM_F_REQUEST | libc::NLM_F_DUMP).unwrap_or(0);
    let parts: [&[u8]; 7] = [
        &72_u32.to_ne_bytes(),
        &SOCK_DIAG_BY_FAMILY.to_ne_bytes(),
        &flags.to_ne_bytes(),
        &sequence.to_ne_bytes(),
        &0_u32.to_ne_bytes(),
        &[family, 6, 0, 0], // 6: IPPROTO_TCP
        &LISTEN.to_ne_bytes(),
    ];
    for (to, from) in bytes.iter_mut().zip(parts.iter().flat_map(|part| part.iter())) {
        *to = *from;
    }
    bytes
}

/// Reads one datagram of messages; `Ok(true)` at the end of the dump, `Err` with the kernel's errno.
fn messages(
    mut bytes: &[u8],
    sequence: u32,
    whole: &mut bool,
    into: &mut Vec<Listening>,
) -> std::result::Result<bool, i32> {
    while !bytes.is_empty() {
        let header: &[u8; HEADER] = bytes.first_chunk().ok_or(libc::EBADMSG)?;
        let [l0, l1, l2, l3, t0, t1, f0, f1, s0, s1, s2, s3, ..] = *header;
        let length = usize::try_from(u32::from_ne_bytes([l0, l1, l2, l3])).map_err(|_| libc::EBADMSG)?;
        let message = bytes.get(HEADER..length).ok_or(libc::EBADMSG)?;
        // Messages begin at multiples of four; the last one may lack its padding.
        let next = length.checked_next_multiple_of(4).ok_or(libc::EBADMSG)?;
        bytes = bytes.get(next..).unwrap_or(&[]);
        if u32::from_ne_bytes([s0, s1, s2, s3]) != sequence {
            continue; // left over from a dump that was given up
        }
        *whole &= u16::from_ne_bytes([f0, f1]) & DUMP_INTERRUPTED == 0;
        match i32::from(u16::from_ne_bytes([t0, t1])) {
            // The end can carry an error as well: a dump that failed half way.
            libc::NLMSG_DONE => {
                return error_number(message).map_or(Ok(true), |e| if e == 0 { Ok(true) } else { Err(e) });
            }
            libc::NLMSG_ERROR => {
                return Err(error_number(message).filter(|e| *e != 0).unwrap_or(libc::EBADMSG));
            }
            _ => into.extend(listening(message)),
        }
    }
    Ok(false)
}

fn error_number(message: &[u8]) -> Option<i32> {
    message.first_chunk::<4>().map(|bytes| i32::from_ne_bytes(*bytes).saturating_neg())
}

/// Reads one `struct inet_diag_msg` and its attributes.
fn listening(message: &[u8]) -> Option<Listening> {
    let (fixed, attributes) = message.split_first_chunk::<MESSAGE>()?;
    let field =
        |at: usize| -> Option<u32> { fixed.get(at..)?.first_chunk::<4>().map(|b| u32::from_ne_bytes(*b)) };
    let port = u16::from_be_bytes(*fixed.get(4..)?.first_chunk()?);
    let address = match i32::from(*fixed.first()?) {
        libc::AF_INET => IpAddr::V4(Ipv4Addr::from(*fixed.get(8..)?.first_chunk::<4>()?)),
        libc::AF_INET6 => IpAddr::V6(Ipv6Addr::from(*fixed.get(8..)?.first_chunk::<16>()?)),
        _ => return None,
    };
    let v6_only = attribute(attributes, SKV6ONLY).is_some_and(|value| value.first() == Some(&1));
    Some(Listening { address, port, interface: field(40)?, uid: field(64)?, inode: field(68)?, v6_only })
}

/// The value of the first attribute of a type.
fn attribute(mut bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let [l0, l1, t0, t1] = *bytes.first_chunk()?;
        let length = usize::from(u16::from_ne_bytes([l0, l1]));
        let value = bytes.get(4..length)?;
        if u16::from_ne_bytes([t0, t1]) == wanted {
            return Some(value);
        }
        bytes = bytes.get(length.checked_next_multiple_of(4)?..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netns::{Home, NetNs, SocketKind};
    use crate::process::Process;

    fn own() -> OwnedFd {
        let me = Process::open(std::process::id().cast_signed()).unwrap();
        NetNs::of(&me).unwrap().socket(&Home::here().unwrap(), SocketKind::SockDiag).unwrap()
    }

    #[test]
    fn finds_our_own_listeners() {
        let v4 = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let v6 = std::net::TcpListener::bind("[::1]:0").unwrap();
        let socket = own();
        for _ in 0..2 {
            let all = tcp_listeners(&socket, Duration::from_secs(5)).unwrap();
            for listener in [&v4, &v6] {
                let wanted = listener.local_addr().unwrap();
                let inode = crate::sys::inode(listener).unwrap();
                let found = all.iter().filter(|l| (l.address, l.port) == (wanted.ip(), wanted.port()));
                let found: Vec<_> = found.collect();
                assert_eq!(found.len(), 1);
                assert_eq!(u64::from(found[0].inode), inode);
            }
        }
    }

    #[test]
    fn hostile_messages_are_refused() {
        let mut sink = Vec::new();
        let mut whole = true;
        // A message that says it is longer than what came, or shorter than its header.
        for length in [0_u32, 15, 17, u32::MAX] {
            let mut bytes = [0_u8; HEADER];
            bytes[..4].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(messages(&bytes, 0, &mut whole, &mut sink), Err(libc::EBADMSG));
        }
        assert_eq!(attribute(&[0, 0, 0, 0, 0], 11), None, "an attribute of length zero must not loop");
        assert_eq!(attribute(&[5, 0, 11, 0, 1], 11), Some(&[1_u8][..]));
        for length in 0..=MESSAGE {
            assert!(listening(&vec![2_u8; length]).is_none() || length == MESSAGE);
        }
    }

    #[test]
    fn errors_at_the_end_are_errors() {
        let message = |kind: i32, errno: i32| {
            let mut bytes = [0_u8; 20];
            bytes[..4].copy_from_slice(&20_u32.to_ne_bytes());
            bytes[4..6].copy_from_slice(&u16::try_from(kind).unwrap().to_ne_bytes());
            bytes[16..].copy_from_slice(&(-errno).to_ne_bytes());
            bytes
        };
        let read = |bytes: &[u8]| messages(bytes, 0, &mut true, &mut Vec::new());
        assert_eq!(read(&message(libc::NLMSG_DONE, 0)), Ok(true));
        assert_eq!(read(&message(libc::NLMSG_DONE, libc::ENOMEM)), Err(libc::ENOMEM));
        assert_eq!(read(&message(libc::NLMSG_ERROR, libc::EPERM)), Err(libc::EPERM));
    }
}
