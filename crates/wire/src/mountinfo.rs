//! The lines of `/proc/PID/mountinfo` (`proc_pid_mountinfo(5)`), as far as the helper needs them.
//!
//! Paths in it are a container's and can hold anything (the kernel escapes blanks); they are not looked at.

use crate::code::FileSystem;

/// The file system type of one mount; `None` when the text has no such mount.
///
/// # Example
/// ```
/// use portolan_wire::mountinfo::type_of;
///
/// let text = b"36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - fuse.sshfs /dev/root rw,errors=continue\n";
/// assert_eq!(type_of(text, 36), Some(&b"fuse.sshfs"[..]));
/// assert_eq!(type_of(text, 35), None);
/// ```
#[must_use]
pub fn type_of(text: &[u8], mount: u64) -> Option<&[u8]> {
    text.split(|b| *b == b'\n').find_map(|line| {
        let mut words = line.split(|b| *b == b' ');
        let id: u64 = core::str::from_utf8(words.next()?).ok()?.parse().ok()?;
        if id != mount {
            return None;
        }
        // Parent, device, root, mount point and options; then optional fields up to a lone dash.
        let mut words = words.skip(5);
        words.find(|word| *word == b"-")?;
        words.next().filter(|name| !name.is_empty())
    })
}

/// The verdict over one mount: `Ok` when it is read, the kind of file system when it is not by default.
///
/// # Errors
/// The kind; [`FileSystem::Unknown`] for a mount that the text does not have.
pub fn verdict(text: &[u8], mount: u64) -> Result<(), FileSystem> {
    match type_of(text, mount).map(FileSystem::of_type) {
        None => Err(FileSystem::Unknown),
        Some(None) => Ok(()),
        Some(Some(kind)) => Err(kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"24 1 0:22 / / rw - overlay overlay rw,lowerdir=/l\n\
        25 24 0:23 / /proc rw,nosuid shared:1 master:2 - proc proc rw\n\
        26 24 0:24 / /a\\040-\\040b rw - fuse.rclone - rw\n\
        27 24 0:25 / /n rw - nfs4 h:/e rw\n\
        28 24 0:26 / /broken rw shared:3\n\
        x y z\n\
        29 24 0:27 / /t rw - tmpfs tmpfs rw";

    #[test]
    fn verdicts() {
        assert_eq!(verdict(TEXT, 24), Ok(()));
        assert_eq!(verdict(TEXT, 29), Ok(()));
        assert_eq!(verdict(TEXT, 25), Err(FileSystem::Proc));
        assert_eq!(verdict(TEXT, 26), Err(FileSystem::Fuse));
        assert_eq!(verdict(TEXT, 27), Err(FileSystem::Nfs));
        for unknown in [28, 30, 0] {
            assert_eq!(verdict(TEXT, unknown), Err(FileSystem::Unknown));
        }
        for end in 0..TEXT.len() {
            let _ = verdict(TEXT.get(..end).unwrap_or(&[]), 29);
        }
    }
}
