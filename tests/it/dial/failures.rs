//! What cannot be dialed inside is an error, told in time, and never a connection to somewhere else.

use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use portolan::{Dialer, ErrorKind, NetError, Process};
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::{Decoy, TIMEOUT, address, dialed, dialer, heard};
use crate::inside::{Inside, exit_code};
use crate::servers;

const LATE: Duration = Duration::from_millis(250);

/// Both ways say the same; gives the command's line.
#[track_caller]
fn fails(c: &Inside, to: SocketAddr, kind: ErrorKind) -> String {
    let outcome = dialer(c).connect(to, TIMEOUT).map(drop).map_err(|error| error.kind());
    assert_eq!(outcome, Err(kind), "{to}");
    let line = dialed(c, &[to.to_string()], b"x").failed(exit_code(kind)).to_owned();
    assert!(line.contains(&to.to_string()) && line.contains(&c.pid().to_string()), "{line}");
    line
}

#[test]
fn nobody_listening_is_refused_although_the_host_listens_there() {
    require!(Need::Root, Need::Overlay, Need::Ipv6);
    let (v4, v6) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("[::1]:0").unwrap());
    let c = Inside::start(&World::new("nobody"));
    for listener in [&v4, &v6] {
        let line = fails(&c, listener.local_addr().unwrap(), ErrorKind::Net(NetError::Refused));
        assert!(line.contains("refused"), "{line}");
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "the host was dialed");
    }
}

#[test]
fn a_port_that_the_dialing_socket_is_given_itself_is_nobody() {
    require!(Need::Root, Need::Overlay);
    // One port is ephemeral, so that the kernel gives just that one to the dialing socket.
    let world = World::new("itself").prepare("echo 40000 40000 >/proc/sys/net/ipv4/ip_local_port_range");
    let c = Inside::start(&world);
    fails(&c, address("127.0.0.1:40000"), ErrorKind::Net(NetError::Refused));
}

#[test]
fn a_loopback_that_is_down_is_unreachable_although_the_host_listens_there() {
    require!(Need::Root, Need::Overlay, Need::Ipv6);
    let (v4, v6) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("[::1]:0").unwrap());
    let c = Inside::start(&World::new("down").loopback_down());
    for listener in [&v4, &v6] {
        let line = fails(&c, listener.local_addr().unwrap(), ErrorKind::Net(NetError::Unreachable));
        assert!(line.contains("unreachable"), "{line}");
        listener.set_nonblocking(true).unwrap();
        assert!(listener.accept().is_err(), "the host was dialed");
    }
}

#[test]
fn an_address_without_a_route_is_unreachable() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("no-route"));
    fails(&c, address("192.0.2.1:80"), ErrorKind::Net(NetError::Unreachable));
    fails(&c, address("[2001:db8::1]:80"), ErrorKind::Net(NetError::Unreachable));
}

#[test]
fn a_listener_that_never_answers_is_given_up_at_the_deadline() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&servers::python(World::new("deaf"), servers::DEAF));
    c.wait_log("deaf");
    for millis in [1, 50, 300] {
        let timeout = Duration::from_millis(millis);
        let start = Instant::now();
        let outcome = dialer(&c).connect(address("127.0.0.1:7010"), timeout);
        let took = start.elapsed();
        assert_eq!(outcome.map(drop).map_err(|error| error.kind()), Err(ErrorKind::Timeout));
        assert!(took >= timeout && took < timeout + LATE, "{took:?} for {timeout:?}");
    }
    let ran = dialed(&c, &["7010", "--timeout-ms", "300"], b"");
    assert!(ran.failed(1).contains("deadline"), "{ran:?}");
    assert!(ran.took < Duration::from_millis(300) + LATE, "{ran:?}");
}

