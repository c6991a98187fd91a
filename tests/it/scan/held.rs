//! Network namespaces that no process's main thread is in.

use std::process::Command;

use portolan::{Inventory, Listener, SourceChoice};
use portolan_world::need::Need;
use portolan_world::require;
use serde_json::Value;

use crate::command::portolan;
use crate::oracle;

use super::outside::Outside;
use super::{by, in_namespace, thoroughly, ways};

/// What the programs below have in common.
const COMMON: &str = "
import ctypes, os, socket, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
NEWNET, FILES = 0x40000000, 0x400
def unshare(flags): assert libc.unshare(flags) == 0, os.strerror(ctypes.get_errno())
def setns(path):
    fd = os.open(path, os.O_RDONLY)
    assert libc.setns(fd, NEWNET) == 0, os.strerror(ctypes.get_errno())
    os.close(fd)
def number(path): return os.stat(path).st_ino
def listen(port):
    listener = socket.socket(); listener.bind(('127.0.0.1', port)); listener.listen(1)
    return listener
";

fn start(text: &str) -> (Outside, String) {
    Outside::python(&format!("{COMMON}{text}"))
}

fn knows(chart: &Inventory, netns: u64) -> bool {
    chart.network_namespaces.iter().any(|id| id.inode() == netns)
}

/// The one listener of a namespace, which is of no container and belongs to the program.
#[track_caller]
fn only(chart: &Inventory, netns: u64, program: &Outside) -> Listener {
    let all = in_namespace(chart, netns);
    assert_eq!(all.len(), 1, "{all:?}, faults {:?}", chart.faults);
    assert_eq!(all[0].owner.map(|owner| owner.pid), Some(program.pid()), "{:?}", all[0]);
    assert_eq!(all[0].container, None);
    all[0].clone()
}

/// A namespace with a name, as `ip netns` makes them.
struct Named(String);

