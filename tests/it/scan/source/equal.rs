//! A host that changes at random, looked at both ways after each step.

use std::time::Duration;

use portolan::SourceChoice;
use portolan_scan::{ScanOptions, Scanner, scan};
use portolan_world::need::Need;
use portolan_world::require;

use super::super::part::{Ours, Part, difference, turn};
use super::super::random::TRIES;
use super::super::scene::Scene;
use super::explained::Compared;
use super::holders::Holders;

/// One moment of the host: by a scanner that has seen it before, by a new one, and by system calls.
struct Moment {
    rescan: Part,
    bpf: Part,
    calls: Part,
    holders: Holders,
}

impl Moment {
    /// Looks until nothing changes while it looks: others change the host too, and what was ended ends in its own time.
    #[track_caller]
    fn of(scene: &Scene, kept: &mut Scanner, by: impl Fn(SourceChoice) -> ScanOptions) -> Self {
        let (bpf, calls) = (by(SourceChoice::Bpf), by(SourceChoice::SystemCalls));
        let mut last = String::new();
        for _ in 0..TRIES {
            let turn = turn();
            let ours = Ours::of(scene);
            let before = ours.part(&scan(&calls).unwrap());
            let rescan = ours.part(&kept.scan().unwrap());
            let fresh = ours.part(&scan(&bpf).unwrap());
            let holders = Holders::now();
            let after = ours.part(&scan(&calls).unwrap());
            let borrowed = [&before, &rescan, &fresh, &after].into_iter().find_map(Part::borrowed);
            if borrowed.is_none() && before == after && ours == Ours::of(scene) {
                return Self { rescan, bpf: fresh, calls: after, holders };
            }
            last = format!("borrowed {borrowed:?}, {}", difference(("before", &before), ("after", &after)));
            drop(turn);
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it never rests: {last}");
    }
}

/// Compares both ways after each change.
#[track_caller]
fn both_ways(seed: u64, thorough: bool, steps: usize) {
    let by = |source| {
        let mut options = ScanOptions::default();
        (options.source, options.thorough) = (source, thorough);
        options
    };
    let mut scene = Scene::new(seed);
    let mut kept = Scanner::new(by(SourceChoice::Bpf));
    let (mut changes, mut last) = (0, Part::default());
    for step in 0..steps {
        for _ in 0..=scene.random.below(3) {
            while !scene.step() {}
        }
        let moment = Moment::of(&scene, &mut kept, by);
        let compared = Compared::new(&moment.bpf, &moment.calls, &moment.holders, thorough);
        let mut wrong = compared.unexplained;
        if moment.rescan != moment.bpf {
            wrong.push(difference(("rescan", &moment.rescan), ("fresh", &moment.bpf)));
        }
        assert!(
            wrong.is_empty(),
            "after step {step} of seed {seed:x}, {}:\n{}",
            scene.done.join("\n"),
            wrong.join("\n")
        );
        changes += usize::from(moment.bpf != last);
        last = moment.bpf;
    }
    assert!(changes > steps / 2, "only {changes} of {steps} steps changed anything");
    assert!(!last.containers.is_empty() && last.listeners.len() > 3, "{last:?}");
}

#[test]
fn on_a_host_that_changes_at_random_both_ways_tell_the_same() {
    require!(Need::Root, Need::Overlay, Need::CgroupV2, Need::Ipv6, super::super::BPF);
    both_ways(0x2545_f491_4f6c_dd1d, false, 120);
}

#[test]
fn so_do_thorough_scans_of_both_ways() {
    require!(Need::Root, Need::Overlay, Need::CgroupV2, Need::Ipv6, super::super::BPF);
    both_ways(6, true, 80);
}

/// This one is run again from within pid namespaces.
#[test]
fn so_do_they_after_a_few_changes() {
    require!(Need::Root, Need::Overlay, Need::CgroupV2, Need::Ipv6, super::super::BPF);
    both_ways(7, false, 15);
    both_ways(8, true, 15);
}
