//! Dialing from many tasks at once: every thread is at home afterwards, and nothing is left open.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, Instant};

use portolan::{ErrorKind, NetError};
use portolan_world::need::Need;
use portolan_world::{World, require};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::runtime::{Builder, Runtime};

use super::{TIMEOUT, address, dialer};
use crate::inside::{Inside, SOON};
use crate::{oracle, servers};

const WORKER: &str = "it-dial-worker";

pub(super) fn runtime() -> Runtime {
    Builder::new_multi_thread().worker_threads(4).thread_name(WORKER).enable_all().build().unwrap()
}

#[test]
fn three_thousand_dials_from_many_tasks_leave_every_thread_at_home_and_nothing_open() {
    require!(Need::Root, Need::Overlay, Need::Program("ss"));
    let names = ["tasks-0", "tasks-1", "tasks-2", "tasks-3"];
    let containers = names.map(|name| {
        let c = Inside::start(&servers::banner(World::new(name), name, &[("127.0.0.1", 7040)]));
        c.wait_log("listening");
        c
    });
    let runtime = runtime();
    runtime.block_on(async {
        let dialers: Vec<_> = containers.iter().map(dialer).collect();
        let tasks: Vec<_> = (0..32)
            .map(|task| {
                let dialers = dialers.clone();
                tokio::spawn(async move {
                    for round in 0..100 {
                        let at = (task + round) % 4;
                        let to = address("127.0.0.1:7040");
                        let mut stream = dialers[at].connect_async(to, SOON).await.unwrap();
                        let mut banner = [0; 7];
                        stream.read_exact(&mut banner).await.unwrap();
                        assert_eq!(banner, names[at].as_bytes());
                        if round % 10 == 0 {
                            stream.write_all(b"echo").await.unwrap();
                            stream.read_exact(&mut banner[..4]).await.unwrap();
                            assert_eq!(&banner[..4], b"echo");
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    // The runtime's own threads have nothing to do any more, so where they are is where they stay.
    let home = oracle::namespace("self", "net");
    let workers: Vec<(String, u64)> = threads().into_iter().filter(|(name, _)| name == WORKER).collect();
    assert!(workers.len() >= 4 && workers.iter().all(|(_, netns)| *netns == home), "{workers:?}");
    every_thread_comes_home(home);
    drop(runtime);
    for c in &containers {
        nothing_is_open(c);
    }
}

#[test]
fn a_dial_that_is_dropped_closes_its_socket() {
    require!(Need::Root, Need::Overlay, Need::Program("ss"));
    // Its queue is full, so that dials wait.
    let text = "
import socket, time
listener = socket.socket(); listener.bind(('127.0.0.1', 7041)); listener.listen(0)
waiting = []
for _ in range(4):
    client = socket.socket(); client.setblocking(False)
    client.connect_ex(('127.0.0.1', 7041)); waiting.append(client)
print('deaf', flush=True)
time.sleep(1000)";
    let c = Inside::start(&servers::python(World::new("dropped"), text));
    c.wait_log("deaf");
    let dialer = dialer(&c);
    runtime().block_on(async {
        for _ in 0..20 {
            let dial = dialer.connect_async(address("127.0.0.1:7041"), TIMEOUT);
            assert!(tokio::time::timeout(Duration::from_millis(5), dial).await.is_err());
        }
        let (start, timeout) = (Instant::now(), Duration::from_millis(200));
        let outcome = dialer.connect_async(address("127.0.0.1:7041"), timeout).await;
        assert_eq!(outcome.map(drop).map_err(|error| error.kind()), Err(ErrorKind::Timeout));
        assert!(start.elapsed() < timeout + Duration::from_millis(250), "{:?}", start.elapsed());
        let refused = dialer.connect_async(address("127.0.0.1:7042"), TIMEOUT).await;
        let kind = refused.map(drop).map_err(|error| error.kind());
        assert_eq!(kind, Err(ErrorKind::Net(NetError::Refused)));
    });
    drop(dialer);
    nothing_is_open(&c);
}

/// Name and network namespace of every thread of this process.
fn threads() -> Vec<(String, u64)> {
    let tasks = fs::read_dir("/proc/self/task").unwrap();
    tasks
        .filter_map(|task| {
            let task = task.unwrap().path();
            // A thread can end while it is looked at.
            let link = fs::read_link(task.join("ns/net")).ok()?;
            let name = fs::read_to_string(task.join("comm")).ok()?;
            Some((name.trim_end().to_owned(), oracle::number_of_link(link.to_str()?)?))
        })
        .collect()
}

/// Other tests may be inside at this very moment, but none may stay there.
#[track_caller]
pub(super) fn every_thread_comes_home(home: u64) {
    let start = Instant::now();
    loop {
        let away: Vec<_> = threads().into_iter().filter(|(_, netns)| *netns != home).collect();
        if away.is_empty() {
            return;
        }
        assert!(start.elapsed() < SOON, "away from home: {away:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// This process holds neither the container's namespace nor its process nor a socket of it.
#[track_caller]
pub(super) fn nothing_is_open(c: &Inside) {
    let netns = format!("net:[{}]", oracle::namespace(c.pid(), "net"));
    let pattern = "state established state syn-sent";
    let list: Vec<&str> = ["ss", "-HOtnp"].into_iter().chain(pattern.split(' ')).collect();
    let owner = format!("pid={},", std::process::id());
    let start = Instant::now();
    loop {
        let links = fs::read_dir("/proc/self/fd").unwrap();
        let links = links.filter_map(|fd| fs::read_link(fd.unwrap().path()).ok());
        let links: Vec<String> = links.map(|link| link.display().to_string()).collect();
        let held = links.iter().filter(|link| **link == netns).count();
        // The test itself holds the process once.
        let own = format!("/proc/{}", c.pid());
        let processes = links.iter().filter(|link| **link == own).count();
        let listed = String::from_utf8(oracle::nsenter(c.pid(), &["-n"], &list)).unwrap();
        let sockets: BTreeSet<&str> = listed.lines().filter(|line| line.contains(&owner)).collect();
        if held == 0 && processes <= 1 && sockets.is_empty() {
            return;
        }
        // A scan of another test may hold any namespace for a moment.
        assert!(start.elapsed() < SOON, "{held} namespaces, {processes} processes, {sockets:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
