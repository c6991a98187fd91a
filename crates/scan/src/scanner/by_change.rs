//! A chart brought up to date in part: the containers that something happened to, and their listeners.
//!
//! Containers do not depend on each other, but for a process that has something in common with two; so it is enough to
//! group those anew that are tied to what changed. What this cannot tell for certain is left to the whole.

use std::collections::{HashMap, HashSet};

use portolan_linux::bpf::Holder;
use portolan_linux::{NamespaceId, ProcessId};

use super::snapshot::{Looked, Snapshot};
use crate::container::Container;
use crate::diff::Diff;
use crate::fault::Faults;
use crate::listener::Listener;
use crate::member::Member;
use crate::pass::Pass;
use crate::ports::Whose;
use crate::walk::Seen;
use crate::{Inventory, group, identity};

/// If more processes are concerned than this, the whole is put together anew.
const MOST: usize = 512;

/// The best right to a socket so far: whether it is of another namespace, its age, and whose it is.
type Best<'a> = ((bool, (u64, i32)), &'a Holder, Option<&'a Seen>);

/// A part of a chart.
#[derive(Debug, Default)]
struct Part {
    containers: Vec<Container>,
    listeners: Vec<Listener>,
}

impl Snapshot {
    /// Changes a chart of this snapshot by what came of a look; gives what is different. `None`, and nothing changed,
    /// when that takes the whole.
    pub(super) fn change(&mut self, chart: &mut Inventory, looked: &Looked, pass: &Pass) -> Option<Diff> {
        if chart.unseen.processes != self.processes.unseen {
            return None;
        }
        let mut ties = looked.ties.clone();
        let mut processes = looked.processes.clone();
        // Those that made no difference to the chart when they came have no container in it yet.
        for seen in &self.processes.seen {
            let known = chart.processes.binary_search_by_key(&seen.id().pid, |member| member.id.pid);
            if known.ok().and_then(|at| chart.processes.get(at)).is_none_or(|member| member.id != seen.id()) {
                ties.extend(group::ties(seen, &self.host));
                processes.insert(seen.id());
            }
        }
        let places = self.tied(ties)?;
        let (part, of_place) = self.regroup(&places, pass)?;
        let changed = self.replace(
            chart,
            (&processes, &looked.places),
            &looked.sockets,
            (part, &places, &of_place),
            pass,
        )?;
        self.restless.clear();
        Some(changed)
    }

    fn replace(
        &self,
        chart: &mut Inventory,
        (processes, nets): (&HashSet<ProcessId>, &HashSet<NamespaceId>),
        sockets: &HashSet<u32>,
        (mut part, places, of_place): (Part, &[usize], &HashMap<usize, ProcessId>),
        pass: &Pass,
    ) -> Option<Diff> {
        let concerned: HashSet<ProcessId> = places
            .iter()
            .filter_map(|place| self.processes.seen.get(*place).map(Seen::id))
            .chain(processes.iter().copied())
            .collect();
        let inits: HashSet<ProcessId> = chart
            .processes
            .iter()
            .filter(|member| concerned.contains(&member.id))
            .filter_map(|member| member.container)
            .collect();
        let is_taken = |id: &str| {
            let others = chart.containers.iter().filter(|other| !inits.contains(&other.init));
            others
                .filter(|other| other.id.starts_with(id))
                .any(|other| other.id.len() == id.len() || other.id.as_bytes().get(id.len()) == Some(&b'@'))
        };
        let old = chart.containers.iter().filter(|container| inits.contains(&container.init));
        let ids: HashSet<&str> = part.containers.iter().map(|container| container.id.as_str()).collect();
        // Which of two has the better right to an id is told when all are known.
        if ids.len() < part.containers.len()
            || ids.iter().any(|id| is_taken(id))
            || old.clone().any(|container| container.id.contains('@') || is_taken(&container.id))
        {
            return None;
        }
        let nets: HashSet<NamespaceId> = nets
            .iter()
            .copied()
            .chain(places.iter().filter_map(|place| Some(self.processes.seen.get(*place)?.namespaces.net)))
            .filter(|net| *net != self.host.net)
            .collect();

        let mut was = Part { containers: old.cloned().collect(), listeners: Vec::new() };
        chart.containers.retain(|container| !inits.contains(&container.init));
        let is_concerned = |listener: &Listener| {
            sockets.contains(&listener.inode)
                || nets.contains(&listener.netns)
                || listener.owner.is_some_and(|owner| concerned.contains(&owner))
        };
        was.listeners = chart.listeners.extract_if(.., |listener| is_concerned(listener)).collect();
        chart.containers.extend(part.containers.iter().cloned());
        chart.containers.sort_by(Container::order);
        self.regroup_members(chart, of_place, &concerned);
        part.listeners = self.listeners_of(chart, &was.listeners, sockets, &nets, pass);
        chart.listeners.extend(part.listeners.iter().cloned());
        chart.listeners.sort_by(Listener::order);
        self.note_namespaces(chart, &nets, pass);
        Some(Diff::of_parts((&was.containers, &was.listeners), (&part.containers, &part.listeners)))
    }

