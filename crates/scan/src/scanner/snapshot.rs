//! What is known of the host, and how it is brought up to date: as a whole, or where something is known to have
//! happened.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use portolan_linux::sock_diag::Listening;
use portolan_linux::{Home, NamespaceId, ProcessId};

use crate::ask::Asker;
use crate::container::{Container, Namespaces};
use crate::fault::{Fault, Faults};
use crate::inventory::Unseen;
use crate::listener::Listener;
use crate::owners::Remembered;
use crate::places::{Places, Ways};
use crate::ports::{self, Known};
use crate::walk::{self, Judged, Processes};
use crate::{Error, Inventory, Result, ScanOptions, group, held, identity};

/// What is known of the host.
#[derive(Debug)]
pub(crate) struct Snapshot {
    options: ScanOptions,
    host: Namespaces,
    judged: Judged,
    processes: Processes,
    ways: Ways,
    listening: HashMap<NamespaceId, Vec<Listening>>,
    silent: HashSet<NamespaceId>,
    hostnames: HashMap<ProcessId, Option<Vec<u8>>>,
    identities: identity::Remembered,
    owners: Remembered,
    /// Of the last whole scan.
    faults: Vec<Fault>,
}

/// Which namespaces are asked.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Which<'a> {
    All,
    These(&'a HashSet<NamespaceId>),
}

impl Which<'_> {
    pub(crate) fn has(self, id: NamespaceId) -> bool {
        match self {
            Self::All => true,
            Self::These(ids) => ids.contains(&id),
        }
    }
}

impl Snapshot {
    /// Nothing is known yet.
    pub(crate) fn new(options: ScanOptions) -> Self {
        let unknown = NamespaceId::new(0);
        Self {
            options,
            host: Namespaces { mnt: unknown, net: unknown, pid: unknown, user: unknown },
            judged: Judged::default(),
            processes: Processes::default(),
            ways: Ways::new(),
            listening: HashMap::new(),
            silent: HashSet::new(),
            hostnames: HashMap::new(),
            identities: identity::Remembered::default(),
            owners: Remembered::default(),
            faults: Vec::new(),
        }
    }

    /// Looks at everything.
    pub(crate) fn scan(&mut self) -> Result<Inventory> {
        let start = Instant::now();
        let mut faults = Faults::default();
        let home = Home::here().map_err(Error::proc_unreadable)?;
        self.host = walk::host_namespaces(home.id(), &mut faults);
        self.processes = walk::processes(&mut self.judged, &mut faults)?;
        self.ways = held::find(&self.processes.seen, &self.host, &self.options, &mut faults);
        self.hostnames.clear();
        self.ask(Which::All, &mut faults);
        let mut inventory = self.chart(Which::All, &mut faults);
        self.faults = faults.into_list();
        inventory.faults.clone_from(&self.faults);
        inventory.elapsed = start.elapsed();
        Ok(inventory)
    }

    /// Looks at some processes again; gives whether anything about them changed, and the network namespaces in which
    /// they are and were.
    pub(crate) fn look_again(&mut self, pids: &[i32]) -> (bool, HashSet<NamespaceId>) {
        let mut places = HashSet::new();
        let mut changed = false;
        let known: HashMap<i32, usize> =
            self.processes.seen.iter().enumerate().map(|(at, seen)| (seen.id().pid, at)).collect();
        let mut gone = HashSet::new();
        for pid in pids {
            let now = self.judged.look(*pid, &mut Faults::default()).ok().flatten();
            let before = known.get(pid).and_then(|at| self.processes.seen.get_mut(*at));
            places.extend(before.iter().map(|seen| seen.namespaces.net));
            places.extend(now.iter().map(|seen| seen.namespaces.net));
            match (before, now) {
                (None, None) => {}
                (Some(before), Some(now)) if before.is_alike(&now) => {}
                (Some(before), Some(now)) => {
                    changed = true;
                    *before = now;
                }
                (None, Some(now)) => {
                    changed = true;
                    self.processes.seen.push(now);
                }
                (Some(_), None) => {
                    changed = true;
                    gone.insert(*pid);
                }
            }
        }
        self.processes.seen.retain(|seen| !gone.contains(&seen.id().pid));
        (changed, places)
    }

    /// Whether a process is known.
    pub(crate) fn knows(&self, pid: i32) -> bool {
        self.processes.seen.iter().any(|seen| seen.id().pid == pid)
    }

