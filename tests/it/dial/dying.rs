//! Containers that end between being found and being dialed, and while they are dialed.

use std::time::{Duration, Instant};

use portolan::{DialOptions, ErrorKind};
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::asynchronous::runtime;
use super::silence::with_a_hole;
use super::{Decoy, TIMEOUT, address, dialer};
use crate::hostile::identity::Reused;
use crate::inside::{Inside, SOON};
use crate::servers;

const GONE: Option<ErrorKind> = Some(ErrorKind::TargetGone);

#[test]
fn a_container_that_ended_is_gone_whoever_has_its_pid_and_its_port_now() {
    require!(Need::Root, Need::Overlay, Need::Program("python3"));
    for dialed_before in [false, true] {
        let host = Decoy::at("127.0.0.1");
        let c = Inside::start(&servers::banner(World::new("reused-pid"), "x", &[("127.0.0.1", host.port())]));
        c.wait_log("listening");
        let dialer = dialer(&c);
        if dialed_before {
            dialer.connect(host.address(), TIMEOUT).unwrap();
        }
        c.container.kill();
        // A process of the host, by the container's number.
        let reused = Reused::start(c.pid());
        let runtime = runtime();
        assert_eq!(dialer.connect(host.address(), TIMEOUT).err().map(|error| error.kind()), GONE);
        let dial = dialer.connect_async(host.address(), TIMEOUT);
        assert_eq!(runtime.block_on(dial).err().map(|error| error.kind()), GONE);
        assert_eq!(dialer.udp(host.address()).err().map(|error| error.kind()), GONE);
        assert_eq!(dialer.udp_bound(address("0.0.0.0:0")).err().map(|error| error.kind()), GONE);
        for path in ["/run/any.sock", "@any"] {
            assert_eq!(dialer.unix(path, TIMEOUT).err().map(|error| error.kind()), GONE, "{path}");
            let dial = dialer.unix_async(path, TIMEOUT);
            assert_eq!(runtime.block_on(dial).err().map(|error| error.kind()), GONE, "{path}");
        }
        host.untouched();
        drop(reused);
    }
}

#[test]
fn a_container_that_ends_while_it_is_dialed_is_gone_long_before_the_deadline() {
    require!(Need::Root, Need::Overlay, Need::Program("ip"));
    let runtime = runtime();
    let to = address("192.0.2.7:80");
    for way in 0..2 {
        let c = Inside::start(&with_a_hole(World::new("ends-meanwhile")));
        let dialer = dialer(&c);
        let start = Instant::now();
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            c.container.kill();
            c
        });
        let kind = match way {
            0 => dialer.connect_with(to, &DialOptions::default().timeout(SOON * 6)).err(),
            _ => runtime.block_on(dialer.connect_async(to, SOON * 6)).err(),
        };
        assert_eq!(kind.map(|error| error.kind()), GONE);
        assert!(
            start.elapsed() > Duration::from_millis(150) && start.elapsed() < SOON,
            "{:?}",
            start.elapsed()
        );
        drop(killer.join().unwrap());
    }
}
