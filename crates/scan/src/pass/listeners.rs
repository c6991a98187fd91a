//! The rows of listeners: what listens in which namespace, and whose it is.

use std::collections::{HashMap, HashSet};

use portolan_linux::bpf::Holder;
use portolan_linux::sock_diag::Listening;
use portolan_linux::{NamespaceId, ProcessId};

use super::Pass;
use crate::walk::Processes;

/// More listeners than this of one namespace are not kept, as of a dump.
const MOST: usize = 1 << 14;

/// What the rows say, as far as their processes are known.
#[derive(Debug, Default)]
pub(crate) struct Rows {
    /// The listeners of each namespace, each once.
    pub(crate) listening: HashMap<NamespaceId, Vec<Listening>>,
    /// The place of each socket's owner, by its inode number.
    pub(crate) owners: HashMap<u32, usize>,
    /// Namespaces with Unix sockets whose names could not be read.
    pub(crate) nameless: HashSet<NamespaceId>,
    /// Namespaces with more than are kept.
    pub(crate) flooded: HashSet<NamespaceId>,
    /// Processes that the pass over processes did not know of yet.
    pub(crate) strangers: HashSet<i32>,
}

impl Rows {
    /// Each listener belongs to the oldest process of its own network namespace that has it, or if none there has it, to
    /// the oldest of all. Where no first thread is, a process whose other thread is there counts as being there.
    pub(crate) fn of(pass: &Pass, processes: &Processes) -> Self {
        let mut rows = Self::default();
        let inhabited: HashSet<NamespaceId> = processes.seen.iter().map(|seen| seen.namespaces.net).collect();
        let strays: HashSet<(ProcessId, NamespaceId)> =
            pass.strays().iter().map(|stray| (stray.process, stray.net)).collect();
        let mut best: HashMap<u32, (bool, (u64, i32), usize)> = HashMap::new();
        for holder in pass.holders() {
            let start_time = pass.start_time(holder);
            let place = processes.place_of(holder.pid).ok();
            let seen = place.and_then(|place| Some((place, processes.seen.get(place)?)));
            let Some((place, seen)) =
                seen.filter(|(_, seen)| seen.id().start_time == start_time && pass.is_of(holder))
            else {
                rows.strangers.insert(holder.pid);
                continue;
            };
            let net = holder.netns;
            let is_home =
                seen.namespaces.net == net || !inhabited.contains(&net) && strays.contains(&(seen.id(), net));
            let rank = (!is_home, seen.age(), place);
            let inode = holder.listening.inode;
            let is_new = !best.contains_key(&inode);
            let known = best.entry(inode).or_insert(rank);
            *known = rank.min(*known);
            if is_new {
                rows.add(holder);
            }
        }
        rows.owners = best.into_iter().map(|(inode, (.., place))| (inode, place)).collect();
        rows
    }

    fn add(&mut self, holder: &Holder) {
        if holder.is_nameless {
            self.nameless.insert(holder.netns);
            return;
        }
        let listening = self.listening.entry(holder.netns).or_default();
        if listening.len() < MOST {
            listening.push(holder.listening.clone());
        } else {
            self.flooded.insert(holder.netns);
        }
    }

    /// Adds what a namespace said itself: sockets that no process has.
    pub(crate) fn add_dump(&mut self, id: NamespaceId, dump: &[Listening]) {
        let known = self.listening.entry(id).or_default();
        let numbers: HashSet<u32> = known.iter().map(|listening| listening.inode).collect();
        let dumped: HashSet<u32> = dump.iter().map(|listening| listening.inode).collect();
        // A program's socket for Multipath TCP has the kernel's beside it, which older kernels show in its place.
        let stands_in = |new: &Listening| {
            known.iter().any(|l| {
                l.protocol == new.protocol
                    && l.local == new.local
                    && l.interface == new.interface
                    && !dumped.contains(&l.inode)
            })
        };
        let nobodys = |new: &&Listening| new.inode == 0 || !numbers.contains(&new.inode) && !stands_in(new);
        let new: Vec<Listening> = dump.iter().filter(nobodys).cloned().collect();
        known.extend(new);
    }
}
