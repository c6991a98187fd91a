//! Opening what it is safe to open: regular files, and directories to list.

use std::os::fd::{AsFd as _, OwnedFd};

use portolan_wire::code::{FileKind, Stage};
use portolan_wire::frame::Stat;

use crate::answer::Fault;
use crate::enter::Inside;
use crate::owners;
use crate::sys::{self, Errno};
use crate::walk::{Miss, Way, find, names_kernel};

/// A regular file, open for reading, and what it is.
pub(crate) fn regular(inside: &Inside, path: &[u8]) -> Result<(OwnedFd, Stat), Fault> {
    named(inside, path, names_kernel(path))
}

/// The same for a path that was found, by a pattern that names `/proc` or `/sys` or does not.
pub(crate) fn named(inside: &Inside, path: &[u8], named: bool) -> Result<(OwnedFd, Stat), Fault> {
    let way = Way { named, follow: true, directory: false };
    let found = find(inside, path, way).map_err(|miss| miss.fault(Stage::Open))?;
    found_regular(inside, &found)
}

/// Opens what an `O_PATH` descriptor stands for, if it is a regular file that may be read.
pub(crate) fn found_regular(inside: &Inside, found: &OwnedFd) -> Result<(OwnedFd, Stat), Fault> {
    let denied = |errno| Miss::Errno(errno).fault(Stage::Open);
    let stat = sys::look(found.as_fd(), false).map_err(denied)?.stat;
    if stat.kind != FileKind::Regular {
        return Err(Fault::not_regular(stat.kind));
    }
    if !owners::may_read(inside.ids.as_ref(), &stat) {
        return Err(denied(Errno(libc::EACCES)));
    }
    // Not by its path, which may lead elsewhere by now. Non-blocking, because a write lease would hold us for
    // its 45 seconds (`fcntl(2)`, F_SETLEASE).
    let flags = libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = sys::reopen(inside.procfs.as_fd(), found.as_fd(), flags).map_err(denied)?;
    // Of a network file system only an open file's size is new.
    let stat =
        if inside.any_file_system { sys::look(file.as_fd(), true).map_err(denied)?.stat } else { stat };
    Ok((file, stat))
}

/// A directory, open for listing; `None` when there is none.
pub(crate) fn directory(inside: &Inside, path: &[u8], named: bool) -> Result<OwnedFd, Miss> {
    let way = Way { named, follow: true, directory: true };
    let found = find(inside, path, way)?;
    if inside.ids.is_some() && !owners::may_read(inside.ids.as_ref(), &sys::look(found.as_fd(), false)?.stat)
    {
        return Err(Errno(libc::EACCES).into());
    }
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NONBLOCK;
    Ok(sys::openat(found.as_fd(), b".", flags)?)
}
