//! What is mounted where, in the view of who looks for records.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use super::view::path;
use crate::evidence::mounts;

/// The mounts of a view, read once.
#[derive(Debug, Default)]
pub(crate) struct Mounted {
    /// Mount points of file systems whose servers answer when they like.
    slow: HashSet<Vec<u8>>,
    /// For each device: which directories of it are mounted, and where.
    by_device: HashMap<Vec<u8>, Vec<Place>>,
}

/// A directory of a file system, and where it is mounted.
type Place = (Vec<u8>, Vec<u8>);

/// Types without a file that an engine would keep.
const BARE: &[&[u8]] =
    &[b"proc", b"sysfs", b"cgroup", b"cgroup2", b"nsfs", b"mqueue", b"devpts", b"devtmpfs", b"bpf"];
/// Types whose files come from another process or machine, which can let a reader wait.
const SLOW: &[&[u8]] = &[b"cifs", b"smb3", b"ceph", b"afs", b"autofs", b"9p", b"glusterfs", b"lustre"];

impl Mounted {
    /// From the text of a `mountinfo` file.
    pub(crate) fn of(text: &[u8]) -> Self {
        let mut mounted = Self::default();
        for mount in mounts::parse(text) {
            let kind = mount.kind;
            let slow = kind.starts_with(b"fuse") || kind.starts_with(b"nfs") || SLOW.contains(&kind);
            // The last mount on a point is the one that is seen. The root was chosen by who booted.
            if slow && *mount.point != *b"/" {
                mounted.slow.insert(mount.point.into_owned());
                continue;
            }
            mounted.slow.remove(&*mount.point);
            if !BARE.contains(&kind) {
                let places = mounted.by_device.entry(mount.device.to_vec()).or_default();
                places.push((mount.root.into_owned(), mount.point.into_owned()));
            }
        }
        mounted
    }

    /// Whether something is mounted here that can make a reader wait.
    pub(crate) fn is_slow(&self, point: &Path) -> bool {
        self.slow.contains(point.as_os_str().as_encoded_bytes())
    }

    /// Where a directory of a file system appears.
    pub(crate) fn place_of(&self, device: &[u8], directory: &[u8]) -> Option<PathBuf> {
        self.by_device.get(device)?.iter().find_map(|(root, point)| below(root, point, directory))
    }
}

/// Where a directory appears when `root` of its file system is mounted at `point`.
fn below(root: &[u8], point: &[u8], directory: &[u8]) -> Option<PathBuf> {
    let below = directory.strip_prefix(root).filter(|below| {
        // A prefix of names, not of letters.
        root == b"/" || below.is_empty() || below.first() == Some(&b'/')
    })?;
    Some(path(point).join(path(below.strip_prefix(b"/").unwrap_or(below))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_of_directories() {
        let place =
            |root: &str, point: &str| below(root.as_bytes(), point.as_bytes(), b"/lib/docker/containers/abc");
        assert_eq!(place("/", "/var").unwrap(), Path::new("/var/lib/docker/containers/abc"));
        assert_eq!(place("/lib/docker", "/d").unwrap(), Path::new("/d/containers/abc"));
        assert_eq!(place("/lib/doc", "/d"), None);
        assert_eq!(place("/other", "/d"), None);
        let mounted = Mounted::of(
            b"1 0 8:1 /x /a rw - ext4 d rw\n2 0 8:1 / /b rw - ext4 d rw\n3 0 0:3 / /p rw - proc d rw\n",
        );
        assert_eq!(mounted.place_of(b"8:1", b"/y/z").unwrap(), Path::new("/b/y/z"));
        assert_eq!(mounted.place_of(b"8:2", b"/y"), None);
        assert_eq!(mounted.place_of(b"0:3", b"/y"), None);
    }

    #[test]
    fn slow_ones() {
        let mounted = Mounted::of(
            b"1 0 0:1 / /a rw - nfs4 h:/ rw\n2 0 0:1 / /b rw - fuse.x x rw\n3 0 0:1 / / rw - 9p x rw\n\
              4 0 0:1 / /c rw - ext4 x rw\n5 0 0:1 / /b rw - ext4 x rw\n6 0 0:1 / /d rw - 9p x rw\n",
        );
        let slow = |path: &str| mounted.is_slow(Path::new(path));
        assert!(slow("/a") && slow("/d"));
        assert!(!slow("/b") && !slow("/c") && !slow("/"));
    }
}
