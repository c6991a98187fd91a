use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use portolan_linux::ProcessId;

use super::*;
use crate::cgroup::{Kind, Runtime};
use crate::container::Namespaces;
use crate::inventory::Unseen;
use crate::listener::Reach;

fn namespaces(number: u64) -> Namespaces {
    let id = NamespaceId::new(number);
    Namespaces { mnt: id, net: id, pid: id, user: id }
}

/// A container with all namespaces of this number.
fn container(id: &str, number: u64, pid: i32) -> Container {
    Container {
        runtime: Runtime::Docker,
        kind: Kind::Container,
        id: id.to_owned(),
        name: None,
        hostname: None,
        pod: None,
        image: None,
        init: process(pid),
        namespaces: namespaces(number),
        processes: 1,
        evidence: Vec::new(),
        claimed: false,
    }
}

fn process(pid: i32) -> ProcessId {
    ProcessId { pid, start_time: 1 }
}

/// A listener in the network namespace of this number.
fn listener(netns: u64, port: u16, inode: u32, container: Option<&str>, pid: i32) -> Listener {
    Listener {
        protocol: Protocol::Tcp,
        local: Local::Inet(IpAddr::V4(Ipv4Addr::LOCALHOST), port),
        v6_only: false,
        owner: Some(process(pid)),
        command: Some("server".to_owned()),
        container: container.map(str::to_owned),
        netns: NamespaceId::new(netns),
        reach: Reach::Loopback,
        uid: Some(0),
        inode,
    }
}

/// The host's own namespaces have the number 1.
fn chart(containers: Vec<Container>, listeners: Vec<Listener>) -> Inventory {
    let mut networks: Vec<NamespaceId> = listeners.iter().map(|l| l.netns).collect();
    networks.extend(containers.iter().map(|c| c.namespaces.net));
    networks.push(NamespaceId::new(1));
    networks.sort();
    networks.dedup();
    Inventory {
        host: namespaces(1),
        containers,
        listeners,
        processes: Vec::new(),
        network_namespaces: networks,
        faults: Vec::new(),
        unseen: Unseen::default(),
        source: crate::Source::SystemCalls { without_bpf: None },
        elapsed: Duration::ZERO,
    }
}

fn unseen(mut chart: Inventory, namespaces: &[u64], processes: &[i32]) -> Inventory {
    chart.unseen.namespaces = namespaces.iter().copied().map(NamespaceId::new).collect();
    chart.unseen.processes = processes.to_vec();
    chart
}

fn web() -> Inventory {
    chart(vec![container("web", 5, 50)], vec![listener(5, 80, 800, Some("web"), 50)])
}

#[test]
fn the_same_has_no_difference() {
    assert!(web().diff(&web()).is_empty());
    assert!(chart(vec![], vec![]).diff(&chart(vec![], vec![])).is_empty());
    let mut later = web();
    later.elapsed = Duration::from_secs(1);
    later.containers[0].processes = 7;
    assert!(later.diff(&web()).is_empty(), "how many processes it has is no news");
}

#[test]
fn what_came_and_went_is_told_in_its_order() {
    let nothing = chart(vec![], vec![]);
    let two = chart(
        vec![container("web", 5, 50), container("db", 6, 60), container("a", 7, 70)],
        vec![
            listener(6, 2, 20, Some("db"), 60),
            listener(5, 9, 90, Some("web"), 50),
            listener(1, 1, 10, None, 10),
        ],
    );
    let came = two.diff(&nothing);
    assert_eq!(came.containers.added, two.containers);
    assert_eq!(came.listeners.added, two.listeners);
    assert!(came.containers.removed.is_empty() && came.listeners.changed.is_empty());
    let went = nothing.diff(&two);
    assert_eq!(went.containers.removed, two.containers);
    assert_eq!(went.listeners.removed, two.listeners);
    assert!(went.containers.added.is_empty() && went.listeners.added.is_empty());
    let lines: Vec<String> = went.to_string().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 6);
    assert_eq!(lines[1], "- container docker db");
    assert_eq!(lines[5], "- tcp 127.0.0.1:1 of server, the host");
}

#[test]
fn a_container_that_is_told_otherwise_is_changed() {
    let mut later = web();
    later.containers[0].name = Some("shop".to_owned());
    let diff = later.diff(&web());
    assert_eq!(diff.containers.changed, [(web().containers[0].clone(), later.containers[0].clone())]);
    assert!(diff.containers.added.is_empty() && diff.containers.removed.is_empty());
    assert!(diff.listeners.is_empty());
    assert_eq!(diff.to_string(), "~ container docker shop\n");
}

#[test]
fn a_socket_with_another_owner_or_opened_anew_is_changed() {
    for later in [listener(5, 80, 800, Some("web"), 51), listener(5, 80, 801, Some("web"), 50)] {
        let now = chart(web().containers, vec![later.clone()]);
        let diff = now.diff(&web());
        assert_eq!(diff.listeners.changed, [(web().listeners[0].clone(), later)]);
        assert!(diff.listeners.added.is_empty() && diff.listeners.removed.is_empty());
    }
}

