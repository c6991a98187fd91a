//! A process that cannot be taken for another, and what `/proc` says of it.
//!
//! A pid is only a number: when its process ends, the kernel gives it to the next. [`Process`] holds the
//! directory `/proc/PID` instead: as long as it is open, every look-up through it either speaks of the same
//! process or fails with `ESRCH` (`proc(5)`). The start time, which no two processes with one number share,
//! carries the identity across programs and scans.

mod descriptors;
mod files;
mod network;
mod own;
mod stat;
mod trace;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::OnceLock;

use nix::fcntl::{OFlag, openat, readlinkat};
use nix::sys::stat::Mode;

use crate::error::{ErrorKind, Feature, Subject, os};
use crate::namespace::{NamespaceId, NamespaceKind};
use crate::privilege::Capability;
use crate::{Error, Result, sys};

pub use descriptors::socket_inode;
pub use files::{Access, OpenFile};
pub use network::SocketCounts;
pub use stat::Stat;
pub use trace::Trace;

/// A process's number and start time: its identity between two looks, and between two programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessId {
    /// The number, in the pid namespace of the reader.
    pub pid: i32,
    /// Field 22 of `/proc/PID/stat`: clock ticks after boot.
    pub start_time: u64,
}

/// A process, held so that its number cannot be taken for another's.
///
/// It costs one file descriptor, two once [`pidfd`](Self::pidfd) was asked for. Neither keeps the process, its
/// namespaces or its mounts alive.
#[derive(Debug)]
pub struct Process {
    id: ProcessId,
    directory: OwnedFd,
    stat: Stat,
    pidfd: OnceLock<OwnedFd>,
}

/// No file of `/proc` that we read is longer than this, except by malice.
const CAP: u64 = 128 * 1024;
/// Fifty-two numbers and a name.
const STAT: usize = 2048;

impl Process {
    /// Takes hold of the process that has this number now.
    ///
    /// # Errors
    /// [`ErrorKind::TargetGone`] when there is none, [`ErrorKind::InvalidInput`] when the number is not positive.
    pub fn open(pid: i32) -> Result<Self> {
        if pid <= 0 {
            return Err(Error::new(ErrorKind::InvalidInput, "open", Subject::Pid(pid)));
        }
        let directory = directory_of(pid)?;
        let mut text = [0_u8; STAT];
        let length = read_short(directory.as_fd(), "stat", &mut text)
            .map_err(|e| Error::of_process("read stat", pid, e))?;
        let stat = Stat::parse(text.get(..length).unwrap_or(&[]))
            .ok_or_else(|| Error::new(ErrorKind::Io, "read stat", Subject::Pid(pid)))?;
        Ok(Self {
            id: ProcessId { pid, start_time: stat.start_time },
            directory,
            stat,
            pidfd: OnceLock::new(),
        })
    }

    /// Whether `/proc` has a process of this number now, whichever it is.
    #[must_use]
    pub fn exists(pid: i32) -> bool {
        directory_of(pid).is_ok()
    }

    /// Takes hold of whatever process has this number now, in the belief that it is the one that is known otherwise, as
    /// from a [`bpf`](crate::bpf) row.
    ///
    /// It spares the reading of `stat`. The belief holds if the same process is seen to have the number afterwards as
    /// well: a number is given to another only when its process is gone. Until that is seen, nothing that was learnt
    /// is to be used.
    ///
    /// # Errors
    /// [`ErrorKind::TargetGone`], [`ErrorKind::InvalidInput`].
    pub fn presumed(pid: i32, stat: Stat) -> Result<Self> {
        if pid <= 0 {
            return Err(Error::new(ErrorKind::InvalidInput, "open", Subject::Pid(pid)));
        }
        let id = ProcessId { pid, start_time: stat.start_time };
        Ok(Self { id, directory: directory_of(pid)?, stat, pidfd: OnceLock::new() })
    }

