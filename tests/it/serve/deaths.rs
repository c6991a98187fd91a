//! Servers and their children that are killed or stopped.

use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use portolan::{ErrorKind, Files, ReadOptions};
use portolan_world::need::Need;
use portolan_world::require;

use super::{BUSY, Known, own_pid, signal, wait_until, waiting};
use super::{children, door, guests, is_gone, known, mute, patient, plain, read, reads, server, servers_of};
use crate::inside::{Inside, SOON};

#[test]
fn after_the_server_was_killed_the_next_request_is_answered_by_another() {
    require!(Need::Root, Need::Overlay);
    alone!();
    let (files, c) = (door(), plain("idle-server"));
    reads(&files, &c);
    for idle in [true, false, true, false] {
        let old = known(server());
        if idle {
            wait_until("its children are gone", || children(old.0).is_empty());
        }
        signal(old.0, Signal::SIGKILL);
        wait_until("it is collected", || is_gone(old));
        reads(&files, &c);
        assert_ne!(known(server()), old);
    }
}

#[test]
fn killed_servers_cost_requests_that_are_under_way_and_no_others() {
    require!(Need::Root, Need::Overlay);
    alone!();
    let (files, c) = (door(), plain("killed-again"));
    reads(&files, &c);
    thread::scope(|scope| {
        let killer = scope.spawn(|| {
            for _ in 0..20 {
                for pid in servers_of(own_pid()) {
                    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGKILL);
                }
                thread::sleep(Duration::from_millis(20));
            }
        });
        let mut answered = 0;
        while !killer.is_finished() {
            match read(&files, &c, "/app/file", &ReadOptions::default().timeout(SOON)) {
                Ok(bytes) => {
                    assert_eq!(bytes, b"read");
                    answered += 1;
                }
                Err(kind) => assert_eq!(kind, ErrorKind::HelperDied),
            }
        }
        assert!(answered > 0);
    });
    // What is left of the last one may still take a request.
    let how = ReadOptions::default().timeout(SOON);
    wait_until("an answer", || read(&files, &c, "/app/file", &how).as_deref() == Ok(&b"read"[..]));
    server();
    wait_until("nobody is left inside", || guests(&c).is_empty());
}

/// A request that waits inside when its server is killed; gives that server.
fn killed_under_way(files: &Files, c: &Inside) -> Known {
    reads(files, c);
    let old = known(server());
    thread::scope(|scope| {
        let waits = waiting(scope, files, c, Duration::from_secs(20));
        signal(old.0, Signal::SIGKILL);
        let (kind, words) = waits.join().unwrap();
        assert_eq!(kind, Some(ErrorKind::HelperDied), "{words}");
    });
    old
}

#[test]
fn a_request_that_is_under_way_when_the_server_is_killed_says_so() {
    require!(Need::Root, Need::Overlay, Need::File("/dev/fuse"));
    alone!();
    let (files, c) = (door(), mute("killed-server"));
    for _ in 0..3 {
        let old = killed_under_way(&files, &c);
        wait_until("it is collected", || is_gone(old));
        reads(&files, &c);
        wait_until("its child went with it", || guests(&c).is_empty());
    }
    assert_eq!(files.stuck(), 0);
}

#[test]
fn once_a_request_has_said_so_the_next_one_is_answered() {
    require!(Need::Root, Need::Overlay, Need::File("/dev/fuse"));
    alone!();
    let (files, c) = (door(), mute("killed-at-once"));
    for _ in 0..5 {
        killed_under_way(&files, &c);
        reads(&files, &c);
    }
}

#[test]
fn a_child_that_is_killed_is_its_requests_affair_alone() {
    require!(Need::Root, Need::Overlay, Need::File("/dev/fuse"));
    alone!();
    let (files, one, two) = (door(), mute("killed-child"), mute("spared-child"));
    reads(&files, &one);
    let old = known(server());
    thread::scope(|scope| {
        let spared = waiting(scope, &files, &two, Duration::from_secs(2));
        for (number, words) in [(Signal::SIGKILL, "SIGKILL"), (Signal::SIGTERM, "SIGTERM")] {
            let killed = waiting(scope, &files, &one, Duration::from_secs(20));
            signal(guests(&one)[0], number);
            let (kind, told) = killed.join().unwrap();
            assert_eq!(kind, Some(ErrorKind::HelperDied), "{told}");
            assert!(told.contains(words), "{told}");
            reads(&files, &one);
        }
        assert_eq!(spared.join().unwrap().0, Some(ErrorKind::Timeout));
    });
    assert_eq!(known(server()), old);
}

#[test]
fn a_server_that_was_stopped_is_given_up_and_replaced() {
    require!(Need::Root, Need::Overlay);
    alone!();
    let (files, c) = (door(), plain("stopped-server"));
    reads(&files, &c);
    for round in 0..2 {
        let old = known(server());
        wait_until("its children are gone", || children(old.0).is_empty());
        signal(old.0, Signal::SIGSTOP);
        let quick = ReadOptions::default().timeout(Duration::from_millis(200));
        let (mut late, begun) = (0, Instant::now());
        while read(&files, &c, "/app/file", &quick).is_err_and(|kind| kind == ErrorKind::Timeout) {
            late += 1;
            assert!(begun.elapsed() < BUSY, "nobody replaces it");
        }
        assert!(late > 0, "or it was not stopped");
        reads(&files, &c);
        wait_until("it is collected", || is_gone(old));
        assert_ne!(known(server()), old, "{round}");
    }
    assert_eq!(files.stuck(), 0);
}

#[test]
fn a_child_that_is_stopped_costs_no_more_than_its_deadline() {
    require!(Need::Root, Need::Overlay, Need::File("/dev/fuse"));
    alone!();
    let (files, c) = (door(), mute("stopped-child"));
    thread::scope(|scope| {
        let waits = waiting(scope, &files, &c, Duration::from_millis(800));
        signal(guests(&c)[0], Signal::SIGSTOP);
        assert_eq!(waits.join().unwrap().0, Some(ErrorKind::Timeout));
    });
    // The server kills it.
    wait_until("it is gone", || guests(&c).is_empty() && files.stuck() == 0);
    reads(&files, &c);
}

#[test]
fn requests_that_time_out_leave_nobody_inside() {
    require!(Need::Root, Need::Overlay, Need::File("/dev/fuse"));
    alone!();
    let (files, c) = (door(), mute("timed-out"));
    for _ in 0..5 {
        let outcome = read(&files, &c, "/hang/file", &patient(Duration::from_millis(150)));
        assert_eq!(outcome, Err(ErrorKind::Timeout));
        reads(&files, &c);
    }
    wait_until("nobody is inside", || guests(&c).is_empty() && files.stuck() == 0);
    let server = server();
    wait_until("nobody is left", || children(server).is_empty());
}