impl Named {
    fn new(what: &str) -> Self {
        let name = format!("portolan-it-{}-{what}", std::process::id());
        let output = Command::new("ip").args(["netns", "add", &name]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        Self(name)
    }

    fn path(&self) -> String {
        format!("/run/netns/{}", self.0)
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        // Of a test that failed as well.
        let _ = Command::new("ip").args(["netns", "del", &self.0]).output();
    }
}

#[test]
fn one_that_is_mounted_is_charted_with_whoever_listens_there() {
    require!(Need::Root, Need::Program("ip"));
    for way in ways() {
        let chart = || by(way);
        let (named, empty) = (Named::new("mounted"), Named::new("empty"));
        // It leaves what it listens in.
        let (program, said) = start(&format!(
            "
home = os.open('/proc/self/ns/net', os.O_RDONLY)
setns('{path}')
listener = listen(8200)
assert libc.setns(home, NEWNET) == 0
print('ready', number('{path}'), flush=True)
time.sleep(1000)",
            path = named.path()
        ));
        let netns = said.parse().unwrap();
        assert_ne!(oracle::namespace(program.pid(), "net"), netns);
        let chart = chart();
        assert_eq!(only(&chart, netns, &program).port(), Some(8200));
        use std::os::unix::fs::MetadataExt as _;
        let other = std::fs::metadata(empty.path()).unwrap().ino();
        assert!(knows(&chart, other), "an empty one is known as well");
        assert!(in_namespace(&chart, other).is_empty());
        drop(program);
        assert!(in_namespace(&by(way), netns).is_empty());
    }
}

#[test]
fn one_that_only_a_thread_is_in_is_charted_with_its_listeners() {
    require!(Need::Root);
    for way in ways() {
        let chart = || by(way);
        // The second has a table of descriptors of its own as well, in which alone the listener is.
        for (flags, port) in [("NEWNET", 8201), ("NEWNET | FILES", 8202)] {
            let (program, said) = start(&format!(
                "
def work():
    unshare({flags})
    listener = listen({port})
    print('ready', number('/proc/thread-self/ns/net'), flush=True)
    time.sleep(1000)
for _ in range(3): threading.Thread(target=time.sleep, args=(1000,)).start()
threading.Thread(target=work).start()
time.sleep(1000)"
            ));
            let netns = said.parse().unwrap();
            assert_ne!(oracle::namespace(program.pid(), "net"), netns);
            let chart = chart();
            assert_eq!(only(&chart, netns, &program).port(), Some(port), "{flags}");
            drop(program);
            assert!(!knows(&by(way), netns) || in_namespace(&by(way), netns).is_empty());
        }
    }
}

#[test]
fn threads_of_several_processes_in_one_are_all_asked_for_what_they_have() {
    require!(Need::Root);
    for way in ways() {
        let chart = || by(way);
        // The first is only there; it could as well be passing through, as a thread that scans is.
        let (first, said) = start(
            "
def work():
    unshare(NEWNET)
    print('ready', threading.get_native_id(), number('/proc/thread-self/ns/net'), flush=True)
    time.sleep(1000)
threading.Thread(target=work).start()
time.sleep(1000)",
        );
        let (thread, netns) = said.split_once(' ').unwrap();
        let netns = netns.parse().unwrap();
        let (second, _) = start(&format!(
            "
def work():
    unshare(FILES)
    setns('/proc/{}/task/{thread}/ns/net')
    listener = listen(8205)
    print('ready', flush=True)
    time.sleep(1000)
threading.Thread(target=work).start()
time.sleep(1000)",
            first.pid()
        ));
        assert_eq!(only(&chart(), netns, &second).port(), Some(8205));
        drop(first);
        assert_eq!(only(&chart(), netns, &second).port(), Some(8205));
    }
}

/// Leaves a namespace in which it keeps a listener.
const LEFT: &str = "
home = os.open('/proc/self/ns/net', os.O_RDONLY)
unshare(NEWNET)
left = number('/proc/self/ns/net')
listener = listen(8204)
assert libc.setns(home, NEWNET) == 0
print('ready', left, flush=True)
time.sleep(1000)";

#[test]
fn one_that_only_a_socket_holds_is_charted_when_it_is_asked_for() {
    require!(Need::Root);
    for way in ways() {
        let (program, said) = start(LEFT);
        let netns = said.parse().unwrap();
        if way == SourceChoice::Bpf {
            assert_eq!(
                only(&by(way), netns, &program).port(),
                Some(8204),
                "every socket is looked at anyway"
            );
        } else {
            assert!(!knows(&by(way), netns), "it costs a call for every socket of the host");
        }
        let chart = thoroughly(way);
        assert_eq!(only(&chart, netns, &program).port(), Some(8204));
        // Nothing of it is kept: with its only socket the namespace goes.
        drop(program);
        assert!(!knows(&thoroughly(way), netns));
    }
}

#[test]
fn the_command_looks_thoroughly_when_it_is_told_to() {
    require!(Need::Root);
    let (program, said) = start(LEFT);
    let netns: u64 = said.parse().unwrap();
    let listeners = |options: &[&str]| {
        let chart = portolan([&["scan", "--json", "--source", "syscalls"], options].concat());
        let chart: Value = serde_json::from_slice(&chart.stdout).unwrap_or_else(|_| panic!("{chart:?}"));
        let all = chart["listeners"].as_array().unwrap().iter();
        all.filter(|l| l["netns"] == netns).map(|l| l["pid"].as_i64()).collect::<Vec<_>>()
    };
    assert_eq!(listeners(&[]), []);
    assert_eq!(listeners(&["--thorough"]), [Some(i64::from(program.pid()))]);
}

#[test]
fn one_that_only_its_own_descriptor_holds_is_known_when_it_is_asked_for() {
    require!(Need::Root);
    for way in ways() {
        let chart = || by(way);
        let (program, said) = start(
            "
home = os.open('/proc/self/ns/net', os.O_RDONLY)
unshare(NEWNET)
held = os.open('/proc/self/ns/net', os.O_RDONLY)
assert libc.setns(home, NEWNET) == 0
print('ready', os.fstat(held).st_ino, flush=True)
time.sleep(1000)",
        );
        let netns = said.parse().unwrap();
        assert!(!knows(&chart(), netns));
        assert!(knows(&thoroughly(way), netns));
        drop(program);
        assert!(!knows(&thoroughly(way), netns));
    }
}

#[test]
fn one_of_a_process_whose_first_thread_ended_is_charted() {
    require!(Need::Root);
    for way in ways() {
        let chart = || by(way);
        let (program, said) = start(
            "
unshare(NEWNET)
def stay():
    while open('/proc/self/stat').read().rsplit(') ')[1][0] != 'Z': time.sleep(0.001)
    print('ready', number('/proc/thread-self/ns/net'), flush=True)
    time.sleep(1000)
listener = listen(8203)
threading.Thread(target=stay).start()
libc.pthread_exit(None)",
        );
        let netns = said.parse().unwrap();
        let chart = chart();
        assert!(knows(&chart, netns), "faults {:?}", chart.faults);
        assert_eq!(only(&chart, netns, &program).port(), Some(8203));
    }
}
