//! Options are those of the socket that comes out, in both ways of dialing.

use std::time::Duration;

use nix::sys::socket::{getsockopt, sockopt};
use portolan::DialOptions;
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::asynchronous::runtime;
use super::{address, dialer};
use crate::inside::Inside;
use crate::servers;

fn start() -> Inside {
    let c = Inside::start(&servers::banner(World::new("options"), "", &[("127.0.0.1", 7100)]));
    c.wait_log("listening");
    c
}

fn seen(stream: &impl std::os::fd::AsFd) -> (bool, bool, [u32; 3], [usize; 2]) {
    let get = "an option of a TCP socket";
    (
        getsockopt(stream, sockopt::TcpNoDelay).expect(get),
        getsockopt(stream, sockopt::KeepAlive).expect(get),
        [
            getsockopt(stream, sockopt::TcpKeepIdle).expect(get),
            getsockopt(stream, sockopt::TcpKeepInterval).expect(get),
            getsockopt(stream, sockopt::TcpKeepCount).expect(get),
        ],
        [getsockopt(stream, sockopt::SndBuf).expect(get), getsockopt(stream, sockopt::RcvBuf).expect(get)],
    )
}

#[test]
fn what_is_asked_for_is_set_and_nothing_else() {
    require!(Need::Root, Need::Overlay);
    let c = start();
    let (dialer, to) = (dialer(&c), address("127.0.0.1:7100"));
    let seconds = Duration::from_secs;
    let plain = DialOptions::default();
    let all =
        plain.no_delay().keep_alive(seconds(7), seconds(3), 4).send_buffer(20_000).receive_buffer(30_000);
    let far = plain.keep_alive(Duration::MAX, Duration::ZERO, u32::MAX).send_buffer(usize::MAX);
    let streams = |options: &DialOptions| {
        let blocking = dialer.connect_with(to, options).unwrap();
        let task = runtime()
            .block_on(async { dialer.connect_async_with(to, options).await.unwrap().into_std().unwrap() });
        [blocking, task]
    };
    for stream in streams(&plain) {
        let (no_delay, keep_alive, ..) = seen(&stream);
        assert!(!no_delay && !keep_alive);
    }
    for stream in streams(&all) {
        // The kernel doubles what is asked for (`socket(7)`).
        assert_eq!(seen(&stream), (true, true, [7, 3, 4], [40_000, 60_000]));
    }
    for stream in streams(&far) {
        let (_, keep_alive, probes, [send, _]) = seen(&stream);
        assert!(keep_alive && send > 40_000);
        assert_eq!(probes, [32_767, 1, 127]);
    }
}
