//! Sockets born in a network namespace, the caller's thread brought home.
//!
//! A thread may join a network namespace alone (`setns(2)`), and a socket belongs for life to the namespace of
//! the thread that created it. So a thread enters, creates the socket, leaves; everything after happens at home.
//!
//! Two rules are kept by construction:
//! - Nothing but the creation of one socket happens inside: no function here takes a closure. A thread, timer or
//!   look-up started inside would stay inside.
//! - A thread enters only when it is proved that it may come home (joining the namespace that it is in already
//!   needs the same right, and changes nothing). A thread that may not, as in a user namespace of its own, stays
//!   at home; a new one enters in its stead and ends inside.
//!
//! Who has many namespaces to ask makes a [`visit`]: a thread for that alone, which never comes home.
//! Who needs a whole program inside lets a thread [`inhabit`] it.

mod inhabitant;
mod visitor;

use std::fs::File;
use std::marker::PhantomData;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

use crate::error::{ErrorKind, Feature, Subject, os};
use crate::namespace::{NamespaceId, NamespaceKind};
use crate::privilege::{Capability, first_missing};
use crate::process::Process;
use crate::{Error, Result, sys};

pub use inhabitant::{Residence, inhabit};
pub use visitor::{Visitor, visit};

/// What kind of socket to create. Every one is non-blocking and close-on-exec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SocketKind {
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// UDP over IPv4.
    Udp4,
    /// UDP over IPv6.
    Udp6,
    /// A Unix stream, for abstract addresses, which belong to the network namespace (`unix(7)`).
    Unix,
    /// `NETLINK_SOCK_DIAG` (`sock_diag(7)`).
    SockDiag,
}

/// A network namespace, held open: it lives, with its interfaces, until this is dropped. Do not keep it.
#[derive(Debug)]
pub struct NetNs {
    fd: OwnedFd,
    id: NamespaceId,
}

/// The network namespace in which this thread is at home. It cannot go to another thread.
#[derive(Debug)]
pub struct Home {
    netns: Arc<NetNs>,
    /// Whether it is the process's own, to which a thread has been seen to come home.
    proven: bool,
    thread_bound: PhantomData<*const ()>,
}

/// The namespace of the process's main thread, which the agent lives in: opening it anew for every socket would
/// cost as much as entering the container. Namespaces of containers are never kept.
static OWN: OnceLock<Arc<NetNs>> = OnceLock::new();
/// Whether a thread has joined `OWN` while it was in it.
///
/// That proves the way home for every thread and for good: to enter a container takes `CAP_SYS_ADMIN` in the
/// thread's own user namespace (`netns_install` in the kernel), which all threads of a process share, and which
/// gives the right to come home to a namespace that was joined with it before.
static PROVEN: AtomicBool = AtomicBool::new(false);

impl Home {
    /// The namespace that the calling thread is in now.
    ///
    /// It is read of the thread: `/proc/self/ns/net` is that of the process's main thread.
    ///
    /// # Errors
    /// When `/proc` is not mounted, or no descriptor is left.
    pub fn here() -> Result<Self> {
        let here = Self::id_of_this_thread();
        let own = match OWN.get() {
            Some(own) => own,
            None => {
                let own = Arc::new(NetNs::of_link("/proc/self/ns/net")?);
                OWN.get_or_init(|| own)
            }
        };
        // It is held open, so its number cannot be another's by now.
        let (netns, proven) = if here == Some(own.id) {
            (Arc::clone(own), PROVEN.load(Ordering::Relaxed))
        } else {
            (Arc::new(NetNs::of_this_thread()?), false)
        };
        Ok(Self { netns, proven, thread_bound: PhantomData })
    }

    /// Which namespace the calling thread is in, by its own link, which it holds open as a link (`O_PATH`, without
    /// following it): to walk there from `/proc` each time would cost as much as entering the container.
    fn id_of_this_thread() -> Option<NamespaceId> {
        thread_local! {
            static LINK: Option<(u32, File)> = open_link("/proc/thread-self/ns/net").map(|link| (sys::generation(), link));
        }
        let read = LINK.try_with(|link| {
            // After a fork it speaks of the parent's thread.
            let (_, link) = link.as_ref().filter(|(generation, _)| *generation == sys::generation())?;
            let mut text = [0_u8; 32];
            let length = sys::read_link(link.as_fd(), c"", &mut text).ok()?;
            NamespaceId::of_link(text.get(..length)?)
        });
        // While the thread ends, its locals are gone: then it is looked up the long way.
        read.ok().flatten()
    }

