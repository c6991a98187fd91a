//! What the programs say of sockets and of the process of our own, against what the system calls say.
//!
//! The places of the members come from the kernel's own description; should that not be of this kernel, or a member
//! mean something else than it did, it is found out here, before anything is believed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd as _, OwnedFd};

use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, SockaddrIn6, SockaddrLike, SockaddrStorage,
    UnixAddr, bind, getsockname, listen, setsockopt, socket, sockopt,
};

use super::row::{Holder, Task, holders, tasks};
use super::{Iterators, Unavailable};
use crate::sock_diag::{Listening, Local, Protocol};
use crate::{NamespaceId, NamespaceKind, Process, threads};

type Checked<T> = Result<T, Unavailable>;

const FAILED: &str = "system calls on them fail";

/// Fails unless everything that is said of this process and of some sockets is so.
pub(super) fn run(iterators: &mut Iterators) -> Checked<()> {
    let own = std::process::id().cast_signed();
    let process = Process::open(own).map_err(failed)?;
    let sockets = Sockets::make()?;
    let mut rows = Vec::new();
    iterators.read_own(own, &mut rows)?;
    let row = tasks(&rows).find(|row| row.pid() == own && row.thread() == own);
    is_own(&process, row.ok_or(Unavailable::SelfTest("our process is not among them"))?)?;
    let start = iterators.start_of(&process)?;
    iterators.read_own_files(own, &mut rows)?;
    let held: Vec<Holder> =
        holders(&rows).filter(|row| row.pid == own && row.start_boottime == start).collect();
    sockets.are(&held, iterators.has_names())
}

fn failed<E>(_: E) -> Unavailable {
    Unavailable::SelfTest(FAILED)
}

fn wrong(is_right: bool, what: &'static str) -> Checked<()> {
    if is_right { Ok(()) } else { Err(Unavailable::SelfTest(what)) }
}

/// The process, by `/proc`.
fn is_own(process: &Process, row: Task<'_>) -> Checked<()> {
    let stat = process.stat();
    let namespace = |kind| process.namespace(kind).map_err(failed);
    wrong(!row.is_kernel_thread() && !row.has_ended(), "whether our process runs")?;
    wrong(row.parent() == stat.parent, "our parent's number")?;
    wrong(row.command() == stat.command, "our name")?;
    wrong(row.owner() == process.owner().map_err(failed)?, "our user")?;
    wrong(stat.arguments == 0 || row.arguments() == stat.arguments, "where our arguments are")?;
    wrong(row.mnt() == namespace(NamespaceKind::Mount)?, "our mount namespace")?;
    wrong(row.net() == namespace(NamespaceKind::Net)?, "our network namespace")?;
    wrong(row.user() == namespace(NamespaceKind::User)?, "our user namespace")?;
    wrong(row.uts() == namespace(NamespaceKind::Uts)?, "our UTS namespace")?;
    let pid_namespace = row.pid_namespace();
    wrong(
        pid_namespace.is_none_or(|id| namespace(NamespaceKind::Pid).is_ok_and(|own| own == id)),
        "our pid namespace",
    )?;
    let name = nix::unistd::gethostname().map_err(failed)?;
    wrong(row.hostname() == name.as_encoded_bytes(), "our host name")?;
    wrong(row.cgroups() != (0, 0), "our cgroups")
}

/// One of each kind.
struct Sockets {
    sockets: Vec<(OwnedFd, Listening)>,
    netns: NamespaceId,
    name: Vec<u8>,
}

impl Sockets {
    /// None of them can be reached from outside: they are bound to loopback, and closed at once.
    fn make() -> Checked<Self> {
        let mut sockets = vec![tcp4()?];
        // Of one kind with and without, or what is taken for it could be what sets the kinds apart.
        for (kind, v6_only) in [
            (SockType::Stream, false),
            (SockType::Stream, true),
            (SockType::Datagram, false),
            (SockType::Datagram, true),
        ] {
            sockets.extend(inet6(kind, v6_only)?);
        }
        let (unix, name) = unix()?;
        sockets.push(unix);
        // A thread can be in another network namespace than the process.
        let own = Process::open(std::process::id().cast_signed()).map_err(failed)?;
        let thread = nix::unistd::gettid().as_raw();
        let netns = threads::namespace(&own, thread, NamespaceKind::Net).map_err(failed)?;
        Ok(Self { sockets, netns: netns.ok_or(Unavailable::SelfTest(FAILED))?, name })
    }

