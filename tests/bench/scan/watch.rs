//! The watch: how soon it tells of a container that listens, and what it costs when nothing happens, and when processes
//! start all the time.
//!
//! The kernel tells process events in the first pid namespace alone, so this is measured on the machine as it is, with
//! all else that runs there.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use portolan_scan::{ScanOptions, Scanner, WatchOptions};

use super::programs::{Programs, ours};
use crate::{Budget, Times};

const NEWCOMERS: u16 = 40;
const FIRST_PORT: u16 = 20_000;
/// Of a watch that is only measured: a whole scan is among that.
const SECONDS: u64 = 11;

pub(crate) fn rows() -> Vec<Budget> {
    let programs = Programs::build();
    let mut rows = Vec::new();
    {
        let _fleet = programs.fleet(200, &[]);
        rows.extend(reaction(&programs));
    }
    let _fleet = programs.fleet(1000, &[]);
    rows.push(share("watch of 1,000 quiet containers, part of a processor"));
    let _storm = Storm::start();
    rows.push(share("  the same, while a shell runs one program after another"));
    rows
}

/// From just before a container listens until the update that says so is in hand.
fn reaction(programs: &Programs) -> Option<Budget> {
    let mut watch = Scanner::new(ScanOptions::default()).watch(WatchOptions::default());
    if !watch.is_told() {
        eprintln!("the reaction to a new container: not run, the kernel tells no process events here");
        return None;
    }
    let stopper = watch.stopper();
    let (sender, told) = mpsc::channel();
    let (ready, first) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        watch.next().unwrap().unwrap();
        ready.send(()).unwrap();
        for update in watch {
            let now = monotonic();
            for listener in update.unwrap().diff.listeners.added {
                let _ = sender.send((listener.port(), now));
            }
        }
    });
    first.recv().unwrap();
    let mut times = Vec::new();
    for number in 0..NEWCOMERS {
        let port = FIRST_PORT + number;
        // At any moment of the watch's own round.
        let mut newcomer = programs.newcomer(port, 10 + number * 37 % 111);
        let mut line = String::new();
        BufReader::new(newcomer.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let listened = Duration::from_nanos(line.trim().parse().expect("the newcomer does not listen"));
        let now = loop {
            let (of, now) = told.recv_timeout(Duration::from_secs(20)).expect("it is not told");
            if of == Some(port) {
                break now;
            }
        };
        times.push(now.saturating_sub(listened));
        drop(newcomer.stdin.take());
        newcomer.wait().unwrap();
    }
    stopper.stop();
    thread.join().unwrap();
    let times = Times::of(times);
    let p95 = times.at(95).as_secs_f64() * 1e3;
    let mut row = Budget::size("reaction to a new container among 200, p95", p95, "ms", 100.0);
    row.peer = format!("p50 {:.1} ms", times.at(50).as_secs_f64() * 1e3);
    Some(row)
}

fn monotonic() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap().into()
}

/// The processor time of a watch, as a part of the time that it went on.
fn share(what: &str) -> Budget {
    let figures = ours(&["--watch", &SECONDS.to_string()]);
    assert!(figures.get("containers") >= 1000, "{figures:?}");
    let share = figures.cpu().as_secs_f64() / figures.wall().as_secs_f64();
    Budget::size(what, share * 100.0, "%", 0.0).for_comparison()
}

/// Processes that start and end without a pause, until this is dropped.
struct Storm(Child);

impl Storm {
    fn start() -> Self {
        // It ends when nobody holds the other end of its input any more.
        let script = "(read -r _; kill $$) <&3 & while :; do /bin/true; done";
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("exec 3<&0 </dev/null; {script}")]);
        Self(shell.stdin(Stdio::piped()).spawn().unwrap())
    }
}

impl Drop for Storm {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}