#[test]
fn a_target_on_the_hosts_network_is_refused_unless_that_is_allowed() {
    require!(Need::Root, Need::Overlay);
    let host = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = host.local_addr().unwrap().port().to_string();
    let c = Inside::start(&World::new("host-network").share_network());
    let own = Process::open(std::process::id().cast_signed()).unwrap();
    for process in [Process::reopen(c.process.id()).unwrap(), own] {
        let kind = Dialer::new(process).map(drop).map_err(|error| error.kind());
        assert_eq!(kind, Err(ErrorKind::NamespaceMismatch));
    }
    let line = dialed(&c, &[&port], b"").failed(1).to_owned();
    assert!(line.contains("host's network"), "{line}");
    host.set_nonblocking(true).unwrap();
    assert!(host.accept().is_err(), "the host was dialed");
    host.set_nonblocking(false).unwrap();

    let answering = std::thread::spawn(move || {
        for _ in 0..2 {
            std::io::Write::write_all(&mut host.accept().unwrap().0, b"the host").unwrap();
        }
    });
    assert_eq!(dialed(&c, &[port.as_str(), "--allow-host-network"], b"").text(), "the host");
    let dialer = Dialer::allowing_host_network(Process::reopen(c.process.id()).unwrap()).unwrap();
    let mut stream = dialer.connect(address(&format!("127.0.0.1:{port}")), TIMEOUT).unwrap();
    assert_eq!(heard(&mut stream, 8), "the host");
    answering.join().unwrap();
}

#[test]
fn what_is_no_address_is_wrong_usage() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("usage"));
    for wrong in ["localhost:80", "127.0.0.1", "70000", "::1:80", ""] {
        let ran = dialed(&c, &[wrong], b"");
        assert!(ran.code == Some(2) && ran.stdout.is_empty() && !ran.stderr.is_empty(), "{wrong}: {ran:?}");
    }
    assert_eq!(dialed(&c, &["--timeout-ms", "100"], b"").code, Some(2), "no address at all");
    assert_eq!(dialed(&c, &["80", "--unix", "/x"], b"").code, Some(2));
}

#[test]
fn a_peer_that_takes_the_connection_and_resets_it_is_an_error_of_the_stream() {
    require!(Need::Root, Need::Overlay);
    let text = "
import socket, struct
listener = socket.create_server(('127.0.0.1', 7060))
print('ready', flush=True)
while True:
    connection, _ = listener.accept()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0)); connection.close()";
    let c = Inside::start(&servers::python(World::new("resetting"), text));
    c.wait_log("ready");
    for _ in 0..50 {
        match dialer(&c).connect(address("127.0.0.1:7060"), TIMEOUT) {
            Ok(mut stream) => {
                let read = std::io::Read::read(&mut stream, &mut [0]).map_err(|error| error.kind());
                assert_eq!(read, Err(std::io::ErrorKind::ConnectionReset));
            }
            // It came before the dial was over.
            Err(error) => assert_eq!(error.kind(), ErrorKind::Net(NetError::Refused), "{error}"),
        }
    }
}

#[test]
fn a_scope_is_a_number_of_the_containers_interfaces_and_a_mapped_address_is_inside_too() {
    require!(Need::Root, Need::Overlay, Need::Ipv6, Need::Program("ip"));
    let host = Decoy::at("127.0.0.1");
    let port = host.port();
    // Interfaces of the container that have no counterpart on the host; the second has a link-local address.
    let world = World::new("scoped").prepare(
        "ip link add one type veth peer name two || exit 0
         ip link set one up && ip link set two up && ip -6 address add fe80::77/64 dev two nodad",
    );
    let c = Inside::start(&servers::banner(world, "inside", &[("::", port)]));
    c.wait_log("listening");
    let shown = c.shell("ip -o link show two 2>/dev/null | cut -d: -f1");
    let here = concat!(
        module_path!(),
        "::a_scope_is_a_number_of_the_containers_interfaces_and_a_mapped_address_is_inside_too"
    );
    if shown.is_empty() && !portolan_world::need::require(here, &[Need::File("/sys/module/veth")]) {
        return;
    }
    let index: u32 = shown.parse().unwrap();
    let to = |scope: u32| address(&format!("[fe80::77%{scope}]:{port}"));
    assert_eq!(heard(&mut dialer(&c).connect(to(index), TIMEOUT).unwrap(), 6), "inside");
    for wrong in [0, index + 1000] {
        assert!(dialer(&c).connect(to(wrong), TIMEOUT).is_err(), "scope {wrong}");
    }
    let mapped = address(&format!("[::ffff:127.0.0.1]:{port}"));
    assert_eq!(heard(&mut dialer(&c).connect(mapped, TIMEOUT).unwrap(), 6), "inside");
    host.untouched();
}
