//! The files that a process holds open to write its logs.
//!
//! They are told by the kernel: links and flags of the descriptors (`proc_pid_fd(5)`). No file is opened, and no file
//! system is asked that can make a reader wait: files on FUSE or the network are told without their identity.

use std::collections::HashSet;

use portolan_linux::Process;
use portolan_linux::error::FileKind;
use portolan_linux::identity::Identity;
use portolan_linux::process::{Access, OpenFile};

use super::Result;
use super::place::Seen;

/// How many descriptors of a process are looked at unless another number is asked for.
pub const DESCRIPTORS: usize = 4096;

/// A file that a process writes to as one does to a log.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogFile {
    /// The lowest of the descriptors that lead to it.
    pub descriptor: u32,
    /// Its path inside, from the process's own root, without the mark of a deleted file.
    pub path: Vec<u8>,
    /// The same from the root of the process's mount namespace: another one after a chroot.
    pub(super) whole: Vec<u8>,
    /// Whether it is opened to write at its end only. If not, its name tells that it is a log.
    pub appends: bool,
    /// Whether it was deleted: no path leads to it any more, and what is written is lost when it is closed.
    pub deleted: bool,
    /// The number of the mount by which it was opened.
    pub mount: Option<u64>,
    /// Which file it is; `None` on a file system that can make a reader wait.
    pub identity: Option<Identity>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogFiles {
    /// Each file once, by the lowest descriptor that leads to it.
    pub files: Vec<LogFile>,
    /// Whether there were more descriptors than were looked at.
    pub incomplete: bool,
}

/// The log files among a process's first `most` descriptors ([`DESCRIPTORS`] is a good number).
///
/// A file is one if it is regular, and opened to append, or to write under a log's name: `*.log`, `*.out`, `*.err`, or
/// below a directory `log` or `logs`.
///
/// # Errors
/// [`TargetGone`](portolan_linux::ErrorKind::TargetGone), or
/// [`MissingPrivilege`](portolan_linux::ErrorKind::MissingPrivilege) without `CAP_SYS_PTRACE` over the process.
///
/// # Example
/// ```
/// use portolan_linux::Process;
/// use portolan_services::logs::open::{DESCRIPTORS, log_files};
///
/// let me = Process::open(std::process::id().cast_signed())?;
/// for file in log_files(&me, DESCRIPTORS)?.files {
///     println!("{}", portolan_linux::error::Escaped(&file.path));
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn log_files(process: &Process, most: usize) -> Result<LogFiles> {
    log_files_among(process, most, &mut None)
}

/// The same; the mounts that the process sees are read when they are needed, and once for all who share them.
pub(crate) fn log_files_among(process: &Process, most: usize, mounts: &mut Option<Seen>) -> Result<LogFiles> {
    let (mut numbers, all) = process.descriptor_numbers(most)?;
    numbers.sort_unstable();
    let mut found = LogFiles { files: Vec::new(), incomplete: !all };
    let mut slow = None;
    // Links are told from the root of the mount namespace, mounts from that of the process.
    let root = process.root_path().unwrap_or_default();
    let mut seen = HashSet::new();
    for number in numbers {
        let Some(open) = process.open_path(number)? else { continue };
        let Some(mut file) = candidate(&open) else { continue };
        // Read once, and only for a process that has such a file.
        let slow = match &mut slow {
            Some(slow) => slow,
            none => {
                if mounts.is_none() {
                    *mounts = Some(Seen::of(process)?);
                }
                none.insert(mounts.as_ref().map(Seen::slow).unwrap_or_default())
            }
        };
        if file.mount.is_some_and(|mount| !slow.contains(&mount)) {
            let Ok(identity) = process.identity_of(number) else { continue };
            // It can have been closed, and the number be another's, since.
            if identity.kind != FileKind::Regular || process.open_path(number)?.as_ref() != Some(&open) {
                continue;
            }
            file.deleted = identity.links == 0;
            if file.deleted {
                file.whole.truncate(file.whole.strip_suffix(DELETED).unwrap_or(&file.whole).len());
            }
            if !seen.insert((Some(identity.device), identity.inode, Vec::new())) {
                continue;
            }
            file.identity = Some(identity);
        } else if !seen.insert((None, file.mount.unwrap_or(0), file.whole.clone())) {
            continue;
        }
        file.path = inside(&file.whole, &root).to_vec();
        found.files.push(file);
    }
    Ok(found)
}

/// What the kernel writes after the path of a deleted file. A name can end so too.
const DELETED: &[u8] = b" (deleted)";

