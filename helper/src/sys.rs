//! All system calls of the helper, and its only `unsafe`.
//!
//! # Safety
//! Every function takes borrowed descriptors, slices and numbers, and gives owned descriptors or copies. Pointers
//! are made for one call and do not outlive it. None of these calls goes through a service of the C library that
//! opens files by itself.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::time::Duration;

use portolan_wire::code::FileKind;

pub(crate) const CAP_DAC_READ_SEARCH: u8 = 2;
pub(crate) const CAP_SYS_CHROOT: u8 = 18;
pub(crate) const CAP_SYS_PTRACE: u8 = 19;
pub(crate) const CAP_SYS_ADMIN: u8 = 21;

/// `linux/openat2.h`.
pub(crate) const RESOLVE_NO_MAGICLINKS: u64 = 0x02;
/// `linux/openat2.h`.
pub(crate) const RESOLVE_IN_ROOT: u64 = 0x10;

/// An errno of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) i32);

type Result<T> = std::result::Result<T, Errno>;

/// What the helper needs of `struct stat`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stat {
    pub(crate) mode: u32,
    pub(crate) size: u64,
    pub(crate) user: u32,
    pub(crate) group: u32,
}

fn last() -> Errno {
    Errno(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}

fn done(result: libc::c_long) -> Result<libc::c_long> {
    if result < 0 { Err(last()) } else { Ok(result) }
}

fn owned(result: libc::c_long) -> Result<OwnedFd> {
    let fd = RawFd::try_from(done(result)?).map_err(|_| Errno(libc::EBADF))?;
    // SAFETY: the kernel has just given us this descriptor, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A path for the kernel; one with a NUL inside names nothing.
fn c_string(bytes: &[u8]) -> Result<CString> {
    CString::new(bytes).map_err(|_| Errno(libc::ENOENT))
}

/// The arguments after the program's name, as bytes.
pub(crate) fn arguments() -> Vec<Vec<u8>> {
    std::env::args_os().skip(1).map(OsStringExt::into_vec).collect()
}

/// Writes everything; false when nobody reads.
pub(crate) fn write_all(fd: RawFd, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        // SAFETY: the pointer and length are those of a live slice; a closed descriptor gives EBADF.
        let written = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
        match usize::try_from(written) {
            Ok(count) => bytes = bytes.get(count..).unwrap_or(&[]),
            Err(_) if last().0 == libc::EINTR => {}
            Err(_) => return false,
        }
    }
    true
}

// --- this process -------------------------------------------------------------------------------------------

fn prctl(option: i32, argument: libc::c_ulong) -> Result<libc::c_long> {
    // SAFETY: the options used here take integers only.
    done(unsafe { libc::prctl(option, argument, 0, 0, 0) }.into())
}

/// `PR_SET_DUMPABLE` 0. It cannot fail with a valid value; `is_not_dumpable` tells.
pub(crate) fn set_not_dumpable() {
    let _ = prctl(libc::PR_SET_DUMPABLE, 0);
}

pub(crate) fn is_not_dumpable() -> bool {
    prctl(libc::PR_GET_DUMPABLE, 0) == Ok(0)
}

/// `PR_SET_PDEATHSIG`: an agent that dies takes its helper along.
pub(crate) fn die_with_parent() {
    let _ = prctl(libc::PR_SET_PDEATHSIG, libc::c_ulong::from(libc::SIGKILL.unsigned_abs()));
}

/// `PR_SET_NAME`: what `ps` shows.
pub(crate) fn set_name(name: &CStr) {
    // SAFETY: a constant C string; the kernel copies at most 16 bytes of it.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

pub(crate) fn set_no_new_privileges() -> Result<()> {
    prctl(libc::PR_SET_NO_NEW_PRIVS, 1).map(drop)
}

/// SIGALRM, with its deadly default, a moment after the deadline: it ends a system call that hangs.
pub(crate) fn alarm(timeout: Duration) {
    let after = timeout.saturating_add(Duration::from_millis(250));
    let value = libc::timeval {
        tv_sec: libc::time_t::try_from(after.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_usec: libc::suseconds_t::from(after.subsec_micros()),
    };
    let timer = libc::itimerval { it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 }, it_value: value };
    // SAFETY: sets the default action, no handler of ours.
    unsafe { libc::signal(libc::SIGALRM, libc::SIG_DFL) };
    // SAFETY: a signal set of zeroes is valid, and the call below initialises it.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` lives through the call.
    unsafe { libc::sigemptyset(&raw mut set) };
    // SAFETY: as above; the old mask is not asked for.
    unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const set, std::ptr::null_mut()) };
    // SAFETY: `timer` lives through the call; the old timer is not asked for.
    unsafe { libc::setitimer(libc::ITIMER_REAL, &raw const timer, std::ptr::null_mut()) };
}

