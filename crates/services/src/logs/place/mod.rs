//! Where a container's file is on the host.
//!
//! The process's list of mounts says on which file system a path lies, our own list where that file system is mounted
//! here. A container writes what it likes: it plants symbolic links in its layers and volumes, mounts over its own
//! paths, and in a user namespace mounts file systems with options of its choice. So a path counts only when a walk that
//! follows no link and crosses no mount ends at the very file (`openat2(2)`): the same device and inode number for bind
//! mounts; for a layer of an overlay, which has another device, the same inode number below a directory that the host
//! itself, or a process of its user namespace, mounted. Everything else is readable through the helper only, and the
//! reason is said.
//!
//! A path that was right may lead elsewhere a moment later, for it goes through directories that the container can
//! write to: whoever opens it compares again, and follows no link.
//!
//! | the container sees | the host has |
//! |---|---|
//! | bind mounts, volumes, the kubelet's directories | the mounted directory |
//! | an overlay | its upper directory; for what the image brought, a lower one |
//! | a root that is a plain directory (LXC, systemd-nspawn, `--rootfs`) | that directory |
//! | tmpfs of its own, FUSE, NFS | nothing that is told here |

mod layers;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use portolan_linux::identity::{self, Identity};
use portolan_linux::mount_info::{Mount, parse};
use portolan_linux::{NamespaceId, NamespaceKind, Process};

use super::Result;
use super::open::LogFile;

/// More places on the host than this are not tried for one file.
const MAX_TRIES: usize = 64;

/// Where a container's file is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// Here, for this process: it was that very file when we looked.
    Host(PathBuf),
    /// Readable through the helper only, and why.
    Helper(&'static str),
    /// Nowhere: it was deleted, and only who holds it open has it.
    Deleted,
}

/// The mounts of this process, by which paths of containers are found on the host.
///
/// Paths are as this process sees them: an agent that runs in a container itself finds what is mounted there.
#[derive(Debug, Clone)]
pub struct Mapping {
    own: Vec<u8>,
    /// Where in it the lines of a file system's mounts are: a host with a thousand containers has thousands of them.
    by_device: HashMap<Vec<u8>, Vec<Range<usize>>>,
    by_id: HashMap<u64, Range<usize>>,
    user: NamespaceId,
}

/// The mounts that a process sees, and whose user namespace it is in: read once for all processes that see the same.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    text: Vec<u8>,
    user: NamespaceId,
}

impl Seen {
    pub(crate) fn of(process: &Process) -> Result<Self> {
        Ok(Self { text: process.mount_info()?, user: process.namespace(NamespaceKind::User)? })
    }

    /// The numbers of the mounts whose server answers when it likes.
    pub(super) fn slow(&self) -> HashSet<u64> {
        parse(&self.text).filter(|mount| is_slow(mount.kind)).map(|mount| mount.id).collect()
    }
}

/// A file that is looked for.
#[derive(Debug, Clone, Copy)]
struct Wanted<'a> {
    /// Below the mount's root.
    path: &'a Path,
    identity: &'a Identity,
}

impl Mapping {
    /// Reads our own list of mounts.
    ///
    /// # Errors
    /// When `/proc/self/mountinfo` cannot be read.
    pub fn new() -> Result<Self> {
        let me = Process::own()?;
        Ok(Self::of(me.mount_info()?, me.namespace(NamespaceKind::User)?))
    }

    fn of(own: Vec<u8>, user: NamespaceId) -> Self {
        let (mut by_device, mut by_id) = (HashMap::<Vec<u8>, Vec<Range<usize>>>::new(), HashMap::new());
        let mut from = 0_usize;
        for line in own.split(|byte| *byte == b'\n') {
            let to = from.saturating_add(line.len());
            if let Some(mount) = parse(line).next() {
                by_device.entry(mount.device.to_vec()).or_default().push(from..to);
                by_id.insert(mount.id, from..to);
            }
            from = to.saturating_add(1);
        }
        Self { own, by_device, by_id, user }
    }

