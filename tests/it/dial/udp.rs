//! Datagrams from inside.

use std::time::Duration;

use portolan::{ErrorKind, NetError};
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::asynchronous::runtime;
use super::{address, dialed, dialer, unheard};
use crate::inside::Inside;
use crate::servers;

const ECHO: &str = "
import socket, sys, threading
def serve(family, host):
    echo = socket.socket(family, socket.SOCK_DGRAM); echo.bind((host, 7030))
    print('ready', host, flush=True)
    while True:
        data, peer = echo.recvfrom(65536)
        echo.sendto(b'echo ' + data, peer)
threading.Thread(target=serve, args=(socket.AF_INET6, '::1'), daemon=True).start()
serve(socket.AF_INET, '127.0.0.1')";

#[test]
fn a_datagram_comes_back_from_inside() {
    require!(Need::Root, Need::Overlay, Need::Ipv6);
    let c = Inside::start(&servers::python(World::new("datagrams"), ECHO));
    c.wait_log("ready 127.0.0.1");
    c.wait_log("ready ::1");
    for to in ["127.0.0.1:7030", "[::1]:7030"] {
        let socket = dialer(&c).udp(address(to)).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        socket.send(b"ping").unwrap();
        let mut answer = [0; 64];
        let length = socket.recv(&mut answer).unwrap();
        assert_eq!(&answer[..length], b"echo ping");
        assert_eq!(socket.peer_addr().unwrap(), address(to));
        assert_eq!(dialed(&c, &[to, "--udp"], b"ping").done(), b"echo ping");
    }
}

/// Answers from another port than it was asked at.
const ASIDE: &str = "
import socket
asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); asked.bind(('127.0.0.1', 7031))
aside = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); aside.bind(('127.0.0.1', 7032))
print('ready', flush=True)
while True:
    data, peer = asked.recvfrom(65536)
    aside.sendto(b'aside', peer); asked.sendto(b'asked', peer)";

#[test]
fn a_connected_socket_hears_its_peer_alone_and_a_bound_one_tells_who_spoke() {
    require!(Need::Root, Need::Overlay);
    let host = std::net::UdpSocket::bind("127.0.0.1:7031").unwrap();
    let c = Inside::start(&servers::python(World::new("aside"), ASIDE));
    c.wait_log("ready");
    let (dialer, to) = (dialer(&c), address("127.0.0.1:7031"));
    let mut data = [0; 64];
    let connected = dialer.udp(to).unwrap();
    connected.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    connected.send(b"?").unwrap();
    let length = connected.recv(&mut data).unwrap();
    assert_eq!(&data[..length], b"asked");

    let bound = dialer.udp_bound(address("0.0.0.0:0")).unwrap();
    bound.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    bound.send_to(b"?", to).unwrap();
    for (said, from) in [("aside", "127.0.0.1:7032"), ("asked", "127.0.0.1:7031")] {
        let (length, peer) = bound.recv_from(&mut data).unwrap();
        assert_eq!((&data[..length], peer), (said.as_bytes(), address(from)));
    }
    runtime().block_on(async {
        for socket in [
            dialer.udp_async(to).await.unwrap(),
            dialer.udp_bound_async(address("127.0.0.1:0")).await.unwrap(),
        ] {
            if socket.peer_addr().is_ok() { socket.send(b"?").await } else { socket.send_to(b"?", to).await }
                .unwrap();
            let heard =
                tokio::time::timeout(Duration::from_secs(5), socket.recv(&mut data)).await.unwrap().unwrap();
            assert_eq!(heard, 5);
        }
    });
    // It is taken inside, and free there where the host has it.
    let taken = dialer.udp_bound(to).map(drop).map_err(|error| error.kind());
    assert_eq!(taken, Err(ErrorKind::Net(NetError::Other)));
    let elsewhere = dialer.udp_bound(address("192.0.2.200:0")).map(drop).map_err(|error| error.kind());
    assert_eq!(elsewhere, Err(ErrorKind::Net(NetError::Unreachable)));
    unheard(&host);
}
