//! Sockets with several holders, with a holder elsewhere, or with none: owners, and the namespace of birth.

use portolan::{Inventory, Listener, Protocol};
use portolan_world::need::Need;
use portolan_world::{World, require};

use crate::inside::Inside;
use crate::scratch::Scratch;
use crate::{oracle, servers};

use super::outside::Outside;
use super::{by, container, in_namespace, thoroughly, ways};

/// The one listener of this port in a namespace.
#[track_caller]
fn one(chart: &Inventory, netns: u64, port: u16) -> &Listener {
    let all = in_namespace(chart, netns);
    let found: Vec<_> = all.iter().filter(|l| l.port() == Some(port)).collect();
    assert_eq!(found.len(), 1, "port {port} in {all:?}");
    found[0]
}

fn owner(l: &Listener) -> Option<i32> {
    l.owner.map(|owner| owner.pid)
}

#[test]
fn several_sockets_on_one_port_are_several_listeners_with_their_own_owners() {
    require!(Need::Root, Need::Overlay, Need::Program("ss"));
    for way in ways() {
        let chart = || by(way);
        // As servers do it that spread their load with SO_REUSEPORT: the kernel's side of it is several sockets.
        let text = "
import os, socket, time
for worker in range(3):
    if os.fork() == 0:
        for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
            s = socket.socket(socket.AF_INET, kind)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            s.bind(('127.0.0.1', 8100))
            if kind == socket.SOCK_STREAM: s.listen(1)
            globals()['held%d' % kind] = s
        print('ready', flush=True)
        time.sleep(1000)
time.sleep(1000)";
        let c = Inside::start(&servers::python(World::new("reuse-port"), text));
        c.wait_log("ready\nready\nready\n");
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", c.pid())).unwrap();
        let mut workers: Vec<i32> = children.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
        workers.sort_unstable();
        let (chart, netns) = (chart(), oracle::namespace(c.pid(), "net"));
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let found: Vec<_> =
                in_namespace(&chart, netns).into_iter().filter(|l| l.protocol == protocol).collect();
            let mut owners: Vec<i32> = found.iter().filter_map(|l| owner(l)).collect();
            owners.sort_unstable();
            assert_eq!(owners, workers, "{found:?}");
            let mut sockets: Vec<u32> = found.iter().map(|l| l.inode).collect();
            sockets.dedup();
            assert_eq!(sockets.len(), 3);
        }
        let shown = oracle::nsenter(c.pid(), &["-n"], &["ss", "-Hltun"]);
        assert_eq!(shown.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count(), 6);
    }
}

#[test]
fn one_port_on_two_interfaces_is_two_listeners() {
    require!(Need::Root, Need::Overlay, Need::Program("ip"), Need::Program("ss"));
    for way in ways() {
        let chart = || by(way);
        let text = "
import socket, time
held = []
for interface in b'lo', b'other':
    for kind in socket.SOCK_STREAM, socket.SOCK_DGRAM:
        s = socket.socket(socket.AF_INET, kind)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface)
        s.bind(('0.0.0.0', 8101))
        if kind == socket.SOCK_STREAM: s.listen(1)
        held.append(s)
print('ready', flush=True)
time.sleep(1000)";
        let world = World::new("interfaces")
            .prepare("ip link add other type veth peer name end; ip link set other up");
        let c = Inside::start(&servers::python(world, text));
        c.wait_log("ready");
        let (chart, netns) = (chart(), oracle::namespace(c.pid(), "net"));
        let all = in_namespace(&chart, netns);
        for protocol in [Protocol::Tcp, Protocol::Udp] {
            let found: Vec<_> = all.iter().filter(|l| l.protocol == protocol).collect();
            assert_eq!(found.len(), 2, "{all:?}");
            assert_ne!(found[0].inode, found[1].inode);
            assert!(found.iter().all(|l| l.owner == Some(c.process.id())), "{found:?}");
        }
    }
}

#[test]
fn listeners_of_multipath_tcp_have_an_owner() {
    require!(Need::Root, Need::Overlay, Need::File("/proc/sys/net/mptcp/enabled"));
    for way in ways() {
        let chart = || by(way);
        let text = "
import socket, time
held = []
for family, host, port in ((socket.AF_INET, '127.0.0.1', 8102), (socket.AF_INET6, '::', 8103)):
    s = socket.socket(family, socket.SOCK_STREAM, 262)
    s.bind((host, port)); s.listen(1)
    held.append(s)
plain = socket.socket(); plain.bind(('127.0.0.1', 8104)); plain.listen(1)
print('ready', flush=True)
time.sleep(1000)";
        let world = World::new("multipath").prepare("echo 1 >/proc/sys/net/mptcp/enabled");
        let c = Inside::start(&servers::python(world, text));
        c.wait_log("ready");
        let (chart, netns) = (chart(), oracle::namespace(c.pid(), "net"));
        let id = container(&chart, c.pid()).id.clone();
        let all = in_namespace(&chart, netns);
        assert_eq!(all.len(), 3, "{all:?}");
        for port in [8102, 8103, 8104] {
            let found = one(&chart, netns, port);
            assert_eq!((found.owner, found.protocol), (Some(c.process.id()), Protocol::Tcp), "{found:?}");
            assert_eq!(found.container.as_deref(), Some(id.as_str()));
        }
    }
}

/// Listens, and hands the listener to whoever connects to a path; then keeps it, or closes it and stays.
const GIVER: &str = r"
import socket, sys, time
keep, path, port = sys.argv[1] == 'keep', sys.argv[2], int(sys.argv[3])
listener = socket.socket(); listener.bind(('127.0.0.1', port)); listener.listen(1)
port = listener.getsockname()[1]
meeting = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
meeting.connect(path)
socket.send_fds(meeting, [b'x'], [listener.fileno()])
if not keep: listener.close()
print('ready', port, flush=True)
time.sleep(1000)";