    fn are(&self, held: &[Holder], has_names: bool) -> Checked<()> {
        for (socket, expected) in &self.sockets {
            let number = socket.as_raw_fd().cast_unsigned();
            let row = held.iter().find(|row| row.descriptor == number);
            let row = row.ok_or(Unavailable::SelfTest("one of our sockets is not among them"))?;
            let is_unix = expected.protocol == Protocol::Unix;
            wrong(row.netns == self.netns, "a socket's network namespace")?;
            wrong(row.is_nameless == (is_unix && !has_names), "whether a socket has a name")?;
            let mut seen = row.listening.clone();
            if row.is_nameless {
                seen.local = Local::Abstract(self.name.clone());
            }
            wrong(seen.inode == expected.inode, "a socket's inode number")?;
            wrong(seen.local == expected.local, "a socket's address")?;
            wrong(seen.uid == expected.uid, "a socket's user")?;
            wrong(seen.v6_only == expected.v6_only, "whether a socket is for IPv6 only")?;
            wrong(seen == *expected, "a socket")?;
        }
        Ok(())
    }
}

fn made(socket: OwnedFd, protocol: Protocol, local: Local, v6_only: bool) -> Checked<(OwnedFd, Listening)> {
    let stat = nix::sys::stat::fstat(&socket).map_err(failed)?;
    let inode = u32::try_from(stat.st_ino).map_err(failed)?;
    let mut listening = Listening::new(protocol, local, inode);
    (listening.uid, listening.v6_only) = (Some(stat.st_uid), v6_only);
    Ok((socket, listening))
}

fn tcp4() -> Checked<(OwnedFd, Listening)> {
    let socket =
        socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).map_err(failed)?;
    bind(socket.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)).map_err(failed)?;
    listen(&socket, Backlog::new(1).map_err(failed)?).map_err(failed)?;
    let at: SockaddrIn = getsockname(socket.as_raw_fd()).map_err(failed)?;
    let local = Local::Inet(IpAddr::V4(Ipv4Addr::LOCALHOST), at.port());
    made(socket, Protocol::Tcp, local, false)
}

/// `None` on a host without IPv6.
fn inet6(kind: SockType, v6_only: bool) -> Checked<Option<(OwnedFd, Listening)>> {
    let Ok(socket) = socket(AddressFamily::Inet6, kind, SockFlag::SOCK_CLOEXEC, None) else {
        return Ok(None);
    };
    setsockopt(&socket, sockopt::Ipv6V6Only, &v6_only).map_err(failed)?;
    setsockopt(&socket, sockopt::IpFreebind, &true).map_err(failed)?;
    // Bound to an address of IPv6, it is for IPv6 only whatever was said (`inet6_bind`).
    let loopback = if v6_only { Ipv6Addr::LOCALHOST } else { Ipv4Addr::LOCALHOST.to_ipv6_mapped() };
    let address = SockaddrIn6::from(std::net::SocketAddrV6::new(loopback, 0, 0, 0));
    bind(socket.as_raw_fd(), &address).map_err(failed)?;
    let protocol = match kind {
        SockType::Stream => {
            listen(&socket, Backlog::new(1).map_err(failed)?).map_err(failed)?;
            Protocol::Tcp
        }
        _ => Protocol::Udp,
    };
    let at: SockaddrIn6 = getsockname(socket.as_raw_fd()).map_err(failed)?;
    let local = Local::Inet(IpAddr::V6(loopback), at.port());
    made(socket, protocol, local, v6_only).map(Some)
}

/// With a name that the kernel chooses (`unix(7)`, autobind).
fn unix() -> Checked<((OwnedFd, Listening), Vec<u8>)> {
    let socket =
        socket(AddressFamily::Unix, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).map_err(failed)?;
    bind(socket.as_raw_fd(), &UnixAddr::new_unnamed()).map_err(failed)?;
    listen(&socket, Backlog::new(1).map_err(failed)?).map_err(failed)?;
    let at: SockaddrStorage = getsockname(socket.as_raw_fd()).map_err(failed)?;
    let name = at.as_unix_addr().and_then(UnixAddr::as_abstract).map(<[u8]>::to_vec);
    let name = name.ok_or(Unavailable::SelfTest(FAILED))?;
    debug_assert!(at.len() > 2, "the kernel chose a name");
    Ok((made(socket, Protocol::Unix, Local::Abstract(name.clone()), false)?, name))
}
