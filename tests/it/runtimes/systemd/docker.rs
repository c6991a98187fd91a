//! Docker with control groups by systemd.

use std::process::Stdio;

use portolan_world::need::Need;
use portolan_world::require;

use super::super::rootfs;
use super::super::told::Told;
use super::super::tool::attempt;
use super::machine::{INSIDE, Machine};

pub(crate) const IMAGE: &str = "portolan/inside:1";

/// The client in the machine.
pub(crate) fn docker<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let client = ["/usr/bin/docker", "--host", "unix:///run/inside-docker.sock"];
    client.into_iter().chain(arguments.iter().copied()).collect()
}

#[track_caller]
pub(crate) fn start(machine: &mut Machine) {
    machine.told(&["systemctl", "start", "docker.service"]);
    let mut ping = machine.command(&docker(&["version"]));
    machine.wait_for("answer of Docker", || attempt(&mut ping));
    let mut import = machine.command(&["sh", "-c", &format!("tar -C {INSIDE}/rootfs -c . | \"$@\"")]);
    let imported =
        import.arg("sh").args(docker(&["import", "-", IMAGE])).stdin(Stdio::null()).output().unwrap();
    assert!(imported.status.success(), "{imported:?}");
}

/// Runs a container; gives what Docker says about it.
#[track_caller]
fn run(machine: &Machine, what: &str, options: &[&str]) -> Told {
    let (name, port) = (super::super::name(what), rootfs::port());
    let httpd = rootfs::httpd("/srv/www", port);
    let mut words = docker(&["run", "--detach", "--network", "none", "--name", &name]);
    words.extend(options);
    words.push(IMAGE);
    words.extend(httpd.iter().map(String::as_str));
    let id = machine.told(&words);
    let pid = machine.told(&docker(&["inspect", "--format", "{{.State.Pid}}", &id]));
    Told::new("docker", id, Some(name), machine.pid(&pid), port)
}

#[test]
fn docker_containers_in_scopes_are_what_their_daemon_says() {
    require!(
        Need::Root,
        Need::CgroupV2,
        Need::Program("systemd-nspawn"),
        Need::Program("dockerd"),
        Need::File("/usr/bin/docker"),
        Need::Program("busybox")
    );
    let _turn = super::super::turn();
    let mut machine = Machine::start();
    start(&mut machine);
    let scope = run(&machine, "scope", &[]);
    let slice = run(&machine, "slice", &["--cgroup-parent", "jobs.slice"]);
    for container in [&scope, &slice] {
        container.seen_by(&machine.view()).check();
        // From outside it is a container in a machine: the innermost one counts.
        container.check();
    }
    machine.told(&docker(&["rm", "--force", &scope.id]));
    scope.check_gone();
    slice.check();
}