#[test]
fn a_namespaces_number_that_another_container_has_now_makes_nothing_the_same() {
    let now = chart(vec![container("db", 5, 90)], vec![listener(5, 80, 900, Some("db"), 90)]);
    let diff = now.diff(&web());
    assert_eq!((&diff.containers.added, &diff.containers.removed), (&now.containers, &web().containers));
    assert_eq!((&diff.listeners.added, &diff.listeners.removed), (&now.listeners, &web().listeners));
    assert!(diff.containers.changed.is_empty() && diff.listeners.changed.is_empty());
}

#[test]
fn the_same_port_elsewhere_or_by_another_protocol_is_another_listener() {
    let udp = Listener { protocol: Protocol::Udp, ..listener(5, 80, 801, Some("web"), 50) };
    let host = listener(1, 80, 801, None, 10);
    let other = listener(5, 81, 801, Some("web"), 50);
    for later in [udp, host, other] {
        let diff = chart(web().containers, vec![later.clone()]).diff(&web());
        assert_eq!((diff.listeners.added, diff.listeners.removed), (vec![later], web().listeners));
        assert!(diff.listeners.changed.is_empty());
    }
}

#[test]
fn several_sockets_at_one_address_are_counted() {
    // As with SO_REUSEPORT; and sockets without an inode number, which are not told apart by it.
    for inodes in [[1, 2, 3], [0, 0, 0]] {
        let all = |count: usize| {
            let listeners = inodes.iter().take(count).map(|inode| listener(1, 80, *inode, None, 10));
            chart(vec![], listeners.collect())
        };
        assert!(all(3).diff(&all(3)).is_empty());
        let fewer = all(1).diff(&all(3)).listeners;
        assert_eq!((fewer.added.len(), fewer.changed.len(), fewer.removed.len()), (0, 0, 2));
        let more = all(3).diff(&all(1)).listeners;
        assert_eq!((more.added.len(), more.changed.len(), more.removed.len()), (2, 0, 0));
    }
    let before = chart(vec![], vec![listener(1, 80, 1, None, 10), listener(1, 80, 2, None, 10)]);
    let after = chart(vec![], vec![listener(1, 80, 2, None, 10), listener(1, 80, 3, None, 10)]);
    let diff = after.diff(&before).listeners;
    assert_eq!(diff.changed, [(before.listeners[0].clone(), after.listeners[1].clone())]);
    assert!(diff.added.is_empty() && diff.removed.is_empty());
}

#[test]
fn what_a_silent_namespace_did_not_say_is_not_gone() {
    let silent = unseen(chart(web().containers, vec![]), &[5], &[]);
    assert!(silent.diff(&web()).is_empty());
    assert_eq!(silent.clone().keeping(&web()).listeners, web().listeners);
    // Another namespace is none of its business.
    let wrong = unseen(chart(web().containers, vec![]), &[6], &[]);
    assert_eq!(wrong.diff(&web()).listeners.removed, web().listeners);
    // What it did say counts.
    let more = listener(5, 81, 810, Some("web"), 50);
    let half = unseen(chart(web().containers, vec![more.clone()]), &[5], &[]);
    let diff = half.diff(&web()).listeners;
    assert_eq!((diff.added, diff.removed), (vec![more], vec![]));
    // When it speaks again, what is gone is gone.
    let again = chart(web().containers, vec![]);
    assert_eq!(again.diff(&silent.keeping(&web())).listeners.removed, web().listeners);
}

#[test]
fn what_a_process_that_cannot_be_looked_at_had_is_not_gone() {
    // Its container, and with it its namespace, are known by it alone.
    let blind = unseen(chart(vec![], vec![]), &[], &[50]);
    assert!(blind.diff(&web()).is_empty());
    let kept = blind.clone().keeping(&web());
    assert_eq!((&kept.containers, &kept.listeners), (&web().containers, &web().listeners));
    assert!(blind.keeping(&kept).diff(&web()).is_empty(), "nor is it a scan later");
    // That another one cannot be looked at, as before, hides nothing.
    let other = unseen(chart(vec![], vec![]), &[], &[1]);
    let diff = other.diff(&unseen(web(), &[], &[1]));
    assert_eq!((diff.containers.removed, diff.listeners.removed), (web().containers, web().listeners));
}

#[test]
fn a_listener_whose_owner_cannot_be_looked_at_is_as_it_was() {
    let orphan = Listener { owner: None, command: None, container: None, ..web().listeners[0].clone() };
    let blind = unseen(chart(web().containers, vec![orphan.clone()]), &[], &[50]);
    assert!(blind.diff(&web()).listeners.is_empty());
    // Another socket at that address is another, of nobody known.
    let anew = Listener { inode: 801, ..orphan };
    let blind = unseen(chart(web().containers, vec![anew.clone()]), &[], &[50]);
    let diff = blind.diff(&web()).listeners;
    assert_eq!((diff.added, diff.removed), (vec![anew], web().listeners));
}

#[test]
fn a_listener_of_no_container_in_a_network_of_its_own_is_not_gone_with_sight_of_its_owner() {
    // As of a service with a network of its own.
    let before = chart(vec![], vec![listener(7, 80, 800, None, 70)]);
    let blind = unseen(chart(vec![], vec![]), &[], &[70]);
    assert!(blind.diff(&before).is_empty(), "{:?}", blind.diff(&before));
    assert_eq!(blind.keeping(&before).listeners, before.listeners);
    // The namespace is gone, and nobody is hidden.
    assert_eq!(chart(vec![], vec![]).diff(&before).listeners.removed, before.listeners);
}
