//! A scan without what it asks first: the same listeners with the same owners, but for what the text files of `/proc`
//! do not tell; and a fault where something cannot be looked at.

use nix::libc;
use portolan_world::need::Need;
use portolan_world::{World, require};
use serde_json::Value;

use super::rig::{Rig, Rule, row};
use crate::command::{Ran, portolan};
use crate::inside::Inside;
use crate::{oracle, servers};

/// One of each kind of listener, each by a name that nothing else has.
const EVERY_KIND: &str = "
import socket, time
kept = []
def listen(family, kind, address, only=None):
    s = socket.socket(family, kind)
    if only is not None: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, only)
    s.bind(address)
    if kind != socket.SOCK_DGRAM: s.listen(8)
    kept.append(s)
listen(socket.AF_INET, socket.SOCK_STREAM, ('127.0.0.1', 7601))
listen(socket.AF_INET, socket.SOCK_STREAM, ('0.0.0.0', 7602))
listen(socket.AF_INET6, socket.SOCK_STREAM, ('::1', 7603))
listen(socket.AF_INET6, socket.SOCK_STREAM, ('::', 7604), 0)
listen(socket.AF_INET6, socket.SOCK_STREAM, ('::', 7605), 1)
listen(socket.AF_INET, socket.SOCK_DGRAM, ('127.0.0.1', 7606))
listen(socket.AF_INET6, socket.SOCK_DGRAM, ('::1', 7607))
listen(socket.AF_UNIX, socket.SOCK_STREAM, '/run/stream')
listen(socket.AF_UNIX, socket.SOCK_STREAM, '\\0abstract')
listen(socket.AF_UNIX, socket.SOCK_SEQPACKET, '/run/packets')
print('listening', flush=True)
time.sleep(1000)";
const KINDS: usize = 10;

pub(crate) fn start(name: &str) -> Inside {
    let c = Inside::start(&servers::python(World::new(name), EVERY_KIND));
    c.wait_log("listening");
    c
}

/// What is missing here is what system calls ask.
const SCAN: &[&str] = &["scan", "--json", "--source", "syscalls"];

#[track_caller]
pub(crate) fn chart(ran: Ran) -> Value {
    serde_json::from_slice(&ran.done()).unwrap()
}

/// The container and its listeners, in an order of their own; those of the container are not lost, whatever is missing.
#[track_caller]
pub(crate) fn charted(chart: &Value, c: &Inside) -> (Value, Vec<Value>) {
    let container = chart["containers"].as_array().unwrap().iter().find(|one| one["init"]["pid"] == c.pid());
    let container = container.unwrap_or_else(|| panic!("no container: {}", chart["faults"])).clone();
    let netns = oracle::namespace(c.pid(), "net");
    let all = chart["listeners"].as_array().unwrap();
    let mut all: Vec<Value> = all.iter().filter(|l| l["netns"] == netns).cloned().collect();
    all.sort_by_key(ToString::to_string);
    assert_eq!(all.len(), KINDS, "{all:?}, faults {}", chart["faults"]);
    assert!(all.iter().all(|l| l["pid"] == c.pid()), "{all:?}");
    (container, all)
}

/// What the text tells of a listener: neither `IPV6_V6ONLY` nor the user of a Unix socket.
fn as_text((container, mut all): (Value, Vec<Value>)) -> (Value, Vec<Value>) {
    for listener in &mut all {
        listener["v6_only"] = Value::Null;
        if listener["protocol"].as_str().unwrap().starts_with("unix") {
            listener["uid"] = Value::Null;
        }
    }
    all.sort_by_key(ToString::to_string);
    (container, all)
}

/// Whether a fault tells what could not be asked of a namespace.
fn told_of(chart: &Value, operation: &str) -> bool {
    let all = chart["faults"].as_array().unwrap().iter().filter(|fault| fault["subject"] == "netns");
    let mut operations = all.map(|fault| fault["operation"].as_str().unwrap());
    operations.any(|tried| tried.starts_with(operation))
}

