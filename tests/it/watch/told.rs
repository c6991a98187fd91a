//! What the kernel's events bring: what starts, listens and ends, and how soon that is told.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use portolan_world::need::Need;
use portolan_world::{World, require};

use super::{CONNECTOR, LATE, Watching, added, by_events, listened, listened_in, listener};
use crate::inside::Inside;
use crate::scan::ways;
use crate::{oracle, servers};

/// The budget of 100 ms is judged by the bench. A machine that is busy with other tests lets everybody wait.
#[track_caller]
fn soon(mut times: Vec<Duration>) {
    times.sort_unstable();
    let (best, median) = (times[0], times[times.len() / 2]);
    assert!(best < Duration::from_millis(120) && median < Duration::from_millis(600), "{times:?}");
}

fn late(name: &str, port: u16, seconds: f64) -> Inside {
    Inside::start(&servers::python(
        World::new(name),
        &format!("{LATE}\ns = late({port}, {seconds})\ntime.sleep(1000)"),
    ))
}

#[test]
fn a_container_is_told_soon_after_it_listens_also_when_that_is_late() {
    require!(Need::Root, Need::Overlay, CONNECTOR);
    for way in ways() {
        let watching = Watching::by(way, by_events());
        assert!(watching.is_told);
        let mut times = Vec::new();
        for (number, seconds) in [0.0, 0.02, 0.11, 0.3, 0.45, 1.2, 4.5].into_iter().enumerate() {
            let port = 7510 + u16::try_from(number).unwrap();
            let c = late(&format!("late-{number}"), port, seconds);
            let (found, told) = watching.until_listens(port);
            assert_eq!(found.owner, Some(c.process.id()));
            assert_eq!(found.container, Some(oracle::nameless_id(c.pid(), "pid")));
            times.push(told.saturating_sub(listened_in(&c)));
        }
        soon(times);
    }
}

/// A program of the host that makes a container of itself, and executes nothing in it.
struct Forked(Child);

impl Forked {
    fn start(port: u16, seconds: f64) -> Self {
        // CLONE_NEWNS, CLONE_NEWPID and CLONE_NEWNET.
        let script = format!(
            "{LATE}\nimport ctypes, os\nassert ctypes.CDLL(None).unshare(0x60020000) == 0\n\
             if os.fork() == 0:\n  s = late({port}, {seconds})\n  time.sleep(1000)\n\
             sys.stdin.read()\nos.kill(0, 9)"
        );
        let mut python = Command::new("setsid");
        python.args(["python3", "-c", &script]);
        Self(python.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap())
    }
}

impl Drop for Forked {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[test]
fn a_container_that_executes_nothing_is_told_as_soon() {
    require!(Need::Root, CONNECTOR, Need::Program("python3"));
    for way in ways() {
        let watching = Watching::by(way, by_events());
        let mut times = Vec::new();
        for (number, seconds) in [0.0, 0.05, 0.3, 2.0, 3.5].into_iter().enumerate() {
            let port = 7520 + u16::try_from(number).unwrap();
            let mut forked = Forked::start(port, seconds);
            let mut line = String::new();
            BufReader::new(forked.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
            let (found, told) = watching.until_listens(port);
            let owner = found.owner.unwrap().pid;
            assert_eq!(found.container, Some(oracle::nameless_id(owner, "pid")));
            times.push(told.saturating_sub(listened(&line)));
        }
        soon(times);
    }
}

#[test]
fn a_container_comes_and_goes_with_all_that_is_in_it() {
    require!(Need::Root, Need::Overlay, CONNECTOR);
    for way in ways() {
        let watching = Watching::by(way, by_events());
        let c = late("comes-and-goes", 7530, 0.0);
        let (mut container, mut listens) = (None, None);
        watching.until(|update| {
            container = container.take().or_else(|| added(update, c.pid()));
            listens = listens.take().or_else(|| listener(update, 7530));
            assert!(!update.whole);
            (container.is_some() && listens.is_some()).then_some(())
        });
        assert_eq!(container.unwrap().id, listens.unwrap().container.unwrap());
        c.container.kill();
        watching.until_gone(c.pid(), 7530);
    }
}

#[test]
fn listeners_are_closed_and_opened_while_the_container_goes_on() {
    require!(Need::Root, Need::Overlay, CONNECTOR);
    for way in ways() {
        let watching = Watching::by(way, by_events());
        let script = format!(
            "{LATE}\nfor port in range(7540, 7543):\n  s = late(port, 0.7)\n  time.sleep(1.5)\n  s.close()\ntime.sleep(1000)"
        );
        let c = Inside::start(&servers::python(World::new("opens-and-closes"), &script));
        let mut story = Vec::new();
        watching.until(|update| {
            let ours = |port: Option<u16>| port.filter(|port| (7540..7543).contains(port));
            let listeners = &update.diff.listeners;
            story
                .extend(listeners.removed.iter().filter_map(|l| ours(l.port())).map(|port| (port, "closed")));
            story.extend(listeners.added.iter().filter_map(|l| ours(l.port())).map(|port| (port, "opened")));
            (story.len() == 6).then_some(())
        });
        let wanted: Vec<_> = (7540..7543).flat_map(|port| [(port, "opened"), (port, "closed")]).collect();
        assert_eq!(story, wanted);
        // A process that joins an old container, and listens there.
        let mut nsenter = Command::new("nsenter");
        nsenter.args(["-t", &c.pid().to_string(), "-a", "python3", "-c"]);
        let mut guest = nsenter
            .arg(format!("{LATE}\ns = late(7549, 0.1)\ntime.sleep(1)"))
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        watching.until_listens(7549);
        guest.wait().unwrap();
        watching.until(|update| {
            update.diff.listeners.removed.iter().any(|l| l.port() == Some(7549)).then_some(())
        });
    }
}

#[test]
fn the_first_update_tells_all_that_there_is() {
    require!(Need::Root, Need::Overlay);
    let c = late("was-there", 7550, 0.0);
    listened_in(&c);
    for options in [by_events(), super::polling(Duration::from_secs(600))] {
        let first = &Watching::start(options).first;
        assert!(first.whole);
        assert_eq!(added(first, c.pid()).unwrap().id, oracle::nameless_id(c.pid(), "pid"));
        assert_eq!(listener(first, 7550).unwrap().owner, Some(c.process.id()));
        assert!(first.diff.containers.removed.is_empty() && first.diff.listeners.changed.is_empty());
    }
}

#[test]
fn what_is_too_short_to_be_seen_is_counted() {
    require!(Need::Root, Need::Overlay, CONNECTOR);
    for way in ways() {
        let watching = Watching::by(way, by_events());
        for _ in 0..300 {
            assert!(Command::new("true").status().unwrap().success());
        }
        let _c = late("after-the-short-ones", 7560, 0.0);
        let mut count = 0;
        watching.until(|update| {
            count += update.short_lived.expect("it is told by events");
            listener(update, 7560)
        });
        // Some of them are alive just when it looks.
        assert!(count >= 150, "{count}");
    }
}
