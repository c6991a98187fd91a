//! What the programs write, a row for each process or listener, and how it is read.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::NamespaceId;
use crate::process::Stat;
use crate::sock_diag::{Listening, Local, Protocol};

/// Where the fields of a process's row are.
pub(super) mod task {
    pub(crate) const PID: i16 = 0;
    pub(crate) const TID: i16 = 4;
    pub(crate) const START: i16 = 8;
    pub(crate) const PARENT: i16 = 16;
    pub(crate) const KERNEL: i16 = 20;
    pub(crate) const EUID: i16 = 24;
    pub(crate) const EXIT: i16 = 28;
    pub(crate) const MNT: i16 = 32;
    pub(crate) const NET: i16 = 36;
    pub(crate) const PIDNS: i16 = 40;
    pub(crate) const USER: i16 = 44;
    pub(crate) const UTS: i16 = 48;
    pub(crate) const CHILDREN: i16 = 52;
    pub(crate) const ARGUMENTS: i16 = 56;
    pub(crate) const GROUPS: i16 = 64;
    pub(crate) const CGROUP: i16 = 72;
    pub(crate) const COMM: i16 = 80;
    pub(crate) const NODENAME: i16 = 96;
    pub(crate) const LENGTH: i16 = 168;
}

/// Where the fields of a listener's row are.
pub(super) mod socket {
    pub(crate) const LENGTH: i16 = 0;
    pub(crate) const FAMILY: i16 = 4;
    pub(crate) const PROTOCOL: i16 = 6;
    pub(crate) const PID: i16 = 8;
    pub(crate) const TID: i16 = 12;
    pub(crate) const START: i16 = 16;
    pub(crate) const DESCRIPTOR: i16 = 24;
    pub(crate) const NET: i16 = 28;
    pub(crate) const INODE: i16 = 32;
    pub(crate) const UID: i16 = 36;
    pub(crate) const INTERFACE: i16 = 40;
    pub(crate) const PORT: i16 = 44;
    pub(crate) const KIND: i16 = 46;
    pub(crate) const V6_ONLY: i16 = 47;
    pub(crate) const ADDRESS: i16 = 48;
    pub(crate) const INET: i16 = 64;
    /// `struct unix_address`: how long the name is, family included; 0 where names cannot be read.
    pub(crate) const NAME_LENGTH: i16 = 48;
    pub(crate) const NAME: i16 = 56;
    /// `struct sockaddr_un`, and the NUL that the kernel adds to a path that fills it.
    pub(crate) const LONGEST_NAME: i16 = 111;
    pub(crate) const UNIX: i16 = 168;
    /// Of rows that say nothing.
    pub(crate) const FILLER: i16 = 336;
}

/// `IPPROTO_MPTCP`.
const MPTCP: u16 = 262;

/// A process, or a thread of it that is in other namespaces than its first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Task<'a> {
    row: &'a [u8],
}

impl<'a> Task<'a> {
    fn word(&self, at: i16) -> u32 {
        first(self.row, at).map_or(0, u32::from_ne_bytes)
    }

    fn long(&self, at: i16) -> u64 {
        first(self.row, at).map_or(0, u64::from_ne_bytes)
    }

    fn namespace(&self, at: i16) -> NamespaceId {
        NamespaceId::new(self.word(at).into())
    }

