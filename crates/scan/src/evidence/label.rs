//! Text that others chose, made fit to keep and to show: bounded and escaped.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use portolan_linux::error::Escaped;

/// The longest name that is kept, in bytes: a file name has no more.
const MAX_NAME: usize = 255;
/// The longest reference to an image that is kept, in bytes: a registry, a path of it, a tag and a digest.
const MAX_IMAGE: usize = 1024;
/// `PATH_MAX`, in bytes.
const MAX_PATH: usize = 4096;

/// A name, escaped; none when it is empty or longer than 255 bytes.
pub(crate) fn name(bytes: &[u8]) -> Option<String> {
    (!bytes.is_empty() && bytes.len() <= MAX_NAME).then(|| Escaped(bytes).to_string())
}

/// A reference to an image, escaped; none when it is empty or longer than 1 KiB.
pub(crate) fn image(bytes: &[u8]) -> Option<String> {
    (!bytes.is_empty() && bytes.len() <= MAX_IMAGE).then(|| Escaped(bytes).to_string())
}

/// An absolute path without `..`, of which nothing else is promised.
pub(crate) fn path(bytes: &[u8]) -> Option<PathBuf> {
    let path = Path::new(OsStr::from_bytes(bytes));
    let plain = path.components().all(|c| matches!(c, Component::RootDir | Component::Normal(_)));
    let fits = bytes.len() < MAX_PATH && !bytes.contains(&0);
    (path.is_absolute() && plain && fits).then(|| path.to_owned())
}

/// Whether a name can be put into a path as one element of it.
pub(crate) fn is_element(name: &str) -> bool {
    !name.is_empty() && name.len() <= MAX_NAME && !matches!(name, "." | "..") && !name.contains(['/', '\0'])
}

/// Whether Podman gave this name to the container that holds a pod together: the start of the pod's id, and `-infra`.
/// Nothing else tells it from the others; who gives an ordinary container such a name hides it among the sandboxes.
pub(crate) fn is_infra(name: &[u8]) -> bool {
    name.strip_suffix(b"-infra").is_some_and(|id| crate::cgroup::names::is_hex(id, 12))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_images() {
        assert_eq!(name(b"a\nb").as_deref(), Some(r"a\x0ab"));
        assert_eq!(name(b""), None);
        assert_eq!(name(&[b'a'; 256]), None);
        assert!(image(&[b'a'; 256]).is_some());
        assert_eq!(image(&[b'a'; 1025]), None);
    }

    #[test]
    fn paths() {
        assert_eq!(path(b"/a/b").as_deref(), Some(Path::new("/a/b")));
        for bad in [&b"a/b"[..], b"", b"/a/../b", b"/a\0b", &[b'/'; 5000]] {
            assert_eq!(path(bad), None);
        }
        assert!(is_element("a.b"));
        for bad in ["", ".", "..", "a/b", "a\0"] {
            assert!(!is_element(bad), "{bad:?}");
        }
    }

    #[test]
    fn infra_containers() {
        assert!(is_infra(b"9d39c66940d2-infra"));
        for other in
            [&b"web-infra"[..], b"9d39c66940d2", b"-infra", b"9D39C66940D2-infra", b"19d39c66940d2-infra"]
        {
            assert!(!is_infra(other));
        }
    }
}
