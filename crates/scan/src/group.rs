//! Processes into containers: by their cgroup, and where that says nothing, by their namespaces.
//!
//! What the cgroup does not name is a container all the same when its mount namespace, and its pid or its network
//! namespace, are not the host's. Such processes are one container if they share the mount or the pid namespace:
//! a container that runs systemd has many mount namespaces, and a supervisor such as `unshare --fork` stays
//! outside of the pid namespace that it made. If a container that a cgroup names has that namespace, they are its.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use portolan_linux::{NamespaceId, ProcessId};

use crate::cgroup::{Classification, Kind, Runtime};
use crate::container::{Container, Namespaces, Pod};
use crate::identity::{self, Claim};
use crate::walk::Seen;

/// What tells containers of one cgroup apart: the runtime and the id, and if a user could have made that cgroup, who.
type Name<'a> = (Runtime, &'a String, Claim);

/// The runtime and the id that a process's cgroup names.
fn named<'a>(process: &'a Seen, host: &Namespaces) -> Option<Name<'a>> {
    let cgroup: &Classification = &process.cgroup;
    let id = cgroup.container_id.as_ref().or(cgroup.name.as_ref())?;
    let certain = match cgroup.runtime {
        Runtime::None | Runtime::Host => false,
        // A custom parent (`docker run --cgroup-parent`) hides the runtime, not the id. Anybody can name a directory
        // so; a container has mounts of its own as well.
        Runtime::Unknown => {
            id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit()) && process.namespaces.mnt != host.mnt
        }
        _ => true,
    };
    let claim = identity::claim(process);
    // Below a user's manager, only processes of that user were put there by the one who chose the name.
    (certain && cgroup.is_container() && claim != Claim::Foreign).then_some((cgroup.runtime, id, claim))
}

/// Whether a process's namespaces make it part of a container, and why.
fn apart(process: &Seen, host: &Namespaces) -> Option<&'static str> {
    let own = &process.namespaces;
    if own.mnt == host.mnt {
        None
    } else if own.pid != host.pid {
        Some("its mount and pid namespaces are not the host's")
    } else if own.net != host.net && (process.cgroup.kind != Kind::LookAlike || process.cgroup.is_login()) {
        // systemd gives services such namespaces (PrivateNetwork=): they are the host's all the same. A login has
        // them only when somebody made a container in it.
        Some("its mount and network namespaces are not the host's")
    } else {
        None
    }
}

/// The containers, and for each process (by its place in the list) the place of its container.
pub(crate) fn containers<S: Borrow<Seen>>(
    processes: &[S],
    host: &Namespaces,
) -> (Vec<Container>, Vec<Option<usize>>) {
    let mut groups = Groups { host, containers: Vec::new(), membership: vec![None; processes.len()] };
    let mut by_cgroup: HashMap<Name<'_>, usize> = HashMap::new();
    let mut by_namespace: HashMap<NamespaceId, usize> = HashMap::new();
    for (place, process) in processes.iter().map(S::borrow).enumerate() {
        if let Some(key) = named(process, host) {
            let at = *by_cgroup.entry(key).or_insert_with(|| groups.start_named(key, process));
            groups.join(at, place, process, None);
            for own in own_namespaces(process, host) {
                by_namespace.entry(own).or_insert(at);
            }
        }
    }
    let nameless = || processes.iter().map(S::borrow).enumerate().filter(|(_, p)| named(p, host).is_none());
    let mut same = Same::default();
    for (_, process) in nameless().filter(|(_, p)| apart(p, host).is_some()) {
        for own in own_namespaces(process, host) {
            same.unite(process.namespaces.mnt, own);
        }
    }
    let mut by_root: HashMap<NamespaceId, usize> = HashMap::new();
    for (place, process) in nameless() {
        let Some(why) = apart(process, host) else { continue };
        let known = own_namespaces(process, host).find_map(|own| by_namespace.get(&own).copied());
        let at = known.unwrap_or_else(|| {
            let root = same.root(process.namespaces.mnt);
            *by_root.entry(root).or_insert_with(|| groups.start_nameless(process))
        });
        groups.join(at, place, process, Some(why));
    }
    groups.name_the_nameless();
    (groups.containers, groups.membership)
}

/// The namespaces that tell containers apart: the mount namespace first, then the pid namespace.
fn own_namespaces(process: &Seen, host: &Namespaces) -> impl Iterator<Item = NamespaceId> {
    let Namespaces { mnt, pid, .. } = process.namespaces;
    [(mnt, host.mnt), (pid, host.pid)].into_iter().filter(|(own, hosts)| own != hosts).map(|(own, _)| own)
}

