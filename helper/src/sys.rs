//! The system calls that every part of the helper needs. Its only other `unsafe` is in the `sys` of `confine`, `seal`
//! and `serve`, under the same rule.
//!
//! # Safety
//! Every function takes borrowed descriptors, slices and numbers, and gives owned descriptors or copies. Pointers
//! are made for one call and do not outlive it. None of these calls goes through a service of the C library that
//! opens files by itself.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;

use portolan_wire::code::FileKind;
use portolan_wire::frame::Stat;

// `linux/openat2.h`.
pub(crate) const RESOLVE_NO_XDEV: u64 = 0x01;
pub(crate) const RESOLVE_NO_MAGICLINKS: u64 = 0x02;
pub(crate) const RESOLVE_BENEATH: u64 = 0x08;
pub(crate) const RESOLVE_IN_ROOT: u64 = 0x10;

/// An errno of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Errno(pub(crate) i32);

pub(crate) type Result<T> = std::result::Result<T, Errno>;

/// What the helper needs of `struct statx`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    pub(crate) stat: Stat,
    /// The mount that it was reached by.
    pub(crate) mount: Mount,
}

/// A mount's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mount {
    pub(crate) id: u64,
    /// Never used twice (Linux 6.8); the old number, which mountinfo has, is given to the next mount.
    pub(crate) unique: bool,
}

pub(crate) fn last() -> Errno {
    Errno(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO))
}

pub(crate) fn done(result: libc::c_long) -> Result<libc::c_long> {
    if result < 0 { Err(last()) } else { Ok(result) }
}

