//! Many requests at once or one after another, by threads and by tasks.

use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;
use portolan::{Batch, ErrorKind, GlobOptions, ReadOptions};
use portolan_world::World;
use portolan_world::need::Need;
use portolan_world::require;

use super::{children, count, door, guests, is_gone, known, mute, own_pid, patient, plain, reads, server};
use super::{servers_of, signal, wait_until};
use crate::inside::{Inside, SOON};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap()
}

fn named(names: [&str; 4]) -> [Inside; 4] {
    names.map(|name| Inside::start(&World::new(name).file("/app/name", name.repeat(1000))))
}

const NAMES: [&str; 4] = ["many-0", "many-1", "many-2", "many-3"];

#[test]
fn requests_of_sixteen_threads_get_each_its_own_answer() {
    require!(Need::Root, Need::Overlay);
    alone!();
    let (files, containers) = (door(), named(NAMES));
    let how = ReadOptions::default().timeout(SOON);
    files.read(&containers[0].process, "/app/name", &how).unwrap();
    thread::scope(|scope| {
        for thread in 0..16 {
            let (files, containers, how) = (&files, &containers, &how);
            scope.spawn(move || {
                for round in 0..40 {
                    let at = (thread + round) % 4;
                    let process = &containers[at].process;
                    let content = files.read(process, "/app/name", how).unwrap();
                    assert!(content.bytes == NAMES[at].repeat(1000).into_bytes());
                    let none = files.read(process, "/app/none", how).unwrap_err();
                    assert_eq!(none.kind(), ErrorKind::NotFound);
                    let found = files.glob(process, "/app/*", &GlobOptions::default().timeout(SOON)).unwrap();
                    assert_eq!(found.entries.len(), 1);
                }
            });
        }
    });
    server();
    for c in &containers {
        wait_until("nobody is left inside", || guests(c).is_empty());
    }
}

#[test]
fn requests_of_sixty_four_tasks_get_each_its_own_answer() {
    require!(Need::Root, Need::Overlay);
    alone!();
    let (files, containers, runtime) = (door(), named(NAMES), runtime());
    let (files, processes) = (std::sync::Arc::new(files), containers.each_ref().map(|c| c.process.id()));
    let how = ReadOptions::default().timeout(SOON);
    files.read(&containers[0].process, "/app/name", &how).unwrap();
    runtime.block_on(async {
        let tasks = (0..64).map(|task| {
            let (files, how) = (std::sync::Arc::clone(&files), how.clone());
            tokio::spawn(async move {
                for round in 0..20 {
                    let at = (task + round) % 4;
                    let process = portolan::Process::reopen(processes[at]).unwrap();
                    let content = files.read_async(&process, "/app/name", &how).await.unwrap();
                    assert!(content.bytes == NAMES[at].repeat(1000).into_bytes());
                    let batch = Batch::new().stat("/app/name").read("/app/none").timeout(SOON);
                    let both = files.batch_async(&process, &batch).await.unwrap();
                    assert!(both[0].is_ok() && both[1].is_err());
                }
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
    });
    drop(runtime);
    assert_eq!(servers_of(own_pid()).len(), 1);
    for c in &containers {
        wait_until("nobody is left inside", || guests(c).is_empty());
    }
}

#[test]
fn the_first_requests_of_many_threads_start_one_server() {
    require!(Need::Root, Need::Overlay);
    alone!();
    let c = plain("first-requests");
    for round in 0..500 {
        let files = door();
        thread::scope(|scope| {
            for thread in 0..16 {
                let (files, c) = (&files, &c);
                scope.spawn(move || {
                    thread::sleep(Duration::from_micros(thread * 100));
                    reads(files, c);
                });
            }
        });
        server();
        drop(files);
        assert_eq!(servers_of(own_pid()), [0; 0], "{round}");
    }
}

#[test]
fn tasks_that_are_dropped_leave_nothing_behind() {
    require!(Need::Root, Need::Overlay, Need::File("/dev/fuse"));
    alone!();
    let (files, c, runtime) = (door(), mute("dropped"), runtime());
    let hang = patient(Duration::from_millis(400));
    runtime.block_on(async {
        files.read_async(&c.process, "/app/file", &ReadOptions::default().timeout(SOON)).await.unwrap();
    });
    let descriptors = count("/proc/self/fd");
    runtime.block_on(async {
        for micros in [0, 100, 300, 600, 1000, 2000, 5000, 20_000] {
            for path in ["/app/file", "/hang/file", "/app/none"] {
                let asked = files.read_async(&c.process, path, &hang);
                let outcome = tokio::time::timeout(Duration::from_micros(micros), asked).await;
                if path == "/hang/file" {
                    // Dropped, or refused because two wait there already.
                    let kind = outcome.map(|outcome| outcome.unwrap_err().kind());
                    assert!(kind.is_err() || kind == Ok(ErrorKind::Busy), "{kind:?}");
                }
            }
        }
        tokio::select! {
            outcome = files.read_async(&c.process, "/hang/file", &hang) => panic!("{outcome:?}"),
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
        }
    });
    wait_until("nobody is left inside", || guests(&c).is_empty() && files.stuck() == 0);
    reads(&files, &c);
    wait_until("all descriptors are closed", || count("/proc/self/fd") == descriptors);
}

#[test]
fn three_thousand_requests_leave_nothing_behind() {
    require!(Need::Root, Need::Overlay);
    alone!();
    let (files, c) = (door(), plain("three-thousand"));
    let processes = children(own_pid());
    let how = ReadOptions::default().timeout(SOON);
    let round = |number: usize| {
        let path = if number.is_multiple_of(3) { "/app/none" } else { "/app/file" };
        let outcome = files.read(&c.process, path, &how).map_err(|error| error.kind());
        assert_eq!(outcome.is_ok(), !number.is_multiple_of(3));
    };
    (0..20).for_each(round);
    let (descriptors, threads) = (count("/proc/self/fd"), count("/proc/self/task"));
    let old = known(server());
    (0..3000).for_each(round);
    assert_eq!((count("/proc/self/fd"), count("/proc/self/task")), (descriptors, threads));
    assert_eq!(known(server()), old);
    let mut now = children(own_pid());
    now.retain(|pid| !processes.contains(pid));
    assert_eq!(now, [old.0]);
    wait_until("its children have ended", || children(old.0).is_empty());
    assert!(guests(&c).is_empty());
    // Their ends were collected: no zombies.
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", old.0)).unwrap();
    assert!(stat.contains(") S "), "{stat}");
}

#[test]
fn dropping_the_door_ends_the_server_and_its_thread() {
    require!(Need::Root, Need::Overlay);
    alone!();
    let c = plain("dropped-door");
    // Never used: nothing to end.
    drop(door());
    let (descriptors, threads) = (count("/proc/self/fd"), count("/proc/self/task"));
    for round in 0..10 {
        let files = door();
        assert_eq!(servers_of(own_pid()), [0; 0], "none before it is needed");
        reads(&files, &c);
        let old = known(server());
        if round % 3 == 1 {
            signal(old.0, Signal::SIGSTOP);
        }
        if round % 3 == 2 {
            signal(old.0, Signal::SIGKILL);
        }
        drop(files);
        wait_until("it is gone", || is_gone(old));
        assert_eq!(servers_of(own_pid()), [0; 0]);
    }
    wait_until("nothing is left", || {
        (count("/proc/self/fd"), count("/proc/self/task")) == (descriptors, threads)
    });
    wait_until("nobody is left inside", || guests(&c).is_empty());
}
