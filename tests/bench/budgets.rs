//! The budgets: each is a ratio against a peer in the same run, so that the machine's mood divides out.
//!
//! `make bench` runs all of them; the exit code is 1 if one is not kept. `make bench ONLY=files` runs those whose
//! group has that name (dial, tunnel, files, load, docker, scan, watch, bpf, reaction, services). Measurements of both sides take
//! turns in short batches, and the same percentile of each is compared.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a benchmark stops at the first thing that goes wrong"
)]

#[path = "../it/command.rs"]
mod command;
mod dial;
mod docker;
mod files;
mod load;
mod scan;
mod services;
mod tunnel;

use std::process::ExitCode;
use std::time::Duration;

/// A figure and its limit.
struct Budget {
    what: String,
    ours: String,
    peer: String,
    value: f64,
    /// `None`: told for comparison only.
    limit: Option<f64>,
}

impl Budget {
    fn ratio(what: impl Into<String>, ours: Duration, peer: Duration, limit: f64) -> Self {
        let value = ours.as_secs_f64() / peer.as_secs_f64();
        Self { what: what.into(), ours: micros(ours), peer: micros(peer), value, limit: Some(limit) }
    }

    /// No ratio: a size.
    fn size(what: impl Into<String>, value: f64, unit: &str, limit: f64) -> Self {
        Self {
            what: what.into(),
            ours: format!("{value:.3} {unit}"),
            peer: "-".into(),
            value,
            limit: Some(limit),
        }
    }

    fn for_comparison(self) -> Self {
        Self { limit: None, ..self }
    }

    fn is_over(&self) -> bool {
        self.limit.is_some_and(|limit| self.value > limit)
    }
}

type Group = (&'static str, fn() -> Vec<Budget>);
const GROUPS: [Group; 10] = [
    ("files", files::budgets),
    ("load", load::budgets),
    ("docker", docker::budgets),
    ("dial", dial::budgets),
    ("tunnel", tunnel::budgets),
    ("scan", scan::budgets),
    ("watch", scan::watch_budgets),
    ("bpf", scan::bpf_budgets),
    ("reaction", scan::reaction_budgets),
    ("services", scan::service_budgets),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|a| a == "--serve") {
        dial::serve(arguments[at + 1].parse().unwrap());
    }
    if let Some(at) = arguments.iter().position(|a| a == "--echo") {
        tunnel::echo(arguments[at + 1].parse().unwrap());
    }
    if scan::is_child(&arguments) {
        return ExitCode::SUCCESS;
    }
    let only = std::env::var("ONLY").unwrap_or_default();
    println!("{:<62}{:>13}{:>13}{:>9}{:>9}", "budget", "ours", "peer", "ratio", "limit");
    let mut over = false;
    for (name, budgets) in GROUPS {
        if !only.is_empty() && only != name {
            continue;
        }
        for b in budgets() {
            let (limit, mark) = match b.limit {
                None => ("-".to_owned(), ""),
                Some(limit) => (format!("{limit:.4}"), if b.is_over() { "  over" } else { "" }),
            };
            println!("{:<62}{:>13}{:>13}{:>9.4}{limit:>9}{mark}", b.what, b.ours, b.peer, b.value);
            over |= b.is_over();
        }
    }
    ExitCode::from(u8::from(over))
}

/// Many measurements of one thing, in their order.
struct Times(Vec<Duration>);

impl Times {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// A percentile.
    fn at(&self, percent: usize) -> Duration {
        self.0[(self.0.len() * percent / 100).min(self.0.len() - 1)]
    }
}

/// Two things measured in turns.
fn take_turns(
    count: usize,
    batch: usize,
    mut ours: impl FnMut() -> Duration,
    mut peer: impl FnMut() -> Duration,
) -> (Times, Times) {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for _ in 0..batch {
        ours();
        peer();
    }
    while first.len() < count {
        first.extend((0..batch).map(|_| ours()));
        second.extend((0..batch).map(|_| peer()));
    }
    (Times::of(first), Times::of(second))
}

fn micros(time: Duration) -> String {
    format!("{:.1} us", time.as_secs_f64() * 1e6)
}
