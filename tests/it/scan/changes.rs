//! `Inventory::diff` on a real host: a container starts, listens, stops listening, and ends.

use portolan_scan::diff::Changes;
use portolan_scan::{Container, Diff, Inventory, Listener, ScanOptions, Scanner};
use portolan_world::need::Need;
use portolan_world::{World, require};

use crate::inside::Inside;
use crate::oracle;

use super::outside::Outside;
use super::ways;

/// What changed of one container; other tests change the host as well.
fn of(diff: Diff, netns: u64) -> (Changes<Container>, Changes<Listener>) {
    let (mut containers, mut listeners) = (diff.containers, diff.listeners);
    let here = |c: &Container| c.namespaces.net.inode() == netns;
    containers.added.retain(here);
    containers.changed.retain(|(_, now)| here(now));
    containers.removed.retain(here);
    let here = |l: &Listener| l.netns.inode() == netns;
    listeners.added.retain(here);
    listeners.changed.retain(|(_, now)| here(now));
    listeners.removed.retain(here);
    (containers, listeners)
}

#[test]
fn a_container_is_added_then_its_listener_which_is_opened_anew_closed_and_gone_with_it() {
    require!(Need::Root, Need::Overlay);
    for way in ways() {
        let mut options = ScanOptions::default();
        options.source = way;
        let mut scanner = Scanner::new(options);
        let mut last = scanner.scan().unwrap();
        let mut next = |netns: u64| {
            let now: Inventory = scanner.scan().unwrap();
            let changed = of(now.diff(&last), netns);
            last = now;
            changed
        };
        let c = Inside::start(&World::new("comes-and-goes"));
        let netns = oracle::namespace(c.pid(), "net");
        let (containers, listeners) = next(netns);
        assert_eq!(containers.added.len(), 1, "{containers:?}");
        assert_eq!(containers.added[0].init, c.process.id());
        assert!(containers.changed.is_empty() && containers.removed.is_empty() && listeners.is_empty());

        // A daemon in its network that does as it is told.
        let (mut daemon, _) = Outside::python_in_network(
            c.pid(),
            "
import socket, sys
print('ready', flush=True)
for order in sys.stdin:
    if order.strip() != 'open': listener.close()
    if order.strip() != 'close':
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(('127.0.0.1', 8500)); listener.listen(1)
    print('done', flush=True)",
        );
        let (containers, listeners) = next(netns);
        assert!(containers.is_empty() && listeners.is_empty(), "{containers:?} {listeners:?}");

        assert_eq!(daemon.tell("open"), "done");
        let (containers, listeners) = next(netns);
        assert!(containers.is_empty() && listeners.changed.is_empty() && listeners.removed.is_empty());
        assert_eq!(listeners.added.len(), 1, "{listeners:?}");
        assert_eq!(listeners.added[0].owner.map(|owner| owner.pid), Some(daemon.pid()));
        let first = listeners.added[0].clone();

        let (containers, listeners) = next(netns);
        assert!(containers.is_empty() && listeners.is_empty(), "{containers:?} {listeners:?}");

        assert_eq!(daemon.tell("again"), "done");
        let (_, listeners) = next(netns);
        assert_eq!(listeners.changed.len(), 1, "{listeners:?}");
        let (was, is) = &listeners.changed[0];
        assert_eq!((was, is.place()), (&first, first.place()));
        assert_ne!(was.inode, is.inode);
        assert!(listeners.added.is_empty() && listeners.removed.is_empty());
        let second = is.clone();

        assert_eq!(daemon.tell("close"), "done");
        let (containers, listeners) = next(netns);
        assert_eq!((listeners.removed, listeners.added), (vec![second], vec![]));
        assert!(containers.is_empty());

        assert_eq!(daemon.tell("open"), "done");
        next(netns);
        drop(daemon);
        drop(c);
        let (containers, listeners) = next(netns);
        assert_eq!(
            (containers.removed.len(), listeners.removed.len()),
            (1, 1),
            "{containers:?} {listeners:?}"
        );
        assert!(containers.added.is_empty() && listeners.added.is_empty());
    }
}
