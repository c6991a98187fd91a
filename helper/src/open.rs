//! Resolving a path below the container's root, and opening only what it is safe to open.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use portolan_wire::code::{ErrorCode, FileKind, Stage};

use crate::answer::Fault;
use crate::enter::Inside;
use crate::sys::{self, Errno, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, Stat};

/// `..` under a storm of renames makes the kernel ask for another try; never more than a few in a row.
const TRIES: u32 = 128;

/// `openat2` below the root: absolute links and `..` stay inside, magic links are refused.
pub(crate) fn resolve(root: BorrowedFd<'_>, path: &[u8], flags: i32) -> Result<OwnedFd, Errno> {
    let mut last = Errno(libc::EAGAIN);
    for _ in 0..TRIES {
        match sys::openat2(root, path, flags, RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS) {
            Err(errno) if errno.0 == libc::EAGAIN => last = errno,
            other => return other,
        }
    }
    Err(last)
}

/// A regular file, open for reading, and what `fstat` says of it.
pub(crate) fn regular(inside: &Inside, path: &[u8]) -> Result<(OwnedFd, Stat), Fault> {
    // O_PATH opens nothing: no device is started, no FIFO woken.
    let found =
        resolve(inside.root.as_fd(), path, libc::O_PATH).map_err(|errno| told(inside, path, errno))?;
    let stat = sys::fstat(found.as_fd()).map_err(|errno| Fault::of_errno(Stage::Open, errno))?;
    match FileKind::of_mode(stat.mode) {
        FileKind::Regular => {}
        kind => return Err(Fault::not_regular(kind)),
    }
    if !inside.owners.may_read(&stat) {
        return Err(Fault::of_errno(Stage::Open, Errno(libc::EACCES)));
    }
    // Not by its path, which may lead elsewhere by now. Non-blocking, because a write lease would hold us for
    // its 45 seconds (`fcntl(2)`, F_SETLEASE).
    let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = sys::reopen(inside.procfs.as_fd(), found.as_fd(), flags).map_err(denied)?;
    Ok((file, stat))
}

/// The kernel says `ELOOP` both for a loop and for a magic link; without the second check it says `EXDEV` for the
/// latter, and still does not follow it. And it says `EACCES` for a magic link of another process.
fn told(inside: &Inside, path: &[u8], errno: Errno) -> Fault {
    let magic = match errno.0 {
        libc::ELOOP => {
            let again = sys::openat2(inside.root.as_fd(), path, libc::O_PATH, RESOLVE_IN_ROOT);
            again.err().is_none_or(|e| e.0 == libc::EXDEV)
        }
        libc::EACCES => meets_closed_magic_link(inside.root.as_fd(), path),
        _ => false,
    };
    if magic { Fault::new(Stage::Open, ErrorCode::MagicLink) } else { denied(errno) }
}

/// Not permitted to read: by the owner, if we lack the capability to read all the same.
fn denied(errno: Errno) -> Fault {
    Fault::of_privileged(Stage::Open, errno, &[sys::CAP_DAC_READ_SEARCH])
}

/// Whether the path, walked by hand, meets a link of procfs that we may not even read. This only words an error:
/// nothing is opened by it.
fn meets_closed_magic_link(root: BorrowedFd<'_>, path: &[u8]) -> bool {
    const LINKS: u32 = 40;
    let mut ahead: Vec<Vec<u8>> = names(path);
    let mut behind: Vec<Vec<u8>> = Vec::new();
    let mut links = 0_u32;
    while let Some(name) = ahead.pop() {
        if name == b".." {
            behind.pop();
            continue;
        }
        behind.push(name);
        let here: Vec<u8> = behind.iter().flat_map(|n| [b"/", n.as_slice()].concat()).collect();
        let Ok(found) = resolve(root, &here, libc::O_PATH | libc::O_NOFOLLOW) else {
            return false;
        };
        if sys::fstat(found.as_fd()).map_or(FileKind::Unknown, |s| FileKind::of_mode(s.mode))
            != FileKind::Symlink
        {
            continue;
        }
        links = links.saturating_add(1);
        match sys::readlinkat(found.as_fd(), b"") {
            Err(Errno(libc::EACCES)) => return sys::is_procfs(found.as_fd()),
            Ok(target) if links <= LINKS => {
                behind.pop();
                if target.first() == Some(&b'/') {
                    behind.clear();
                }
                ahead.extend(names(&target));
            }
            _ => return false,
        }
    }
    false
}

/// The names of a path, last first.
fn names(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|b| *b == b'/').rev().filter(|n| !n.is_empty() && *n != b".").map(<[u8]>::to_vec).collect()
}
