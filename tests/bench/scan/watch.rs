//! The watch by system calls: how soon it tells of a container that listens, and what it costs when nothing happens, and when processes
//! start all the time.
//!
//! The kernel tells process events in the first pid namespace alone, so this is measured on the machine as it is, with
//! all else that runs there.

use std::process::{Child, Command, Stdio};

use super::programs::{Programs, ours};
use super::reaction::Reaction;
use crate::{Budget, Times};

/// The way that these rows were made for; the other one's are in [`super::bpf`].
const SOURCE: &str = "syscalls";
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
    rows.push(share("watch of 1,000 quiet containers, by system calls, of a CPU"));
    let _storm = Storm::start();
    rows.push(share("  the same, while a shell runs one program after another"));
    rows
}

fn reaction(programs: &Programs) -> Option<Budget> {
    let Some(run) = Reaction::measure(programs, SOURCE) else {
        eprintln!("the reaction to a new container: not run, the kernel tells no process events here");
        return None;
    };
    let times = Times::of(run.times);
    let p95 = times.at(95).as_secs_f64() * 1e3;
    let mut row =
        Budget::size("reaction to a new container among 200, by system calls, p95", p95, "ms", 100.0);
    row.peer = format!("p50 {:.1} ms", times.at(50).as_secs_f64() * 1e3);
    Some(row)
}

/// The processor time of a watch, as a part of the time that it went on.
fn share(what: &str) -> Budget {
    let figures = ours(&["--watch", SOURCE, &SECONDS.to_string()]);
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