    /// Its identity.
    #[must_use]
    pub fn id(&self) -> NamespaceId {
        self.netns.id
    }

    /// Whether this thread may come here from elsewhere. Joining where one is already changes nothing, and takes
    /// the same right.
    fn is_open(&self) -> bool {
        if self.proven {
            return true;
        }
        let open = setns(&self.netns.fd, CloneFlags::CLONE_NEWNET).is_ok();
        if open && OWN.get().is_some_and(|own| own.id == self.netns.id) {
            PROVEN.store(true, Ordering::Relaxed);
        }
        open
    }
}

impl NetNs {
    /// The network namespace that the calling thread is in.
    ///
    /// # Errors
    /// When `/proc` is not mounted, or no descriptor is left.
    pub fn of_this_thread() -> Result<Self> {
        Self::of_link("/proc/thread-self/ns/net")
    }

    fn of_link(path: &str) -> Result<Self> {
        let failed = |e| Error::of_call("open the network namespace", Subject::Own, e);
        let fd = File::open(path).map_err(failed)?;
        let id = NamespaceId::new(sys::inode(&fd).map_err(failed)?);
        Ok(Self { fd: fd.into(), id })
    }

    /// The network namespace of a process.
    ///
    /// # Errors
    /// [`ErrorKind::TargetGone`], or [`ErrorKind::MissingPrivilege`] without `CAP_SYS_PTRACE` over the process.
    pub fn of(process: &Process) -> Result<Self> {
        let fd = process.open_namespace(NamespaceKind::Net)?;
        let id = sys::inode(&fd).map_err(|e| Error::of_process("fstat", process.pid(), e))?;
        Ok(Self { fd, id: NamespaceId::new(id) })
    }

    /// Its identity.
    #[must_use]
    pub fn id(&self) -> NamespaceId {
        self.id
    }

    /// Creates a socket that belongs to this namespace.
    ///
    /// That it does follows from how it is made; `SIOCGSKNS` is asked as well, where this process has the
    /// `CAP_NET_ADMIN` that it takes. The calling thread is at home when this returns, whatever it returns.
    ///
    /// # Errors
    /// [`ErrorKind::MissingPrivilege`] without `CAP_SYS_ADMIN` over the namespace,
    /// [`ErrorKind::NamespaceMismatch`] when the socket came out in another namespace.
    ///
    /// # Aborts
    /// The process, if the kernel refuses the way home that it allowed a moment before: such a thread would make
    /// the connections of its next work from inside the container.
    pub fn socket(&self, home: &Home, kind: SocketKind) -> Result<OwnedFd> {
        if self.id == home.id() {
            return create(kind);
        }
        let socket = born_inside(self.fd.as_fd(), home, kind)?;
        match sys::socket_namespace(socket.as_fd()).and_then(sys::inode) {
            Ok(born) if born != self.id.inode() => {
                Err(Error::new(ErrorKind::NamespaceMismatch, "create", Subject::Socket))
            }
            _ => Ok(socket),
        }
    }
}

/// The way into the network namespace of a process, which is entered by the process and not held open: when the
/// container stops, its namespace can go.
#[derive(Debug)]
pub struct Entrance {
    process: Process,
    id: NamespaceId,
    /// What the kernel calls the namespace, learnt from the first socket that was proved to be in it.
    cookie: OnceLock<u64>,
}

impl Entrance {
    /// The way into the namespace that the process is in now.
    ///
    /// # Errors
    /// [`ErrorKind::TargetGone`], [`ErrorKind::Unsupported`] for a kernel thread, or
    /// [`ErrorKind::MissingPrivilege`] without `CAP_SYS_PTRACE` over the process.
    pub fn of(process: Process) -> Result<Self> {
        process.require_userland()?;
        let id = process.namespace(NamespaceKind::Net)?;
        process.pidfd()?;
        Ok(Self { process, id, cookie: OnceLock::new() })
    }

    /// The namespace's identity.
    #[must_use]
    pub fn id(&self) -> NamespaceId {
        self.id
    }

