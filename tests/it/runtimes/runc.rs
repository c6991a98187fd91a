//! runc alone: no daemon, no image, and a control group that does not name it.

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

/// A running container.
#[derive(Debug)]
pub(super) struct Bundle {
    name: String,
    port: u16,
    place: Place,
    _traces: Traces,
}

impl Bundle {
    pub(super) fn start() -> Self {
        let (name, port) = (super::name("runc"), rootfs::port());
        let traces = Traces::of(&[&name], &[]);
        let place = Place::new("runc");
        let root = place.directory("rootfs");
        rootfs::programs(&root);
        rootfs::files(&root);
        told(tool("runc").args(["spec", "--bundle"]).arg(place.path()));
        let config = place.path().join("config.json");
        let template = serde_json::from_slice(&fs::read(&config).unwrap()).unwrap();
        let serve = rootfs::serve("/srv/www", port);
        fs::write(&config, adapted(template, &name, &serve).to_string()).unwrap();
        let bundle = Self { name, port, place, _traces: traces };
        detach(
            bundle.runc().args(["run", "--detach", "--bundle"]).arg(bundle.place.path()).arg(&bundle.name),
        );
        bundle
    }

    fn runc(&self) -> Command {
        let mut command = tool("runc");
        command.args(["--root", &self.place.at("state")]);
        command
    }

    pub(super) fn told(&self) -> Told {
        let state: Value = serde_json::from_str(&told(self.runc().args(["state", &self.name]))).unwrap();
        let pid = state["pid"].as_i64().unwrap().try_into().unwrap();
        let id = oracle::nameless_id(pid, "pid");
        Told::new("unknown", id, Some(self.name.clone()), pid, self.port)
    }
}

impl Drop for Bundle {
    fn drop(&mut self) {
        attempt(self.runc().args(["delete", "--force", &self.name]));
    }
}

/// The template of `runc spec`, for a program without a terminal that may bring its loopback up.
fn adapted(mut config: Value, name: &str, script: &str) -> Value {
    config["hostname"] = json!(name);
    config["root"]["readonly"] = json!(false);
    let process = &mut config["process"];
    process["terminal"] = json!(false);
    process["args"] = json!([SH, "-c", script]);
    // Limits above our own take a capability that not every root has.
    process.as_object_mut().unwrap().remove("rlimits");
    for set in process["capabilities"].as_object_mut().unwrap().values_mut() {
        *set = json!(["CAP_KILL", "CAP_NET_ADMIN"]);
    }
    config
}

#[test]
fn a_container_of_plain_runc_is_found_by_its_namespaces() {
    require!(Need::Root, Need::Program("runc"), Need::Program("busybox"));
    let _turn = super::turn();
    let bundle = Bundle::start();
    let told = bundle.told();
    told.check();
    // It has no name but the host name that it was given.
    assert_eq!(told.cat(&bundle.name, "/etc/app/app.conf"), rootfs::CONFIG);
    drop(bundle);
    told.check_gone();
}
