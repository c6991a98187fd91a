//! Unix sockets: streams and packets that listen, under any name.

use std::collections::BTreeMap;
use std::os::unix::net::UnixListener;

use portolan::{Inventory, Listener, Local, Protocol, Reach};
use portolan_world::need::Need;
use portolan_world::{World, require};
use serde_json::Value;

use crate::command::portolan;
use crate::inside::Inside;
use crate::scratch::Scratch;
use crate::{oracle, servers};

use super::{by, container, in_namespace, ways};

fn is_unix(l: &Listener) -> bool {
    matches!(l.protocol, Protocol::Unix | Protocol::UnixSeqpacket)
}

/// The protocol and the name of each Unix listener of a namespace, by inode number.
#[track_caller]
fn charted(chart: &Inventory, netns: u64) -> BTreeMap<u32, (Protocol, String)> {
    let mut all = BTreeMap::new();
    for l in in_namespace(chart, netns).into_iter().filter(|l| is_unix(l)) {
        assert!(all.insert(l.inode, (l.protocol, l.place())).is_none(), "twice: {l:?}");
    }
    all
}

/// The same as `ss` shows it, which says LISTEN of those that do. Names must be without blanks.
fn shown(pid: i32) -> BTreeMap<u32, (Protocol, String)> {
    let listed = String::from_utf8(oracle::nsenter(pid, &["-n"], &["ss", "-Hlx"])).unwrap();
    let fields = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    listed
        .lines()
        .map(fields)
        .filter(|fields| fields[1] == "LISTEN")
        .map(|fields| {
            let protocol = if fields[0] == "u_seq" { Protocol::UnixSeqpacket } else { Protocol::Unix };
            (fields[5].parse().unwrap(), (protocol, fields[4].clone()))
        })
        .collect()
}

#[test]
fn streams_and_packets_that_listen_are_charted_as_ss_shows_them() {
    require!(Need::Root, Need::Overlay, Need::Program("ss"));
    for way in ways() {
        let chart = || by(way);
        let text = r"
import socket, time
held = []
def bound(kind, name, listens=True):
    s = socket.socket(socket.AF_UNIX, kind)
    s.bind(name)
    if listens: s.listen(1)
    held.append(s)
STREAM, PACKET, DATAGRAM = socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_DGRAM
bound(STREAM, '/run/stream')
bound(PACKET, '/run/packets')
bound(STREAM, '\0stream')
bound(PACKET, '\0packets')
bound(STREAM, 'relative')
# The kernel chooses an abstract name.
bound(STREAM, '')
bound(STREAM, '/run/bound-only', False)
bound(DATAGRAM, '/run/datagrams', False)
held += socket.socketpair()
client = socket.socket(socket.AF_UNIX); client.connect('\0stream'); held.append(client)
held.append(held[2].accept()[0])
print('ready', flush=True)
time.sleep(1000)";
        let c = Inside::start(&servers::python(World::new("unix"), text));
        c.wait_log("ready");
        let (chart, netns) = (chart(), oracle::namespace(c.pid(), "net"));
        let expected = shown(c.pid());
        assert_eq!(expected.len(), 6, "{expected:?}");
        assert_eq!(charted(&chart, netns), expected);
        let id = container(&chart, c.pid()).id.clone();
        for l in in_namespace(&chart, netns) {
            assert_eq!((l.owner, l.reach, l.uid), (Some(c.process.id()), Reach::Namespace, Some(0)), "{l:?}");
            assert_eq!(l.container.as_deref(), Some(id.as_str()));
            assert_eq!((l.port(), l.address(), l.dial_address()), (None, None, None));
        }
    }
}

/// Binds by the system call itself: Python refuses some of these.
const ODD: &str = r"
import ctypes, os, socket, struct, sys, time
libc = ctypes.CDLL(None, use_errno=True)
held = []
def bound(name):
    s = socket.socket(socket.AF_UNIX)
    address = struct.pack('H', socket.AF_UNIX) + name
    assert libc.bind(s.fileno(), address, len(address)) == 0, os.strerror(ctypes.get_errno())
    s.listen(1)
    held.append(s)
bound(b'/run/new\nline')
bound(b'/run/\x1b[2J\xff\\ blank')
bound(b'\0new\nline\0after\xfe')
bound(b'\0' + b'a' * 107)
bound(b'/' + b'p' * 107)
bound(b'/run/ends\0here')
bound(b'\0')
print('ready', flush=True)
time.sleep(1000)";

