//! A dialer holds a process, not its network: what ends inside can go.

use std::process::Command;
use std::time::{Duration, Instant};

use portolan::ErrorKind;
use portolan_world::need::{self, Need};
use portolan_world::{World, require};

use super::{TIMEOUT, address, dialer};
use crate::inside::{Inside, SOON};
use crate::{oracle, servers};

#[test]
fn after_the_containers_end_a_dialer_says_that_it_is_gone() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&servers::banner(World::new("ending"), "", &[("127.0.0.1", 7020)]));
    c.wait_log("listening");
    let (target, dialer) = (c.target(), dialer(&c));
    dialer.connect(address("127.0.0.1:7020"), TIMEOUT).unwrap();
    drop(c);
    for _ in 0..3 {
        let outcome = dialer.connect(address("127.0.0.1:7020"), TIMEOUT);
        assert_eq!(outcome.map(drop).map_err(|error| error.kind()), Err(ErrorKind::TargetGone));
    }
    let ran = crate::command::portolan(["dial", &target, "7020"]);
    assert!(ran.failed(1).contains("gone"), "{ran:?}");
}

#[test]
fn a_process_that_went_to_another_network_is_not_followed() {
    require!(Need::Root, Need::Overlay);
    let text = "
import ctypes, signal, socket, time
def leave(*_):
    assert ctypes.CDLL(None).unshare(0x40000000) == 0
    print('left', flush=True)
signal.signal(signal.SIGUSR1, leave)
listener = socket.socket(); listener.bind(('127.0.0.1', 7022)); listener.listen(8)
print('listening', flush=True)
while True: time.sleep(1)";
    let c = Inside::start(&servers::python(World::new("leaving"), text));
    c.wait_log("listening");
    let dialer = dialer(&c);
    drop(dialer.connect(address("127.0.0.1:7022"), TIMEOUT).unwrap());
    c.shell("kill -USR1 1");
    c.wait_log("left");
    let outcome = dialer.connect(address("127.0.0.1:7022"), TIMEOUT);
    assert_eq!(outcome.map(drop).map_err(|error| error.kind()), Err(ErrorKind::TargetChanged));
}

#[test]
fn a_dialer_that_is_kept_does_not_keep_the_namespace() {
    require!(Need::Root, Need::Overlay, Need::Program("ip"), Need::Program("lsns"));
    let here = concat!(module_path!(), "::a_dialer_that_is_kept_does_not_keep_the_namespace");
    let c = Inside::start(&servers::banner(World::new("let-go"), "", &[("127.0.0.1", 7021)]));
    c.wait_log("listening");
    let witness = Inside::start(&World::new("witness"));
    // One end of a cable in the witness, the other in the container: the kernel takes the first away when the
    // namespace of the second is gone, and not before.
    let cable = Command::new("nsenter")
        .args(["-t", &witness.pid().to_string(), "-n", "ip", "link", "add", "cable", "type", "veth"])
        .args(["peer", "name", "end", "netns", &c.pid().to_string()])
        .output()
        .unwrap();
    if !cable.status.success() && !need::require(here, &[Need::File("/sys/module/veth")]) {
        return;
    }
    assert!(cable.status.success(), "{cable:?}");
    let plugged = || witness.container.exec(["test", "-e", "/sys/class/net/cable"]).unwrap().status.success();
    assert!(plugged());

    let (netns, dialer) = (oracle::namespace(c.pid(), "net").to_string(), dialer(&c));
    drop(dialer.connect(address("127.0.0.1:7021"), TIMEOUT).unwrap());
    let listed = || {
        let output = Command::new("lsns").args(["-t", "net", "-n", "-r", "-o", "NS"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().lines().any(|line| line == netns)
    };
    assert!(listed());
    drop(c);
    let start = Instant::now();
    while plugged() {
        assert!(start.elapsed() < SOON, "the namespace is still there");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!listed());
    // Held until here, and to no avail.
    let outcome = dialer.connect(address("127.0.0.1:7021"), TIMEOUT);
    assert_eq!(outcome.map(drop).map_err(|error| error.kind()), Err(ErrorKind::TargetGone));
}
