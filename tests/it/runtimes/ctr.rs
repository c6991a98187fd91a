//! containerd by its own client.

use portolan_world::need::Need;
use portolan_world::require;
use serde_json::Value;

use super::containerd::{Daemon, IMAGE};
use super::rootfs::{self, SH};
use super::told::Told;
use super::tool::{detach, told};

/// The namespace (of containerd) that `ctr` takes when it is told none.
const NAMESPACE: &str = "default";

/// Runs a container; gives what containerd says about it.
#[track_caller]
fn run(daemon: &Daemon, namespace: &str, id: &str, options: &[&str]) -> Told {
    let port = rootfs::port();
    let mut command = daemon.ctr(namespace);
    command.args(["run", "--detach", "--snapshotter", "native", "--cap-add", "CAP_NET_ADMIN"]).args(options);
    detach(command.args([IMAGE, id, SH, "-c", &rootfs::serve("/srv/www", port)]));
    let info: Value =
        serde_json::from_str(&told(daemon.ctr(namespace).args(["container", "info", id]))).unwrap();
    assert_eq!((&info["ID"], &info["Image"]), (&id.into(), &IMAGE.into()));
    // It has an id, which is whatever one called it, and no name besides.
    Told::new("containerd", id, None, daemon.pid(namespace, id), port)
}

#[test]
fn a_containerd_container_is_what_ctr_says() {
    require!(Need::Root, Need::Program("containerd"), Need::Program("ctr"), Need::Program("busybox"));
    let _turn = super::turn();
    let id = super::name("ctr");
    let daemon = Daemon::start(NAMESPACE, &[NAMESPACE]);
    daemon.import(NAMESPACE);
    let container = run(&daemon, NAMESPACE, &id, &[]);
    container.check();
    daemon.remove(NAMESPACE, &id);
    container.check_gone();
}

#[test]
fn a_containerd_container_is_found_below_any_control_group() {
    require!(Need::Root, Need::Program("containerd"), Need::Program("ctr"), Need::Program("busybox"));
    let _turn = super::turn();
    let (namespace, parent) = (super::name("namespace"), super::name("parent"));
    let group = format!("{parent}/elsewhere");
    let daemon = Daemon::start(&namespace, &[&namespace, &group, &parent]);
    daemon.import(&namespace);
    // The name of the namespace is free, and is in the path with the id.
    let plain = run(&daemon, &namespace, &super::name("ctr-namespace"), &[]);
    // Here neither is: its shim knows both.
    let custom = run(&daemon, &namespace, &super::name("ctr-custom"), &["--cgroup", &format!("/{group}")]);
    plain.check();
    custom.check();
}
