//! LXC, with the host's own root below a layer of memory.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::Command;

use portolan_dial::Dialer;
use portolan_world::need::Need;

use crate::decoys::Decoys;
use crate::engine::Engine;
use crate::host::alone;
use crate::place::Place;
use crate::servers::{self, Servers, sockets};
use crate::suite;
use crate::tool::{attempt, detach, told, tool};
use crate::traces::Traces;

/// A running container. The fields are dropped in their order, after it was stopped.
#[derive(Debug)]
struct Machine {
    name: String,
    place: Place,
    _traces: Traces,
}

impl Machine {
    fn start(engine: &Engine, address: IpAddr) -> Self {
        let name = crate::name("clients-lxc");
        let groups = [&format!("lxc.payload.{name}"), &format!("lxc.monitor.{name}"), "lxc.pivot"];
        let place = Place::new("clients-lxc");
        // The lock of a container lies below the whole path of its directory.
        let lock = format!("/run/lxc/lock{}/.{name}", place.path().display());
        let locks: Vec<&str> = Path::new(&lock).ancestors().filter_map(Path::to_str).collect();
        let traces = Traces::of(&groups, &locks);
        let root = layers(&place, &name, address);
        let lines = [
            format!("lxc.uts.name = {name}"),
            format!("lxc.rootfs.path = dir:{root}"),
            "lxc.net.0.type = empty".to_owned(),
            "lxc.mount.auto = proc:mixed sys:ro".to_owned(),
            format!(
                "lxc.mount.entry = {} {}/docker.sock none bind 0 0",
                crate::docker_socket(engine),
                &sockets()[1..]
            ),
            // The size that /dev itself has is too small for a database's shared memory.
            "lxc.mount.entry = tmpfs dev/shm tmpfs nosuid,nodev,create=dir 0 0".to_owned(),
            format!("lxc.console.logfile = {}", place.at("console")),
        ];
        fs::write(place.path().join(&name).join("config"), lines.join("\n") + "\n").unwrap();
        let machine = Self { name, place, _traces: traces };
        let start = ["/bin/sh", "/srv/inside/start.sh", &address.to_string(), &sockets()];
        detach(machine.lxc("lxc-start").args(["--daemon", "--"]).args(start));
        machine
    }

    /// A tool, for this container.
    fn lxc(&self, program: &str) -> Command {
        let mut command = tool(program);
        command.arg("--lxcpath").arg(self.place.path()).args(["--name", &self.name]);
        command
    }

    fn stop(&self) {
        attempt(self.lxc("lxc-stop").arg("--kill"));
        attempt(self.lxc("lxc-wait").args(["--state", "STOPPED", "--timeout", "5"]));
    }

    fn pid(&self) -> i32 {
        told(self.lxc("lxc-info").args(["--pid", "--no-humanize"])).parse().unwrap()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The container's root, with what the servers are given.
fn layers(place: &Place, name: &str, address: IpAddr) -> String {
    let memory = place.directory("memory");
    told(tool("mount").args(["-t", "tmpfs", "tmpfs"]).arg(&memory));
    let (upper, work) = (place.directory("memory/upper"), place.directory("memory/work"));
    let given = place.directory("memory/upper/srv/inside");
    servers::give(&given, address);
    fs::create_dir_all(upper.join("etc")).unwrap();
    fs::copy(given.join("resolv.conf"), upper.join("etc/resolv.conf")).unwrap();
    let directory = place.directory(&format!("memory/upper{}", sockets()));
    fs::write(directory.join("docker.sock"), "").unwrap();
    let root = place.directory(&format!("{name}/rootfs"));
    let options = format!("lowerdir=/,upperdir={},workdir={}", upper.display(), work.display());
    told(tool("mount").args(["-t", "overlay", "overlay", "-o", &options]).arg(&root));
    root.to_str().unwrap().to_owned()
}

#[test]
fn clients_reach_servers_in_lxc() {
    suite::needs!(Need::Lxc, Need::Overlay, Need::Program("dockerd"), Need::Program("docker"));
    let _turn = crate::turn();
    alone(|| {
        // For its socket, which the container is given.
        let engine = Engine::start();
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let machine = Machine::start(&engine, address);
        let process = portolan::Process::open(machine.pid()).unwrap();
        let given = machine.place.path().join("memory/upper/srv/inside");
        let servers = Servers { dialer: Dialer::new(process).unwrap(), address, given };
        suite::run("lxc", &servers, &Decoys::at(&[address]), || machine.stop());
    });
}
