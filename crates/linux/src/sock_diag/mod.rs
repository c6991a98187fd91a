//! The listeners of a network namespace, from the kernel's own dumps (`sock_diag(7)`).
//!
//! Only sockets that wait are asked for: the kernel then walks its short table of listeners and not the table of
//! connections, which all namespaces of the host share. That table has thousands of places whatever is in it, and
//! walking it is most of what a scan costs, so IPv4 and IPv6 are asked for in one walk where the kernel has the older
//! request that allows it (`TCPDIAG_GETSOCK`, which knows no family).
//!
//! The socket lies in the container's namespace, so a process there with `CAP_NET_ADMIN` can send to it: whatever
//! does not come from the kernel (port 0) is dropped.

mod inet;
mod message;
mod unix;

use std::fmt;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Instant;

use nix::sys::socket::{MsgFlags, NetlinkAddr, recvfrom, send};

use crate::error::{ErrorKind, Feature, Limit, Subject, os};
use crate::wait::{self, Ready};
use crate::{Error, Result};

/// A socket that waits for connections, or for datagrams of anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listening {
    /// Its protocol.
    pub protocol: Protocol,
    /// Where it was bound.
    pub local: Local,
    /// The socket's inode number, as in `/proc/PID/fd`; 0 when no file belongs to it (a listener of the kernel).
    pub inode: u32,
    /// The user who made it, as a number of the host; `None` where the kernel does not tell (Unix sockets before 5.3).
    pub uid: Option<u32>,
    /// The interface that it is bound to, by the namespace's own index; 0 for any.
    pub interface: u32,
    /// Whether an IPv6 socket refuses IPv4 (`IPV6_V6ONLY`).
    pub v6_only: bool,
}

impl Listening {
    /// One of which nothing else is known.
    #[must_use]
    pub fn new(protocol: Protocol, local: Local, inode: u32) -> Self {
        Self { protocol, local, inode, uid: None, interface: 0, v6_only: false }
    }
}

/// A protocol that can be listened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Protocol {
    /// TCP, over IPv4 or IPv6; Multipath TCP as well.
    Tcp,
    /// UDP, over IPv4 or IPv6: bound, and not connected to one peer.
    Udp,
    /// A Unix stream (`unix(7)`).
    Unix,
    /// A Unix socket that keeps the boundaries of messages (`SOCK_SEQPACKET`).
    UnixSeqpacket,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Unix => "unix",
            Self::UnixSeqpacket => "unix-seqpacket",
        })
    }
}

/// The address that a socket was bound to.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Local {
    /// An address of the network; unspecified means all of the namespace.
    Inet(IpAddr, u16),
    /// A path, as the program gave it: relative to its root or working directory of that time.
    Path(Vec<u8>),
    /// A name of the network namespace that is no file (an abstract address), without its leading NUL.
    Abstract(Vec<u8>),
}

/// What a dump is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Wanted {
    /// TCP listeners of both families.
    Tcp,
    /// Listeners of Multipath TCP (Linux 5.9): a dump of TCP shows the socket that the kernel made for it, whose
    /// inode number no process has.
    Mptcp,
    /// UDP sockets over IPv4.
    Udp4,
    /// UDP sockets over IPv6.
    Udp6,
    /// Unix sockets that listen.
    Unix,
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "TCP",
            Self::Mptcp => "Multipath TCP",
            Self::Udp4 => "UDP over IPv4",
            Self::Udp6 => "UDP over IPv6",
            Self::Unix => "Unix",
        })
    }
}

/// The kernel fills what it is given, up to 32 KiB a message.
const BUFFER: usize = 64 * 1024;
/// More listeners than this in one dump are not kept: whoever makes them wants to fill our memory.
const MOST: usize = 1 << 14;
/// A dump that listeners come and go under is asked for this often before its last answer is taken.
const TRIES: u32 = 3;

/// Asks one namespace after another, with one buffer.
#[derive(Debug)]
pub struct Dumper {
    buffer: Vec<u8>,
    sequence: u32,
    /// Whether the kernel answers for both families of TCP at once; what it refused once is not tried again.
    both: bool,
}

