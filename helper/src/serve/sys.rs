//! The system calls of the server. The rule is that of `crate::sys`.

use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use crate::sys::{Errno, Result, done, last, owned};

/// How long an idle child waits for a request before it ends.
pub(super) fn set_patience(socket: BorrowedFd<'_>, patience: Duration) {
    let value = libc::timeval {
        tv_sec: libc::time_t::try_from(patience.as_secs()).unwrap_or(1),
        tv_usec: libc::suseconds_t::from(patience.subsec_micros()),
    };
    let length = libc::socklen_t::try_from(size_of::<libc::timeval>()).unwrap_or(0);
    let (fd, value) = (socket.as_raw_fd(), &raw const value);
    // SAFETY: a live descriptor; the value lives through the call and is as long as is said.
    unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_RCVTIMEO, value.cast(), length) };
}

/// Sends one message, if there is room for it.
pub(super) fn send(socket: BorrowedFd<'_>, message: &[u8]) -> bool {
    let (fd, flags) = (socket.as_raw_fd(), libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT);
    // SAFETY: a live descriptor; pointer and length are those of a live slice.
    unsafe { libc::send(fd, message.as_ptr().cast(), message.len(), flags) >= 0 }
}

/// Waits for one message and the descriptors that come with it: exactly three, or none are given. The length is 0
/// when the other side is gone.
pub(super) fn receive(socket: BorrowedFd<'_>, into: &mut [u8]) -> Result<(usize, Option<[OwnedFd; 3]>)> {
    // As long as three descriptors and their header take, and aligned like it.
    let mut control = [0_u64; 8];
    let mut part = libc::iovec { iov_base: into.as_mut_ptr().cast(), iov_len: into.len() };
    // SAFETY: all zeroes is a valid `struct msghdr`.
    let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.as_mut_ptr().cast();
    header.msg_controllen = size_of_val(&control);
    // SAFETY: a live descriptor; the header and all that it points to live through the call.
    let got = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, libc::MSG_CMSG_CLOEXEC) };
    let got = usize::try_from(got).map_err(|_| last())?;
    let fds = rights(&control, header.msg_controllen);
    if header.msg_flags & (libc::MSG_TRUNC | libc::MSG_CTRUNC) != 0 {
        return Err(Errno(libc::EMSGSIZE));
    }
    Ok((got, fds.try_into().ok()))
}

/// The descriptors in what the kernel wrote beside a message: headers of 16 bytes (length, level, type), each followed
/// by its data, and padding to eight.
fn rights(control: &[u64], length: usize) -> Vec<OwnedFd> {
    const HEADER: usize = 16;
    let bytes: Vec<u8> = control.iter().flat_map(|word| word.to_ne_bytes()).collect();
    let mut rest = bytes.get(..length).unwrap_or(&[]);
    let mut fds = Vec::new();
    while let Some((header, _)) = rest.split_first_chunk::<HEADER>() {
        let [l0, l1, l2, l3, l4, l5, l6, l7, v0, v1, v2, v3, t0, t1, t2, t3] = *header;
        let length = usize::from_ne_bytes([l0, l1, l2, l3, l4, l5, l6, l7]);
        let (level, kind) = (i32::from_ne_bytes([v0, v1, v2, v3]), i32::from_ne_bytes([t0, t1, t2, t3]));
        if level == libc::SOL_SOCKET && kind == libc::SCM_RIGHTS {
            for number in rest.get(HEADER..length).unwrap_or(&[]).as_chunks().0 {
                // SAFETY: the kernel has just given us this descriptor, and nobody else knows of it.
                fds.push(unsafe { OwnedFd::from_raw_fd(RawFd::from_ne_bytes(*number)) });
            }
        }
        let next = length.max(HEADER).next_multiple_of(size_of::<u64>());
        rest = rest.get(next..).unwrap_or(&[]);
    }
    fds
}

/// Both ends are non-blocking.
pub(super) fn pipe() -> Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: room for two descriptors.
    done(unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK) }.into())?;
    let [read, write] = ends;
    Ok((owned(read.into())?, owned(write.into())?))
}

/// A descriptor that can be read when a child ended (`signalfd(2)`).
pub(super) fn child_signals() -> Result<OwnedFd> {
    // SAFETY: a signal set of zeroes is valid, and the call below initialises it.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` lives through the call.
    unsafe { libc::sigemptyset(&raw mut set) };
    // SAFETY: `set` lives through the call.
    unsafe { libc::sigaddset(&raw mut set, libc::SIGCHLD) };
    // SAFETY: as above; the old mask is not asked for.
    unsafe { libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
    // SAFETY: as above.
    owned(unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) }.into())
}

/// Puts a copy of a descriptor at a number; what was there is closed.
pub(super) fn place(fd: BorrowedFd<'_>, at: RawFd) -> Result<()> {
    // SAFETY: a live descriptor, and a number that nobody here owns.
    done(unsafe { libc::dup3(fd.as_raw_fd(), at, libc::O_CLOEXEC) }.into()).map(drop)
}

