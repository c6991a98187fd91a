//! The kinds of namespaces that a container may share with its host.

/// A kind of namespace that a container has of its own unless told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Namespace {
    /// Its own mounts, and so a root directory of its own.
    Mount,
    /// Its own process ids; its command is process 1.
    Pid,
    /// Its own interfaces, addresses and ports.
    Net,
    /// Its own hostname.
    Uts,
    /// Its own System V and POSIX message queues and semaphores.
    Ipc,
}

impl Namespace {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Mount, Self::Pid, Self::Net, Self::Uts, Self::Ipc];

    /// The name of its file in `/proc/PID/ns`.
    #[must_use]
    pub fn file(self) -> &'static str {
        match self {
            Self::Mount => "mnt",
            Self::Pid => "pid",
            Self::Net => "net",
            Self::Uts => "uts",
            Self::Ipc => "ipc",
        }
    }

    pub(crate) fn clone_flag(self) -> u64 {
        let flag = match self {
            Self::Mount => libc::CLONE_NEWNS,
            Self::Pid => libc::CLONE_NEWPID,
            Self::Net => libc::CLONE_NEWNET,
            Self::Uts => libc::CLONE_NEWUTS,
            Self::Ipc => libc::CLONE_NEWIPC,
        };
        u64::from(flag.unsigned_abs())
    }
}
