//! Nobody answers: a network that swallows every packet, a peer that drips, a process without descriptors or rights,
//! a runtime that ends.

use std::fs::File;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use portolan::{Capability, ErrorKind, Limit, NetError};
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::alone::is_alone;
use super::asynchronous::{every_thread_comes_home, runtime};
use super::{Decoy, TIMEOUT, address, dialer};
use crate::inside::Inside;
use crate::{oracle, servers};

const LATE: Duration = Duration::from_millis(250);

/// Packets to these addresses go out to the loopback, come back, are for nobody, and are dropped without a word.
pub(super) fn with_a_hole(world: World) -> World {
    world.prepare("ip route add 192.0.2.0/24 dev lo; ip -6 route add 2001:db8::/64 dev lo || true")
}

#[test]
fn a_network_that_swallows_every_packet_is_given_up_at_the_deadline() {
    require!(Need::Root, Need::Overlay, Need::Program("ip"));
    let c = Inside::start(&with_a_hole(World::new("hole")));
    let (dialer, timeout) = (dialer(&c), Duration::from_millis(300));
    let runtime = runtime();
    let ways: [&dyn Fn() -> Option<ErrorKind>; 2] =
        [&|| dialer.connect(address("192.0.2.7:80"), timeout).err().map(|error| error.kind()), &|| {
            let dial = dialer.connect_async(address("192.0.2.7:80"), timeout);
            runtime.block_on(dial).err().map(|error| error.kind())
        }];
    for way in ways {
        let start = Instant::now();
        assert_eq!(way(), Some(ErrorKind::Timeout));
        let took = start.elapsed();
        assert!(took >= timeout && took < timeout + LATE, "{took:?}");
    }
}

#[test]
fn without_a_descriptor_left_it_is_said_so_and_the_next_dial_works() {
    require!(Need::Root, Need::Overlay);
    let here = concat!(module_path!(), "::without_a_descriptor_left_it_is_said_so_and_the_next_dial_works");
    if !is_alone(here, &["sh", "-c", "ulimit -n 128; exec \"$0\" \"$@\""]) {
        return;
    }
    let host = Decoy::at("127.0.0.1");
    let c = Inside::start(&servers::banner(World::new("few"), "few", &[("127.0.0.1", host.port())]));
    c.wait_log("listening");
    let runtime = runtime();
    let full = || {
        let mut kept = Vec::new();
        while let Ok(file) = File::open("/dev/null") {
            kept.push(file);
        }
        kept
    };
    for warm in [false, true] {
        let dialer = dialer(&c);
        if warm {
            dialer.connect(host.address(), TIMEOUT).unwrap();
        }
        // From none to a few: each step of the way is the one that fails once.
        for free in 0..4 {
            let mut kept = full();
            kept.truncate(kept.len() - free);
            let kinds = [
                dialer.connect(host.address(), TIMEOUT).err().map(|error| error.kind()),
                runtime
                    .block_on(dialer.connect_async(host.address(), TIMEOUT))
                    .err()
                    .map(|error| error.kind()),
                dialer.udp(host.address()).err().map(|error| error.kind()),
                dialer.unix("@none", TIMEOUT).err().map(|error| error.kind()),
            ];
            drop(kept);
            let refused = ErrorKind::Net(NetError::Refused);
            for kind in kinds.into_iter().flatten() {
                assert!(
                    [ErrorKind::Limit(Limit::Descriptors), refused].contains(&kind),
                    "{free} free: {kind:?}"
                );
            }
            let limit = Some(ErrorKind::Limit(Limit::Descriptors));
            assert!(free > 0 || kinds == [limit; 4], "{kinds:?}");
        }
        dialer.connect(host.address(), TIMEOUT).unwrap();
    }
    host.untouched();
    every_thread_comes_home(oracle::namespace("self", "net"));
}

