//! The chart, by the library and by `portolan scan`, judged by `ss`, `nsenter` and the links of `/proc`.

mod bpf;
mod changes;
mod containers;
mod contract;
mod faults;
mod flood;
mod held;
mod listeners;
mod many;
mod outside;
mod owners;
mod page;
mod part;
mod random;
mod scene;
mod shared;
mod source;
mod storm;
mod udp;
mod unix;

use std::sync::OnceLock;

use portolan::{Container, Inventory, Listener, ScanOptions, SourceChoice};
use portolan_world::need::{self, Need};

/// What it takes to scan by BPF iterators, besides rights: that the kernel describes its types.
pub(crate) const BPF: Need = Need::File("/sys/kernel/btf/vmlinux");

/// The ways to scan that a test holds to what it expects. That one cannot be had here is told, and the test is of the
/// other alone then.
pub(crate) fn ways() -> Vec<SourceChoice> {
    static THERE: OnceLock<bool> = OnceLock::new();
    let bpf = *THERE.get_or_init(|| need::require("scan: what is expected of both ways, by BPF", &[BPF]));
    [SourceChoice::SystemCalls].into_iter().chain(bpf.then_some(SourceChoice::Bpf)).collect()
}

/// Charts the host the way that is the best here, which must not fail.
#[track_caller]
pub(crate) fn chart() -> Inventory {
    by(SourceChoice::Auto)
}

/// Charts the host this way, which must not fail.
#[track_caller]
pub(crate) fn by(source: SourceChoice) -> Inventory {
    charted(source, false)
}

/// The same, and nothing that could be found is left out.
#[track_caller]
pub(crate) fn thoroughly(source: SourceChoice) -> Inventory {
    charted(source, true)
}

#[track_caller]
fn charted(source: SourceChoice, thorough: bool) -> Inventory {
    let mut options = ScanOptions::default();
    (options.source, options.thorough) = (source, thorough);
    portolan::Host::new().with_scan_options(options).scan().unwrap()
}

/// The one container that has this process as its first.
#[track_caller]
fn container(chart: &Inventory, pid: i32) -> &Container {
    let found: Vec<&Container> = chart.containers.iter().filter(|c| c.init.pid == pid).collect();
    assert_eq!(found.len(), 1, "containers of pid {pid}: {found:?}, faults {:?}", chart.faults);
    found[0]
}

/// What is charted in a network namespace.
fn in_namespace(chart: &Inventory, netns: u64) -> Vec<&Listener> {
    chart.listeners.iter().filter(|l| l.netns.inode() == netns).collect()
}
