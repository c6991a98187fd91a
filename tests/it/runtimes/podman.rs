//! Podman with runc, as root: a container alone, and one in a pod.

use std::fs;
use std::process::{Command, Stdio};

use portolan_world::need::Need;
use portolan_world::require;
use serde_json::json;

use super::chart::Chart;
use super::place::Place;
use super::rootfs;
use super::told::Told;
use super::tool::{attempt, detach, told, tool};
use super::traces::Traces;

pub(crate) const IMAGE: &str = "localhost/portolan/inside:1";

/// The defaults ask for limits above ours, for a service manager, and for locks that all users of Podman share.
pub(crate) const CONFIGURATION: &str = r#"
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
pids_limit = 0
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "none"
lock_type = "file"
"#;

/// Podman with storage of its own.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) place: Place,
    _traces: Traces,
}

impl Store {
    pub(crate) fn new() -> Self {
        let traces = Traces::of(&["libpod_parent/conmon", "libpod_parent"], &["/run/runc", "/run/libpod"]);
        let place = Place::new("podman");
        fs::write(place.path().join("containers.conf"), CONFIGURATION).unwrap();
        let root = place.directory("rootfs");
        rootfs::programs(&root);
        rootfs::files(&root);
        Self { place, _traces: traces }
    }

    pub(crate) fn podman(&self) -> Command {
        let mut command = tool("podman");
        command
            .env("CONTAINERS_CONF", self.place.at("containers.conf"))
            .args(["--root", &self.place.at("root"), "--runroot", &self.place.at("runroot")])
            .args(["--tmpdir", &self.place.at("tmp"), "--storage-driver", "vfs"]);
        command
    }

    #[track_caller]
    pub(crate) fn import(&self) {
        let mut tar = tool("tar");
        tar.args(["-C", &self.place.at("rootfs"), "-c", "."]).stdout(Stdio::piped());
        let mut tar = tar.spawn().unwrap();
        let output = tar.stdout.take().unwrap();
        let imported = self.podman().args(["import", "-", IMAGE]).stdin(output).output().unwrap();
        assert!(tar.wait().unwrap().success());
        assert!(imported.status.success(), "{imported:?}");
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        attempt(self.podman().args(["rm", "--all", "--force", "--time", "0"]));
        // A pod's own control groups stay, with that of its monitors.
        let pods = attempt(self.podman().args(["pod", "ls", "--quiet", "--no-trunc"]));
        let pods =
            String::from_utf8(pods.map(|output| output.stdout).unwrap_or_default()).unwrap_or_default();
        let groups: Vec<String> = pods.split_whitespace().map(|pod| format!("libpod_parent/{pod}")).collect();
        attempt(self.podman().args(["pod", "rm", "--all", "--force", "--time", "0"]));
        drop(Traces::left(&groups));
    }
}

impl Store {
    /// Runs a container that serves the page; gives what Podman says about it.
    #[track_caller]
    fn run(&self, name: &str, options: &[&str]) -> Told {
        let port = rootfs::port();
        let serve = rootfs::httpd("/srv/www", port);
        detach(self.podman().args(["run", "--detach", "--name", name]).args(options).arg(IMAGE).args(serve));
        let inspect = |template| told(self.podman().args(["inspect", "--format", template, name]));
        let (id, pid) = (inspect("{{.Id}}"), inspect("{{.State.Pid}}").parse().unwrap());
        assert_eq!(id.len(), 64, "{id}");
        // The name is on the command line of its monitor.
        Told::new("podman", id, Some(name.to_owned()), pid, port)
    }
}

#[test]
fn a_podman_container_is_what_podman_inspect_says() {
    require!(Need::Root, Need::Podman, Need::Program("runc"), Need::Program("busybox"));
    let _turn = super::turn();
    let store = Store::new();
    store.import();
    let told = store.run(&super::name("podman"), &["--network", "none"]);
    told.check();
    drop(store);
    told.check_gone();
}

#[test]
fn a_podman_container_in_a_pod_is_told_from_its_sandbox() {
    require!(Need::Root, Need::Podman, Need::Program("runc"), Need::Program("busybox"));
    let _turn = super::turn();
    let store = Store::new();
    store.import();
    let pod = super::name("pod");
    let mut create = store.podman();
    create.args(["pod", "create", "--name", &pod, "--network", "none"]);
    // Podman's own image for this is not to be had without a registry.
    told(create.args(["--infra-image", IMAGE, "--infra-command", "/bin/sleep 100000"]));
    let container = store.run(&super::name("podman-in-pod"), &["--pod", &pod]);
    let chart = container.check();
    let inspect = |what, template, id: &str| {
        let mut command = store.podman();
        told(command.args(what).args(["inspect", "--format", template, id]))
    };
    let infra = inspect(&["pod"][..], "{{.InfraContainerID}}", &pod);
    let pid = inspect(&["container"][..], "{{.State.Pid}}", &infra).parse().unwrap();
    let name = inspect(&["container"][..], "{{.Name}}", &infra);
    check_sandbox(&chart, pid, &infra, &name);
}

/// The container that holds a pod's namespaces and does nothing is not a workload.
#[track_caller]
fn check_sandbox(chart: &Chart, pid: i32, id: &str, name: &str) {
    let sandbox = chart.container_of(pid);
    let known = |key: &str| &sandbox[key];
    assert_eq!(
        (known("runtime"), known("id"), known("name"), known("kind")),
        (&json!("podman"), &json!(id), &json!(name), &json!("sandbox")),
        "{sandbox:#}"
    );
}
