//! Services in a Podman container without a network.

use portolan_world::need::Need;

use super::docker::{START, options};
use super::{needs, tells_the_truth};
use crate::runtimes::place::Place;
use crate::runtimes::podman::{IMAGE, Store};
use crate::runtimes::tool::{detach, told};

#[test]
fn services_in_podman_are_collected() {
    needs!(Need::Podman, Need::Program("runc"), Need::Program("busybox"), Need::Program("curl"));
    let _turn = crate::runtimes::turn();
    let place = Place::new("agent-podman");
    let store = Store::new();
    store.import();
    let name = crate::runtimes::name("agent-podman");
    let mut run = store.podman();
    run.args(["run", "--detach", "--name", &name, "--network", "none"]);
    detach(run.args(options(&place)).arg(IMAGE).args(START));
    let pid = told(store.podman().args(["inspect", "--format", "{{.State.Pid}}", &name])).parse().unwrap();
    tells_the_truth(&name, pid);
}
