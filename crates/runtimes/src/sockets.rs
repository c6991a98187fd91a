//! Where the runtimes' sockets are, and how one is taken hold of.
//!
//! A user can lay anything into their own directory below `/run/user`: a link to another service's socket, which root
//! would then talk to, or a file system that never answers. So such a directory is entered as what the kernel shows it to
//! be, without following links or going over mounts, and what is found must be that user's.

use std::collections::BTreeSet;
use std::fs;
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, open, openat2};
use nix::sys::stat::{Mode, SFlag, fstat};

use crate::fault::Trouble;
use crate::metadata::Engine;

/// Where the sockets of users are.
const USERS: &str = "/run/user";
/// Below each user's directory.
const OF_USER: [&str; 2] = ["docker.sock", "podman/podman.sock"];
/// Root's own.
const OF_ROOT: [&str; 3] = ["/var/run/docker.sock", "/run/docker.sock", "/run/podman/podman.sock"];
/// More sockets than these are not asked: each costs a thread.
pub(crate) const MOST: usize = 64;

/// A path where a runtime's socket can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    /// The user in whose directory it was found; none for root's and for those that were given.
    pub(crate) user: Option<u32>,
    /// Whether somebody named it, so that it is missed when it is not there.
    pub(crate) given: bool,
}

impl Place {
    pub(crate) fn given(path: PathBuf) -> Self {
        Self { path, user: None, given: true }
    }

    /// Whose socket it is by its name, before anybody answers.
    pub(crate) fn engine(&self) -> Engine {
        if self.path.ends_with("podman.sock") { Engine::Podman } else { Engine::Docker }
    }
}

/// The places where sockets are now, root's first.
pub(crate) fn found() -> Vec<Place> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let host = variable("DOCKER_HOST").and_then(|host| {
        Some(PathBuf::from(std::ffi::OsStr::from_bytes(host.as_bytes().strip_prefix(b"unix://")?)))
    });
    let mut places: Vec<Place> = host.map(Place::given).into_iter().collect();
    let own = variable("XDG_RUNTIME_DIR").map(PathBuf::from);
    let users = users();
    // What is in our own directory is found there as our own, unless it is elsewhere.
    let own = own.filter(|own| own.is_absolute() && !own.starts_with(USERS));
    let roots = OF_ROOT.iter().map(PathBuf::from);
    let own = own.iter().flat_map(|own| OF_USER.iter().map(move |name| own.join(name)));
    places.extend(roots.chain(own).map(|path| Place { path, user: None, given: false }));
    for user in users {
        let directory = Path::new(USERS).join(user.to_string());
        places.extend(OF_USER.iter().map(|name| Place {
            path: directory.join(name),
            user: Some(user),
            given: false,
        }));
    }
    places
}

fn users() -> BTreeSet<u32> {
    let entries = fs::read_dir(USERS).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// A socket that was taken hold of: no other can come in its place.
#[derive(Debug)]
pub(crate) struct Opened {
    fd: OwnedFd,
    /// Device and inode: two paths can lead to one socket.
    pub(crate) identity: (u64, u64),
}

impl Opened {
    /// A path that leads to this very socket, for `connect(2)`.
    pub(crate) fn path(&self) -> String {
        format!("/proc/self/fd/{}", self.fd.as_raw_fd())
    }
}

/// Takes hold of a socket without connecting; nothing where there is none and none was named.
pub(crate) fn take(place: &Place) -> Result<Option<Opened>, Trouble> {
    let fd = match place.user {
        Some(user) => of_user(user, &place.path),
        None => open(&place.path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).map_err(of_errno),
    };
    let fd = match fd {
        Ok(fd) => fd,
        Err(Trouble::Io { kind: portolan_linux::ErrorKind::NotFound, .. }) if !place.given => {
            return Ok(None);
        }
        Err(trouble) => return Err(trouble),
    };
    let stat = fstat(&fd).map_err(of_errno)?;
    if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFSOCK {
        return Err(Trouble::NoSocket);
    }
    match place.user {
        Some(expected) if expected != stat.st_uid => Err(Trouble::Foreign { expected, found: stat.st_uid }),
        _ => Ok(Some(Opened { fd, identity: (stat.st_dev, stat.st_ino) })),
    }
}

fn of_user(user: u32, path: &Path) -> Result<OwnedFd, Trouble> {
    let directory = Path::new(USERS).join(user.to_string());
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    let below = path.strip_prefix(&directory).map_err(|_| Trouble::NoSocket)?;
    let top =
        open(&directory, flags | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW, Mode::empty()).map_err(of_errno)?;
    // Nothing was asked of its file system yet, and nothing is before it is known.
    let kind = file_system(&top).unwrap_or_else(|| "an unknown file system".to_owned());
    if !["tmpfs", "ext4", "xfs", "btrfs", "overlay", "ramfs"].contains(&kind.as_str()) {
        return Err(Trouble::FileSystem(kind));
    }
    let resolve =
        ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_XDEV;
    openat2(top.as_fd(), below, OpenHow::new().flags(flags).resolve(resolve)).map_err(of_errno)
}

/// The type of the file system that a descriptor lies on, by its mount (`proc_pid_fdinfo(5)`, `proc_pid_mountinfo(5)`):
/// `statfs(2)` would ask the file system itself.
fn file_system(fd: &OwnedFd) -> Option<String> {
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).ok()?;
    let mount = info.lines().find_map(|line| line.strip_prefix("mnt_id:"))?.trim();
    let mounts = fs::read("/proc/self/mountinfo").ok()?;
    mounts.split(|b| *b == b'\n').find_map(|line| {
        let line = String::from_utf8_lossy(line);
        let (place, kind) = line.split_once(" - ")?;
        (place.split(' ').next() == Some(mount)).then(|| kind.split(' ').next().map(str::to_owned))?
    })
}

fn of_errno(errno: nix::Error) -> Trouble {
    match errno {
        // A link or a mount on the way.
        nix::Error::ELOOP | nix::Error::EXDEV => Trouble::NoSocket,
        nix::Error::ENOTDIR => Trouble::of_io(&nix::Error::ENOENT.into()),
        other => Trouble::of_io(&other.into()),
    }
}
