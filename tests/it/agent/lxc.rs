//! Services in an LXC container without a network, on the host's own root below a layer of memory.

use std::fs;
use std::path::Path;
use std::process::Command;

use portolan_world::need::Need;

use super::docker::START;
use super::{needs, tells_the_truth};
use crate::runtimes::place::Place;
use crate::runtimes::tool::{attempt, detach, told, tool};
use crate::runtimes::traces::Traces;

/// A running container. The fields are dropped in their order, after it was stopped.
#[derive(Debug)]
struct Machine {
    name: String,
    place: Place,
    _traces: Traces,
}

impl Machine {
    fn start() -> Self {
        let name = crate::runtimes::name("agent-lxc");
        let groups = [&format!("lxc.payload.{name}"), &format!("lxc.monitor.{name}"), "lxc.pivot"];
        let place = Place::new("agent-lxc");
        // The lock of a container lies below the whole path of its directory.
        let lock = format!("/run/lxc/lock{}/.{name}", place.path().display());
        let locks: Vec<&str> = Path::new(&lock).ancestors().filter_map(Path::to_str).collect();
        let traces = Traces::of(&groups, &locks);
        let lines = [
            format!("lxc.uts.name = {name}"),
            format!("lxc.rootfs.path = dir:{}", layers(&place, &name)),
            "lxc.net.0.type = empty".to_owned(),
            "lxc.mount.auto = proc:mixed sys:ro".to_owned(),
            // The size that /dev itself has is too small for a database's shared memory.
            "lxc.mount.entry = tmpfs dev/shm tmpfs nosuid,nodev,create=dir 0 0".to_owned(),
            format!("lxc.console.logfile = {}", place.at("console")),
        ];
        fs::write(place.path().join(&name).join("config"), lines.join("\n") + "\n").unwrap();
        let machine = Self { name, place, _traces: traces };
        detach(machine.lxc("lxc-start").args(["--daemon", "--"]).args(START));
        machine
    }

    /// A tool, for this container.
    fn lxc(&self, program: &str) -> Command {
        let mut command = tool(program);
        command.arg("--lxcpath").arg(self.place.path()).args(["--name", &self.name]);
        command
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        attempt(self.lxc("lxc-stop").arg("--kill"));
        attempt(self.lxc("lxc-wait").args(["--state", "STOPPED", "--timeout", "5"]));
    }
}

/// The container's root, with what it starts.
fn layers(place: &Place, name: &str) -> String {
    let memory = place.directory("memory");
    told(tool("mount").args(["-t", "tmpfs", "tmpfs"]).arg(&memory));
    let (upper, work) = (place.directory("memory/upper"), place.directory("memory/work"));
    let given = place.directory("memory/upper/srv/inside");
    fs::write(given.join("start.sh"), include_str!("start.sh")).unwrap();
    let root = place.directory(&format!("{name}/rootfs"));
    let options = format!("lowerdir=/,upperdir={},workdir={}", upper.display(), work.display());
    told(tool("mount").args(["-t", "overlay", "overlay", "-o", &options]).arg(&root));
    root.to_str().unwrap().to_owned()
}

#[test]
fn services_in_lxc_are_collected() {
    needs!(Need::Lxc, Need::Overlay, Need::Program("curl"));
    let _turn = crate::runtimes::turn();
    let machine = Machine::start();
    let pid = told(machine.lxc("lxc-info").args(["--pid", "--no-humanize"])).parse().unwrap();
    tells_the_truth(&machine.name, pid);
}
