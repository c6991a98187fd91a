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
mod random;
mod scene;
mod shared;
mod storm;
mod udp;
mod unix;

use portolan::{Container, Inventory, Listener};

/// Charts the host, which must not fail.
#[track_caller]
pub(crate) fn chart() -> Inventory {
    portolan::Host::new().scan().unwrap()
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
