//! What is measured, in a process of its own that tells its own figures.

use std::collections::HashSet;
use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use nix::time::{ClockId, clock_gettime};
use portolan::Inventory;
use portolan_linux::bpf::{self, Iterators};
use portolan_scan::{Listener, ScanOptions, Scanner, Source, SourceChoice, WatchOptions, scan};

use super::fleet;
use super::programs::median;

/// Longer than any pass here takes.
const LONG: Duration = Duration::from_secs(5);

/// The first scan of a new process: everything from its start counts.
pub(crate) fn once(source: &str, fleet: Option<u32>) {
    let start = Instant::now();
    let chart = scan(&options(source)).unwrap();
    tell(&chart, cpu(), start.elapsed(), fleet);
}

/// Scans by one scanner, after the first; the median round. Before each, nothing happens, or a program ends and another
/// one starts.
pub(crate) fn again(source: &str, rounds: usize, fleet: Option<u32>, is_stirred: bool) {
    let mut scanner = Scanner::new(options(source));
    scanner.scan().unwrap();
    let (mut cpus, mut walls) = (Vec::new(), Vec::new());
    let (mut chart, mut program) = (None, None);
    for _ in 0..rounds {
        if is_stirred {
            drop(program.replace(Sleeper::start()));
        }
        let (before, start) = (cpu(), Instant::now());
        chart = Some(scanner.scan().unwrap());
        cpus.push(cpu().saturating_sub(before));
        walls.push(start.elapsed());
    }
    tell(&chart.unwrap(), median(cpus), median(walls), fleet);
}

/// A program that does nothing, until this is dropped.
struct Sleeper(Child);

impl Sleeper {
    fn start() -> Self {
        Self(Command::new("sleep").arg("60").spawn().unwrap())
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Loading the programs, with their test, in a process that has done nothing yet.
pub(crate) fn load() {
    let (before, start) = (cpu(), Instant::now());
    let iterators = Iterators::load();
    let (cpu, wall) = (cpu().saturating_sub(before), start.elapsed());
    drop(iterators.unwrap_or_else(|why| panic!("{}: {why}", super::bpf::UNAVAILABLE)));
    println!("cpu={} wall={}", cpu.as_micros(), wall.as_micros());
}

/// Passes over the listeners alone, or over the processes as well, and all rows taken apart; the median pass.
pub(crate) fn pass(what: &str, rounds: usize, pause: Duration, fleet: u32) {
    let iterators = Iterators::load().unwrap();
    let (mut tasks, mut files) = (Vec::new(), Vec::new());
    let (mut cpus, mut walls) = (Vec::new(), Vec::new());
    let mut held = Vec::new();
    // The first is not warm: its buffers grow.
    for round in 0..=rounds {
        std::thread::sleep(pause);
        let (before, start) = (cpu(), Instant::now());
        if what == "whole" {
            iterators.tasks(&mut tasks, Instant::now() + LONG).unwrap();
            for row in bpf::tasks(&tasks) {
                black_box((row.pid(), row.parent(), row.start_boottime(), row.owner(), row.has_ended()));
                black_box((row.mnt(), row.net(), row.pid_namespace(), row.user(), row.cgroups()));
            }
        }
        iterators.listeners(&mut files, Instant::now() + LONG).unwrap();
        held.clear();
        held.extend(bpf::holders(&files));
        black_box(&held);
        if round > 0 {
            cpus.push(cpu().saturating_sub(before));
            walls.push(start.elapsed());
        }
    }
    let whole = fleet::whole(fleet, &held);
    println!(
        "cpu={} wall={} whole={whole} rows={}",
        median(cpus).as_micros(),
        median(walls).as_micros(),
        held.len(),
    );
}

/// A watch that goes on for some time after its first update.
pub(crate) fn watch(source: &str, time: Duration) {
    let mut watch = Scanner::new(options(source)).watch(WatchOptions::default());
    watch.next().unwrap().unwrap();
    let (before, start) = (cpu(), Instant::now());
    let stopper = watch.stopper();
    std::thread::spawn(move || {
        std::thread::sleep(time);
        stopper.stop();
    });
    for update in watch.by_ref() {
        update.unwrap();
    }
    println!(
        "cpu={} wall={} containers={} bpf={}",
        cpu().saturating_sub(before).as_micros(),
        start.elapsed().as_micros(),
        watch.chart().unwrap().containers.len(),
        is_by_bpf(watch.chart().unwrap()),
    );
}

/// A watch that tells each port that is listened on, and when it knew; until its input ends.
pub(crate) fn reaction(source: &str) {
    let mut watch = Scanner::new(options(source)).watch(WatchOptions::default());
    let told = u64::from(watch.is_told());
    watch.next().unwrap().unwrap();
    let (before, start) = (cpu(), Instant::now());
    println!("ready={told}");
    let stopper = watch.stopper();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read(&mut [0]);
        stopper.stop();
    });
    let mut output = std::io::stdout();
    let mut known = HashSet::new();
    for update in watch.by_ref() {
        let now = monotonic();
        for listener in update.unwrap().diff.listeners.added {
            if let Some(port) = listener.port().filter(|port| known.insert(*port)) {
                writeln!(output, "{port}={}", now.as_nanos()).unwrap();
            }
        }
    }
    let (cpu, wall) = (cpu().saturating_sub(before), start.elapsed());
    let by_bpf = is_by_bpf(watch.chart().unwrap());
    println!("cpu={} wall={} bpf={by_bpf}", cpu.as_micros(), wall.as_micros());
}

pub(crate) fn monotonic() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap().into()
}

pub(crate) fn options(source: &str) -> ScanOptions {
    let mut options = ScanOptions::default();
    options.source = match source {
        "bpf" => SourceChoice::Bpf,
        "syscalls" => SourceChoice::SystemCalls,
        other => panic!("no such source: {other}"),
    };
    options
}

fn is_by_bpf(chart: &Inventory) -> u64 {
    u64::from(chart.source == Source::Bpf)
}

/// User and system time of this process.
fn cpu() -> Duration {
    let used = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let micros = |time: TimeVal| u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap();
    Duration::from_micros(micros(used.user_time()) + micros(used.system_time()))
}

/// The most memory that was ever resident, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let field = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    field.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

/// As the floor tells its own: what is there, or what is of a fleet, on a machine where there is more.
fn tell(chart: &Inventory, cpu: Duration, wall: Duration, fleet: Option<u32>) {
    let peak = peak();
    let members = fleet.map(fleet::members);
    let counts = |pid: i32| members.as_ref().is_none_or(|all| all.contains(&pid));
    let containers: Vec<_> = chart.containers.iter().filter(|c| counts(c.init.pid)).collect();
    let ids: HashSet<&str> = containers.iter().map(|c| c.id.as_str()).collect();
    let of_them =
        |l: &&Listener| members.is_none() || l.container.as_deref().is_some_and(|id| ids.contains(id));
    let listeners: Vec<_> = chart.listeners.iter().filter(of_them).collect();
    println!(
        "cpu={} wall={} containers={} listeners={} owned={} faults={} peak={peak} bpf={}",
        cpu.as_micros(),
        wall.as_micros(),
        containers.len(),
        listeners.len(),
        listeners.iter().filter(|l| l.owner.is_some() && l.container.is_some()).count(),
        chart.faults.len(),
        is_by_bpf(chart),
    );
}
