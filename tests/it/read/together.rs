//! Many requests at once, and what they leave behind.

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use portolan::{ErrorKind, ReadOptions};
use portolan_world::need::Need;
use portolan_world::{World, require};

use crate::inside::{Inside, SOON, files};
use crate::oracle;

#[test]
fn requests_of_many_threads_to_many_containers_get_each_its_own_answer() {
    require!(Need::Root, Need::Overlay);
    let containers = ["together-0", "together-1", "together-2", "together-3"].map(|name| {
        let c = Inside::start(&World::new(name).file("/app/name", name.repeat(5000)));
        (name, c)
    });
    thread::scope(|scope| {
        for thread in 0..8 {
            let containers = &containers;
            scope.spawn(move || {
                for round in 0..20 {
                    let (name, c) = &containers[(thread + round) % 4];
                    let read = files().read(&c.process, "/app/name", &ReadOptions::default());
                    assert!(read.unwrap().bytes == name.repeat(5000).into_bytes(), "{name}");
                    let none = files().read(&c.process, "/app/none", &ReadOptions::default());
                    assert_eq!(none.unwrap_err().kind(), ErrorKind::NotFound);
                }
            });
        }
    });
    for (_, c) in &containers {
        alone(c);
    }
}

#[test]
fn requests_that_were_given_up_leave_no_process_behind() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("given-up").file("/app/file", "x"));
    for pid_namespace in [false, true] {
        for micros in [1, 500, 1000, 1500, 2000, 3000, 5000] {
            let mut how = ReadOptions::default().timeout(Duration::from_micros(micros));
            how.pid_namespace = pid_namespace;
            match c.read("/app/file", &how) {
                Ok(content) => assert_eq!(content.bytes, b"x"),
                Err(kind) => assert_eq!(kind, ErrorKind::Timeout, "{micros} microseconds"),
            }
        }
    }
    alone(&c);
}

/// Nobody but the container's first process is in its mount namespace.
#[track_caller]
fn alone(c: &Inside) {
    let mnt = oracle::namespace(c.pid(), "mnt");
    let others = || -> Vec<String> {
        let all =
            fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let numbers = all.filter(|name| name.parse::<i32>().is_ok_and(|pid| pid != c.pid()));
        let inside = numbers.filter(|pid| {
            let link = fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
            link.and_then(|link| oracle::number_of_link(link.to_str()?)) == Some(mnt)
        });
        inside.collect()
    };
    let start = Instant::now();
    while !others().is_empty() {
        assert!(start.elapsed() < SOON, "still inside: {:?}", others());
        thread::sleep(Duration::from_millis(2));
    }
}
