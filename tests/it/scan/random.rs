//! A host that changes at random: whatever was kept from scan to scan, each gives what a new scanner would.

use std::time::Duration;

use portolan::SourceChoice;
use portolan_scan::{ScanOptions, Scanner, scan};
use portolan_world::need::Need;
use portolan_world::require;

use super::part::{Ours, Part, difference, turn};
use super::scene::Scene;

/// Others change the host too, and what was ended ends in its own time: then the step is looked at again.
pub(super) const TRIES: u32 = 200;

/// Scans after each change, and compares with a new scanner.
#[track_caller]
fn as_fresh(seed: u64, source: SourceChoice, thorough: bool, steps: usize) {
    let mut options = ScanOptions::default();
    (options.source, options.thorough) = (source, thorough);
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
            let turn = turn();
            let ours = Ours::of(&scene);
            let before = ours.part(&scan(&options).unwrap());
            let rescan = ours.part(&scanner.scan().unwrap());
            let after = ours.part(&scan(&options).unwrap());
            let borrowed = [&before, &rescan, &after].into_iter().find_map(Part::borrowed);
            if borrowed.is_none() && before == after && ours == Ours::of(&scene) {
                break (rescan, after);
            }
            let never = difference(("before", &before), ("after", &after));
            tries += 1;
            assert!(tries < TRIES, "it never rests: borrowed {borrowed:?}, {never}");
            drop(turn);
            std::thread::sleep(Duration::from_millis(10));
        };
        assert!(
            rescan == fresh,
            "after step {step} of seed {seed:x}, {}:\n{}",
            scene.done.join("\n"),
            difference(("rescan", &rescan), ("fresh", &fresh))
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
    as_fresh(0x9e37_79b9_7f4a_7c15, SourceChoice::SystemCalls, false, 80);
}

#[test]
fn so_is_every_thorough_scan() {
    require!(Need::Root, Need::Overlay, Need::CgroupV2, Need::Ipv6);
    as_fresh(2, SourceChoice::SystemCalls, true, 40);
}

#[test]
fn so_is_every_scan_by_bpf_iterators() {
    require!(Need::Root, Need::Overlay, Need::CgroupV2, Need::Ipv6, super::BPF);
    as_fresh(3, SourceChoice::Bpf, false, 80);
}

#[test]
fn so_is_every_thorough_scan_by_bpf_iterators() {
    require!(Need::Root, Need::Overlay, Need::CgroupV2, Need::Ipv6, super::BPF);
    as_fresh(4, SourceChoice::Bpf, true, 40);
}
