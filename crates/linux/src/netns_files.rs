//! Network namespaces that no process shows: those bound to a file, and those that a socket holds.
//!
//! A namespace lives as long as something refers to it (`namespaces(7)`): a process, a bind mount of its link (as
//! `ip netns add` and most runtimes make), or a socket that was made in it. The mounts are in `/proc/PID/mountinfo`
//! (`proc_pid_mountinfo(5)`); a socket tells its namespace itself, to whoever has it (`SIOCGSKNS`, `net/socket.c`).

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Instant;

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::socket::{getsockopt, sockopt};
use nix::sys::stat::Mode;
use nix::sys::statfs::{NSFS_MAGIC, fstatfs};

use crate::error::{ErrorKind, Limit, Subject, os};
use crate::namespace::NamespaceId;
use crate::privilege::Capability;
use crate::process::Process;
use crate::{Error, Result, lines, sys};

/// A file that a network namespace is bound to, as mountinfo told it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct NamespaceFile {
    /// The namespace.
    pub id: NamespaceId,
    /// The mount point, as seen from the root of the process whose mounts were read. Bytes that may have been chosen
    /// in a container, if the mounts are those of one.
    pub path: Vec<u8>,
}

/// A network namespace, held open: it lives until this is dropped. Do not keep it.
#[derive(Debug)]
pub struct OpenNetNs {
    fd: OwnedFd,
    id: NamespaceId,
}

/// A line of mountinfo has two paths, at most 4095 bytes each, of which every one may be written as four. What is
/// longer has options of an overlay, and is no namespace.
const LONGEST: usize = 36 * 1024;
/// More than the kernel's default for the mounts of a namespace (`fs.mount-max`).
const MOST: usize = 1 << 17;

