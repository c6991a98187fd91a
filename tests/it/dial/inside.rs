//! A dial reaches the container's service, and never the host's on the same port.

use std::io::Write as _;
use std::net::Shutdown;

use portolan_world::need::Need;
use portolan_world::{World, require};

use super::{Decoy, TIMEOUT, address, dialed, dialer, heard};
use crate::inside::Inside;
use crate::{oracle, servers};

#[test]
fn the_containers_listener_is_reached_and_never_the_hosts_on_the_same_port() {
    require!(Need::Root, Need::Overlay, Need::Ipv6);
    for host in ["127.0.0.1", "::1"] {
        let decoy = Decoy::at(host);
        let port = decoy.port();
        let c = Inside::start(&servers::banner(World::new("same-port"), "inside", &[(host, port)]));
        c.wait_log("listening");
        let to = std::net::SocketAddr::new(host.parse().unwrap(), port);
        let dialer = dialer(&c);
        for _ in 0..20 {
            assert_eq!(heard(&mut dialer.connect(to, TIMEOUT).unwrap(), 6), "inside");
        }
        for _ in 0..3 {
            assert_eq!(dialed(&c, &[to.to_string()], b"").text(), "inside");
        }
        decoy.untouched();
    }
}

#[test]
fn two_containers_on_one_port_are_told_apart() {
    require!(Need::Root, Need::Overlay);
    let [one, two] = ["one", "two"].map(|name| {
        let c = Inside::start(&servers::banner(World::new(name), name, &[("127.0.0.1", 7000)]));
        c.wait_log("listening");
        c
    });
    for _ in 0..10 {
        for c in [&one, &two] {
            let mut stream = dialer(c).connect(address("127.0.0.1:7000"), TIMEOUT).unwrap();
            assert_eq!(heard(&mut stream, 3), c.container.name());
        }
    }
    // A port alone is one of the container's loopback.
    assert_eq!(dialed(&one, &["7000"], b"").text(), "one");
    assert_eq!(dialed(&two, &["7000"], b"").text(), "two");
}

#[test]
fn the_end_of_the_input_is_passed_on_and_the_answer_still_comes() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&servers::banner(World::new("half-close"), "", &[("127.0.0.1", 7001)]));
    c.wait_log("listening");
    assert_eq!(dialed(&c, &["7001"], b"x").done(), b"x");
    let large: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
    assert!(dialed(&c, &["7001"], &large).done() == large, "three megabytes come back whole");

    let mut stream = dialer(&c).connect(address("127.0.0.1:7001"), TIMEOUT).unwrap();
    stream.write_all(b"said and done").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(std::io::read_to_string(stream).unwrap(), "said and done");
}

#[test]
fn the_socket_is_the_containers_for_life() {
    require!(Need::Root, Need::Overlay, Need::Program("ss"));
    let c = Inside::start(&servers::banner(World::new("for-life"), "", &[("127.0.0.1", 7002)]));
    c.wait_log("listening");
    let stream = dialer(&c).connect(address("127.0.0.1:7002"), TIMEOUT).unwrap();
    let local = stream.local_addr().unwrap();
    assert_eq!(stream.peer_addr().unwrap(), address("127.0.0.1:7002"));
    let shown = |pid| {
        let listed = oracle::nsenter(pid, &["-n"], &["ss", "-Htn", "state", "established"]);
        String::from_utf8(listed).unwrap()
    };
    let host = std::process::id().cast_signed();
    assert!(shown(c.pid()).contains(&local.to_string()), "{}", shown(c.pid()));
    let pair = format!("{local} 127.0.0.1:7002");
    let on_host: Vec<String> =
        shown(host).lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    assert!(!on_host.iter().any(|line| line.contains(&pair)), "{on_host:?}");
    // It is an ordinary blocking stream otherwise.
    assert_eq!(stream.read_timeout().unwrap(), None);
}

#[test]
fn a_container_with_users_or_a_chroot_of_its_own_is_dialed() {
    require!(Need::Root, Need::Overlay, Need::UserNamespaces);
    for world in [
        World::new("dial-users").user_namespace(),
        World::new("dial-jail").chroot_only(),
        World::new("a").share_pid(),
    ] {
        let c = Inside::start(&servers::banner(world, "hello", &[("127.0.0.1", 7003)]));
        c.wait_log("listening");
        let mut stream = dialer(&c).connect(address("127.0.0.1:7003"), TIMEOUT).unwrap();
        assert_eq!(heard(&mut stream, 5), "hello");
    }
}