    /// The places of all processes that can be of the same containers.
    fn tied(&self, mut ties: HashSet<u64>) -> Option<Vec<usize>> {
        let mut places = HashSet::new();
        loop {
            let before = places.len();
            for (place, seen) in self.processes.seen.iter().enumerate() {
                if !places.contains(&place) && group::ties(seen, &self.host).any(|tie| ties.contains(&tie)) {
                    ties.extend(group::ties(seen, &self.host));
                    places.insert(place);
                }
            }
            if places.len() > MOST {
                return None;
            }
            if places.len() == before {
                break;
            }
        }
        let mut places: Vec<usize> = places.into_iter().collect();
        places.sort_unstable();
        Some(places)
    }

    /// The containers of these processes, and the first process of the container of each, by its place.
    fn regroup(&mut self, places: &[usize], pass: &Pass) -> Option<(Part, HashMap<usize, ProcessId>)> {
        let concerned: Vec<&Seen> =
            places.iter().filter_map(|place| self.processes.seen.get(*place)).collect();
        let (mut containers, membership) = group::containers(&concerned, &self.host);
        let init_of = |(place, at): (&usize, Option<usize>)| Some((*place, containers.get(at?)?.init));
        let of_place = places.iter().zip(membership).filter_map(init_of).collect();
        for container in &containers {
            if let Some(name) = pass.hostname(container.init.pid) {
                self.hostnames.insert(container.init, name);
            }
        }
        let place_of = |container: &Container| self.processes.place_of(container.init.pid).ok();
        let inits: Option<Vec<usize>> = containers.iter().map(place_of).collect();
        let scene = identity::Scene {
            processes: &self.processes.seen,
            inits: &inits?,
            host: &self.host,
            hostnames: &self.hostnames,
        };
        let anew = |init| self.restless.contains(&init);
        identity::describe_some(&mut containers, &scene, &mut self.identities, anew, &mut Faults::default());
        containers.sort_by(Container::order);
        Some((Part { containers, listeners: Vec::new() }, of_place))
    }

    fn regroup_members(
        &self,
        chart: &mut Inventory,
        of_place: &HashMap<usize, ProcessId>,
        concerned: &HashSet<ProcessId>,
    ) {
        let mut before = chart.processes.iter().peekable();
        let members = self.processes.seen.iter().enumerate().map(|(place, seen)| {
            while before.next_if(|member| member.id.pid < seen.id().pid).is_some() {}
            let was = before.next_if(|member| member.id == seen.id());
            let container = match of_place.get(&place) {
                Some(init) => Some(*init),
                None if concerned.contains(&seen.id()) => None,
                None => was.and_then(|member| member.container),
            };
            Member::of(seen, container)
        });
        let members = members.collect();
        chart.processes = members;
    }