    /// The process by which it is entered.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Creates a socket that belongs to the namespace, and proves that it does.
    ///
    /// The first is made through the namespace itself, whose inode number is compared; it tells the namespace's
    /// cookie, which unlike the number is never given to another. Later ones are made through the process, which
    /// is quicker, and proved by the cookie. (Before Linux 5.14 there is none, and all are made like the first.)
    ///
    /// # Errors
    /// [`ErrorKind::TargetGone`] when the process has ended, [`ErrorKind::TargetChanged`] when it went to another
    /// namespace, and as [`NetNs::socket`].
    ///
    /// # Aborts
    /// As [`NetNs::socket`].
    pub fn socket(&self, kind: SocketKind) -> Result<OwnedFd> {
        let home = Home::here()?;
        let changed = || {
            Error::new(
                ErrorKind::TargetChanged,
                "enter the network namespace",
                Subject::Pid(self.process.pid()),
            )
        };
        let Some(known) = self.cookie.get() else {
            let netns = NetNs::of(&self.process)?;
            if netns.id != self.id {
                return Err(changed());
            }
            let socket = netns.socket(&home, kind)?;
            if let Ok(cookie) = sys::namespace_cookie(socket.as_fd()) {
                let _ = self.cookie.set(cookie);
            }
            return Ok(socket);
        };
        let socket = match born_inside(self.process.pidfd()?, &home, kind) {
            Err(error) if error.errno() == Some(libc::ESRCH) => Err(error.with_kind(ErrorKind::TargetGone)),
            other => other,
        }?;
        match sys::namespace_cookie(socket.as_fd()) {
            Ok(cookie) if cookie == *known => Ok(socket),
            _ => Err(changed()),
        }
    }
}

fn open_link(path: &str) -> Option<File> {
    File::options().read(true).custom_flags(libc::O_PATH | libc::O_NOFOLLOW).open(path).ok()
}

/// Enters by a descriptor of the namespace, or a pidfd of a process in it (Linux 5.8), creates, and comes home.
fn born_inside(way: BorrowedFd<'_>, home: &Home, kind: SocketKind) -> Result<OwnedFd> {
    if !home.is_open() {
        return by_another_thread(way, kind);
    }
    enter(way)?;
    let created = create(kind);
    if setns(&home.netns.fd, CloneFlags::CLONE_NEWNET).is_err() {
        std::process::abort();
    }
    created
}

/// For a caller that could not come home: a thread that enters, creates the socket, and ends inside.
fn by_another_thread(way: BorrowedFd<'_>, kind: SocketKind) -> Result<OwnedFd> {
    let unsupported = |_| Error::new(ErrorKind::Unsupported(Feature::Homecoming), "enter", Subject::Own);
    std::thread::scope(|scope| {
        let worker = std::thread::Builder::new()
            .name("portolan-netns".to_owned())
            .spawn_scoped(scope, || enter(way).and_then(|()| create(kind)))
            .map_err(|e| Error::of_call("start a thread for", Subject::Socket, e))?;
        worker.join().map_err(unsupported)?
    })
}

#[doc(alias = "setns")]
fn enter(way: BorrowedFd<'_>) -> Result<()> {
    setns(way, CloneFlags::CLONE_NEWNET).map_err(|e| denied(os(e)))
}

/// Why `setns(2)` refused.
fn denied(source: std::io::Error) -> Error {
    let error = Error::of_call("enter the network namespace", Subject::Own, source);
    match (error.kind(), first_missing(&[Capability::SysAdmin, Capability::SysPtrace])) {
        (ErrorKind::PermissionDenied, Some(missing)) => error.with_kind(ErrorKind::MissingPrivilege(missing)),
        _ => error,
    }
}

fn create(kind: SocketKind) -> Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let made = match kind {
        SocketKind::Tcp4 => socket(AddressFamily::Inet, SockType::Stream, flags, None),
        SocketKind::Tcp6 => socket(AddressFamily::Inet6, SockType::Stream, flags, None),
        SocketKind::Udp4 => socket(AddressFamily::Inet, SockType::Datagram, flags, None),
        SocketKind::Udp6 => socket(AddressFamily::Inet6, SockType::Datagram, flags, None),
        SocketKind::Unix => socket(AddressFamily::Unix, SockType::Stream, flags, None),
        SocketKind::SockDiag => {
            socket(AddressFamily::Netlink, SockType::Raw, flags, SockProtocol::NetlinkSockDiag)
        }
    };
    made.map_err(|e| Error::of_call("create", Subject::Socket, os(e)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_home_nothing_is_entered() {
        let home = Home::here().unwrap();
        let me = Process::open(std::process::id().cast_signed()).unwrap();
        let own = NetNs::of(&me).unwrap();
        assert_eq!(own.id(), home.id());
        for kind in
            [SocketKind::Tcp4, SocketKind::Tcp6, SocketKind::Udp4, SocketKind::SockDiag, SocketKind::Unix]
        {
            own.socket(&home, kind).unwrap();
        }
    }
}