    /// Takes hold of the process that was seen before.
    ///
    /// # Errors
    /// [`ErrorKind::TargetGone`] when it has ended, also when its number belongs to another process now.
    pub fn reopen(id: ProcessId) -> Result<Self> {
        let process = Self::open(id.pid)?;
        if process.id == id {
            Ok(process)
        } else {
            Err(Error::new(ErrorKind::TargetGone, "reopen", Subject::Pid(id.pid)))
        }
    }

    /// Number and start time.
    #[must_use]
    pub fn id(&self) -> ProcessId {
        self.id
    }

    /// The number, in our pid namespace.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.id.pid
    }

    /// What `/proc/PID/stat` said when the process was opened.
    #[must_use]
    pub fn stat(&self) -> &Stat {
        &self.stat
    }

    /// The directory `/proc/PID` as an `O_PATH` descriptor.
    #[must_use]
    pub fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// The process's effective user, as a number of ours: the owner of `/proc/PID` (root for one that is not
    /// dumpable).
    ///
    /// # Errors
    /// [`ErrorKind::TargetGone`].
    pub fn owner(&self) -> Result<u32> {
        let stat = nix::sys::stat::fstat(&self.directory)
            .map_err(|e| Error::of_process("fstat", self.pid(), os(e)))?;
        Ok(stat.st_uid)
    }

    /// Whether the process still runs; a zombie does not.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.require_alive("look at").is_ok()
    }

    /// Fails for a kernel thread, which has no files or network of its own.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`].
    pub fn refuse_kernel_thread(&self) -> Result<()> {
        if self.stat.is_kernel_thread() {
            let kind = ErrorKind::Unsupported(Feature::KernelThread);
            return Err(Error::new(kind, "enter", Subject::Pid(self.pid())));
        }
        Ok(())
    }

    /// Fails unless the process runs and has files and a network of its own.
    ///
    /// # Errors
    /// [`ErrorKind::TargetGone`] when it has ended or is a zombie, [`ErrorKind::Unsupported`] for a kernel thread.
    pub fn require_userland(&self) -> Result<()> {
        self.refuse_kernel_thread()?;
        self.require_alive("enter")
    }

    fn require_alive(&self, call: &'static str) -> Result<()> {
        let text = self.read("stat", CAP)?;
        match Stat::parse(&text) {
            Some(now) if now.start_time == self.id.start_time && !now.is_zombie() => Ok(()),
            _ => Err(Error::new(ErrorKind::TargetGone, call, Subject::Pid(self.pid()))),
        }
    }

    /// A pidfd of this very process (`pidfd_open(2)`).
    ///
    /// # Errors
    /// [`ErrorKind::TargetGone`] when the process has ended; [`ErrorKind::Unsupported`] with
    /// [`Feature::ForeignProc`] where its number is another process's for system calls.
    #[doc(alias = "pidfd_open")]
    pub fn pidfd(&self) -> Result<BorrowedFd<'_>> {
        if let Some(fd) = self.pidfd.get() {
            return Ok(fd.as_fd());
        }
        if !Self::numbers_are_ours() {
            let kind = ErrorKind::Unsupported(Feature::ForeignProc);
            return Err(Error::new(kind, "pidfd_open", Subject::Pid(self.pid())));
        }
        let fd = sys::pidfd_open(self.pid()).map_err(|e| match e.raw_os_error() {
            // The number was given to a thread that leads no group: our process is gone.
            Some(libc::EINVAL | libc::ENOENT) => {
                Error::new(ErrorKind::TargetGone, "pidfd_open", Subject::Pid(self.pid()))
            }
            _ => Error::of_process("pidfd_open", self.pid(), e),
        })?;
        // The number was still ours after the pidfd was made, so the pidfd is ours as well.
        self.read("stat", 64)?;
        Ok(self.pidfd.get_or_init(|| fd).as_fd())
    }

    /// Asks the kernel through the pidfd whether the process is there (a zombie is).
    ///
    /// # Errors
    /// [`ErrorKind::TargetGone`] when it is not.
    pub fn probe(&self) -> Result<()> {
        let pid = self.pid();
        match sys::pidfd_probe(self.pidfd()?) {
            // Not permitted to signal it: then it is there.
            Err(e) if e.raw_os_error() != Some(libc::EPERM) => {
                Err(Error::of_process("pidfd_send_signal", pid, e))
            }
            _ => Ok(()),
        }
    }

    /// The process's own root directory, as an `O_PATH` descriptor: after a chroot it is not its namespace's.
    ///
    /// # Errors
    /// [`ErrorKind::TargetGone`], or [`ErrorKind::MissingPrivilege`] without `CAP_SYS_PTRACE` over the process.
    pub fn root(&self) -> Result<OwnedFd> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        openat(&self.directory, "root", flags, Mode::empty()).map_err(|e| self.denied("open root", os(e)))
    }

    /// Which namespace of a kind the process is in.
    ///
    /// # Errors
    /// [`ErrorKind::TargetGone`] (a zombie has no mount or network namespace), or
    /// [`ErrorKind::MissingPrivilege`] without `CAP_SYS_PTRACE` over the process.
    pub fn namespace(&self, kind: NamespaceKind) -> Result<NamespaceId> {
        let link =
            readlinkat(&self.directory, kind.link()).map_err(|e| self.denied("read the namespace", os(e)))?;
        NamespaceId::of_link(link.as_bytes())
            .ok_or_else(|| Error::new(ErrorKind::Io, "read the namespace", Subject::Pid(self.pid())))
    }

    /// Opens a namespace of the process. It lives as long as the descriptor: close it soon.
    ///
    /// # Errors
    /// As [`namespace`](Self::namespace).
    pub fn open_namespace(&self, kind: NamespaceKind) -> Result<OwnedFd> {
        openat(&self.directory, kind.link(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
            .map_err(|e| self.denied("open the namespace", os(e)))
    }

    /// The text of `/proc/PID/cgroup` (`cgroups(7)`), at most 128 KiB.
    ///
    /// # Errors
    /// [`ErrorKind::TargetGone`].
    pub fn cgroup(&self) -> Result<Vec<u8>> {
        self.read("cgroup", CAP)
    }

    /// The command line, its arguments ended by NUL; the process can have rewritten it. Empty for a zombie.
    ///
    /// # Errors
    /// [`ErrorKind::TargetGone`].
    pub fn command_line(&self) -> Result<Vec<u8>> {
        self.read("cmdline", 8192)
    }

    /// The same, at most 128 KiB of it: a class path alone can be longer than 8 KiB.
    ///
    /// # Errors
    /// As [`command_line`](Self::command_line).
    pub fn whole_command_line(&self) -> Result<Vec<u8>> {
        self.read("cmdline", CAP)
    }

    /// The variables that the program was started with, ended by NUL, at most 128 KiB of them. They hold secrets: look
    /// for what is wanted, and keep nothing else. The process can have rewritten them.
    ///
    /// # Errors
    /// [`ErrorKind::TargetGone`], or [`ErrorKind::MissingPrivilege`] without `CAP_SYS_PTRACE` over the process.
    pub fn environment(&self) -> Result<Vec<u8>> {
        self.read("environ", CAP)
    }

    /// The path of the program that the process executes, as its own mount namespace names it, and ` (deleted)` after
    /// it when that file was replaced.
    ///
    /// # Errors
    /// As [`environment`](Self::environment).
    pub fn program(&self) -> Result<Vec<u8>> {
        let link = readlinkat(&self.directory, "exe").map_err(|e| self.denied("read the program", os(e)))?;
        Ok(std::os::unix::ffi::OsStringExt::into_vec(link))
    }

    /// The process's working directory, as its own mount namespace names it; ` (deleted)` after it when it was removed,
    /// and `(unreachable)` before it when it lies outside of the process's root (`getcwd(2)`).
    ///
    /// # Errors
    /// As [`environment`](Self::environment).
    pub fn working_directory(&self) -> Result<Vec<u8>> {
        let link = readlinkat(&self.directory, "cwd")
            .map_err(|e| self.denied("read the working directory", os(e)))?;
        Ok(std::os::unix::ffi::OsStringExt::into_vec(link))
    }

    /// The path of the process's root directory in its mount namespace: `/`, unless it was changed (`chroot(2)`).
    ///
    /// # Errors
    /// As [`environment`](Self::environment).
    pub fn root_path(&self) -> Result<Vec<u8>> {
        let link = readlinkat(&self.directory, "root").map_err(|e| self.denied("read the root", os(e)))?;
        Ok(std::os::unix::ffi::OsStringExt::into_vec(link))
    }

    /// The texts of `/proc/PID/uid_map` and `gid_map` (`user_namespaces(7)`), at most 128 KiB each.
    ///
    /// # Errors
    /// [`ErrorKind::TargetGone`].
    pub fn id_maps(&self) -> Result<(Vec<u8>, Vec<u8>)> {
        Ok((self.read("uid_map", CAP)?, self.read("gid_map", CAP)?))
    }

    /// The text of `/proc/PID/mountinfo`, at most 1 MiB.
    ///
    /// # Errors
    /// [`ErrorKind::TargetGone`]; [`ErrorKind::Io`] for a zombie.
    pub fn mount_info(&self) -> Result<Vec<u8>> {
        self.read("mountinfo", 1024 * 1024)
    }

    /// Reads a file of `/proc/PID`, at most `cap` bytes of it.
    fn read(&self, name: &'static str, cap: u64) -> Result<Vec<u8>> {
        read_at(self.directory.as_fd(), name, cap).map_err(|e| self.denied("read", e))
    }

    /// An error of `/proc/PID`, where EACCES and EPERM mean that ptrace access is missing (`ptrace(2)`).
    fn denied(&self, call: &'static str, source: io::Error) -> Error {
        let error = Error::of_process(call, self.pid(), source);
        if error.kind() == ErrorKind::PermissionDenied && !Capability::SysPtrace.is_effective() {
            return error.with_kind(ErrorKind::MissingPrivilege(Capability::SysPtrace));
        }
        error
    }
}

/// All process numbers that `/proc` shows, in no order.
///
/// # Errors
/// [`ErrorKind::NotFound`] or [`ErrorKind::PermissionDenied`] when `/proc` cannot be read.
pub fn all() -> Result<Vec<i32>> {
    let failed = |e| Error::of_call("read", Subject::Path(b"/proc".to_vec()), e);
    let mut pids = Vec::new();
    for entry in std::fs::read_dir("/proc").map_err(failed)? {
        if let Some(pid) = entry.map_err(failed)?.file_name().to_str().and_then(|name| name.parse().ok()) {
            pids.push(pid);
        }
    }
    Ok(pids)
}

/// How many processes there are on the host, in whatever pid namespace, kernel threads and zombies among them: the number
/// of links of `/proc`, to which the kernel adds them (`proc_root_getattr` in `fs/proc/root.c`).
///
/// # Errors
/// As [`all`].
pub fn count() -> Result<u64> {
    let failed = |e| Error::of_call("look at", Subject::Path(b"/proc".to_vec()), os(e));
    let links = nix::sys::stat::stat("/proc").map_err(failed)?.st_nlink;
    #[allow(clippy::useless_conversion, reason = "it is 32 bits wide on some architectures")]
    Ok(u64::from(links))
}

/// The time since boot in the unit of [`ProcessId::start_time`], and how many of those are a second: what says how old
/// a process is. `None` when the kernel does not tell.
///
/// ```
/// use portolan_linux::{Process, process};
///
/// let (now, second) = process::uptime().expect("the kernel tells");
/// let me = Process::open(std::process::id().cast_signed())?;
/// println!("I am {} s old", now.saturating_sub(me.id().start_time) / second);
/// # Ok::<(), portolan_linux::Error>(())
/// ```
#[must_use]
pub fn uptime() -> Option<(u64, u64)> {
    let second = u64::try_from(nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok()??).ok()?;
    let up = nix::time::clock_gettime(nix::time::ClockId::CLOCK_BOOTTIME).ok()?;
    let whole = u64::try_from(up.tv_sec()).ok()?.checked_mul(second)?;
    let part = u64::try_from(up.tv_nsec()).ok()?.checked_mul(second)? / 1_000_000_000;
    Some((whole.checked_add(part)?, second))
}

/// `/proc/PID`, as it is now.
fn directory_of(pid: i32) -> Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    nix::fcntl::open(format!("/proc/{pid}").as_str(), flags, Mode::empty())
        .map_err(|e| Error::of_process("open", pid, os(e)))
}

