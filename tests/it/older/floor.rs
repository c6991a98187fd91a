//! Below the oldest kernel that is supported: nothing is made up, and what does not work is said.

use std::process::Command;

use nix::libc;
use portolan_world::need::Need;
use portolan_world::{World, require};
use serde_json::Value;

use super::rig::{Rig, Rule};
use crate::command::{helper, run};
use crate::inside::Inside;
use crate::{oracle, servers};

/// What is missing here is what system calls ask.
const SCAN: &[&str] = &["scan", "--json", "--source", "syscalls"];

#[test]
fn without_what_every_supported_kernel_has_nothing_is_read_or_dialed_and_that_is_said() {
    require!(Need::Root, Need::Overlay, Need::Program("cc"));
    let rig = Rig::new();
    let world = servers::banner(World::new("below"), "hello", &[("127.0.0.1", 7650)]);
    let c = Inside::start(&world.file("/app/file", "read"));
    c.wait_log("listening");
    let (cat, dial) = (["cat", &c.target(), "/app/file"], ["dial", &c.target(), "7650"]);
    for (call, arguments, says) in [
        (libc::SYS_openat2, &cat, "while opening"),
        (libc::SYS_setns, &cat, "while entering the container"),
        (libc::SYS_close_range, &cat, "while trying to start"),
        (libc::SYS_pidfd_open, &dial, "while trying to pidfd_open"),
        (libc::SYS_setns, &dial, "while trying to enter the network namespace"),
    ] {
        let ran = rig.portolan(&[Rule::always(call, libc::ENOSYS)], arguments);
        let line = ran.failed(1);
        assert!(line.contains("this kernel does not have it") && line.contains(says), "{line}");
        // A filter that forbids it: whatever the reason, nothing is read.
        let ran = rig.portolan(&[Rule::always(call, libc::EPERM)], arguments);
        assert!(
            matches!(ran.code, Some(1 | 3)) && ran.stdout.is_empty() && !ran.line().is_empty(),
            "{ran:?}"
        );
    }
}

#[test]
fn a_helper_that_cannot_close_what_it_inherited_does_nothing() {
    require!(Need::Root, Need::Overlay, Need::Program("cc"));
    let rig = Rig::new();
    let c = Inside::start(&World::new("inherited").file("/app/file", "read"));
    for errno in [libc::ENOSYS, libc::EPERM] {
        let mut read = rig.program(&[Rule::always(libc::SYS_close_range, errno)], &helper());
        let ran = run(read.args(["read", "--pid", &c.pid().to_string(), "--", "/app/file"]), b"");
        assert_eq!((ran.code, ran.stdout.as_slice()), (Some(1), &b""[..]));
    }
}

#[test]
fn a_kernel_that_cannot_enter_by_a_process_has_its_listeners_in_text() {
    require!(Need::Root, Need::Overlay, Need::Program("cc"));
    let rig = Rig::new();
    let c = Inside::start(&servers::banner(World::new("no-pidfd"), "", &[("127.0.0.1", 7651)]));
    c.wait_log("listening");
    for (call, errno) in [(libc::SYS_pidfd_open, libc::ENOSYS), (libc::SYS_setns, libc::EINVAL)] {
        let ran = rig.portolan(&[Rule::always(call, errno)], SCAN);
        let chart: Value = serde_json::from_slice(&ran.done()).unwrap();
        let netns = oracle::namespace(c.pid(), "net");
        let own: Vec<&Value> =
            chart["listeners"].as_array().unwrap().iter().filter(|l| l["netns"] == netns).collect();
        assert_eq!(own.len(), 1, "{}", chart["faults"]);
        assert_eq!((&own[0]["port"], &own[0]["pid"]), (&7651.into(), &c.pid().into()));
    }
}

#[test]
fn a_namespace_that_is_bound_to_a_file_and_cannot_be_opened_is_a_fault() {
    require!(Need::Root, Need::Program("cc"), Need::Program("unshare"));
    let rig = Rig::new();
    let place = rig.file("netns", "");
    // In mounts of its own, which go with the command.
    let script = "unshare --net=\"$0\" true && stat -c %i \"$0\" && exec \"$@\"";
    let scanned = |call: libc::c_long| {
        let inner = rig.command(&[Rule::always(call, libc::ENOSYS)], SCAN);
        let mut unshare = Command::new("unshare");
        unshare.args(["-m", "sh", "-c", script, &place]).arg(inner.get_program()).args(inner.get_args());
        let text = run(&mut unshare, b"").text();
        let (netns, chart) = text.split_once('\n').unwrap();
        let chart: Value = serde_json::from_str(chart).unwrap();
        let netns: u64 = netns.parse().unwrap();
        let faults = chart["faults"].as_array().unwrap().clone();
        faults.iter().filter(|one| one["subject"] == "netns" && one["first"] == netns).count()
    };
    // A call that nobody makes.
    assert_eq!(scanned(libc::SYS_reboot), 0);
    assert_eq!(scanned(libc::SYS_openat2), 1);
}