/// Closes the descriptors from `from` up to, but not including, `to`.
pub(crate) fn close_range(from: RawFd, to: Option<RawFd>) {
    let last = to.map_or(u32::MAX, |to| to.saturating_sub(1).unsigned_abs());
    let first = from.unsigned_abs();
    if first <= last {
        // SAFETY: called before any descriptor was opened here, and never with one of the request's in range.
        unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    }
}

/// Takes over an inherited descriptor, and keeps it from the next program.
pub(crate) fn adopt(fd: RawFd) -> Result<OwnedFd> {
    // SAFETY: an integer; fails with EBADF when it is not open.
    done(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) }.into())?;
    // SAFETY: it is open, the request gave it to us, and each is adopted once.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Lowers a resource limit, for good.
pub(crate) fn limit(resource: libc::__rlimit_resource_t, value: u64) {
    let limit = libc::rlimit { rlim_cur: value, rlim_max: value };
    // SAFETY: the structure lives through the call. A refusal leaves the limit as it was.
    unsafe { libc::setrlimit(resource, &raw const limit) };
}

pub(crate) fn standard_output_kind() -> FileKind {
    // SAFETY: descriptor 1 is not closed by this program; if it was not given, `fstat` says EBADF.
    let output = unsafe { BorrowedFd::borrow_raw(1) };
    fstat(output).map_or(FileKind::Unknown, |stat| FileKind::of_mode(stat.mode))
}

/// Landlock (`landlock(7)`, Linux 5.13): everything but reading files and directories is handled, and nothing of it
/// is allowed anywhere. Gives the ABI in use, 0 for none.
pub(crate) fn forbid_writing() -> u8 {
    #[repr(C)]
    #[derive(Default)]
    struct Ruleset {
        files: u64,
        network: u64,
        scoped: u64,
    }
    const VERSION: u32 = 1;
    const READ: u64 = (1 << 2) | (1 << 3);
    let null = std::ptr::null::<Ruleset>();
    // SAFETY: the kernel's way to ask for the version: no structure, size 0.
    let version = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, null, 0, VERSION) };
    let Some(abi) = u8::try_from(version).ok().filter(|abi| *abi > 0) else {
        return 0;
    };
    // What each ABI added: 13 rights, linking and renaming, truncating, (network), ioctl on devices.
    let rights = match abi {
        1 => 13_u32,
        2 => 14,
        3 | 4 => 15,
        _ => 16,
    };
    let all = 1_u64.checked_shl(rights).unwrap_or(0).saturating_sub(1);
    let mut rules = Ruleset { files: all & !READ, ..Ruleset::default() };
    // A structure as long as the kernel knows it: an older one refuses more.
    let mut size = size_of::<u64>();
    if abi >= 4 {
        (rules.network, size) = (0b11, size_of::<[u64; 2]>());
    }
    if abi >= 6 {
        (rules.scoped, size) = (0b11, size_of::<[u64; 3]>());
    }
    // SAFETY: the structure lives through the call and is at least as long as is said.
    let made = unsafe { libc::syscall(libc::SYS_landlock_create_ruleset, &raw const rules, size, 0) };
    let Ok(ruleset) = owned(made) else {
        return 0;
    };
    // SAFETY: a live descriptor and no flags.
    let done = unsafe { libc::syscall(libc::SYS_landlock_restrict_self, ruleset.as_raw_fd(), 0) };
    if done == 0 { abi } else { 0 }
}

