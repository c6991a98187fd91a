//! Whether a file changed, without ever waiting for its file system.
//!
//! A container's files can lie on a file system that never answers, which is why they are read in another process. But
//! since Linux 5.12 the kernel can be asked to look a path up only as far as it is in its memory already
//! (`RESOLVE_CACHED` of `openat2(2)`): such a look-up cannot wait for anything, and what it finds is nothing but a place
//! to ask for the file's numbers, as far as the kernel knows them (`AT_STATX_DONT_SYNC` of `statx(2)`). It stays below the root that is given (`RESOLVE_IN_ROOT`).

use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};

use crate::error::{Subject, os};
use crate::{Error, Result, sys};

/// What a glance at a path tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Glance {
    /// There is no such file.
    Missing,
    /// There is one, and it changed if any of its numbers did.
    There(FileNumbers),
    /// That could not be told without waiting, or this kernel cannot do that at all.
    Unknown,
}

/// The numbers of a file that change when it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileNumbers {
    /// The device that it is on: major number in the upper half, minor in the lower.
    pub device: u64,
    /// Its inode number there.
    pub inode: u64,
    /// Its size in bytes.
    pub size: u64,
    /// When its content changed last.
    pub modified: SystemTime,
}

/// `RESOLVE_CACHED` of `linux/openat2.h`, since Linux 5.12.
const CACHED: u64 = 0x20;

/// The root directory of a process, by its number: of another's, should the number have been given away meanwhile. That
/// is no harm to who compares the numbers of files, for another's are other files.
///
/// # Errors
/// [`ErrorKind::TargetGone`](crate::ErrorKind::TargetGone), or
/// [`ErrorKind::PermissionDenied`](crate::ErrorKind::PermissionDenied) without `CAP_SYS_PTRACE` over the process.
pub fn root(pid: i32) -> Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let path = format!("/proc/{pid}/root");
    nix::fcntl::open(path.as_str(), flags, nix::sys::stat::Mode::empty())
        .map_err(|e| Error::of_process("open root", pid, os(e)))
}

/// Looks at a path below a root.
///
/// # Example
/// ```
/// use portolan_linux::glance::{Glance, glance, root};
///
/// let root = root(std::process::id().cast_signed())?;
/// match glance(&root, "/etc/hostname".as_ref())? {
///     Glance::There(numbers) => println!("{} bytes", numbers.size),
///     other => println!("{other:?}"),
/// }
/// # Ok::<(), portolan_linux::Error>(())
/// ```
///
/// # Errors
/// Only when descriptors are short.
pub fn glance(root: impl AsFd, path: &Path) -> Result<Glance> {
    let flags = OFlag::O_PATH | OFlag::O_CLOEXEC;
    let resolve = ResolveFlag::RESOLVE_IN_ROOT
        | ResolveFlag::RESOLVE_NO_MAGICLINKS
        | ResolveFlag::from_bits_retain(CACHED);
    let how = OpenHow::new().flags(flags).resolve(resolve);
    match openat2(root.as_fd(), path, how) {
        Ok(file) => {
            let Ok(stat) = sys::statx(file.as_fd(), c"", libc::AT_EMPTY_PATH) else {
                return Ok(Glance::Unknown);
            };
            Ok(Glance::There(FileNumbers {
                device: u64::from(stat.stx_dev_major) << 32 | u64::from(stat.stx_dev_minor),
                inode: stat.stx_ino,
                size: stat.stx_size,
                modified: time(stat.stx_mtime),
            }))
        }
        Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(Glance::Missing),
        Err(error @ (Errno::EMFILE | Errno::ENFILE)) => Err(Error::of_call(
            "openat2",
            Subject::Path(path.as_os_str().as_encoded_bytes().to_vec()),
            os(error),
        )),
        Err(_) => Ok(Glance::Unknown),
    }
}

fn time(stamp: libc::statx_timestamp) -> SystemTime {
    let seconds = Duration::from_secs(stamp.tv_sec.unsigned_abs());
    let whole = if stamp.tv_sec < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(seconds)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(seconds)
    };
    let nanoseconds = Duration::from_nanos(stamp.tv_nsec.into());
    whole.and_then(|whole| whole.checked_add(nanoseconds)).unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn numbers(path: &Path) -> Glance {
        // What was written or looked at just now is in the kernel's memory.
        let _ = fs::metadata(path);
        glance(root(std::process::id().cast_signed()).unwrap(), path).unwrap()
    }

    #[test]
    fn a_change_shows_in_the_numbers() {
        let directory = std::env::temp_dir().join(format!("portolan-glance-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let file = directory.join("file");
        fs::write(&file, "one").unwrap();
        let before = numbers(&file);
        let Glance::There(told) = before else { panic!("{before:?}") };
        assert_eq!((told.size, told.modified), (3, fs::metadata(&file).unwrap().modified().unwrap()));
        assert_eq!(numbers(&file), before);
        fs::write(&file, "three").unwrap();
        assert_ne!(numbers(&file), before);
        let of_directory = numbers(&directory);
        fs::write(directory.join("other"), "").unwrap();
        assert_ne!(numbers(&directory), of_directory);
        fs::remove_file(&file).unwrap();
        assert_eq!(numbers(&file), Glance::Missing);
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn a_link_leads_nowhere_but_below_the_root() {
        let directory = std::env::temp_dir().join(format!("portolan-glance-root-{}", std::process::id()));
        fs::create_dir_all(directory.join("etc")).unwrap();
        fs::write(directory.join("etc/passwd"), "inside").unwrap();
        std::os::unix::fs::symlink("/etc/passwd", directory.join("link")).unwrap();
        std::os::unix::fs::symlink("../../../../../../etc/passwd", directory.join("up")).unwrap();
        let inside = nix::fcntl::open(
            &directory,
            OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC,
            nix::sys::stat::Mode::empty(),
        )
        .unwrap();
        for link in ["/link", "/up"] {
            // Links are read from the file system the first time.
            let _ = fs::read_link(directory.join(&link[1..]));
            match glance(&inside, link.as_ref()).unwrap() {
                Glance::There(told) => assert_eq!(told.size, 6),
                other => assert_eq!(other, Glance::Unknown),
            }
        }
        fs::remove_dir_all(&directory).unwrap();
    }
}