#[test]
fn odd_names_are_charted_whole_and_shown_escaped() {
    require!(Need::Root, Need::Overlay);
    for way in ways() {
        let chart = || by(way);
        let c = Inside::start(&servers::python(World::new("odd-names"), ODD));
        c.wait_log("ready");
        let (chart, netns) = (chart(), oracle::namespace(c.pid(), "net"));
        let expected: Vec<(Local, String)> = [
            (Local::Path(b"/run/new\nline".to_vec()), r"/run/new\x0aline".to_owned()),
            (Local::Path(b"/run/\x1b[2J\xff\\ blank".to_vec()), r"/run/\x1b[2J\xff\x5c blank".to_owned()),
            (Local::Abstract(b"new\nline\0after\xfe".to_vec()), r"@new\x0aline\x00after\xfe".to_owned()),
            (Local::Abstract([b'a'; 107].to_vec()), format!("@{}", "a".repeat(107))),
            // One byte more than fits with the NUL that most programs put at the end.
            (Local::Path([b"/", &[b'p'; 107][..]].concat()), format!("/{}", "p".repeat(107))),
            (Local::Path(b"/run/ends".to_vec()), "/run/ends".to_owned()),
            (Local::Abstract(Vec::new()), "@".to_owned()),
        ]
        .into();
        let all = in_namespace(&chart, netns);
        for (local, place) in &expected {
            let found: Vec<_> = all.iter().filter(|l| l.local == *local).collect();
            assert_eq!(found.len(), 1, "{local:?} in {all:?}");
            assert_eq!((found[0].place(), found[0].owner), (place.clone(), Some(c.process.id())));
        }
        assert_eq!(all.len(), expected.len(), "{all:?}");

        let json: Value = serde_json::from_slice(&portolan(["scan", "--json"]).done()).unwrap();
        let told = json["listeners"].as_array().unwrap().iter().filter(|l| l["netns"] == netns);
        let mut told: Vec<&str> = told.map(|l| l["address"].as_str().unwrap()).collect();
        let mut places: Vec<&str> = expected.iter().map(|(_, place)| place.as_str()).collect();
        told.sort_unstable();
        places.sort_unstable();
        assert_eq!(told, places);

        let table = String::from_utf8(portolan(["scan", "--listeners"]).stdout).unwrap();
        for place in places {
            let row = table.lines().filter(|line| line.contains(&format!("unix {place} ")));
            assert_eq!(row.count(), 1, "{place}: {table}");
        }
        assert!(table.lines().all(|line| !line.contains(char::is_control)), "{table}");
    }
}

/// The listener of this name, which there is to be one of.
#[track_caller]
fn find<'a>(chart: &'a Inventory, local: &Local) -> &'a Listener {
    let found: Vec<_> = chart.listeners.iter().filter(|l| l.local == *local).collect();
    assert_eq!(found.len(), 1, "{local:?}: {found:?}");
    found[0]
}

#[test]
fn reach_is_the_mounts_for_a_path_and_the_networks_for_an_abstract_name() {
    require!(Need::Root, Need::Overlay);
    for way in ways() {
        let chart = || by(way);
        let text = r"
import os, socket, time
name = os.environ['NAME']
path = socket.socket(socket.AF_UNIX); path.bind(os.environ['BELOW'] + '/' + name); path.listen(1)
abstract = socket.socket(socket.AF_UNIX); abstract.bind('\0' + name); abstract.listen(1)
print('ready', flush=True)
time.sleep(1000)";
        let start = |world: World, below: &str, name: &str| {
            let world = world.env("NAME", name).env("BELOW", below);
            let c = Inside::start(&servers::python(world, text));
            c.wait_log("ready");
            c
        };
        let unique = |kind: &str| format!("portolan-{}-{kind}", std::process::id());
        let (own, shared, mounts) = (unique("own"), unique("host-net"), unique("host-mounts"));
        let scratch = Scratch::new();
        let below = scratch.path().to_str().unwrap();
        let with_own = start(World::new("own-network"), "/run", &own);
        let with_hosts = start(World::new("hosts-network").share_network(), "/run", &shared);
        let with_mounts = start(World::new("hosts-mounts").share_mount().share_pid(), below, &mounts);
        let hosts = scratch.join("socket");
        let _host = UnixListener::bind(&hosts).unwrap();
        let chart = chart();

        let id = |c: &Inside| Some(container(&chart, c.pid()).id.clone());
        for (name, of, path_reach, abstract_reach) in [
            (&own, id(&with_own), Reach::Namespace, Reach::Namespace),
            (&shared, id(&with_hosts), Reach::Namespace, Reach::Host),
        ] {
            let path = find(&chart, &Local::Path(format!("/run/{name}").into_bytes()));
            assert_eq!((path.reach, &path.container), (path_reach, &of), "{path:?}");
            let hidden = find(&chart, &Local::Abstract(name.clone().into_bytes()));
            assert_eq!((hidden.reach, &hidden.container), (abstract_reach, &of), "{hidden:?}");
        }
        // With a network of its own and the host's mounts it is no container: its path is the host's, and its abstract
        // name is its network's.
        let path = find(&chart, &Local::Path(format!("{below}/{mounts}").into_bytes()));
        assert_eq!((path.reach, &path.container), (Reach::Host, &None), "{path:?}");
        let hidden = find(&chart, &Local::Abstract(mounts.into_bytes()));
        assert_eq!((hidden.reach, &hidden.container), (Reach::Namespace, &None), "{hidden:?}");
        assert_eq!(hidden.netns.inode(), oracle::namespace(with_mounts.pid(), "net"));
        let found = find(&chart, &Local::Path(hosts.to_str().unwrap().as_bytes().to_vec()));
        assert_eq!((found.reach, &found.container), (Reach::Host, &None));
        assert_eq!(found.owner.map(|owner| owner.pid), Some(std::process::id().cast_signed()));
        assert_eq!(found.netns.inode(), oracle::namespace("self", "net"));
    }
}
