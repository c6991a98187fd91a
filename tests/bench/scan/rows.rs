//! What is compared with what: CPU time, where nothing else is said. All of it is the way by system calls, for which
//! these budgets were made.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::peer;
use super::programs::{Figures, Programs, median, ours};
use crate::Budget;

/// Of each side of a comparison; the sides take turns.
const TURNS: usize = 7;
const MANY: usize = 1000;
const SOURCE: &str = "syscalls";

/// Small fleets first: when a large one has ended, the kernel is busy with its namespaces for some time.
pub(crate) fn all() -> Vec<Budget> {
    let programs = Programs::build();
    let mut rows = Vec::new();
    {
        let _fleet = programs.fleet(10, &[]);
        rows.push(against_hand(10).for_comparison());
    }
    {
        let _fleet = programs.fleet(10, &["-p", "100"]);
        let crowd = First::measure(&programs, 10, &["full"]);
        rows.push(
            crowd.against("first scan, 10 containers of 101 processes / the floor", 2.0).for_comparison(),
        );
    }
    let hundred = {
        let _fleet = programs.fleet(100, &[]);
        First::measure(&programs, 100, &["full"])
    };
    let quiet = {
        let _fleet = programs.fleet(200, &[]);
        rows.push(against_hand(200).for_comparison());
        First::measure(&programs, 200, &["full"])
    };
    rows.extend(connected(&programs, &quiet));
    rows.extend(many(&programs, &hundred));
    rows.extend(named(&programs));
    rows.push(no_two_alike(&programs));
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
            first.ours.push(seen_whole(ours(&["--scan-once", SOURCE]), count));
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

    fn against(&self, what: &str, limit: f64) -> Budget {
        let (ours, floor) = self.cpu();
        Budget::ratio(what, ours, floor, limit)
    }

    /// How many times the CPU time of another this takes, for us, and for comparison for the floor.
    fn grown(&self, other: &Self, what: &str, limit: f64) -> [Budget; 2] {
        let ((ours, floor), (before, floor_before)) = (self.cpu(), other.cpu());
        [
            Budget::ratio(what, ours, before, limit),
            Budget::ratio("  the same growth of the floor", floor, floor_before, limit).for_comparison(),
        ]
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

/// A first scan, wall, against `lsns` and `ss`, which goes once.
fn against_hand(count: usize) -> Budget {
    let walls = (0..TURNS).map(|_| seen_whole(ours(&["--scan-once", SOURCE]), count).wall()).collect();
    let (peer, found) = peer::lsns_and_ss();
    assert_eq!(found, listeners_of(count), "lsns and ss do not see the fleet");
    let what = format!("first scan, {count} containers / lsns, ss in each, wall");
    Budget::ratio(what, median(walls), peer, 1.0 / 12.0)
}

/// 20,000 established connections, held by the process that listens, and by another one.
fn connected(programs: &Programs, quiet: &First) -> Vec<Budget> {
    let mut rows = Vec::new();
    for (what, options) in [
        ("first scan, 200 containers with 20,000 connections / none", &["-c", "100"][..]),
        ("first scan, the same, in a process that does not listen / none", &["-c", "100", "-o"]),
    ] {
        let _fleet = programs.fleet(200, options);
        rows.extend(First::measure(programs, 200, &["full"]).grown(quiet, what, 1.5));
    }
    rows
}

fn many(programs: &Programs, hundred: &First) -> Vec<Budget> {
    let _fleet = programs.fleet(MANY, &[]);
    let first = First::measure(programs, MANY, &["full"]);
    let at_once = First::measure(programs, MANY, &["-1", "full"]);
    let by_proc = programs.floor(&["proc"]);
    assert_eq!(by_proc.get("listeners"), listeners_of(MANY), "{by_proc:?}");
    let mut rows = vec![
        first.against("first scan, 1,000 containers / the floor", 2.0),
        at_once.against("  the same / a floor that dumps v4 and v6 at once", 2.0).for_comparison(),
        Budget::ratio("  the same / one that reads /proc/PID/net/tcp", first.cpu().0, by_proc.cpu(), 1.0)
            .for_comparison(),
        against_hand(MANY),
    ];
    rows.extend(rescan(programs));
    rows.extend(first.grown(hundred, "first scan, 1,000 containers / 100", 11.0));
    let peak = first.ours.iter().map(|figures| figures.get("peak")).max().unwrap();
    let peak = f64::from(u32::try_from(peak).unwrap()) / 1024.0;
    rows.push(Budget::size("peak resident memory, first scan, 1,000 containers", peak, "MiB", 24.0));
    rows
}

/// Nothing has changed: against the dumps alone, over sockets that were made before.
fn rescan(programs: &Programs) -> Vec<Budget> {
    let (mut cpus, mut floors, mut one_dump) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..3 {
        cpus.push(seen_whole(ours(&["--rescan", SOURCE, "3"]), MANY).cpu());
        floors.push(programs.floor(&["dumps", "3"]).cpu());
        one_dump.push(programs.floor(&["-1", "dumps", "3"]).cpu());
    }
    let cpu = median(cpus);
    let at_once = "  the same / dumps of v4 and v6 at once";
    vec![
        Budget::ratio("rescan, 1,000 containers, no change / dumps v4 and v6", cpu, median(floors), 1.4),
        Budget::ratio(at_once, cpu, median(one_dump), 1.4).for_comparison(),
    ]
}

/// Where nothing can be guessed about one container from the others.
fn no_two_alike(programs: &Programs) -> Budget {
    let _fleet = programs.fleet(MANY, &["-u"]);
    let first = First::measure(programs, MANY, &["full"]);
    first.against("first scan, 1,000 containers no two alike / the floor", 2.0)
}

/// Each container in a cgroup with a name as Docker gives it, so that its identity is read from there.
fn named(programs: &Programs) -> Vec<Budget> {
    let Some(cgroups) = Cgroups::make() else {
        eprintln!("the fleet in cgroups of its own: not run, cgroup2 cannot be written to");
        return Vec::new();
    };
    let _fleet = programs.fleet(MANY, &["-g", cgroups.0.to_str().unwrap()]);
    let named = First::measure(programs, MANY, &["full"]);
    vec![named.against("first scan, 1,000 containers named by cgroup / the floor", 2.0)]
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
