//! Taking hold of the process while its number still means something.

use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};

use portolan_wire::code::{ErrorCode, Stage};
use portolan_wire::ids::Ids;

use crate::answer::Fault;
use crate::arguments::Whom;
use crate::confine::CAP_SYS_PTRACE;
use crate::sys::{self, Errno};

/// The process that the request names, verified.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) pidfd: OwnedFd,
    /// Its own root directory.
    pub(crate) root: OwnedFd,
    /// The mount namespace that it was seen in; `None` when the caller gave descriptors and checks it itself.
    pub(crate) mount_namespace: Option<u64>,
    /// Whether it lives in our pid namespace, and so can see us.
    pub(crate) sees_us: bool,
    /// The ids that its user namespace maps; `None` for all, when it is our own.
    pub(crate) ids: Option<Ids>,
}

pub(crate) fn take(whom: Whom) -> Result<Target, Fault> {
    match whom {
        Whom::Descriptors { pidfd, root } => {
            let bad = |errno| Fault::of_errno(Stage::Target, errno);
            let (pidfd, root) = (sys::adopt(pidfd).map_err(bad)?, sys::adopt(root).map_err(bad)?);
            let pid = number_of(pidfd.as_fd()).map_err(told)?;
            let directory = sys::open_path(format!("/proc/{pid}").as_bytes()).map_err(told)?;
            // The caller compares the mount namespace itself, with the one in our hello frame.
            look(pidfd, Some(root), &directory, None)
        }
        Whom::Number { pid, start_time } => {
            let pidfd = sys::pidfd_open(pid).map_err(told)?;
            let directory = sys::open_path(format!("/proc/{pid}").as_bytes()).map_err(told)?;
            check(&sys::read_whole(directory.as_fd(), b"stat", SMALL).map_err(told)?, start_time)?;
            let seen = namespace(directory.as_fd(), b"ns/mnt").map_err(told)?;
            look(pidfd, None, &directory, Some(seen))
        }
    }
}

/// No such process; for a pidfd also: a thread that leads no group.
fn told(errno: Errno) -> Fault {
    match errno.0 {
        libc::ENOENT | libc::ESRCH | libc::EINVAL => Fault::new(Stage::Target, ErrorCode::TargetGone),
        _ => Fault::of_privileged(Stage::Target, errno, &[CAP_SYS_PTRACE]),
    }
}

/// What `/proc/PID` says, which is said of the pidfd's process if that is still there afterwards.
fn look(
    pidfd: OwnedFd,
    root: Option<OwnedFd>,
    directory: &OwnedFd,
    seen: Option<u64>,
) -> Result<Target, Fault> {
    let sees_us = namespace(directory.as_fd(), b"ns/pid").map_err(told)? == own_pid_namespace();
    let ids = ids_of(directory.as_fd())?;
    let root = match root {
        Some(root) => root,
        None => sys::openat(directory.as_fd(), b"root", libc::O_PATH | libc::O_DIRECTORY).map_err(told)?,
    };
    sys::pidfd_probe(pidfd.as_fd()).map_err(told)?;
    Ok(Target { pidfd, root, mount_namespace: seen, sees_us, ids })
}

/// More than any of the small files of procfs has.
const SMALL: usize = 32 * 1024;

/// Our own user namespace shows its map as its parent sees it (`user_namespaces(7)`), and everything that we see is
/// in it.
fn ids_of(directory: BorrowedFd<'_>) -> Result<Option<Ids>, Fault> {
    let own = sys::open_path(b"/proc/self").and_then(|own| namespace(own.as_fd(), b"ns/user"));
    if own.is_ok_and(|own| namespace(directory, b"ns/user") == Ok(own)) {
        return Ok(None);
    }
    let map = |name: &[u8]| sys::read_whole(directory, name, SMALL).map_err(told);
    let ids = Ids::parse(&map(b"uid_map")?, &map(b"gid_map")?);
    ids.map(Some).map_err(|_| Fault::new(Stage::Target, ErrorCode::Io))
}

fn check(stat: &[u8], start_time: Option<u64>) -> Result<(), Fault> {
    let (state, flags, started) = stat_fields(stat).ok_or(Fault::new(Stage::Target, ErrorCode::Io))?;
    if matches!(state, b'Z' | b'X') || start_time.is_some_and(|wanted| wanted != started) {
        return Err(Fault::new(Stage::Target, ErrorCode::TargetGone));
    }
    if flags & 0x0020_0000 != 0 {
        // PF_KTHREAD: a thread of the kernel, whose root is the host's.
        return Err(Fault::new(Stage::Target, ErrorCode::Unsupported));
    }
    Ok(())
}

/// The number behind a pidfd (`pidfd_open(2)`): -1 once the process is gone.
fn number_of(pidfd: BorrowedFd<'_>) -> Result<i32, Errno> {
    let own = sys::open_path(b"/proc/self/fdinfo")?;
    let text = sys::read_whole(own.as_fd(), pidfd.as_raw_fd().to_string().as_bytes(), SMALL)?;
    let line = text.split(|b| *b == b'\n').find_map(|line| line.strip_prefix(b"Pid:"));
    let number = line.and_then(|l| std::str::from_utf8(l).ok()).and_then(|l| l.trim().parse().ok());
    number.filter(|pid| *pid > 0).ok_or(Errno(libc::ESRCH))
}

fn own_pid_namespace() -> u64 {
    sys::open_path(b"/proc/self").and_then(|own| namespace(own.as_fd(), b"ns/pid")).unwrap_or(0)
}

/// The number in a link such as `mnt:[4026531841]`.
pub(crate) fn namespace(directory: BorrowedFd<'_>, name: &[u8]) -> Result<u64, Errno> {
    let link = sys::readlinkat(directory, name)?;
    link.iter()
        .position(|b| *b == b'[')
        .and_then(|at| link.get(at.checked_add(1)?..)?.strip_suffix(b"]"))
        .and_then(|digits| std::str::from_utf8(digits).ok()?.parse().ok())
        .ok_or(Errno(libc::EBADMSG))
}

/// State, flags and start time of `/proc/PID/stat`. The name in parentheses may hold anything.
fn stat_fields(text: &[u8]) -> Option<(u8, u64, u64)> {
    let close = text.iter().rposition(|b| *b == b')')?;
    let mut fields = std::str::from_utf8(text.get(close.checked_add(1)?..)?).ok()?.split_ascii_whitespace();
    let state = *fields.next()?.as_bytes().first()?;
    let flags = fields.nth(5)?.parse().ok()?;
    let started = fields.nth(12)?.parse().ok()?;
    Some((state, flags, started))
}

#[cfg(test)]
mod tests {
    use super::stat_fields;

    #[test]
    fn fields() {
        let text = b"42 (a) Z) S 1 2 3 4 5 64 6 7 8 9 10 11 12 13 14 15 16 17 98765 19 20";
        assert_eq!(stat_fields(text), Some((b'S', 64, 98765)));
        for end in 0..text.len() {
            let _ = stat_fields(&text[..end]);
        }
    }
}
