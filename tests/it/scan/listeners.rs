//! The listeners of a namespace are those that `ss` shows there, each once.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use portolan::{Inventory, Listener, Local, Protocol, Reach};
use portolan_world::need::Need;
use portolan_world::{World, require};

use crate::inside::Inside;
use crate::{oracle, servers};

use super::{by, container, ways};

/// The listeners that are charted in a namespace; the same address twice is a mistake.
#[track_caller]
fn charted(chart: &Inventory, netns: u64) -> BTreeSet<oracle::Address> {
    let mut all = BTreeSet::new();
    let here = |l: &&Listener| l.netns.inode() == netns && l.protocol == Protocol::Tcp;
    for listener in chart.listeners.iter().filter(here) {
        let address = (listener.address().unwrap(), listener.port().unwrap());
        assert!(all.insert(address), "twice: {listener:?}");
    }
    all
}

#[track_caller]
fn find(chart: &Inventory, netns: u64, address: &str, port: u16) -> Listener {
    let local = Local::Inet(address.parse().unwrap(), port);
    let fits = |l: &&Listener| l.netns.inode() == netns && l.protocol == Protocol::Tcp && l.local == local;
    chart.listeners.iter().find(fits).unwrap_or_else(|| panic!("no {address}:{port}")).clone()
}

#[test]
fn every_kind_of_address_is_charted_as_ss_shows_it() {
    require!(Need::Root, Need::Overlay, Need::Ipv6, Need::Program("ss"));
    for way in ways() {
        let chart = || by(way);
        let addresses = [
            ("127.0.0.1", 7001),
            ("0.0.0.0", 7002),
            ("::1", 7003),
            ("::", 7004),
            ("::v6only", 7005),
            ("127.0.0.53", 7001),
            ("0.0.0.0", 65535),
            ("::ffff:127.0.0.1", 7006),
        ];
        let c = Inside::start(&servers::banner(World::new("addresses"), "", &addresses));
        c.wait_log("listening");
        let (chart, netns) = (chart(), oracle::namespace(c.pid(), "net"));
        let id = container(&chart, c.pid()).id.clone();
        let expected = oracle::listeners(c.pid());
        assert_eq!(expected.len(), addresses.len());
        assert_eq!(charted(&chart, netns), expected);
        let comm = std::fs::read_to_string(format!("/proc/{}/comm", c.pid())).unwrap();
        for (address, port) in addresses {
            let listener = find(&chart, netns, address.trim_end_matches("v6only"), port);
            assert_eq!(listener.owner, Some(c.process.id()), "{listener:?}");
            assert_eq!(listener.command.as_deref(), Some(comm.trim_end()));
            assert_eq!(listener.container.as_deref(), Some(id.as_str()));
            // The kernel has it so for every IPv6 address but the wildcard and those that stand for IPv4.
            assert_eq!(listener.v6_only, matches!(address, "::v6only" | "::1"), "{listener:?}");
            let loopback = !matches!(address, "0.0.0.0" | "::" | "::v6only");
            assert_eq!(
                listener.reach,
                if loopback { Reach::Loopback } else { Reach::Namespace },
                "{listener:?}"
            );
        }
    }
}

#[test]
fn three_hundred_listeners_are_charted_each_once() {
    require!(Need::Root, Need::Overlay, Need::Program("ss"));
    for way in ways() {
        let chart = || by(way);
        let text = "
import socket, time
listeners = []
for port in range(20000, 20300):
    listener = socket.socket()
    listener.bind(('127.0.0.1', port))
    listener.listen(1)
    listeners.append(listener)
print('listening', flush=True)
time.sleep(1000)";
        let c = Inside::start(&servers::python(World::new("three-hundred"), text));
        c.wait_log("listening");
        let chart = chart();
        let netns = oracle::namespace(c.pid(), "net");
        assert_eq!(charted(&chart, netns).len(), 300);
        assert_eq!(charted(&chart, netns), oracle::listeners(c.pid()));
        assert!(
            chart
                .listeners
                .iter()
                .filter(|l| l.netns.inode() == netns)
                .all(|l| l.owner == Some(c.process.id()))
        );
    }
}