pub(crate) fn owned(result: libc::c_long) -> Result<OwnedFd> {
    let fd = RawFd::try_from(done(result)?).map_err(|_| Errno(libc::EBADF))?;
    // SAFETY: the kernel has just given us this descriptor, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// A path for the kernel; one with a NUL inside names nothing.
pub(crate) fn c_string(bytes: &[u8]) -> Result<CString> {
    CString::new(bytes).map_err(|_| Errno(libc::ENOENT))
}

/// The arguments after the program's name, as bytes.
pub(crate) fn arguments() -> Vec<Vec<u8>> {
    std::env::args_os().skip(1).map(OsStringExt::into_vec).collect()
}

/// Writes everything; false when nobody reads.
pub(crate) fn write_to(fd: BorrowedFd<'_>, bytes: &[u8]) -> bool {
    write_all(fd.as_raw_fd(), bytes)
}

/// Reads until the end, but at most so many bytes: one more is an error.
pub(crate) fn read_all(fd: RawFd, cap: usize) -> Result<Vec<u8>> {
    // SAFETY: a descriptor that this program does not close; if it was not given, reading says EBADF.
    let from = unsafe { BorrowedFd::borrow_raw(fd) };
    let mut all = Vec::new();
    let mut piece = vec![0; 16 * 1024];
    loop {
        let got = read(from, &mut piece)?;
        if got == 0 {
            return Ok(all);
        }
        all.extend_from_slice(piece.get(..got).unwrap_or(&[]));
        if all.len() > cap {
            return Err(Errno(libc::EMSGSIZE));
        }
    }
}

/// The same to a descriptor that has a number by convention.
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

pub(crate) fn prctl(option: i32, argument: libc::c_ulong) -> Result<libc::c_long> {
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

/// Who started this process; 1 or another once they are gone.
pub(crate) fn parent() -> i32 {
    // SAFETY: takes nothing, and always succeeds.
    unsafe { libc::getppid() }
}

/// Ends this process, and runs nothing more.
pub(crate) fn exit(code: i32) -> ! {
    // SAFETY: it takes a number.
    unsafe { libc::_exit(code) }
}

/// `PR_SET_NAME`: what `ps` shows.
pub(crate) fn set_name(name: &CStr) {
    // SAFETY: a constant C string; the kernel copies at most 16 bytes of it.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// Closes the descriptors from `from` up to, but not including, `to` (`close_range(2)`, Linux 5.9).
///
/// Where the kernel or a filter refuses, the process ends: it would go on with descriptors that it must not have.
pub(crate) fn close_range(from: RawFd, to: Option<RawFd>) {
    let last = to.map_or(u32::MAX, |to| to.saturating_sub(1).unsigned_abs());
    let first = from.unsigned_abs();
    if first <= last {
        // SAFETY: called before any descriptor was opened here, and never with one of the request's in range.
        let closed = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        if closed != 0 {
            exit(1);
        }
    }
}

/// Takes over an inherited descriptor, and keeps it from the next program.
pub(crate) fn adopt(fd: RawFd) -> Result<OwnedFd> {
    // SAFETY: an integer; fails with EBADF when it is not open.
    done(unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) }.into())?;
    // SAFETY: it is open, the request gave it to us, and each is adopted once.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

pub(crate) fn standard_output_kind() -> FileKind {
    // SAFETY: descriptor 1 is not closed by this program; if it was not given, `fstat` says EBADF.
    let output = unsafe { BorrowedFd::borrow_raw(1) };
    look(output, false).map_or(FileKind::Unknown, |look| look.stat.kind)
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
    exit(code)
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

/// `statx(2)` of an open file. With `sync` a network file system asks its server; without, nobody is asked.
pub(crate) fn look(file: BorrowedFd<'_>, sync: bool) -> Result<Look> {
    const MOUNT: u32 = 0x1000;
    const UNIQUE_MOUNT: u32 = 0x4000;
    let wanted = libc::STATX_BASIC_STATS | libc::STATX_BTIME | MOUNT | UNIQUE_MOUNT;
    statx(file, if sync { 0 } else { libc::AT_STATX_DONT_SYNC }, wanted).map(|x| {
        let time = x.stx_btime;
        let created = u64::try_from(time.tv_sec).unwrap_or(0).saturating_mul(1_000_000_000);
        let stat = Stat {
            kind: FileKind::of_mode(x.stx_mode.into()),
            mode: x.stx_mode.into(),
            user: x.stx_uid,
            group: x.stx_gid,
            size: x.stx_size,
            device: u64::from(x.stx_dev_major).wrapping_shl(32) | u64::from(x.stx_dev_minor),
            inode: x.stx_ino,
            modified: x.stx_mtime.tv_sec,
            modified_nanos: x.stx_mtime.tv_nsec,
            links: x.stx_nlink,
            created: if x.stx_mask & libc::STATX_BTIME == 0 {
                0
            } else {
                created.saturating_add(time.tv_nsec.into())
            },
            offset: 0,
        };
        Look { stat, mount: Mount { id: x.stx_mnt_id, unique: x.stx_mask & UNIQUE_MOUNT != 0 } }
    })
}

/// The number of a mount as mountinfo has it.
pub(crate) fn old_mount(file: BorrowedFd<'_>) -> Result<Mount> {
    const MOUNT: u32 = 0x1000;
    let x = statx(file, libc::AT_STATX_DONT_SYNC, MOUNT)?;
    Ok(Mount { id: x.stx_mnt_id, unique: false })
}

fn statx(file: BorrowedFd<'_>, flags: i32, mask: u32) -> Result<libc::statx> {
    // SAFETY: all zeroes is a valid `struct statx`.
    let mut x: libc::statx = unsafe { std::mem::zeroed() };
    let (fd, flags) = (file.as_raw_fd(), flags | libc::AT_EMPTY_PATH | libc::AT_NO_AUTOMOUNT);
    // SAFETY: a live descriptor, a constant C string, and a structure that lives through the call.
    let result = unsafe { libc::syscall(libc::SYS_statx, fd, c"".as_ptr(), flags, mask, &raw mut x) };
    done(result).map(|_| x)
}

/// The type of a mount's file system (`statmount(2)`, Linux 6.8); the file system itself is not asked.
pub(crate) fn mount_type(mount: Mount) -> Result<Vec<u8>> {
    const SYS_STATMOUNT: libc::c_long = 457;
    const FS_TYPE: u64 = 0x20;
    /// `struct statmount` is 512 bytes, then come the texts; at 36 stands where the type's begins.
    const TEXTS: usize = 512;
    const TYPE_AT: usize = 36;
    // struct mnt_id_req: size and zero, the mount, what is asked.
    let request: [u64; 3] = [24_u32.into(), mount.id, FS_TYPE];
    #[cfg(target_endian = "big")]
    let request: [u64; 3] = [u64::from(24_u32).wrapping_shl(32), mount.id, FS_TYPE];
    let mut answer = [0_u8; 1024];
    let (from, to) = (request.as_ptr(), answer.as_mut_ptr());
    // SAFETY: the request is as long as it says, and the answer's room is given.
    done(unsafe { libc::syscall(SYS_STATMOUNT, from, to, answer.len(), 0) })?;
    let bad = Errno(libc::EBADMSG);
    let at = answer.get(TYPE_AT..).and_then(|bytes| bytes.first_chunk::<4>()).ok_or(bad)?;
    let at = usize::try_from(u32::from_ne_bytes(*at)).map_err(|_| bad)?;
    let name = answer.get(TEXTS.saturating_add(at)..).ok_or(bad)?;
    let name = name.split(|b| *b == 0).next().unwrap_or(&[]);
    if name.is_empty() { Err(bad) } else { Ok(name.to_vec()) }
}

/// What a name in a directory is; a link is not followed, and no server is asked.
pub(crate) fn kind_at(directory: BorrowedFd<'_>, name: &[u8]) -> Result<FileKind> {
    let name = c_string(name)?;
    // SAFETY: all zeroes is a valid `struct statx`.
    let mut x: libc::statx = unsafe { std::mem::zeroed() };
    let flags = libc::AT_SYMLINK_NOFOLLOW | libc::AT_NO_AUTOMOUNT | libc::AT_STATX_DONT_SYNC;
    let (fd, name, mask) = (directory.as_raw_fd(), name.as_ptr(), libc::STATX_TYPE);
    // SAFETY: a live descriptor, a C string and a structure that live through the call.
    done(unsafe { libc::syscall(libc::SYS_statx, fd, name, flags, mask, &raw mut x) })?;
    Ok(FileKind::of_mode(x.stx_mode.into()))
}

/// Where a byte is in these (`memchr(3)`): the C library's is many times quicker than what a build for size makes.
pub(crate) fn byte_in(bytes: &[u8], byte: u8) -> Option<usize> {
    // SAFETY: pointer and length are those of a live slice, and nothing is written.
    let found = unsafe { libc::memchr(bytes.as_ptr().cast(), byte.into(), bytes.len()) };
    (!found.is_null()).then(|| found.addr().saturating_sub(bytes.as_ptr().addr()))
}

/// From the file's own position.
pub(crate) fn read(file: BorrowedFd<'_>, into: &mut [u8]) -> Result<usize> {
    again(|| {
        // SAFETY: a live descriptor; pointer and length are those of a live slice.
        unsafe { libc::read(file.as_raw_fd(), into.as_mut_ptr().cast(), into.len()) }
    })
}

/// From a position.
pub(crate) fn read_at(file: BorrowedFd<'_>, into: &mut [u8], offset: u64) -> Result<usize> {
    let offset = libc::off_t::try_from(offset).map_err(|_| Errno(libc::EINVAL))?;
    again(|| {
        // SAFETY: a live descriptor; pointer and length are those of a live slice.
        unsafe { libc::pread(file.as_raw_fd(), into.as_mut_ptr().cast(), into.len(), offset) }
    })
}

/// Until it is not interrupted.
fn again(mut call: impl FnMut() -> isize) -> Result<usize> {
    loop {
        match usize::try_from(call()) {
            Ok(count) => return Ok(count),
            Err(_) if last().0 == libc::EINTR => {}
            Err(_) => return Err(last()),
        }
    }
}

/// A file of procfs, at most `cap` bytes of it.
pub(crate) fn read_whole(directory: BorrowedFd<'_>, name: &[u8], cap: usize) -> Result<Vec<u8>> {
    use std::os::fd::AsFd as _;
    let file = openat(directory, name, libc::O_RDONLY)?;
    let mut text = Vec::new();
    let mut piece = vec![0; 16 * 1024];
    while text.len() < cap {
        let got = read(file.as_fd(), &mut piece)?;
        if got == 0 {
            break;
        }
        text.extend_from_slice(piece.get(..got).unwrap_or(&[]));
    }
    text.truncate(cap);
    Ok(text)
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