/// Receives a listener by a path, when it is told to, and says so in a file.
const TAKER: &str = r"
import os, socket, time
meeting = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
meeting.bind('/meet/socket')
print('waiting', flush=True)
while not os.path.exists('/meet/take'): time.sleep(0.001)
_, held, _, _ = socket.recv_fds(meeting, 1, 1)
meeting.close()
print('taken', flush=True)
time.sleep(1000)";

struct Taker {
    meet: Scratch,
    c: Inside,
}

impl Taker {
    fn start(name: &str) -> Self {
        let meet = Scratch::new();
        let world = World::new(name).bind(meet.path(), "/meet");
        let c = Inside::start(&servers::python(world, TAKER));
        c.wait_log("waiting");
        Self { meet, c }
    }

    fn path(&self) -> String {
        self.meet.join("socket").to_str().unwrap().to_owned()
    }

    fn take(&self) {
        self.meet.file("take", "");
        self.c.wait_log("taken");
    }
}

#[test]
fn a_socket_passed_to_another_container_stays_in_its_namespace_and_is_its_new_owners() {
    require!(Need::Root, Need::Overlay);
    for way in ways() {
        let chart = || by(way);
        let taker = Taker::start("taker");
        let meet = taker.meet.path();
        let world = World::new("giver").bind(meet, "/meet");
        let giver = ["python3", "-c", GIVER, "close", "/meet/socket", "8105"];
        let giver = Inside::start(&world.command(giver));
        giver.wait_log("ready");
        let netns = oracle::namespace(giver.pid(), "net");

        // On its way it is nobody's, and not what BPF iterators go by unless they are asked to be thorough.
        let before = thoroughly(way);
        let found = one(&before, netns, 8105);
        assert_eq!((found.owner, found.command.as_deref()), (None, None), "{found:?}");
        let givers = container(&before, giver.pid()).id.clone();
        assert_eq!(found.container.as_deref(), Some(givers.as_str()), "its namespace is the giver's");

        taker.take();
        let after = chart();
        let found = one(&after, netns, 8105);
        assert_eq!(
            (owner(found), found.command.as_deref()),
            (Some(taker.c.pid()), Some("python3")),
            "{found:?}"
        );
        assert_eq!(found.container.as_deref(), Some(givers.as_str()), "where it is reached");
        assert!(in_namespace(&after, oracle::namespace(taker.c.pid(), "net")).is_empty());
        assert_eq!(oracle::listeners(giver.pid()).len(), 1);
    }
}

#[test]
fn of_two_containers_that_hold_a_socket_the_one_of_its_namespace_owns_it() {
    require!(Need::Root, Need::Overlay);
    for way in ways() {
        let chart = || by(way);
        // The taker is older.
        let taker = Taker::start("older-taker");
        let world = World::new("keeping-giver").bind(taker.meet.path(), "/meet");
        let giver = Inside::start(&world.command(["python3", "-c", GIVER, "keep", "/meet/socket", "8106"]));
        giver.wait_log("ready");
        taker.take();
        let chart = chart();
        let found = one(&chart, oracle::namespace(giver.pid(), "net"), 8106);
        assert_eq!(found.owner, Some(giver.process.id()));
        assert_eq!(found.container.as_deref(), Some(container(&chart, giver.pid()).id.as_str()));
    }
}

#[test]
fn a_socket_of_the_hosts_network_passed_into_a_container_is_the_containers() {
    require!(Need::Root, Need::Overlay);
    for way in ways() {
        let chart = || by(way);
        // As systemd does it for a container that it starts when somebody connects.
        let taker = Taker::start("socket-activated");
        let mut giver = std::process::Command::new("python3");
        let (_giver, port) = Outside::start(giver.args(["-c", GIVER, "close", &taker.path(), "0"]));
        let port = port.parse().unwrap();
        taker.take();
        let chart = chart();
        let found = one(&chart, oracle::namespace("self", "net"), port);
        assert_eq!(owner(found), Some(taker.c.pid()), "{found:?}");
        let id = &container(&chart, taker.c.pid()).id;
        assert_eq!(found.container.as_deref(), Some(id.as_str()));
    }
}

#[test]
fn a_listener_whose_processs_first_thread_ended_is_charted() {
    require!(Need::Root, Need::Overlay, Need::Program("ss"));
    for way in ways() {
        let chart = || by(way);
        // The first thread is a zombie until the others end; its own links in /proc lead nowhere.
        let text = "
import ctypes, os, socket, threading, time
if os.fork() == 0:
    tcp = socket.socket(); tcp.bind(('127.0.0.1', 8107)); tcp.listen(1)
    def stay():
        while open('/proc/self/stat').read().rsplit(') ')[1][0] != 'Z': time.sleep(0.001)
        print('ready', flush=True)
        time.sleep(1000)
    threading.Thread(target=stay).start()
    ctypes.CDLL(None).pthread_exit(None)
time.sleep(1000)";
        let c = Inside::start(&servers::python(World::new("no-first-thread"), text));
        c.wait_log("ready");
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", c.pid())).unwrap();
        let headless: i32 = children.trim().parse().unwrap();
        let chart = chart();
        let found = one(&chart, oracle::namespace(c.pid(), "net"), 8107);
        assert_eq!(found.container.as_deref(), Some(container(&chart, c.pid()).id.as_str()));
        assert!(owner(found).is_none_or(|pid| pid == headless), "{found:?}");
        assert_eq!(oracle::listeners(c.pid()).len(), 1);
    }
}
