//! Network namespaces that no process's main thread is in: how they are found, and entered.
//!
//! | held by | found by | costs |
//! |---|---|---|
//! | a bind mount | the mounts of the agent and of process 1 | one file |
//! | a thread | the link of each thread but the first, of processes that have more than one | 2 us a thread; at most 64 threads of a process, unless asked to be thorough |
//! | an open descriptor of the namespace | the descriptors of all processes | 1 us a descriptor; only when asked to be thorough |
//! | a socket | borrowing each socket of all processes for a moment | 4 us a socket; only when asked to be thorough |

use std::collections::{BTreeSet, HashSet};
use std::ops::ControlFlow;
use std::os::fd::{AsFd as _, OwnedFd};
use std::time::{Duration, Instant};

use portolan_linux::netns::Visitor;
use portolan_linux::{
    Error, ErrorKind, NamespaceId, NamespaceKind, Process, ProcessId, Result, netns_files, process, threads,
};

use crate::ScanOptions;
use crate::container::Namespaces;
use crate::fault::Faults;
use crate::pass::Pass;
use crate::places::{Way, Ways};
use crate::walk::Seen;

/// So many threads of a process are looked at, unless all are asked for.
const THREADS: usize = 64;
/// So many ways into one namespace are kept.
const WAYS: usize = 8;
/// Reading the mounts of one process takes no longer.
const MOUNTS: Duration = Duration::from_secs(1);

/// Finds the namespaces that no main thread is in.
pub(crate) fn find(
    processes: &[Seen],
    host: &Namespaces,
    options: &ScanOptions,
    faults: &mut Faults,
) -> Ways {
    let known: HashSet<NamespaceId> = processes.iter().map(|seen| seen.namespaces.net).collect();
    let mut ways = Finding { known, ways: Ways::new() };
    for (id, way) in mounted(processes, host, faults) {
        ways.add(id, way);
    }
    let limit = if options.thorough { usize::MAX } else { THREADS };
    for seen in processes.iter().filter(|seen| seen.trace.stat().threads > 1) {
        ways.threads(seen, limit, faults);
    }
    if options.thorough {
        let mut sockets = HashSet::new();
        for seen in processes {
            ways.descriptors(seen, &mut sockets, faults);
        }
    }
    ways.ways
}

/// The same where the threads and the holders of sockets are known.
pub(crate) fn find_by_pass(
    processes: &[Seen],
    options: &ScanOptions,
    pass: &Pass,
    mounted: &[(NamespaceId, Way)],
    faults: &mut Faults,
) -> Ways {
    let known: HashSet<NamespaceId> = processes.iter().map(|seen| seen.namespaces.net).collect();
    let mut ways = Finding { known, ways: Ways::new() };
    for (id, way) in mounted {
        ways.add(*id, way.clone());
    }
    for stray in pass.strays() {
        ways.add(stray.net, Way::Thread(stray.process, stray.thread));
    }
    for holder in pass.holders() {
        let id = ProcessId { pid: holder.pid, start_time: pass.start_time(holder) };
        ways.add(holder.netns, Way::Socket(id, holder.descriptor));
    }
    if options.thorough {
        let mut sockets = HashSet::new();
        for seen in processes {
            ways.descriptors(seen, &mut sockets, faults);
        }
    }
    ways.ways
}

/// Namespaces that are bound to files, of the host and of the agent; in others a container could have put anything in
/// the file's place.
pub(crate) fn mounted(processes: &[Seen], host: &Namespaces, faults: &mut Faults) -> Vec<(NamespaceId, Way)> {
    let own = Process::own_pid().ok();
    let mut done = BTreeSet::new();
    let of_agent = |seen: &&Seen| Some(seen.id().pid) == own;
    let of_host = |seen: &&Seen| seen.namespaces.mnt == host.mnt;
    let mut found = Vec::new();
    for seen in processes.iter().find(of_agent).into_iter().chain(processes.iter().find(of_host)) {
        if !done.insert(seen.namespaces.mnt) {
            continue;
        }
        let now = Instant::now();
        let deadline = now.checked_add(MOUNTS).unwrap_or(now);
        let listed = seen.trace.follow().and_then(|process| netns_files::list(&process, deadline));
        match listed {
            Ok(files) => {
                found.extend(files.into_iter().map(|file| (file.id, Way::Mount(seen.id(), file))));
            }
            Err(error) => told("read the mounts", seen, &error, faults),
        }
    }
    found
}

