//! What the namespaces said, as listeners with their owners.

use std::collections::{HashMap, HashSet};

use portolan_linux::error::Escaped;
use portolan_linux::sock_diag::{Listening, Local, Protocol};
use portolan_linux::{NamespaceId, ProcessId};

use crate::ask::Asker;
use crate::container::{Container, Namespaces};
use crate::fault::Faults;
use crate::listener::{Listener, Reach};
use crate::owners::{Remembered, Search};
use crate::places::Places;
use crate::scanner::snapshot::Which;
use crate::walk::{Processes, Seen};

/// What of a scan is known when the listeners are put together.
pub(crate) struct Known<'a> {
    pub(crate) processes: &'a Processes,
    pub(crate) membership: &'a [Option<usize>],
    pub(crate) containers: &'a [Container],
    pub(crate) places: &'a Places,
    pub(crate) host: &'a Namespaces,
}

/// The listeners of all namespaces. In those that were asked their owners are looked for, in the others they are
/// taken to be as they were.
pub(crate) fn listeners(
    known: &Known<'_>,
    asker: &Asker<'_>,
    listening: &HashMap<NamespaceId, Vec<Listening>>,
    asked: Which<'_>,
    remembered: &mut Remembered,
    faults: &mut Faults,
) -> Vec<Listener> {
    let processes = &known.processes.seen;
    let mut search = Search::new(processes, remembered);
    // A process that we may not look at is most likely the owner of what nobody else of the host has.
    let blind = !known.processes.unseen.is_empty();
    let at: HashMap<ProcessId, usize> = match asked {
        Which::All => HashMap::new(),
        Which::These(_) => processes.iter().enumerate().map(|(at, seen)| (seen.id(), at)).collect(),
    };
    let (mut orphans, mut udp) = (HashSet::new(), HashSet::new());
    let mut all = HashSet::new();
    let mut behind = HashMap::new();
    for (id, place) in known.places.iter() {
        let Some(listening) = listening.get(&id) else { continue };
        let shown = listening.iter().map(|l| l.inode).filter(|inode| *inode != 0);
        if !asked.has(id) {
            let before = |shown| (shown, search.behind(shown));
            behind.extend(shown.clone().map(before).filter_map(|(shown, before)| Some((shown, before?))));
            let sockets = shown.map(|shown| behind.get(&shown).copied().unwrap_or(shown));
            let sockets: Vec<u32> = sockets.collect();
            search.as_before(sockets.iter().copied(), &at);
            all.extend(sockets);
            continue;
        }
        // Between two whole scans, what has no owner is not looked for again and again.
        let wanted = shown.clone().filter(|socket| matches!(asked, Which::All) || !search.is_orphan(*socket));
        let mut rest = search.at_home(id, &place.members, wanted.collect(), faults);
        if listening.iter().any(|l| l.protocol == Protocol::Tcp && rest.contains(&l.inode)) {
            multipath(&asker.mptcp(known.places, id), listening, &mut rest, &mut behind);
            rest = search.at_home(id, &place.members, rest, faults);
        }
        all.extend(shown.map(|shown| behind.get(&shown).copied().unwrap_or(shown)));
        // The host's namespace is the first.
        if blind && id == known.host.net {
            search.also(rest);
        } else {
            udp.extend(listening.iter().filter(|l| l.protocol == Protocol::Udp).map(|l| l.inode));
            orphans.extend(rest);
        }
    }
    search.abroad(orphans, &udp, faults);
    let (owners, now) = search.done(&all, matches!(asked, Which::All));
    *remembered = now;
    remembered.behind = behind;
    let of_namespace = oldest_containers(known.containers);
    let mut listeners = Vec::new();
    for (id, _) in known.places.iter() {
        let all = listening.get(&id).into_iter().flatten();
        let socket = |l: &Listening| remembered.behind.get(&l.inode).copied().unwrap_or(l.inode);
        listeners.extend(all.map(|l| charted(known, id, (l, socket(l)), &owners, &of_namespace)));
    }
    listeners
}