    /// The container that a process belongs to, after a scan.
    pub(crate) fn container_of(&mut self, process: ProcessId) -> Option<Container> {
        let (mut containers, membership) = group::containers(&self.processes.seen, &self.host);
        let inits = group::inits(&containers, &self.processes.seen);
        let scene = identity::Scene {
            processes: &self.processes.seen,
            inits: &inits,
            host: &self.host,
            hostnames: &self.hostnames,
        };
        identity::describe(&mut containers, &scene, &mut self.identities, &mut Faults::default());
        let place = self.processes.seen.iter().position(|seen| seen.id() == process)?;
        let at = membership.get(place).copied().flatten()?;
        (at < containers.len()).then(|| containers.swap_remove(at))
    }

    /// Looks at all processes, and nothing else.
    pub(crate) fn processes(&mut self) -> Result<()> {
        let mut faults = Faults::default();
        let home = Home::here().map_err(Error::proc_unreadable)?;
        self.host = walk::host_namespaces(home.id(), &mut faults);
        self.processes = walk::processes(&mut self.judged, &mut faults)?;
        Ok(())
    }

    /// Asks namespaces for their listeners; gives whether any answered otherwise than before.
    pub(crate) fn ask(&mut self, which: Which<'_>, faults: &mut Faults) -> bool {
        let places = Places::of(&self.processes.seen, self.host.net, &self.ways);
        let (containers, _) = group::containers(&self.processes.seen, &self.host);
        let unnamed = |place: &usize| {
            self.processes.seen.get(*place).is_some_and(|seen| !self.hostnames.contains_key(&seen.id()))
        };
        let names: Vec<usize> =
            group::inits(&containers, &self.processes.seen).into_iter().filter(unnamed).collect();
        let asker = Asker {
            processes: &self.processes.seen,
            timeout: self.options.namespace_timeout,
            before: &self.listening,
        };
        let answers = asker.ask(&places, which, &names, faults);
        let mut changed = false;
        for (place, name) in answers.hostnames {
            if let Some(seen) = self.processes.seen.get(place) {
                changed |= self.hostnames.insert(seen.id(), name).is_none();
            }
        }
        for (id, listening) in answers.listening {
            changed |= self.listening.get(&id).is_none_or(|before| *before != listening);
            self.silent.remove(&id);
            self.listening.insert(id, listening);
        }
        self.silent.extend(answers.silent);
        self.silent.retain(|id| places.knows(*id));
        let before = self.listening.len();
        self.listening.retain(|id, _| places.knows(*id));
        changed || before != self.listening.len()
    }

    /// Puts together what is known. Owners are looked for in the namespaces that were asked.
    pub(crate) fn chart(&mut self, asked: Which<'_>, faults: &mut Faults) -> Inventory {
        let start = Instant::now();
        let places = Places::of(&self.processes.seen, self.host.net, &self.ways);
        let (mut containers, membership) = group::containers(&self.processes.seen, &self.host);
        let inits = group::inits(&containers, &self.processes.seen);
        let scene = identity::Scene {
            processes: &self.processes.seen,
            inits: &inits,
            host: &self.host,
            hostnames: &self.hostnames,
        };
        identity::describe(&mut containers, &scene, &mut self.identities, faults);
        let known = Known {
            processes: &self.processes,
            membership: &membership,
            containers: &containers,
            places: &places,
            host: &self.host,
        };
        let nothing = HashMap::new();
        let asker = Asker {
            processes: &self.processes.seen,
            timeout: self.options.namespace_timeout,
            before: &nothing,
        };
        let mut listeners =
            ports::listeners(&known, &asker, &mut self.listening, asked, &mut self.owners, faults);
        containers.sort_by(|a, b| (a.runtime, &a.name, &a.id).cmp(&(b.runtime, &b.name, &b.id)));
        listeners.sort_by(order);
        let mut silent: Vec<NamespaceId> = self.silent.iter().copied().collect();
        silent.sort();
        Inventory {
            host: self.host,
            containers,
            listeners,
            network_namespaces: places.iter().map(|(id, _)| id).collect(),
            faults: self.faults.clone(),
            unseen: Unseen { namespaces: silent, processes: self.processes.unseen.clone() },
            elapsed: start.elapsed(),
        }
    }
}

fn order(a: &Listener, b: &Listener) -> std::cmp::Ordering {
    let key = |l: &Listener| (l.netns, l.protocol, l.port());
    (&a.container, key(a), &a.local, a.inode).cmp(&(&b.container, key(b), &b.local, b.inode))
}
