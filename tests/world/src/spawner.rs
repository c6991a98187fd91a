//! The one thread that clones all containers of this process.
//!
//! The kernel ties a child's "die with your parent" to the thread that cloned it. A test's thread ends with
//! its test, and would take along containers that other tests share; this thread ends with the process.

use std::os::fd::OwnedFd;
use std::sync::OnceLock;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

use nix::errno::Errno;

use crate::child;
use crate::step::{Plan, Step};
use crate::sys;

type Cloned = Result<(i32, OwnedFd), Errno>;

struct Job {
    plan: Plan,
    flags: u64,
    done: SyncSender<(Cloned, Vec<Step>)>,
}

/// Clones a process into new namespaces and has it run the plan. Gives the plan's steps back, for messages.
///
/// The plan's descriptors are closed in this process before the next clone: no other container inherits them.
pub(crate) fn spawn(plan: Plan, flags: u64) -> Result<(i32, OwnedFd, Vec<Step>), Errno> {
    let jobs = jobs().ok_or(Errno::EAGAIN)?;
    let (done, answer) = sync_channel(1);
    jobs.send(Job { plan, flags, done }).map_err(|_| Errno::ECANCELED)?;
    let (cloned, steps) = answer.recv().map_err(|_| Errno::ECANCELED)?;
    let (pid, pidfd) = cloned?;
    Ok((pid, pidfd, steps))
}

fn jobs() -> Option<&'static SyncSender<Job>> {
    static JOBS: OnceLock<Option<SyncSender<Job>>> = OnceLock::new();
    JOBS.get_or_init(|| {
        let (jobs, queue) = sync_channel::<Job>(0);
        let thread = thread::Builder::new().name("containers".to_owned());
        let spawned = thread.spawn(move || {
            for Job { plan, flags, done } in queue {
                let cloned = clone(&plan, flags);
                let Plan { steps, .. } = plan;
                let _ = done.send((cloned, steps));
            }
        });
        spawned.ok().map(|_| jobs)
    })
    .as_ref()
}

fn clone(plan: &Plan, flags: u64) -> Cloned {
    let (pid, pidfd) = sys::clone(flags, true, || child::run(plan))?;
    Ok((pid, pidfd.ok_or(Errno::EBADF)?))
}