/// The listeners of all namespaces, their owners being known already, by their inode numbers.
pub(crate) fn listeners_owned(
    known: &Known<'_>,
    listening: &HashMap<NamespaceId, Vec<Listening>>,
    owners: &HashMap<u32, usize>,
) -> Vec<Listener> {
    let of_namespace = oldest_containers(known.containers);
    let mut listeners = Vec::new();
    for (id, _) in known.places.iter() {
        let all = listening.get(&id).into_iter().flatten();
        listeners.extend(all.map(|l| charted(known, id, (l, l.inode), owners, &of_namespace)));
    }
    listeners
}

/// A program that listens for Multipath TCP has another socket than the one that a dump of TCP shows, which is the
/// kernel's own: the program's takes its place.
fn multipath(
    sockets: &[Listening],
    shown: &[Listening],
    orphans: &mut HashSet<u32>,
    behind: &mut HashMap<u32, u32>,
) {
    for socket in sockets {
        let same = |l: &&Listening| {
            l.protocol == Protocol::Tcp && l.local == socket.local && orphans.contains(&l.inode)
        };
        if let Some(shown) = shown.iter().find(same) {
            orphans.remove(&shown.inode);
            behind.insert(shown.inode, socket.inode);
            orphans.insert(socket.inode);
        }
    }
}

/// Several containers of a pod share one network namespace; the oldest of them made it.
fn oldest_containers(containers: &[Container]) -> HashMap<NamespaceId, &Container> {
    let mut oldest: HashMap<NamespaceId, &Container> = HashMap::new();
    for container in containers {
        let known = oldest.entry(container.namespaces.net).or_insert(container);
        if container.init.start_time < known.init.start_time {
            *known = container;
        }
    }
    oldest
}

fn charted(
    known: &Known<'_>,
    netns: NamespaceId,
    (listening, socket): (&Listening, u32),
    owners: &HashMap<u32, usize>,
    of_namespace: &HashMap<NamespaceId, &Container>,
) -> Listener {
    let place = owners.get(&socket).copied();
    let owner = place.and_then(|place| known.processes.seen.get(place));
    let of_owner = place.and_then(|place| known.membership.get(place).copied().flatten());
    let whose = Whose {
        owner,
        container: of_owner.and_then(|place| known.containers.get(place)),
        of_namespace: of_namespace.get(&netns).copied(),
    };
    whose.listener(known.host, netns, listening, socket)
}

/// To whom a listener can belong.
#[derive(Clone, Copy)]
pub(crate) struct Whose<'a> {
    pub(crate) owner: Option<&'a Seen>,
    /// The owner's container.
    pub(crate) container: Option<&'a Container>,
    /// The oldest container in the listener's namespace.
    pub(crate) of_namespace: Option<&'a Container>,
}

impl Whose<'_> {
    pub(crate) fn listener(
        self,
        host: &Namespaces,
        netns: NamespaceId,
        listening: &Listening,
        socket: u32,
    ) -> Listener {
        let Self { owner, container: owners_container, of_namespace } = self;
        // A listener belongs to its owner's container if that lives in the listener's namespace; else to the container
        // whose namespace it is (the owner is a daemon of the host that reaches in, or is not known).
        let container = if owners_container.is_some_and(|c| c.namespaces.net == netns) || netns == host.net {
            owners_container
        } else {
            of_namespace.or(owners_container)
        };
        let reach = match &listening.local {
            Local::Inet(address, _) if address.to_canonical().is_loopback() => Reach::Loopback,
            // A path is seen by those who share its mounts, whatever network they are in.
            Local::Path(_) => match if owner.is_some() { owners_container } else { container } {
                Some(container) if container.namespaces.mnt != host.mnt => Reach::Namespace,
                None if owner.is_none() && netns != host.net => Reach::Namespace,
                _ => Reach::Host,
            },
            _ if netns == host.net => Reach::Host,
            _ => Reach::Namespace,
        };
        Listener {
            protocol: listening.protocol,
            local: listening.local.clone(),
            v6_only: listening.v6_only,
            owner: owner.map(Seen::id),
            command: owner.map(|owner| Escaped(owner.command()).to_string()),
            container: container.map(|c| c.id.clone()),
            netns,
            reach,
            uid: listening.uid,
            inode: socket,
        }
    }
}
