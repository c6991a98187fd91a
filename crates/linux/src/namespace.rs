//! Kinds of namespaces and their identity (`namespaces(7)`).

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt as _;
use std::sync::OnceLock;

/// A kind of namespace that portolan looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum NamespaceKind {
    /// Mount points.
    Mount,
    /// The network: interfaces, addresses, ports.
    Net,
    /// Process numbers. The namespace of the process itself, not the one its children will have.
    Pid,
    /// User and group numbers, and what capabilities are worth.
    User,
    /// The host name.
    Uts,
    /// The root of the cgroup tree.
    Cgroup,
    /// System V IPC and POSIX message queues.
    Ipc,
}

impl NamespaceKind {
    /// The name under `/proc/PID/ns`.
    #[must_use]
    pub const fn file(self) -> &'static str {
        match self {
            Self::Mount => "mnt",
            Self::Net => "net",
            Self::Pid => "pid",
            Self::User => "user",
            Self::Uts => "uts",
            Self::Cgroup => "cgroup",
            Self::Ipc => "ipc",
        }
    }

    pub(crate) const fn link(self) -> &'static str {
        match self {
            Self::Mount => "ns/mnt",
            Self::Net => "ns/net",
            Self::Pid => "ns/pid",
            Self::User => "ns/user",
            Self::Uts => "ns/uts",
            Self::Cgroup => "ns/cgroup",
            Self::Ipc => "ns/ipc",
        }
    }
}

impl fmt::Display for NamespaceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.file())
    }
}

/// The identity of a namespace: two processes are in the same one if, and only if, these are equal.
///
/// It is the inode number that `/proc/PID/ns/*` shows. All namespaces live on the kernel's one nsfs, so the
/// device adds nothing. A number may come again after its namespace is gone; hold the namespace (or a process
/// in it) while you compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NamespaceId(u64);

impl NamespaceId {
    /// From an inode number.
    #[must_use]
    pub const fn new(inode: u64) -> Self {
        Self(inode)
    }

    /// The inode number.
    #[must_use]
    pub const fn inode(self) -> u64 {
        self.0
    }

    /// Of an opened namespace.
    ///
    /// # Errors
    /// Those of `fstat(2)`.
    pub fn of_descriptor(namespace: impl AsFd) -> io::Result<Self> {
        crate::sys::inode(namespace).map(Self)
    }

    /// Of the user namespace that this program is in: with more than one thread it stays there for good
    /// (`setns(2)`).
    ///
    /// # Errors
    /// Those of `readlink(2)`.
    pub fn own_user() -> io::Result<Self> {
        static OWN: OnceLock<NamespaceId> = OnceLock::new();
        Self::own(&OWN, "/proc/self/ns/user")
    }

    /// Of the UTS namespace that this program's main thread was in when it was first asked for.
    pub(crate) fn own_uts() -> io::Result<Self> {
        static OWN: OnceLock<NamespaceId> = OnceLock::new();
        Self::own(&OWN, "/proc/self/ns/uts")
    }

    fn own(known: &OnceLock<Self>, link: &str) -> io::Result<Self> {
        if let Some(own) = known.get() {
            return Ok(*own);
        }
        let link = std::fs::read_link(link)?;
        let own = Self::of_link(link.as_os_str().as_bytes()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(*known.get_or_init(|| own))
    }

    /// From the text of a link such as `net:[4026531833]`, of whatever kind it is.
    ///
    /// ```
    /// use portolan_linux::NamespaceId;
    /// assert_eq!(NamespaceId::of_link(b"net:[4026531833]"), Some(NamespaceId::new(4026531833)));
    /// ```
    #[must_use]
    pub fn of_link(link: &[u8]) -> Option<Self> {
        let open = link.iter().position(|b| *b == b'[')?;
        let digits = link.get(open.checked_add(1)?..)?.strip_suffix(b"]")?;
        std::str::from_utf8(digits).ok()?.parse().ok().map(Self)
    }
}

impl fmt::Display for NamespaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::NamespaceId;

    #[test]
    fn links() {
        assert_eq!(NamespaceId::of_link(b"mnt:[4026531832]"), Some(NamespaceId::new(4_026_531_832)));
        for bad in
            [&b""[..], b"mnt", b"mnt:[", b"mnt:[]", b"mnt:[x]", b"mnt:[1", b"mnt:[99999999999999999999]"]
        {
            assert_eq!(NamespaceId::of_link(bad), None);
        }
    }
}
