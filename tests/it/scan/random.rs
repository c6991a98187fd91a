//! A host that changes at random: whatever was kept from scan to scan, each gives what a new scanner would.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;

use portolan::Inventory;
use portolan_linux::NamespaceId;
use portolan_scan::{ScanOptions, Scanner, scan};
use portolan_world::need::Need;
use portolan_world::require;

use crate::oracle;

use super::scene::Scene;

/// Others change the host too, and what was ended ends in its own time: then the step is looked at again.
const TRIES: u32 = 40;

#[derive(Debug, PartialEq, Eq)]
struct Ours {
    processes: BTreeSet<i32>,
    networks: BTreeSet<u64>,
}

impl Ours {
    /// The processes and the network namespaces that a scene alone can change.
    fn of(scene: &Scene) -> Self {
        let processes: BTreeSet<i32> = scene.own().into_iter().collect();
        let hosts = oracle::namespace("self", "net");
        let tasks =
            processes.iter().flat_map(|pid| fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten());
        let networks = tasks.filter_map(|task| {
            let link = fs::read_link(task.ok()?.path().join("ns/net")).ok()?;
            oracle::number_of_link(link.to_str()?)
        });
        let networks = networks.filter(|netns| *netns != hosts).collect();
        Self { processes, networks }
    }

    /// What a chart says of them.
    fn part(&self, chart: &Inventory) -> Part {
        let has = |pid: i32| self.processes.contains(&pid);
        let of_ours = |id: &NamespaceId| self.networks.contains(&id.inode());
        let unseen = &chart.unseen;
        Part {
            containers: chart.containers.iter().filter(|c| has(c.init.pid)).map(shown).collect(),
            listeners: chart
                .listeners
                .iter()
                .filter(|l| of_ours(&l.netns) || l.owner.is_some_and(|owner| has(owner.pid)))
                .map(shown)
                .collect(),
            namespaces: chart.network_namespaces.iter().copied().filter(of_ours).collect(),
            unseen: unseen.namespaces.iter().copied().filter(of_ours).collect(),
            unseen_processes: unseen.processes.iter().copied().filter(|pid| has(*pid)).collect(),
        }
    }
}

fn shown(item: &impl Debug) -> String {
    format!("{item:?}")
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Part {
    containers: Vec<String>,
    listeners: Vec<String>,
    namespaces: Vec<NamespaceId>,
    unseen: Vec<NamespaceId>,
    unseen_processes: Vec<i32>,
}

/// The lines that only one of both has.
fn difference(one: &Part, other: &Part) -> String {
    let lines = |part: &Part| -> BTreeSet<String> {
        let rest = [shown(&part.namespaces), shown(&part.unseen), shown(&part.unseen_processes)];
        part.containers.iter().chain(&part.listeners).cloned().chain(rest).collect()
    };
    let (one, other) = (lines(one), lines(other));
    let lines = one
        .symmetric_difference(&other)
        .map(|line| format!("{} {line}", if one.contains(line) { "rescan:" } else { "fresh: " }));
    lines.collect::<Vec<_>>().join("\n")
}

/// Scans after each change, and compares with a new scanner.
#[track_caller]
fn as_fresh(seed: u64, options: &ScanOptions, steps: usize) {
    let mut scene = Scene::new(seed);
    let mut scanner = Scanner::new(options.clone());
    let (mut last, mut changes) = (Part::default(), 0);
    for step in 0..steps {
        // Often more than one thing happens between two scans.
        for _ in 0..=scene.random.below(3) {
            while !scene.step() {}
        }
        let mut tries = 0;
        let (rescan, fresh) = loop {
            let ours = Ours::of(&scene);
            let before = ours.part(&scan(options).unwrap());
            let rescan = ours.part(&scanner.scan().unwrap());
            let after = ours.part(&scan(options).unwrap());
            if before == after && ours == Ours::of(&scene) {
                break (rescan, after);
            }
            tries += 1;
            assert!(tries < TRIES, "it never rests: {}", difference(&before, &after));
        };
        assert!(
            rescan == fresh,
            "after step {step} of seed {seed:x}, {}:\n{}",
            scene.done.join("\n"),
            difference(&rescan, &fresh)
        );
        changes += usize::from(fresh != last);
        last = fresh;
    }
    assert!(changes > steps / 2, "only {changes} of {steps} steps changed anything");
    assert!(!last.containers.is_empty() && last.listeners.len() > 3, "{last:?}");
}

#[test]
fn every_scan_is_what_a_new_scanner_would_give_on_a_host_that_changes_at_random() {
    require!(Need::Root, Need::Overlay, Need::CgroupV2, Need::Ipv6);
    as_fresh(0x9e37_79b9_7f4a_7c15, &ScanOptions::default(), 80);
}

#[test]
fn so_is_every_thorough_scan() {
    require!(Need::Root, Need::Overlay, Need::CgroupV2, Need::Ipv6);
    let mut options = ScanOptions::default();
    options.thorough = true;
    as_fresh(2, &options, 40);
}
