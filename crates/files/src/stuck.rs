//! Helpers that were given up and have not ended: the kernel waits for a file system that does not answer.
//!
//! Nobody has to ask after them. A helper keeps its answer's pipe until every file is let go, so the pipe's end says
//! that it is gone.

use std::os::fd::OwnedFd;
use std::process::{Child, ChildStdout};
use std::sync::{Mutex, PoisonError};

use portolan_linux::NamespaceId;
use portolan_linux::wait::hung_up;

/// With so many of them for one container, no more are risked there ...
pub(crate) const MOST_OF_ONE: usize = 2;
/// ... and with so many in all, nowhere: each holds a process of the host.
pub(crate) const MOST: usize = 16;

#[derive(Debug, Default)]
pub(crate) struct Stuck(Mutex<Vec<One>>);

#[derive(Debug)]
struct One {
    container: NamespaceId,
    held: Held,
}

/// By what its end is seen.
#[derive(Debug)]
pub(crate) enum Held {
    /// The pipe of a request to the server.
    Pipe(OwnedFd),
    /// A helper that was started for one request, and its pipe.
    Child(Child, Option<ChildStdout>),
}

impl Held {
    fn is_gone(&mut self) -> bool {
        match self {
            Self::Pipe(pipe) => hung_up(pipe),
            Self::Child(child, output) => {
                !matches!(child.try_wait(), Ok(None)) && output.as_ref().is_none_or(hung_up)
            }
        }
    }
}

impl Stuck {
    /// How many there are still, and how many of them in this container.
    pub(crate) fn count(&self, container: Option<NamespaceId>) -> (usize, usize) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain_mut(|one| !one.held.is_gone());
        (all.len(), all.iter().filter(|one| Some(one.container) == container).count())
    }

    pub(crate) fn add(&self, container: NamespaceId, held: Held) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(One { container, held });
    }
}