    fn line(&self, range: &Range<usize>) -> Option<Mount<'_>> {
        parse(self.own.get(range.clone())?).next()
    }

    /// Our mounts of a file system.
    fn of_device(&self, device: &[u8]) -> impl Iterator<Item = Mount<'_>> {
        self.by_device.get(device).into_iter().flatten().filter_map(|range| self.line(range))
    }

    /// Where a file is that a process holds open.
    ///
    /// # Errors
    /// [`TargetGone`](portolan_linux::ErrorKind::TargetGone),
    /// [`MissingPrivilege`](portolan_linux::ErrorKind::MissingPrivilege).
    ///
    /// # Example
    /// ```
    /// use portolan_linux::Process;
    /// use portolan_services::logs::{Mapping, open};
    ///
    /// let me = Process::open(std::process::id().cast_signed())?;
    /// let mapping = Mapping::new()?;
    /// for file in open::log_files(&me, open::DESCRIPTORS)?.files {
    ///     println!("{:?}", mapping.of_file(&me, &file)?);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn of_file(&self, process: &Process, file: &LogFile) -> Result<Place> {
        Ok(self.of_file_among(&Seen::of(process)?, file))
    }

    /// The same, by mounts that were read already.
    pub(crate) fn of_file_among(&self, seen: &Seen, file: &LogFile) -> Place {
        if file.deleted {
            return Place::Deleted;
        }
        let Some(identity) = &file.identity else { return Place::Helper(SLOW) };
        let (path, whole) = (OsStr::from_bytes(&file.path), OsStr::from_bytes(&file.whole));
        // A mount of ours, as of a process of the host: its path is ours, too.
        let own = file.mount.and_then(|id| self.line(self.by_id.get(&id)?));
        if let Some(mount) = own {
            let found =
                below(Path::new(whole), &mount.point).and_then(|rest| at(&point(&mount), &rest, identity));
            return found.map_or(Place::Helper("something else is mounted over its path"), Place::Host);
        }
        self.find(seen, Path::new(path), file.mount, identity)
    }

    /// Where a path inside is, which leads to this file through no symbolic link; the helper tells which file it is.
    ///
    /// # Errors
    /// As [`of_file`](Self::of_file).
    pub fn of_path(&self, process: &Process, path: &Path, identity: &Identity) -> Result<Place> {
        Ok(self.of_path_among(&Seen::of(process)?, path, identity))
    }

    /// The same, by mounts that were read already.
    pub(crate) fn of_path_among(&self, seen: &Seen, path: &Path, identity: &Identity) -> Place {
        self.find(seen, path, None, identity)
    }

    fn find(&self, seen: &Seen, path: &Path, id: Option<u64>, identity: &Identity) -> Place {
        if !path.is_absolute() || path.components().any(|c| c.as_os_str() == "..") {
            return Place::Helper("its path is not absolute and plain");
        }
        let Some(mount) = covering(&seen.text, path, id) else {
            return Place::Helper("the mount that it lies on is not in its process's list");
        };
        if is_slow(mount.kind) {
            return Place::Helper(SLOW);
        }
        if mount.root.ends_with(b"//deleted") {
            return Place::Helper("the directory that is mounted there was deleted");
        }
        let Some(rest) = below(path, &mount.point) else {
            return Place::Helper("its path is not below its mount");
        };
        let inside = Path::new(OsStr::from_bytes(&mount.root)).join(&rest);
        let wanted = Wanted { path: &inside, identity };
        if mount.kind == b"overlay" {
            return self.overlay(&mount, wanted, seen.user == self.user);
        }
        match self.mounted(&mount, wanted) {
            Some(path) => Place::Host(path),
            None if mount.kind == b"tmpfs" => {
                Place::Helper("it lies in memory (tmpfs), which no path of ours leads to")
            }
            None => Place::Helper("no path of ours leads to it"),
        }
    }

    /// Where what a mount shows is mounted here: the same file system, by a mount whose root is above the file.
    fn mounted(&self, mount: &Mount<'_>, wanted: Wanted<'_>) -> Option<PathBuf> {
        let same = self.of_device(mount.device).filter(|own| !is_slow(own.kind));
        let mut ways: Vec<_> = same
            .filter_map(|own| Some((point(&own), below(wanted.path, &own.root)?)))
            .take(MAX_TRIES)
            .collect();
        // The shortest way is the one that people know.
        ways.sort_by_key(|(point, rest)| point.as_os_str().len().saturating_add(rest.as_os_str().len()));
        ways.iter().find_map(|(point, rest)| at(point, rest, wanted.identity))
    }

    fn overlay(&self, mount: &Mount<'_>, wanted: Wanted<'_>, trusted: bool) -> Place {
        let own = self.of_device(mount.device).find(|own| own.kind == b"overlay");
        if own.is_none() && !trusted {
            return Place::Helper(
                "its overlay was mounted in a user namespace, which can name any directory",
            );
        }
        // What the host mounted it says itself; where it is mounted tells what relative directories mean.
        let (options, point) = match &own {
            Some(own) => (own.options, Some(point(own))),
            None => (mount.options, None),
        };
        let found = layers::find(options, point.as_deref(), wanted.path, wanted.identity);
        match found.or_else(|| self.mounted(mount, wanted)) {
            Some(path) => Place::Host(path),
            None => Place::Helper("it was found in none of the overlay's directories"),
        }
    }
}