/// `SECCOMP_SET_MODE_FILTER`; whether the kernel took it. There is no way back.
pub(crate) fn filter_calls(mut program: Vec<libc::sock_filter>) -> bool {
    let Some(header) = crate::filter::header(&mut program) else {
        return false;
    };
    let mode = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: header and program live through the call, and the length is the program's.
    unsafe { libc::syscall(libc::SYS_seccomp, mode, 0, &raw const header) == 0 }
}

// --- capabilities -------------------------------------------------------------------------------------------

#[repr(C)]
struct CapHeader {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

const CAP_VERSION_3: u32 = 0x2008_0522;

fn join(low: u32, high: u32) -> u64 {
    u64::from(high).wrapping_shl(32) | u64::from(low)
}

fn capget() -> [CapData; 2] {
    let mut header = CapHeader { version: CAP_VERSION_3, pid: 0 };
    let mut data = [CapData::default(); 2];
    // SAFETY: version 3 writes two elements, and both structures live through the call.
    unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) };
    data
}

/// The effective set.
pub(crate) fn capabilities() -> u64 {
    let [low, high] = capget();
    join(low.effective, high.effective)
}

/// Keeps one capability, if it is permitted, and gives up all others.
pub(crate) fn keep_only(capability: u8) -> Result<()> {
    let [low, _] = capget();
    let kept = low.permitted & 1_u32.checked_shl(capability.into()).unwrap_or(0);
    let data = [CapData { effective: kept, permitted: kept, inheritable: 0 }, CapData::default()];
    let mut header = CapHeader { version: CAP_VERSION_3, pid: 0 };
    // Ambient capabilities are gone with the permitted and inheritable ones (`capabilities(7)`).
    // SAFETY: version 3 reads two elements, and both structures live through the call.
    done(unsafe { libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr()) }).map(drop)
}

/// Empties the bounding set as far as it may; gives what is left.
pub(crate) fn drop_bounding_set() -> u64 {
    let mut left = 0_u64;
    for capability in 0_u32..64 {
        let number = libc::c_ulong::from(capability);
        match prctl(libc::PR_CAPBSET_DROP, number) {
            Ok(_) => {}
            Err(Errno(libc::EINVAL)) => break, // past the last capability of this kernel
            Err(_) if prctl(libc::PR_CAPBSET_READ, number) == Ok(1) => {
                left |= 1_u64.checked_shl(capability).unwrap_or(0);
            }
            Err(_) => {}
        }
    }
    left
}

// --- processes and namespaces -------------------------------------------------------------------------------

pub(crate) fn pidfd_open(pid: i32) -> Result<OwnedFd> {
    // SAFETY: integers only.
    owned(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) })
}

