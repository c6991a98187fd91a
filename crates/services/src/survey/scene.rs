//! A chart, by what is asked of it.

use std::collections::HashMap;
use std::sync::Arc;

use portolan_linux::ProcessId;
use portolan_scan::{Container, Inventory, Listener, Member};

use super::Known;
use crate::recognise::Verdict;
use crate::recognise::group::Group;

/// The chart, by what is asked of it.
pub(super) struct Scene<'a> {
    pub(super) containers: HashMap<ProcessId, &'a Container>,
    pub(super) members: HashMap<i32, &'a Member>,
    listeners: HashMap<ProcessId, Vec<&'a Listener>>,
}

impl<'a> Scene<'a> {
    pub(super) fn of(chart: &'a Inventory) -> Self {
        let mut listeners: HashMap<ProcessId, Vec<&Listener>> = HashMap::new();
        for listener in &chart.listeners {
            if let Some(owner) = listener.owner {
                listeners.entry(owner).or_default().push(listener);
            }
        }
        Self {
            containers: chart.containers.iter().map(|c| (c.init, c)).collect(),
            members: chart.processes.iter().map(|m| (m.id.pid, m)).collect(),
            listeners,
        }
    }

    pub(super) fn listeners_of(&self, process: ProcessId) -> impl Iterator<Item = &'a Listener> {
        self.listeners.get(&process).into_iter().flatten().copied()
    }

    pub(super) fn ports(&self, member: &Member) -> Vec<u16> {
        let mut ports: Vec<u16> = self.listeners_of(member.id).filter_map(Listener::port).collect();
        ports.sort_unstable();
        ports.dedup();
        ports
    }

    /// A program that no rule knows by itself is a service if it listens, or if its container is there for it, or a
    /// supervisor runs it; what starts programs and is none itself may stand between.
    pub(super) fn matters(
        &self,
        group: &Group<'_>,
        known: &HashMap<ProcessId, Known>,
        verdicts: &HashMap<ProcessId, Arc<Verdict>>,
    ) -> bool {
        let listens = || group.members.iter().any(|member| self.listeners_of(member.id).next().is_some());
        !group.verdict.rule.runtime || listens() || self.is_started_for_itself(group.first, known, verdicts)
    }

    fn is_started_for_itself(
        &self,
        first: &Member,
        known: &HashMap<ProcessId, Known>,
        verdicts: &HashMap<ProcessId, Arc<Verdict>>,
    ) -> bool {
        let mut at = first;
        // Wrappers are few; a circle of parents cannot be, unless the host lies.
        for _ in 0..16 {
            if at.container == Some(at.id) {
                return true;
            }
            let parent = self.members.get(&at.parent).filter(|parent| parent.container == at.container);
            let Some(parent) = parent else { return false };
            if verdicts.get(&parent.id).is_some_and(|verdict| verdict.rule.supervisor) {
                return true;
            }
            if !known.get(&parent.id).is_some_and(|known| known.wrapper) {
                return false;
            }
            at = parent;
        }
        false
    }
}