/// Whether a path of ours leads through a mount whose server answers when it likes.
pub(super) fn leads_through_slow(path: &Path) -> Result<bool> {
    let own = Process::own()?.mount_info()?;
    let slow = |mount: &Mount<'_>| is_slow(mount.kind) && *mount.point != *b"/";
    Ok(parse(&own).any(|mount| slow(&mount) && path.starts_with(OsStr::from_bytes(&mount.point))))
}

pub(super) const SLOW: &str = "it lies on a file system that can make a reader wait";

/// The path below a directory if it is this very file.
fn at(directory: &Path, path: &Path, identity: &Identity) -> Option<PathBuf> {
    let found = identity::beneath(identity::directory(directory).ok()?, path).ok()?;
    let found = Identity::of(&found).ok()?;
    found.is(identity).then(|| join(directory, path))
}

/// Without a slash at the end for an empty path.
fn join(directory: &Path, path: &Path) -> PathBuf {
    if path.as_os_str().is_empty() { directory.to_owned() } else { directory.join(path) }
}

fn point(mount: &Mount<'_>) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(&mount.point))
}

/// The rest of a path below a directory.
fn below(path: &Path, directory: &[u8]) -> Option<PathBuf> {
    path.strip_prefix(OsStr::from_bytes(directory)).ok().map(Path::to_owned)
}

/// The mount by which a file was opened, or else the one that is seen on its path: the longest mount point, and of
/// several mounts on one the last.
fn covering<'a>(text: &'a [u8], path: &Path, id: Option<u64>) -> Option<Mount<'a>> {
    if id.is_some() {
        return parse(text).find(|mount| Some(mount.id) == id);
    }
    let covers = |mount: &Mount<'_>| path.starts_with(OsStr::from_bytes(&mount.point));
    parse(text).filter(covers).max_by_key(|mount| mount.point.len())
}

/// Types of file systems whose files come from another process or machine, which can make a reader wait.
pub(super) fn is_slow(kind: &[u8]) -> bool {
    const SLOW: &[&[u8]] = &[b"cifs", b"smb3", b"ceph", b"afs", b"autofs", b"9p", b"glusterfs", b"lustre"];
    kind.starts_with(b"fuse") || kind.starts_with(b"nfs") || SLOW.contains(&kind)
}
