//! The privileges, taken away one at a time: the right answer by the right way, and nobody is bothered; who insists on
//! BPF is told why not.

use std::process::Command;

use nix::libc;
use portolan_world::need::Need;
use portolan_world::require;
use serde_json::Value;

use crate::command::{Ran, run};
use crate::inside::Inside;
use crate::older::rig::{Rig, Rule, row};
use crate::older::scan::{chart, charted, start};
use crate::oracle;
use crate::privileges::Copies;

use super::types::{PLACE, mounted};
use super::{by_bpf, by_system_calls};

const SCAN: [&str; 2] = ["scan", "--json"];
const BY_CALLS: [&str; 4] = ["scan", "--json", "--source", "syscalls"];
const FORCED: [&str; 4] = ["scan", "--json", "--source", "bpf"];

/// The listeners of a network namespace, in an order of their own.
fn heard(chart: &Value, netns: u64) -> Vec<String> {
    let all = chart["listeners"].as_array().unwrap();
    let mut all: Vec<String> = all.iter().filter(|l| l["netns"] == netns).map(ToString::to_string).collect();
    all.sort();
    all
}

/// What those get who may not load programs: what system calls tell them, without a word about BPF; and why, if they
/// insist.
#[track_caller]
fn refused(says: &str, code: i32, c: &Inside, with: impl Fn(&[&str]) -> Ran) {
    let (auto, why) = by_system_calls(with(&SCAN));
    assert!(why.contains(says), "{why}");
    let usual = chart(with(&BY_CALLS));
    assert_eq!(usual["source_reason"], Value::Null, "nobody asked for it");
    for netns in [oracle::namespace("self", "net"), oracle::namespace(c.pid(), "net")] {
        let (found, usual): (Vec<Value>, Vec<Value>) = (of(&auto, netns, c), of(&usual, netns, c));
        assert_eq!(found, usual);
    }
    assert!(!heard(&auto, oracle::namespace("self", "net")).is_empty(), "or the comparison says nothing");
    let plain = with(&["scan"]);
    assert_eq!(plain.code, Some(0), "{plain:?}");
    assert!(!plain.stderr.to_lowercase().contains("bpf"), "{}", plain.stderr);

    let forced = with(&FORCED);
    let line = forced.failed(code);
    assert!(line.starts_with("scan by BPF iterators: ") && line.contains(says), "{line}");
}

/// What is charted of a namespace by ports and names that no other test has.
fn of(chart: &Value, netns: u64, c: &Inside) -> Vec<Value> {
    let mut all = chart["listeners"].as_array().unwrap().clone();
    all.retain(|l| l["netns"] == netns && (l["pid"] == c.pid() || l["port"] == OWN.with(|own| *own)));
    all.sort_by_key(ToString::to_string);
    all
}

thread_local! {
    /// A listener of this process.
    static OWN: u16 = {
        let own = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = own.local_addr().unwrap().port();
        // For as long as the thread of the test.
        Box::leak(Box::new(own));
        port
    };
}

#[test]
fn without_capabilities_the_way_is_system_calls_and_nobody_is_told() {
    require!(Need::Root, Need::Overlay, Need::Ipv6, Need::Program("setpriv"), Need::File(PLACE));
    let (c, copies) = (start("no-rights"), Copies::new());
    refused("CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN", 3, &c, |arguments| copies.as_nobody(arguments));
}

#[test]
fn one_of_both_capabilities_is_none() {
    require!(Need::Root, Need::Overlay, Need::Ipv6, Need::Program("setpriv"), Need::File(PLACE));
    let (c, copies) = (start("half-rights"), Copies::new());
    for capability in ["bpf", "perfmon"] {
        refused("CAP_BPF and CAP_PERFMON", 3, &c, |arguments| {
            copies.as_nobody_with(&[capability], arguments)
        });
    }
}

#[test]
fn with_cap_bpf_and_cap_perfmon_alone_everything_is_seen() {
    require!(Need::Root, Need::Overlay, Need::Ipv6, Need::Program("setpriv"), Need::File(PLACE));
    let (c, copies) = (start("both-rights"), Copies::new());
    let usual = charted(&chart(crate::command::portolan(BY_CALLS)), &c);
    for capabilities in [&["bpf", "perfmon"][..], &["sys_admin"]] {
        let with = |arguments: &[&str]| copies.as_nobody_with(capabilities, arguments);
        for arguments in [&SCAN[..], &FORCED] {
            let chart = by_bpf(with(arguments));
            let (container, listeners) = charted(&chart, &c);
            assert_eq!(listeners, usual.1, "{capabilities:?}");
            for key in ["id", "init", "namespaces", "processes", "hostname"] {
                assert_eq!(container[key], usual.0[key], "{capabilities:?}: {key}");
            }
        }
        // The same user without them does not see into the container.
        let blind = chart(with(&BY_CALLS));
        assert!(heard(&blind, oracle::namespace(c.pid(), "net")).is_empty() || capabilities.len() == 1);
    }
}