#[test]
fn without_the_request_for_both_families_two_dumps_tell_the_same() {
    require!(Need::Root, Need::Overlay, Need::Ipv6, Need::Program("cc"));
    let (c, rig) = (start("two-dumps"), Rig::new());
    let usual = charted(&chart(portolan(["scan", "--json"])), &c);
    let (ran, missed) = rig.missing(&["both="], SCAN);
    assert_eq!(missed, ["both"]);
    assert_eq!(charted(&chart(ran), &c), usual);
}

#[test]
fn without_a_module_the_text_tells_of_what_it_would() {
    require!(Need::Root, Need::Overlay, Need::Ipv6, Need::Program("cc"));
    let (c, rig) = (start("no-modules"), Rig::new());
    let usual = as_text(charted(&chart(portolan(["scan", "--json"])), &c));
    for (words, missed) in [
        (&["inet=", "unix="][..], &["both", "inet"][..]),
        (&["inet="], &["both", "inet"]),
        (&["udp="], &["udp"]),
        (&["unix="], &["unix"]),
    ] {
        let (ran, told) = rig.missing(words, SCAN);
        // Other namespaces can have Unix sockets alone.
        assert!(missed.iter().all(|word| told.contains(&(*word).to_owned())), "{words:?}: {told:?}");
        let chart = chart(ran);
        assert_eq!(as_text(charted(&chart, &c)), usual, "{words:?}");
        assert!(told_of(&chart, "list the "), "{words:?}: {}", chart["faults"]);
        let row = row(rig.missing(words, &["doctor"]).0, "scan: listeners of the host");
        assert!(row.contains("partly") && row.contains("inet_diag"), "{row}");
    }
}

#[test]
fn where_no_namespace_can_be_entered_the_text_tells_of_them() {
    require!(Need::Root, Need::Overlay, Need::Ipv6, Need::Program("cc"));
    let (c, rig) = (start("no-setns"), Rig::new());
    let mut usual = as_text(charted(&chart(portolan(["scan", "--json"])), &c));
    assert_eq!(usual.0["hostname"], "no-setns");
    // Only inside could that be asked.
    usual.0["hostname"] = Value::Null;
    for errno in [libc::EPERM, libc::ENOSYS] {
        let rules = [Rule::always(libc::SYS_setns, errno)];
        let chart = chart(rig.portolan(&rules, SCAN));
        assert_eq!(as_text(charted(&chart, &c)), usual, "errno {errno}");
        assert!(told_of(&chart, "enter"), "{}", chart["faults"]);
        let row = row(rig.portolan(&rules, &["doctor"]), "scan: entering network namespaces");
        assert!(row.contains("partly") && row.contains("/proc/PID/net"), "{row}");
    }
}

#[test]
fn where_the_host_name_cannot_be_asked_the_listeners_can() {
    require!(Need::Root, Need::Overlay, Need::Ipv6, Need::Program("cc"));
    let (c, rig) = (start("no-uts"), Rig::new());
    let mut usual = charted(&chart(portolan(["scan", "--json"])), &c);
    assert_eq!(usual.0["hostname"], "no-uts");
    usual.0["hostname"] = Value::Null;
    let uts = u32::try_from(libc::CLONE_NEWUTS).unwrap();
    let rules = [Rule::when(libc::SYS_setns, &[(1, uts, uts)], libc::EPERM)];
    assert_eq!(charted(&chart(rig.portolan(&rules, SCAN)), &c), usual);
}

#[test]
fn without_any_sock_diag_the_text_tells_of_all() {
    require!(Need::Root, Need::Overlay, Need::Ipv6, Need::Program("cc"));
    let (c, rig) = (start("no-sock-diag"), Rig::new());
    let mut usual = as_text(charted(&chart(portolan(["scan", "--json"])), &c));
    usual.0["hostname"] = Value::Null;
    let netlink = (0, u32::MAX, u32::try_from(libc::AF_NETLINK).unwrap());
    let protocol = (2, u32::MAX, u32::try_from(libc::NETLINK_SOCK_DIAG).unwrap());
    for errno in [libc::EPROTONOSUPPORT, libc::EPERM] {
        let rules = [Rule::when(libc::SYS_socket, &[netlink, protocol], errno)];
        let chart = chart(rig.portolan(&rules, SCAN));
        assert!(told_of(&chart, "enter"), "{}", chart["faults"]);
        let mut found = as_text(charted(&chart, &c));
        // It may be asked on the way, and may not.
        found.0["hostname"] = Value::Null;
        assert_eq!(found, usual, "errno {errno}");
        let row = row(rig.portolan(&rules, &["doctor"]), "scan: listeners of the host");
        assert!(row.contains("partly") && row.contains("/proc/PID/net"), "{row}");
    }
}