#[test]
fn what_only_talks_and_does_not_listen_is_not_charted() {
    require!(Need::Root, Need::Overlay);
    for way in ways() {
        let chart = || by(way);
        let text = "
import socket, time
bound = socket.socket(); bound.bind(('127.0.0.1', 7100))
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); datagrams.bind(('127.0.0.1', 7101))
listener = socket.socket(); listener.bind(('127.0.0.1', 7102)); listener.listen(1)
client = socket.create_connection(('127.0.0.1', 7102)); server, _ = listener.accept()
listener.close()
print('talking', flush=True)
time.sleep(1000)";
        let c = Inside::start(&servers::python(World::new("talking"), text));
        c.wait_log("talking");
        assert!(charted(&chart(), oracle::namespace(c.pid(), "net")).is_empty());
    }
}

#[test]
fn the_hosts_own_listeners_belong_to_no_container() {
    require!(Need::Root);
    for way in ways() {
        let chart = || by(way);
        let loopback = TcpListener::bind("127.0.0.1:0").unwrap();
        let everywhere = TcpListener::bind("0.0.0.0:0").unwrap();
        let (chart, netns) = (chart(), oracle::namespace("self", "net"));
        let comm = std::fs::read_to_string("/proc/self/comm").unwrap();
        for (listener, address, reach) in
            [(&loopback, "127.0.0.1", Reach::Loopback), (&everywhere, "0.0.0.0", Reach::Host)]
        {
            let found = find(&chart, netns, address, listener.local_addr().unwrap().port());
            assert_eq!((found.container.as_deref(), found.reach), (None, reach), "{found:?}");
            assert_eq!(found.owner.map(|owner| owner.pid), Some(std::process::id().cast_signed()));
            assert_eq!(found.command.as_deref(), Some(comm.trim_end()));
        }
    }
}

#[test]
fn a_container_that_shares_the_hosts_network_owns_its_listeners_there() {
    require!(Need::Root, Need::Overlay);
    for way in ways() {
        let chart = || by(way);
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let world = World::new("on-the-host").share_network();
        let c = Inside::start(&servers::banner(world, "", &[("127.0.0.1", free)]));
        c.wait_log("listening");
        let chart = chart();
        let listener = find(&chart, oracle::namespace("self", "net"), "127.0.0.1", free);
        assert_eq!(listener.container.as_deref(), Some(container(&chart, c.pid()).id.as_str()));
        assert_eq!((listener.owner, listener.reach), (Some(c.process.id()), Reach::Loopback));
    }
}

#[test]
fn two_containers_in_one_network_list_each_listener_once() {
    require!(Need::Root, Need::Overlay);
    for way in ways() {
        let chart = || by(way);
        let one = Inside::start(&servers::banner(World::new("pod-one"), "", &[("127.0.0.1", 7201)]));
        one.wait_log("listening");
        // As the second container of a pod: mounts and pids of its own, the network of the first.
        let mut two = Command::new("nsenter");
        two.args(["-t", &one.pid().to_string(), "-n", "unshare", "-m", "-u", "-p", "--fork", "--kill-child"]);
        two.args(["--mount-proc", "python3", "-c"]);
        two.arg(
            "import socket, time
listener = socket.socket(); listener.bind(('127.0.0.1', 7202)); listener.listen(1)
print('ready', flush=True); time.sleep(1000)",
        );
        let mut two = two.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = [0; 6];
        std::io::Read::read_exact(two.stdout.as_mut().unwrap(), &mut ready).unwrap();
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", two.id())).unwrap();
        let inner: i32 = children.trim().parse().unwrap();

        let (chart, netns) = (chart(), oracle::namespace(one.pid(), "net"));
        assert_eq!(oracle::namespace(inner, "net"), netns);
        assert_eq!(charted(&chart, netns), oracle::listeners(one.pid()));
        for (port, owner) in [(7201, one.pid()), (7202, inner)] {
            let listener = find(&chart, netns, "127.0.0.1", port);
            assert_eq!(listener.owner.map(|id| id.pid), Some(owner));
            assert_eq!(listener.container.as_deref(), Some(container(&chart, owner).id.as_str()));
        }
        two.kill().unwrap();
        two.wait().unwrap();
    }
}
