//! LXC, with the host's own root below a layer of the container's.

use std::fs;
use std::path::Path;
use std::process::Command;

use portolan_world::need::Need;
use portolan_world::require;

use super::place::Place;
use super::rootfs::{self, SH};
use super::told::Told;
use super::tool::{attempt, detach, told, tool};
use super::traces::Traces;

/// A running LXC container.
#[derive(Debug)]
pub(crate) struct Machine {
    name: String,
    port: u16,
    place: Place,
    _traces: Traces,
}

impl Machine {
    pub(super) fn start() -> Self {
        let port = rootfs::port();
        Self::running(port, &rootfs::serve("/srv/www", port))
    }

    /// With a script of the shell as its first process.
    pub(crate) fn running(port: u16, script: &str) -> Self {
        let name = super::name("lxc");
        let groups = [&format!("lxc.payload.{name}"), &format!("lxc.monitor.{name}"), "lxc.pivot"];
        let place = Place::new("lxc");
        // The lock of a container lies below the whole path of its directory.
        let lock = format!("/run/lxc/lock{}/.{name}", place.path().display());
        let locks: Vec<&str> = Path::new(&lock).ancestors().filter_map(Path::to_str).collect();
        let traces = Traces::of(&groups, &locks);
        let root = layers(&place, &name);
        let lines = [
            format!("lxc.uts.name = {name}"),
            format!("lxc.rootfs.path = dir:{root}"),
            "lxc.net.0.type = empty".to_owned(),
            "lxc.mount.auto = proc:mixed".to_owned(),
            format!("lxc.console.logfile = {}", place.at("console")),
        ];
        fs::write(place.path().join(&name).join("config"), lines.join("\n") + "\n").unwrap();
        let machine = Self { name, port, place, _traces: traces };
        detach(machine.lxc("lxc-start").args(["--daemon", "--", SH, "-c", script]));
        machine
    }

    /// A tool, for this container.
    fn lxc(&self, program: &str) -> Command {
        let mut command = tool(program);
        command.arg("--lxcpath").arg(self.place.path()).args(["--name", &self.name]);
        command
    }

    /// Its name, and the file of its console.
    pub(crate) fn console(&self) -> (&str, String) {
        (&self.name, self.place.at("console"))
    }

    pub(super) fn told(&self) -> Told {
        let pid = told(self.lxc("lxc-info").args(["--pid", "--no-humanize"])).parse().unwrap();
        Told::new("lxc", &self.name, Some(self.name.clone()), pid, self.port)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        attempt(self.lxc("lxc-stop").arg("--kill"));
        attempt(self.lxc("lxc-wait").args(["--state", "STOPPED", "--timeout", "5"]));
    }
}

/// The host's root with a layer of memory above it; the layer holds what a container has of its own.
fn layers(place: &Place, name: &str) -> String {
    let memory = place.directory("memory");
    told(tool("mount").args(["-t", "tmpfs", "tmpfs"]).arg(&memory));
    let (upper, work) = (place.directory("memory/upper"), place.directory("memory/work"));
    rootfs::files(&upper);
    let root = place.directory(&format!("{name}/rootfs"));
    let options = format!("lowerdir=/,upperdir={},workdir={}", upper.display(), work.display());
    told(tool("mount").args(["-t", "overlay", "overlay", "-o", &options]).arg(&root));
    root.to_str().unwrap().to_owned()
}

#[test]
fn an_lxc_container_is_what_lxc_info_says() {
    require!(Need::Root, Need::Lxc, Need::Overlay, Need::Program("busybox"));
    let _turn = super::turn();
    let machine = Machine::start();
    let told = machine.told();
    told.check();
    drop(machine);
    told.check_gone();
}
