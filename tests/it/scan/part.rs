//! The part of a chart that one test alone can change.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use portolan::{Container, Inventory, Listener, Local, Member};
use portolan_linux::NamespaceId;

use crate::oracle;

use super::scene::Scene;

/// The processes and the network namespaces of a scene.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ours {
    processes: BTreeSet<i32>,
    networks: BTreeSet<u64>,
    /// What they hold, whoever a chart says that it belongs to.
    sockets: BTreeSet<u64>,
    mark: String,
}

impl Ours {
    pub(super) fn of(scene: &Scene) -> Self {
        Self::new(scene.own(), &scene.mark)
    }

    /// These processes, and listeners with names that have this mark in them.
    pub(super) fn new(processes: Vec<i32>, mark: &str) -> Self {
        let processes: BTreeSet<i32> = processes.into_iter().collect();
        let hosts = oracle::namespace("self", "net");
        let (mut networks, mut sockets) = (BTreeSet::new(), BTreeSet::new());
        for task in processes.iter().flat_map(|pid| entries(format!("/proc/{pid}/task"))) {
            networks.extend(number(&task.join("ns/net"), "net:"));
            sockets.extend(entries(task.join("fd")).filter_map(|link| number(&link, "socket:")));
        }
        networks.remove(&hosts);
        Self { processes, networks, sockets, mark: mark.to_owned() }
    }

    /// What a chart says of them.
    pub(super) fn part(&self, chart: &Inventory) -> Part {
        let has = |pid: i32| self.processes.contains(&pid);
        let of_ours = |id: &NamespaceId| self.networks.contains(&id.inode());
        // One of the host's network may have no owner, and is ours by its name.
        let named = |l: &Listener| match &l.local {
            Local::Path(name) | Local::Abstract(name) => {
                name.windows(self.mark.len()).any(|part| part == self.mark.as_bytes())
            }
            _ => false,
        };
        let held = |l: &Listener| self.sockets.contains(&l.inode.into());
        let known = |l: &&Listener| l.owner.is_some_and(|owner| has(owner.pid)) || held(l) || named(l);
        // A network that sockets alone hold is ours by them.
        let held = chart.listeners.iter().filter(known).map(|l| l.netns).filter(|id| *id != chart.host.net);
        let held: BTreeSet<NamespaceId> = held.collect();
        let here = |id: &NamespaceId| of_ours(id) || held.contains(id);
        let listens = |l: &&Listener| here(&l.netns) || known(l);
        let listeners: Vec<Listener> = chart.listeners.iter().filter(listens).cloned().collect();
        let unseen = &chart.unseen;
        Part {
            containers: chart.containers.iter().filter(|c| has(c.init.pid)).cloned().collect(),
            namespaces: chart.network_namespaces.iter().copied().filter(here).collect(),
            listeners,
            processes: chart.processes.iter().filter(|process| has(process.id.pid)).copied().collect(),
            unseen: unseen.namespaces.iter().copied().filter(here).collect(),
            unseen_processes: unseen.processes.iter().copied().filter(|pid| has(*pid)).collect(),
        }
    }
}

/// What is in a directory; nothing when it is gone.
/// Thorough scans borrow the sockets of everybody for a moment, those of other tests' scenes too: who compares scans takes
/// turns.
pub(super) fn turn() -> MutexGuard<'static, ()> {
    // Who waits for the turn holds the door meanwhile, so that nobody takes one turn after the other.
    static DOOR: Mutex<()> = Mutex::new(());
    static TURN: Mutex<()> = Mutex::new(());
    let _door = DOOR.lock().unwrap_or_else(PoisonError::into_inner);
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

fn entries(directory: impl AsRef<Path>) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(directory).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path()))
}

/// The number in a link such as `net:[4026531833]`.
pub(super) fn number(link: &Path, prefix: &str) -> Option<u64> {
    let link = fs::read_link(link).ok()?;
    oracle::number_of_link(link.to_str()?.strip_prefix(prefix)?)
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) containers: Vec<Container>,
    pub(super) listeners: Vec<Listener>,
    pub(super) processes: Vec<Member>,
    pub(super) namespaces: Vec<NamespaceId>,
    pub(super) unseen: Vec<NamespaceId>,
    pub(super) unseen_processes: Vec<i32>,
}

impl Part {
    /// One of the sockets that another test's thorough scan has: it borrows each for a moment (`pidfd_getfd(2)`).
    pub(super) fn borrowed(&self) -> Option<&Listener> {
        let own = std::process::id().cast_signed();
        self.listeners.iter().find(|l| {
            l.owner.is_some_and(|owner| owner.pid == own) || l.command.as_deref() == Some("portolan")
        })
    }

    /// All but the listeners and the namespaces, a line for each.
    pub(super) fn rest(&self) -> BTreeSet<String> {
        let processes = self.processes.iter().map(shown);
        let rest = [shown(&self.unseen), shown(&self.unseen_processes)];
        self.containers.iter().map(shown).chain(processes).chain(rest).collect()
    }

    fn lines(&self) -> BTreeSet<String> {
        let mut lines = self.rest();
        lines.extend(self.listeners.iter().map(shown));
        lines.extend(self.namespaces.iter().map(shown));
        lines
    }
}

pub(super) fn shown(item: &impl Debug) -> String {
    format!("{item:?}")
}

/// The lines that only one of both has, each after its name.
pub(super) fn difference(one: (&str, &Part), other: (&str, &Part)) -> String {
    apart((one.0, &one.1.lines()), (other.0, &other.1.lines())).join("\n")
}

/// The same of lines.
pub(super) fn apart(one: (&str, &BTreeSet<String>), other: (&str, &BTreeSet<String>)) -> Vec<String> {
    let lines = one.1.symmetric_difference(other.1);
    lines.map(|line| format!("{}: {line}", if one.1.contains(line) { one.0 } else { other.0 })).collect()
}
