//! The files of the host as a daemon sees them, read so that nobody but their owner decides what is read.
//!
//! A path can come from a user's process. So it is walked from the root: every directory on the way must belong to
//! root or to the one user whose word is asked for, and nobody else may write to it; a symbolic link counts only
//! when root made it, and leads on within the view; a file system that can make a reader wait (FUSE, the network) is
//! not entered. The file itself is opened without waiting and without following a link, and is read up to a limit.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::Read as _;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

use portolan_linux::Process;

use super::mounted::Mounted;
use super::stamp::Stamp;
use crate::evidence::label;

const SLOW: Reason = "it lies on a file system that can make a reader wait";
/// More symbolic links than this on one way are not followed.
const MAX_LINKS: usize = 8;
/// Deeper paths are not walked.
const MAX_DEPTH: usize = 128;

/// Where paths begin, and where not to go.
#[derive(Debug)]
pub(crate) struct View {
    /// In front of every path; empty for our own root.
    base: PathBuf,
    /// Holds the root of another process as long as the view lasts.
    _root: Option<OwnedFd>,
    mounted: Mounted,
}

/// Whose files count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    /// Root's only.
    Root,
    /// This user's only, below directories of theirs and of root. Root's files do not count: the user may have named
    /// the path, and root's records are of root's containers.
    User(u32),
}

/// What was read.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) bytes: Vec<u8>,
    pub(crate) stamp: Stamp,
    /// The user that owns the file.
    pub(crate) user: u32,
    /// The path by which we reach it: the stamp can be taken again there.
    pub(crate) path: PathBuf,
}

/// What was looked at.
#[derive(Debug)]
pub(crate) struct Stamped {
    pub(crate) stamp: Stamp,
    /// The user that owns it.
    pub(crate) user: u32,
    /// The path by which we reach it.
    pub(crate) path: PathBuf,
}

/// Why a file was not read, as a clause.
pub(crate) type Reason = &'static str;

impl View {
    /// Ours.
    pub(crate) fn own() -> Self {
        let text = Process::own().and_then(|p| p.mount_info());
        Self { base: PathBuf::new(), _root: None, mounted: Mounted::of(&text.unwrap_or_default()) }
    }

    /// That of another process: a daemon or monitor that is not in our mount namespace.
    ///
    /// # Errors
    /// As [`Process::root`] and [`Process::mount_info`].
    pub(crate) fn of(process: &Process) -> portolan_linux::Result<Self> {
        let root = process.root()?;
        let mounted = Mounted::of(&process.mount_info()?);
        // The descriptor, not the number: the process can end, and its number be another's.
        let base = PathBuf::from(format!("/proc/self/fd/{}", root.as_raw_fd()));
        Ok(Self { base, _root: Some(root), mounted })
    }

    /// What is mounted in it.
    pub(crate) fn mounted(&self) -> &Mounted {
        &self.mounted
    }

    /// Reads a file of at most `cap` bytes.
    ///
    /// # Errors
    /// A clause that says why not: it is not there, is someone else's, or could not be read.
    pub(crate) fn read(&self, path: &Path, owner: Owner, cap: u64) -> Result<Content, Reason> {
        let (directory, name) = self.walk(path, owner)?;
        let place = directory.join(name);
        let file = File::options().read(true).custom_flags(O_NONBLOCK | O_NOFOLLOW).open(&place);
        let mut file = file.map_err(|e| reason(&e))?;
        let meta = file.metadata().map_err(|e| reason(&e))?;
        if !meta.is_file() {
            return Err("it is no file");
        }
        if !owner.counts(meta.uid()) {
            return Err("it is not the owner's whose word counts");
        }
        if meta.len() > cap {
            return Err("it is too long");
        }
        let mut bytes = Vec::new();
        file.by_ref().take(cap).read_to_end(&mut bytes).map_err(|e| reason(&e))?;
        Ok(Content { bytes, stamp: Stamp::of_metadata(&meta), user: meta.uid(), path: place })
    }