/// What a process can have in common with others of its container: numbers that are equal if that is. Processes that have
/// none of them in common, directly or by others between them, are not of one container.
pub(crate) fn ties(process: &Seen, host: &Namespaces) -> impl Iterator<Item = u64> {
    let name = named(process, host).map(|name| {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        hasher.finish()
    });
    own_namespaces(process, host).map(NamespaceId::inode).chain(name)
}

/// Containers as they grow.
struct Groups<'a> {
    host: &'a Namespaces,
    containers: Vec<Container>,
    membership: Vec<Option<usize>>,
}

impl Groups<'_> {
    fn start_named(&mut self, (runtime, id, _): Name<'_>, process: &Seen) -> usize {
        let cgroup = &process.cgroup;
        self.start(runtime, cgroup.kind, id.clone(), identity::of_cgroup(process), process)
    }

    /// Its id and evidence are known when its first process is.
    fn start_nameless(&mut self, process: &Seen) -> usize {
        self.start(Runtime::Unknown, Kind::Container, String::new(), Vec::new(), process)
    }

    fn start(
        &mut self,
        runtime: Runtime,
        kind: Kind,
        id: String,
        evidence: Vec<String>,
        process: &Seen,
    ) -> usize {
        let cgroup = &process.cgroup;
        // A bare OCI runtime's container often has a cgroup of its name, and nothing more.
        let name = cgroup.name.as_ref().or(cgroup.container_id.as_ref().filter(|named| **named != id));
        self.containers.push(Container {
            runtime,
            kind,
            id,
            name: name.filter(|_| cgroup.is_container()).cloned(),
            hostname: None,
            pod: cgroup.pod_uid.clone().map(|uid| Pod { uid, ..Pod::default() }),
            image: None,
            init: process.id(),
            namespaces: process.namespaces,
            processes: 0,
            evidence,
            claimed: identity::claim(process) != Claim::None,
        });
        self.containers.len().saturating_sub(1)
    }

    fn join(&mut self, at: usize, place: usize, process: &Seen, why: Option<&str>) {
        if let Some(slot) = self.membership.get_mut(place) {
            *slot = Some(at);
        }
        if let Some(container) = self.containers.get_mut(at) {
            container.processes = container.processes.saturating_add(1);
            // The oldest process in the inner pid namespace is the one to enter by: a supervisor stands outside,
            // and others can be passing guests.
            let rank = |pid_namespace, id: ProcessId| (pid_namespace == self.host.pid, id.start_time, id.pid);
            if rank(process.namespaces.pid, process.id()) <= rank(container.namespaces.pid, container.init) {
                container.init = process.id();
                container.namespaces = process.namespaces;
                if let Some(why) = why.filter(|_| container.id.is_empty()) {
                    container.evidence = identity::of_namespaces(why);
                }
            }
        }
    }

    /// An id for those without a runtime: the namespace that sets the container apart, and when it began. The
    /// kernel gives a namespace's number to the next one as soon as it is free, so the number alone could come to
    /// mean another container.
    fn name_the_nameless(&mut self) {
        for container in self.containers.iter_mut().filter(|c| c.id.is_empty()) {
            let Namespaces { pid, mnt, .. } = container.namespaces;
            let apart = if pid == self.host.pid { mnt } else { pid };
            container.id = format!("ns-{apart}-{}", container.init.start_time);
        }
    }
}

/// Which namespaces belong to one container (a disjoint-set forest).
#[derive(Debug, Default)]
struct Same(HashMap<NamespaceId, NamespaceId>);

impl Same {
    fn root(&self, of: NamespaceId) -> NamespaceId {
        let mut at = of;
        while let Some(above) = self.0.get(&at) {
            at = *above;
        }
        at
    }

    fn unite(&mut self, one: NamespaceId, other: NamespaceId) {
        let (one, other) = (self.root(one), self.root(other));
        if one != other {
            self.0.insert(other, one);
        }
    }
}

