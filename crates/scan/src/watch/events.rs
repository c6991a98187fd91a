//! What the kernel tells: that processes start, execute and end, and, where BPF may be used, that one begins or ceases to
//! listen.

use std::collections::HashSet;
use std::os::fd::{AsFd as _, BorrowedFd};

use portolan_linux::bpf::ListenEvents;
use portolan_linux::proc_events::{Event, ProcessEvents};

/// Events are read in batches of some thousand; after so many of them it is looked what else is to be done.
const BATCHES: usize = 4;

/// Where events come from.
#[derive(Debug)]
pub(super) struct Events {
    processes: ProcessEvents,
    listens: Option<ListenEvents>,
    read: Vec<Event>,
    pids: Vec<i32>,
}

/// What happened, to a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Happened {
    /// It was made, or executed another program.
    Started(i32),
    Ended(i32),
    /// It began or ceased to listen.
    Listened(i32),
    /// More than can be told.
    Lost,
    /// Not everything that listens was told.
    ListenersLost,
}

/// How much was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    All,
    /// There may be more.
    Some,
    /// There will be no more.
    NoMore,
}

impl Events {
    /// `None` where the kernel tells of no processes; then what listens is of little use.
    pub(super) fn open(may_use_bpf: bool) -> Option<Self> {
        let processes = ProcessEvents::open().ok()?;
        let listens = may_use_bpf.then(ListenEvents::open).and_then(Result::ok);
        Some(Self { processes, listens, read: Vec::new(), pids: Vec::new() })
    }

    /// Whether it is told who begins to listen.
    pub(super) fn tells_listeners(&self) -> bool {
        self.listens.is_some()
    }

    /// What can be read when something has happened.
    pub(super) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        std::iter::once(self.processes.as_fd()).chain(self.listens.iter().map(|listens| listens.as_fd()))
    }

    /// Takes what was told.
    pub(super) fn read(&mut self, mut happened: impl FnMut(Happened)) -> Told {
        let (mut told, mut ended) = (Told::Some, HashSet::new());
        for _ in 0..BATCHES {
            self.read.clear();
            let more = self.processes.read(&mut self.read);
            for event in &self.read {
                if let Event::Exit { pid } = event {
                    ended.insert(*pid);
                }
                happened(match *event {
                    Event::Fork { child: pid, .. } | Event::Exec { pid } => Happened::Started(pid),
                    Event::Exit { pid } => Happened::Ended(pid),
                    _ => Happened::Lost,
                });
            }
            match more {
                Ok(true) => {}
                Ok(false) => {
                    told = Told::All;
                    break;
                }
                Err(_) => return Told::NoMore,
            }
        }
        // After the processes: one that listens has started by then. That one ended is told, and all of its with that.
        if let Some(listens) = &mut self.listens {
            self.pids.clear();
            if !listens.read(&mut self.pids) {
                happened(Happened::ListenersLost);
            }
            self.pids.sort_unstable();
            self.pids.dedup();
            let living = self.pids.iter().filter(|pid| !ended.contains(*pid));
            living.for_each(|pid| happened(Happened::Listened(*pid)));
        }
        told
    }
}
