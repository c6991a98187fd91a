//! A watch that the kernel tells nothing: it scans again and again, says so, and misses nothing.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use nix::libc;
use portolan_world::need::Need;
use portolan_world::{World, require};
use serde_json::Value;

use super::rig::{Rig, Rule, row};
use crate::inside::{Inside, SOON};
use crate::{oracle, servers};

/// `portolan watch`, with what it writes, a line for each update.
struct Watching {
    child: Child,
    updates: Receiver<String>,
    notes: Receiver<String>,
}

impl Watching {
    fn start(mut command: Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let updates = lines(child.stdout.take().unwrap());
        let notes = lines(child.stderr.take().unwrap());
        Self { child, updates, notes }
    }

    /// The first update that fits.
    #[track_caller]
    fn until(&self, fits: impl Fn(&Value) -> bool) -> Value {
        let end = Instant::now() + SOON;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = self.updates.recv_timeout(left).expect("it is never told");
            let update: Value = serde_json::from_str(&line).unwrap();
            if fits(&update) {
                return update;
            }
        }
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(stream: impl std::io::Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

fn mentions(update: &Value, list: &str, netns: u64) -> bool {
    update[list].as_array().is_some_and(|all| all.iter().any(|l| l["netns"] == netns && l["port"] == 7680))
}

#[test]
fn without_process_events_a_watch_scans_again_and_again_and_says_so() {
    require!(Need::Root, Need::Overlay, Need::Program("cc"));
    let rig = Rig::new();
    let connector = |errno| {
        let netlink = (0, u32::MAX, u32::try_from(libc::AF_NETLINK).unwrap());
        let protocol = (2, u32::MAX, u32::try_from(libc::NETLINK_CONNECTOR).unwrap());
        [Rule::when(libc::SYS_socket, &[netlink, protocol], errno)]
    };
    for (errno, name, source) in
        [(libc::EPROTONOSUPPORT, "no-connector", "syscalls"), (libc::EPERM, "connector-refused", "auto")]
    {
        let rules = connector(errno);
        let row = row(rig.portolan(&rules, &["doctor"]), "watch: process events");
        assert!(row.contains("partly") && row.contains("again and again"), "{row}");
        let arguments = ["watch", "--json", "--interval-ms", "1000", "--source", source];
        let watching = Watching::start(rig.command(&rules, &arguments));
        let note = watching.notes.recv_timeout(SOON).unwrap();
        assert!(note.contains("portolan doctor") && note.contains("again and again"), "{note}");
        watching.until(|_| true);
        let c = Inside::start(&servers::banner(World::new(name), "", &[("127.0.0.1", 7680)]));
        c.wait_log("listening");
        let (netns, listening) = (oracle::namespace(c.pid(), "net"), Instant::now());
        watching.until(|update| mentions(&update["listeners"], "added", netns));
        // An interval and what the scans take.
        assert!(listening.elapsed() < Duration::from_secs(3), "{:?}", listening.elapsed());
        drop(c);
        watching.until(|update| mentions(&update["listeners"], "removed", netns));
    }
}
