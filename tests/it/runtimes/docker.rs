//! Docker, with its data where no one expects it.

use std::fs;

use portolan_world::need::Need;
use portolan_world::require;
use serde_json::json;

use super::chart::Chart;
use super::engine::{Engine, IMAGE, parent};
use super::rootfs::{self, PAGE};
use super::told::Told;
use super::tool::told;
use crate::command::{command, run};
use crate::oracle;

/// A container with no network but its own loopback.
pub(super) fn isolated(engine: &Engine, what: &str, options: &[&str]) -> Told {
    let (name, port) = (super::name(what), rootfs::port());
    let id = engine
        .run(&[&["--name", &name, "--network", "none"], options].concat(), &rootfs::httpd("/srv/www", port));
    assert_eq!(engine.inspect(&name, "{{.Id}}"), id);
    let pid = engine.pid(&id);
    Told::new("docker", id, Some(name), pid, port)
}

// One test, because what takes long is the daemon, and it serves all of them.
#[test]
fn docker_containers_are_what_their_daemon_says() {
    require!(Need::Root, Need::Program("dockerd"), Need::Program("docker"), Need::Program("busybox"));
    let _turn = super::turn();
    let engine = Engine::start();
    let plain = isolated(&engine, "plain", &[]);
    let chart = plain.check();
    assert_eq!(chart.container_of(plain.pid)["image"], IMAGE);
    the_hosts_namespaces_hide_nothing(&engine);
    a_second_program_does_not_become_the_first(&engine, &plain);
    a_paused_container_can_be_read(&engine, &plain);
    a_removed_container_is_not_found(&engine, &plain);
    a_custom_parent_hides_nothing(&engine);
}

/// With the host's network and pids, the control group and the mounts are all that sets a container apart.
#[track_caller]
fn the_hosts_namespaces_hide_nothing(engine: &Engine) {
    let (name, port) = (super::name("host"), rootfs::port());
    let id = engine
        .run(&["--name", &name, "--network", "host", "--pid", "host"], &rootfs::httpd("/srv/www", port));
    let pid = engine.pid(&id);
    let container = Told::new("docker", id.clone(), Some(name), pid, port);
    container.wait_listening();
    let chart = Chart::now();
    container.check_container(&chart);
    assert_eq!(oracle::namespace(pid, "net"), oracle::namespace("self", "net"));
    assert_eq!(oracle::namespace(pid, "pid"), oracle::namespace("self", "pid"));
    // The host's loopback is its own as well: the listener is the container's, and leads nowhere else.
    let listener = container.listener(&chart);
    let known = (&listener["container"], &listener["reach"], &listener["pid"]);
    assert_eq!(known, (&json!(id), &json!("loopback"), &json!(pid)));
    for target in container.targets() {
        assert_eq!(container.cat(&target, "/etc/app/app.conf"), rootfs::CONFIG, "{target}");
    }
    // What is dialed there is the host: only who says so gets that.
    let dialed = run(&mut command(["dial", &id, &port.to_string()]), b"GET / HTTP/1.0\r\n\r\n");
    assert!(dialed.failed(1).contains("host"), "{dialed:?}");
    assert!(container.get(&id, &["--allow-host-network"]).ends_with(PAGE));
}

#[track_caller]
fn a_second_program_does_not_become_the_first(engine: &Engine, container: &Told) {
    let before = Chart::now().container_of(container.pid)["processes"].clone();
    told(engine.docker().args(["exec", "--detach", &container.id, "/bin/sleep", "600"]));
    let chart = Chart::now();
    container.check_container(&chart);
    let after = &chart.container_of(container.pid)["processes"];
    assert_eq!(after.as_u64(), before.as_u64().map(|n| n + 1), "docker exec has added one");
}

/// The helper enters the mounts, not the control group, so that it is not frozen with the container.
#[track_caller]
fn a_paused_container_can_be_read(engine: &Engine, container: &Told) {
    told(engine.docker().args(["pause", &container.id]));
    let text = container.cat(&container.id, "/etc/app/app.conf");
    container.check_container(&Chart::now());
    told(engine.docker().args(["unpause", &container.id]));
    assert_eq!(text, rootfs::CONFIG);
}

#[track_caller]
fn a_removed_container_is_not_found(engine: &Engine, container: &Told) {
    told(engine.docker().args(["rm", "--force", &container.id]));
    assert!(fs::metadata(format!("/proc/{}/root", container.pid)).is_err());
    container.check_gone();
}

/// Continuous integration and ECS use `--cgroup-parent`: the runtime is not in the path then.
#[track_caller]
fn a_custom_parent_hides_nothing(engine: &Engine) {
    let container = isolated(engine, "custom", &["--cgroup-parent", &parent()]);
    let chart = container.check();
    assert_eq!(chart.container_of(container.pid)["image"], IMAGE);
}
