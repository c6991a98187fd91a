//! UDP: what is bound and talks to nobody in particular, as `ss` shows it.

use portolan::{Inventory, Listener, Local, Protocol, Reach, SourceChoice};
use portolan_world::need::Need;
use portolan_world::{World, require};

use crate::inside::Inside;
use crate::{oracle, servers};

use super::outside::Outside;
use super::{by, container, in_namespace, thoroughly, ways};

/// The UDP sockets of a namespace; dual stack is told once.
#[track_caller]
fn charted(chart: &Inventory, netns: u64) -> Vec<oracle::Address> {
    let mut all: Vec<_> = in_namespace(chart, netns)
        .into_iter()
        .filter(|l| l.protocol == Protocol::Udp)
        .map(|l| (l.address().unwrap(), l.port().unwrap()))
        .collect();
    all.sort_unstable();
    all
}

fn shown(pid: i32) -> Vec<oracle::Address> {
    oracle::addresses(&oracle::nsenter(pid, &["-n"], &["ss", "-Hlun"])).into_iter().collect()
}

#[track_caller]
fn find(chart: &Inventory, netns: u64, address: &str, port: u16) -> Listener {
    let local = Local::Inet(address.parse().unwrap(), port);
    let fits = |l: &&&Listener| l.protocol == Protocol::Udp && l.local == local;
    let all = in_namespace(chart, netns);
    (*all.iter().find(fits).unwrap_or_else(|| panic!("no udp {address}:{port} in {all:?}"))).clone()
}

const BOUND: &str = "
import socket, time
held = []
def bound(family, host, port, v6only=False):
    s = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(v6only))
    s.bind((host, port))
    held.append(s)
    return s
bound(socket.AF_INET, '127.0.0.1', 8001)
bound(socket.AF_INET, '0.0.0.0', 8002)
bound(socket.AF_INET6, '::1', 8003)
bound(socket.AF_INET6, '::', 8004)
bound(socket.AF_INET6, '::', 8005, True)
bound(socket.AF_INET, '127.0.0.1', 8006).connect(('127.0.0.1', 8001))
bound(socket.AF_INET6, '::1', 8007).connect(('::1', 8003))
held.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
left = bound(socket.AF_INET, '127.0.0.1', 8008)
left.connect(('127.0.0.1', 8001))
import ctypes
# Disconnected again: AF_UNSPEC. It keeps what it was bound to.
assert ctypes.CDLL(None).connect(left.fileno(), bytes(16), 16) == 0
print('ready', flush=True)
time.sleep(1000)";

#[test]
fn bound_sockets_are_charted_as_ss_shows_them_and_connected_ones_are_not() {
    require!(Need::Root, Need::Overlay, Need::Ipv6, Need::Program("ss"));
    for way in ways() {
        let chart = || by(way);
        let c = Inside::start(&servers::python(World::new("datagrams"), BOUND));
        c.wait_log("ready");
        let (chart, netns) = (chart(), oracle::namespace(c.pid(), "net"));
        let expected = shown(c.pid());
        assert_eq!(expected.len(), 6, "{expected:?}");
        assert_eq!(charted(&chart, netns), expected);
        let id = container(&chart, c.pid()).id.clone();
        for (address, port, v6_only, reach) in [
            ("127.0.0.1", 8001, false, Reach::Loopback),
            ("0.0.0.0", 8002, false, Reach::Namespace),
            ("::1", 8003, true, Reach::Loopback),
            ("::", 8004, false, Reach::Namespace),
            ("::", 8005, true, Reach::Namespace),
            ("127.0.0.1", 8008, false, Reach::Loopback),
        ] {
            let found = find(&chart, netns, address, port);
            assert_eq!((found.owner, found.reach), (Some(c.process.id()), reach), "{found:?}");
            assert_eq!(found.container.as_deref(), Some(id.as_str()));
            // As for TCP, addresses of IPv6 other than the wildcard serve it alone.
            assert_eq!(found.v6_only, v6_only, "{found:?}");
            assert_eq!(found.uid, Some(0));
        }
    }
}

#[test]
fn on_the_host_and_on_its_network_reach_is_the_hosts() {
    require!(Need::Root, Need::Overlay);
    for way in ways() {
        let chart = || by(way);
        let world = servers::python(
            World::new("datagrams-on-the-host").share_network(),
            "
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('0.0.0.0', 0))
t = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); t.bind(('127.0.0.1', 0))
print('ready', s.getsockname()[1], t.getsockname()[1], flush=True)
time.sleep(1000)",
        );
        let c = Inside::start(&world);
        c.wait_log("ready");
        let ports: Vec<u16> =
            c.container.log().split_whitespace().filter_map(|word| word.parse().ok()).collect();
        let own = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
        let (chart, netns) = (chart(), oracle::namespace("self", "net"));
        let id = container(&chart, c.pid()).id.clone();
        for (address, port, reach) in
            [("0.0.0.0", ports[0], Reach::Host), ("127.0.0.1", ports[1], Reach::Loopback)]
        {
            let found = find(&chart, netns, address, port);
            assert_eq!((found.reach, found.container.as_deref()), (reach, Some(id.as_str())), "{found:?}");
            assert_eq!(found.owner, Some(c.process.id()));
        }
        let found = find(&chart, netns, "0.0.0.0", own.local_addr().unwrap().port());
        assert_eq!((found.reach, found.container), (Reach::Host, None));
        assert_eq!(found.owner.map(|owner| owner.pid), Some(std::process::id().cast_signed()));
    }
}

#[test]
fn sockets_of_the_kernel_are_charted_without_an_owner_and_hide_no_others() {
    require!(Need::Root, Need::Overlay, Need::Program("ip"));
    // They are counted among the UDP sockets of a namespace, but not among its sockets.
    let c = Inside::start(&World::new("tunnels"));
    let mut made = 0;
    for number in 1..=4 {
        let add = format!("link add v{number} type vxlan id {number} dstport 840{number} dev lo");
        let made_one = std::process::Command::new("nsenter")
            .args(["-t", &c.pid().to_string(), "-n", "ip"])
            .args(add.split(' '))
            .output()
            .unwrap();
        if made_one.status.success() {
            oracle::nsenter(c.pid(), &["-n"], &["ip", "link", "set", &format!("v{number}"), "up"]);
            made += 1;
        }
    }
    let (_server, _) = Outside::python_in_network(
        c.pid(),
        r"
import socket, time
s = socket.socket(socket.AF_UNIX); s.bind('\0beside-tunnels'); s.listen(1)
print('ready', flush=True); time.sleep(1000)",
    );
    let netns = oracle::namespace(c.pid(), "net");
    for way in ways() {
        for (chart, is_thorough) in [(by(way), false), (thoroughly(way), true)] {
            let all = in_namespace(&chart, netns);
            let unix = all.iter().filter(|l| l.protocol == Protocol::Unix).count();
            assert_eq!(unix, 1, "beside {made} sockets of the kernel: {all:?}");
            let kernels: Vec<_> = all.iter().filter(|l| l.protocol == Protocol::Udp).collect();
            assert!(kernels.iter().all(|l| l.owner.is_none() && l.command.is_none()), "{kernels:?}");
            // Nobody holds them, which is what BPF iterators go by, unless they are asked to be thorough.
            if way == SourceChoice::Bpf && !is_thorough {
                assert!(kernels.is_empty(), "{kernels:?}");
                continue;
            }
            assert_eq!(charted(&chart, netns), shown(c.pid()));
            assert!(kernels.len() >= made, "{kernels:?}");
        }
    }
}
