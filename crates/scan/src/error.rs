//! What makes a scan impossible, and a name without a container.

use portolan_linux::ErrorKind;
use portolan_linux::bpf::Unavailable;
use portolan_linux::error::Escaped;

/// A scan or a look-up that gave nothing.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(Repr);

#[derive(Debug, thiserror::Error)]
enum Repr {
    #[error("scan the host: {0}")]
    Proc(#[source] portolan_linux::Error),
    #[error("{0}")]
    Process(#[source] portolan_linux::Error),
    #[error("watch the host: {0}")]
    Watch(#[source] std::io::Error),
    #[error("scan by BPF iterators: {0}; `portolan doctor` tells more, and system calls find the same")]
    Bpf(#[source] Unavailable),
    #[error("no container has the name, id or id prefix '{}'; `portolan scan` lists them", Escaped(.0.as_bytes()))]
    NotFound(String),
    #[error("'{}' could be any of {}; give more of the id", Escaped(.0.as_bytes()), .1.join(", "))]
    Ambiguous(String, Vec<String>),
}

impl Error {
    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match &self.0 {
            Repr::Proc(error) | Repr::Process(error) => error.kind(),
            Repr::Watch(_) => ErrorKind::Io,
            Repr::Bpf(why) => why.kind(),
            Repr::NotFound(_) => ErrorKind::NotFound,
            Repr::Ambiguous(..) => ErrorKind::Ambiguous,
        }
    }

    pub(crate) fn proc_unreadable(error: portolan_linux::Error) -> Self {
        Self(Repr::Proc(error))
    }

    pub(crate) fn of_process(error: portolan_linux::Error) -> Self {
        Self(Repr::Process(error))
    }

    pub(crate) fn watch(error: std::io::Error) -> Self {
        Self(Repr::Watch(error))
    }

    pub(crate) fn without_bpf(why: Unavailable) -> Self {
        Self(Repr::Bpf(why))
    }

    pub(crate) fn not_found(name: &str) -> Self {
        Self(Repr::NotFound(name.to_owned()))
    }

    pub(crate) fn ambiguous(name: &str, mut ids: Vec<String>) -> Self {
        const SHOWN: usize = 8;
        if ids.len() > SHOWN {
            ids.truncate(SHOWN);
            ids.push("others".to_owned());
        }
        Self(Repr::Ambiguous(name.to_owned(), ids))
    }
}
