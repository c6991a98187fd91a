//! Why the kernel is not asked by BPF iterators.

use crate::error::{Feature, Subject};
use crate::privilege::Capability;
use crate::{Error, ErrorKind};

/// Why the kernel cannot be asked by BPF iterators here. Everything that they tell is then learnt from `/proc` and
/// `sock_diag`, which always works and costs more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unavailable {
    /// The kernel refuses programs of this process (`bpf(2)`): it lacks capabilities, or is in a user namespace.
    #[error("it takes CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN, in the host's user namespace")]
    Privilege,
    /// A filter of system calls or a security module forbids it, or the kernel was built without `bpf(2)`.
    #[error("bpf(2) is refused here: {0}")]
    Refused(String),
    /// The kernel has no description of its own types.
    #[error("the kernel does not describe its types (/sys/kernel/btf/vmlinux, CONFIG_DEBUG_INFO_BTF): {0}")]
    NoTypes(String),
    /// The kernel's types are not as they are known to be.
    #[error("this kernel's {0} is not as it is known")]
    Unknown(&'static str),
    /// The numbers of processes or their start times would be others than those of `/proc`.
    #[error("{0}")]
    Elsewhere(&'static str),
    /// A pass took too long, or brought too much: somebody holds millions of open files or sockets.
    #[error("a pass over all open files was given up: {0}")]
    GivenUp(String),
    /// What came out for sockets and a process of our own was wrong.
    #[error("the test on our own sockets failed: {0}")]
    SelfTest(&'static str),
}

impl Unavailable {
    /// The same, in the vocabulary of all errors.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Privilege => ErrorKind::MissingPrivilege(Capability::Bpf),
            _ => ErrorKind::Unsupported(Feature::BpfIterators),
        }
    }

    /// As an error of this crate.
    #[must_use]
    pub fn into_error(self) -> Error {
        Error::new(self.kind(), "ask by BPF iterators", Subject::Own)
    }
}