impl Default for Dumper {
    fn default() -> Self {
        Self::new()
    }
}

impl Dumper {
    /// With an empty buffer of 64 KiB.
    #[must_use]
    pub fn new() -> Self {
        Self { buffer: vec![0; BUFFER], sequence: 0, both: true }
    }

    /// Adds the listeners of the namespace that the socket belongs to.
    ///
    /// The socket is one of [`SocketKind::SockDiag`](crate::netns::SocketKind::SockDiag); it can be used again.
    /// On error, `into` is as it was, but for [`ErrorKind::Limit`]: then it has the first 16,384.
    ///
    /// # Errors
    /// [`ErrorKind::Limit`] when there are more than 16,384 of them in one dump;
    /// [`ErrorKind::Timeout`] after the deadline; [`ErrorKind::Unsupported`] when the kernel has no such dump;
    /// [`ErrorKind::Io`] when it fails half way.
    pub fn ask(
        &mut self,
        socket: impl AsFd,
        wanted: Wanted,
        deadline: Instant,
        into: &mut Vec<Listening>,
    ) -> Result<()> {
        let before = into.len();
        let mut asked = self.try_ask(&socket, wanted, deadline, into);
        let refused = |asked: &Result<()>| {
            asked.as_ref().is_err_and(|e| !matches!(e.kind(), ErrorKind::Timeout | ErrorKind::Limit(_)))
        };
        if wanted == Wanted::Tcp && self.both && refused(&asked) {
            into.truncate(before);
            self.both = false;
            asked = self.try_ask(&socket, wanted, deadline, into);
        }
        if asked.as_ref().is_err_and(|e| !matches!(e.kind(), ErrorKind::Limit(_))) {
            into.truncate(before);
        }
        asked
    }

