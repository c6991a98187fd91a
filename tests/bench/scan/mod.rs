//! The scan, on a thousand containers of our own, against the system calls that it takes at least.
//!
//! The rows are measured in a process that is alone: in pid and network namespaces of its own, so that it sees the
//! fleet and nothing else of the machine, and so that the fleet ends when it does. What must see the whole host (the
//! kernel tells process events in the first pid namespace only) is measured outside, by [`watch_budgets`].
//!
//! - `fleet.c` makes the containers, `floor.c` makes the bare system calls
//! - `programs`: builds and runs them; `fleet`: finds the containers again
//! - `child`: one scan in a new process, or many by one scanner
//! - `peer`: `lsns` and `ss`
//! - `rows`: what is compared with what, of the way by system calls
//! - `watch`: the watch by system calls, on the machine as it is; `reaction`: one run of it
//! - `bpf`: the way by BPF iterators, on the machine as it is

mod bpf;
pub(crate) mod child;
mod fleet;
mod peer;
pub(crate) mod programs;
mod reaction;
mod rows;
mod watch;

use std::io::Read as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::{Budget, services};

pub(crate) fn budgets() -> Vec<Budget> {
    alone("--scan-rows")
}

/// What is known of the services, which takes the same fleet.
pub(crate) fn service_budgets() -> Vec<Budget> {
    alone("--service-rows")
}

pub(crate) fn watch_budgets() -> Vec<Budget> {
    watch::rows()
}

/// The watch by BPF iterators.
pub(crate) fn reaction_budgets() -> Vec<Budget> {
    bpf::watch_rows()
}

/// The other way of all this.
pub(crate) fn bpf_budgets() -> Vec<Budget> {
    let mut rows = bpf::rows();
    rows.extend(alone("--bpf-rows"));
    rows
}

/// The rows of the process that is alone.
fn alone(rows: &str) -> Vec<Budget> {
    let mut unshare = Command::new("unshare");
    unshare.args(["--fork", "--kill-child", "--pid", "--net", "--mount-proc", "--"]);
    let exe = std::env::current_exe().unwrap();
    let mut alone = unshare.arg(exe).arg(rows).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut text = String::new();
    alone.stdout.as_mut().unwrap().read_to_string(&mut text).unwrap();
    // Not `wait_with_output`: that closes its input first, which ends it.
    let status = alone.wait().unwrap();
    assert!(status.success(), "the rows of the scan: {status}");
    text.lines().map(parse).collect()
}

/// A row as a line of text.
fn line(row: &Budget) -> String {
    let limit = row.limit.map_or("-".to_owned(), |limit| limit.to_string());
    format!("{}\t{}\t{}\t{}\t{limit}", row.what, row.ours, row.peer, row.value)
}

fn parse(line: &str) -> Budget {
    let fields: Vec<&str> = line.split('\t').collect();
    let [what, ours, peer, value, limit] = fields[..] else { panic!("not a row: {line}") };
    Budget {
        what: what.into(),
        ours: ours.into(),
        peer: peer.into(),
        value: value.parse().unwrap(),
        limit: limit.parse().ok(),
    }
}

/// Does what a process of ours was started for, if it was.
pub(crate) fn is_child(arguments: &[String]) -> bool {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[1..] {
        [which @ ("--scan-rows" | "--service-rows" | "--bpf-rows")] => {
            // When the process that reads the rows is gone, so is its end of our input; and with process 1 of a pid
            // namespace ends all that is in it.
            std::thread::spawn(|| {
                let _ = std::io::stdin().read(&mut [0]);
                std::process::exit(1);
            });
            let rows = match which {
                "--scan-rows" => rows::all(),
                "--bpf-rows" => bpf::rows_alone(),
                _ => services::rows(),
            };
            for row in rows {
                println!("{}", line(&row));
            }
        }
        ["--scan-once", source] => child::once(source, None),
        ["--scan-once", source, fleet] => child::once(source, Some(fleet.parse().unwrap())),
        ["--watch", source, seconds] => child::watch(source, Duration::from_secs(seconds.parse().unwrap())),
        ["--watch-newcomers", source] => child::reaction(source),
        ["--bpf-load"] => child::load(),
        ["--bpf-pass", what, rounds, pause, fleet] => {
            let pause = Duration::from_millis(pause.parse().unwrap());
            child::pass(what, rounds.parse().unwrap(), pause, fleet.parse().unwrap());
        }
        ["--survey-rounds", what, source, later] => services::rounds(what, source, later.parse().unwrap()),
        ["--rescan", source, rounds] => child::again(source, rounds.parse().unwrap(), None, false),
        [which @ ("--rescan" | "--rescan-stirred"), source, rounds, fleet] => {
            let is_stirred = which == "--rescan-stirred";
            child::again(source, rounds.parse().unwrap(), Some(fleet.parse().unwrap()), is_stirred);
        }
        _ => return false,
    }
    true
}
