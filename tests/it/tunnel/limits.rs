//! What a tunnel does not let happen.

use std::time::{Duration, Instant};

use portolan::ErrorKind;
use portolan::tunnel::Trouble;
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::{address, client, dialer, echoing, ended, heard, soon};
use crate::inside::Inside;
use crate::servers;

#[test]
fn over_the_limit_is_closed_at_once_and_a_place_that_is_left_is_given_again() {
    require!(Need::Root, Need::Overlay);
    let c = echoing("t-limit", &[("127.0.0.1", 7120)]);
    let tunnel = dialer(&c).tunnel(address("127.0.0.1:7120")).limit(2).start_thread().unwrap();
    let mut held: Vec<_> = (0..2).map(|_| client(&tunnel)).collect();
    for stream in &mut held {
        assert_eq!(heard(stream, 6), b"inside");
    }
    for _ in 0..5 {
        ended(&mut client(&tunnel));
    }
    let counters = tunnel.counters();
    assert_eq!((counters.accepted, counters.refused, counters.open), (2, 5, 2), "{counters}");
    assert!(matches!(counters.last_error, Some(Trouble::Limit(2))), "{counters:?}");
    held.pop();
    soon("free again", || tunnel.counters().open == 1);
    assert_eq!(heard(&mut client(&tunnel), 6), b"inside");
}

#[test]
fn a_dial_that_is_not_answered_is_given_up() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&servers::python(World::new("t-deaf"), servers::DEAF));
    c.wait_log("deaf");
    let timeout = Duration::from_millis(200);
    let builder = dialer(&c).tunnel(address("127.0.0.1:7010")).connect_timeout(timeout);
    let tunnel = builder.start_thread().unwrap();
    let start = Instant::now();
    ended(&mut client(&tunnel));
    let took = start.elapsed();
    assert!(took >= timeout && took < timeout + Duration::from_millis(500), "{took:?}");
    let Some(Trouble::Dial(error)) = tunnel.last_error() else { panic!("{:?}", tunnel.counters()) };
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[test]
fn what_rests_is_closed_if_that_is_wanted_and_what_does_not_is_not() {
    require!(Need::Root, Need::Overlay);
    let c = echoing("t-idle", &[("127.0.0.1", 7121)]);
    let timeout = Duration::from_millis(400);
    let builder = dialer(&c).tunnel(address("127.0.0.1:7121")).idle_timeout(timeout);
    let tunnel = builder.start_thread().unwrap();
    let mut stream = client(&tunnel);
    assert_eq!(heard(&mut stream, 6), b"inside");
    // A byte now and then keeps it open, for longer than the timeout.
    for _ in 0..8 {
        std::thread::sleep(Duration::from_millis(100));
        stream.write_all(b"x").unwrap();
        assert_eq!(heard(&mut stream, 1), b"x");
    }
    let start = Instant::now();
    ended(&mut stream);
    let took = start.elapsed();
    assert!(
        took >= timeout - Duration::from_millis(50) && took < timeout + Duration::from_millis(500),
        "{took:?}"
    );
    assert!(matches!(tunnel.last_error(), Some(Trouble::Idle)), "{:?}", tunnel.counters());
}
