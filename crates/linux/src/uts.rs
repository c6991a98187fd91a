//! The host name that a process sees (`uts_namespaces(7)`).

use std::os::fd::OwnedFd;

use nix::sched::{CloneFlags, setns};

use crate::error::{ErrorKind, Feature, Subject, os};
use crate::namespace::{NamespaceId, NamespaceKind};
use crate::process::Process;
use crate::{Error, Result, sys};

/// The UTS namespace in which this thread is at home; make one for many questions.
#[derive(Debug)]
pub struct HomeUts {
    fd: OwnedFd,
    id: NamespaceId,
    thread_bound: std::marker::PhantomData<*const ()>,
}

impl HomeUts {
    /// The namespace that the calling thread is in now.
    ///
    /// # Errors
    /// When `/proc` is not mounted, or no descriptor is left.
    pub fn here() -> Result<Self> {
        let failed = |e| Error::of_call("open the UTS namespace", Subject::Own, e);
        let fd: OwnedFd = std::fs::File::open("/proc/thread-self/ns/uts").map_err(failed)?.into();
        let id = NamespaceId::new(sys::inode(&fd).map_err(failed)?);
        Ok(Self { fd, id, thread_bound: std::marker::PhantomData })
    }

    /// The host name that the process sees: bytes that it chose, at most 64 of them. `None` when it shares ours.
    ///
    /// # Errors
    /// [`ErrorKind::TargetGone`]; [`ErrorKind::PermissionDenied`] or [`ErrorKind::Unsupported`] when this thread
    /// may not go there and come back.
    ///
    /// # Aborts
    /// The process, if the kernel refuses the way home that it allowed a moment before.
    pub fn hostname_of(&self, process: &Process) -> Result<Option<Vec<u8>>> {
        if process.namespace(NamespaceKind::Uts)? == self.id {
            return Ok(None);
        }
        let target = process.open_namespace(NamespaceKind::Uts)?;
        // Joining where one is already changes nothing, and proves that the way back is open.
        setns(&self.fd, CloneFlags::CLONE_NEWUTS).map_err(|_| {
            Error::new(ErrorKind::Unsupported(Feature::Homecoming), "enter the UTS namespace", Subject::Own)
        })?;
        setns(&target, CloneFlags::CLONE_NEWUTS)
            .map_err(|e| Error::of_process("enter the UTS namespace", process.pid(), os(e)))?;
        let name = nix::unistd::gethostname();
        if setns(&self.fd, CloneFlags::CLONE_NEWUTS).is_err() {
            std::process::abort();
        }
        let name = name.map_err(|e| Error::of_process("gethostname", process.pid(), os(e)))?;
        Ok(Some(std::os::unix::ffi::OsStringExt::into_vec(name)))
    }
}
