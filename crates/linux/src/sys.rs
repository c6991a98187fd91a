//! The system calls that no safe crate offers: the only `unsafe` of the library crates.
//!
//! # Safety
//! Every function here takes borrowed descriptors or plain numbers and gives owned descriptors or numbers, so
//! that its callers need no `unsafe`. No pointer outlives the call that it is made for.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::Once;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// `pidfd_open(2)`, Linux 5.3.
pub(crate) fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: two integers; no memory is passed.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    owned(fd)
}

/// `pidfd_send_signal(2)` with signal 0: whether the process is still there (`ESRCH` when it is not).
pub(crate) fn pidfd_probe(pidfd: BorrowedFd<'_>) -> io::Result<()> {
    // SAFETY: the descriptor is borrowed, hence open; a null siginfo is allowed.
    let r = unsafe {
        libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), 0, std::ptr::null::<u8>(), 0)
    };
    if r == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// `ioctl(SIOCGSKNS)`: a descriptor of the network namespace that a socket belongs to (`netdevice(7)`, Linux 4.9).
pub(crate) fn socket_namespace(socket: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    const SIOCGSKNS: libc::Ioctl = 0x894c;
    // SAFETY: the descriptor is borrowed, hence open; this request takes no argument.
    let fd = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCGSKNS) };
    owned(fd.into())
}

/// `pidfd_getfd(2)`, Linux 5.6: a descriptor of ours for what the process has under this number.
pub(crate) fn pidfd_getfd(pidfd: BorrowedFd<'_>, number: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the descriptor is borrowed, hence open; integers only.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), number, 0) };
    owned(fd)
}

/// `ioctl(NS_GET_NSTYPE)`: the `CLONE_NEW*` flag of an opened namespace (`ioctl_nsfs(2)`, Linux 4.11). Only for a
/// descriptor that is known to be of nsfs: another file may take the number for something else.
pub(crate) fn namespace_type(namespace: BorrowedFd<'_>) -> io::Result<libc::c_int> {
    const NS_GET_NSTYPE: libc::Ioctl = 0xb703;
    // SAFETY: the descriptor is borrowed, hence open; this request takes no argument.
    let kind = unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_NSTYPE) };
    if kind < 0 { Err(io::Error::last_os_error()) } else { Ok(kind) }
}

/// `socket(AF_NETLINK, ..., NETLINK_CONNECTOR)`, non-blocking and close-on-exec (`netlink(7)`); `nix` does not know
/// the protocol.
pub(crate) fn connector_socket() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: integers only.
    let fd = unsafe { libc::socket(libc::AF_NETLINK, kind, libc::NETLINK_CONNECTOR) };
    owned(fd.into())
}

/// `getsockopt(SO_NETNS_COOKIE)`: a number of the socket's network namespace that is never used again (Linux 5.14).
pub(crate) fn namespace_cookie(socket: BorrowedFd<'_>) -> io::Result<u64> {
    let mut cookie = 0_u64;
    let mut length = libc::socklen_t::try_from(size_of::<u64>()).unwrap_or(0);
    let (fd, option) = (socket.as_raw_fd(), libc::SO_NETNS_COOKIE);
    // SAFETY: a live descriptor; the buffer and its length live through the call and fit each other.
    let r =
        unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, option, (&raw mut cookie).cast(), &raw mut length) };
    if r == 0 { Ok(cookie) } else { Err(io::Error::last_os_error()) }
}

/// `ioctl(SIOCOUTQ)`: how much of what was sent the other side has not taken yet (`unix(7)`).
pub(crate) fn untaken(socket: BorrowedFd<'_>) -> io::Result<usize> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is borrowed, hence open; the number lives through the call.
    let r = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if r == 0 { Ok(usize::try_from(bytes).unwrap_or(0)) } else { Err(io::Error::last_os_error()) }
}

/// `memfd_create(2)`: executable and sealable. `MFD_EXEC` is Linux 6.3; before, every memfd is executable.
pub(crate) fn memfd(name: &CStr) -> io::Result<OwnedFd> {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // SAFETY: the name is a C string that lives through the call.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), flags | libc::MFD_EXEC) };
    if fd >= 0 || io::Error::last_os_error().raw_os_error() != Some(libc::EINVAL) {
        return owned(fd.into());
    }
    // SAFETY: as above.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), flags) };
    owned(fd.into())
}