    fn text(&self, at: i16, length: usize) -> &'a [u8] {
        let bytes = from(self.row, at);
        let bytes = bytes.get(..length).unwrap_or(bytes);
        bytes.split(|byte| *byte == 0).next().unwrap_or(&[])
    }

    /// All that the row says: as long as no byte of it changes, nothing that is known of the process did.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.row
    }

    /// The process's number, in the pid namespace of whoever asks.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.word(task::PID).cast_signed()
    }

    /// The thread's number; the process's own for its first thread.
    #[must_use]
    pub fn thread(&self) -> i32 {
        self.word(task::TID).cast_signed()
    }

    /// Nanoseconds from boot, with those that the host slept, until the process (its first thread) began.
    #[must_use]
    pub fn start_boottime(&self) -> u64 {
        self.long(task::START)
    }

    /// The parent's number; 0 when it is outside of the reader's pid namespace.
    #[must_use]
    pub fn parent(&self) -> i32 {
        self.word(task::PARENT).cast_signed()
    }

    /// Whether it is a thread of the kernel.
    #[must_use]
    pub fn is_kernel_thread(&self) -> bool {
        self.word(task::KERNEL) != 0
    }

    /// Its effective user, as a number of the host.
    #[must_use]
    pub fn owner(&self) -> u32 {
        self.word(task::EUID)
    }

    /// Whether it has ended, or is about to and has left its namespaces.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.word(task::EXIT) != 0 || self.word(task::NET) == 0
    }

    /// The mount namespace.
    #[must_use]
    pub fn mnt(&self) -> NamespaceId {
        self.namespace(task::MNT)
    }

    /// The network namespace.
    #[must_use]
    pub fn net(&self) -> NamespaceId {
        self.namespace(task::NET)
    }

    /// The pid namespace; `None` for one that made a new one for its children, or chose one for them
    /// (`pid_namespaces(7)`): then only `/proc/PID/ns/pid` tells its own.
    #[must_use]
    pub fn pid_namespace(&self) -> Option<NamespaceId> {
        (self.word(task::CHILDREN) == 0).then(|| self.namespace(task::PIDNS))
    }

    /// The user namespace.
    #[must_use]
    pub fn user(&self) -> NamespaceId {
        self.namespace(task::USER)
    }

    /// The UTS namespace.
    #[must_use]
    pub fn uts(&self) -> NamespaceId {
        self.namespace(task::UTS)
    }

    /// The host name of its UTS namespace, which its processes choose.
    #[must_use]
    pub fn hostname(&self) -> &'a [u8] {
        self.text(task::NODENAME, 65)
    }

    /// Where its arguments lie in its memory ([`Stat::arguments`](crate::process::Stat::arguments)).
    #[must_use]
    pub fn arguments(&self) -> u64 {
        self.long(task::ARGUMENTS)
    }

    /// Something that changes when the process is moved to another cgroup, of whatever version, and means nothing by
    /// itself.
    #[must_use]
    pub fn cgroups(&self) -> (u64, u64) {
        (self.long(task::GROUPS), self.long(task::CGROUP))
    }

    /// What `/proc/PID/stat` says of it, with this start time in clock ticks
    /// ([`Iterators::start_time`](super::Iterators::start_time)); how many threads there are is not known, and told as
    /// one.
    #[must_use]
    pub fn stat(&self, start_time: u64) -> Stat {
        Stat {
            command: self.command().to_vec(),
            state: if self.has_ended() { b'Z' } else { b'S' },
            parent: self.parent(),
            flags: if self.is_kernel_thread() { Stat::KERNEL_THREAD } else { 0 },
            threads: 1,
            start_time,
            arguments: self.arguments(),
        }
    }

    /// The name that it gives itself, at most 15 bytes.
    #[must_use]
    pub fn command(&self) -> &'a [u8] {
        self.text(task::COMM, 16)
    }
}

/// A process that has a listener among its open files.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// The process's number, in the pid namespace of whoever asks.
    pub pid: i32,
    /// The thread whose table of descriptors it is: mostly all threads have the same, and this is the first.
    pub thread: i32,
    /// When the process began, as [`Task::start_boottime`].
    pub start_boottime: u64,
    /// The descriptor's number.
    pub descriptor: u32,
    /// The network namespace that the socket was made in.
    pub netns: NamespaceId,
    /// The socket. Where names of Unix sockets cannot be read, [`is_nameless`](Self::is_nameless) says so and its
    /// path is empty.
    pub listening: Listening,
    /// Whether it is a Unix socket whose name could not be read.
    pub is_nameless: bool,
}

