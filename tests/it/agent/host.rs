//! A service of the host itself, beside one at the same address inside a container.

use std::process::Command;

use portolan_world::{World, need::Need, require};

use super::agent;
use crate::inside::{Inside, SOON};
use crate::runtimes::process::Process;
use crate::runtimes::rootfs::port;
use crate::scratch::Scratch;
use nix::sys::signal::Signal;

#[test]
fn a_service_of_the_host_is_told_from_one_inside_at_the_same_address() {
    require!(Need::Root, Need::Overlay, Need::Program("redis-server"), Need::Program("redis-cli"));
    let (port, scratch) = (port().to_string(), Scratch::new());
    let options = ["--port", &port, "--bind", "127.0.0.1", "--save", "", "--dir"];
    let mut redis = Command::new("redis-server");
    redis.args(options).arg(scratch.path());
    let mut host = Process::start(&mut redis, Signal::SIGTERM, &scratch.join("log"));
    let inside = ["redis-server"].into_iter().chain(options).chain(["/tmp"]);
    let world = Inside::start(&World::new("agent-beside").command(inside));
    let client = |arguments: &[&str]| {
        let mut client = Command::new("redis-cli");
        client.args(["-p", &port]).args(arguments);
        client
    };
    host.wait_for("answer", || client(&["ping"]).output().ok().filter(|o| o.stdout == b"PONG\n"));
    // The one inside has had a thousand clients, the host's has not.
    let start = std::time::Instant::now();
    while !world.shell(&format!("redis-cli -p {port} ping || true")).contains("PONG") {
        assert!(start.elapsed() < SOON, "{}", world.container.log());
    }
    world.shell(&format!(
        "i=0; while [ $i -lt 100 ]; do redis-cli -p {port} ping >/dev/null; i=$((i+1)); done"
    ));
    let (told, ran) = agent(&[], &[]);
    let counted = |pid: i32| {
        let all = told.named("redis_total_connections_received_total");
        let own: Vec<_> = all.into_iter().filter(|sample| sample.labels["pid"] == pid.to_string()).collect();
        assert_eq!(own.len(), 1, "{told:#?} {ran:?}");
        own[0].clone()
    };
    let (of_host, of_world) = (counted(host.pid()), counted(world.pid()));
    assert_eq!(of_host.labels.get("container"), None, "{of_host:?}");
    assert_eq!(of_world.labels.get("container").map(String::as_str), Some("agent-beside"), "{of_world:?}");
    assert!(of_host.value < 100.0 && of_world.value >= 100.0, "{of_host:?} {of_world:?}");
}
