//! Datagrams from inside.

use std::time::Duration;

use portolan_world::need::Need;
use portolan_world::{World, require};

use super::{address, dialed, dialer};
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
