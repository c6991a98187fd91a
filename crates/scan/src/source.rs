//! How the kernel is asked.

use std::fmt;

use portolan_linux::bpf::Unavailable;

/// How the kernel is to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum SourceChoice {
    /// By BPF iterators where they work, by system calls where not.
    #[default]
    Auto,
    /// By BPF iterators, or not at all.
    Bpf,
    /// By `/proc` and `sock_diag`.
    SystemCalls,
}

/// How the kernel was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// By BPF iterators: all processes and listeners in one pass.
    Bpf,
    /// By `/proc` and `sock_diag`: process by process, and namespace by namespace.
    SystemCalls {
        /// Why not by BPF iterators; `None` where that was not asked for.
        without_bpf: Option<Unavailable>,
    },
}

impl Source {
    /// Why system calls, where BPF iterators were tried.
    #[must_use]
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::SystemCalls { without_bpf: Some(why) } => Some(why.to_string()),
            _ => None,
        }
    }
}

/// `bpf` or `syscalls`.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Bpf => "bpf",
            Self::SystemCalls { .. } => "syscalls",
        })
    }
}
