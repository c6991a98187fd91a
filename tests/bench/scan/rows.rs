//! What is compared with what.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::peer;
use super::programs::{Figures, Programs, median, ours};
use crate::Budget;

/// Of each side of a comparison; the sides take turns.
const TURNS: usize = 7;
const MANY: usize = 1000;

/// Small fleets first: when a large one has ended, the kernel is busy with its namespaces for some time.
pub(crate) fn all() -> Vec<Budget> {
    let programs = Programs::build();
    let mut rows = Vec::new();
    rows.extend(by_hand(&programs, 10));
    rows.extend(one_crowd(&programs));
    let hundred = first_scan(&programs, 100, &[]);
    let (quiet, by_hand_at_200) = {
        let _fleet = programs.fleet(200, &[]);
        (cpu_of_first(200), against_hand(200))
    };
    rows.extend(by_hand_at_200.into_iter().map(Budget::for_comparison));
    for (holder, options) in [("its listener", &["-c", "100"][..]), ("another process", &["-c", "100", "-o"])]
    {
        let what = format!("20,000 connections in 200 namespaces, held by {holder} / none, CPU");
        let _fleet = programs.fleet(200, options);
        rows.push(Budget::ratio(what, cpu_of_first(200), quiet, 1.5));
    }
    rows.extend(many(&programs, hundred));
    rows.extend(named(&programs));
    rows
}

/// A first scan by us and the floor, in turns.
struct First {
    ours: Vec<Figures>,
    floor: Vec<Figures>,
}

impl First {
    /// Both must have seen the same: as many listeners as the fleet has, and each with its owner and its container.
    fn measure(programs: &Programs, count: usize, floor: &[&str]) -> Self {
        let mut first = Self { ours: Vec::new(), floor: Vec::new() };
        for _ in 0..TURNS {
            first.ours.push(seen_whole(ours(&["--scan-once"]), count));
            first.floor.push(programs.floor(floor));
        }
        for floor in &first.floor {
            assert_eq!(floor.get("listeners"), listeners_of(count), "{floor:?}");
        }
        first
    }

    fn cpu(&self) -> (Duration, Duration) {
        let of = |figures: &[Figures]| median(figures.iter().map(Figures::cpu).collect());
        (of(&self.ours), of(&self.floor))
    }
}

fn listeners_of(count: usize) -> u64 {
    2 * u64::try_from(count).unwrap()
}

/// Fails unless all of a fleet was charted.
fn seen_whole(figures: Figures, count: usize) -> Figures {
    let of = |key| figures.get(key);
    let listeners = listeners_of(count);
    let whole = (listeners / 2, listeners, listeners, 0);
    assert_eq!((of("containers"), of("listeners"), of("owned"), of("faults")), whole, "{figures:?}");
    figures
}

fn first_scan(programs: &Programs, count: usize, options: &[&str]) -> Duration {
    let _fleet = programs.fleet(count, options);
    cpu_of_first(count)
}

fn cpu_of_first(count: usize) -> Duration {
    median((0..TURNS).map(|_| seen_whole(ours(&["--scan-once"]), count).cpu()).collect())
}

/// A first scan, wall, against `lsns` and `ss`, which goes once.
fn against_hand(count: usize) -> Option<Budget> {
    let walls = (0..TURNS).map(|_| seen_whole(ours(&["--scan-once"]), count).wall()).collect();
    let (peer, found) = peer::lsns_and_ss();
    assert_eq!(found, listeners_of(count), "lsns and ss do not see the fleet");
    let what = format!("first scan of {count} containers / lsns and nsenter ss, wall");
    Some(Budget::ratio(what, median(walls), peer, 1.0 / 12.0))
}

fn by_hand(programs: &Programs, count: usize) -> Option<Budget> {
    let _fleet = programs.fleet(count, &[]);
    against_hand(count).map(Budget::for_comparison)
}