/// The files of the process's mount namespace, below its root, that a network namespace is bound to.
///
/// A namespace can be bound to more than one. The text is read line by line: mounts of containers, which can have
/// kilobytes each, cost no memory.
///
/// # Errors
/// [`ErrorKind::TargetGone`]; [`ErrorKind::Io`] for a zombie; [`ErrorKind::MissingPrivilege`] where `/proc` hides other
/// users' processes; [`ErrorKind::Timeout`] after the deadline; [`ErrorKind::Limit`] for more than 131,072 files.
pub fn list(process: &Process, deadline: Instant) -> Result<Vec<NamespaceFile>> {
    let failed = |e| Error::of_traced("read mountinfo", process.pid(), e);
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let text = openat(process.directory(), "mountinfo", flags, Mode::empty()).map_err(|e| failed(os(e)))?;
    let mut files = Vec::new();
    let read = lines::each(File::from(text), LONGEST, deadline, |line| {
        files.extend(parse(line));
        if files.len() > MOST { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    match read {
        Err(e) if e.kind() == io::ErrorKind::TimedOut => Err(failed(e).with_kind(ErrorKind::Timeout)),
        Err(e) => Err(failed(e)),
        Ok(()) if files.len() > MOST => {
            let subject = Subject::Pid(process.pid());
            Err(Error::new(ErrorKind::Limit(Limit::Entries), "read mountinfo", subject))
        }
        Ok(()) => Ok(files),
    }
}

impl NamespaceFile {
    /// Opens the namespace, and proves that it is the one that was listed.
    ///
    /// `root` is the root of the process whose mounts were read ([`Process::root`]); no link leads out of it. Another
    /// file that lies there by now is looked at, but never opened: that could wait, or start something.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] when there is no such file any more; [`ErrorKind::NamespaceMismatch`] when it is not, or
    /// not any more, this network namespace.
    pub fn open(&self, root: impl AsFd) -> Result<OpenNetNs> {
        let subject = || Subject::Path(self.path.clone());
        let failed = |e| Error::of_call("open the network namespace", subject(), e);
        let mismatch = || Error::new(ErrorKind::NamespaceMismatch, "open the network namespace", subject());
        let how = OpenHow::new()
            .flags(OFlag::O_PATH | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW)
            .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let place = loop {
            match openat2(&root, self.path.as_slice(), how) {
                // The kernel's words for "something moved meanwhile; try again".
                Err(nix::Error::EAGAIN | nix::Error::EINTR) => {}
                // Links of a kind that mountinfo does not write.
                Err(nix::Error::ELOOP | nix::Error::EXDEV) => return Err(mismatch()),
                other => break other.map_err(|e| failed(os(e)))?,
            }
        };
        if fstatfs(&place).map_err(|e| failed(os(e)))?.filesystem_type() != NSFS_MAGIC {
            return Err(mismatch());
        }
        let opened = OpenNetNs::of(reopen(&place).map_err(failed)?).map_err(failed)?;
        opened.filter(|namespace| namespace.id == self.id).ok_or_else(mismatch)
    }
}

impl OpenNetNs {
    /// From a descriptor of nsfs; `None` when the namespace is of another kind.
    fn of(fd: OwnedFd) -> io::Result<Option<Self>> {
        if sys::namespace_type(fd.as_fd())? != libc::CLONE_NEWNET {
            return Ok(None);
        }
        let id = NamespaceId::new(sys::inode(&fd)?);
        Ok(Some(Self { fd, id }))
    }

    /// Its identity.
    #[must_use]
    pub fn id(&self) -> NamespaceId {
        self.id
    }

    /// The descriptor, as `setns(2)` takes it.
    #[must_use]
    pub fn into_fd(self) -> OwnedFd {
        self.fd
    }
}

impl AsFd for OpenNetNs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The network namespace that the process has open under this descriptor number.
///
/// # Errors
/// [`ErrorKind::TargetGone`]; [`ErrorKind::NamespaceMismatch`] when it is something else, or not any more this.
pub fn open_descriptor(process: &Process, number: u32) -> Result<OpenNetNs> {
    let pid = process.pid();
    let failed = |e| Error::of_traced("open the network namespace in a descriptor of", pid, e);
    let path = format!("fd/{number}");
    // Looked at before it is opened: opening another file could wait, or start something. Its link is asked, and not
    // its file system, which the process may serve itself: only a namespace's begins so, and not with a slash.
    let place = openat(process.directory(), path.as_str(), OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
        .map_err(|e| failed(os(e)))?;
    let mismatch = || Error::new(ErrorKind::NamespaceMismatch, "open a descriptor of", Subject::Pid(pid));
    let link = std::fs::read_link(format!("/proc/self/fd/{}", place.as_raw_fd())).map_err(failed)?;
    if !link.as_os_str().as_encoded_bytes().starts_with(b"net:[") {
        return Err(mismatch());
    }
    OpenNetNs::of(reopen(&place).map_err(failed)?).map_err(failed)?.ok_or_else(mismatch)
}

/// What is open cannot be taken for another; this gives the same file, now for use.
fn reopen(place: &OwnedFd) -> io::Result<OwnedFd> {
    let path = format!("/proc/self/fd/{}", place.as_raw_fd());
    File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path).map(OwnedFd::from)
}

/// The network namespace of a socket that the process has under this descriptor number.
///
/// The socket is borrowed for the time of two system calls (`pidfd_getfd(2)`, Linux 5.6). That is not nothing: should
/// the process close it meanwhile, the last close is ours, and a peer would be told so a moment later.
///
/// # Errors
/// [`ErrorKind::TargetGone`]; [`ErrorKind::NotFound`] when there is no such descriptor; [`ErrorKind::InvalidInput`] when it
/// is not a socket; [`ErrorKind::MissingPrivilege`] without `CAP_SYS_PTRACE` over the process or `CAP_NET_ADMIN` over
/// the socket's namespace.
pub fn socket_namespace_of(process: &Process, number: i32) -> Result<OpenNetNs> {
    let pid = process.pid();
    let call = "borrow a socket of";
    if !is_socket_link(process, number)? {
        return Err(Error::new(ErrorKind::InvalidInput, call, Subject::Pid(pid)));
    }
    let borrowed = sys::pidfd_getfd(process.pidfd()?, number).map_err(|e| match e.raw_os_error() {
        Some(libc::EBADF) => Error::of_traced(call, pid, e).with_kind(ErrorKind::NotFound),
        _ => Error::of_traced(call, pid, e),
    })?;
    // Asked of the socket layer: of another file this could wait for a file system that the process serves.
    if getsockopt(&borrowed, sockopt::SockType).is_err() {
        give_back_elsewhere(borrowed);
        return Err(Error::new(ErrorKind::InvalidInput, call, Subject::Pid(pid)));
    }
    let namespace = sys::socket_namespace(borrowed.as_fd());
    give_back(borrowed);
    let failed = |e| {
        let error = Error::of_call("ask for its network namespace", Subject::Socket, e);
        match error.kind() {
            ErrorKind::PermissionDenied if !Capability::NetAdmin.is_effective() => {
                error.with_kind(ErrorKind::MissingPrivilege(Capability::NetAdmin))
            }
            _ => error,
        }
    };
    let mismatch = || Error::new(ErrorKind::NamespaceMismatch, call, Subject::Pid(pid));
    OpenNetNs::of(namespace.map_err(failed)?).map_err(failed)?.ok_or_else(mismatch)
}

fn is_socket_link(process: &Process, number: i32) -> Result<bool> {
    let path = format!("fd/{number}");
    match nix::fcntl::readlinkat(process.directory(), path.as_str()) {
        Ok(link) => Ok(link.as_encoded_bytes().starts_with(b"socket:[")),
        Err(nix::Error::ENOENT) if process.is_alive() => {
            Err(Error::new(ErrorKind::NotFound, "look up a descriptor of", Subject::Pid(process.pid())))
        }
        Err(errno) => Err(Error::of_traced("look up a descriptor of", process.pid(), os(errno))),
    }
}

/// Closes our descriptor of the socket. The last close waits, for as long as its owner said with `SO_LINGER`
/// (`socket(7)`): he must not hold us up that way.
fn give_back(socket: OwnedFd) {
    match getsockopt(&socket, sockopt::Linger) {
        Ok(linger) if linger.l_onoff != 0 => give_back_elsewhere(socket),
        _ => drop(socket),
    }
}

/// Closes on a thread that nobody waits for. When there can be none, it is closed here.
fn give_back_elsewhere(file: OwnedFd) {
    let closer = std::thread::Builder::new().name("portolan-close".to_owned());
    let _ = closer.spawn(move || drop(file));
}

/// Reads a line of mountinfo, if it is a network namespace bound to a file.
fn parse(line: &[u8]) -> Option<NamespaceFile> {
    let mut fields = line.split(|b| *b == b' ');
    let root = fields.nth(3)?;
    let id = NamespaceId::of_link(root).filter(|_| root.starts_with(b"net:["))?;
    let path = unescape(fields.next()?)?;
    // Options, of which there are some or none, end with a dash; the file system's type follows.
    fields.find(|field| *field == b"-")?;
    (fields.next()? == b"nsfs").then_some(NamespaceFile { id, path })
}

/// A path whose spaces, tabs, newlines and backslashes are written as three octal digits.
fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'\\' {
            bytes.push(*first);
            continue;
        }
        let (digits, after) = rest.split_first_chunk::<3>()?;
        rest = after;
        let digits = std::str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_digit()))?;
        bytes.push(u8::from_str_radix(digits, 8).ok()?);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use portolan_world::need::Need;
    use std::io::{BufRead as _, BufReader};
    use std::path::{Path, PathBuf};
    use std::process::{Child, Command, Stdio};
    use std::time::Duration;

    fn me() -> Process {
        Process::open(std::process::id().cast_signed()).unwrap()
    }

    fn soon() -> Instant {
        Instant::now().checked_add(Duration::from_secs(10)).unwrap()
    }

    /// A file with a namespace bound to it, which goes when the test ends.
    struct Bound(PathBuf);

    impl Bound {
        fn new(name: &str, kind: &str) -> Self {
            let bound = Self(std::env::temp_dir().join(format!("{name}{}", std::process::id())));
            std::fs::write(&bound.0, b"").unwrap();
            let status =
                Command::new("unshare").arg(format!("--{kind}={}", bound.path())).arg("true").status();
            assert!(status.unwrap().success());
            bound
        }

        fn path(&self) -> &str {
            self.0.to_str().unwrap()
        }
    }

    impl Drop for Bound {
        fn drop(&mut self) {
            let _ = Command::new("umount").args(["-l", self.path()]).stderr(Stdio::null()).status();
            let _ = std::fs::remove_file(&self.0);
        }
    }

    struct Killed(Child);

    impl Drop for Killed {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn lines_of_mountinfo() {
        let found = |line: &str| parse(line.as_bytes()).map(|file| (file.id.inode(), file.path));
        let good = r"52 29 0:4 net:[4026532300] /run/netns/a\040b\134 rw shared:7 master:1 - nsfs nsfs rw";
        assert_eq!(found(good), Some((4_026_532_300, b"/run/netns/a b\\".to_vec())));
        let bare = "52 29 0:4 net:[1] /n rw - nsfs nsfs rw";
        assert_eq!(found(bare), Some((1, b"/n".to_vec())));
        for (from, to) in [
            ("- nsfs", "- tmpfs"),
            (" - ", " "),
            ("net:[", "mnt:["),
            ("net:[1]", "net:[]"),
            ("net:[1]", "/net:[1]"),
            ("/n", r"/\04"),
            ("/n", r"/\999"),
            ("/n", r"/\+12"),
            ("/n", "/\\\u{e9}1"),
        ] {
            let bad = bare.replacen(from, to, 1);
            assert_eq!(found(&bad), None, "{bad}");
        }
        for length in 0..bare.len() - " nsfs rw".len() {
            assert_eq!(found(&bare[..length]), None);
        }
        // What a file system calls itself does not make it one.
        assert_eq!(found("52 29 0:4 net:[1] /n rw - fuse nsfs rw"), None);
    }

    #[test]
    fn a_bound_namespace_is_found_and_opened() {
        portolan_world::require!(Need::Root, Need::Program("unshare"), Need::Program("umount"));
        let bound = Bound::new("portolan netns ", "net");
        let me = me();
        let root = me.root().unwrap();
        let files = list(&me, soon()).unwrap();
        let file = files.iter().find(|file| file.path == bound.path().as_bytes()).unwrap();
        assert_ne!(file.id, me.namespace(crate::NamespaceKind::Net).unwrap());
        let opened = file.open(&root).unwrap();
        assert_eq!(opened.id(), file.id);
        assert_eq!(sys::inode(opened.as_fd()).unwrap(), file.id.inode());

        let other = NamespaceFile { id: NamespaceId::new(1), path: file.path.clone() };
        assert_eq!(other.open(&root).unwrap_err().kind(), ErrorKind::NamespaceMismatch);
        let file = file.clone();
        drop(bound);
        assert_eq!(file.open(&root).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(list(&me, Instant::now()).unwrap_err().kind(), ErrorKind::Timeout);
    }

    #[test]
    fn what_is_no_network_namespace_is_not_opened() {
        portolan_world::require!(Need::Root, Need::Program("unshare"), Need::Program("umount"));
        let uts = Bound::new("portolan-uts-", "uts");
        let me = me();
        let root = me.root().unwrap();
        assert!(list(&me, soon()).unwrap().iter().all(|file| file.path != uts.path().as_bytes()));
        let fifo = std::env::temp_dir().join(format!("portolan-fifo-{}", std::process::id()));
        nix::unistd::mkfifo(&fifo, Mode::S_IRWXU).unwrap();
        let link = std::env::temp_dir().join(format!("portolan-link-{}", std::process::id()));
        std::os::unix::fs::symlink("/proc/self/ns/net", &link).unwrap();
        let kind = |path: &Path| {
            let path = path.to_str().unwrap().as_bytes().to_vec();
            NamespaceFile { id: NamespaceId::new(1), path }.open(&root).unwrap_err().kind()
        };
        let kinds = [uts.0.as_path(), &fifo, &link, Path::new("/proc/self/ns/net"), Path::new("/")].map(kind);
        std::fs::remove_file(&fifo).unwrap();
        std::fs::remove_file(&link).unwrap();
        assert_eq!(kinds, [ErrorKind::NamespaceMismatch; 5]);
    }

    #[test]
    fn a_socket_tells_its_namespace() {
        portolan_world::require!(Need::Root, Need::Program("unshare"), Need::Program("python3"));
        // A process at home with a socket in a namespace that nothing else holds.
        let code = "import ctypes, os, socket, sys\n\
                    libc = ctypes.CDLL(None, use_errno=True)\n\
                    home = os.open('/proc/self/ns/net', os.O_RDONLY)\n\
                    assert libc.unshare(0x40000000) == 0\n\
                    inside = socket.socket()\n\
                    inode = os.stat('/proc/self/ns/net').st_ino\n\
                    assert libc.setns(home, 0x40000000) == 0\n\
                    outside = socket.socket()\n\
                    inside.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b'\\1\\0\\0\\0\\11\\0\\0\\0')\n\
                    print(inside.fileno(), inode, outside.fileno(), home, flush=True)\n\
                    sys.stdin.read()\n";
        let mut command = Command::new("python3");
        let mut child =
            Killed(command.args(["-c", code]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
        let mut line = String::new();
        BufReader::new(child.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let numbers: Vec<i64> = line.split_whitespace().map(|n| n.parse().unwrap()).collect();
        let fd = |at: usize| i32::try_from(numbers[at]).unwrap();

        let process = Process::open(child.0.id().cast_signed()).unwrap();
        let home = me().namespace(crate::NamespaceKind::Net).unwrap();
        assert_eq!(process.namespace(crate::NamespaceKind::Net).unwrap(), home);
        let inside = socket_namespace_of(&process, fd(0)).unwrap();
        assert_eq!(i64::try_from(inside.id().inode()).unwrap(), numbers[1]);
        assert_ne!(inside.id(), home);
        assert_eq!(socket_namespace_of(&process, fd(2)).unwrap().id(), home);
        assert_eq!(socket_namespace_of(&process, fd(3)).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(socket_namespace_of(&process, 999).unwrap_err().kind(), ErrorKind::NotFound);
        assert_eq!(socket_namespace_of(&process, -1).unwrap_err().kind(), ErrorKind::NotFound);
        drop(child);
        assert_eq!(socket_namespace_of(&process, fd(0)).unwrap_err().kind(), ErrorKind::TargetGone);
    }
}
