//! Joining the container's namespaces, and going to the process's own root.

use std::os::fd::{AsFd as _, OwnedFd};

use portolan_wire::code::{ErrorCode, Stage};
use portolan_wire::frame::posture;

use crate::answer::{Answer, Fault};
use crate::owners::Owners;
use crate::request::Request;
use crate::sys::{self, CAP_SYS_ADMIN, CAP_SYS_CHROOT, CAP_SYS_PTRACE};
use crate::target::{Target, namespace};

/// What the helper holds while it works inside.
#[derive(Debug)]
pub(crate) struct Inside {
    /// The process's root directory: every path is resolved below it.
    pub(crate) root: OwnedFd,
    /// A procfs of the host's, to reopen our own descriptors through. Never used with another name than `self`.
    pub(crate) procfs: OwnedFd,
    /// Whose files are read.
    pub(crate) owners: Owners,
}

/// Joins the mount namespace (and asks for the pid namespace of the children), and changes the root. The pidfd has
/// done its work then, and is closed.
pub(crate) fn mount_namespace(target: Target, with_pid: bool, answer: &mut Answer) -> Result<Inside, Fault> {
    let fault =
        |errno| Fault::of_privileged(Stage::Enter, errno, &[CAP_SYS_ADMIN, CAP_SYS_CHROOT, CAP_SYS_PTRACE]);
    // It shows processes and nothing else, so even a helper that was taken over finds no way through it.
    let procfs = match sys::private_procfs() {
        Ok(fd) => {
            answer.hello.posture |= posture::PRIVATE_PROCFS;
            fd
        }
        // No right to mount one (a security module, an agent in a container of its own): the host's must do.
        Err(_) => sys::open_path(b"/proc").map_err(fault)?,
    };
    let kinds = if with_pid { libc::CLONE_NEWNS | libc::CLONE_NEWPID } else { libc::CLONE_NEWNS };
    sys::setns(target.pidfd.as_fd(), kinds).map_err(fault)?;
    sys::change_root(target.root.as_fd()).map_err(fault)?;
    let now = namespace(procfs.as_fd(), b"self/ns/mnt").map_err(fault)?;
    answer.hello.mount_namespace = now;
    if target.mount_namespace.is_some_and(|seen| seen != now) {
        return Err(Fault::new(Stage::Enter, ErrorCode::TargetChanged));
    }
    if with_pid {
        answer.hello.posture |= posture::PID_NAMESPACE;
    }
    Ok(Inside { root: target.root, procfs, owners: target.owners })
}

/// Goes on in a child, which alone is in the pid namespace; this process waits for it and ends as it ends.
pub(crate) fn pid_namespace(request: &Request) -> Result<(), Fault> {
    match sys::fork().map_err(|errno| Fault::of_errno(Stage::Enter, errno))? {
        Some(child) => sys::exit_as(child),
        None => {
            // Neither the timer nor the death signal is inherited.
            sys::die_with_parent();
            sys::alarm(request.timeout);
            Ok(())
        }
    }
}
