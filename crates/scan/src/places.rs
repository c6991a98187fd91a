//! The network namespaces of the host, and a way into each of them.
//!
//! Most have a process whose main thread is in them. One can also be held by a bind mount of its file (as `ip netns
//! add` makes below `/run/netns`), by a single thread of a process, or by a descriptor alone: of the namespace, or of
//! a socket that was made in it.

use std::collections::{BTreeMap, HashMap};

use portolan_linux::netns_files::NamespaceFile;
use portolan_linux::{NamespaceId, ProcessId};

use crate::scanner::snapshot::Which;
use crate::walk::Seen;

/// A process that can own sockets of a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Member {
    /// Its place in the list of processes.
    pub(crate) place: usize,
    /// The one thread of it that is in the namespace, when its main thread is elsewhere.
    pub(crate) thread: Option<i32>,
}

/// How to come into a namespace that no process's main thread is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Way {
    /// It is mounted here, below the root of that process.
    Mount(ProcessId, NamespaceFile),
    /// A thread of a process is in it.
    Thread(ProcessId, i32),
    /// A process has a descriptor of it.
    Descriptor(ProcessId, u32),
    /// A process has a descriptor of a socket in it.
    Socket(ProcessId, u32),
}

/// The ways that were found, by namespace: more than one, for a thread can be passing through, as one of another
/// program that scans.
pub(crate) type Ways = BTreeMap<NamespaceId, Vec<Way>>;

/// A network namespace.
#[derive(Debug, Default)]
pub(crate) struct Place {
    /// The processes in it, the oldest first.
    pub(crate) members: Vec<Member>,
    /// For one that no main thread is in, or whose main threads have ended.
    pub(crate) ways: Vec<Way>,
}

/// All network namespaces that are known.
#[derive(Debug)]
pub(crate) struct Places {
    order: Vec<NamespaceId>,
    places: HashMap<NamespaceId, Place>,
}

impl Places {
    /// By the processes' main threads, and by other ways into namespaces that none of those is in. The host's is the
    /// first, and is there even if none of its processes can be looked at.
    ///
    /// Of the others only those of `which` are looked for.
    pub(crate) fn of(processes: &[Seen], host: NamespaceId, ways: &Ways, which: Which<'_>) -> Self {
        let mut places = Self { order: vec![host], places: HashMap::from([(host, Place::default())]) };
        let wanted = processes.iter().enumerate().filter(|(_, process)| which.has(process.namespaces.net));
        for (place, process) in wanted {
            let at = places.at(process.namespaces.net);
            at.members.push(Member { place, thread: process.thread });
            at.ways.extend(process.thread.map(|thread| Way::Thread(process.id(), thread)));
        }
        for place in places.places.values_mut() {
            place.members.sort_by_key(|member| processes.get(member.place).map(Seen::age));
        }
        for (id, ways) in ways.iter().filter(|(id, _)| which.has(**id)) {
            let place = places.at(*id);
            if place.members.is_empty() {
                let thread = |way: &Way| match way {
                    Way::Thread(process, thread) => {
                        let place = processes.iter().position(|seen| seen.id() == *process)?;
                        Some(Member { place, thread: Some(*thread) })
                    }
                    _ => None,
                };
                place.members = ways.iter().filter_map(thread).collect();
                place.members.sort_by_key(|member| processes.get(member.place).map(Seen::age));
                place.ways.clone_from(ways);
            }
        }
        places
    }

    fn at(&mut self, id: NamespaceId) -> &mut Place {
        self.places.entry(id).or_insert_with(|| {
            self.order.push(id);
            Place::default()
        })
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (NamespaceId, &Place)> {
        self.order.iter().filter_map(|id| self.places.get(id).map(|place| (*id, place)))
    }

    pub(crate) fn get(&self, id: NamespaceId) -> Option<&Place> {
        self.places.get(&id)
    }

    pub(crate) fn knows(&self, id: NamespaceId) -> bool {
        self.places.contains_key(&id)
    }
}