/// Whether the process is still there: ESRCH when not.
pub(crate) fn pidfd_probe(pidfd: BorrowedFd<'_>) -> Result<()> {
    let fd = pidfd.as_raw_fd();
    // SAFETY: a live descriptor, signal 0, and the null siginfo that the call allows.
    match done(unsafe { libc::syscall(libc::SYS_pidfd_send_signal, fd, 0, std::ptr::null::<u8>(), 0) }) {
        Err(Errno(libc::EPERM)) | Ok(_) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// `setns(2)` by a pidfd, Linux 5.8.
pub(crate) fn setns(pidfd: BorrowedFd<'_>, kinds: i32) -> Result<()> {
    // SAFETY: a live descriptor and flags.
    done(unsafe { libc::setns(pidfd.as_raw_fd(), kinds) }.into()).map(drop)
}

pub(crate) fn change_root(root: BorrowedFd<'_>) -> Result<()> {
    // SAFETY: a live descriptor.
    done(unsafe { libc::fchdir(root.as_raw_fd()) }.into())?;
    // SAFETY: a constant C string.
    done(unsafe { libc::chroot(c".".as_ptr()) }.into())?;
    // SAFETY: a constant C string.
    done(unsafe { libc::chdir(c"/".as_ptr()) }.into()).map(drop)
}

/// The child's number in the parent, `None` in the child.
pub(crate) fn fork() -> Result<Option<i32>> {
    // SAFETY: this program has one thread, so the child has a consistent copy of everything.
    match unsafe { libc::fork() } {
        0 => Ok(None),
        child if child > 0 => Ok(Some(child)),
        _ => Err(last()),
    }
}

/// Waits for the child and ends as it ended.
pub(crate) fn exit_as(child: i32) -> ! {
    let mut status = 0;
    // SAFETY: `status` lives through the call.
    while unsafe { libc::waitpid(child, &raw mut status, 0) } < 0 && last().0 == libc::EINTR {}
    let code = if libc::WIFEXITED(status) {
        libc::WEXITSTATUS(status)
    } else {
        libc::WTERMSIG(status).saturating_add(128)
    };
    // SAFETY: ends this process without running anything more.
    unsafe { libc::_exit(code) }
}

// --- files --------------------------------------------------------------------------------------------------

fn open_at(directory: RawFd, path: &[u8], flags: i32) -> Result<OwnedFd> {
    let path = c_string(path)?;
    // SAFETY: the path is a C string that lives through the call; nothing is created, so no mode is read.
    owned(unsafe { libc::openat(directory, path.as_ptr(), flags | libc::O_CLOEXEC) }.into())
}

pub(crate) fn openat(directory: BorrowedFd<'_>, path: &[u8], flags: i32) -> Result<OwnedFd> {
    open_at(directory.as_raw_fd(), path, flags)
}

/// Only before `setns`: an absolute path of the host.
pub(crate) fn openat_root(path: &[u8], flags: i32) -> Result<OwnedFd> {
    open_at(libc::AT_FDCWD, path, flags)
}

/// Only before `setns`: a directory of the host, as `O_PATH`.
pub(crate) fn open_path(path: &[u8]) -> Result<OwnedFd> {
    openat_root(path, libc::O_PATH | libc::O_DIRECTORY)
}

#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

/// `openat2(2)`, Linux 5.6.
pub(crate) fn openat2(root: BorrowedFd<'_>, path: &[u8], flags: i32, resolve: u64) -> Result<OwnedFd> {
    let path = c_string(path)?;
    let flags = u64::from((flags | libc::O_CLOEXEC).unsigned_abs());
    let how = OpenHow { flags, mode: 0, resolve };
    let (fd, size) = (root.as_raw_fd(), size_of::<OpenHow>());
    // SAFETY: path and structure live through the call, and the size is the structure's.
    owned(unsafe { libc::syscall(libc::SYS_openat2, fd, path.as_ptr(), &raw const how, size) })
}

/// Opens the very file behind a descriptor again, through a procfs of ours.
pub(crate) fn reopen(procfs: BorrowedFd<'_>, file: BorrowedFd<'_>, flags: i32) -> Result<OwnedFd> {
    openat(procfs, format!("self/fd/{}", file.as_raw_fd()).as_bytes(), flags)
}

pub(crate) fn fstat(file: BorrowedFd<'_>) -> Result<Stat> {
    // SAFETY: all zeroes is a valid `struct stat`.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: a live descriptor, and a structure that lives through the call.
    done(unsafe { libc::fstat(file.as_raw_fd(), &raw mut stat) }.into())?;
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    Ok(Stat { mode: stat.st_mode, size, user: stat.st_uid, group: stat.st_gid })
}

/// What a name in a directory is; a link is not followed.
pub(crate) fn kind_at(directory: BorrowedFd<'_>, name: &[u8]) -> Result<FileKind> {
    let name = c_string(name)?;
    // SAFETY: all zeroes is a valid `struct stat`.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    let (fd, flags) = (directory.as_raw_fd(), libc::AT_SYMLINK_NOFOLLOW);
    // SAFETY: a live descriptor, a C string and a structure that live through the call.
    done(unsafe { libc::fstatat(fd, name.as_ptr(), &raw mut stat, flags) }.into())?;
    Ok(FileKind::of_mode(stat.st_mode))
}

/// Whether a file lies on a procfs.
pub(crate) fn is_procfs(file: BorrowedFd<'_>) -> bool {
    // SAFETY: all zeroes is a valid `struct statfs`.
    let mut stat: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: a live descriptor, and a structure that lives through the call.
    let result = unsafe { libc::fstatfs(file.as_raw_fd(), &raw mut stat) };
    result == 0 && stat.f_type == libc::PROC_SUPER_MAGIC
}

pub(crate) fn seek(file: BorrowedFd<'_>, offset: u64) -> Result<()> {
    let offset = libc::off_t::try_from(offset).map_err(|_| Errno(libc::EINVAL))?;
    // SAFETY: a live descriptor and integers.
    done(unsafe { libc::lseek(file.as_raw_fd(), offset, libc::SEEK_SET) }).map(drop)
}

pub(crate) fn read(file: BorrowedFd<'_>, into: &mut [u8]) -> Result<usize> {
    loop {
        // SAFETY: a live descriptor; pointer and length are those of a live slice.
        let got = unsafe { libc::read(file.as_raw_fd(), into.as_mut_ptr().cast(), into.len()) };
        match usize::try_from(got) {
            Ok(count) => return Ok(count),
            Err(_) if last().0 == libc::EINTR => {}
            Err(_) => return Err(last()),
        }
    }
}

/// A small file of `/proc/PID`, at most 32 KiB of it (a `uid_map` can have 340 lines).
pub(crate) fn read_small(directory: BorrowedFd<'_>, name: &[u8]) -> Result<Vec<u8>> {
    use std::os::fd::AsFd as _;
    let file = openat(directory, name, libc::O_RDONLY)?;
    let mut text = vec![0; 32 * 1024];
    let mut filled = 0_usize;
    loop {
        let got = read(file.as_fd(), text.get_mut(filled..).unwrap_or(&mut []))?;
        if got == 0 {
            text.truncate(filled);
            return Ok(text);
        }
        filled = filled.saturating_add(got);
    }
}

pub(crate) fn readlinkat(directory: BorrowedFd<'_>, name: &[u8]) -> Result<Vec<u8>> {
    let name = c_string(name)?;
    let mut text = vec![0_u8; 4096];
    let (fd, room) = (directory.as_raw_fd(), text.len());
    // SAFETY: a live descriptor, a C string, and a buffer of the length given.
    let length = unsafe { libc::readlinkat(fd, name.as_ptr(), text.as_mut_ptr().cast(), room) };
    text.truncate(usize::try_from(length).map_err(|_| last())?);
    Ok(text)
}

/// The entries of a directory, straight from `getdents64(2)`: nothing is held but one buffer.
pub(crate) struct Entries<'a> {
    directory: BorrowedFd<'a>,
    buffer: Vec<u8>,
    at: usize,
    filled: usize,
}

impl<'a> Entries<'a> {
    pub(crate) fn new(directory: BorrowedFd<'a>) -> Self {
        Self { directory, buffer: vec![0; 32 * 1024], at: 0, filled: 0 }
    }

    /// The next name and what the directory says of its kind.
    pub(crate) fn next(&mut self) -> Result<Option<(&[u8], FileKind)>> {
        if self.at >= self.filled {
            let (fd, room) = (self.directory.as_raw_fd(), self.buffer.len());
            // SAFETY: a live descriptor, and a buffer of the length given.
            let got =
                done(unsafe { libc::syscall(libc::SYS_getdents64, fd, self.buffer.as_mut_ptr(), room) })?;
            (self.at, self.filled) = (0, usize::try_from(got).unwrap_or(0));
            if self.filled == 0 {
                return Ok(None);
            }
        }
        // struct linux_dirent64: inode 8, offset 8, record length 2, type 1, name with its NUL.
        let bad = Errno(libc::EBADMSG);
        let record = self.buffer.get(self.at..self.filled).ok_or(bad)?;
        let (fixed, _) = record.split_first_chunk::<19>().ok_or(bad)?;
        let [.., length_low, length_high, kind] = *fixed;
        let length = usize::from(u16::from_ne_bytes([length_low, length_high]));
        let name = record.get(19..length).ok_or(bad)?;
        let name = name.split(|b| *b == 0).next().unwrap_or(&[]);
        self.at = self.at.saturating_add(length);
        // DT_* are the file type bits of st_mode, shifted.
        Ok(Some((name, FileKind::of_mode(u32::from(kind).wrapping_shl(12)))))
    }
}

// --- procfs of our own --------------------------------------------------------------------------------------

/// A procfs that is mounted nowhere, with processes only (`subset=pid`, Linux 5.8) and only our own among them.
pub(crate) fn private_procfs() -> Result<OwnedFd> {
    const FSCONFIG_SET_STRING: libc::c_uint = 1;
    const FSCONFIG_CMD_CREATE: libc::c_uint = 6;
    // SAFETY: a constant C string and flags.
    let context = owned(unsafe { libc::syscall(libc::SYS_fsopen, c"proc".as_ptr(), libc::FSOPEN_CLOEXEC) })?;
    let fd = context.as_raw_fd();
    for (key, value) in [(c"subset", c"pid"), (c"hidepid", c"ptraceable")] {
        let (key, value) = (key.as_ptr(), value.as_ptr());
        // SAFETY: a live descriptor and constant C strings.
        done(unsafe { libc::syscall(libc::SYS_fsconfig, fd, FSCONFIG_SET_STRING, key, value, 0) })?;
    }
    let null = std::ptr::null::<libc::c_char>();
    // SAFETY: a live descriptor; this command takes null pointers.
    done(unsafe { libc::syscall(libc::SYS_fsconfig, fd, FSCONFIG_CMD_CREATE, null, null, 0) })?;
    let attributes = libc::MOUNT_ATTR_NOSUID | libc::MOUNT_ATTR_NODEV | libc::MOUNT_ATTR_NOEXEC;
    // SAFETY: a live descriptor and flags.
    owned(unsafe { libc::syscall(libc::SYS_fsmount, fd, libc::FSMOUNT_CLOEXEC, attributes) })
}

// --- sealed memory ------------------------------------------------------------------------------------------

/// Whether a file can no longer be written: only a memfd has seals at all.
pub(crate) fn is_sealed(file: BorrowedFd<'_>) -> bool {
    // SAFETY: a live descriptor; the command takes no argument.
    let seals = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GET_SEALS) };
    seals > 0 && seals & libc::F_SEAL_WRITE != 0
}

