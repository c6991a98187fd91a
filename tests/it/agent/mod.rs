//! The example agent (`examples/agent.rs`) on real services, in containers of real runtimes that have no network but
//! their loopback, and on the host.
//!
//! What it prints is read by a strict parser, and held against what each service says of itself before and after.
//!
//! # Layout
//! - `docker`, `podman`, `lxc`, `host`: where the services run, a test each
//! - `start.sh`: what runs in a container
//! - `exposition`: the text format of Prometheus
//! - `words`: what the services say of themselves, through their own programs

mod docker;
mod exposition;
mod host;
mod lxc;
mod podman;
mod words;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use exposition::Exposition;
use portolan_world::need::Need;

use crate::command::{Ran, helper, run};

/// What runs in a container, by the agent's names.
const KINDS: [&str; 5] = ["mariadb", "memcached", "nginx", "postgresql", "redis"];
const PASSWORDS: [(&str, &str); 3] = [
    ("PORTOLAN_POSTGRESQL", "monitor:pg-s3cr3t"),
    ("PORTOLAN_MARIADB", "monitor:my-s3cr3t"),
    ("PORTOLAN_REDIS", ":re-s3cr3t"),
];
/// Databases take their time to make themselves, and more beside other tests.
const PATIENCE: Duration = Duration::from_secs(120);

/// What all suites here need, besides their runtime.
const NEEDS: [Need; 9] = [
    Need::Root,
    Need::Program("redis-server"),
    Need::Program("nginx"),
    Need::Program("memcached"),
    Need::Program("mariadbd"),
    Need::Program("psql"),
    Need::Program("ss"),
    Need::Program("setpriv"),
    Need::Program("nsenter"),
];

/// Returns from the test, and says so, unless all that it needs is there.
macro_rules! needs {
    ($($need:expr),* $(,)?) => {
        fn here() {}
        let test = std::any::type_name_of_val(&here).trim_end_matches("::here");
        if !portolan_world::need::require(test, &[&super::NEEDS[..], &[$($need),*]].concat()) {
            return;
        }
    };
}
use needs;

/// The example, which cargo builds with the tests.
fn binary() -> PathBuf {
    let beside = || {
        let test = std::env::current_exe().unwrap();
        test.ancestors().nth(2).unwrap().join("examples/agent")
    };
    let path = std::env::var_os("PORTOLAN_AGENT").map_or_else(beside, PathBuf::from);
    assert!(path.is_file(), "{} is not there: cargo build --example agent", path.display());
    path
}

/// The agent, once, with these variables.
#[track_caller]
fn agent(variables: &[(&str, &str)], arguments: &[&str]) -> (Exposition, Ran) {
    let mut command = Command::new(binary());
    command.env("PORTOLAN_HELPER", helper()).envs(variables.iter().copied()).arg("--once").args(arguments);
    let ran = run(&mut command, b"");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let text = String::from_utf8(ran.stdout.clone()).unwrap();
    for secret in ["s3cr3t", "wrong-password"] {
        assert!(!text.contains(secret) && !ran.stderr.contains(secret), "a password is told: {ran:?}");
    }
    (Exposition::parse(&text), ran)
}

/// Waits until all services of a container answer.
#[track_caller]
fn wait_ready(pid: i32) {
    let start = Instant::now();
    let root = PathBuf::from(format!("/proc/{pid}/root/data"));
    while !root.join("ready").exists() {
        let said = |kind: &str| std::fs::read_to_string(root.join("log").join(kind)).unwrap_or_default();
        assert!(
            start.elapsed() < PATIENCE && Path::new(&format!("/proc/{pid}")).exists(),
            "not ready: {:#?}",
            KINDS.map(|kind| (kind, said(kind)))
        );
        sleep(Duration::from_millis(50));
    }
}

/// Every service of a container is up, and each of its numbers is true.
#[track_caller]
fn tells_the_truth(container: &str, pid: i32) {
    wait_ready(pid);
    let before = KINDS.map(|kind| words::of(kind, pid));
    let (told, ran) = agent(&PASSWORDS, &[]);
    let after = KINDS.map(|kind| words::of(kind, pid));
    for ((kind, before), after) in KINDS.iter().zip(before).zip(after) {
        let up = told.sample("portolan_up", container, kind);
        assert_eq!(up.value, 1.0, "{kind}: {ran:?}");
        for label in ["pid", "version"] {
            assert!(up.labels.contains_key(label), "no {label}: {up:?}");
        }
        let metrics = told.metrics_of(container, kind);
        assert_eq!(metrics.len(), 10, "{kind}: {metrics:#?}");
        let positive = metrics.values().filter(|value| **value > 0.0).count();
        assert!(positive >= 3, "{kind}: {metrics:#?}");
        let mut compared = 0;
        for (name, value) in &metrics {
            let own = name.strip_prefix(&format!("{kind}_")).unwrap();
            let Some(own) = own.strip_suffix("_total") else { continue };
            let (Some(before), Some(after)) = (before.get(own), after.get(own)) else {
                panic!("{kind} does not tell {own}: {before:?}");
            };
            assert!(before <= value && value <= after, "{name} is {value}, not in {before}..={after}");
            compared += 1;
        }
        assert!(compared >= 3, "{kind}: {metrics:#?}");
    }
}
