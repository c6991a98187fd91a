//! Messages with descriptors, over a pair of Unix sockets (`unix(7)`, `SCM_RIGHTS`).
//!
//! Only this side sends descriptors. What is received are plain bytes: one that came along would be closed unseen.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd, RawFd};

use nix::sys::socket::{
    AddressFamily, ControlMessage, MsgFlags, SockFlag, SockType, recv, sendmsg, socketpair,
};

use crate::error::os;

/// Two connected sockets that keep messages apart (`SOCK_SEQPACKET`), both close-on-exec.
///
/// # Errors
/// Those of `socketpair(2)`.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).map_err(os)
}

/// Sends one message and copies of these descriptors; does not wait for room.
///
/// # Errors
/// `WouldBlock` when there is no room, `BrokenPipe` or `ConnectionReset` when the other side is gone, and the others
/// of `sendmsg(2)`.
///
/// # Example
/// ```
/// use portolan_linux::pass::{pair, receive, send};
/// use std::os::fd::AsFd;
///
/// let (one, other) = pair()?;
/// send(&one, b"take this", &[std::io::stdin().as_fd()])?;
/// let mut buffer = [0; 64];
/// assert_eq!(receive(&other, &mut buffer)?, 9);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn send(socket: impl AsFd, message: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let numbers: Vec<RawFd> = descriptors.iter().map(|fd| fd.as_raw_fd()).collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let control = if numbers.is_empty() { &rights[..0] } else { &rights[..] };
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    let parts = [IoSlice::new(message)];
    loop {
        match sendmsg::<()>(socket.as_fd().as_raw_fd(), &parts, control, flags, None) {
            Err(nix::Error::EINTR) => {}
            other => return other.map(drop).map_err(os),
        }
    }
}

/// Takes one message, if there is one; 0 when the other side is gone.
///
/// # Errors
/// `WouldBlock` when there is none, and the others of `recv(2)`.
pub fn receive(socket: impl AsFd, into: &mut [u8]) -> io::Result<usize> {
    loop {
        match recv(socket.as_fd().as_raw_fd(), into, MsgFlags::MSG_DONTWAIT) {
            Err(nix::Error::EINTR) => {}
            other => return other.map_err(os),
        }
    }
}

/// How many bytes of what was sent the other side has not taken yet; messages count with what the kernel needs to
/// keep them.
///
/// # Errors
/// Those of `ioctl(2)`.
pub fn untaken(socket: impl AsFd) -> io::Result<usize> {
    crate::sys::untaken(socket.as_fd())
}