    /// Those listeners that are concerned, as they are now.
    fn listeners_of(
        &self,
        chart: &Inventory,
        was: &[Listener],
        sockets: &HashSet<u32>,
        nets: &HashSet<NamespaceId>,
        pass: &Pass,
    ) -> Vec<Listener> {
        let mut concerned: HashSet<u32> = was.iter().map(|listener| listener.inode).collect();
        concerned.extend(sockets);
        concerned.remove(&0);
        let is_concerned =
            |holder: &&Holder| concerned.contains(&holder.listening.inode) || nets.contains(&holder.netns);
        let mut best: HashMap<u32, Best<'_>> = HashMap::new();
        for holder in pass.holders().filter(is_concerned).filter(|holder| !holder.is_nameless) {
            let place = self.processes.place_of(holder.pid).ok();
            let seen = place.and_then(|place| self.processes.seen.get(place));
            let is_of = |seen: &&Seen| seen.id().start_time == pass.start_time(holder) && pass.is_of(holder);
            let Some(seen) = seen.filter(is_of) else {
                continue;
            };
            let rank = (!self.is_home(seen, holder.netns, pass), seen.age());
            let known = best.entry(holder.listening.inode).or_insert((rank, holder, Some(seen)));
            if rank < known.0 {
                *known = (rank, holder, Some(seen));
            }
        }
        let mut listeners: Vec<Listener> = best
            .iter()
            .map(|(inode, (_, holder, owner))| {
                self.whose(chart, *owner, holder.netns).listener(
                    &self.host,
                    holder.netns,
                    &holder.listening,
                    *inode,
                )
            })
            .collect();
        // What nobody has, nobody has now.
        for listener in was.iter().filter(|l| l.owner.is_none() && !best.contains_key(&l.inode)) {
            let whose = self.whose(chart, None, listener.netns);
            let known = self.listening.get(&listener.netns).into_iter().flatten();
            let same = known.filter(|l| l.inode == listener.inode && l.local == listener.local);
            listeners.extend(same.map(|l| whose.listener(&self.host, listener.netns, l, l.inode)).next());
        }
        listeners.sort_by(Listener::order);
        listeners
    }

    fn is_home(&self, seen: &Seen, net: NamespaceId, pass: &Pass) -> bool {
        seen.namespaces.net == net
            || pass.strays().iter().any(|stray| stray.process == seen.id() && stray.net == net)
                && !self.processes.seen.iter().any(|seen| seen.namespaces.net == net)
    }

    fn whose<'a>(&self, chart: &'a Inventory, owner: Option<&'a Seen>, net: NamespaceId) -> Whose<'a> {
        let member = owner.and_then(|owner| {
            let at = chart.processes.binary_search_by_key(&owner.id().pid, |member| member.id.pid).ok()?;
            chart.processes.get(at)
        });
        let init = member.and_then(|member| member.container);
        let container = init.and_then(|init| chart.containers.iter().find(|c| c.init == init));
        let of_namespace = chart.containers.iter().filter(|c| c.namespaces.net == net);
        let of_namespace = of_namespace.min_by_key(|c| c.init.start_time).filter(|_| net != self.host.net);
        Whose { owner, container, of_namespace }
    }

    /// Adds namespaces that came, and takes those away that nothing is in any more.
    fn note_namespaces(&self, chart: &mut Inventory, nets: &HashSet<NamespaceId>, pass: &Pass) {
        for net in nets {
            let is_there = self.processes.seen.iter().any(|seen| seen.namespaces.net == *net)
                || self.ways.contains_key(net)
                || pass.holders().any(|holder| holder.netns == *net);
            chart.network_namespaces.retain(|known| is_there || known != net);
            if is_there && !chart.network_namespaces.contains(net) {
                chart.network_namespaces.push(*net);
            }
        }
    }
}
