//! Containers that listen by the million, and under names of any bytes.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use portolan_world::need::Need;
use portolan_world::{World, require};
use serde_json::Value;

use crate::command::{binary, helper, portolan, run};
use crate::inside::Inside;
use crate::older::scan::chart;
use crate::{oracle, servers};

use super::by_bpf;
use super::types::PLACE;

/// As many listeners as one process may have, in two hundred processes.
const CROWD: &str = "
import os, resource, socket, time
most = min(resource.getrlimit(resource.RLIMIT_NOFILE)[1], 20000)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
kept = []
for number in range(most - 20):
    s = socket.socket(socket.AF_UNIX); s.bind('\\0crowd-%d' % number); s.listen(1); kept.append(s)
for _ in range(199):
    if os.fork() == 0: time.sleep(1000)
print('listening', flush=True)
time.sleep(1000)";

#[test]
#[ignore = "it floods every pass over the host: tests/run.sh runs it alone"]
fn listeners_by_the_million_cost_no_memory_without_end_and_no_other_its_answer() {
    require!(Need::Root, Need::Overlay, Need::Program("python3"), Need::File(PLACE));
    let crowd = Inside::start(&servers::python(World::new("crowd"), CROWD));
    let beside = Inside::start(&servers::banner(World::new("beside"), "", &[("127.0.0.1", 7901)]));
    beside.wait_log("listening");
    crowd.wait_log("listening");
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -v 1000000 && exec \"$@\"", "sh"]).arg(binary());
    command.args(["scan", "--json", "--no-services"]).env("PORTOLAN_HELPER", helper());
    let ran = run(&mut command, b"");
    let took = ran.took;
    let chart = chart(ran);
    println!("took {took:?}, by {}: {}", chart["source"], chart["source_reason"]);
    assert!(took < Duration::from_secs(10), "{took:?}");
    let of = |c: &Inside| {
        let netns = oracle::namespace(c.pid(), "net");
        chart["listeners"].as_array().unwrap().iter().filter(|l| l["netns"] == netns).collect::<Vec<_>>()
    };
    let found = of(&beside);
    assert_eq!(found.len(), 1);
    assert_eq!((&found[0]["port"], &found[0]["pid"]), (&7901.into(), &beside.pid().into()));
    // All of them, or as many as are shown of one namespace, and then it is said.
    let netns = oracle::namespace(crowd.pid(), "net");
    let names: BTreeSet<&str> = of(&crowd).iter().map(|l| l["address"].as_str().unwrap()).collect();
    let told =
        chart["faults"].as_array().unwrap().iter().any(|f| f["subject"] == "netns" && f["first"] == netns);
    println!("{} names, told {told}", names.len());
    assert!(names.len() > 19_000 || (names.len() == 16_384 && told), "{}", chart["faults"]);
    assert!(of(&crowd).iter().all(|l| l["pid"] == crowd.pid()), "the oldest owns what all hold");
}

/// Names of Unix sockets and of the process of all bytes that there are.
const NAMES: &str = "
import ctypes, os, socket, struct, time
name = b'\\n\\x1b[2J) S 1\\xff\\xfe'
ctypes.CDLL(None).prctl(15, ctypes.c_char_p(name), 0, 0, 0)
kept = []
def listen(name, kind=socket.SOCK_STREAM):
    s = socket.socket(socket.AF_UNIX, kind); s.bind(name); s.listen(1); kept.append(s)
every = bytes(range(256))
listen(b'\\0' + every[:107])
listen(b'\\0' + every[107:214])
listen(b'\\0' + every[214:])
listen(b'\\0')
listen(b'\\0\\0\\0')
listen(b'\\0\\0a\\0')
listen(b'\\0@looks abstract twice')
os.chdir('/run')
listen(b'relative')
listen(b'@looks abstract')
listen(b'/run/\\n\\x1b[31mred\\xff')
# A path without a NUL at its end: all 108 bytes that there are.
s = socket.socket(socket.AF_UNIX); whole = struct.pack('=H', 1) + b'/run/' + b'p' * 103
assert not ctypes.CDLL(None).bind(s.fileno(), whole, len(whole))
s.listen(1); kept.append(s)
listen(b'/run/' + b'q' * 102, socket.SOCK_SEQPACKET)
# Bound by the kernel.
s = socket.socket(socket.AF_UNIX); s.bind(''); s.listen(1); kept.append(s)
print('listening', flush=True)
time.sleep(1000)";

#[test]
fn names_of_any_bytes_are_the_same_by_both_ways_and_write_nothing_to_a_terminal() {
    require!(Need::Root, Need::Overlay, Need::Program("python3"), Need::File(PLACE));
    let c = Inside::start(&servers::python(World::new("any-bytes").tmpfs("/run"), NAMES));
    c.wait_log("listening");
    let netns = oracle::namespace(c.pid(), "net");
    let of = |chart: &Value| {
        let all = chart["listeners"].as_array().unwrap().iter().filter(|l| l["netns"] == netns);
        let mut all: Vec<Value> = all.cloned().collect();
        all.sort_by_key(ToString::to_string);
        all
    };
    let usual = of(&chart(portolan(["scan", "--json", "--source", "syscalls"])));
    assert_eq!(usual.len(), 13, "{usual:?}");
    assert_eq!(of(&by_bpf(portolan(["scan", "--json", "--source", "bpf"]))), usual);
    let ran = portolan(["scan", "--listeners", "--source", "bpf"]);
    assert_eq!(ran.code, Some(0));
    let text = String::from_utf8(ran.stdout).unwrap();
    assert!(text.contains("relative") && text.lines().count() > 13, "{text}");
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
}