#[test]
fn root_of_a_user_namespace_is_not_the_hosts() {
    require!(Need::Root, Need::Overlay, Need::Ipv6, Need::UserNamespaces, Need::File(PLACE));
    let c = start("no-root");
    refused("host's user namespace", 3, &c, |arguments| {
        let mut unshare = Command::new("unshare");
        unshare.args(["--user", "--map-root-user"]).arg(crate::command::binary()).args(arguments);
        run(unshare.env("PORTOLAN_HELPER", crate::command::helper()), b"")
    });
}

#[test]
fn where_a_filter_refuses_bpf_the_way_is_system_calls() {
    require!(Need::Root, Need::Overlay, Need::Ipv6, Need::Program("cc"), Need::File(PLACE));
    let (c, rig) = (start("filtered"), Rig::new());
    let usual = charted(&chart(crate::command::portolan(BY_CALLS)), &c);
    for errno in [libc::EPERM, libc::ENOSYS, libc::EACCES] {
        let rules = [Rule::always(libc::SYS_bpf, errno)];
        refused("bpf(2) is refused here", 1, &c, |arguments| rig.portolan(&rules, arguments));
        let (auto, _) = by_system_calls(rig.portolan(&rules, &SCAN));
        assert_eq!(charted(&auto, &c), usual);
    }
}

#[test]
fn with_every_right_it_is_by_bpf_and_the_same() {
    require!(Need::Root, Need::Overlay, Need::Ipv6, Need::File(PLACE));
    let c = start("every-right");
    let usual = charted(&chart(crate::command::portolan(BY_CALLS)), &c);
    for arguments in [&SCAN[..], &FORCED] {
        assert_eq!(charted(&by_bpf(crate::command::portolan(arguments)), &c), usual);
    }
}

#[test]
fn the_doctor_tells_how_it_stands_and_why() {
    require!(
        Need::Root,
        Need::Program("cc"),
        Need::Program("setpriv"),
        Need::Program("unshare"),
        Need::File(PLACE)
    );
    let (copies, rig) = (Copies::new(), Rig::new());
    let filtered = [Rule::always(libc::SYS_bpf, libc::EPERM)];
    let no_types = || {
        let script = "mount -t tmpfs tmpfs \"$0\" && exec \"$@\"";
        run(&mut mounted(script, "/sys/kernel/btf", &["doctor"]), b"")
    };
    for (ran, state, says) in [
        (crate::command::portolan(["doctor"]), "works", "processes and"),
        (copies.as_nobody_with(&["bpf", "perfmon"], &["doctor"]), "works", "processes and"),
        (copies.as_nobody_with(&["sys_admin"], &["doctor"]), "works", "processes and"),
        (rig.missing(&["probe="], &["doctor"]).0, "partly", "sock_diag is asked"),
        (
            copies.as_nobody_with(&["bpf"], &["doctor"]),
            "missing",
            "CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN",
        ),
        (copies.as_nobody(&["doctor"]), "missing", "CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN"),
        (rig.portolan(&filtered, &["doctor"]), "missing", "filter of system calls or security module"),
        (no_types(), "missing", "CONFIG_DEBUG_INFO_BTF"),
    ] {
        let row = row(ran, "scan: everything in one pass (BPF iterators)");
        assert!(row.contains(state) && row.contains(says), "{row}");
        assert!(state != "missing" || row.contains("without: system calls"), "{row}");
    }
    let by = "scan: processes, listeners and owners by BPF";
    for (capabilities, state, says) in [
        (&["bpf", "perfmon"][..], "works", "has CAP_BPF, CAP_PERFMON"),
        (&["sys_admin"], "works", "has CAP_SYS_ADMIN"),
        (&["perfmon"], "partly", "needs CAP_BPF (or CAP_SYS_ADMIN)"),
    ] {
        let row = row(copies.as_nobody_with(capabilities, &["doctor"]), by);
        assert!(row.contains(state) && row.contains(says), "{row}");
    }
}
