//! Waiting for a descriptor, but not past a deadline (`poll(2)`).

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::error::os;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ready {
    /// Something can be read, or the other side has closed.
    Read,
    /// Something can be written, or a connection was made or refused.
    Write,
}

/// Waits until the descriptor is ready; false when the deadline has passed. Without one it waits for ever.
///
/// # Errors
/// Those of `poll(2)`, but for interruptions.
///
/// # Example
/// ```
/// use portolan_linux::wait::{Ready, until};
/// use std::time::{Duration, Instant};
///
/// let (reader, _writer) = std::io::pipe()?;
/// let soon = Instant::now() + Duration::from_millis(10);
/// assert!(!until(&reader, Ready::Read, Some(soon))?);
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn until(fd: impl AsFd, ready: Ready, deadline: Option<Instant>) -> io::Result<bool> {
    let flags = match ready {
        Ready::Read => PollFlags::POLLIN,
        Ready::Write => PollFlags::POLLOUT,
    };
    loop {
        let left = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
            None => PollTimeout::NONE,
            Some(Duration::ZERO) => return Ok(false),
            // Rounded up, so that the last part of a millisecond is not polled away.
            Some(left) => PollTimeout::try_from(left.saturating_add(Duration::from_millis(1)))
                .unwrap_or(PollTimeout::MAX),
        };
        match poll(&mut [PollFd::new(fd.as_fd(), flags)], left) {
            Ok(0) | Err(nix::Error::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(errno) => return Err(os(errno)),
        }
    }
}

/// Waits until one of several descriptors can be read, or its other side has closed; false when the deadline has
/// passed. Which one it is, each of them tells when it is read.
///
/// # Errors
/// Those of `poll(2)`, but for interruptions.
pub fn any(fds: &[BorrowedFd<'_>], deadline: Instant) -> io::Result<bool> {
    let mut fds: Vec<PollFd<'_>> = fds.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)).collect();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        let left = PollTimeout::try_from(left.saturating_add(Duration::from_micros(999)))
            .unwrap_or(PollTimeout::MAX);
        match poll(&mut fds, left) {
            Ok(0) | Err(nix::Error::EINTR) => {}
            Ok(_) => return Ok(true),
            Err(errno) => return Err(os(errno)),
        }
    }
}

/// Whether the other side of a pipe is gone: nobody can write to it any more (what was written before may still be in
/// it), or nobody can read from it any more.
///
/// # Example
/// ```
/// let (reader, writer) = std::io::pipe()?;
/// assert!(!portolan_linux::wait::hung_up(&reader));
/// drop(writer);
/// assert!(portolan_linux::wait::hung_up(&reader));
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use]
pub fn hung_up(pipe: impl AsFd) -> bool {
    let mut fds = [PollFd::new(pipe.as_fd(), PollFlags::empty())];
    let polled = poll(&mut fds, PollTimeout::ZERO);
    let [fd] = fds;
    polled.is_ok() && fd.any().unwrap_or(true)
}
