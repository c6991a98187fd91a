//! Every process of `/proc`, each file of it read once.

use std::collections::HashMap;
use std::sync::Arc;

use portolan_linux::process::Trace;
use portolan_linux::{ErrorKind, NamespaceId, NamespaceKind, Process, ProcessId, process, threads};

use crate::cgroup::{Classification, classify};
use crate::container::Namespaces;
use crate::fault::Faults;
use crate::{Error, Result};

/// What the scan keeps of a process.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) trace: Trace,
    pub(crate) namespaces: Namespaces,
    pub(crate) cgroup: Arc<Classification>,
    /// The thread that speaks for it, when its first thread has ended and others go on without it.
    pub(crate) thread: Option<i32>,
}

impl Seen {
    pub(crate) fn id(&self) -> ProcessId {
        self.trace.id()
    }

    pub(crate) fn command(&self) -> &[u8] {
        &self.trace.stat().command
    }

    /// Whether nothing that the chart shows is different.
    pub(crate) fn is_alike(&self, other: &Self) -> bool {
        self.id() == other.id()
            && self.namespaces == other.namespaces
            && self.trace.owner() == other.trace.owner()
            && self.trace.stat().parent == other.trace.stat().parent
            && self.command() == other.command()
            && self.cgroup == other.cgroup
            && self.thread == other.thread
    }

    /// What orders processes by age.
    pub(crate) fn age(&self) -> (u64, i32) {
        (self.id().start_time, self.id().pid)
    }
}

/// All processes at one moment.
#[derive(Debug, Default)]
pub(crate) struct Processes {
    /// By their number.
    pub(crate) seen: Vec<Seen>,
    /// Those that were there and could not be looked at.
    pub(crate) unseen: Vec<i32>,
}

impl Processes {
    /// Where a process of this number is in the list, or would be.
    pub(crate) fn place_of(&self, pid: i32) -> std::result::Result<usize, usize> {
        self.seen.binary_search_by_key(&pid, |seen| seen.id().pid)
    }

    /// Notes whether a process could be looked at; gives whether it has ended.
    pub(crate) fn note(&mut self, pid: i32, found: &std::result::Result<Option<Seen>, Failed>) -> bool {
        self.unseen.retain(|unseen| *unseen != pid);
        match found {
            Ok(_) => false,
            Err((_, error)) if error.kind() == ErrorKind::TargetGone => true,
            Err(_) => {
                self.unseen.push(pid);
                false
            }
        }
    }
}

/// What cgroup texts were judged to be. Processes of a container have one in common, and keep it from scan to scan.
#[derive(Debug, Default)]
pub(crate) struct Judged(HashMap<Vec<u8>, Arc<Classification>>);

impl Judged {
    fn judge(&mut self, text: Vec<u8>, before: &mut Self) -> Arc<Classification> {
        if let Some(known) = self.0.get(&text) {
            return Arc::clone(known);
        }
        let judged = before.0.remove(&text).unwrap_or_else(|| Arc::new(classify(&text)));
        self.0.insert(text, Arc::clone(&judged));
        judged
    }

    /// Reads the cgroup of a process.
    ///
    /// # Errors
    /// When it cannot be read, which is what it is judged by then.
    pub(crate) fn read(&mut self, process: &Process) -> (Arc<Classification>, portolan_linux::Result<()>) {
        let (text, read) = match process.cgroup() {
            Ok(text) => (text, Ok(())),
            Err(error) => (Vec::new(), Err(error)),
        };
        (self.judge(text, &mut Self::default()), read)
    }

    /// Forgets what nobody has any more.
    pub(crate) fn forget(&mut self) {
        self.0.retain(|_, judged| Arc::strong_count(judged) > 1);
    }

    /// Looks at one process; `None` for one that has nothing to chart.
    pub(crate) fn look(
        &mut self,
        pid: i32,
        faults: &mut Faults,
    ) -> std::result::Result<Option<Seen>, Failed> {
        look(pid, self, &mut Self::default(), faults)
    }
}