/// The places of the containers' first processes, in their order.
pub(crate) fn inits(containers: &[Container], processes: &[Seen]) -> Vec<usize> {
    let places: HashMap<ProcessId, usize> =
        processes.iter().enumerate().map(|(at, p)| (p.id(), at)).collect();
    containers.iter().map(|c| places.get(&c.init).copied().unwrap_or(usize::MAX)).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use portolan_linux::process::{Stat, Trace};

    use super::*;
    use crate::cgroup::classify;

    const HOST: Namespaces = namespaces(1, 2, 3);

    const fn namespaces(mnt: u64, net: u64, pid: u64) -> Namespaces {
        let id = NamespaceId::new;
        Namespaces { mnt: id(mnt), net: id(net), pid: id(pid), user: id(4) }
    }

    fn seen(pid: i32, namespaces: Namespaces, cgroup: &str) -> Seen {
        of_user(0, pid, namespaces, cgroup)
    }

    fn of_user(user: u32, pid: i32, namespaces: Namespaces, cgroup: &str) -> Seen {
        let id = ProcessId { pid, start_time: u64::from(pid.unsigned_abs()) };
        let stat = Stat::parse(format!("{pid} (x) S 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1 0 {pid} 0").as_bytes())
            .unwrap();
        Seen {
            trace: Trace::new(id, 0, user, stat),
            namespaces,
            cgroup: Arc::new(classify(cgroup.as_bytes())),
            thread: None,
        }
    }

    fn ids(processes: &[Seen]) -> (Vec<(String, i32)>, Vec<Option<usize>>) {
        let (containers, membership) = containers(processes, &HOST);
        (containers.into_iter().map(|c| (c.id, c.init.pid)).collect(), membership)
    }

    #[test]
    fn by_namespaces() {
        let (ids, membership) = ids(&[
            seen(1, HOST, "0::/"),
            seen(10, namespaces(11, 12, 3), "0::/"), // unshare --fork: outside of the pid namespace
            seen(12, namespaces(11, 12, 13), "0::/"), // the first inside
            seen(13, namespaces(31, 12, 13), "0::/"), // a service inside with its own mounts
            seen(20, namespaces(21, 2, 3), "0::/"),  // only mounts: not a container
            seen(21, namespaces(1, 22, 23), "0::/"), // the host's mounts: not a container
            seen(30, namespaces(41, 42, 3), "0::/"), // mounts and network
            seen(31, namespaces(51, 52, 3), "0::/system.slice/x.service"), // a service of systemd
            seen(32, namespaces(61, 62, 3), "0::/user.slice/user-0.slice/session-1.scope"), // made in a login
        ]);
        let expected = [("ns-13-12", 12), ("ns-41-30", 30), ("ns-61-32", 32)];
        assert_eq!(ids, expected.map(|(id, pid)| (id.to_owned(), pid)));
        assert_eq!(membership, [None, Some(0), Some(0), Some(0), None, None, Some(1), None, Some(2)]);
    }

    #[test]
    fn by_cgroup() {
        let id = "4".repeat(64);
        let docker = format!("0::/docker/{id}");
        let (ids, membership) = ids(&[
            seen(9, namespaces(11, 12, 3), "0::/"), // entered it by nsenter
            seen(10, namespaces(11, 12, 13), &docker),
            seen(11, namespaces(31, 12, 13), &docker),
            seen(12, HOST, "0::/system.slice/docker.service"),
        ]);
        assert_eq!(ids, [(id, 10)]);
        assert_eq!(membership, [Some(0), Some(0), Some(0), None]);
    }

    #[test]
    fn by_an_id_below_a_custom_parent() {
        let id = "4".repeat(64);
        let custom = format!("0::/custom/{id}");
        let (ids, membership) = ids(&[
            seen(10, namespaces(11, 2, 3), &custom), // the host's network and pids
            seen(11, HOST, &custom),                 // a job of the host in a directory with such a name
        ]);
        assert_eq!(ids, [(id, 10)]);
        assert_eq!(membership, [Some(0), None]);
    }

    #[test]
    fn a_name_that_a_user_could_have_made_is_that_users_only() {
        let id = "4".repeat(64);
        let roots = format!("0::/docker/{id}");
        let claimed =
            format!("0::/user.slice/user-1001.slice/user@1001.service/user.slice/docker-{id}.scope");
        let (containers, membership) = containers(
            &[
                seen(10, namespaces(11, 12, 13), &roots),
                of_user(1001, 20, namespaces(21, 22, 23), &claimed),
                // Of another user's directory, and with namespaces of its own; and without.
                of_user(1002, 30, namespaces(31, 32, 33), &claimed),
                of_user(0, 40, HOST, &claimed),
            ],
            &HOST,
        );
        let charted: Vec<_> = containers.iter().map(|c| (c.id.as_str(), c.init.pid, c.claimed)).collect();
        assert_eq!(charted[..2], [(id.as_str(), 10, false), (id.as_str(), 20, true)]);
        assert_eq!((charted[2].0, charted[2].1), ("ns-33-30", 30));
        assert_eq!(membership, [Some(0), Some(1), Some(2), None]);
    }
}
