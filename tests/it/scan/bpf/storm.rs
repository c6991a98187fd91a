//! Processes that come and go, and take each other's numbers, while passes are made.

use std::process::Command;

use portolan::Local;
use portolan_world::need::Need;
use portolan_world::{World, require};

use crate::command::run;
use crate::inside::Inside;
use crate::scan::outside::Outside;
use crate::scan::{container, in_namespace};
use crate::scratch::Scratch;
use crate::{oracle, servers};

use super::forced;
use super::types::PLACE;

/// Starts a program made of the text beside this file.
fn storm(scratch: &Scratch, number: i32) -> Outside {
    Outside::start(Command::new(scratch.join("storm")).arg(number.to_string())).0
}

/// A number that nothing has, far from the next ones.
fn free_number() -> i32 {
    let last: i32 = std::fs::read_to_string("/proc/loadavg")
        .unwrap()
        .rsplit(' ')
        .next()
        .and_then(|number| number.trim().parse().ok())
        .unwrap();
    let most: i32 = std::fs::read_to_string("/proc/sys/kernel/pid_max").unwrap().trim().parse().unwrap();
    let free = |number: &i32| !std::path::Path::new(&format!("/proc/{number}")).exists();
    let half = most / 2;
    (1000..half).map(|step| 1000 + (last + half + step) % (most - 1001)).find(free).unwrap()
}

#[test]
#[ignore = "it floods every pass over the host: tests/run.sh runs it alone"]
fn a_number_that_is_used_again_takes_over_nothing_of_who_had_it() {
    require!(Need::Root, Need::Overlay, Need::Program("cc"), Need::Program("sh"), Need::File(PLACE));
    let scratch = Scratch::new();
    scratch.file("storm.c", include_str!("storm.c"));
    let mut cc = Command::new("cc");
    run(cc.current_dir(scratch.path()).args(["-O1", "-Wall", "-o", "storm", "storm.c"]), b"").done();
    let world = servers::banner(World::new("in-the-bpf-storm"), "", &[("127.0.0.1", 7401), ("::", 7402)]);
    let c = Inside::start(&world);
    c.wait_log("listening");
    let netns = oracle::namespace(c.pid(), "net");
    let _same = storm(&scratch, free_number());
    let _any = storm(&scratch, 0);
    let exec = "echo ready; while :; do sh -c 'exec sh -c :' & sh -c 'exec true'; wait; done";
    let (_exec, _) = Outside::start(Command::new("sh").args(["-c", exec]));
    let mut scanner = forced();
    let (mut seen, mut named, mut without) = (0, 0, 0);
    for round in 0..100 {
        let chart = if round % 2 == 0 { scanner.scan() } else { forced().scan() }.unwrap();
        assert_eq!(chart.source.to_string(), "bpf");
        let found = container(&chart, c.pid());
        assert_eq!(found.processes, 1);
        let own: Vec<_> = in_namespace(&chart, netns).into_iter().map(|l| (l.port(), l.owner)).collect();
        let owner = Some(c.process.id());
        assert_eq!(own, [(Some(7401), owner), (Some(7402), owner)], "round {round}: {:?}", chart.faults);
        for listener in &chart.listeners {
            let Local::Abstract(name) = &listener.local else { continue };
            let name = String::from_utf8_lossy(name).into_owned();
            let Some(said) = name.strip_prefix("storm-") else { continue };
            let (kind, rest) = said.split_once('-').unwrap();
            seen += 1;
            let Some(owner) = listener.owner else {
                without += 1;
                continue;
            };
            // Whoever is called so listens so; it may have been seen before it had its name.
            assert_eq!(rest.split('-').next().unwrap(), owner.pid.to_string(), "round {round}: {listener:?}");
            let command = listener.command.as_deref().unwrap();
            assert!(command == kind || command == "storm", "round {round}: {listener:?}");
            named += usize::from(command == kind);
        }
    }
    println!("{seen} listeners of the storm were seen, {named} with a name, {without} without an owner");
    assert!(named > 5, "only {named}: there was no storm");
}
