//! Joining the container's namespaces, and going to the process's own root.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use portolan_wire::code::{ErrorCode, FileSystem, Stage};
use portolan_wire::frame::posture;
use portolan_wire::ids::Ids;

use crate::answer::{Answer, Fault};
use crate::confine::{self, CAP_SYS_ADMIN, CAP_SYS_CHROOT, CAP_SYS_PTRACE};
use crate::mounts::Mounts;
use crate::sys::{self, Errno};
use crate::target::{Target, namespace};
use crate::walk::Miss;

/// What the helper holds while it works inside.
#[derive(Debug)]
pub(crate) struct Inside {
    /// The process's root directory: every path is resolved below it.
    pub(crate) root: OwnedFd,
    /// A procfs of the host's, to reopen our own descriptors through. Never used with another name than `self`.
    pub(crate) procfs: OwnedFd,
    /// Whose files are read; `None` for everybody's.
    pub(crate) ids: Option<Ids>,
    /// Which mounts are entered.
    pub(crate) mounts: Mounts,
    /// FUSE and network file systems are entered too.
    pub(crate) any_file_system: bool,
}

fn fault(errno: Errno) -> Fault {
    Fault::of_privileged(Stage::Enter, errno, &[CAP_SYS_ADMIN, CAP_SYS_CHROOT, CAP_SYS_PTRACE])
}

/// A procfs that shows processes and nothing else, so that even a helper that was taken over finds no way through
/// it.
pub(crate) fn procfs(answer: &mut u16) -> Result<OwnedFd, Fault> {
    match sys::private_procfs() {
        Ok(fd) => {
            *answer |= posture::PRIVATE_PROCFS;
            Ok(fd)
        }
        // No right to mount one (a security module, an agent in a container of its own): the host's must do.
        Err(_) => sys::open_path(b"/proc").map_err(fault),
    }
}

/// Joins the mount namespace (and asks for the pid namespace of the children), and changes the root. The pidfd has
/// done its work then, and is closed.
pub(crate) fn one_shot(
    target: Target,
    with_pid: bool,
    any_file_system: bool,
    answer: &mut Answer,
) -> Result<Inside, Fault> {
    let procfs = procfs(&mut answer.hello.posture)?;
    let kinds = if with_pid { libc::CLONE_NEWNS | libc::CLONE_NEWPID } else { libc::CLONE_NEWNS };
    sys::setns(target.pidfd.as_fd(), kinds).map_err(fault)?;
    let now = namespace(procfs.as_fd(), b"self/ns/mnt").map_err(fault)?;
    answer.hello.mount_namespace = now;
    if target.mount_namespace.is_some_and(|seen| seen != now) {
        return Err(Fault::new(Stage::Enter, ErrorCode::TargetChanged));
    }
    if with_pid {
        answer.hello.posture |= posture::PID_NAMESPACE;
    }
    settle(target.root, procfs, target.ids, any_file_system)
}

/// Joins an opened mount namespace: who holds it may enter it, so no right over the process itself is needed.
pub(crate) fn served(
    namespace: BorrowedFd<'_>,
    root: OwnedFd,
    procfs: OwnedFd,
    ids: Option<Ids>,
    any_file_system: bool,
) -> Result<Inside, Fault> {
    sys::setns(namespace, libc::CLONE_NEWNS).map_err(fault)?;
    settle(root, procfs, ids, any_file_system)
}

/// `setns` lands in the root of the namespace, which for a process in a chroot is the whole host.
fn settle(root: OwnedFd, procfs: OwnedFd, ids: Option<Ids>, any_file_system: bool) -> Result<Inside, Fault> {
    let (mounts, verdict) = Mounts::join(root.as_fd(), procfs.as_fd(), any_file_system).map_err(fault)?;
    match verdict {
        // A root that is not of this namespace: the process went to another one while both were opened.
        Err(FileSystem::Unknown) => return Err(Fault::new(Stage::Enter, ErrorCode::TargetChanged)),
        // Even to make it our root would ask a FUSE server for permission.
        Err(kind) if !any_file_system => return Err(Miss::FileSystem(kind).fault(Stage::Enter)),
        _ => {}
    }
    sys::change_root(root.as_fd()).map_err(fault)?;
    let ids = ids.filter(|ids| !ids.holds_all());
    Ok(Inside { root, procfs, ids, mounts, any_file_system })
}

/// Goes on in a child, which alone is in the pid namespace; this process waits for it and ends as it ends.
pub(crate) fn pid_namespace(timeout_ms: u32) -> Result<(), Fault> {
    match sys::fork().map_err(|errno| Fault::of_errno(Stage::Enter, errno))? {
        Some(child) => sys::exit_as(child),
        None => {
            // Neither the timer nor the death signal is inherited.
            sys::die_with_parent();
            confine::end_after(timeout_ms);
            Ok(())
        }
    }
}