struct Finding {
    known: HashSet<NamespaceId>,
    ways: Ways,
}

impl Finding {
    fn add(&mut self, id: NamespaceId, way: Way) {
        if !self.known.contains(&id) {
            let ways = self.ways.entry(id).or_default();
            // Threads of a process mostly have one table of descriptors.
            let same = |other: &Way| match (other, &way) {
                (Way::Thread(one, _), Way::Thread(other, _)) => one == other,
                _ => false,
            };
            if ways.len() < WAYS && !ways.iter().any(same) {
                ways.push(way);
            }
        }
    }

    fn threads(&mut self, seen: &Seen, limit: usize, faults: &mut Faults) {
        let listed = seen.trace.follow().and_then(|process| {
            for thread in threads::list(&process, limit)? {
                if thread == process.pid() {
                    continue;
                }
                if let Some(id) = threads::namespace(&process, thread, NamespaceKind::Net)? {
                    self.add(id, Way::Thread(process.id(), thread));
                }
            }
            Ok(())
        });
        if let Err(error) = listed {
            told("look at the threads", seen, &error, faults);
        }
    }

    /// `sockets` have been asked for their namespace already.
    fn descriptors(&mut self, seen: &Seen, sockets: &mut HashSet<u32>, faults: &mut Faults) {
        let (mut asked, mut refused) = (Vec::new(), None);
        let looked = seen.trace.follow().and_then(|process| {
            process.descriptors(|link, number| {
                if let Some(id) = NamespaceId::of_link(link).filter(|_| link.starts_with(b"net:[")) {
                    self.add(id, Way::Descriptor(process.id(), number));
                } else if let Some(inode) = process::socket_inode(link)
                    && sockets.insert(inode)
                {
                    asked.push(number);
                }
                ControlFlow::Continue(())
            })?;
            for number in asked {
                match netns_files::socket_namespace_of(&process, number.cast_signed()) {
                    Ok(namespace) => self.add(namespace.id(), Way::Socket(process.id(), number)),
                    // Closed since, or something else by now.
                    Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput) => {}
                    Err(error) => refused = refused.take().or(Some(error)),
                }
            }
            Ok(())
        });
        if let Err(error) = looked {
            told("look at the descriptors", seen, &error, faults);
        }
        if let Some(error) = refused {
            told("ask the sockets for their network namespace", seen, &error, faults);
        }
    }
}

/// That a process ended meanwhile is no news.
fn told(operation: &'static str, seen: &Seen, error: &Error, faults: &mut Faults) {
    if error.kind() != ErrorKind::TargetGone {
        faults.of_pid(operation, seen.id().pid, error);
    }
}

/// Enters a namespace the way that was found, and makes a socket there that asks for its sockets.
pub(crate) fn enter(way: &Way, id: NamespaceId, visitor: &mut Visitor) -> Result<OwnedFd> {
    let namespace: OwnedFd = match way {
        Way::Mount(process, file) => file.open(Process::reopen(*process)?.root()?)?.into_fd(),
        Way::Thread(process, thread) => {
            let process = Process::reopen(*process)?;
            let opened = threads::open_namespace(&process, *thread, NamespaceKind::Net)?;
            opened.ok_or_else(|| Error::gone(*thread))?
        }
        Way::Descriptor(process, number) => {
            netns_files::open_descriptor(&Process::reopen(*process)?, *number)?.into_fd()
        }
        Way::Socket(process, number) => {
            netns_files::socket_namespace_of(&Process::reopen(*process)?, number.cast_signed())?.into_fd()
        }
    };
    visitor.sock_diag_of(namespace.as_fd(), id)
}
