//! Against `docker exec`, where there is a Docker daemon's program: a daemon of our own is started for it.

#[path = "../it/runtimes/engine.rs"]
mod engine;
#[path = "../it/runtimes/place.rs"]
mod place;
#[path = "../it/runtimes/process.rs"]
mod process;
#[path = "../it/runtimes/rootfs.rs"]
mod rootfs;
#[path = "../it/runtimes/tool.rs"]
mod tool;
#[path = "../it/runtimes/traces.rs"]
mod traces;

use std::time::{Duration, Instant};

use portolan::{Files, Process, ReadOptions};

use crate::command::helper;
use crate::{Budget, take_turns};

fn name(what: &str) -> String {
    format!("portolan-bench-{}-{what}", std::process::id())
}

pub(crate) fn budgets() -> Vec<Budget> {
    if tool::attempt(tool::tool("dockerd").arg("--version")).is_none() {
        println!("{:<62}", "one served read / docker exec cat: not run, no dockerd");
        return Vec::new();
    }
    let engine = engine::Engine::start();
    let container = engine.run(&["--network", "none"], &["sleep", "1000"]);
    let process = Process::open(engine.pid(&container)).unwrap();
    let files = Files::with_helper(&helper()).unwrap();
    let path = "/etc/app/app.conf";
    let timed = |run: &dyn Fn() -> usize| -> Duration {
        let start = Instant::now();
        let length = run();
        let took = start.elapsed();
        assert!(length > 10);
        took
    };
    let (ours, peer) = take_turns(
        60,
        20,
        || timed(&|| files.read(&process, path, &ReadOptions::default()).unwrap().bytes.len()),
        || {
            timed(&|| {
                let output =
                    engine.docker().args(["exec", &container, "busybox", "cat", path]).output().unwrap();
                assert!(output.status.success(), "{output:?}");
                output.stdout.len()
            })
        },
    );
    vec![Budget::ratio("one served read / docker exec ID cat FILE", ours.at(50), peer.at(50), 1.0 / 400.0)]
}
