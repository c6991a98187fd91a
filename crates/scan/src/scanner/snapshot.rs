//! What is known of the host, and how it is brought up to date: as a whole, or where something is known to have
//! happened.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use portolan_linux::sock_diag::Listening;
use portolan_linux::{Home, NamespaceId, ProcessId};

use super::by_pass::ByPass;
use crate::ask::Asker;
use crate::container::{Container, Namespaces};
use crate::fault::{Fault, Faults};
use crate::inventory::Unseen;
use crate::listener::Listener;
use crate::member::Member;
use crate::owners::Remembered;
use crate::places::{Places, Ways};
use crate::ports::{self, Known};
use crate::walk::{self, Failed, Judged, Processes, Seen};
use crate::{Error, Inventory, Result, ScanOptions, Source, group, held, identity};

/// What is known of the host.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) options: ScanOptions,
    pub(super) host: Namespaces,
    pub(super) judged: Judged,
    pub(super) processes: Processes,
    pub(super) ways: Ways,
    pub(super) listening: HashMap<NamespaceId, Vec<Listening>>,
    pub(super) silent: HashSet<NamespaceId>,
    pub(super) hostnames: HashMap<ProcessId, Option<Vec<u8>>>,
    pub(super) identities: identity::Remembered,
    pub(super) owners: Remembered,
    /// The same by rows of BPF iterators: the place of each socket's owner.
    pub(super) owned: Option<HashMap<u32, usize>>,
    pub(super) iterators: ByPass,
    /// The containers as they were grouped of these very processes, for whoever asks next.
    pub(super) grouped: Option<Grouped>,
    /// What was looked at since the last chart, and made no difference by itself.
    pub(super) pending: Looked,
    /// Processes that something happened to since the last chart.
    pub(super) restless: HashSet<ProcessId>,
    /// How the kernel was asked last.
    pub(super) source: Source,
    /// Of the last whole scan.
    pub(super) faults: Vec<Fault>,
}

/// The containers, and for each process the place of its container.
pub(super) type Grouped = (Vec<Container>, Vec<Option<usize>>);