/// Waits until one of these is ready, or for so long; gives what each is ready for.
pub(super) fn poll<const N: usize>(
    wanted: [(BorrowedFd<'_>, i16); N],
    timeout: Option<Duration>,
) -> [i16; N] {
    let mut fds = wanted.map(|(fd, events)| libc::pollfd { fd: fd.as_raw_fd(), events, revents: 0 });
    let time = timeout.map(|timeout| libc::timespec {
        tv_sec: libc::time_t::try_from(timeout.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: timeout.subsec_nanos().into(),
    });
    let time = time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let count = libc::nfds_t::try_from(N).unwrap_or(0);
    // SAFETY: `fds` and the time live through the call; no signal mask.
    unsafe { libc::syscall(libc::SYS_ppoll, fds.as_mut_ptr(), count, time, std::ptr::null::<u8>(), 0) };
    fds.map(|fd| fd.revents)
}

pub(super) fn own_pid() -> i32 {
    // SAFETY: takes nothing, and always succeeds.
    unsafe { libc::getpid() }
}

/// A child that has ended, and how.
pub(super) fn reap() -> Option<(i32, i32)> {
    let mut status = 0;
    // SAFETY: `status` lives through the call.
    let child = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
    (child > 0).then_some((child, status))
}

/// Whether a child was ended by a signal.
pub(super) fn was_killed(status: i32) -> bool {
    libc::WIFSIGNALED(status)
}

/// The number without which the filter lets nobody make or signal a process. It is in a page that is not there in a
/// child (`MADV_DONTFORK`).
#[derive(Debug)]
pub(super) struct Token {
    page: *mut u64,
}

impl Token {
    pub(super) fn new() -> Result<Self> {
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping, wherever the kernel has room.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), PAGE, protection, flags, -1, 0) };
        if page == libc::MAP_FAILED {
            return Err(last());
        }
        // SAFETY: the mapping above, whole.
        done(unsafe { libc::madvise(page, PAGE, libc::MADV_DONTFORK) }.into())?;
        // SAFETY: the first eight bytes of the mapping above.
        let got = unsafe { libc::getrandom(page, size_of::<u64>(), 0) };
        if usize::try_from(got) == Ok(size_of::<u64>()) {
            Ok(Self { page: page.cast() })
        } else {
            Err(last())
        }
    }

    /// The token itself, for the filter.
    pub(super) fn value(&self) -> u64 {
        // SAFETY: the page is there for as long as the server is, and only the server comes here.
        unsafe { self.page.read_volatile() }
    }

    /// The child's number in the server, `None` in the child.
    pub(super) fn fork(&self) -> Result<Option<i32>> {
        let (flags, zero) = (libc::c_long::from(libc::SIGCHLD), 0_u64);
        // SAFETY: as `fork(2)`: this program has one thread, so the child has a consistent copy of everything but
        // the token's page, which it does not touch. No stack, no thread numbers.
        match unsafe { libc::syscall(libc::SYS_clone, flags, zero, zero, zero, zero, self.value()) } {
            0 => {
                forget();
                Ok(None)
            }
            child => i32::try_from(done(child)?).map(Some).map_err(|_| Errno(libc::EAGAIN)),
        }
    }

    pub(super) fn kill(&self, child: i32) {
        // SAFETY: integers. The child was not reaped, so the number is still its own.
        unsafe { libc::syscall(libc::SYS_kill, child, libc::SIGKILL, 0, 0, 0, self.value()) };
    }
}

/// A number that the server and the children that wait all see.
#[derive(Debug)]
pub(super) struct Counter {
    page: *mut libc::c_void,
}

const PAGE: usize = 4096;

impl Counter {
    pub(super) fn new() -> Result<Self> {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
        // SAFETY: a new mapping, wherever the kernel has room.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), PAGE, protection, flags, -1, 0) };
        if page == libc::MAP_FAILED { Err(last()) } else { Ok(Self { page }) }
    }

    fn number(&self) -> &AtomicU32 {
        // SAFETY: the page is mapped for as long as this value lives, aligned, zeroed, and only ever seen as this.
        unsafe { &*self.page.cast::<AtomicU32>() }
    }

    pub(super) fn get(&self) -> usize {
        usize::try_from(self.number().load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    pub(super) fn add(&self) {
        self.number().fetch_add(1, Ordering::Relaxed);
    }

    /// One less; gives what is left.
    pub(super) fn take(&self) -> usize {
        let less = |number: u32| Some(number.saturating_sub(1));
        let before = self.number().fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).unwrap_or(0);
        usize::try_from(before.saturating_sub(1)).unwrap_or(0)
    }
}

impl Drop for Counter {
    /// A child gives it up before it enters a container: nothing there is to change what others see.
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`, whole; nothing borrows from it any more.
        unsafe { libc::munmap(self.page, PAGE) };
    }
}

/// Overwrites what the call left of the token on the child's stack.
#[inline(never)]
fn forget() {
    let mut stack = [0_u64; 128];
    for word in &mut stack {
        // SAFETY: a live element of the array above.
        unsafe { std::ptr::from_mut(word).write_volatile(0) };
    }
}
