//! The way by BPF iterators, against the system calls that it takes without them.
//!
//! It is measured on the machine as it is, in its first pid namespace: that is where an agent of a host runs, and in a
//! nested one the iterators look at more for each process to find its number there. What else runs on the machine is seen
//! by both sides, so that neither gains by it; that all of the fleet was seen is checked by its processes. One row is
//! measured alone, in a pid namespace of its own, for comparison.

use std::time::Duration;

use super::programs::{Figures, Fleet, Programs, median, ours};
use super::reaction::Reaction;
use crate::{Budget, Times};

pub(crate) const UNAVAILABLE: &str = "BPF iterators cannot be measured here";

/// Of each side of a comparison; the sides take turns.
const TURNS: usize = 7;
const MANY: usize = 1000;
/// Passes by one process, of which the median counts.
const PASSES: &str = "20";
/// Scans by one process, after its first.
const SCANS: &str = "9";
/// How long a watch of a quiet host is measured: with some whole scans, as it makes them.
const QUIET: u64 = 60;

/// Small fleets first: when a large one has ended, the kernel is busy with its namespaces for some time.
pub(crate) fn rows() -> Vec<Budget> {
    let programs = Programs::build();
    let mut rows = vec![load()];
    for count in [10, 200] {
        let fleet = programs.fleet(count, &[]);
        rows.push(against_system_calls(&fleet, count).for_comparison());
    }
    for (count, options, whose) in [
        (200, ["-c", "100"], "200 containers, 40,000 connected sockets"),
        (MANY, ["-c", "20"], "1,000 containers, 40,000 connected sockets"),
    ] {
        let fleet = programs.fleet(count, &options);
        let [pass, scan] = [Ours::Pass("listeners", "0"), Ours::Rescan]
            .map(|which| Turns::of(&programs, &fleet, count, which));
        rows.push(scan.against(format!("rescan, {whose} / the floor"), 1.0 / 6.0));
        rows.push(pass.against("  one warm pass there / the floor".to_owned(), 1.0).for_comparison());
    }
    rows.extend(many(&programs));
    rows
}

/// In a pid namespace of its own.
pub(crate) fn rows_alone() -> Vec<Budget> {
    let programs = Programs::build();
    let fleet = programs.fleet(MANY, &[]);
    let of = |which| Turns::of(&programs, &fleet, MANY, which);
    vec![
        of(Ours::Pass("listeners", "0"))
            .against("one warm pass, in a pid namespace of its own / the floor".to_owned(), 1.0)
            .for_comparison(),
        of(Ours::Rescan).against("rescan, the same / the floor".to_owned(), 1.0).for_comparison(),
    ]
}

fn many(programs: &Programs) -> Vec<Budget> {
    let fleet = programs.fleet(MANY, &[]);
    let of = |which| Turns::of(programs, &fleet, MANY, which);
    let first = of(Ours::First);
    let peak = first.ours.iter().map(|figures| figures.get("peak")).max().unwrap();
    let peak = f64::from(u32::try_from(peak).unwrap()) / 1024.0;
    vec![
        of(Ours::Pass("listeners", "0"))
            .against("one warm pass, 1,000 containers, listeners / the floor".to_owned(), 1.0 / 40.0),
        of(Ours::Pass("whole", "0"))
            .against("  the same and the processes / the floor".to_owned(), 1.0)
            .for_comparison(),
        of(Ours::Pass("listeners", "500"))
            .against("  the listeners, half a second after the last pass / the floor".to_owned(), 1.0)
            .for_comparison(),
        first.against("first scan by BPF, 1,000 containers, loading too / the floor".to_owned(), 0.5),
        of(Ours::Rescan)
            .against("rescan by BPF, 1,000 containers, no change / the floor".to_owned(), 1.0 / 20.0),
        of(Ours::RescanStirred)
            .against("  the same, one process ended and one started / the floor".to_owned(), 1.0)
            .for_comparison(),
        against_system_calls(&fleet, MANY).for_comparison(),
        Budget::size("peak resident memory, first scan by BPF, 1,000 containers", peak, "MiB", 24.0),
    ]
}

/// What a watch costs, and how soon it tells.
pub(crate) fn watch_rows() -> Vec<Budget> {
    let programs = Programs::build();
    let mut rows = reaction(&programs, &programs.fleet(200, &[]));
    let fleet = programs.fleet(MANY, &[]);
    fleet.settle();
    rows.extend(quiet());
    rows
}

/// What is measured of us.
#[derive(Clone, Copy)]
enum Ours {
    /// Over what, and milliseconds of pause before each.
    Pass(&'static str, &'static str),
    First,
    Rescan,
    /// With a process that ended, and one that started.
    RescanStirred,
}

impl Ours {
    fn run(self, fleet: &Fleet, count: usize) -> Figures {
        let pid = fleet.pid().to_string();
        match self {
            Self::Pass(what, pause) => {
                let figures = ours(&["--bpf-pass", what, PASSES, pause, &pid]);
                assert_eq!(figures.get("whole"), u64::try_from(count).unwrap(), "{figures:?}");
                figures
            }
            Self::First => seen_whole(ours(&["--scan-once", "bpf", &pid]), count, true),
            Self::Rescan => seen_whole(ours(&["--rescan", "bpf", SCANS, &pid]), count, true),
            Self::RescanStirred => seen_whole(ours(&["--rescan-stirred", "bpf", SCANS, &pid]), count, true),
        }
    }
}

