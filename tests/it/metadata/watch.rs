//! Events that are garbage, never end or end at once: what is kept stays current, and nobody is flooded with questions.

use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use portolan::Runtimes;
use portolan::metadata::{Happened, Trouble};
use portolan_world::need::Need;
use portolan_world::require;

use super::docker::wait_for;
use super::scene::{Lone, Server, VERSION, give, inspected};
use super::{PATIENCE, ask};
use crate::scratch::Scratch;

const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\n\r\n";

/// A daemon with one container, and events that a test makes.
fn daemon(
    lone: &Lone,
    scratch: &Scratch,
    body: impl Fn() -> String + Send + Sync + 'static,
    events: impl Fn(&mut UnixStream) + Send + Sync + 'static,
) -> Server {
    let list = format!(r#"[{{"Id":"{}"}}]"#, lone.id);
    Server::start(scratch.path().join("s"), move |asked, stream| match asked {
        "/version" => give(stream, VERSION),
        asked if asked.contains("/_ping") => give(stream, "OK"),
        asked if asked.contains("/events") => events(stream),
        asked if asked.contains("/containers/json") => give(stream, &list),
        _ => give(stream, &body()),
    })
}

#[test]
fn a_bad_event_does_not_hide_the_next() {
    require!(Need::Root);
    let (lone, scratch) = (Lone::start(), Scratch::new());
    let renamed = Arc::new(AtomicBool::new(false));
    let (told, tells) = (Arc::clone(&renamed), Arc::clone(&renamed));
    let (before, asked) = (inspected(&lone.id, lone.pid()), Arc::new(AtomicU32::new(0)));
    let (after, counted) = (before.replace("/told", "/renamed"), Arc::clone(&asked));
    let event =
        format!(r#"{{"Type":"container","Action":"rename","Actor":{{"ID":"{}"}},"timeNano":1}}"#, lone.id);
    let server = daemon(
        &lone,
        &scratch,
        move || {
            counted.fetch_add(1, Ordering::Relaxed);
            if told.load(Ordering::Relaxed) { after.clone() } else { before.clone() }
        },
        move |stream| {
            let _ = stream.write_all(HEAD);
            while !tells.load(Ordering::Relaxed) {
                sleep(Duration::from_millis(10));
            }
            for line in ["\u{0}garbage", "{", "[[[[", r#"{"Type":5,"Actor":[]}"#, "", &event] {
                let _ = stream.write_all(format!("{line}\n").as_bytes());
            }
            sleep(Duration::from_secs(30));
        },
    );
    let runtimes = Runtimes::with_sockets([&server.path]);
    let watching = runtimes.watch().unwrap();
    wait_for(&watching, |happened| matches!(happened, Happened::Connected(_)));
    let name = || ask(&runtimes, &lone.chart(), PATIENCE).containers[&lone.id].name.clone();
    assert_eq!(name().as_deref(), Some("told"));
    let once = asked.load(Ordering::Relaxed);
    assert_eq!(name().as_deref(), Some("told"));
    assert_eq!(asked.load(Ordering::Relaxed), once, "what has not changed is not asked again");
    renamed.store(true, Ordering::Relaxed);
    wait_for(&watching, |happened| *happened == Happened::Changed(lone.id.clone()));
    assert_eq!(name().as_deref(), Some("renamed"));
}

#[test]
fn events_without_end_meet_a_limit_and_are_tried_again_slowly() {
    require!(Need::Root);
    let (lone, scratch) = (Lone::start(), Scratch::new());
    let (body, tries) = (inspected(&lone.id, lone.pid()), Arc::new(AtomicU32::new(0)));
    let counted = Arc::clone(&tries);
    let server = daemon(
        &lone,
        &scratch,
        move || body.clone(),
        move |stream| {
            // Every second one ends at once instead.
            if counted.fetch_add(1, Ordering::Relaxed) % 2 == 1 {
                return;
            }
            let _ = stream.write_all(HEAD);
            while stream.write_all(&[b'x'; 4096]).is_ok() {}
        },
    );
    let runtimes = Runtimes::with_sockets([&server.path]);
    let watching = runtimes.watch().unwrap();
    let start = Instant::now();
    wait_for(
        &watching,
        |happened| matches!(happened, Happened::Lost(f) if matches!(f.trouble, Trouble::TooMuch(_))),
    );
    // Meanwhile it is asked as if there were no events.
    assert!(ask(&runtimes, &lone.chart(), PATIENCE).containers[&lone.id].current);
    sleep(Duration::from_secs(3).saturating_sub(start.elapsed()));
    let tries = tries.load(Ordering::Relaxed);
    assert!((1..=5).contains(&tries), "{tries} in three seconds");
}

/// Silence and a hung daemon look alike, until it is asked whether it is there.
#[test]
fn a_daemon_that_falls_silent_is_found_out() {
    require!(Need::Root);
    let (lone, scratch) = (Lone::start(), Scratch::new());
    let (body, list) = (inspected(&lone.id, lone.pid()), format!(r#"[{{"Id":"{}"}}]"#, lone.id));
    let server = Server::start(scratch.path().join("s"), move |asked, stream| match asked {
        "/version" => give(stream, VERSION),
        asked if asked.contains("/events") => {
            let _ = stream.write_all(HEAD);
            sleep(Duration::from_secs(60));
        }
        asked if asked.contains("/_ping") => sleep(Duration::from_secs(60)),
        asked if asked.contains("/containers/json") => give(stream, &list),
        _ => give(stream, &body),
    });
    let runtimes = Runtimes::with_sockets([&server.path]);
    let watching = runtimes.watch().unwrap();
    wait_for(&watching, |happened| matches!(happened, Happened::Connected(_)));
    wait_for(&watching, |happened| matches!(happened, Happened::Lost(f) if f.trouble == Trouble::Deadline));
}

#[test]
fn a_watch_ends_when_it_is_dropped() {
    require!(Need::Root);
    let (lone, scratch) = (Lone::start(), Scratch::new());
    let (body, ended) = (inspected(&lone.id, lone.pid()), Arc::new(AtomicBool::new(false)));
    let tells = Arc::clone(&ended);
    let server = daemon(
        &lone,
        &scratch,
        move || body.clone(),
        move |stream| {
            let _ = stream.write_all(HEAD);
            // It fails once the other side has closed.
            while stream.write_all(b"\n").is_ok() {
                sleep(Duration::from_millis(100));
            }
            tells.store(true, Ordering::Relaxed);
        },
    );
    let runtimes = Runtimes::with_sockets([&server.path]);
    let watching = runtimes.watch().unwrap();
    wait_for(&watching, |happened| matches!(happened, Happened::Connected(_)));
    drop(watching);
    let start = Instant::now();
    while !ended.load(Ordering::Relaxed) {
        assert!(start.elapsed() < Duration::from_secs(5), "its connection is still open");
        sleep(Duration::from_millis(20));
    }
    assert!(ask(&runtimes, &lone.chart(), PATIENCE).containers[&lone.id].current, "it is asked, then");
}
