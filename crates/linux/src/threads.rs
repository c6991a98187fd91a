//! The threads of a process, and where one of them is at home (`proc_pid_task(5)`).
//!
//! What `/proc/PID` says of namespaces is said of the main thread. Any other may have gone elsewhere alone, by
//! `setns(2)` or `unshare(2)`. Few processes with one thread need that question: [`count`] costs one system call.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;

use nix::dir::Dir;
use nix::fcntl::{AtFlags, OFlag, openat, readlinkat};
use nix::sys::stat::{Mode, fstatat};

use crate::error::{ErrorKind, Subject, os};
use crate::namespace::{NamespaceId, NamespaceKind};
use crate::process::Process;
use crate::{Error, Result};

/// How many threads the process has: 1 for a process like most, 0 for one that is gone but not yet forgotten.
///
/// It is the number of links of `/proc/PID/task`, to which the kernel adds the threads (`proc_task_getattr` in
/// `fs/proc/base.c`), so that nothing is listed.
///
/// # Errors
/// [`ErrorKind::TargetGone`].
pub fn count(process: &Process) -> Result<u64> {
    let stat = fstatat(process.directory(), "task", AtFlags::AT_SYMLINK_NOFOLLOW)
        .map_err(|e| Error::of_traced("count threads", process.pid(), os(e)))?;
    #[allow(clippy::useless_conversion, reason = "it is 32 bits wide on some architectures")]
    let links = u64::from(stat.st_nlink);
    // Two are those that every directory has.
    Ok(links.saturating_sub(2))
}

/// The numbers of the process's threads, in our pid namespace, its main thread among them; at most `limit`.
///
/// They come and go while they are listed.
///
/// # Errors
/// [`ErrorKind::TargetGone`].
pub fn list(process: &Process, limit: usize) -> Result<Vec<i32>> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let failed = |e| Error::of_traced("list threads", process.pid(), os(e));
    let mut tasks = Dir::openat(process.directory(), "task", flags, Mode::empty()).map_err(failed)?;
    let mut numbers = Vec::new();
    for entry in tasks.iter() {
        if numbers.len() >= limit {
            break;
        }
        // The kernel's word for a process that ended meanwhile.
        let name = entry.map_err(failed)?.file_name().to_owned();
        numbers.extend(name.to_str().ok().and_then(|name| name.parse::<i32>().ok()));
    }
    Ok(numbers)
}

/// Which namespace of a kind one thread of the process is in; `None` when the process has no such thread (any more).
///
/// The thread is looked up below the process's own directory, so a number that went to another process is not found.
///
/// # Errors
/// [`ErrorKind::MissingPrivilege`] without `CAP_SYS_PTRACE` over the process.
pub fn namespace(process: &Process, thread: i32, kind: NamespaceKind) -> Result<Option<NamespaceId>> {
    let path = path_of(process, thread, kind)?;
    match readlinkat(process.directory(), path.as_str()) {
        Ok(link) => NamespaceId::of_link(link.as_bytes())
            .map(Some)
            .ok_or_else(|| Error::new(ErrorKind::Io, "read the namespace of a thread", subject(process))),
        Err(e) => absent("read the namespace of a thread", process, os(e)),
    }
}

/// Opens a namespace of one thread, like [`namespace`]. It lives as long as the descriptor: close it soon.
///
/// # Errors
/// As [`namespace`].
pub fn open_namespace(process: &Process, thread: i32, kind: NamespaceKind) -> Result<Option<OwnedFd>> {
    let path = path_of(process, thread, kind)?;
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC;
    match openat(process.directory(), path.as_str(), flags, Mode::empty()) {
        Ok(fd) => Ok(Some(fd)),
        Err(e) => absent("open the namespace of a thread", process, os(e)),
    }
}

fn path_of(process: &Process, thread: i32, kind: NamespaceKind) -> Result<String> {
    if thread <= 0 {
        return Err(Error::new(ErrorKind::InvalidInput, "look up a thread of", subject(process)));
    }
    Ok(format!("task/{thread}/{}", kind.link()))
}

fn absent<T>(call: &'static str, process: &Process, source: io::Error) -> Result<Option<T>> {
    match Error::of_traced(call, process.pid(), source) {
        error if error.kind() == ErrorKind::TargetGone => Ok(None),
        error => Err(error),
    }
}

fn subject(process: &Process) -> Subject {
    Subject::Pid(process.pid())
}

#[cfg(test)]
mod tests {
    use super::*;
    use portolan_world::need::Need;
    use std::sync::mpsc::channel;

    fn me() -> Process {
        Process::open(std::process::id().cast_signed()).unwrap()
    }

    #[test]
    fn a_child_with_one_thread() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::open(child.id().cast_signed()).unwrap();
        let seen =
            (count(&process), list(&process, 9), namespace(&process, process.pid(), NamespaceKind::Net));
        let foreign = namespace(&process, std::process::id().cast_signed(), NamespaceKind::Net);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(seen.0.unwrap(), 1);
        assert_eq!(seen.1.unwrap(), [process.pid()]);
        assert_eq!(seen.2.unwrap(), Some(me().namespace(NamespaceKind::Net).unwrap()));
        assert_eq!(foreign.unwrap(), None, "a thread of another process was found");
        assert_eq!(count(&process).unwrap_err().kind(), ErrorKind::TargetGone);
        assert_eq!(list(&process, 9).unwrap_err().kind(), ErrorKind::TargetGone);
        assert_eq!(namespace(&process, process.pid(), NamespaceKind::Net).unwrap(), None);
        assert_eq!(namespace(&process, -1, NamespaceKind::Net).unwrap_err().kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn a_thread_elsewhere_is_seen() {
        portolan_world::require!(Need::Root);
        let (tell, told) = channel();
        let (stop, stopped) = channel::<()>();
        let thread = std::thread::spawn(move || {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            tell.send((nix::unistd::gettid().as_raw(), crate::NetNs::of_this_thread().unwrap().id()))
                .unwrap();
            let _ = stopped.recv();
        });
        let (thread_id, elsewhere) = told.recv().unwrap();
        let me = me();
        assert!(count(&me).unwrap() >= 2);
        let numbers = list(&me, 10_000).unwrap();
        assert!(numbers.contains(&thread_id) && numbers.contains(&me.pid()));
        assert_eq!(list(&me, 1).unwrap().len(), 1);
        assert_eq!(namespace(&me, thread_id, NamespaceKind::Net).unwrap(), Some(elsewhere));
        assert_ne!(me.namespace(NamespaceKind::Net).unwrap(), elsewhere);
        let opened = open_namespace(&me, thread_id, NamespaceKind::Net).unwrap().unwrap();
        assert_eq!(NamespaceId::of_descriptor(&opened).unwrap(), elsewhere);
        drop(stop);
        thread.join().unwrap();
    }
}