/// We and the floor, in turns.
struct Turns {
    ours: Vec<Figures>,
    floor: Vec<Figures>,
}

impl Turns {
    fn of(programs: &Programs, fleet: &Fleet, count: usize, which: Ours) -> Self {
        let mut turns = Self { ours: Vec::new(), floor: Vec::new() };
        fleet.settle();
        for _ in 0..TURNS {
            turns.ours.push(which.run(fleet, count));
            let floor = programs.floor(&["full"]);
            assert!(floor.get("listeners") >= listeners_of(count), "{floor:?}");
            turns.floor.push(floor);
        }
        turns
    }

    fn against(&self, what: String, limit: f64) -> Budget {
        Budget::ratio(what, cpu(&self.ours), cpu(&self.floor), limit)
    }
}

fn cpu(figures: &[Figures]) -> Duration {
    median(figures.iter().map(Figures::cpu).collect())
}

fn listeners_of(count: usize) -> u64 {
    2 * u64::try_from(count).unwrap()
}

/// Fails unless all of a fleet was charted, in the way that is meant.
fn seen_whole(figures: Figures, count: usize, by_bpf: bool) -> Figures {
    let of = |key| figures.get(key);
    let listeners = listeners_of(count);
    let whole = (listeners / 2, listeners, listeners, u64::from(by_bpf));
    assert_eq!((of("containers"), of("listeners"), of("owned"), of("bpf")), whole, "{figures:?}");
    figures
}

/// A first scan in a new process, by both ways: a small host pays the loading.
fn against_system_calls(fleet: &Fleet, count: usize) -> Budget {
    let pid = fleet.pid().to_string();
    let (mut by_bpf, mut by_calls) = (Vec::new(), Vec::new());
    for _ in 0..TURNS {
        by_bpf.push(seen_whole(ours(&["--scan-once", "bpf", &pid]), count, true));
        by_calls.push(seen_whole(ours(&["--scan-once", "syscalls", &pid]), count, false));
    }
    let what = format!("first scan, {count} containers, by BPF / by system calls");
    Budget::ratio(what, cpu(&by_bpf), cpu(&by_calls), 1.0)
}

/// Nothing is running yet but the machine.
fn load() -> Budget {
    let times = Times::of((0..3 * TURNS).map(|_| ours(&["--bpf-load"]).cpu()).collect());
    let millis = |percent| times.at(percent).as_secs_f64() * 1e3;
    let mut row = Budget::size("loading the BPF programs, with their test", millis(50), "ms", 10.0);
    row.peer = format!("most {:.1} ms", millis(100));
    row
}

fn reaction(programs: &Programs, fleet: &Fleet) -> Vec<Budget> {
    fleet.settle();
    let (mut by_bpf, mut by_calls) = (Vec::new(), Vec::new());
    for _ in 0..2 {
        for (runs, source) in [(&mut by_bpf, "bpf"), (&mut by_calls, "syscalls")] {
            let Some(run) = Reaction::measure(programs, source) else {
                eprintln!(
                    "the reaction to a new container: not run, the kernel tells no process events here"
                );
                return Vec::new();
            };
            runs.push(run);
        }
    }
    let times = Times::of(by_bpf.iter().flat_map(|run| run.times.clone()).collect());
    let millis = |percent| times.at(percent).as_secs_f64() * 1e3;
    let mut soon =
        Budget::size("reaction to a new container among 200, by BPF, p95", millis(95), "ms", 100.0);
    soon.peer = format!("p50 {:.1} ms", millis(50));
    let each = |runs: &[Reaction]| median(runs.iter().map(Reaction::each).collect());
    let what = "  the watch's CPU time for each, by BPF / by system calls";
    vec![soon, Budget::ratio(what, each(&by_bpf), each(&by_calls), 0.1)]
}

/// The processor time in a second of a watch with nothing to tell. Every process that starts on the machine meanwhile
/// costs it something, so it is told how many there were.
fn quiet() -> [Budget; 2] {
    let [by_bpf, by_calls] = [
        ("bpf", "watch of 1,000 quiet containers by BPF, CPU in a second", 5.0),
        ("syscalls", "  the same by system calls", 0.0),
    ]
    .map(|(source, what, limit)| {
        let before = forks();
        let figures = ours(&["--watch", source, &QUIET.to_string()]);
        let forks = (forks() - before) / QUIET;
        assert!(figures.get("containers") >= 1000, "{figures:?}");
        assert_eq!(figures.get("bpf"), u64::from(source == "bpf"), "{figures:?}");
        let millis = figures.cpu().as_secs_f64() * 1e3 / figures.wall().as_secs_f64();
        let mut row = Budget::size(what, millis, "ms", limit);
        row.peer = format!("{forks} forks/s");
        row
    });
    [by_bpf, by_calls.for_comparison()]
}

/// How many processes and threads the machine has ever started.
fn forks() -> u64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap();
    stat.lines().find_map(|line| line.strip_prefix("processes ")).unwrap().parse().unwrap()
}
