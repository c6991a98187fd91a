//! Sockets born in a network namespace, the caller's thread brought home.
//!
//! A thread may join a network namespace alone (`setns(2)`), and a socket belongs for life to the namespace of
//! the thread that created it. So a thread enters, creates the socket, leaves; everything after happens at home.
//!
//! Two rules are kept by construction:
//! - Nothing but the creation of one socket happens inside: [`NetNs::socket`] takes no closure. A thread, timer or
//!   look-up started inside would stay inside.
//! - A thread enters only after it has proved that it may come home (joining the namespace that it is in already
//!   needs the same right, and changes nothing). A thread that may not, as in a user namespace of its own, stays
//!   at home; a new one enters in its stead and ends inside.

use std::marker::PhantomData;
use std::os::fd::{AsFd, OwnedFd};

use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{AddressFamily, SockFlag, SockProtocol, SockType, socket};

use crate::error::{ErrorKind, Feature, Subject, os};
use crate::namespace::{NamespaceId, NamespaceKind};
use crate::privilege::Capability;
use crate::process::Process;
use crate::{Error, Result, sys};

/// What kind of socket to create. Every one is close-on-exec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum SocketKind {
    /// TCP over IPv4, non-blocking.
    Tcp4,
    /// TCP over IPv6, non-blocking.
    Tcp6,
    /// UDP over IPv4, non-blocking.
    Udp4,
    /// UDP over IPv6, non-blocking.
    Udp6,
    /// A Unix stream, for abstract addresses, which belong to the network namespace (`unix(7)`); non-blocking.
    Unix,
    /// `NETLINK_SOCK_DIAG` (`sock_diag(7)`), blocking.
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
    netns: NetNs,
    thread_bound: PhantomData<*const ()>,
}

impl Home {
    /// The namespace that the calling thread is in now.
    ///
    /// It is read of the thread: `/proc/self/ns/net` is that of the process's main thread.
    ///
    /// # Errors
    /// When `/proc` is not mounted, or no descriptor is left.
    pub fn here() -> Result<Self> {
        NetNs::of_this_thread().map(|netns| Self { netns, thread_bound: PhantomData })
    }

    /// Its identity.
    #[must_use]
    pub fn id(&self) -> NamespaceId {
        self.netns.id
    }
}

impl NetNs {
    /// The network namespace that the calling thread is in.
    ///
    /// # Errors
    /// When `/proc` is not mounted, or no descriptor is left.
    pub fn of_this_thread() -> Result<Self> {
        let failed = |e| Error::of_call("open the network namespace", Subject::Own, e);
        let fd = std::fs::File::open("/proc/thread-self/ns/net").map_err(failed)?;
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

    /// Creates a socket that belongs to this namespace, and proves that it does (`SIOCGSKNS`).
    ///
    /// The calling thread is in its home namespace when this returns, whatever it returns.
    ///
    /// # Errors
    /// [`ErrorKind::MissingPrivilege`] without `CAP_SYS_ADMIN` over the namespace,
    /// [`ErrorKind::NamespaceMismatch`] when the socket came out in another namespace.
    ///
    /// # Aborts
    /// The process, if the kernel refuses the way home that it allowed a moment before: such a thread would make
    /// the connections of its next work from inside the container.
    #[doc(alias = "setns")]
    pub fn socket(&self, home: &Home, kind: SocketKind) -> Result<OwnedFd> {
        let socket = if self.id == home.id() {
            create(kind)?
        } else if setns(&home.netns.fd, CloneFlags::CLONE_NEWNET).is_ok() {
            self.enter()?;
            let created = create(kind);
            if setns(&home.netns.fd, CloneFlags::CLONE_NEWNET).is_err() {
                std::process::abort();
            }
            created?
        } else {
            self.socket_by_another_thread(kind)?
        };
        let born = sys::socket_namespace(socket.as_fd())
            .and_then(sys::inode)
            .map_err(|e| Error::of_call("ioctl(SIOCGSKNS)", Subject::Socket, e))?;
        if NamespaceId::new(born) == self.id {
            Ok(socket)
        } else {
            Err(Error::new(ErrorKind::NamespaceMismatch, "create", Subject::Socket))
        }
    }

    /// For a caller that could not come home: a thread that enters, creates the socket, and ends inside.
    fn socket_by_another_thread(&self, kind: SocketKind) -> Result<OwnedFd> {
        let unsupported = |_| Error::new(ErrorKind::Unsupported(Feature::Homecoming), "enter", Subject::Own);
        std::thread::scope(|scope| {
            let worker = std::thread::Builder::new()
                .name("portolan-netns".to_owned())
                .spawn_scoped(scope, || self.enter().and_then(|()| create(kind)))
                .map_err(|e| Error::of_call("start a thread for", Subject::Socket, e))?;
            worker.join().map_err(unsupported)?
        })
    }

    fn enter(&self) -> Result<()> {
        setns(&self.fd, CloneFlags::CLONE_NEWNET).map_err(|e| {
            let error = Error::of_call("enter the network namespace", Subject::Own, os(e));
            if error.kind() == ErrorKind::PermissionDenied && !Capability::SysAdmin.is_effective() {
                return error.with_kind(ErrorKind::MissingPrivilege(Capability::SysAdmin));
            }
            error
        })
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
            let diag = SockProtocol::NetlinkSockDiag;
            socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, diag)
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
