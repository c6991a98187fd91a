//! From a path to the inode that it leads to, below the container's root, opening nothing on the way.
//!
//! Mostly in one step: `openat2` with `RESOLVE_IN_ROOT` (absolute links and `..` stay inside), `NO_MAGICLINKS`, and
//! `NO_XDEV`, which fails when the path comes to another mount, before anything on it is looked up. Then, and for a
//! container in a user namespace, the path is walked name by name, each mount judged when it is reached
//! ([`crate::mounts`]), each directory asked whether the container could pass it ([`crate::owners`]).

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use portolan_wire::code::{ErrorCode, FileKind, FileSystem, Stage};

use crate::answer::Fault;
use crate::confine::CAP_DAC_READ_SEARCH;
use crate::enter::Inside;
use crate::owners;
use crate::sys::{self, Errno, Look, Mount};
use crate::sys::{RESOLVE_BENEATH, RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_XDEV};

/// `..` under a storm of renames makes the kernel ask for another try; never more than a few in a row.
const TRIES: u32 = 128;
/// Sticky, and for everybody to write.
const SHARED: u32 = 0o1002;
/// As many symbolic links as the kernel follows (`path_resolution(7)`).
const LINKS: u32 = 40;

/// What is wanted of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Way {
    /// The request itself names `/proc` or `/sys`, so their mounts may be entered.
    pub(crate) named: bool,
    /// A symbolic link at the end is followed.
    pub(crate) follow: bool,
    /// Only a directory will do.
    pub(crate) directory: bool,
}

/// Why a path leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Miss {
    Errno(Errno),
    MagicLink,
    FileSystem(FileSystem),
}

impl From<Errno> for Miss {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl Miss {
    pub(crate) fn fault(self, stage: Stage) -> Fault {
        match self {
            // Not permitted by the owner, if we lack the capability to pass all the same.
            Self::Errno(errno) => Fault::of_privileged(stage, errno, &[CAP_DAC_READ_SEARCH]),
            Self::MagicLink => Fault::new(stage, ErrorCode::MagicLink),
            Self::FileSystem(kind) => {
                let mut fault = Fault::new(stage, ErrorCode::UnsupportedFs);
                fault.failure.detail = kind.number().into();
                fault
            }
        }
    }
}

/// Whether a request's own path or pattern names `/proc` or `/sys`.
pub(crate) fn names_kernel(path: &[u8]) -> bool {
    let names = || path.split(|b| *b == b'/').filter(|name| !name.is_empty() && *name != b".");
    matches!(names().next(), Some(b"proc" | b"sys")) && !names().any(|name| name == b"..")
}

/// The inode that a path leads to, as an `O_PATH` descriptor: nothing is opened, no device started, no FIFO woken.
pub(crate) fn find(inside: &Inside, path: &[u8], way: Way) -> Result<OwnedFd, Miss> {
    if inside.ids.is_none() {
        let flags = libc::O_PATH
            | if way.follow { 0 } else { libc::O_NOFOLLOW }
            | if way.directory { libc::O_DIRECTORY } else { 0 };
        let resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
        match open_patiently(inside.root.as_fd(), path, flags, resolve) {
            // Another mount; or a storm that does not end, from which a walk that knows no `..` is safe.
            Err(Errno(libc::EXDEV | libc::EAGAIN)) => {}
            other => return other.map_err(Miss::Errno),
        }
    }
    Walk::start(inside, way)?.all(path)
}

/// One name in a directory; a link is not followed. `EXDEV` says that what it leads to was moved or unmounted just then.
fn open_name(here: BorrowedFd<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
    for _ in 0..TRIES {
        let resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
        match sys::openat2(here, name, libc::O_PATH | libc::O_NOFOLLOW, resolve) {
            Err(Errno(libc::EXDEV | libc::EAGAIN)) => {}
            other => return other,
        }
    }
    Err(Errno(libc::ENOENT))
}

fn open_patiently(root: BorrowedFd<'_>, path: &[u8], flags: i32, resolve: u64) -> Result<OwnedFd, Errno> {
    let mut last = Errno(libc::EAGAIN);
    for _ in 0..TRIES {
        match sys::openat2(root, path, flags, resolve) {
            Err(errno) if errno.0 == libc::EAGAIN => last = errno,
            other => return other,
        }
    }
    Err(last)
}

/// Name by name.
struct Walk<'a> {
    inside: &'a Inside,
    way: Way,
    /// No link was followed yet that the container made.
    literal: bool,
    /// The kernel's own file system that a link led to. It is not read, but looked through for magic links: those
    /// are told as what they are.
    strayed: Option<FileSystem>,
    links: u32,
    /// The real names from the root to where the walk stands.
    behind: Vec<Vec<u8>>,
    here: OwnedFd,
    stands: Look,
    mount: Mount,
}

impl<'a> Walk<'a> {
    fn start(inside: &'a Inside, way: Way) -> Result<Self, Miss> {
        let (here, stands) = (open_root(inside)?, sys::look(inside.root.as_fd(), false)?);
        let mount = inside.mounts.of(inside.root.as_fd(), stands.mount)?;
        let (literal, behind) = (way.named, Vec::new());
        let mut walk = Self { inside, way, literal, strayed: None, links: 0, behind, here, stands, mount };
        walk.judge(mount)?;
        Ok(walk)
    }

    fn judge(&mut self, mount: Mount) -> Result<(), Miss> {
        match self.inside.mounts.judge(mount, self.inside.procfs.as_fd(), self.literal) {
            Err(kind) if kind.is_kernel() => self.strayed = Some(kind),
            judged => judged.map_err(Miss::FileSystem)?,
        }
        Ok(())
    }

