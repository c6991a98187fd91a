//! The whole chart while several runtimes run.

use std::collections::BTreeSet;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use portolan_world::need::Need;
use portolan_world::require;

use super::chart::Chart;
use super::docker::isolated;
use super::engine::Engine;
use super::lxc::Machine;
use super::runc::Bundle;
use super::told::Told;
use super::tool::{told, tool};
use super::unshare::Unshared;
use crate::oracle::{self, Address};

/// Tests that run beside this one start and end listeners of their own: a namespace counts as charted wrongly
/// when it is so this many times in a row.
const TRIES: u32 = 25;

/// A network namespace and a process in it.
type Place = (u64, i32);

/// The network namespaces as `lsns` sees them.
fn places() -> Vec<Place> {
    let listed = told(tool("lsns").args(["--type", "net", "--noheadings", "--output", "NS,PID"]));
    let place = |line: &str| {
        let (netns, pid) = line.trim().split_once(char::is_whitespace)?;
        Some((netns.parse().ok()?, pid.trim().parse().ok()?))
    };
    listed.lines().map(|line| place(line).unwrap_or_else(|| panic!("{line}"))).collect()
}

/// What `ss` sees in a namespace; `None` when it is gone, or when we may not enter by that process.
fn seen((netns, pid): Place) -> Option<BTreeSet<Address>> {
    let output = if netns == oracle::namespace("self", "net") {
        Command::new("ss").arg("-Hltn").output()
    } else {
        tool("nsenter").args(["-t", &pid.to_string(), "-n", "ss", "-Hltn"]).output()
    };
    output.ok().filter(|output| output.status.success()).map(|output| oracle::addresses(&output.stdout))
}

/// Whether the chart agrees with `ss`, at least once.
fn agrees(place: Place) -> Result<(), String> {
    let mut last = String::new();
    for _ in 0..TRIES {
        let Some(before) = seen(place) else { return Ok(()) };
        let charted = Chart::now().addresses(place.0);
        if charted == before {
            return Ok(());
        }
        last = format!("net:[{}] of pid {}: charted {charted:?}, but ss sees {before:?}", place.0, place.1);
        sleep(Duration::from_millis(20));
    }
    Err(last)
}

#[test]
fn several_runtimes_at_once_are_one_chart() {
    require!(
        Need::Root,
        Need::Program("dockerd"),
        Need::Program("docker"),
        Need::Lxc,
        Need::Overlay,
        Need::Program("runc"),
        Need::Program("unshare"),
        Need::Program("lsns"),
        Need::Program("busybox")
    );
    let _turn = super::turn();
    let engine = Engine::start();
    let (one, two) = (isolated(&engine, "one", &[]), isolated(&engine, "two", &[]));
    let (machine, bundle) = (Machine::start(), Bundle::start());
    let mut unshared = Unshared::on_hosts_root("several", "-mpfn --mount-proc --kill-child");
    let all = [one, two, machine.told(), bundle.told(), unshared.told_with_pids()];
    all.iter().for_each(Told::wait_listening);
    let chart = Chart::now();
    for container in &all {
        container.check_container(&chart);
        assert_eq!(container.listener(&chart)["container"], container.id);
    }
    let places = places();
    for container in &all {
        let netns = oracle::namespace(container.pid, "net");
        assert!(places.iter().any(|(known, _)| *known == netns), "lsns does not know {container:?}");
        assert_eq!(chart.addresses(netns), oracle::listeners(container.pid));
    }
    let wrong: Vec<String> = places.into_iter().filter_map(|place| agrees(place).err()).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