/// Reads a file that the kernel gives in one piece.
fn read_short(directory: BorrowedFd<'_>, name: &str, into: &mut [u8]) -> io::Result<usize> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let file = openat(directory, name, flags, Mode::empty()).map_err(os)?;
    loop {
        match nix::unistd::read(&file, into) {
            Err(nix::Error::EINTR) => {}
            other => return other.map_err(os),
        }
    }
}

fn read_at(directory: BorrowedFd<'_>, name: &str, cap: u64) -> io::Result<Vec<u8>> {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let file = openat(directory, name, flags, Mode::empty()).map_err(os)?;
    let cap = usize::try_from(cap).unwrap_or(usize::MAX);
    // The kernel makes these texts a page at a time; most are shorter than one.
    let mut page = [0_u8; 4096];
    let mut text = Vec::new();
    while text.len() < cap {
        match nix::unistd::read(&file, &mut page) {
            Ok(0) => break,
            Ok(length) => text.extend_from_slice(page.get(..length).unwrap_or(&[])),
            Err(nix::Error::EINTR) => {}
            Err(errno) => return Err(os(errno)),
        }
    }
    text.truncate(cap);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> Process {
        Process::open(std::process::id().cast_signed()).unwrap()
    }

    #[test]
    fn own_process() {
        let me = me();
        assert!(me.is_alive());
        assert_eq!(me.owner().unwrap(), nix::unistd::geteuid().as_raw());
        me.require_userland().unwrap();
        me.probe().unwrap();
        assert_eq!(Process::reopen(me.id()).unwrap().id(), me.id());
        assert!(!me.command_line().unwrap().is_empty());
        assert!(me.cgroup().unwrap().contains(&b':'));
        assert!(all().unwrap().contains(&me.pid()));
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let inode = u32::try_from(sys::inode(&socket).unwrap()).unwrap();
        let mut seen = Vec::new();
        me.sockets(|inode, _| {
            seen.push(inode);
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
        assert!(seen.contains(&inode));
    }

    #[test]
    fn wrong_numbers() {
        assert_eq!(Process::open(0).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(Process::open(-4).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(Process::open(i32::MAX).unwrap_err().kind(), ErrorKind::TargetGone);
        let other = ProcessId { start_time: me().id().start_time + 1, ..me().id() };
        assert_eq!(Process::reopen(other).unwrap_err().kind(), ErrorKind::TargetGone);
    }

    #[test]
    fn the_dead_stay_dead() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::open(child.id().cast_signed()).unwrap();
        process.pidfd().unwrap();
        child.kill().unwrap();
        // Not yet reaped: a zombie, which has neither root nor namespaces.
        while Stat::parse(&process.read("stat", CAP).unwrap()).unwrap().state != b'Z' {
            std::thread::yield_now();
        }
        assert_eq!(process.require_userland().unwrap_err().kind(), ErrorKind::TargetGone);
        assert_eq!(process.root().unwrap_err().kind(), ErrorKind::TargetGone);
        assert_eq!(process.namespace(NamespaceKind::Mount).unwrap_err().kind(), ErrorKind::TargetGone);
        child.wait().unwrap();
        assert_eq!(process.cgroup().unwrap_err().kind(), ErrorKind::TargetGone);
        assert_eq!(process.probe().unwrap_err().kind(), ErrorKind::TargetGone);
        assert!(!process.is_alive());
    }

    #[test]
    fn kernel_threads_are_told_apart() {
        // pid 2 is kthreadd wherever the host's pid namespace is seen.
        if let Ok(kthreadd) = Process::open(2)
            && kthreadd.stat().command == b"kthreadd"
        {
            let kind = kthreadd.require_userland().unwrap_err().kind();
            assert_eq!(kind, ErrorKind::Unsupported(Feature::KernelThread));
        }
    }
}