/// A descriptor that can be a log's, by what its link and its flags say.
fn candidate(open: &OpenFile) -> Option<LogFile> {
    let path = open.link.as_slice();
    let never = [&b"/dev/"[..], b"/proc/", b"/sys/", b"/memfd:", b"/anon_hugepage"];
    let never = never.iter().any(|prefix| path.starts_with(prefix)) && !path.starts_with(b"/dev/shm/");
    if !path.starts_with(b"/") || never {
        return None;
    }
    let appends = match open.access {
        Access::Append => true,
        Access::Write if is_named_so(path) => false,
        _ => return None,
    };
    let (descriptor, mount, whole) = (open.descriptor, open.mount, path.to_vec());
    Some(LogFile { descriptor, path: Vec::new(), whole, appends, deleted: false, mount, identity: None })
}

/// A path as a process has it whose root is this directory; whole when it lies outside of that.
fn inside<'a>(path: &'a [u8], root: &[u8]) -> &'a [u8] {
    let root = root.strip_suffix(b"/").unwrap_or(root);
    path.strip_prefix(root).filter(|rest| rest.starts_with(b"/")).unwrap_or(path)
}

/// Whether a path is one of a log.
#[must_use]
pub fn is_named_so(path: &[u8]) -> bool {
    let path = path.strip_suffix(DELETED).unwrap_or(path);
    let ends = [&b".log"[..], b".out", b".err"];
    let mut directories = path.split(|b| *b == b'/').rev().skip(1);
    ends.iter().any(|end| path.ends_with(end)) || directories.any(|name| matches!(name, b"log" | b"logs"))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use super::*;

    #[test]
    fn names_of_logs() {
        for yes in ["/a/b.log", "/a.out (deleted)", "/x.err", "/var/log/nginx/access", "/srv/logs/deep/x"] {
            assert!(is_named_so(yes.as_bytes()), "{yes}");
        }
        for no in ["/a/blog", "/log", "/var/lib/db/wal.0", "/logs.d/x", "/a.log/b"] {
            assert!(!is_named_so(no.as_bytes()), "{no}");
        }
    }

    #[test]
    fn paths_below_a_root() {
        for (path, root, expected) in [
            ("/r/a/b", "/r", "/a/b"),
            ("/a", "/", "/a"),
            ("/rx/a", "/r", "/rx/a"),
            ("/a", "", "/a"),
            ("/r", "/r", "/r"),
        ] {
            assert_eq!(inside(path.as_bytes(), root.as_bytes()), expected.as_bytes(), "{path} below {root}");
        }
    }

    #[test]
    fn each_file_once_and_nothing_else() {
        let scratch = std::env::temp_dir().join(format!("portolan-open-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&scratch);
        std::fs::create_dir_all(&scratch).unwrap();
        let at = |name: &str| scratch.join(name);
        let append = |name: &str| std::fs::File::options().create(true).append(true).open(at(name)).unwrap();
        let (appended, again) = (append("journal"), append("journal"));
        let gone = append("gone\n.log");
        std::fs::remove_file(at("gone\n.log")).unwrap();
        let odd = append("odd (deleted)");
        let written = std::fs::File::create(at("app.log")).unwrap();
        let other = std::fs::File::create(at("data")).unwrap();
        let read = std::fs::File::open(at("app.log")).unwrap();
        let me = Process::open(std::process::id().cast_signed()).unwrap();
        let found = log_files(&me, DESCRIPTORS).unwrap();
        let ours = |file: &&LogFile| file.path.starts_with(scratch.as_os_str().as_encoded_bytes());
        let names = |file: &LogFile| {
            let path = String::from_utf8(file.path.clone()).unwrap();
            (path.rsplit('/').next().unwrap().to_owned(), file.appends, file.deleted)
        };
        let mut names: Vec<_> = found.files.iter().filter(ours).map(names).collect();
        names.sort();
        assert_eq!(
            names,
            [
                ("app.log".to_owned(), false, false),
                ("gone\n.log".to_owned(), true, true),
                ("journal".to_owned(), true, false),
                ("odd (deleted)".to_owned(), true, false),
            ]
        );
        let journal = found.files.iter().find(|file| file.path.ends_with(b"/journal")).unwrap();
        assert_eq!(journal.descriptor, u32::try_from(appended.as_raw_fd().min(again.as_raw_fd())).unwrap());
        assert!(!found.incomplete && log_files(&me, 1).unwrap().incomplete);
        drop((appended, again, gone, odd, written, other, read));
        std::fs::remove_dir_all(&scratch).unwrap();
    }
}
