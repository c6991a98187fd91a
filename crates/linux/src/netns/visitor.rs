//! A thread that goes from one namespace to the next and never comes home.
//!
//! To look at a thousand namespaces, going home in between would be a thousand ways too many, and a way home that
//! the kernel refuses would have to end the program. So the thread is made for the visit, and ends where it is.

use std::marker::PhantomData;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use nix::sched::{CloneFlags, setns};

use super::{Home, SocketKind, create, denied};
use crate::error::{ErrorKind, Feature, Subject, os};
use crate::namespace::{NamespaceId, NamespaceKind};
use crate::process::Process;
use crate::{Error, Result, sys};

/// A thread that was made for visiting network namespaces. It cannot go to another thread.
#[derive(Debug)]
pub struct Visitor {
    /// Where the program is at home, when that can be told, and its host name.
    home_uts: Option<NamespaceId>,
    thread_bound: PhantomData<*const ()>,
}

/// Runs `work` on a thread of its own, which may go into namespaces and ends there.
///
/// `work` must not start anything that lives on: a thread that is started inside stays inside.
///
/// # Errors
/// When no thread can be started; a panic of `work` is one too.
///
/// # Example
/// ```
/// use portolan_linux::netns::{self, Home};
/// use portolan_linux::Process;
///
/// let me = Process::open(std::process::id().cast_signed())?;
/// let id = Home::here()?.id();
/// let socket = netns::visit(|visitor| visitor.sock_diag(&me, id))??;
/// # drop(socket);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn visit<T: Send>(work: impl FnOnce(&mut Visitor) -> T + Send) -> Result<T> {
    std::thread::scope(|scope| {
        let thread =
            std::thread::Builder::new().name("portolan-visit".to_owned()).spawn_scoped(scope, || {
                work(&mut Visitor { home_uts: NamespaceId::own_uts().ok(), thread_bound: PhantomData })
            });
        let thread = thread.map_err(|e| Error::of_call("start a thread for", Subject::Socket, e))?;
        let lost = |_| Error::new(ErrorKind::Unsupported(Feature::Homecoming), "visit", Subject::Own);
        thread.join().map_err(lost)
    })
}

impl Visitor {
    /// Goes into the network namespace of a process and makes a socket that asks for its sockets.
    ///
    /// # Errors
    /// [`ErrorKind::TargetGone`], [`ErrorKind::TargetChanged`] when the process is in another namespace than `id`,
    /// [`ErrorKind::MissingPrivilege`] without `CAP_SYS_ADMIN` over the namespace or `CAP_SYS_PTRACE` over the process.
    pub fn sock_diag(&mut self, process: &Process, id: NamespaceId) -> Result<OwnedFd> {
        if self.is_in(id) {
            return create(SocketKind::SockDiag);
        }
        self.enter(process, CloneFlags::CLONE_NEWNET)?;
        self.make(id, process.pid())
    }

    /// As [`sock_diag`](Self::sock_diag), and tells the host name that the process sees; one visit to both namespaces.
    ///
    /// # Errors
    /// As [`sock_diag`](Self::sock_diag). That its UTS namespace cannot be entered is no error of the socket.
    #[doc(alias = "gethostname")]
    pub fn sock_diag_and_hostname(
        &mut self,
        process: &Process,
        id: NamespaceId,
    ) -> Result<(OwnedFd, Result<Option<Vec<u8>>>)> {
        let apart = self.is_apart(process)?;
        if apart && self.enter(process, CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWUTS).is_ok() {
            let name = hostname(process.pid());
            return Ok((self.make(id, process.pid())?, name));
        }
        // Nothing to tell, or one of the two is refused: each for itself, then.
        let name = if apart { self.hostname(process) } else { Ok(None) };
        Ok((self.sock_diag(process, id)?, name))
    }

    /// The host name that a process sees: bytes that the container chose, at most 64. `None` when it shares ours.
    ///
    /// # Errors
    /// As [`sock_diag`](Self::sock_diag).
    pub fn hostname(&mut self, process: &Process) -> Result<Option<Vec<u8>>> {
        if !self.is_apart(process)? {
            return Ok(None);
        }
        self.enter(process, CloneFlags::CLONE_NEWUTS)?;
        hostname(process.pid())
    }

    /// As [`sock_diag`](Self::sock_diag), for a namespace that is held open rather than found by a process.
    ///
    /// # Errors
    /// As [`sock_diag`](Self::sock_diag).
    pub fn sock_diag_of(&mut self, namespace: BorrowedFd<'_>, id: NamespaceId) -> Result<OwnedFd> {
        setns(namespace, CloneFlags::CLONE_NEWNET).map_err(|e| denied(os(e)))?;
        self.make(id, 0)
    }

    /// A pidfd enters what the process is in now, in one call for several kinds (`setns(2)`, Linux 5.8).
    fn enter(&mut self, process: &Process, kinds: CloneFlags) -> Result<()> {
        let pid = process.pid();
        let pidfd = sys::pidfd_open(pid).map_err(|e| Error::of_process("pidfd_open", pid, e))?;
        // Opened by number: what its directory tells must still be there, then it is the same process.
        process.namespace(NamespaceKind::Uts)?;
        setns(pidfd.as_fd(), kinds).map_err(|e| match e {
            nix::Error::ESRCH => Error::of_process("enter the namespaces", pid, os(e)),
            _ => denied(os(e)),
        })
    }

    fn make(&self, id: NamespaceId, pid: i32) -> Result<OwnedFd> {
        if !self.is_in(id) {
            return Err(Error::new(
                ErrorKind::TargetChanged,
                "enter the network namespace",
                Subject::Pid(pid),
            ));
        }
        create(SocketKind::SockDiag)
    }

    fn is_in(&self, id: NamespaceId) -> bool {
        Home::id_of_this_thread() == Some(id)
    }

    /// Whether a process has a UTS namespace of its own.
    fn is_apart(&self, process: &Process) -> Result<bool> {
        Ok(Some(process.namespace(NamespaceKind::Uts)?) != self.home_uts)
    }
}

/// Of where this thread is.
fn hostname(pid: i32) -> Result<Option<Vec<u8>>> {
    let name = nix::unistd::gethostname().map_err(|e| Error::of_process("gethostname", pid, os(e)))?;
    Ok(Some(std::os::unix::ffi::OsStringExt::into_vec(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_stays_at_home() {
        let before = Home::here().unwrap().id();
        let me = Process::open(std::process::id().cast_signed()).unwrap();
        let other = NamespaceId::new(before.inode() + 1);
        let (own, wrong) =
            visit(|v| (v.sock_diag(&me, before).is_ok(), v.sock_diag(&me, other).unwrap_err().kind()))
                .unwrap();
        assert!(own);
        // Without the right to enter, that is told instead.
        assert!(matches!(wrong, ErrorKind::TargetChanged | ErrorKind::MissingPrivilege(_)), "{wrong:?}");
        assert_eq!(Home::here().unwrap().id(), before);
    }
}