/// What came of looking at some processes again.
#[derive(Debug, Default)]
pub(crate) struct Looked {
    /// Whether the chart can have changed.
    pub(crate) changed: bool,
    /// The network namespaces in which they are and were.
    pub(crate) places: HashSet<NamespaceId>,
    /// How many were gone before anything was known of them.
    pub(crate) missed: u64,
    /// What they have in common with others of their containers, and had.
    pub(super) ties: HashSet<u64>,
    /// Listeners that came or went, by their inode numbers.
    pub(super) sockets: HashSet<u32>,
    /// Those that are otherwise, as they are and as they were.
    pub(super) processes: HashSet<ProcessId>,
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
            owned: None,
            iterators: ByPass::default(),
            grouped: None,
            pending: Looked::default(),
            restless: HashSet::new(),
            source: Source::SystemCalls { without_bpf: None },
            faults: Vec::new(),
        }
    }

    /// Looks at everything, by system calls.
    pub(super) fn scan_by_calls(&mut self) -> Result<Inventory> {
        let start = Instant::now();
        let mut faults = Faults::default();
        let home = Home::here().map_err(Error::proc_unreadable)?;
        self.host = walk::host_namespaces(home.id(), &mut faults);
        self.grouped = None;
        self.owned = None;
        self.forget_last();
        self.processes = walk::processes(&mut self.judged, &mut faults)?;
        self.ways = held::find(&self.processes.seen, &self.host, &self.options, &mut faults);
        self.hostnames.clear();
        self.ask(Which::All, true, &[], &mut faults);
        let mut inventory = self.chart(Which::All, &mut faults);
        self.faults = faults.into_list();
        inventory.faults.clone_from(&self.faults);
        inventory.elapsed = start.elapsed();
        Ok(inventory)
    }

    /// Looks at some processes again.
    pub(crate) fn look_again(&mut self, pids: &[i32]) -> Looked {
        self.look_again_by(pids, |judged, pid| Some(judged.look(pid, &mut Faults::default())))
    }

    /// Looks at some processes again; `look` gives nothing for one that is as it was.
    pub(super) fn look_again_by(
        &mut self,
        pids: &[i32],
        mut look: impl FnMut(&mut Judged, i32) -> Option<std::result::Result<Option<Seen>, Failed>>,
    ) -> Looked {
        let mut looked = Looked::default();
        for pid in pids {
            let Some(found) = look(&mut self.judged, *pid) else { continue };
            self.forget_last();
            let ended = self.processes.note(*pid, &found);
            let now = found.ok().flatten();
            let at = self.processes.place_of(*pid);
            let before = at.ok().and_then(|at| self.processes.seen.get(at));
            looked.places.extend(before.iter().chain(&now.as_ref()).map(|seen| seen.namespaces.net));
            if before.is_none() && ended {
                looked.missed = looked.missed.saturating_add(1);
            }
            let same = match (before, &now) {
                (None, None) => true,
                (Some(before), Some(now)) => before.is_alike(now),
                _ => false,
            };
            if same {
                continue;
            }
            for seen in before.iter().copied().chain(&now) {
                looked.ties.extend(group::ties(seen, &self.host));
                looked.processes.insert(seen.id());
            }
            looked.changed |= before.is_some_and(|seen| self.matters(seen) || self.owners.has(seen.id()))
                || now.as_ref().is_some_and(|seen| self.matters(seen));
            self.grouped = None;
            self.restless.extend(now.as_ref().map(Seen::id));
            match (at, now) {
                (Ok(at), Some(now)) => self.processes.seen.splice(at..=at, [now]).for_each(drop),
                (Ok(at), None) => self.processes.seen.splice(at..=at, []).for_each(drop),
                (Err(at), Some(now)) => self.processes.seen.insert(at, now),
                (Err(_), None) => {}
            }
        }
        looked
    }

    /// Whether a process that owns nothing makes a difference to the chart: not if there is an older one that is
    /// where it is. Only a container's oldest process can be its first, and what sets them apart they have in common.
    fn matters(&self, this: &Seen) -> bool {
        let elder = |other: &&Seen| {
            other.age() < this.age()
                && other.namespaces == this.namespaces
                && other.trace.owner() == this.trace.owner()
                && other.cgroup == this.cgroup
        };
        !self.processes.seen.iter().any(|other| elder(&other))
    }

    /// Whether a process is known.
    pub(crate) fn knows(&self, pid: i32) -> bool {
        self.processes.place_of(pid).is_ok()
    }

    /// The network namespace of a process that is known.
    pub(crate) fn net_of(&self, pid: i32) -> Option<NamespaceId> {
        let at = self.processes.place_of(pid).ok()?;
        self.processes.seen.get(at).map(|seen| seen.namespaces.net)
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
        let anew = |_| true;
        identity::describe(&mut containers, &scene, &mut self.identities, anew, &mut Faults::default());
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

    /// Asks namespaces for their listeners; gives whether any answered otherwise than before. `new`: whether there
    /// can be containers whose host name was not asked for; that of these `young` processes may have changed.
    pub(crate) fn ask(&mut self, which: Which<'_>, new: bool, young: &[i32], faults: &mut Faults) -> bool {
        let places = Places::of(&self.processes.seen, self.host.net, &self.ways, which);
        let mut names = Vec::new();
        if new {
            let (containers, membership) = self.grouped();
            let unnamed = |place: &usize| {
                self.processes.seen.get(*place).is_some_and(|seen| !self.hostnames.contains_key(&seen.id()))
            };
            names = group::inits(&containers, &self.processes.seen);
            names.retain(unnamed);
            self.grouped = Some((containers, membership));
        }
        // A container has its host's name until its runtime gives it one.
        let places_of_young = young.iter().filter_map(|pid| self.processes.place_of(*pid).ok());
        let named = |place: &usize| {
            self.processes.seen.get(*place).is_some_and(|seen| self.hostnames.contains_key(&seen.id()))
        };
        names.extend(places_of_young.filter(named));
        let asker = Asker {
            processes: &self.processes.seen,
            timeout: self.options.namespace_timeout,
            before: &self.listening,
        };
        let answers = asker.ask(&places, which, &names, faults);
        let mut changed = false;
        for (place, name) in answers.hostnames {
            if let Some(seen) = self.processes.seen.get(place) {
                changed |= self.hostnames.insert(seen.id(), name.clone()) != Some(name);
            }
        }
        for (id, listening) in answers.listening {
            changed |= self.listening.get(&id).is_none_or(|before| *before != listening);
            self.silent.remove(&id);
            self.listening.insert(id, listening);
        }
        self.silent.extend(answers.silent);
        changed || self.owners.is_looking()
    }

    pub(super) fn grouped(&mut self) -> Grouped {
        self.grouped.take().unwrap_or_else(|| group::containers(&self.processes.seen, &self.host))
    }

    /// Puts together what is known. Owners are looked for in the namespaces that were asked.
    pub(crate) fn chart(&mut self, asked: Which<'_>, faults: &mut Faults) -> Inventory {
        let start = Instant::now();
        let places = Places::of(&self.processes.seen, self.host.net, &self.ways, Which::All);
        self.silent.retain(|id| places.knows(*id));
        self.listening.retain(|id, _| places.knows(*id));
        let (mut containers, membership) = self.grouped();
        let inits = group::inits(&containers, &self.processes.seen);
        let scene = identity::Scene {
            processes: &self.processes.seen,
            inits: &inits,
            host: &self.host,
            hostnames: &self.hostnames,
        };
        let restless = std::mem::take(&mut self.restless);
        self.pending = Looked::default();
        let anew = |init| matches!(asked, Which::All) || restless.contains(&init);
        identity::describe(&mut containers, &scene, &mut self.identities, anew, faults);
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
        let mut listeners = match &self.owned {
            Some(owned) => ports::listeners_owned(&known, &self.listening, owned),
            None => ports::listeners(&known, &asker, &self.listening, asked, &mut self.owners, faults),
        };
        let init_of = |at: &Option<usize>| Some(containers.get((*at)?)?.init);
        let processes = self.processes.seen.iter().zip(membership.iter().map(init_of));
        let processes = processes.map(|(seen, container)| Member::of(seen, container)).collect();
        containers.sort_by(Container::order);
        listeners.sort_by(Listener::order);
        let mut silent: Vec<NamespaceId> = self.silent.iter().copied().collect();
        silent.sort();
        Inventory {
            host: self.host,
            containers,
            listeners,
            processes,
            network_namespaces: places.iter().map(|(id, _)| id).collect(),
            faults: self.faults.clone(),
            unseen: Unseen { namespaces: silent, processes: self.processes.unseen.clone() },
            source: self.source.clone(),
            elapsed: start.elapsed(),
        }
    }
}
