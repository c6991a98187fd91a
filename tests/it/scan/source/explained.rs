//! What may be different between both ways, each with its name, and when it applies.

use std::collections::BTreeSet;

use portolan::{Listener, NamespaceId};

use super::super::part::{Part, apart, shown};
use super::holders::Holders;
use crate::oracle;

/// Why one way shows what the other does not. Whether it applies is found out from `/proc`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Explained {
    /// Nobody holds the socket: it was sent and is not received. BPF iterators see what is held; for what is not, the
    /// kernel is asked in the host's network, and in the others only by a thorough scan. System calls only.
    OnItsWay,
    /// Nothing holds the network namespace but a socket that listens. BPF iterators see the socket; system calls look
    /// for such namespaces only in a thorough scan. BPF only.
    HeldBySocket,
    /// A thread has descriptors of its own (`unshare(CLONE_FILES)`), and the socket is in no other table of its
    /// process. System calls look at those of the first thread. BPF only.
    OwnTable,
    /// A socket of the host's network that was handed to a process of another, above its first 32 descriptors, while
    /// there is a process that may not be looked at and is the likelier owner. BPF only.
    FarAbroad,
}

/// The differences between two charts of one moment, each with its explanation.
pub(super) struct Compared<'a> {
    bpf: &'a Part,
    calls: &'a Part,
    holders: &'a Holders,
    thorough: bool,
    host: u64,
    pub(super) explained: BTreeSet<Explained>,
    /// What nothing explains.
    pub(super) unexplained: Vec<String>,
}

impl<'a> Compared<'a> {
    pub(super) fn new(bpf: &'a Part, calls: &'a Part, holders: &'a Holders, thorough: bool) -> Self {
        let host = oracle::namespace("self", "net");
        let (explained, unexplained) = (BTreeSet::new(), Vec::new());
        let mut compared = Self { bpf, calls, holders, thorough, host, explained, unexplained };
        compared.unexplained = apart(("bpf", &bpf.rest()), ("syscalls", &calls.rest()));
        compared.namespaces();
        compared.listeners();
        compared
    }

    fn note(&mut self, explained: Option<Explained>, what: impl FnOnce() -> String) {
        match explained {
            Some(name) => _ = self.explained.insert(name),
            None => self.unexplained.push(what()),
        }
    }

    fn namespaces(&mut self) {
        for part in [self.bpf, self.calls] {
            let once: BTreeSet<NamespaceId> = part.namespaces.iter().copied().collect();
            assert_eq!(once.len(), part.namespaces.len(), "one twice: {:?}", part.namespaces);
        }
        for id in self.bpf.namespaces.iter().filter(|id| !self.calls.namespaces.contains(id)) {
            self.note(self.only_bpf_knows(*id), || format!("bpf: {id:?}"));
        }
        for id in self.calls.namespaces.iter().filter(|id| !self.bpf.namespaces.contains(id)) {
            self.note(None, || format!("syscalls: {id:?}"));
        }
    }

    fn only_bpf_knows(&self, id: NamespaceId) -> Option<Explained> {
        if self.holders.has_task_in(id.inode()) || !self.bpf.listeners.iter().any(|l| l.netns == id) {
            return None;
        }
        let mut sockets = self.bpf.listeners.iter().filter(|l| l.netns == id).map(|l| l.inode);
        if !self.thorough {
            return sockets
                .any(|socket| !self.holders.of(socket).is_empty())
                .then_some(Explained::HeldBySocket);
        }
        sockets.all(|socket| self.is_hidden(socket)).then_some(Explained::OwnTable)
    }

    /// Whether only threads with descriptors of their own hold a socket.
    fn is_hidden(&self, socket: u32) -> bool {
        let holdings = self.holders.of(socket);
        !holdings.is_empty() && holdings.iter().all(|holding| !holding.of_first)
    }

    fn listeners(&mut self) {
        let key = |l: &Listener| (l.netns, l.inode, l.protocol, shown(&l.local));
        for part in [self.bpf, self.calls] {
            let once: BTreeSet<_> = part.listeners.iter().map(key).collect();
            assert_eq!(once.len(), part.listeners.len(), "one twice: {:?}", part.listeners);
        }
        let (bpf, calls) = (self.bpf, self.calls);
        let same = |one: &Listener, all: &'a Part| all.listeners.iter().find(|other| key(one) == key(other));
        for l in &bpf.listeners {
            match same(l, calls) {
                Some(other) => {
                    if l != other {
                        self.note(self.other_owner(l, other), || format!("bpf: {l:?}, syscalls: {other:?}"));
                    }
                }
                None => self.note(self.only_by_bpf(l), || format!("bpf: {l:?}")),
            }
        }
        for l in calls.listeners.iter().filter(|l| same(l, bpf).is_none()) {
            self.note(self.only_by_calls(l), || format!("syscalls: {l:?}"));
        }
    }

    /// One that is not there in the other chart, because its namespace is not.
    fn only_by_bpf(&self, l: &Listener) -> Option<Explained> {
        if self.calls.namespaces.contains(&l.netns) { None } else { self.only_bpf_knows(l.netns) }
    }

    fn only_by_calls(&self, l: &Listener) -> Option<Explained> {
        let nobodys = l.owner.is_none() && self.holders.of(l.inode).is_empty();
        let not_asked = !self.thorough && l.netns.inode() != self.host;
        (nobodys && not_asked).then_some(Explained::OnItsWay)
    }

    /// Nothing but the owner may differ, and what is told because of it.
    fn other_owner(&self, bpf: &Listener, calls: &Listener) -> Option<Explained> {
        let mut but_for_owner = calls.clone();
        but_for_owner.owner = bpf.owner;
        but_for_owner.command.clone_from(&bpf.command);
        but_for_owner.container.clone_from(&bpf.container);
        but_for_owner.reach = bpf.reach;
        let owner = bpf.owner?;
        if but_for_owner != *bpf || calls.owner == bpf.owner {
            return None;
        }
        let held = self.holders.of(bpf.inode).iter().filter(|holding| holding.pid == owner.pid);
        let by_first: Vec<u32> =
            held.clone().filter(|holding| holding.of_first).map(|holding| holding.descriptor).collect();
        let abroad = bpf.netns.inode() == self.host && self.holders.blind;
        match by_first.iter().min() {
            None => (held.count() > 0).then_some(Explained::OwnTable),
            Some(lowest) => (abroad && *lowest >= 32).then_some(Explained::FarAbroad),
        }
    }
}
