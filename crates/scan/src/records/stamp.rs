//! Which state of a file was read, so that a later look can ask cheaply whether there is another.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// A file's identity and state. Engines replace their records by renaming or write them anew: either shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    /// Bytes.
    size: u64,
    /// Seconds and nanoseconds.
    modified: (i64, i64),
    /// The same of the last change of its metadata, which nobody can set back.
    changed: (i64, i64),
}

impl Stamp {
    /// Of what lies at a path now (a symbolic link is not followed); none when it cannot be seen.
    pub(crate) fn of(path: &Path) -> Option<Self> {
        std::fs::symlink_metadata(path).ok().as_ref().map(Self::of_metadata)
    }

    pub(crate) fn of_metadata(meta: &Metadata) -> Self {
        Self {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::tests::Scratch;

    #[test]
    fn changes_show() {
        let scratch = Scratch::new("stamp");
        let file = scratch.write("a", b"one");
        let first = Stamp::of(&file).unwrap();
        assert_eq!(Stamp::of(&file), Some(first));
        scratch.write("a", b"four");
        assert_ne!(Stamp::of(&file), Some(first));
        // Replaced by another of the same size.
        let other = scratch.write("b", b"one");
        std::fs::rename(&other, &file).unwrap();
        assert_ne!(Stamp::of(&file), Some(first));
        assert_eq!(Stamp::of(&other), None);
    }
}