    /// Looks TCP listeners up by their addresses and interfaces, in the namespace that the socket belongs to: for each
    /// that is asked for, what a connection would come to there (which can be bound to more than that address), or
    /// `None`. It costs a fraction of a dump, and says nothing of others that may be there as well.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for a Unix socket; [`ErrorKind::Timeout`] after the deadline.
    pub fn look_up<'a>(
        &mut self,
        socket: impl AsFd,
        wanted: impl IntoIterator<Item = (&'a Local, u32)>,
        deadline: Instant,
    ) -> Result<Vec<Option<Listening>>> {
        let mut requests = Vec::new();
        let (first, mut count) = (self.sequence.wrapping_add(1), 0_u32);
        for (local, interface) in wanted {
            let request = inet::exactly(local, interface)
                .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "look up", Subject::Socket))?;
            self.sequence = self.sequence.wrapping_add(1);
            requests.extend(request.with_sequence(self.sequence));
            count = count.saturating_add(1);
        }
        if count == 0 {
            return Ok(Vec::new());
        }
        send(socket.as_fd().as_raw_fd(), &requests, MsgFlags::empty()).map_err(|e| failed(e as i32))?;
        let mut answers = Vec::new();
        // All answers are taken, so that none is left for the next question.
        for number in 0..count {
            let sequence = first.wrapping_add(number);
            let length = self.receive(&socket, deadline)?;
            let answer = self.buffer.get(..length).unwrap_or(&[]);
            let mut found = None;
            let mut each = |_, body: &[u8]| found = inet::listening(body, Protocol::Tcp);
            let read = message::read(answer, sequence, &mut true, &mut each);
            answers.push(found.filter(|_| read.is_ok()));
        }
        Ok(answers)
    }

    fn try_ask(
        &mut self,
        socket: &impl AsFd,
        wanted: Wanted,
        deadline: Instant,
        into: &mut Vec<Listening>,
    ) -> Result<()> {
        let tcp = |family| inet::request(family, inet::TCP);
        match wanted {
            Wanted::Tcp if self.both => self.repeat(socket, &inet::both_families(), deadline, into),
            Wanted::Tcp => {
                self.repeat(socket, &tcp(libc::AF_INET), deadline, into)?;
                self.repeat(socket, &tcp(libc::AF_INET6), deadline, into)
            }
            Wanted::Mptcp => {
                self.repeat(socket, &inet::mptcp(libc::AF_INET), deadline, into)?;
                self.repeat(socket, &inet::mptcp(libc::AF_INET6), deadline, into)
            }
            Wanted::Udp4 => self.repeat(socket, &inet::request(libc::AF_INET, inet::UDP), deadline, into),
            Wanted::Udp6 => self.repeat(socket, &inet::request(libc::AF_INET6, inet::UDP), deadline, into),
            Wanted::Unix => self.repeat(socket, &unix::request(), deadline, into),
        }
    }

    /// One dump, again when it changed under the kernel's hands.
    fn repeat(
        &mut self,
        socket: &impl AsFd,
        request: &message::Request,
        deadline: Instant,
        into: &mut Vec<Listening>,
    ) -> Result<()> {
        for attempt in 1..=TRIES {
            let before = into.len();
            if self.dump(socket, request, deadline, into)? || attempt == TRIES {
                break;
            }
            into.truncate(before);
        }
        Ok(())
    }

    /// Gives whether nothing changed while it was made.
    fn dump(
        &mut self,
        socket: &impl AsFd,
        request: &message::Request,
        deadline: Instant,
        into: &mut Vec<Listening>,
    ) -> Result<bool> {
        self.sequence = self.sequence.wrapping_add(1);
        let fd = socket.as_fd().as_raw_fd();
        send(fd, &request.with_sequence(self.sequence), MsgFlags::empty()).map_err(|e| failed(e as i32))?;
        let mut whole = true;
        let most = into.len().saturating_add(MOST);
        let mut over = false;
        loop {
            let length = self.receive(socket, deadline)?;
            let answer = self.buffer.get(..length).unwrap_or(&[]);
            let mut each = |kind: u16, body: &[u8]| {
                if into.len() >= most {
                    over = true;
                    return;
                }
                into.extend(if kind == message::BY_FAMILY && body.first() == Some(&unix::FAMILY) {
                    unix::listening(body)
                } else {
                    inet::listening(body, request.protocol())
                });
            };
            match message::read(answer, self.sequence, &mut whole, &mut each) {
                Ok(true) if over => {
                    return Err(Error::new(ErrorKind::Limit(Limit::Entries), "sock_diag", Subject::Socket));
                }
                Ok(true) => return Ok(whole),
                Ok(false) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
    }
}

impl Dumper {
    /// One datagram of the kernel.
    fn receive(&mut self, socket: &impl AsFd, deadline: Instant) -> Result<usize> {
        let fd = socket.as_fd().as_raw_fd();
        loop {
            let (length, sender) = match recvfrom::<NetlinkAddr>(fd, &mut self.buffer) {
                Err(nix::Error::EINTR) => continue,
                // The kernel answers while it is asked, so that this is the exception.
                Err(nix::Error::EAGAIN) => match wait::until(socket, Ready::Read, Some(deadline)) {
                    Ok(true) => continue,
                    Ok(false) => return Err(failed(libc::EAGAIN)),
                    Err(error) => return Err(failed(error.raw_os_error().unwrap_or(libc::EIO))),
                },
                other => other.map_err(|e| failed(e as i32))?,
            };
            if Instant::now() > deadline {
                return Err(failed(libc::EAGAIN));
            }
            if sender.is_some_and(|s| s.pid() == 0) {
                return Ok(length);
            }
        }
    }
}

fn failed(errno: i32) -> Error {
    let error = Error::of_call("sock_diag", Subject::Socket, os(nix::Error::from_raw(errno)));
    match errno {
        libc::EAGAIN => error.with_kind(ErrorKind::Timeout),
        // The kernel's words for "there is no such dump".
        libc::ENOENT | libc::EOPNOTSUPP | libc::EPROTONOSUPPORT | libc::EINVAL => {
            error.with_kind(ErrorKind::Unsupported(Feature::Kernel))
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests;