/// Many processes that have the few namespaces in common.
fn one_crowd(programs: &Programs) -> Option<Budget> {
    let _fleet = programs.fleet(10, &["-p", "100"]);
    let (ours, floor) = First::measure(programs, 10, &["full"]).cpu();
    let what = "first scan of 1,010 processes in 10 containers / the floor, CPU";
    Some(Budget::ratio(what, ours, floor, 2.0).for_comparison())
}

fn many(programs: &Programs, hundred: Duration) -> Vec<Budget> {
    let _fleet = programs.fleet(MANY, &[]);
    let first = First::measure(programs, MANY, &["full"]);
    let (cpu, floor) = first.cpu();
    let peak = first.ours.iter().map(|figures| figures.get("peak")).max().unwrap();
    let mut rows = vec![Budget::ratio("first scan of 1,000 containers / the floor, CPU", cpu, floor, 2.0)];
    let (cpu_again, one_dump) = First::measure(programs, MANY, &["-1", "full"]).cpu();
    rows.push(
        Budget::ratio("  the same / a floor that asks for v4 and v6 at once", cpu_again, one_dump, 2.0)
            .for_comparison(),
    );
    let by_proc = programs.floor(&["proc"]);
    assert_eq!(by_proc.get("listeners"), listeners_of(MANY), "{by_proc:?}");
    rows.push(
        Budget::ratio("  the same / one that reads /proc/PID/net/tcp instead", cpu_again, by_proc.cpu(), 1.0)
            .for_comparison(),
    );
    rows.extend(against_hand(MANY));
    rows.extend(rescan(programs));
    rows.push(Budget::ratio("first scan of 1,000 containers / of 100, CPU", cpu, hundred, 11.0));
    let peak = f64::from(u32::try_from(peak).unwrap()) / 1024.0;
    rows.push(Budget::size("peak resident memory, first scan of 1,000 containers", peak, "MiB", 24.0));
    rows
}

/// Nothing has changed: against the dumps alone, over sockets that were made before.
fn rescan(programs: &Programs) -> Vec<Budget> {
    let (mut cpus, mut floors, mut one_dump) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..3 {
        cpus.push(seen_whole(ours(&["--rescan", "3"]), MANY).cpu());
        floors.push(programs.floor(&["dumps", "3"]).cpu());
        one_dump.push(programs.floor(&["-1", "dumps", "3"]).cpu());
    }
    let cpu = median(cpus);
    let at_once = "  the same / dumps of v4 and v6 at once";
    vec![
        Budget::ratio("rescan of 1,000 containers / the dumps alone, CPU", cpu, median(floors), 1.4),
        Budget::ratio(at_once, cpu, median(one_dump), 1.4).for_comparison(),
    ]
}

/// Each container in a cgroup with a name as Docker gives it, so that its identity is read from there.
fn named(programs: &Programs) -> Vec<Budget> {
    let Some(cgroups) = Cgroups::make() else {
        eprintln!("the fleet in cgroups of its own: not run, cgroup2 cannot be written to");
        return Vec::new();
    };
    let _fleet = programs.fleet(MANY, &["-g", cgroups.0.to_str().unwrap()]);
    let (ours, floor) = First::measure(programs, MANY, &["full"]).cpu();
    vec![Budget::ratio("first scan of 1,000, identity by cgroup / the floor, CPU", ours, floor, 2.0)]
}

/// A directory of cgroup2 for a fleet, which removes its own cgroups in it.
struct Cgroups(PathBuf);

impl Cgroups {
    /// `None` where there is no cgroup2, or it is not ours to write to.
    fn make() -> Option<Self> {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap();
        let mut lines = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let place = lines.find(|fields| fields.get(2) == Some(&"cgroup2"))?[1].to_owned();
        let directory = Path::new(&place).join("portolan-bench");
        // What a run left that was killed.
        for left in std::fs::read_dir(&directory).into_iter().flatten().flatten() {
            let _ = std::fs::remove_dir(left.path());
        }
        let _ = std::fs::remove_dir(&directory);
        std::fs::create_dir(&directory).ok().map(|()| Self(directory))
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}
