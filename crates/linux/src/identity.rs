//! Which file it is: device and inode number, asked so that nobody is waited for; and a walk below a directory that
//! leads nowhere else.
//!
//! Whoever can write to a directory can plant a symbolic link in it, or mount something over it. [`beneath`] follows
//! neither: what it opens lies below the directory, on the same mount, or it opens nothing (`openat2(2)`, Linux 5.6).

use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::Mode;

use crate::error::{FileKind, os};
use crate::sys;

/// Which file it is, and what it was when we looked.
///
/// Device and inode number are those of a file as long as something holds it; afterwards another can have them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Major and minor number of the file system.
    pub device: (u32, u32),
    /// The number of the file in it.
    pub inode: u64,
    /// What it is.
    pub kind: FileKind,
    /// Bytes; what the kernel knows of them without asking the file system's server.
    pub size: u64,
    /// How many names it has; none when it was deleted.
    pub links: u32,
}

impl Identity {
    /// Whether this is the other file: device and inode number, and what it is.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        (self.device, self.inode, self.kind) == (other.device, other.inode, other.kind)
    }

    /// Of what a descriptor leads to.
    ///
    /// # Errors
    /// Those of `statx(2)`.
    ///
    /// # Example
    /// ```
    /// use portolan_linux::identity::Identity;
    ///
    /// let program = std::fs::File::open("/proc/self/exe")?;
    /// assert!(Identity::of(&program)?.size > 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn of(file: impl AsFd) -> io::Result<Self> {
        sys::statx(file.as_fd(), c"", libc::AT_EMPTY_PATH).map(Self::from)
    }

    /// Of what lies under a name in a directory; a symbolic link is one.
    ///
    /// # Errors
    /// Those of `statx(2)`.
    pub fn at(directory: impl AsFd, name: &Path) -> io::Result<Self> {
        let name = CString::new(name.as_os_str().as_bytes())?;
        sys::statx(directory.as_fd(), &name, libc::AT_SYMLINK_NOFOLLOW).map(Self::from)
    }
}

impl From<libc::statx> for Identity {
    fn from(found: libc::statx) -> Self {
        let kind = match u32::from(found.stx_mode) & libc::S_IFMT {
            libc::S_IFREG => FileKind::Regular,
            libc::S_IFDIR => FileKind::Directory,
            libc::S_IFLNK => FileKind::Symlink,
            libc::S_IFIFO => FileKind::Fifo,
            libc::S_IFSOCK => FileKind::Socket,
            libc::S_IFCHR => FileKind::CharDevice,
            libc::S_IFBLK => FileKind::BlockDevice,
            _ => FileKind::Unknown,
        };
        Self {
            device: (found.stx_dev_major, found.stx_dev_minor),
            inode: found.stx_ino,
            kind,
            size: found.stx_size,
            links: found.stx_nlink,
        }
    }
}

/// Takes hold of a directory of our own mount namespace, whose path is trusted: symbolic links in it are followed.
/// Nothing is read (`O_PATH`).
///
/// # Errors
/// Those of `open(2)`.
pub fn directory(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    nix::fcntl::open(path, flags, Mode::empty()).map_err(os)
}

/// The path of what a descriptor leads to, with all symbolic links resolved.
///
/// # Errors
/// Those of `readlink(2)`.
pub fn path_of(file: impl AsFd) -> io::Result<PathBuf> {
    use std::os::fd::AsRawFd as _;
    std::fs::read_link(format!("/proc/self/fd/{}", file.as_fd().as_raw_fd()))
}

/// Takes hold of what lies below a directory, without reading it (`O_PATH`): no symbolic link is followed, no mount
/// point crossed, and nothing above the directory reached. The path may begin with a slash.
///
/// # Errors
/// `ELOOP` for a symbolic link, `EXDEV` for a mount point or `..`, `ENOSYS` before Linux 5.6, and what else
/// `openat2(2)` says.
pub fn beneath(directory: impl AsFd, path: &Path) -> io::Result<OwnedFd> {
    let path = path.strip_prefix("/").unwrap_or(path);
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let resolve = ResolveFlag::RESOLVE_BENEATH
        | ResolveFlag::RESOLVE_NO_SYMLINKS
        | ResolveFlag::RESOLVE_NO_MAGICLINKS
        | ResolveFlag::RESOLVE_NO_XDEV;
    let how = OpenHow::new().flags(OFlag::O_PATH | OFlag::O_CLOEXEC).resolve(resolve);
    openat2(directory.as_fd(), path, how).map_err(os)
}

