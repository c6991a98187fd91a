//! The listeners of every network namespace, each asked once, and who owns them.

use std::collections::HashMap;

use portolan_linux::error::Escaped;
use portolan_linux::netns::SocketKind;
use portolan_linux::sock_diag::{self, Listening};
use portolan_linux::{ErrorKind, Home, NamespaceId, NetNs, Process};

use crate::ScanOptions;
use crate::container::{Container, Namespaces};
use crate::fault::Faults;
use crate::listener::{Listener, Protocol, Reach};
use crate::walk::Seen;

pub(crate) fn listeners(
    processes: &[Seen],
    membership: &[Option<usize>],
    containers: &[Container],
    host: &Namespaces,
    home: &Home,
    options: &ScanOptions,
    faults: &mut Faults,
) -> Vec<Listener> {
    let mut listeners = Vec::new();
    for (netns, members) in namespaces(processes, host.net) {
        match ask(netns, &members, processes, home, options) {
            Ok(found) => listeners.extend(found.into_iter().map(|l| plain(&l, netns, host.net))),
            Err(kind) => faults.of_netns("list the listeners", netns.inode(), kind),
        }
    }
    let owners = owners(&listeners, processes, faults);
    for listener in &mut listeners {
        let owner = owners.get(&listener.inode).and_then(|place| processes.get(*place).map(|p| (*place, p)));
        if let Some((_, process)) = owner {
            listener.owner = Some(process.id);
            listener.command = Some(Escaped(&process.command).to_string());
        }
        let of_owner = owner.and_then(|(place, _)| membership.get(place).copied().flatten());
        listener.container =
            container_of(listener.netns, of_owner, containers, host.net).map(|c| c.id.clone());
    }
    listeners
}

/// The network namespaces, each with the places of its processes. The host's is asked even if none of its
/// processes can be looked at.
fn namespaces(processes: &[Seen], host: NamespaceId) -> Vec<(NamespaceId, Vec<usize>)> {
    let mut order = vec![(host, Vec::new())];
    let mut places: HashMap<NamespaceId, usize> = HashMap::from([(host, 0)]);
    for (place, process) in processes.iter().enumerate() {
        let net = process.namespaces.net;
        let at = *places.entry(net).or_insert_with(|| {
            order.push((net, Vec::new()));
            order.len().saturating_sub(1)
        });
        if let Some((_, members)) = order.get_mut(at) {
            members.push(place);
        }
    }
    order
}

/// Asks one namespace, by the first of its processes that is still there.
fn ask(
    netns: NamespaceId,
    members: &[usize],
    processes: &[Seen],
    home: &Home,
    options: &ScanOptions,
) -> Result<Vec<Listening>, ErrorKind> {
    let mut last = ErrorKind::TargetGone;
    let entrance = if netns == home.id() {
        NetNs::of_this_thread().ok()
    } else {
        members.iter().filter_map(|place| processes.get(*place)).find_map(|process| {
            match Process::reopen(process.id).and_then(|p| NetNs::of(&p)) {
                // It may have moved since it was seen.
                Ok(found) => (found.id() == netns).then_some(found),
                Err(error) => {
                    last = error.kind();
                    None
                }
            }
        })
    };
    let entrance = entrance.ok_or(last)?;
    let socket = entrance.socket(home, SocketKind::SockDiag).map_err(|e| e.kind())?;
    drop(entrance);
    sock_diag::tcp_listeners(&socket, options.namespace_timeout).map_err(|e| e.kind())
}

fn plain(listening: &Listening, netns: NamespaceId, host: NamespaceId) -> Listener {
    let reach = if listening.address.to_canonical().is_loopback() {
        Reach::Loopback
    } else if netns == host {
        Reach::Host
    } else {
        Reach::Namespace
    };
    Listener {
        protocol: Protocol::Tcp,
        address: listening.address,
        port: listening.port,
        v6_only: listening.v6_only,
        owner: None,
        command: None,
        container: None,
        netns,
        reach,
        uid: listening.uid,
        inode: listening.inode,
    }
}

/// For each listening socket the place of the oldest process that has it open.
fn owners(listeners: &[Listener], processes: &[Seen], faults: &mut Faults) -> HashMap<u32, usize> {
    let wanted: std::collections::HashSet<u32> =
        listeners.iter().map(|l| l.inode).filter(|i| *i != 0).collect();
    let busy: std::collections::HashSet<NamespaceId> = listeners.iter().map(|l| l.netns).collect();
    let mut owners: HashMap<u32, usize> = HashMap::new();
    let mut walk = |local: bool, owners: &mut HashMap<u32, usize>| {
        for (place, process) in processes.iter().enumerate() {
            if busy.contains(&process.namespaces.net) != local {
                continue;
            }
            let found = Process::reopen(process.id).and_then(|open| {
                open.sockets(|inode| {
                    if wanted.contains(&inode) {
                        let owner = owners.entry(inode).or_insert(place);
                        let older = |at: usize| processes.get(at).map(|p| (p.id.start_time, p.id.pid));
                        if older(place) < older(*owner) {
                            *owner = place;
                        }
                    }
                })
            });
            if let Err(error) = found {
                faults.of_pid("list the sockets", process.id.pid, &error);
            }
        }
    };
    // Most sockets are owned in their own namespace; one that was handed on to another can be anywhere.
    walk(true, &mut owners);
    if owners.len() < wanted.len() {
        walk(false, &mut owners);
    }
    owners
}

/// A listener belongs to its owner's container if that lives in the listener's namespace; else to the container
/// whose namespace it is (the owner is a daemon of the host that reaches in, or is not known).
fn container_of(
    netns: NamespaceId,
    of_owner: Option<usize>,
    containers: &[Container],
    host: NamespaceId,
) -> Option<&Container> {
    let owners = of_owner.and_then(|place| containers.get(place));
    if owners.is_some_and(|c| c.namespaces.net == netns) || netns == host {
        return owners;
    }
    // Several containers of a pod share one namespace; the oldest of them made it.
    containers.iter().filter(|c| c.namespaces.net == netns).min_by_key(|c| c.init.start_time).or(owners)
}