    /// Looks at a file without reading it; a symbolic link is one.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(crate) fn stamp(&self, path: &Path, owner: Owner) -> Result<Stamped, Reason> {
        let (directory, name) = self.walk(path, owner)?;
        let place = directory.join(name);
        let meta = std::fs::symlink_metadata(&place).map_err(|e| reason(&e))?;
        if !owner.counts(meta.uid()) {
            return Err("it is not the owner's whose word counts");
        }
        Ok(Stamped { stamp: Stamp::of_metadata(&meta), user: meta.uid(), path: place })
    }

    /// The names in a directory, at most `cap` of them, in no order; none when it cannot be read.
    pub(crate) fn names(&self, path: &Path, owner: Owner, cap: usize) -> Vec<OsString> {
        let Ok((directory, _)) = self.walk(&path.join("x"), owner) else { return Vec::new() };
        let Ok(entries) = std::fs::read_dir(directory) else { return Vec::new() };
        entries.take(cap).filter_map(|entry| Some(entry.ok()?.file_name())).collect()
    }

    /// Checks all directories on the way; the last of them as we reach it, and the name in it.
    fn walk(&self, path: &Path, owner: Owner) -> Result<(PathBuf, OsString), Reason> {
        let path = label::path(path.as_os_str().as_bytes()).ok_or("its path is not absolute and plain")?;
        let name = path.file_name().ok_or("its path has no name")?.to_owned();
        let mut ahead = elements(path.parent().unwrap_or(&path));
        // Both as we reach it, and as the view sees it.
        let (mut here, mut seen) = (self.reach(Path::new("/")), PathBuf::from("/"));
        let meta = std::fs::metadata(&here).map_err(|e| reason(&e))?;
        let mut parent = owner.check_directory(&meta)?;
        let (mut links, mut steps) = (0_usize, 0_usize);
        while let Some(element) = ahead.pop() {
            steps = steps.saturating_add(1);
            if steps > MAX_DEPTH {
                return Err("its path is too deep");
            }
            let next = seen.join(&element);
            if self.mounted.is_slow(&next) {
                return Err(SLOW);
            }
            let place = here.join(&element);
            let meta = std::fs::symlink_metadata(&place).map_err(|e| reason(&e))?;
            if meta.is_symlink() {
                links = links.saturating_add(1);
                if links > MAX_LINKS || meta.uid() != 0 || !parent.is_roots {
                    return Err("its path has a symbolic link that is not root's");
                }
                let target = std::fs::read_link(&place).map_err(|e| reason(&e))?;
                let target =
                    resolved(&seen, &target).ok_or("its path has a link that leads nowhere plain")?;
                ahead.extend(elements(&target));
                (here, seen) = (self.reach(Path::new("/")), PathBuf::from("/"));
                continue;
            }
            parent = owner.check_directory(&meta)?;
            (here, seen) = (place, next);
        }
        if self.mounted.is_slow(&seen.join(&name)) {
            return Err(SLOW);
        }
        Ok((here, name))
    }

    fn reach(&self, path: &Path) -> PathBuf {
        if self.base.as_os_str().is_empty() {
            return path.to_owned();
        }
        self.base.join(path.strip_prefix("/").unwrap_or(path))
    }
}

/// A directory that passed.
#[derive(Debug, Clone, Copy)]
struct Passed {
    /// Whether only root can put names there.
    is_roots: bool,
}

impl Owner {
    /// Whether a file of this user's counts.
    pub(crate) fn counts(self, user: u32) -> bool {
        match self {
            Self::Root => user == 0,
            Self::User(own) => user == own,
        }
    }

    fn check_directory(self, meta: &Metadata) -> Result<Passed, Reason> {
        const GROUP_WRITES: u32 = 0o020;
        const OTHERS_WRITE: u32 = 0o002;
        const STICKY: u32 = 0o1000;
        if !meta.is_dir() {
            return Err("its path goes through what is no directory");
        }
        if meta.uid() != 0 && !self.counts(meta.uid()) {
            return Err("its path goes through another's directory");
        }
        let mode = meta.mode();
        // A user's own group usually has nobody else in it; root's has root.
        let by_group = mode & GROUP_WRITES != 0 && meta.gid() != 0 && self == Self::Root;
        let by_others = mode & OTHERS_WRITE != 0;
        // In a sticky directory nobody can replace what is another's.
        if (by_group || by_others) && mode & STICKY == 0 {
            return Err("its path goes through a directory that others write to");
        }
        Ok(Passed { is_roots: meta.uid() == 0 && mode & (GROUP_WRITES | OTHERS_WRITE) == 0 })
    }
}

/// The elements of an absolute path, the first last.
fn elements(path: &Path) -> Vec<OsString> {
    let normal = path.components().filter_map(|c| match c {
        Component::Normal(name) => Some(name.to_owned()),
        _ => None,
    });
    let mut all: Vec<_> = normal.collect();
    all.reverse();
    all
}

/// Where a link in a directory leads, `..` taken by its letters: the directories above are no links any more.
fn resolved(directory: &Path, target: &Path) -> Option<PathBuf> {
    let mut path = directory.to_owned();
    for component in target.components() {
        match component {
            Component::RootDir => path = PathBuf::from("/"),
            Component::Normal(name) => path.push(name),
            Component::ParentDir => _ = path.pop(),
            Component::CurDir => {}
            Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

/// `O_NONBLOCK`, so that a FIFO in its place holds nobody up, and `O_NOFOLLOW`. The numbers are those of x86, arm64
/// and RISC-V; where they mean something else, the walk has looked already.
const O_NONBLOCK: i32 = 0o4000;
#[cfg(any(target_arch = "aarch64", target_arch = "arm", target_arch = "powerpc64"))]
const O_NOFOLLOW: i32 = 0o100_000;
#[cfg(not(any(target_arch = "aarch64", target_arch = "arm", target_arch = "powerpc64")))]
const O_NOFOLLOW: i32 = 0o400_000;

fn reason(error: &std::io::Error) -> Reason {
    match error.kind() {
        std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => "it is not there",
        std::io::ErrorKind::PermissionDenied => "it may not be read",
        _ => "it could not be read",
    }
}

/// A name of a directory as text; none for what is no text.
pub(crate) fn text(name: OsString) -> Option<String> {
    String::from_utf8(name.into_vec()).ok()
}

/// A path of bytes.
pub(crate) fn path(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

#[cfg(test)]
mod tests;
