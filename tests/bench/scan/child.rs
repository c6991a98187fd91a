//! What is measured, in a process of its own that tells its own figures.

use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use portolan::Inventory;
use portolan_scan::{ScanOptions, Scanner, WatchOptions, scan};

use super::programs::median;

/// The first scan of a new process: everything from its start counts.
pub(crate) fn once() {
    let start = Instant::now();
    let chart = scan(&ScanOptions::default()).unwrap();
    tell(&chart, cpu(), start.elapsed());
}

/// Scans by one scanner, after the first; the median round.
pub(crate) fn again(rounds: usize) {
    let mut scan = scanner();
    scan();
    let (mut cpus, mut walls) = (Vec::new(), Vec::new());
    let mut chart = None;
    for _ in 0..rounds {
        let (before, start) = (cpu(), Instant::now());
        chart = Some(scan());
        cpus.push(cpu().saturating_sub(before));
        walls.push(start.elapsed());
    }
    tell(&chart.unwrap(), median(cpus), median(walls));
}

/// A watch that goes on for some time after its first update.
pub(crate) fn watch(time: Duration) {
    let mut watch = Scanner::new(ScanOptions::default()).watch(WatchOptions::default());
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
        "cpu={} wall={} containers={}",
        cpu().saturating_sub(before).as_micros(),
        start.elapsed().as_micros(),
        watch.chart().unwrap().containers.len(),
    );
}

/// A scanner that keeps what cannot have changed.
fn scanner() -> impl FnMut() -> Inventory {
    let mut scanner = Scanner::new(ScanOptions::default());
    move || scanner.scan().unwrap()
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

/// As the floor tells its own.
fn tell(chart: &Inventory, cpu: Duration, wall: Duration) {
    println!(
        "cpu={} wall={} containers={} listeners={} owned={} faults={} peak={}",
        cpu.as_micros(),
        wall.as_micros(),
        chart.containers.len(),
        chart.listeners.len(),
        chart.listeners.iter().filter(|l| l.owner.is_some() && l.container.is_some()).count(),
        chart.faults.len(),
        peak(),
    );
}
