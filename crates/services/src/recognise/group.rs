//! Processes into services: a master and its workers are one, and so are the other programs that it consists of.

use std::collections::HashMap;
use std::sync::Arc;

use portolan_linux::ProcessId;
use portolan_scan::Member;

use super::{Verdict, is_part};
use crate::launch::Launch;

/// A service's processes.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    pub(crate) first: &'a Member,
    pub(crate) verdict: &'a Verdict,
    pub(crate) members: Vec<&'a Member>,
}

/// The processes of a chart, as they are joined.
struct Join<'a, L> {
    members: &'a [Member],
    by_pid: HashMap<i32, usize>,
    verdicts: &'a HashMap<ProcessId, Arc<Verdict>>,
    launch: L,
    /// The first process of the service that each one belongs to, where that is known.
    homes: Vec<Home>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Home {
    Unseen,
    /// Of no service.
    None,
    Of(usize),
}

/// Joins processes of one kind and name that descend from each other, within a container, and the parts of a service
/// with it. `launch` says how a process was started.
pub(crate) fn join<'a, 'l>(
    members: &'a [Member],
    verdicts: &'a HashMap<ProcessId, Arc<Verdict>>,
    launch: impl Fn(ProcessId) -> Option<&'l Launch>,
) -> Vec<Group<'a>> {
    let by_pid = members.iter().enumerate().map(|(at, member)| (member.id.pid, at)).collect();
    let mut join = Join { members, by_pid, verdicts, launch, homes: vec![Home::Unseen; members.len()] };
    let starters = join.starters();
    for at in 0..members.len() {
        join.find_home(at);
    }
    // What starts a service is a part of it, but never its first process.
    for (starter, started) in starters {
        let home = join.home(started);
        let free = [Home::None, Home::Of(starter)].contains(&join.home(starter));
        if home != Home::None && free {
            join.settle(starter, home);
        }
    }
    join.groups()
}

impl<'a, 'l, L: Fn(ProcessId) -> Option<&'l Launch>> Join<'a, L> {
    fn verdict(&self, at: usize) -> Option<&'a Verdict> {
        self.verdicts.get(&self.members.get(at)?.id).map(Arc::as_ref)
    }

    fn home(&self, at: usize) -> Home {
        self.homes.get(at).copied().unwrap_or(Home::None)
    }

    fn settle(&mut self, at: usize, home: Home) {
        if let Some(place) = self.homes.get_mut(at) {
            *place = home;
        }
    }

    /// The parent, if it is of the same container. It is older than its child: a circle cannot be.
    fn parent(&self, at: usize) -> Option<usize> {
        let member = self.members.get(at)?;
        let place = *self.by_pid.get(&member.parent)?;
        let parent = self.members.get(place)?;
        let older = parent.id.start_time <= member.id.start_time && parent.id != member.id;
        (parent.container == member.container && older).then_some(place)
    }

    fn is_part(&self, at: usize, of: &Verdict) -> bool {
        let launch = self.members.get(at).and_then(|member| (self.launch)(member.id));
        launch.is_some_and(|launch| is_part(&of.rule, launch))
    }

    /// Those that a service's process descends from and that are parts of it, with that process.
    fn starters(&self) -> Vec<(usize, usize)> {
        let mut starters = Vec::new();
        for at in 0..self.members.len() {
            let Some(verdict) = self.verdict(at).filter(|verdict| !verdict.rule.parts.is_empty()) else {
                continue;
            };
            let mut child = at;
            // A service is started by few programs one after another.
            for _ in 0..8 {
                let Some(parent) = self.parent(child) else { break };
                let own = self.verdict(parent).is_some_and(|of| !of.rule.runtime);
                if own || !self.is_part(parent, verdict) {
                    break;
                }
                starters.push((parent, at));
                child = parent;
            }
        }
        starters
    }

    /// Finds the home of a process: its parent's where it belongs to it, else its own.
    fn find_home(&mut self, at: usize) {
        // From the process up to the first whose home is known; a chain has no process twice, unless the host lies.
        let mut chain = vec![at];
        while let Some(parent) = chain.last().and_then(|last| self.parent(*last))
            && self.home(parent) == Home::Unseen
            && chain.len() <= self.members.len()
        {
            chain.push(parent);
        }
        while let Some(at) = chain.pop() {
            let own = if self.verdict(at).is_some() { Home::Of(at) } else { Home::None };
            let home = match self.parent(at).map(|parent| (parent, self.home(parent))) {
                Some((parent, Home::Of(first))) if self.belongs(at, parent, first) => Home::Of(first),
                _ => own,
            };
            self.settle(at, home);
        }
    }

    /// Whether a process belongs to its parent's service.
    fn belongs(&self, at: usize, parent: usize, first: usize) -> bool {
        let Some(of) = self.verdict(first) else { return false };
        let alike = |a: &Verdict, b: &Verdict| a.rule.kind == b.rule.kind && a.name == b.name;
        let of_kind = self.verdict(at).is_some_and(|own| alike(own, of));
        // A worker of its kind below another program of it, or a part.
        (of_kind
            && (self.verdict(parent).is_some_and(|parent| alike(parent, of)) || self.is_part(parent, of)))
            || self.is_part(at, of)
    }

    fn groups(self) -> Vec<Group<'a>> {
        let mut groups: Vec<Group<'_>> = Vec::new();
        let mut places: HashMap<usize, usize> = HashMap::new();
        for (at, member) in self.members.iter().enumerate() {
            let Home::Of(first) = self.home(at) else { continue };
            let (Some(head), Some(verdict)) = (self.members.get(first), self.verdict(first)) else {
                continue;
            };
            let place = *places.entry(first).or_insert_with(|| {
                groups.push(Group { first: head, verdict, members: Vec::new() });
                groups.len().saturating_sub(1)
            });
            if let Some(group) = groups.get_mut(place) {
                group.members.push(member);
            }
        }
        groups
    }
}
