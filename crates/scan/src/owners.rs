//! Which process owns a listening socket.
//!
//! A socket's inode number is among the descriptors of its owner, so the descriptors of processes are looked through,
//! but no further than needed: only of namespaces that have listeners, the oldest process first, the lowest
//! descriptors first, and no longer than there is a listener without an owner. What was accepted later is never
//! looked at. Where a socket was found is remembered, so that the next scan asks for that descriptor alone, after
//! those of older processes.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use portolan_linux::{ErrorKind, Process, ProcessId};

use crate::fault::Faults;
use crate::places::Member;
use crate::walk::Seen;

/// A socket, by its inode number, which no other socket of the host has while it is open.
type Socket = u32;

/// Where sockets were found in the scan before.
#[derive(Debug, Default)]
pub(crate) struct Remembered(HashMap<Socket, (ProcessId, u32)>);

/// Who looks for owners, and what was found.
pub(crate) struct Search<'a> {
    processes: &'a [Seen],
    before: &'a Remembered,
    found: HashMap<Socket, (usize, u32)>,
    /// Sockets of the host that most likely belong to a process that we may not look at.
    unlikely: HashSet<Socket>,
}

/// How far a process's descriptors are looked through for an unlikely socket.
const UNLIKELY: u32 = 32;

impl<'a> Search<'a> {
    pub(crate) fn new(processes: &'a [Seen], before: &'a Remembered) -> Self {
        Self { processes, before, found: HashMap::new(), unlikely: HashSet::new() }
    }

    /// Looks among the processes of the sockets' own namespace; gives those that nobody there has.
    pub(crate) fn at_home(
        &mut self,
        members: &[Member],
        mut wanted: HashSet<Socket>,
        faults: &mut Faults,
    ) -> HashSet<Socket> {
        for member in members {
            if wanted.is_empty() && self.unlikely.is_empty() {
                break;
            }
            self.among(*member, &mut wanted, faults);
        }
        wanted
    }

    /// From now on, whoever is looked at is looked at for these as well, among its first descriptors: that they were
    /// handed to a process of another namespace is possible, but not worth more.
    pub(crate) fn also(&mut self, sockets: HashSet<Socket>) {
        self.unlikely.extend(sockets);
    }

    /// Looks everywhere for sockets that were handed to a process of another namespace.
    pub(crate) fn abroad(&mut self, mut wanted: HashSet<Socket>, faults: &mut Faults) {
        if wanted.is_empty() {
            return;
        }
        self.unlikely.clear();
        let mut order: Vec<usize> = (0..self.processes.len()).collect();
        order.sort_by_key(|place| self.processes.get(*place).map(Seen::age));
        for place in order {
            if wanted.is_empty() {
                break;
            }
            self.among(Member { place, thread: None }, &mut wanted, faults);
        }
    }

    /// Takes from `wanted` what a process has.
    fn among(&mut self, member: Member, wanted: &mut HashSet<Socket>, faults: &mut Faults) {
        let Some(seen) = self.processes.get(member.place) else { return };
        let looked = seen.trace.follow().and_then(|process| {
            self.again(member, &process, wanted);
            if wanted.is_empty() && self.unlikely.is_empty() {
                return Ok(());
            }
            let look = |link: &[u8], descriptor: u32| {
                if let Some(socket) = portolan_linux::process::socket_inode(link) {
                    if wanted.remove(&socket) {
                        self.found.insert(socket, (member.place, descriptor));
                    } else if descriptor < UNLIKELY && self.unlikely.contains(&socket) {
                        self.found_unlikely(socket, member.place, descriptor);
                    }
                }
                let more = !wanted.is_empty() || !self.unlikely.is_empty() && descriptor < UNLIKELY;
                if more { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            };
            match member.thread {
                None => process.descriptors(look),
                Some(thread) => process.descriptors_of_thread(thread, look),
            }
        });
        if let Err(error) = looked
            && error.kind() != ErrorKind::TargetGone
        {
            faults.of_pid("list the sockets", seen.id().pid, &error);
        }
    }

    /// The oldest holder counts, in whatever order they are met.
    fn found_unlikely(&mut self, socket: Socket, place: usize, descriptor: u32) {
        let age = |place: usize| self.processes.get(place).map(Seen::age);
        if self.found.get(&socket).is_none_or(|(known, _)| age(place) < age(*known)) {
            self.found.insert(socket, (place, descriptor));
        }
    }

    /// Looks where the sockets were before.
    fn again(&mut self, member: Member, process: &Process, wanted: &mut HashSet<Socket>) {
        if self.before.0.is_empty() || member.thread.is_some() {
            return;
        }
        let still = |socket: &Socket| {
            let (holder, descriptor) = self.before.0.get(socket)?;
            (*holder == process.id() && process.socket(*descriptor).ok()? == Some(*socket))
                .then_some((*socket, *descriptor))
        };
        let held: Vec<_> = wanted.iter().filter_map(still).collect();
        for (socket, descriptor) in held {
            wanted.remove(&socket);
            self.found.insert(socket, (member.place, descriptor));
        }
    }

    /// Takes the owners of some sockets from the scan before, without looking.
    pub(crate) fn as_before(
        &mut self,
        sockets: impl Iterator<Item = Socket>,
        at: &HashMap<ProcessId, usize>,
    ) {
        for socket in sockets {
            if let Some((holder, descriptor)) = self.before.0.get(&socket)
                && let Some(place) = at.get(holder)
            {
                self.found.insert(socket, (*place, *descriptor));
            }
        }
    }

    /// The places of the owners, and what the next scan is to remember.
    pub(crate) fn done(self) -> (HashMap<Socket, usize>, Remembered) {
        let remembered = self.found.iter().filter_map(|(socket, (place, descriptor))| {
            Some((*socket, (self.processes.get(*place)?.id(), *descriptor)))
        });
        let remembered = Remembered(remembered.collect());
        (self.found.into_iter().map(|(socket, (place, _))| (socket, place)).collect(), remembered)
    }
}