/// The namespaces of the host: those of process 1 where we may read them, else our own.
///
/// In an agent that runs in a container with the host's pid namespace, process 1 is the host's. Root may lack a
/// capability that process 1 has, and is refused then (`ptrace(2)`).
pub(crate) fn host_namespaces(own_net: NamespaceId, faults: &mut Faults) -> Namespaces {
    let first = Process::open(1).and_then(|p| namespaces(&p));
    if let Ok(namespaces) = first {
        return namespaces;
    }
    let own = Process::own().and_then(|p| namespaces(&p));
    own.unwrap_or_else(|error| {
        faults.of_pid("read the namespaces", std::process::id().cast_signed(), &error);
        let unknown = NamespaceId::new(0);
        Namespaces { mnt: unknown, net: own_net, pid: unknown, user: unknown }
    })
}

pub(crate) fn namespaces(process: &Process) -> portolan_linux::Result<Namespaces> {
    Ok(Namespaces {
        mnt: process.namespace(NamespaceKind::Mount)?,
        net: process.namespace(NamespaceKind::Net)?,
        pid: process.namespace(NamespaceKind::Pid)?,
        user: process.namespace(NamespaceKind::User)?,
    })
}

/// All processes but kernel threads and zombies, which have nothing that could be charted. What `judged` no longer
/// knows of is forgotten.
pub(crate) fn processes(judged: &mut Judged, faults: &mut Faults) -> Result<Processes> {
    let mut all = Processes::default();
    let mut now = Judged::default();
    for pid in process::all().map_err(Error::proc_unreadable)? {
        match look(pid, &mut now, judged, faults) {
            Ok(Some(seen)) => all.seen.push(seen),
            Ok(None) => {}
            Err((operation, error)) => {
                faults.of_pid(operation, pid, &error);
                if error.kind() != ErrorKind::TargetGone {
                    all.unseen.push(pid);
                }
            }
        }
    }
    *judged = now;
    // They mostly are already.
    all.seen.sort_by_key(|seen| seen.id().pid);
    Ok(all)
}

/// So many threads are looked at for one that is alive.
const SPEAKERS: usize = 16;

/// What was tried, and why it failed.
pub(crate) type Failed = (&'static str, portolan_linux::Error);

fn look(
    pid: i32,
    now: &mut Judged,
    before: &mut Judged,
    faults: &mut Faults,
) -> std::result::Result<Option<Seen>, Failed> {
    let process = Process::open(pid).map_err(|e| ("open", e))?;
    if process.stat().is_kernel_thread() {
        return Ok(None);
    }
    let (namespaces, thread) = if process.stat().is_zombie() {
        // A first thread that ends before the others stays as a zombie until they have ended (`pthread_exit(3)`).
        match speaker(&process).map_err(|e| ("look at the threads", e))? {
            Some((namespaces, thread)) => (namespaces, Some(thread)),
            None => return Ok(None),
        }
    } else {
        (namespaces(&process).map_err(|e| ("read the namespaces", e))?, None)
    };
    let text = process.cgroup().unwrap_or_else(|error| {
        if error.kind() != ErrorKind::TargetGone {
            faults.of_pid("read the cgroup", pid, &error);
        }
        Vec::new()
    });
    let cgroup = now.judge(text, before);
    let trace = process.trace().map_err(|e| ("look at", e))?;
    Ok(Some(Seen { trace, namespaces, cgroup, thread }))
}

/// The first of a process's threads that is alive, and where it is.
fn speaker(process: &Process) -> portolan_linux::Result<Option<(Namespaces, i32)>> {
    if process.stat().threads < 2 {
        return Ok(None);
    }
    for thread in threads::list(process, SPEAKERS)? {
        let of = |kind| threads::namespace(process, thread, kind);
        if let (Some(mnt), Some(net), Some(pid), Some(user)) = (
            of(NamespaceKind::Mount)?,
            of(NamespaceKind::Net)?,
            of(NamespaceKind::Pid)?,
            of(NamespaceKind::User)?,
        ) {
            return Ok(Some((Namespaces { mnt, net, pid, user }, thread)));
        }
    }
    Ok(None)
}
