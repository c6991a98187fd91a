//! Podman of a user with a manager of his own.

use std::fs;
use std::process::Command;

use portolan_world::need::Need;
use portolan_world::require;

use super::super::rootfs;
use super::super::told::Told;
use super::super::tool::{attempt, detach, told, tool};
use super::machine::{INSIDE, Machine, USER};
use super::podman;

/// The user's manager, with the bus that it takes calls on.
fn log_in(machine: &Machine) {
    let user = USER.to_string();
    let runtime = format!("/run/user/{user}");
    machine.told(&["install", "--directory", "--owner", &user, "--group", &user, "--mode=700", &runtime]);
    machine.told(&["systemctl", "start", &format!("user@{user}.service")]);
    told(as_user(machine).args(["systemctl", "--user", "start", "dbus.service"]));
}

/// A program of the user.
fn as_user(machine: &Machine) -> Command {
    let id = format!("--reuid={USER}");
    let group = format!("--regid={USER}");
    let mut command = machine.command(&["setpriv", &id, &group, "--clear-groups", "env"]);
    for (name, value) in environment() {
        command.arg(format!("{name}={value}"));
    }
    command
}

fn environment() -> [(&'static str, String); 5] {
    [
        ("HOME", format!("{INSIDE}/home")),
        ("XDG_RUNTIME_DIR", format!("/run/user/{USER}")),
        ("DBUS_SESSION_BUS_ADDRESS", format!("unix:path=/run/user/{USER}/bus")),
        ("CONTAINERS_CONF", format!("{INSIDE}/containers.conf")),
        ("CONTAINERS_STORAGE_CONF", format!("{INSIDE}/home/storage.conf")),
    ]
}

#[test]
fn a_podman_container_in_a_users_slice_is_what_podman_inspect_says() {
    require!(
        Need::Root,
        Need::CgroupV2,
        Need::UserNamespaces,
        Need::Program("systemd-nspawn"),
        Need::Podman,
        Need::Program("runc"),
        Need::File("/usr/bin/dbus-daemon"),
        Need::Program("busybox")
    );
    let _turn = super::super::turn();
    let machine = Machine::start();
    podman::configure(&machine);
    let home = machine.at("home");
    rootfs::programs(home.as_ref());
    rootfs::files(home.as_ref());
    fs::write(machine.at("home/storage.conf"), "[storage]\ndriver = \"vfs\"\n").unwrap();
    told(tool("chown").args(["-R", &format!("{USER}:{USER}"), &home]));
    log_in(&machine);
    let (name, port) = (super::super::name("user"), rootfs::port());
    let mut run = as_user(&machine);
    run.args(["systemd-run", "--user", "--quiet", "--pipe", "--wait"]);
    for (name, value) in environment() {
        run.arg(format!("--setenv={name}={value}"));
    }
    run.args(["podman", "run", "--detach", "--network", "none", "--name", &name]);
    detach(run.args(["--rootfs", &format!("{INSIDE}/home")]).args(rootfs::httpd("/srv/www", port)));
    let said = |template| {
        let mut inspect = as_user(&machine);
        let inspect =
            inspect.args(["podman", "--log-level", "error", "inspect", "--format", template, &name]);
        String::from_utf8(attempt(inspect).expect("podman inspect").stdout).unwrap().trim().to_owned()
    };
    let (id, pid) = (said("{{.Id}}"), machine.pid(&said("{{.State.Pid}}")));
    let group = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap();
    assert!(group.contains(&format!("/user@{USER}.service/user.slice/libpod-{id}.scope")), "{group}");
    let container = Told::new("podman", id, Some(name), pid, port);
    container.seen_by(&machine.view()).check();
    container.check_nested();
}
