//! Processes into services: a master and its workers are one.

use std::collections::HashMap;
use std::sync::Arc;

use portolan_linux::ProcessId;
use portolan_scan::Member;

use super::Verdict;

/// A service's processes.
#[derive(Debug)]
pub(crate) struct Group<'a> {
    pub(crate) first: &'a Member,
    pub(crate) verdict: &'a Verdict,
    pub(crate) members: Vec<&'a Member>,
}

/// Joins processes of one kind that descend from each other, within a container.
pub(crate) fn join<'a>(
    members: &'a [Member],
    verdicts: &'a HashMap<ProcessId, Arc<Verdict>>,
) -> Vec<Group<'a>> {
    let by_pid: HashMap<i32, &Member> = members.iter().map(|member| (member.id.pid, member)).collect();
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut places: HashMap<ProcessId, usize> = HashMap::new();
    for member in members {
        let Some(verdict) = verdicts.get(&member.id) else { continue };
        let (mut first, mut of_first) = (member, verdict);
        // A parent is older than its child; a circle cannot be.
        while let Some(parent) = by_pid.get(&first.parent)
            && parent.container == member.container
            && parent.id.start_time <= first.id.start_time
            && parent.id != first.id
            && let Some(of_parent) = verdicts.get(&parent.id)
            && of_parent.rule.kind == verdict.rule.kind
            && of_parent.name == verdict.name
        {
            (first, of_first) = (parent, of_parent);
        }
        let at = *places.entry(first.id).or_insert_with(|| {
            groups.push(Group { first, verdict: of_first, members: Vec::new() });
            groups.len().saturating_sub(1)
        });
        if let Some(group) = groups.get_mut(at) {
            group.members.push(member);
        }
    }
    groups
}
