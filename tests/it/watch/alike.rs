//! After many changes, what a watch knows is what a new scan finds.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use portolan::{Container, Inventory, Listener};
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::{LATE, Watching, by_events};
use crate::inside::Inside;
use crate::scan::ways;
use crate::{scan, servers};

/// The containers of this test and their listeners, as far as an update tells of them.
fn ours(chart: &Inventory) -> (Vec<Container>, Vec<Listener>) {
    let is_ours = |c: &&Container| c.hostname.as_ref().is_some_and(|name| name.starts_with("alike-"));
    let mut containers: Vec<Container> = chart.containers.iter().filter(is_ours).cloned().collect();
    for container in &mut containers {
        container.processes = 0;
    }
    let listeners = containers.iter().flat_map(|c| chart.listeners_of(&c.id)).cloned().collect();
    (containers, listeners)
}

/// A process that joins a container and listens there.
struct Guest(Child);

impl Guest {
    fn join(pid: i32, port: u16) -> Self {
        let mut nsenter = Command::new("nsenter");
        nsenter.args(["-t", &pid.to_string(), "-a", "python3", "-c"]);
        nsenter.arg(format!("{LATE}\ns = late({port}, 0.02)\ntime.sleep(1000)"));
        Self(nsenter.stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn after_many_changes_it_is_what_a_scan_finds() {
    require!(Need::Root, Need::Overlay, Need::File("/proc/net/connector"));
    for way in ways() {
        let watching = Watching::by(way, by_events());
        let (mut containers, mut guests): (Vec<Inside>, Vec<Guest>) = (Vec::new(), Vec::new());
        // A fixed sequence that looks like none.
        let mut state = 0x2545_f491_u32;
        let mut random = |below: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            usize::try_from(state >> 8).unwrap() % below
        };
        for step in 0..40_u16 {
            let port = 7600 + step;
            match random(6) {
                0 | 1 => {
                    let script = format!("{LATE}\ns = late({port}, 0.05)\ntime.sleep(1000)");
                    let world = servers::python(World::new(format!("alike-{step}")), &script);
                    containers.push(Inside::start(&world));
                }
                2 if containers.len() > 2 => drop(containers.swap_remove(random(containers.len()))),
                3 if !guests.is_empty() => drop(guests.swap_remove(random(guests.len()))),
                4 if !containers.is_empty() => {
                    let output = containers[random(containers.len())].container.exec(["true"]).unwrap();
                    assert!(output.status.success());
                }
                _ if !containers.is_empty() => {
                    guests.push(Guest::join(containers[random(containers.len())].pid(), port));
                }
                _ => {}
            }
            std::thread::sleep(Duration::from_millis(u64::try_from(random(60)).unwrap()));
        }
        assert!(containers.len() > 1 && !guests.is_empty());
        // The last of them takes some time to start, and is told after that.
        std::thread::sleep(Duration::from_secs(3));
        let watch = watching.end();
        let (known, found) = (ours(watch.chart().unwrap()), ours(&scan::by(way)));
        assert_eq!(known.0, found.0);
        assert_eq!(known.1, found.1);
        assert!(found.0.len() == containers.len() && found.1.len() >= containers.len(), "{found:?}");
    }
}