#[test]
fn without_the_right_to_enter_nothing_is_dialed_and_the_missing_right_is_named() {
    let here = concat!(
        module_path!(),
        "::without_the_right_to_enter_nothing_is_dialed_and_the_missing_right_is_named"
    );
    // The container is made by the parent: a process without these rights could not.
    if std::env::var_os("PORTOLAN_DIALED_PID").is_none() {
        require!(Need::Root, Need::Overlay, Need::Program("capsh"));
        let host = Decoy::at("127.0.0.1");
        let c = Inside::start(&servers::banner(World::new("rights"), "x", &[("127.0.0.1", host.port())]));
        c.wait_log("listening");
        let script = format!(
            "export PORTOLAN_DIALED_PID={} PORTOLAN_DIALED_PORT={}; exec capsh --drop=cap_sys_admin -- -c 'exec \"$0\" \"$@\"' \"$0\" \"$@\"",
            c.pid(),
            host.port(),
        );
        is_alone(here, &["sh", "-c", &script]);
        host.untouched();
        return;
    }
    let number = |name| std::env::var(name).unwrap().parse::<i32>().unwrap();
    let to = address(&format!("127.0.0.1:{}", number("PORTOLAN_DIALED_PORT")));
    let process = portolan::Process::open(number("PORTOLAN_DIALED_PID")).unwrap();
    let dialer = portolan::Dialer::new(process).unwrap();
    let missing = Some(ErrorKind::MissingPrivilege(Capability::SysAdmin));
    let runtime = runtime();
    for _ in 0..3 {
        assert_eq!(dialer.connect(to, TIMEOUT).err().map(|error| error.kind()), missing);
        let dial = dialer.connect_async(to, TIMEOUT);
        assert_eq!(runtime.block_on(dial).err().map(|error| error.kind()), missing);
        assert_eq!(dialer.udp_bound(address("127.0.0.1:0")).err().map(|error| error.kind()), missing);
    }
    every_thread_comes_home(oracle::namespace("self", "net"));
}

#[test]
fn a_runtime_that_ends_takes_its_dials_with_it() {
    require!(Need::Root, Need::Overlay, Need::Program("ip"));
    let host = Decoy::at("127.0.0.1");
    let world = servers::banner(World::new("ending-runtime"), "in", &[("127.0.0.1", host.port())]);
    let c = Inside::start(&with_a_hole(world));
    c.wait_log("listening");
    for hole in [false, true] {
        let to = if hole { address("192.0.2.7:80") } else { host.address() };
        let (dialer, runtime, over) = (dialer(&c), runtime(), AtomicBool::new(false));
        let (first, handle) = (std::sync::Barrier::new(2), runtime.handle().clone());
        for _ in 0..32 {
            let dialer = dialer.clone();
            runtime.spawn(async move { while dialer.connect_async(to, TIMEOUT).await.is_ok() {} });
        }
        std::thread::scope(|scope| {
            // A thread of the agent's own, which is not ended with the runtime. It is told, or it panics in the timer
            // of tokio's that it waits for.
            let outsider = scope.spawn(|| {
                first.wait();
                let dialing = || loop {
                    let dialed = handle.block_on(dialer.connect_async(to, Duration::from_secs(1)));
                    if over.load(Ordering::Relaxed) && dialed.is_err() {
                        break;
                    }
                };
                let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(dialing));
                assert_eq!(oracle::namespace("thread-self", "net"), oracle::namespace("self", "net"));
                caught
            });
            first.wait();
            std::thread::sleep(Duration::from_millis(50));
            runtime.shutdown_background();
            over.store(true, Ordering::Relaxed);
            if let Err(panic) = outsider.join().unwrap() {
                let said = panic.downcast_ref::<String>().map(String::as_str);
                let said = said.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default();
                assert!(said.contains("shutdown"), "{said}");
            }
        });
    }
    host.untouched();
    super::asynchronous::nothing_is_open(&c);
    every_thread_comes_home(oracle::namespace("self", "net"));
}