/// Opens a regular file of the host to read it, without following a symbolic link at the end of the path; with
/// `strictly`, on the way either. What it is, is looked at before it is opened: no device or FIFO is.
///
/// # Errors
/// `ELOOP` for a symbolic link, `EINVAL` for what is no regular file, and what else `open(2)` says.
pub fn open_regular(path: &Path, strictly: bool) -> io::Result<(std::fs::File, Identity)> {
    use std::os::fd::AsRawFd as _;
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let held = if strictly {
        let resolve = ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        openat2(nix::fcntl::AT_FDCWD, path, OpenHow::new().flags(flags).resolve(resolve)).map_err(os)?
    } else {
        nix::fcntl::open(path, flags, Mode::empty()).map_err(os)?
    };
    let identity = Identity::of(&held)?;
    match identity.kind {
        FileKind::Regular => {}
        FileKind::Symlink => return Err(io::Error::from_raw_os_error(libc::ELOOP)),
        _ => return Err(io::Error::from_raw_os_error(libc::EINVAL)),
    }
    // The very file that was looked at, by its magic link.
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = nix::fcntl::open(format!("/proc/self/fd/{}", held.as_raw_fd()).as_str(), flags, Mode::empty());
    Ok((std::fs::File::from(file.map_err(os)?), identity))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leads_out_of_a_directory() {
        let scratch = std::env::temp_dir().join(format!("portolan-beneath-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&scratch);
        std::fs::create_dir_all(scratch.join("in/deep")).unwrap();
        std::fs::write(scratch.join("in/deep/log"), b"one").unwrap();
        std::fs::write(scratch.join("secret"), b"two").unwrap();
        for (name, target) in [("in/link", "deep/log"), ("in/out", "/etc"), ("in/up", "../secret")] {
            std::os::unix::fs::symlink(target, scratch.join(name)).unwrap();
        }
        let inside = directory(&scratch.join("in")).unwrap();
        let found = beneath(&inside, Path::new("/deep/log")).unwrap();
        // The directory of temporary files can have a link above it.
        let log = std::fs::canonicalize(scratch.join("in/deep/log")).unwrap();
        let identity = Identity::of(&found).unwrap();
        let file = std::fs::File::open(&log).unwrap();
        assert!(identity.is(&Identity::of(&file).unwrap()));
        assert_eq!((identity.size, identity.links, identity.kind), (3, 1, FileKind::Regular));
        assert_eq!(path_of(&found).unwrap(), log);
        for (path, errno) in [
            ("link", libc::ELOOP),
            ("out/passwd", libc::ELOOP),
            ("up", libc::ELOOP),
            ("../secret", libc::EXDEV),
            ("deep/../../secret", libc::EXDEV),
            ("nothing", libc::ENOENT),
        ] {
            let error = beneath(&inside, Path::new(path)).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(errno), "{path}");
        }
        assert_eq!(Identity::at(&inside, Path::new("link")).unwrap().kind, FileKind::Symlink);
        assert_eq!(open_regular(&log, true).unwrap().1.inode, identity.inode);
        std::os::unix::fs::symlink("deep", scratch.join("in/way")).unwrap();
        assert!(open_regular(&scratch.join("in/way/log"), false).is_ok());
        let error = open_regular(&scratch.join("in/way/log"), true).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ELOOP));
        for (name, errno) in [("in/link", libc::ELOOP), ("in", libc::EINVAL), ("nothing", libc::ENOENT)] {
            let error = open_regular(&scratch.join(name), false).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(errno), "{name}");
        }
        nix::unistd::mkfifo(&scratch.join("fifo"), Mode::S_IRUSR).unwrap();
        assert_eq!(open_regular(&scratch.join("fifo"), true).unwrap_err().raw_os_error(), Some(libc::EINVAL));
        let root = directory(Path::new("/")).unwrap();
        let error = beneath(&root, Path::new("proc/self")).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EXDEV), "a mount point");
        std::fs::remove_dir_all(&scratch).unwrap();
    }
}
