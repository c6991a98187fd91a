//! Podman with control groups by systemd, and as a service of its own.

use std::fs;

use portolan_world::need::Need;
use portolan_world::require;

use super::super::podman::CONFIGURATION;
use super::super::rootfs;
use super::super::told::Told;
use super::super::tool::{attempt, detach};
use super::machine::{INSIDE, Machine};

/// Podman in the machine, with its storage there.
pub(crate) const PODMAN: [&str; 9] = [
    "env",
    "CONTAINERS_CONF=/mnt/inside/containers.conf",
    "podman",
    "--root",
    "/mnt/inside/podman",
    "--runroot",
    "/run/inside-podman",
    "--storage-driver",
    "vfs",
];

/// The same defaults, with systemd as the one who makes control groups.
pub(crate) fn configure(machine: &Machine) {
    let configuration = CONFIGURATION.replace("cgroupfs", "systemd");
    fs::write(machine.at("containers.conf"), configuration).unwrap();
}

/// What Podman says about a container, once it runs.
#[track_caller]
fn told(machine: &mut Machine, name: &str, port: u16) -> Told {
    let mut words = PODMAN.to_vec();
    words.extend(["inspect", "--format", "{{.Id}} {{.State.Pid}}", name]);
    let mut inspect = machine.command(&words);
    let (id, pid) = machine.wait_for("container", || {
        let said = String::from_utf8(attempt(&mut inspect)?.stdout).ok()?;
        let (id, pid) = said.trim().split_once(' ')?;
        (pid != "0").then(|| (id.to_owned(), pid.to_owned()))
    });
    Told::new("podman", id, Some(name.to_owned()), machine.pid(&pid), port)
}

#[test]
fn podman_containers_in_scopes_and_services_are_what_podman_inspect_says() {
    require!(
        Need::Root,
        Need::CgroupV2,
        Need::Program("systemd-nspawn"),
        Need::Podman,
        Need::Program("runc"),
        Need::Program("busybox")
    );
    let _turn = super::super::turn();
    let mut machine = Machine::start();
    configure(&machine);
    let root = format!("{INSIDE}/rootfs");
    let (scope, split) = (super::super::name("scope"), super::super::name("split"));
    let run = |before: &[&'static str], name: &str, options: &[&'static str], port| {
        let mut words: Vec<String> = before.iter().chain(&PODMAN).map(|word| (*word).to_owned()).collect();
        words.extend(["run", "--network", "none", "--name", name].map(str::to_owned));
        words.extend(options.iter().map(|option| (*option).to_owned()));
        words.extend(["--rootfs".to_owned(), root.clone()]);
        words.extend(rootfs::httpd("/srv/www", port));
        words
    };
    let (one, two) = (rootfs::port(), rootfs::port());
    detach(&mut machine.command(&run(&[], &scope, &["--detach"], one)));
    // As a quadlet does it: the service's own control group has one part for the monitor and one for the container.
    let unit = ["systemd-run", "--quiet", "--unit=inside-split.service", "--property=Delegate=yes"];
    detach(&mut machine.command(&run(&unit, &split, &["--cgroups=split"], two)));
    for (name, port) in [(scope, one), (split, two)] {
        let container = told(&mut machine, &name, port);
        container.seen_by(&machine.view()).check();
        container.check_nested();
    }
}