impl Holder {
    fn read(row: &[u8]) -> Option<Self> {
        let word = |at| first(row, at).map(u32::from_ne_bytes);
        let half = |at| first(row, at).map(u16::from_ne_bytes);
        let byte = |at| first::<1>(row, at).map(|[byte]| byte);
        let (kind, protocol) = (i32::from(byte(socket::KIND)?), half(socket::PROTOCOL)?);
        let mut is_nameless = false;
        let (protocol, local) = match i32::from(half(socket::FAMILY)?) {
            libc::AF_UNIX => {
                let length = usize::try_from(word(socket::NAME_LENGTH)?).ok()?;
                is_nameless = length == 0;
                let protocol =
                    if kind == libc::SOCK_STREAM { Protocol::Unix } else { Protocol::UnixSeqpacket };
                // The family comes first.
                let name = from(row, socket::NAME).get(2..length.clamp(2, 111))?;
                let path = || Local::Path(name.split(|b| *b == 0).next().unwrap_or(name).to_vec());
                match name {
                    [0, name @ ..] => (protocol, Local::Abstract(name.to_vec())),
                    _ => (protocol, path()),
                }
            }
            family => {
                let protocol = match (protocol, i32::from(protocol)) {
                    (MPTCP, _) | (_, libc::IPPROTO_TCP) => Protocol::Tcp,
                    (_, libc::IPPROTO_UDP) => Protocol::Udp,
                    _ => return None,
                };
                let address = match family {
                    libc::AF_INET => IpAddr::V4(Ipv4Addr::from(first::<4>(row, socket::ADDRESS)?)),
                    libc::AF_INET6 => IpAddr::V6(Ipv6Addr::from(first::<16>(row, socket::ADDRESS)?)),
                    _ => return None,
                };
                (protocol, Local::Inet(address, half(socket::PORT)?))
            }
        };
        Some(Self {
            pid: word(socket::PID)?.cast_signed(),
            thread: word(socket::TID)?.cast_signed(),
            start_boottime: first(row, socket::START).map(u64::from_ne_bytes)?,
            descriptor: word(socket::DESCRIPTOR)?,
            netns: NamespaceId::new(word(socket::NET)?.into()),
            listening: Listening {
                protocol,
                local,
                inode: word(socket::INODE)?,
                uid: Some(word(socket::UID)?),
                interface: word(socket::INTERFACE)?,
                v6_only: byte(socket::V6_ONLY)? != 0,
            },
            is_nameless,
        })
    }
}

/// The rows of a pass over processes, in the order of their threads' numbers.
pub fn tasks(rows: &[u8]) -> impl Iterator<Item = Task<'_>> {
    rows.chunks_exact(usize::from(task::LENGTH.unsigned_abs())).map(|row| Task { row })
}

/// The rows of a pass over listeners.
pub fn holders(rows: &[u8]) -> impl Iterator<Item = Holder> {
    each(rows).filter_map(Holder::read)
}

/// Takes those rows out that say nothing.
pub(super) fn without_fillers(rows: &mut Vec<u8>) {
    let is_filler = |row: &[u8]| first(row, socket::FAMILY).map(u16::from_ne_bytes) == Some(0);
    if each(rows).any(is_filler) {
        *rows = each(rows).filter(|row| !is_filler(row)).collect::<Vec<_>>().concat();
    }
}

/// By the length that each begins with.
fn each(mut rows: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let length = usize::try_from(first(rows, socket::LENGTH).map(u32::from_ne_bytes)?).ok()?;
        let (row, rest) = rows.split_at_checked(length).filter(|_| length > 0)?;
        rows = rest;
        Some(row)
    })
}

fn from(row: &[u8], at: i16) -> &[u8] {
    row.get(usize::from(at.unsigned_abs())..).unwrap_or(&[])
}

fn first<const N: usize>(row: &[u8], at: i16) -> Option<[u8; N]> {
    from(row, at).first_chunk().copied()
}