/// `fcntl(F_ADD_SEALS)`: against writing, growing, shrinking and further seals. `F_SEAL_EXEC` (Linux 6.3), which
/// also freezes the mode, is added where the kernel knows it.
pub(crate) fn seal(memfd: BorrowedFd<'_>) -> io::Result<()> {
    const F_SEAL_EXEC: i32 = 0x20;
    let seals = libc::F_SEAL_WRITE | libc::F_SEAL_GROW | libc::F_SEAL_SHRINK | libc::F_SEAL_SEAL;
    // SAFETY: the descriptor is borrowed, hence open; the argument is an integer.
    let r = unsafe { libc::fcntl(memfd.as_raw_fd(), libc::F_ADD_SEALS, seals | F_SEAL_EXEC) };
    if r == 0 {
        return Ok(());
    }
    // SAFETY: as above.
    let r = unsafe { libc::fcntl(memfd.as_raw_fd(), libc::F_ADD_SEALS, seals) };
    if r == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Starts a command in a session of its own, with no descriptor but 0, 1, 2 and those named, under their numbers.
pub(crate) fn spawn_with(
    mut command: Command,
    inherit: &[BorrowedFd<'_>],
) -> io::Result<std::process::Child> {
    let numbers: Vec<RawFd> = inherit.iter().map(AsRawFd::as_raw_fd).collect();
    let prepare = move || {
        // SAFETY: takes nothing and only changes this (new) process's session.
        if unsafe { libc::setsid() } < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: integers only. What is started dies with the thread that starts it, whatever it does itself.
        if unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: integers only. Marks, does not close: the standard library still needs its own pipe.
        if unsafe { libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) } != 0 {
            return Err(io::Error::last_os_error());
        }
        for number in &numbers {
            // SAFETY: the descriptors are borrowed until `spawn` returned, and this process is a copy.
            if unsafe { libc::fcntl(*number, libc::F_SETFD, 0) } != 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: between fork and exec `prepare` makes system calls only: it neither allocates nor locks.
    unsafe { command.pre_exec(prepare) };
    command.spawn()
}

/// `readlinkat(2)` into a buffer; the length of what it holds then.
pub(crate) fn read_link(directory: BorrowedFd<'_>, name: &CStr, into: &mut [u8]) -> io::Result<usize> {
    let (fd, to, room) = (directory.as_raw_fd(), into.as_mut_ptr().cast(), into.len());
    // SAFETY: a live descriptor, a C string, and a live buffer with its length.
    let length = unsafe { libc::readlinkat(fd, name.as_ptr(), to, room) };
    usize::try_from(length).map_err(|_| io::Error::last_os_error())
}

/// `statx(2)` of a path below a descriptor, or of the descriptor itself for an empty path. Answered from what the
/// kernel has (`AT_STATX_DONT_SYNC`): no server of a file system is waited for.
pub(crate) fn statx(directory: BorrowedFd<'_>, name: &CStr, flags: libc::c_int) -> io::Result<libc::statx> {
    let mut found = std::mem::MaybeUninit::<libc::statx>::zeroed();
    let flags = flags | libc::AT_STATX_DONT_SYNC | libc::AT_NO_AUTOMOUNT;
    let (fd, mask) = (directory.as_raw_fd(), libc::STATX_BASIC_STATS | libc::STATX_BTIME);
    // SAFETY: a live descriptor, a C string, and room for one answer, all of which live through the call.
    let r = unsafe { libc::statx(fd, name.as_ptr(), flags, mask, found.as_mut_ptr()) };
    if r != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: all zeros is a value of it, and the call has written over them.
    Ok(unsafe { found.assume_init() })
}

/// What a program is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attach {
    /// To be called by the iterator whose function has this number among the kernel's types (Linux 5.8).
    Iterator(u32),
    /// To be called where the kernel passes a tracepoint, with the arguments of that (Linux 4.17).
    Tracepoint,
}

/// `bpf(BPF_PROG_LOAD)` (`bpf(2)`): a program's instructions, its licence, what it is for, and a name for whoever lists
/// programs.
pub(crate) fn bpf_load(code: &[u8], license: &CStr, attach: Attach, name: &[u8]) -> io::Result<OwnedFd> {
    const PROG_LOAD: u32 = 5;
    const TRACING: u32 = 26;
    const RAW_TRACEPOINT: u32 = 17;
    let mut request = Request::<128>::new();
    let count = u32::try_from(code.len() / 8).unwrap_or(0);
    request.word(4, count);
    request.long(8, code.as_ptr().expose_provenance());
    request.long(16, license.as_ptr().expose_provenance());
    request.bytes(48, name.get(..15).unwrap_or(name));
    match attach {
        Attach::Iterator(function) => {
            request.word(0, TRACING);
            request.word(68, ITERATOR);
            request.word(108, function);
        }
        Attach::Tracepoint => request.word(0, RAW_TRACEPOINT),
    }
    // SAFETY: the instructions and the licence live through the call, which only reads them; their number is theirs.
    unsafe { request.call(PROG_LOAD) }
}

/// `bpf(BPF_LINK_CREATE)`: the program, ready to be called for all processes, or for one (Linux 6.1; `E2BIG` before).
pub(crate) fn bpf_link(program: BorrowedFd<'_>, process: Option<i32>) -> io::Result<OwnedFd> {
    const LINK_CREATE: u32 = 28;
    // `union bpf_iter_link_info`: a thread, a process, a pidfd.
    let mut info = [0_u32, process.map_or(0, i32::cast_unsigned), 0];
    let mut request = Request::<64>::new();
    request.word(0, program.as_raw_fd().cast_unsigned());
    request.word(8, ITERATOR);
    if process.is_some() {
        request.long(16, info.as_mut_ptr().expose_provenance());
        request.word(24, u32::try_from(size_of_val(&info)).unwrap_or(0));
    }
    // SAFETY: the only pointer is to numbers that live through the call, which only reads them.
    unsafe { request.call(LINK_CREATE) }
}

/// `bpf(BPF_ITER_CREATE)`: a descriptor whose reading calls the program for everything once.
pub(crate) fn bpf_iterate(link: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    const ITER_CREATE: u32 = 33;
    let mut request = Request::<8>::new();
    request.word(0, link.as_raw_fd().cast_unsigned());
    // SAFETY: integers only.
    unsafe { request.call(ITER_CREATE) }
}

/// `BPF_TRACE_ITER`.
const ITERATOR: u32 = 28;

/// `bpf(BPF_RAW_TRACEPOINT_OPEN)`: from now on the program is called at the tracepoint of this name, until this is closed.
pub(crate) fn bpf_trace(program: BorrowedFd<'_>, tracepoint: &CStr) -> io::Result<OwnedFd> {
    const RAW_TRACEPOINT_OPEN: u32 = 17;
    let mut request = Request::<16>::new();
    request.long(0, tracepoint.as_ptr().expose_provenance());
    request.word(8, program.as_raw_fd().cast_unsigned());
    // SAFETY: the name lives through the call, which only reads it.
    unsafe { request.call(RAW_TRACEPOINT_OPEN) }
}

/// A `union bpf_attr`, as bytes.
#[repr(align(8))]
struct Request<const N: usize>([u8; N]);

impl<const N: usize> Request<N> {
    fn new() -> Self {
        Self([0; N])
    }

    fn bytes(&mut self, at: usize, bytes: &[u8]) {
        for (to, from) in self.0.iter_mut().skip(at).zip(bytes) {
            *to = *from;
        }
    }

    fn word(&mut self, at: usize, value: u32) {
        self.bytes(at, &value.to_ne_bytes());
    }

    fn long(&mut self, at: usize, value: usize) {
        self.bytes(at, &u64::try_from(value).unwrap_or(0).to_ne_bytes());
    }

    /// # Safety
    /// Every address in the request is of memory that the command may use, and that lives through the call.
    unsafe fn call(&mut self, command: u32) -> io::Result<OwnedFd> {
        // SAFETY: the request lives through the call and has this length; what it points to is the caller's promise.
        let fd = unsafe { libc::syscall(libc::SYS_bpf, command, self.0.as_mut_ptr(), N) };
        owned(fd)
    }
}

/// The beginning of a file as memory (`mmap(2)`), only for reading.
#[derive(Debug)]
pub(crate) struct Mapping {
    start: std::ptr::NonNull<libc::c_void>,
    length: usize,
}

impl Mapping {
    /// Maps a file that nobody can write to or shorten, which is the caller's to know: as those of sysfs.
    pub(crate) fn of(file: BorrowedFd<'_>, length: usize) -> io::Result<Self> {
        Self::new(file, length, (libc::PROT_READ, libc::MAP_PRIVATE), 0)
    }

    fn new(
        file: BorrowedFd<'_>,
        length: usize,
        (protection, flags): (libc::c_int, libc::c_int),
        from: usize,
    ) -> io::Result<Self> {
        let at = std::ptr::null_mut();
        let from = libc::off_t::try_from(from).map_err(|_| io::ErrorKind::InvalidInput)?;
        // SAFETY: the kernel chooses where; a live descriptor; nothing else is at that place.
        let start = unsafe { libc::mmap(at, length, protection, flags, file.as_raw_fd(), from) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        std::ptr::NonNull::new(start).map(|start| Self { start, length }).ok_or(io::ErrorKind::Other.into())
    }

    /// A number in memory that the kernel shares with us; `None` beyond the end, or where none can be. It may be written
    /// to only where that was asked for.
    fn number(&self, at: usize) -> Option<&AtomicU64> {
        let end = at.checked_add(size_of::<AtomicU64>())?;
        if end > self.length || !at.is_multiple_of(align_of::<AtomicU64>()) {
            return None;
        }
        let place = self.start.as_ptr().cast::<u8>().wrapping_add(at).cast();
        // SAFETY: within what is mapped, which begins at a page; both sides use it by atomic operations only, and it
        // lives as long as what it is borrowed from.
        Some(unsafe { AtomicU64::from_ptr(place) })
    }

    /// What was mapped by [`of`](Self::of).
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: mapped for reading, with this length, as long as this lives; nobody writes there.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr().cast(), self.length) }
    }
}

