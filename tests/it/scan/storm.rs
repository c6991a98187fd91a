//! Processes and containers that come and go while the host is scanned.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use portolan::ErrorKind;
use portolan_world::need::Need;
use portolan_world::{World, require};

use crate::inside::Inside;
use crate::servers;

use super::{by, container, ways};

#[test]
fn processes_that_vanish_during_a_scan_never_cost_it_what_stays() {
    require!(Need::Root, Need::Overlay);
    for way in ways() {
        let chart = || by(way);
        let world = servers::banner(World::new("in-the-storm"), "", &[("127.0.0.1", 7400)]);
        let c = Inside::start(&world);
        c.wait_log("listening");
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            let storm = |program: &'static str, arguments: &'static [&'static str]| {
                let over = &over;
                scope.spawn(move || {
                    while !over.load(Ordering::Relaxed) {
                        let children: Vec<_> = (0..8)
                            .map(|_| {
                                Command::new(program).args(arguments).stdin(Stdio::null()).spawn().unwrap()
                            })
                            .collect();
                        for mut child in children {
                            // Some are killed, some end by themselves.
                            if child.id() % 2 == 0 {
                                let _ = child.kill();
                            }
                            child.wait().unwrap();
                        }
                    }
                });
            };
            storm("true", &[]);
            storm("unshare", &["-m", "-n", "-p", "--fork", "--kill-child", "true"]);
            // Also when a check below fails, or the storm would go on for ever.
            let _calm = Calm(&over);
            for _ in 0..50 {
                let chart = chart();
                let found = container(&chart, c.pid());
                let listeners: Vec<_> = chart.listeners_of(&found.id).collect();
                assert_eq!(listeners.len(), 1, "{:?}", chart.faults);
                assert_eq!(listeners[0].owner, Some(c.process.id()));
                for fault in &chart.faults {
                    let vanished = fault.kind == ErrorKind::TargetGone;
                    // Process 1 may be one that not even root may look at, and so are its forks, which are few.
                    let few = fault.first == 1 || fault.count <= 2;
                    let denied = fault.kind == ErrorKind::PermissionDenied && first_is_hidden() && few;
                    assert!(vanished || denied, "{fault:?}");
                    assert!(fault.count > 0);
                }
            }
        });
    }
}

/// Whether not even root may look at process 1.
fn first_is_hidden() -> bool {
    let link = std::fs::read_link("/proc/1/ns/mnt");
    link.is_err_and(|error| error.kind() == std::io::ErrorKind::PermissionDenied)
}

struct Calm<'a>(&'a AtomicBool);

impl Drop for Calm<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