#[test]
fn where_neither_the_dump_nor_the_text_can_be_had_a_fault_says_so() {
    require!(Need::Root, Need::Overlay, Need::Program("cc"));
    let (c, rig) = (start("nothing-at-all"), Rig::new());
    let netns = oracle::namespace(c.pid(), "net");
    for words in [&["inet=", "net/tcp=13"][..], &["unix=", "net/unix=13"]] {
        let chart = chart(rig.missing(words, SCAN).0);
        let container =
            chart["containers"].as_array().unwrap().iter().find(|one| one["init"]["pid"] == c.pid());
        assert_eq!(container.unwrap()["hostname"], "nothing-at-all", "it is charted all the same");
        let faults = chart["faults"].as_array().unwrap();
        let told = faults.iter().filter(|fault| fault["subject"] == "netns");
        assert!(told.count() > 0, "{words:?}: {faults:?}");
        let lost = chart["listeners"].as_array().unwrap().iter().filter(|l| l["netns"] == netns).count();
        assert!(lost < KINDS, "or this test makes nothing fail");
    }
}

#[test]
fn without_counts_of_sockets_everything_is_dumped() {
    require!(Need::Root, Need::Overlay, Need::Ipv6, Need::Program("cc"));
    let (c, rig) = (start("no-counts"), Rig::new());
    let usual = charted(&chart(portolan(["scan", "--json"])), &c);
    let none = rig.file("sockstat", "sockets: many\nTCP: some\n");
    for words in [
        ["net/sockstat=2".to_owned(), "net/sockstat6=2".to_owned()].as_slice(),
        &[format!("net/sockstat={none}"), format!("net/sockstat6={none}")],
    ] {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (ran, missed) = rig.missing(&words, SCAN);
        assert_eq!(missed[0], "net/sockstat");
        assert_eq!(charted(&chart(ran), &c), usual, "{words:?}");
    }
}

#[test]
fn without_the_size_of_the_list_of_descriptors_owners_are_found() {
    require!(Need::Root, Need::Overlay, Need::Ipv6, Need::Program("cc"));
    // The first has gaps and high numbers.
    let text =
        EVERY_KIND.replace("import socket, time", "import os, socket, time\nos.dup2(0, 500); os.dup2(0, 9)");
    let c = Inside::start(&servers::python(World::new("no-size"), &text));
    c.wait_log("listening");
    let rig = Rig::new();
    let usual = charted(&chart(portolan(["scan", "--json"])), &c);
    let (ran, missed) = rig.missing(&["size="], SCAN);
    assert_eq!(missed, ["size"]);
    assert_eq!(charted(&chart(ran), &c), usual);
}

#[test]
fn without_cgroups_containers_are_found_by_their_namespaces() {
    require!(Need::Root, Need::Overlay, Need::Ipv6, Need::Program("cc"));
    let (c, rig) = (start("no-cgroups"), Rig::new());
    let usual = charted(&chart(portolan(["scan", "--json"])), &c);
    for (word, fault) in [("cgroup=2", false), ("cgroup=13", true)] {
        let (ran, missed) = rig.missing(&[word], SCAN);
        assert_eq!(missed, ["cgroup"]);
        let chart = chart(ran);
        assert_eq!(charted(&chart, &c), usual, "{word}");
        let faults = chart["faults"].as_array().unwrap();
        let told = faults.iter().any(|one| one["operation"] == "read the cgroup");
        assert_eq!(told, fault, "a kernel without them is not a failure: {faults:?}");
    }
    for (text, (state, says)) in [
        ("0::/user.slice\n", ("works", "cgroup v2")),
        ("4:memory:/\n1:name=systemd:/\n", ("works", "cgroup v1")),
        ("4:memory:/\n1:name=systemd:/\n0::/\n", ("works", "cgroup v1 and v2 (hybrid)")),
        ("", ("missing", "no cgroups are mounted")),
    ] {
        let file = rig.file("cgroup", text);
        let row = row(rig.missing(&[&format!("cgroup={file}")], &["doctor"]).0, "scan: runtimes by cgroup");
        assert!(row.contains(state) && row.trim_end().ends_with(says), "{row}");
    }
}