// SAFETY: it is memory of the process, not of a thread; what is shared in it is read and written atomically.
unsafe impl Send for Mapping {}
// SAFETY: the same.
unsafe impl Sync for Mapping {}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: it is ours alone, and nothing borrows from it any more.
        let _ = unsafe { libc::munmap(self.start.as_ptr(), self.length) };
    }
}

/// A ring buffer that programs write numbers to (`BPF_MAP_TYPE_RINGBUF`, Linux 5.8;
/// `Documentation/bpf/ringbuf.rst` of the kernel's source). Its descriptor can be read when there are some.
#[derive(Debug)]
pub(crate) struct Ring {
    map: OwnedFd,
    /// How far we have read, on a page of its own.
    consumed: Mapping,
    /// How far the kernel has written, on a page, and then the ring, twice in a row.
    produced: Mapping,
    page: usize,
    length: usize,
}

impl Ring {
    /// For so many bytes: a power of two, and of pages.
    pub(crate) fn new(length: u32) -> io::Result<Self> {
        const MAP_CREATE: u32 = 0;
        const RING_BUFFER: u32 = 27;
        let mut request = Request::<48>::new();
        request.word(0, RING_BUFFER);
        request.word(12, length);
        request.bytes(28, b"portolan_told");
        // SAFETY: integers, and a name in the request itself.
        let map = unsafe { request.call(MAP_CREATE) }?;
        let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).map_err(crate::error::os)?;
        let page = page.and_then(|page| usize::try_from(page).ok()).ok_or(io::ErrorKind::Other)?;
        let length = usize::try_from(length).map_err(|_| io::ErrorKind::InvalidInput)?;
        let both = length.checked_mul(2).and_then(|ring| ring.checked_add(page));
        let shared = |length, protection, from| {
            Mapping::new(map.as_fd(), length, (protection, libc::MAP_SHARED), from)
        };
        let consumed = shared(page, libc::PROT_READ | libc::PROT_WRITE, 0)?;
        let produced = shared(both.ok_or(io::ErrorKind::InvalidInput)?, libc::PROT_READ, page)?;
        Ok(Self { map, consumed, produced, page, length })
    }

    pub(crate) fn as_fd(&self) -> BorrowedFd<'_> {
        self.map.as_fd()
    }

    /// For a program that writes to it.
    pub(crate) fn number(&self) -> RawFd {
        self.map.as_raw_fd()
    }

    /// The next number; `None` when there is none now. Exclusive, because two readers would read the same.
    pub(crate) fn next(&mut self) -> Option<u64> {
        const BUSY: u64 = 1 << 31;
        const DISCARDED: u64 = 1 << 30;
        loop {
            let read = self.consumed.number(0)?.load(Ordering::Relaxed);
            if read == self.produced.number(0)?.load(Ordering::Acquire) {
                return None;
            }
            let at = usize::try_from(read).ok()? & self.length.checked_sub(1)?;
            let at = self.page.checked_add(at)?;
            // A head of eight bytes: the length and two marks in the first four.
            let head = self.produced.number(at)?.load(Ordering::Acquire);
            let head = if cfg!(target_endian = "little") { head & 0xffff_ffff } else { head >> 32 };
            if head & BUSY != 0 {
                return None;
            }
            let number = self.produced.number(at.checked_add(8)?)?.load(Ordering::Relaxed);
            let length = (head & !DISCARDED).checked_add(15)? & !7;
            self.consumed.number(0)?.store(read.wrapping_add(length), Ordering::Release);
            if head & DISCARDED == 0 {
                return Some(number);
            }
        }
    }
}

/// How often this process is the child of a fork: 0 in the one that was executed.
pub(crate) fn generation() -> u32 {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    static WATCH: Once = Once::new();
    extern "C" fn forked() {
        COUNT.fetch_add(1, Ordering::Relaxed);
    }
    // SAFETY: the handler lives as long as the program, and does nothing but an atomic addition in the child.
    WATCH.call_once(|| _ = unsafe { libc::pthread_atfork(None, None, Some(forked)) });
    COUNT.load(Ordering::Relaxed)
}

fn owned(fd: libc::c_long) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    let fd = RawFd::try_from(fd).map_err(|_| io::Error::from_raw_os_error(libc::EBADF))?;
    // SAFETY: the kernel has just given us this descriptor, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The inode number behind a descriptor.
pub(crate) fn inode(fd: impl AsFd) -> io::Result<u64> {
    nix::sys::stat::fstat(fd).map(|s| s.st_ino).map_err(crate::error::os)
}