/// Copies a program to sealed memory and executes it with these arguments and an empty environment. Comes back
/// only when that failed.
pub(crate) fn exec_sealed_copy(
    program: BorrowedFd<'_>,
    arguments: &[Vec<u8>],
    keep: &[BorrowedFd<'_>],
) -> Errno {
    match sealed_copy(program) {
        Ok(copy) => exec(&copy, arguments, keep),
        Err(errno) => errno,
    }
}

fn memfd(flags: libc::c_uint) -> Result<OwnedFd> {
    // SAFETY: a constant C string and flags.
    owned(unsafe { libc::memfd_create(c"portolan-helper".as_ptr(), flags) }.into())
}

fn sealed_copy(program: BorrowedFd<'_>) -> Result<OwnedFd> {
    let flags = libc::MFD_CLOEXEC | libc::MFD_ALLOW_SEALING;
    // MFD_EXEC is Linux 6.3; before, every memfd is executable.
    let copy = memfd(flags | libc::MFD_EXEC).or_else(|errno| match errno {
        Errno(libc::EINVAL) => memfd(flags),
        other => Err(other),
    })?;
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let got = read(program, &mut buffer)?;
        if got == 0 {
            break;
        }
        if !write_all(copy.as_raw_fd(), buffer.get(..got).unwrap_or(&[])) {
            return Err(Errno(libc::EIO));
        }
    }
    let seals = libc::F_SEAL_WRITE | libc::F_SEAL_GROW | libc::F_SEAL_SHRINK | libc::F_SEAL_SEAL;
    let path = format!("/proc/self/fd/{}", copy.as_raw_fd());
    // One that can write would make exec fail with ETXTBSY.
    let read_only = openat_root(path.as_bytes(), libc::O_RDONLY)?;
    // SAFETY: a live descriptor and flags.
    done(unsafe { libc::fcntl(copy.as_raw_fd(), libc::F_ADD_SEALS, seals) }.into())?;
    Ok(read_only)
}

