//! crun alone, where the second version of control groups is all that there is.

use std::fs;
use std::process::Command;

use portolan_world::need::Need;
use portolan_world::require;
use serde_json::{Value, json};

use super::place::Place;
use super::rootfs::{self, SH};
use super::told::Told;
use super::tool::{attempt, detach, told, tool};
use super::traces::Traces;
use crate::oracle;

/// crun does not run where both versions are mounted. What follows sees the second alone.
const SECOND_ONLY: &str = "umount -R /sys/fs/cgroup; mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec \"$@\"";

/// A running container.
#[derive(Debug)]
struct Bundle {
    name: String,
    port: u16,
    place: Place,
    _traces: Traces,
}

impl Bundle {
    fn start() -> Self {
        let (name, port) = (super::name("crun"), rootfs::port());
        let traces = Traces::of(&[&name], &[]);
        let place = Place::new("crun");
        let root = place.directory("rootfs");
        rootfs::programs(&root);
        rootfs::files(&root);
        let config = configuration(&name, &rootfs::serve("/srv/www", port));
        fs::write(place.path().join("config.json"), config.to_string()).unwrap();
        let bundle = Self { name, port, place, _traces: traces };
        let path = bundle.place.at("");
        detach(bundle.crun().args(["run", "--detach", "--bundle", &path, &bundle.name]));
        bundle
    }

    fn crun(&self) -> Command {
        let mut command = tool("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", SECOND_ONLY, "sh"]);
        command.args(["crun", "--root", &self.place.at("state")]);
        command
    }

    fn told(&self) -> Told {
        let state: Value = serde_json::from_str(&told(self.crun().args(["state", &self.name]))).unwrap();
        assert_eq!((&state["id"], &state["status"]), (&json!(self.name), &json!("running")));
        let pid = state["pid"].as_i64().unwrap().try_into().unwrap();
        let id = oracle::nameless_id(pid, "pid");
        // The control group has crun's id, as a name; crun itself is not in it.
        Told::new("unknown", id, Some(self.name.clone()), pid, self.port)
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        attempt(self.crun().args(["delete", "--force", &self.name]));
    }
}

/// All that a container needs, and no limit that this machine may lack a controller for.
fn configuration(name: &str, script: &str) -> Value {
    let capabilities = json!(["CAP_KILL", "CAP_NET_ADMIN"]);
    let namespaces = ["pid", "network", "ipc", "uts", "mount"].map(|kind| json!({ "type": kind }));
    json!({
        "ociVersion": "1.0.0",
        "hostname": name,
        "root": { "path": "rootfs" },
        "process": {
            "user": { "uid": 0, "gid": 0 },
            "args": [SH, "-c", script],
            "env": ["PATH=/bin"],
            "cwd": "/",
            "capabilities": { "bounding": capabilities, "effective": capabilities, "permitted": capabilities },
        },
        "mounts": [{ "destination": "/proc", "type": "proc", "source": "proc" }],
        "linux": { "namespaces": namespaces, "cgroupsPath": format!("/{name}") },
    })
}

#[test]
fn a_container_of_plain_crun_is_found_by_its_namespaces() {
    require!(
        Need::Root,
        Need::CgroupV2,
        Need::Program("crun"),
        Need::Program("unshare"),
        Need::Program("busybox")
    );
    let _turn = super::turn();
    let bundle = Bundle::start();
    let told = bundle.told();
    told.check();
    assert_eq!(told.cat(&bundle.name, "/etc/app/app.conf"), rootfs::CONFIG);
    drop(bundle);
    told.check_gone();
}