/// Holds a network namespace by nothing but a socket: the thread that made it is gone from there.
const HELD: &str = "
import ctypes, os, socket, time
libc = ctypes.CDLL(None, use_errno=True)
home = os.open('/proc/self/ns/net', os.O_RDONLY)
assert libc.unshare(0x40000000) == 0
held = os.stat('/proc/self/ns/net').st_ino
s = socket.socket(); s.bind(('0.0.0.0', 7699)); s.listen(1)
assert libc.setns(home, 0) == 0
os.close(home)
print('held %d.' % held, flush=True)
time.sleep(1000)";

/// The container, and the namespace that its socket holds.
fn hold(name: &str) -> (Inside, u64) {
    let c = Inside::start(&servers::python(World::new(name), HELD));
    c.wait_log("held ");
    let log = c.container.log();
    let held = log.split_once("held ").unwrap().1.split('.').next().unwrap().parse().unwrap();
    (c, held)
}

fn found_in(chart: &Value, netns: u64) -> bool {
    chart["listeners"].as_array().unwrap().iter().any(|l| l["netns"] == netns && l["port"] == 7699)
}

/// A listener that nobody in its namespace owns could be one of Multipath TCP, so that these are asked for.
#[test]
fn without_the_dump_of_multipath_tcp_all_others_are_charted() {
    require!(Need::Root, Need::Overlay, Need::Program("cc"));
    let ((c, held), rig) = (hold("no-mptcp-diag"), Rig::new());
    let (ran, missed) = rig.missing(&["mptcp="], &[SCAN, &["--thorough"]].concat());
    assert_eq!(missed, ["mptcp"]);
    let chart = chart(ran);
    assert!(found_in(&chart, held), "{}", chart["faults"]);
    let owner = chart["listeners"].as_array().unwrap().iter().find(|l| l["netns"] == held);
    assert_eq!(owner.unwrap()["pid"], c.pid());
}

#[test]
fn where_no_socket_can_be_borrowed_a_thorough_scan_says_so() {
    require!(Need::Root, Need::Overlay, Need::Program("cc"));
    let (_c, held) = hold("held-by-a-socket");
    let found = |chart: &Value| found_in(chart, held);
    assert!(found(&chart(portolan(["scan", "--json", "--thorough"]))));
    let rig = Rig::new();
    for errno in [libc::ENOSYS, libc::EPERM] {
        let rules = [Rule::always(libc::SYS_pidfd_getfd, errno)];
        let chart = chart(rig.portolan(&rules, &[SCAN, &["--thorough"]].concat()));
        assert!(!found(&chart), "or this test makes nothing fail");
        let faults = chart["faults"].as_array().unwrap();
        let told =
            faults.iter().filter(|one| one["operation"] == "ask the sockets for their network namespace");
        assert_eq!(told.count(), 1, "one line for all processes: {faults:?}");
        let row = row(rig.portolan(&rules, &["doctor"]), "scan: namespaces held by sockets (pidfd_getfd)");
        assert!(row.contains("missing") && row.contains("socket"), "{row}");
    }
    // Who did not ask for it is not told.
    let quiet = chart(rig.portolan(&[Rule::always(libc::SYS_pidfd_getfd, libc::ENOSYS)], SCAN));
    assert!(
        quiet["faults"]
            .as_array()
            .unwrap()
            .iter()
            .all(|one| one["operation"] != "ask the sockets for their network namespace")
    );
}
