//! Finding a socket by its path below a root that somebody else fills.
//!
//! A path can lead into a file system that never answers, and nothing wakes a thread that waits for one. So each
//! path has a thread of its own, which may be left behind; but not more than a few for one process.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::{SFlag, fstat};
use portolan_linux::ProcessId;

/// How many threads may be on their way below one process's root at a time.
const MOST: u32 = 64;

/// How many there are. A process that nobody dials by path has no entry.
static UNDERWAY: Mutex<BTreeMap<ProcessId, u32>> = Mutex::new(BTreeMap::new());

/// Resolves `path` below `root` on another thread, which then calls `done` with the socket, held as `O_PATH`.
///
/// # Errors
/// `EBUSY` when too many are underway, or that of starting a thread.
pub(crate) fn start(
    process: ProcessId,
    root: OwnedFd,
    path: PathBuf,
    done: impl FnOnce(nix::Result<OwnedFd>) + Send + 'static,
) -> io::Result<()> {
    let place = Place::take(process).ok_or(nix::Error::EBUSY)?;
    let work = move || {
        let found = below(&root, &path);
        drop(place);
        done(found);
    };
    std::thread::Builder::new().name("portolan-resolve".to_owned()).spawn(work).map(drop)
}

fn below(root: &OwnedFd, path: &PathBuf) -> nix::Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let found = openat2(root, path, how)?;
    let kind = SFlag::from_bits_truncate(fstat(&found)?.st_mode) & SFlag::S_IFMT;
    if kind == SFlag::S_IFSOCK { Ok(found) } else { Err(nix::Error::ENOTSOCK) }
}

/// One of the few; given back when it is dropped.
struct Place(ProcessId);

impl Place {
    fn take(process: ProcessId) -> Option<Self> {
        let mut underway = underway();
        let count = underway.get(&process).copied().unwrap_or(0);
        if count >= MOST {
            return None;
        }
        underway.insert(process, count.saturating_add(1));
        Some(Self(process))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut underway = underway();
        match underway.get(&self.0).copied() {
            Some(count) if count > 1 => drop(underway.insert(self.0, count.saturating_sub(1))),
            _ => drop(underway.remove(&self.0)),
        }
    }
}

fn underway() -> MutexGuard<'static, BTreeMap<ProcessId, u32>> {
    UNDERWAY.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_process_has_so_many_places_and_another_its_own() {
        let [one, other] = [1, 2].map(|start_time| ProcessId { pid: i32::MAX, start_time });
        let mut places: Vec<Place> = (0..MOST).map(|_| Place::take(one).unwrap()).collect();
        assert!(Place::take(one).is_none());
        assert!(Place::take(other).is_some());
        places.pop();
        places.push(Place::take(one).unwrap());
        assert!(Place::take(one).is_none());
        drop(places);
        let left = underway();
        assert!(!left.contains_key(&one) && !left.contains_key(&other));
    }
}
