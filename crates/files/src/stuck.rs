//! Helpers that were given up and have not ended: the kernel waits for a file system that does not answer.
//!
//! Nobody has to ask after them. A helper keeps its answer's pipe until every file is let go, so the pipe's end says
//! that it is gone.
//!
//! Only a request that may go to such file systems can get stuck there, and it is known only at its deadline. So those
//! that are under way count too: else a hundred tasks at once would leave a hundred helpers behind.

use std::os::fd::OwnedFd;
use std::process::{Child, ChildStdout};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use portolan_linux::NamespaceId;
use portolan_linux::wait::hung_up;

/// With so many of them for one container, no more are risked there ...
const MOST_OF_ONE: usize = 2;
/// ... and with so many in all, nowhere: each holds a process of the host.
const MOST: usize = 16;
/// Requests to any file system of one container at once, while none of them is stuck ...
const MOST_RISKED: usize = 8;
/// ... and of all containers, those that are stuck included.
const MOST_RISKED_IN_ALL: usize = 64;

#[derive(Debug, Clone, Default)]
pub(crate) struct Stuck(Arc<Mutex<All>>);

#[derive(Debug, Default)]
struct All {
    stuck: Vec<One>,
    /// The containers of requests that may get stuck.
    risked: Vec<NamespaceId>,
}

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

/// A request that may get stuck, for as long as it is under way.
#[derive(Debug)]
pub(crate) struct Risk {
    stuck: Stuck,
    container: NamespaceId,
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
    fn all(&self) -> MutexGuard<'_, All> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.stuck.retain_mut(|one| !one.held.is_gone());
        all
    }

    /// How many there are still.
    pub(crate) fn count(&self) -> usize {
        self.all().stuck.len()
    }

    /// Whether one more request may be risked; why not, in words. The risk is held while it is under way.
    pub(crate) fn risk(
        &self,
        container: NamespaceId,
        any_file_system: bool,
    ) -> Result<Option<Risk>, &'static str> {
        let mut all = self.all();
        let stuck = all.stuck.iter().filter(|one| one.container == container).count();
        let risked = all.risked.iter().filter(|one| **one == container).count();
        let both = stuck.saturating_add(risked);
        if stuck >= MOST_OF_ONE || (any_file_system && stuck > 0 && both >= MOST_OF_ONE) {
            return Err("this container's file systems keep helpers waiting already");
        }
        if all.stuck.len() >= MOST {
            return Err("too many helpers hang in file systems that do not answer");
        }
        if !any_file_system {
            return Ok(None);
        }
        if risked >= MOST_RISKED || all.stuck.len().saturating_add(all.risked.len()) >= MOST_RISKED_IN_ALL {
            return Err("too many requests to file systems that may not answer are under way");
        }
        all.risked.push(container);
        Ok(Some(Risk { stuck: self.clone(), container }))
    }

    pub(crate) fn add(&self, container: NamespaceId, held: Held) {
        self.all().stuck.push(One { container, held });
    }
}

impl Drop for Risk {
    fn drop(&mut self) {
        let mut all = self.stuck.all();
        if let Some(at) = all.risked.iter().position(|one| *one == self.container) {
            all.risked.swap_remove(at);
        }
    }
}
