//! A thread that goes into a network namespace for good, and may start others there.
//!
//! This is for work that cannot be made of single sockets: a client that makes its own. The thread was made for that
//! alone, proves where it is before any of the work begins, and ends inside. A thread that it starts inherits the
//! namespace (`clone(2)`, without `CLONE_NEWNET`).

use std::io;
use std::marker::PhantomData;
use std::sync::mpsc;
use std::thread::JoinHandle;

use nix::sched::{CloneFlags, setns};

use super::{Home, NetNs, denied};
use crate::error::{ErrorKind, Subject, os};
use crate::namespace::NamespaceId;
use crate::process::Process;
use crate::{Error, Result};

/// A network namespace that threads live in. It is held open, and lives as long as this.
#[derive(Debug)]
pub struct Residence {
    netns: NetNs,
    /// Made by [`inhabit`] alone.
    private: PhantomData<()>,
}

impl Residence {
    /// Its identity.
    #[must_use]
    pub fn id(&self) -> NamespaceId {
        self.netns.id()
    }

    /// Takes the calling thread there, unless it is there already, and proves that it is.
    ///
    /// There is no way back. It is for a thread that has just been started to work here and nowhere else, by somebody
    /// who may not have been inside: a runtime's pool grows by whoever needs it.
    ///
    /// # Errors
    /// [`ErrorKind::MissingPrivilege`], [`ErrorKind::NamespaceMismatch`]; the thread is then to end at once.
    pub fn settle(&self) -> Result<()> {
        if Home::id_of_this_thread() == Some(self.id()) {
            return Ok(());
        }
        setns(&self.netns.fd, CloneFlags::CLONE_NEWNET).map_err(|e| denied(os(e)))?;
        if Home::id_of_this_thread() == Some(self.id()) {
            Ok(())
        } else {
            Err(Error::new(ErrorKind::NamespaceMismatch, "enter the network namespace", Subject::Own))
        }
    }
}

/// Runs `work` on a new thread of this name, inside the network namespace of a process. Returns when that thread is
/// inside, and has begun, or could not get there, and has ended.
///
/// The caller is to know that `id` cannot have become another namespace's number: by a socket inside that it holds.
///
/// # Errors
/// [`ErrorKind::TargetGone`], [`ErrorKind::TargetChanged`] when the process is in another namespace than `id`,
/// [`ErrorKind::MissingPrivilege`] without `CAP_SYS_ADMIN` over the namespace or `CAP_SYS_PTRACE` over the process;
/// when no thread can be started.
///
/// # Example
/// ```no_run
/// use portolan_linux::{NamespaceKind, Process, netns};
///
/// let process = Process::open(4242)?;
/// let id = process.namespace(NamespaceKind::Net)?;
/// let thread = netns::inhabit("inside", &process, id, |residence| {
///     println!("in {}", residence.id());
/// })?;
/// thread.join().ok();
/// # Ok::<(), portolan_linux::Error>(())
/// ```
pub fn inhabit<T: Send + 'static>(
    name: &str,
    process: &Process,
    id: NamespaceId,
    work: impl FnOnce(Residence) -> T + Send + 'static,
) -> Result<JoinHandle<Option<T>>> {
    let netns = NetNs::of(process)?;
    if netns.id() != id {
        let changed = ErrorKind::TargetChanged;
        return Err(Error::new(changed, "enter the network namespace", Subject::Pid(process.pid())));
    }
    let residence = Residence { netns, private: PhantomData };
    let (arrived, arrival) = mpsc::sync_channel(1);
    let thread = std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let settled = residence.settle();
        let inside = settled.is_ok();
        // Whoever started us waits for this.
        let _ = arrived.send(settled);
        inside.then(|| work(residence))
    });
    let lost = |e: io::Error| Error::of_call("start a thread for", Subject::Own, e);
    let thread = thread.map_err(lost)?;
    arrival.recv().map_err(|_| lost(io::ErrorKind::Other.into()))??;
    Ok(thread)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_namespace_than_was_meant_is_not_entered() {
        let here = Home::here().unwrap().id();
        let me = Process::open(std::process::id().cast_signed()).unwrap();
        let other = NamespaceId::new(here.inode() + 1);
        let refused = inhabit("other", &me, other, |_| ()).map(drop).map_err(|e| e.kind());
        assert_eq!(refused, Err(ErrorKind::TargetChanged));
        // Where one is already, nothing is needed.
        let thread =
            inhabit("own", &me, here, |residence| (residence.id(), residence.settle().is_ok())).unwrap();
        assert_eq!(thread.join().unwrap(), Some((here, true)));
    }
}
