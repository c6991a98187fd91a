//! Capabilities (`capabilities(7)`): which ones this thread has, and which one an operation lacked.

use std::fmt;

/// A capability that portolan can need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Capability {
    /// To look at the namespaces, root and files of other users' processes.
    SysPtrace,
    /// To enter namespaces.
    SysAdmin,
    /// To enter a mount namespace, and to chroot there.
    SysChroot,
    /// To read files regardless of their permissions.
    DacReadSearch,
    /// To empty the capability bounding set.
    SetPcap,
    /// To be told of processes by the kernel, and to ask a socket for its network namespace.
    NetAdmin,
    /// To load BPF programs (Linux 5.8).
    Bpf,
    /// To let them read the kernel's structures (Linux 5.8).
    Perfmon,
    /// Another one, by its number.
    Other(u8),
}

impl Capability {
    /// All that portolan asks for, in the order in which the operations need them.
    pub const ALL: [Self; 4] = [Self::SysPtrace, Self::SysAdmin, Self::SysChroot, Self::DacReadSearch];

    /// What portolan needs it for, as a few words.
    #[must_use]
    pub const fn purpose(self) -> &'static str {
        match self {
            Self::SysPtrace => "needed to look at other users' processes",
            Self::SysAdmin => "needed to enter namespaces",
            Self::SysChroot => "needed to enter a mount namespace",
            Self::DacReadSearch => "needed to read files that their owners protect",
            Self::SetPcap => "needed to empty the bounding set",
            Self::NetAdmin => "needed to be told of processes, and to ask a socket for its network namespace",
            Self::Bpf => {
                "needed, together with CAP_PERFMON, to ask by BPF iterators; CAP_SYS_ADMIN does as well"
            }
            Self::Perfmon => {
                "needed, together with CAP_BPF, to ask by BPF iterators; CAP_SYS_ADMIN does as well"
            }
            Self::Other(_) => "needed for this operation",
        }
    }

    /// From the number of `linux/capability.h`.
    #[must_use]
    pub const fn of_number(number: u8) -> Self {
        match number {
            19 => Self::SysPtrace,
            21 => Self::SysAdmin,
            18 => Self::SysChroot,
            2 => Self::DacReadSearch,
            8 => Self::SetPcap,
            12 => Self::NetAdmin,
            39 => Self::Bpf,
            38 => Self::Perfmon,
            other => Self::Other(other),
        }
    }

    /// Whether this thread has it in its effective set. A failing question counts as no.
    #[must_use]
    pub fn is_effective(self) -> bool {
        let capability = match self {
            Self::SysPtrace => caps::Capability::CAP_SYS_PTRACE,
            Self::SysAdmin => caps::Capability::CAP_SYS_ADMIN,
            Self::SysChroot => caps::Capability::CAP_SYS_CHROOT,
            Self::DacReadSearch => caps::Capability::CAP_DAC_READ_SEARCH,
            Self::SetPcap => caps::Capability::CAP_SETPCAP,
            Self::NetAdmin => caps::Capability::CAP_NET_ADMIN,
            Self::Bpf => caps::Capability::CAP_BPF,
            Self::Perfmon => caps::Capability::CAP_PERFMON,
            Self::Other(_) => return false,
        };
        caps::has_cap(None, caps::CapSet::Effective, capability).unwrap_or(false)
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SysPtrace => f.write_str("CAP_SYS_PTRACE"),
            Self::SysAdmin => f.write_str("CAP_SYS_ADMIN"),
            Self::SysChroot => f.write_str("CAP_SYS_CHROOT"),
            Self::DacReadSearch => f.write_str("CAP_DAC_READ_SEARCH"),
            Self::SetPcap => f.write_str("CAP_SETPCAP"),
            Self::NetAdmin => f.write_str("CAP_NET_ADMIN"),
            Self::Bpf => f.write_str("CAP_BPF"),
            Self::Perfmon => f.write_str("CAP_PERFMON"),
            Self::Other(number) => write!(f, "capability {number}"),
        }
    }
}

/// The first of these that this thread does not have.
#[must_use]
pub fn first_missing(wanted: &[Capability]) -> Option<Capability> {
    wanted.iter().copied().find(|capability| !capability.is_effective())
}
