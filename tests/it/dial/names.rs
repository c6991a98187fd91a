//! Names are those of the container: by its files, and by its name servers, asked from inside.

use std::collections::BTreeSet;
use std::net::{IpAddr, UdpSocket};
use std::time::{Duration, Instant};

use portolan::{ErrorKind, Host, NetError, Resolver, Target};
use portolan_world::need::Need;
use portolan_world::{World, require};
use tower_service::Service as _;

use super::alone::is_alone;
use super::asynchronous::{nothing_is_open, runtime};
use super::{TIMEOUT, dialer, unheard};
use crate::inside::{Inside, SOON, files};
use crate::servers;

/// A name server on the container's loopback. `A` and `AAAA` of the names it knows; `big.` only over TCP; `forged.` is
/// answered from another port first; `mute.` never; nothing else exists.
const SERVER: &str = "
import socket, struct, sys, threading
KNOWN = {'db.shop.example': ['10.9.8.7'], 'web.example': ['127.0.0.1'], 'six.example': ['fd00::7'],
         'big.example': ['10.1.%d.%d' % (n // 250, n % 250) for n in range(40)], 'forged.example': ['10.4.4.4']}
def question(message):
    at, labels = 12, []
    while message[at]:
        labels.append(message[at + 1:at + 1 + message[at]].decode().lower()); at += 1 + message[at]
    return '.'.join(labels), struct.unpack('>H', message[at + 1:at + 3])[0], message[12:at + 5]
def answer(message, tcp, lie=None):
    name, kind, asked = question(message)
    print('asked', name, flush=True)
    if name == 'mute.example': return None
    flags = 0x8180
    addresses = [lie] if lie else KNOWN.get(name, [])
    if not addresses: flags |= 3
    family = {1: socket.AF_INET, 28: socket.AF_INET6}.get(kind)
    data = [socket.inet_pton(family, a) for a in addresses if family and (':' in a) == (kind == 28)]
    if name == 'big.example' and not tcp: flags, data = flags | 0x200, []
    head = message[:2] + struct.pack('>HHHHH', flags, 1, len(data), 0, 0) + asked
    return head + b''.join(struct.pack('>HHHIH', 0xc00c, kind, 1, 60, len(d)) + d for d in data)
def udp():
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); server.bind(('127.0.0.11', 53))
    liar = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); liar.bind(('127.0.0.11', 54))
    print('udp ready', flush=True)
    while True:
        message, peer = server.recvfrom(4096)
        if question(message)[0] == 'forged.example': liar.sendto(answer(message, True, '10.6.6.6'), peer)
        said = answer(message, False)
        if said: server.sendto(said, peer)
def tcp():
    listener = socket.create_server(('127.0.0.11', 53))
    print('tcp ready', flush=True)
    while True:
        connection, _ = listener.accept()
        message = connection.recv(4096)
        said = answer(message[2:], True)
        connection.sendall(struct.pack('>H', len(said)) + said); connection.close()
web = socket.create_server(('127.0.0.1', 7140))
threading.Thread(target=udp, daemon=True).start()
threading.Thread(target=tcp, daemon=True).start()
while True:
    connection, _ = web.accept(); connection.sendall(b'inside'); connection.close()";

const CONF: &str = "nameserver 127.0.0.11\nsearch shop.example\noptions timeout:1 attempts:2\n";

fn start(name: &str) -> Inside {
    let world =
        World::new(name).file("/run/resolv.conf", CONF).prepare("ln -sf /run/resolv.conf /etc/resolv.conf");
    let world =
        world.file("/etc/hosts", "127.0.0.1 localhost\n10.3.3.3 cache cache.example\n10.3.3.4 cache\n");
    let c = Inside::start(&servers::python(world, SERVER));
    c.wait_log("udp ready");
    c.wait_log("tcp ready");
    c
}

fn resolver(c: &Inside) -> Resolver {
    let target = Target::of_pid(&c.target()).unwrap().unwrap();
    Host::with_files(portolan::Files::with_helper(&crate::command::helper()).unwrap())
        .resolver(&target)
        .unwrap()
}

fn found(resolver: &Resolver, name: &str) -> Result<BTreeSet<String>, ErrorKind> {
    let found = runtime().block_on(resolver.lookup(name, TIMEOUT));
    found.map(|list| list.iter().map(IpAddr::to_string).collect()).map_err(|error| error.kind())
}

#[track_caller]
fn is(resolver: &Resolver, name: &str, addresses: &[&str]) {
    let addresses = addresses.iter().map(|address| (*address).to_owned()).collect();
    assert_eq!(found(resolver, name), Ok(addresses), "{name}");
}

#[test]
fn a_name_is_what_the_containers_own_files_and_servers_say() {
    require!(Need::Root, Need::Overlay, Need::Program("ss"));
    let c = start("names");
    let _ = files();
    let resolver = resolver(&c);
    is(&resolver, "cache", &["10.3.3.3", "10.3.3.4"]);
    is(&resolver, "CACHE.example.", &["10.3.3.3"]);
    assert!(!c.container.log().contains("asked cache"), "the file comes first");
    is(&resolver, "db", &["10.9.8.7"]);
    is(&resolver, "db.shop.example.", &["10.9.8.7"]);
    is(&resolver, "six.example", &["fd00::7"]);
    is(&resolver, "10.0.0.1", &["10.0.0.1"]);
    is(&resolver, "localhost", &["127.0.0.1"]);
    is(&resolver, "any.localhost", &["127.0.0.1", "::1"]);
    is(&resolver, "forged.example", &["10.4.4.4"]);
    assert_eq!(found(&resolver, "big.example").unwrap().len(), 40, "over TCP");
    for (name, kind) in [
        ("none.example", ErrorKind::NotFound),
        ("", ErrorKind::InvalidInput),
        (&"a.".repeat(300), ErrorKind::InvalidInput),
        ("mute.example.", ErrorKind::Timeout),
    ] {
        assert_eq!(found(&resolver, name), Err(kind), "{name}");
    }
    runtime().block_on(async {
        let (start, limit) = (Instant::now(), Duration::from_millis(200));
        let outcome = resolver.lookup("mute.example.", limit).await.map_err(|error| error.kind());
        assert_eq!(outcome, Err(ErrorKind::Timeout));
        assert!(start.elapsed() < limit + Duration::from_millis(250), "{:?}", start.elapsed());

        let mut connector = dialer(&c).connector().resolver(resolver.clone());
        connector.call("http://web.example:7140/".parse().unwrap()).await.unwrap();
        let outcome = connector.call("http://none.example:7140/".parse().unwrap()).await;
        assert_eq!(outcome.map(drop).map_err(|error| error.kind()), Err(ErrorKind::NotFound));
    });
    drop(resolver);
    nothing_is_open(&c);
    let resolver = self::resolver(&c);
    c.container.kill();
    assert_eq!(found(&resolver, "late.example"), Err(ErrorKind::TargetGone));
    is(&resolver, "cache", &["10.3.3.3", "10.3.3.4"]);
}

#[test]
fn the_hosts_files_and_name_servers_are_not_asked() {
    require!(Need::Root, Need::Overlay, Need::Program("unshare"), Need::Program("ip"));
    let here = concat!(module_path!(), "::the_hosts_files_and_name_servers_are_not_asked");
    let poison = "
dir=$(mktemp -d) && mount -t tmpfs none $dir || exit 9
echo '10.6.6.6 poisoned.example db cache' >$dir/hosts
printf 'nameserver 127.0.0.66\\nsearch poison.example\\n' >$dir/resolv.conf
for file in hosts resolv.conf; do mount --bind $dir/$file $(realpath /etc/$file) || exit 9; done
umount -l $dir && rmdir $dir
ip link set lo up || exit 9
exec \"$0\" \"$@\"";
    if !is_alone(here, &["unshare", "--net", "--mount", "--propagation", "private", "sh", "-c", poison]) {
        return;
    }
    assert!(std::fs::read_to_string("/etc/hosts").unwrap().contains("poisoned.example"));
    // A host with a network of its own, where port 53 is free: where its own files send questions, and where the container's do, on the host.
    let hosts = ["127.0.0.66:53", "127.0.0.11:53"].map(|at| UdpSocket::bind(at).unwrap());
    let c = start("not-the-hosts");
    let resolver = resolver(&c);
    is(&resolver, "db", &["10.9.8.7"]);
    is(&resolver, "cache", &["10.3.3.3", "10.3.3.4"]);
    assert_eq!(found(&resolver, "poisoned.example"), Err(ErrorKind::NotFound));
    assert!(!c.container.log().contains("poison.example"), "the host's search list: {}", c.container.log());
    // With empty texts it is the container's own loopback, where nobody answers, and still not the host.
    let bare = Resolver::new(&dialer(&c), b"", b"").unwrap();
    let kind = found(&bare, "poisoned.example").unwrap_err();
    assert!([ErrorKind::Timeout, ErrorKind::Net(NetError::Other)].contains(&kind), "{kind:?}");
    hosts.iter().for_each(unheard);
}

#[test]
fn hostile_files_cost_little_and_say_nothing() {
    require!(Need::Root, Need::Overlay);
    let lines: String = (0..60_000).map(|n| format!("10.7.{}.{} victim\n", n / 250 % 250, n % 250)).collect();
    let world = World::new("hostile-names").file("/etc/hosts", &lines);
    let world = world.file("/etc/resolv.conf", format!("search {}\n", "x.example ".repeat(9000)));
    let c = Inside::start(&servers::python(world, SERVER));
    c.wait_log("tcp ready");
    let start = Instant::now();
    let resolver = resolver(&c);
    assert!(found(&resolver, "victim").unwrap().len() <= 16);
    assert!(found(&resolver, "other").is_err());
    assert!(start.elapsed() < SOON, "{:?}", start.elapsed());
}
