//! The system calls that have no safe form elsewhere; the only unsafe code of this crate.
//!
//! Half of them run in a child of a process with threads, between clone and exec. Nothing in this file
//! allocates, locks or panics, except [`Strings::new`], which only the parent calls.

use std::ffi::{CStr, CString, c_char, c_int, c_long, c_uint};
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use nix::errno::Errno;

/// A null-terminated array of C strings, as `execve` wants it, made before the clone.
#[derive(Debug)]
pub(crate) struct Strings {
    owned: Vec<CString>,
    pointers: Vec<*const c_char>,
}

// SAFETY: the pointers lead only into `owned`, whose buffers move with it and never change.
unsafe impl Send for Strings {}

impl Strings {
    pub(crate) fn new(owned: Vec<CString>) -> Self {
        let pointers = owned.iter().map(|one| one.as_ptr()).chain([ptr::null()]).collect();
        Self { owned, pointers }
    }

    pub(crate) fn first(&self) -> Option<&CStr> {
        self.owned.first().map(CString::as_c_str)
    }
}

/// `clone3` without a stack of its own, as `fork` does: the child runs `body` on a copy of this thread.
///
/// With a pidfd wanted, it comes back beside the pid. The child must keep to raw system calls: a lock that
/// another thread held at the clone (the allocator's, say) stays locked in the child for good.
pub(crate) fn clone(
    flags: u64,
    want_pidfd: bool,
    body: impl FnOnce() -> i32,
) -> Result<(i32, Option<OwnedFd>), Errno> {
    let mut pidfd: RawFd = -1;
    // SAFETY: clone_args is plain integers, for which all zeroes is a valid value.
    let mut args: libc::clone_args = unsafe { std::mem::zeroed() };
    args.flags = flags;
    args.exit_signal = u64::from(libc::SIGCHLD.unsigned_abs());
    if want_pidfd {
        args.flags |= u64::from(libc::CLONE_PIDFD.unsigned_abs());
        args.pidfd = ptr::from_mut(&mut pidfd) as u64;
    }
    // SAFETY: no CLONE_VM, so the child has a memory of its own; args lives through the call and has its size
    // told; the kernel writes one int through args.pidfd, which points to a live one.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, ptr::from_ref(&args), size_of::<libc::clone_args>()) };
    if pid == 0 {
        exit(body());
    }
    let pid = result(pid)?;
    // SAFETY: the kernel has just made this descriptor for us; nobody else knows its number.
    let pidfd = (pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) });
    Ok((pid, pidfd))
}

/// Ends the child at once: no destructors and no exit handlers, which belong to the parent.
pub(crate) fn exit(status: i32) -> ! {
    // SAFETY: _exit touches no memory of ours.
    unsafe { libc::_exit(status) }
}

/// Waits for one child and gives its raw wait status.
pub(crate) fn wait_for(pid: i32) -> Result<i32, Errno> {
    let mut status = 0;
    loop {
        // SAFETY: status outlives the call.
        let done = unsafe { libc::waitpid(pid, &raw mut status, 0) };
        match Errno::result(done) {
            Ok(_) => return Ok(status),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// `execve`; returns only on failure.
pub(crate) fn execute(path: &CStr, arguments: &Strings, environment: &Strings) -> Errno {
    // SAFETY: both arrays end with a null and point to C strings that live as long as they do.
    unsafe { libc::execve(path.as_ptr(), arguments.pointers.as_ptr(), environment.pointers.as_ptr()) };
    Errno::last()
}

/// Puts `from` in the place of the descriptor `to`, without close-on-exec.
pub(crate) fn duplicate(from: BorrowedFd<'_>, to: RawFd) -> Result<(), Errno> {
    // SAFETY: the child calls it for 0, 1 and 2 only, which nothing in the child owns.
    Errno::result(unsafe { libc::dup2(from.as_raw_fd(), to) }).map(drop)
}

/// Closes the descriptors `first..=last`.
pub(crate) fn close_range(first: c_uint, last: c_uint) -> Result<(), Errno> {
    // SAFETY: only the child calls it, with ranges that leave out every descriptor it still uses.
    result(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }).map(drop)
}

/// Unblocks all signals and gives the ones that Rust or the caller may ignore their default action back.
pub(crate) fn reset_signals() -> Result<(), Errno> {
    for signal in [libc::SIGPIPE, libc::SIGINT, libc::SIGQUIT, libc::SIGHUP, libc::SIGTERM, libc::SIGCHLD] {
        // SAFETY: SIG_DFL is no function of ours.
        if unsafe { libc::signal(signal, libc::SIG_DFL) } == libc::SIG_ERR {
            return Err(Errno::last());
        }
    }
    // The kernel's own signal set: 64 bits.
    let none = 0_u64;
    // SAFETY: the kernel reads the eight bytes it is told of and writes nothing.
    result(unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            ptr::from_ref(&none),
            ptr::null_mut::<u64>(),
            size_of::<u64>(),
        )
    })
    .map(drop)
}

