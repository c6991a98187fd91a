//! Taking hold of the process while its number still means something.

use std::os::fd::{AsFd as _, OwnedFd};

use portolan_wire::code::{ErrorCode, Stage};

use crate::answer::Fault;
use crate::request::{Request, Whom};
use crate::sys::{self, CAP_SYS_PTRACE, Errno};

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
}

pub(crate) fn take(request: &Request) -> Result<Target, Fault> {
    match request.whom {
        Whom::Descriptors { pidfd, root } => {
            let bad = |errno| Fault::of_errno(Stage::Target, errno);
            let target = Target {
                pidfd: sys::adopt(pidfd).map_err(bad)?,
                root: sys::adopt(root).map_err(bad)?,
                mount_namespace: None,
                sees_us: false,
            };
            sys::pidfd_probe(target.pidfd.as_fd()).map_err(bad)?;
            Ok(target)
        }
        Whom::Number { pid, start_time } => by_number(pid, start_time),
    }
}

fn by_number(pid: i32, start_time: Option<u64>) -> Result<Target, Fault> {
    let gone = |errno: Errno| match errno.0 {
        // No such process; for a pidfd also: a thread that leads no group.
        libc::ENOENT | libc::ESRCH | libc::EINVAL => Fault::new(Stage::Target, ErrorCode::TargetGone),
        _ => Fault::of_privileged(Stage::Target, errno, &[CAP_SYS_PTRACE]),
    };
    let pidfd = sys::pidfd_open(pid).map_err(gone)?;
    let directory = sys::open_path(format!("/proc/{pid}").as_bytes()).map_err(gone)?;
    let stat = sys::read_small(directory.as_fd(), b"stat").map_err(gone)?;
    let (state, flags, started) = stat_fields(&stat).ok_or(Fault::new(Stage::Target, ErrorCode::Io))?;
    if matches!(state, b'Z' | b'X') || start_time.is_some_and(|wanted| wanted != started) {
        return Err(Fault::new(Stage::Target, ErrorCode::TargetGone));
    }
    if flags & 0x0020_0000 != 0 {
        // PF_KTHREAD: a thread of the kernel, whose root is the host's.
        return Err(Fault::new(Stage::Target, ErrorCode::Unsupported));
    }
    let mount_namespace = namespace(directory.as_fd(), b"ns/mnt").map_err(gone)?;
    let sees_us = namespace(directory.as_fd(), b"ns/pid").map_err(gone)? == own_pid_namespace();
    let root = sys::openat(directory.as_fd(), b"root", libc::O_PATH | libc::O_DIRECTORY).map_err(gone)?;
    // All of this was said of one process only if the pidfd's is still there.
    sys::pidfd_probe(pidfd.as_fd()).map_err(gone)?;
    Ok(Target { pidfd, root, mount_namespace: Some(mount_namespace), sees_us })
}

fn own_pid_namespace() -> u64 {
    sys::open_path(b"/proc/self").and_then(|own| namespace(own.as_fd(), b"ns/pid")).unwrap_or(0)
}

/// The number in a link such as `mnt:[4026531841]`.
pub(crate) fn namespace(directory: std::os::fd::BorrowedFd<'_>, name: &[u8]) -> Result<u64, Errno> {
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