    fn all(mut self, path: &[u8]) -> Result<OwnedFd, Miss> {
        let mut directory = self.way.directory || ends_in_directory(path);
        let mut ahead = names(path);
        while let Some(name) = ahead.pop() {
            if name == b".." {
                self.up()?;
                continue;
            }
            let (next, look) = self.step(&name)?;
            let last = ahead.is_empty();
            match look.stat.kind {
                FileKind::Directory => {
                    self.behind.push(name);
                    (self.here, self.stands) = (next, look);
                }
                FileKind::Symlink if !last || self.way.follow || directory => {
                    let text = self.follow(&name, next.as_fd(), &look)?;
                    directory |= last && ends_in_directory(&text);
                    if text.first() == Some(&b'/') {
                        self.behind.clear();
                        self.again()?;
                    }
                    ahead.extend(names(&text));
                }
                _ if last && !directory => {
                    self.here = next;
                    break;
                }
                _ => return Err(Errno(libc::ENOTDIR).into()),
            }
        }
        self.strayed.map_or(Ok(self.here), |kind| Err(Miss::FileSystem(kind)))
    }

    /// One name further; a link is not followed.
    fn step(&mut self, name: &[u8]) -> Result<(OwnedFd, Look), Miss> {
        if !owners::may_search(self.inside.ids.as_ref(), &self.stands.stat) {
            return Err(Errno(libc::EACCES).into());
        }
        let next = open_name(self.here.as_fd(), name)?;
        let look = sys::look(next.as_fd(), false)?;
        let mount = self.inside.mounts.of(next.as_fd(), look.mount)?;
        if mount != self.mount {
            self.judge(mount)?;
            self.mount = mount;
        }
        Ok((next, look))
    }

    /// The text of a link.
    fn follow(&mut self, name: &[u8], link: BorrowedFd<'_>, look: &Look) -> Result<Vec<u8>, Miss> {
        self.links = self.links.saturating_add(1);
        if self.links > LINKS {
            return Err(Errno(libc::ELOOP).into());
        }
        let kind = self.inside.mounts.kind(self.mount, self.inside.procfs.as_fd());
        if kind == Err(FileSystem::Proc) {
            // The kernel's own links are short and stay within; a magic one is refused, or closed to us.
            let resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
            if let Err(Errno(libc::ELOOP | libc::EXDEV | libc::EACCES)) =
                sys::openat2(self.here.as_fd(), name, libc::O_PATH, resolve)
            {
                return Err(Miss::MagicLink);
            }
        } else if !kind.is_err_and(FileSystem::is_kernel) {
            self.literal = false;
        }
        let shared = self.stands.stat.mode & SHARED == SHARED;
        if shared && look.stat.user != self.stands.stat.user {
            // The kernel's own verdict over a link in a directory like /tmp (`fs.protected_symlinks`, `proc(5)`), which
            // reading it does not ask for. Nothing beyond this mount is touched.
            let resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
            if sys::openat2(self.here.as_fd(), name, libc::O_PATH, resolve)
                .is_err_and(|e| e.0 == libc::EACCES)
            {
                return Err(Errno(libc::EACCES).into());
            }
        }
        let text = sys::readlinkat(link, b"")?;
        // The link was on a mount of its own only if it was bound there; what follows is judged from its directory.
        self.mount = self.inside.mounts.of(self.here.as_fd(), self.stands.mount)?;
        if text.is_empty() { Err(Errno(libc::ENOENT).into()) } else { Ok(text) }
    }

    /// To the directory above: by its names from the root, because a directory that was moved out of the root
    /// meanwhile would have one above that is not inside.
    fn up(&mut self) -> Result<(), Miss> {
        self.behind.pop();
        self.again()
    }

    /// From the root to where the names behind lead.
    fn again(&mut self) -> Result<(), Miss> {
        self.here = open_root(self.inside)?;
        self.stands = sys::look(self.here.as_fd(), false)?;
        self.mount = self.inside.mounts.of(self.here.as_fd(), self.stands.mount)?;
        for name in std::mem::take(&mut self.behind) {
            let (next, look) = self.step(&name)?;
            if look.stat.kind != FileKind::Directory {
                return Err(Errno(libc::ENOENT).into());
            }
            self.behind.push(name);
            (self.here, self.stands) = (next, look);
        }
        Ok(())
    }
}

/// A descriptor of the root, to walk from.
fn open_root(inside: &Inside) -> Result<OwnedFd, Errno> {
    sys::openat2(inside.root.as_fd(), b".", libc::O_PATH | libc::O_DIRECTORY, RESOLVE_IN_ROOT)
}

/// Whether a path says that it leads to a directory (`path_resolution(7)`).
fn ends_in_directory(path: &[u8]) -> bool {
    path.ends_with(b"/") || path.ends_with(b"/.")
}

/// The names of a path, last first.
fn names(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|b| *b == b'/').rev().filter(|n| !n.is_empty() && *n != b".").map(<[u8]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::names_kernel;

    #[test]
    fn only_a_path_that_begins_there_names_the_kernel() {
        for path in ["/proc/1/status", "/sys", "//proc", "/./sys/fs", "/proc"] {
            assert!(names_kernel(path.as_bytes()), "{path}");
        }
        for path in ["/app/proc", "/process/x", "/proc/../app/log", "/*", "/", "/**/kmsg"] {
            assert!(!names_kernel(path.as_bytes()), "{path}");
        }
    }
}
