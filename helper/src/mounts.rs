//! Which mounts are entered.
//!
//! A file system whose server is elsewhere (FUSE, NFS and the like) may never answer, and then the kernel lets not
//! even a killed process go. So each mount that a path comes to is judged by its type before anything on it is
//! looked up: `statmount(2)` tells it from the kernel's memory, and before Linux 6.8 mountinfo does. `statfs(2)`
//! would ask the server.

use std::cell::RefCell;
use std::os::fd::BorrowedFd;

use portolan_wire::code::FileSystem;
use portolan_wire::mountinfo;

use crate::sys::{self, Errno, Mount};

/// As many as any host has mounts.
const MOUNTINFO: usize = 8 * 1024 * 1024;

/// The mounts of one mount namespace, as far as they were judged.
#[derive(Debug)]
pub(crate) struct Mounts {
    /// Read on FUSE and network file systems too.
    any: bool,
    /// Where `statmount` is not to be had: what mountinfo said when the namespace was joined, before the root was
    /// changed (afterwards it leaves out what lies above).
    text: Option<RefCell<Vec<u8>>>,
    /// Verdicts so far; a path crosses few mounts.
    known: RefCell<Vec<(Mount, Verdict)>>,
}

type Verdict = Result<(), FileSystem>;

impl Mounts {
    /// To be made between joining the namespace and changing the root. Judges the root's own mount, which later
    /// nobody can ask about, and gives how.
    pub(crate) fn join(
        root: BorrowedFd<'_>,
        procfs: BorrowedFd<'_>,
        any: bool,
    ) -> Result<(Self, Verdict), Errno> {
        let mount = sys::look(root, false)?.mount;
        if mount.unique
            && let Ok(name) = sys::mount_type(mount)
        {
            let verdict = FileSystem::of_type(&name).map_or(Ok(()), Err);
            let known = RefCell::new(vec![(mount, verdict)]);
            return Ok((Self { any, text: None, known }, verdict));
        }
        let text = sys::read_whole(procfs, b"self/mountinfo", MOUNTINFO)?;
        let mount = sys::old_mount(root)?;
        let verdict = mountinfo::verdict(&text, mount.id);
        let known = RefCell::new(vec![(mount, verdict)]);
        Ok((Self { any, text: Some(RefCell::new(text)), known }, verdict))
    }

    /// The mount that an open file was reached by, with the number that is used here.
    pub(crate) fn of(&self, file: BorrowedFd<'_>, seen: Mount) -> Result<Mount, Errno> {
        if self.text.is_some() && seen.unique { sys::old_mount(file) } else { Ok(seen) }
    }

    /// What kind of file system a mount is of.
    pub(crate) fn kind(&self, mount: Mount, procfs: BorrowedFd<'_>) -> Verdict {
        if let Some((_, verdict)) = self.known.borrow().iter().find(|(known, _)| *known == mount) {
            return *verdict;
        }
        let verdict = match &self.text {
            None => match sys::mount_type(mount) {
                Ok(name) => FileSystem::of_type(&name).map_or(Ok(()), Err),
                // Unmounted meanwhile, or out of our sight: not to be trusted.
                Err(_) => Err(FileSystem::Unknown),
            },
            Some(text) => {
                let first = mountinfo::verdict(&text.borrow(), mount.id);
                if first == Err(FileSystem::Unknown)
                    && let Ok(now) = sys::read_whole(procfs, b"self/mountinfo", MOUNTINFO)
                {
                    // Mounted since: once more, and no more.
                    *text.borrow_mut() = now;
                    mountinfo::verdict(&text.borrow(), mount.id)
                } else {
                    first
                }
            }
        };
        self.known.borrow_mut().push((mount, verdict));
        verdict
    }

    /// Whether a path may go on over a mount. `named` says that the request itself names `/proc` or `/sys`.
    pub(crate) fn judge(&self, mount: Mount, procfs: BorrowedFd<'_>, named: bool) -> Verdict {
        match self.kind(mount, procfs) {
            Err(kind) if kind.is_kernel() => {
                if named {
                    Ok(())
                } else {
                    Err(kind)
                }
            }
            Err(kind) => {
                if self.any {
                    Ok(())
                } else {
                    Err(kind)
                }
            }
            Ok(()) => Ok(()),
        }
    }
}