/// Becomes the user, group and supplementary groups given, by the bare system calls: those of the C library
/// would first tell the other threads, which the child does not have.
pub(crate) fn become_user(uid: u32, gid: u32, groups: &[u32]) -> Result<(), Errno> {
    // SAFETY: three integers.
    result(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) })?;
    // SAFETY: the kernel reads groups.len() integers from the slice.
    result(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) })?;
    // SAFETY: three integers.
    result(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) }).map(drop)
}

/// Brings the interface `lo` of the current network namespace up.
pub(crate) fn loopback_up() -> Result<(), Errno> {
    // SAFETY: three integers.
    let socket = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    let socket = Errno::result(socket)?;
    // SAFETY: ifreq is integers and unions of them, for which all zeroes is a valid value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(c"lo".to_bytes()) {
        *to = c_char::from_ne_bytes([*from]);
    }
    request.ifr_ifru.ifru_flags = 1; // IFF_UP; the kernel adds IFF_RUNNING itself.
    // SAFETY: the kernel reads one ifreq, which outlives the call.
    let done = unsafe { libc::ioctl(socket, libc::SIOCSIFFLAGS, &raw mut request) };
    let done = Errno::result(done).map(drop);
    // SAFETY: opened above, and used by nobody else.
    unsafe { libc::close(socket) };
    done
}

/// A mount of `path` that is attached nowhere yet; with everything mounted below, if `recursive`.
pub(crate) fn open_tree(path: &CStr, recursive: bool) -> Result<OwnedFd, Errno> {
    let below = if recursive { libc::AT_RECURSIVE.unsigned_abs() } else { 0 };
    let flags = libc::OPEN_TREE_CLONE | libc::OPEN_TREE_CLOEXEC | below;
    // SAFETY: path is a C string.
    let fd = unsafe { libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, path.as_ptr(), flags) };
    let fd = result(fd)?;
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Makes a mount show the owners of its files shifted, by the maps of a user namespace.
pub(crate) fn map_owners(tree: BorrowedFd<'_>, user_namespace: BorrowedFd<'_>) -> Result<(), Errno> {
    let namespace = u64::try_from(user_namespace.as_raw_fd()).map_err(|_| Errno::EBADF)?;
    // SAFETY: mount_attr is plain integers, for which all zeroes is a valid value.
    let mut attributes: libc::mount_attr = unsafe { std::mem::zeroed() };
    attributes.attr_set = libc::MOUNT_ATTR_IDMAP;
    attributes.userns_fd = namespace;
    // SAFETY: the kernel reads one mount_attr, whose size it is told.
    result(unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            ptr::from_ref(&attributes),
            size_of::<libc::mount_attr>(),
        )
    })
    .map(drop)
}

/// Attaches a mount of [`open_tree`] at `target`.
pub(crate) fn attach(tree: BorrowedFd<'_>, target: &CStr) -> Result<(), Errno> {
    const FROM_EMPTY_PATH: c_uint = 4; // MOVE_MOUNT_F_EMPTY_PATH
    // SAFETY: two C strings and two descriptors.
    result(unsafe {
        libc::syscall(
            libc::SYS_move_mount,
            tree.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_FDCWD,
            target.as_ptr(),
            FROM_EMPTY_PATH,
        )
    })
    .map(drop)
}

/// Sends a signal to exactly the process behind a pidfd.
pub(crate) fn signal(pidfd: BorrowedFd<'_>, signal: c_int) -> Result<(), Errno> {
    // SAFETY: integers and a null, which stands for no siginfo.
    result(unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            ptr::null::<libc::siginfo_t>(),
            0,
        )
    })
    .map(drop)
}

fn result(returned: c_long) -> Result<c_int, Errno> {
    c_int::try_from(Errno::result(returned)?).map_err(|_| Errno::EOVERFLOW)
}