fn exec(program: &OwnedFd, arguments: &[Vec<u8>], keep: &[BorrowedFd<'_>]) -> Errno {
    let words: Result<Vec<CString>> = std::iter::once(&b"portolan-helper"[..])
        .chain(arguments.iter().map(Vec::as_slice))
        .map(c_string)
        .collect();
    let words = match words {
        Ok(words) => words,
        Err(errno) => return errno,
    };
    let mut pointers: Vec<*const libc::c_char> = words.iter().map(|word| word.as_ptr()).collect();
    pointers.push(std::ptr::null());
    let environment = [std::ptr::null::<libc::c_char>()];
    for fd in keep {
        // SAFETY: a live descriptor and a flag.
        unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFD, 0) };
    }
    let fd = program.as_raw_fd();
    let (argv, envp) = (pointers.as_ptr(), environment.as_ptr());
    // SAFETY: both arrays end with a null pointer; they and their strings live through the call.
    unsafe { libc::syscall(libc::SYS_execveat, fd, c"".as_ptr(), argv, envp, libc::AT_EMPTY_PATH) };
    last()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The signal that ends a child which makes this system call, with zeroes for arguments, behind the filter.
    fn signal_after(number: libc::c_long) -> i32 {
        // SAFETY: the child makes system calls and ends; it takes no lock that another thread may hold.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let filtered =
                set_no_new_privileges().is_ok() && filter_calls(crate::filter::program().unwrap_or_default());
            // SAFETY: zeroes name nothing: no descriptor but 0, no memory, no process but this one.
            unsafe { libc::syscall(number, 0, 0, 0, 0, 0, 0) };
            // SAFETY: ends the child at once.
            unsafe { libc::_exit(i32::from(!filtered)) };
        }
        let mut status = 0;
        // SAFETY: `status` lives through the call.
        unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert!(libc::WIFSIGNALED(status) || libc::WEXITSTATUS(status) == 0, "the filter was not taken");
        if libc::WIFSIGNALED(status) { libc::WTERMSIG(status) } else { 0 }
    }

    #[test]
    fn the_filter_ends_what_does_more_than_read() {
        for number in [
            libc::SYS_socket,
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_setns,
            libc::SYS_unlinkat,
            libc::SYS_ptrace,
            libc::SYS_clone,
            libc::SYS_mount,
            libc::SYS_tgkill,
            libc::SYS_mprotect,
            libc::SYS_bpf,
        ] {
            assert_eq!(signal_after(number), libc::SIGSYS, "system call {number}");
        }
        for number in [libc::SYS_lseek, libc::SYS_close, libc::SYS_openat2, libc::SYS_getdents64] {
            assert_eq!(signal_after(number), 0, "system call {number}");
        }
    }
}
