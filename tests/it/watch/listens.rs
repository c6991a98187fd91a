//! Who begins to listen is told by the kernel where BPF may be used, and looked for where not.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::libc;
use portolan::SourceChoice;
use portolan_linux::bpf::ListenEvents;
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::command::Running;
use super::{CONNECTOR, LATE, Watching, by_events, listened_in, listener};
use crate::inside::Inside;
use crate::older::rig::{Rig, Rule};
use crate::scan::BPF;
use crate::servers;

fn python(name: &str, script: &str) -> Inside {
    Inside::start(&servers::python(World::new(name), &format!("{LATE}\n{script}\ntime.sleep(1000)")))
}

/// Looking for it would take a second on average, as old as the process is by then.
#[test]
fn a_listener_is_told_at_once_however_old_its_process_and_so_is_its_end() {
    require!(Need::Root, Need::Overlay, CONNECTOR, BPF);
    let watching = Watching::by(SourceChoice::Bpf, by_events());
    let script = "
time.sleep(9)
for port in range(7592, 7597):
    s = late(port, 0.7)
    time.sleep(0.6)
    print('closed', time.clock_gettime_ns(time.CLOCK_MONOTONIC), flush=True)
    s.close()
print('done', flush=True)";
    let c = python("listens-late", script);
    let mut told = Vec::new();
    let mut hear = |update: &portolan::Update, now: Duration| {
        let ours = |port: Option<u16>| port.is_some_and(|port| (7592..7597).contains(&port));
        let listeners = &update.diff.listeners;
        let all = listeners
            .added
            .iter()
            .map(|l| ("listening", l))
            .chain(listeners.removed.iter().map(|l| ("closed", l)));
        told.extend(all.filter(|(_, l)| ours(l.port())).map(|(what, _)| (what, now)));
        told.len() == 10
    };
    // Longer than whatever started lately is looked at often.
    std::thread::sleep(Duration::from_secs(9));
    watching.until_at(|update, now| hear(update, now).then_some(()));
    c.wait_log("done");
    let log = c.container.log();
    let happened = log.lines().filter_map(|line| line.split_once(' '));
    let happened: Vec<(&str, Duration)> =
        happened.map(|(what, at)| (what, Duration::from_nanos(at.parse().unwrap()))).collect();
    let order = |of: &[(&str, Duration)]| of.iter().map(|(what, _)| what.to_string()).collect::<Vec<_>>();
    assert_eq!(order(&told), order(&happened));
    let mut took: Vec<Duration> =
        told.iter().zip(&happened).map(|((_, told), (_, happened))| told.saturating_sub(*happened)).collect();
    took.sort_unstable();
    // By looking every two seconds it would be one, on a machine that has nothing else to do.
    assert!(took[4] < Duration::from_millis(600), "{took:?}");
}

#[test]
fn without_those_events_it_is_looked_for_as_soon() {
    require!(Need::Root, Need::Overlay, CONNECTOR, BPF, Need::Program("cc"));
    let rig = Rig::new();
    // BPF_MAP_CREATE, and BPF_RAW_TRACEPOINT_OPEN: before Linux 5.8, and where tracing is forbidden.
    for (number, command) in [0, 17].into_iter().enumerate() {
        let rules = [Rule::when(libc::SYS_bpf, &[(0, u32::MAX, command)], libc::EPERM)];
        let arguments = ["watch", "--json", "--source", "bpf", "--interval-ms", "600000"];
        let watch = Running::start(rig.command(&rules, &arguments));
        watch.update();
        for (turn, seconds) in [0.0, 0.4, 2.5].into_iter().enumerate() {
            let port = u16::try_from(7600 + 10 * number + turn).unwrap();
            let _c = python(&format!("looked-for-{port}"), &format!("s = late({port}, {seconds})"));
            assert_eq!(watch.until_listens(port)["whole"], false);
        }
    }
}

/// Sockets that are opened and closed without an end, by a program of the host.
struct Flood(Child);

impl Flood {
    fn start() -> Self {
        let script = "
import socket
while True:
    s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(); s.close()";
        let null = Stdio::null();
        Self(Command::new("python3").args(["-c", script]).stdout(null).spawn().unwrap())
    }
}

impl Drop for Flood {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn who_listens_and_ceases_to_without_an_end_keeps_nothing_else_from_being_told() {
    require!(Need::Root, Need::Overlay, CONNECTOR, BPF);
    let watching = Watching::by(SourceChoice::Bpf, by_events());
    let floods: Vec<Flood> = (0..2).map(|_| Flood::start()).collect();
    for port in 7620..7623 {
        let c = python(&format!("in-the-listen-flood-{port}"), &format!("s = late({port}, 0.5)"));
        let (found, _) = watching.until(|update| listener(update, port));
        assert_eq!(found.owner, Some(c.process.id()));
        listened_in(&c);
    }
    drop(floods);
    let watch = watching.end();
    assert!(watch.chart().unwrap().listeners.len() < 10_000);
}

#[test]
fn what_cannot_be_kept_is_told_as_lost_and_nothing_is_left_behind() {
    require!(Need::Root, BPF);
    let own = std::process::id().cast_signed();
    let mut events = ListenEvents::open().unwrap();
    let (mut told, mut all) = (Vec::new(), true);
    for _ in 0..3000 {
        drop(std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    }
    for _ in 0..3 {
        all &= events.read(&mut told);
    }
    assert!(!all, "six thousand do not fit");
    assert!((4000..8192).contains(&told.len()), "{}", told.len());
    assert!(told.contains(&own) && told.iter().all(|pid| *pid > 0), "{told:?}");
    // It goes on.
    told.clear();
    while !events.read(&mut told) {}
    told.clear();
    let _listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    events.read(&mut told);
    assert!(told.contains(&own));
    // A connection is neither.
    let (listener, mut count) = (std::net::TcpListener::bind("127.0.0.1:0").unwrap(), Vec::new());
    while !events.read(&mut count) {}
    count.clear();
    for _ in 0..50 {
        let _client = std::net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let _server = listener.accept().unwrap();
    }
    events.read(&mut count);
    assert!(count.iter().filter(|pid| **pid == own).count() < 50, "{count:?}");
}
