//! A containerd that belongs to its test, with an image and a network for pods.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use nix::sys::signal::Signal;

use super::place::Place;
use super::process::Process;
use super::rootfs;
use super::tool::{attempt, told, tool};
use super::traces::Traces;

/// The image that [`Daemon::import`] imports. It is that of the pods' sandboxes too.
pub(crate) const IMAGE: &str = "docker.io/portolan/inside:1";

/// A network for pods, by the protocol of CNI plugins: what they are to do stands in the environment, what they
/// did is said on standard output. This one brings up the loopback, and calls it by whatever name it is asked for.
const PLUGIN: &str = r#"#!/bin/sh
case $CNI_COMMAND in
VERSION) echo '{"cniVersion":"1.0.0","supportedVersions":["0.3.1","0.4.0","1.0.0"]}' ;;
ADD)
    nsenter --net="$CNI_NETNS" ip link set lo up || exit 1
    printf '{"cniVersion":"0.3.1","interfaces":[{"name":"%s","sandbox":"%s"}],' "$CNI_IFNAME" "$CNI_NETNS"
    printf '"ips":[{"version":"4","address":"127.0.0.1/8","interface":0}]}\n' ;;
esac
"#;

/// A daemon with a socket, state and data of its own. The fields are dropped in their order: the daemon ends, then
/// its mounts and files go, then what it made elsewhere.
#[derive(Debug)]
pub(crate) struct Daemon {
    daemon: Process,
    place: Place,
    _traces: Traces,
}

impl Daemon {
    /// Starts it. Its containers will be in this namespace (of containerd), and have control groups of these names,
    /// innermost first.
    pub(crate) fn start(namespace: &str, groups: &[&str]) -> Self {
        let traces = Traces::of(
            groups,
            &[
                &format!("/run/containerd/runc/{namespace}"),
                "/run/containerd/runc",
                "/run/containerd/fifo",
                "/run/containerd/s",
                "/run/containerd",
                "/run/netns",
                "/var/lib/cni/results",
                "/var/lib/cni",
            ],
        );
        let place = Place::new("containerd");
        network(&place);
        let file = place.path().join("config.toml");
        fs::write(&file, configuration(&place)).unwrap();
        let mut command = tool("containerd");
        command.arg("--config").arg(&file);
        let daemon = Process::start(&mut command, Signal::SIGTERM, &place.path().join("log"));
        let mut daemon = Self { daemon, place, _traces: traces };
        let mut ping = daemon.ctr("default");
        ping.arg("version");
        daemon.daemon.wait_for("answer", || attempt(&mut ping));
        daemon
    }

    pub(crate) fn socket(&self) -> String {
        self.place.at("socket")
    }

    /// The client, in a namespace (of containerd).
    pub(crate) fn ctr(&self, namespace: &str) -> Command {
        let mut command = tool("ctr");
        command.args(["--address", &self.socket(), "--namespace", namespace]);
        command
    }

    /// Brings the image in: an archive as `docker save` writes it.
    #[track_caller]
    pub(crate) fn import(&self, namespace: &str) {
        let root = self.place.path().join("root");
        if !root.exists() {
            rootfs::programs(&self.place.directory("root"));
            rootfs::files(&root);
        }
        let archive = self.place.directory("archive");
        let layer = archive.join("layer.tar");
        told(tool("tar").arg("-C").arg(&root).arg("-cf").arg(&layer).arg("."));
        let sum = told(tool("sha256sum").arg(&layer));
        let sum = format!("sha256:{}", sum.split(' ').next().unwrap());
        let machine = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let config = serde_json::json!({
            "architecture": machine,
            "os": "linux",
            "config": { "Env": ["PATH=/bin"], "Cmd": ["/bin/sleep", "100000"] },
            "rootfs": { "type": "layers", "diff_ids": [sum] },
        });
        let manifest = serde_json::json!([
            { "Config": "config.json", "RepoTags": [IMAGE], "Layers": ["layer.tar"] }
        ]);
        fs::write(archive.join("config.json"), config.to_string()).unwrap();
        fs::write(archive.join("manifest.json"), manifest.to_string()).unwrap();
        let image = self.place.at("image.tar");
        told(tool("tar").arg("-C").arg(&archive).args([
            "-cf",
            &image,
            "config.json",
            "manifest.json",
            "layer.tar",
        ]));
        told(self.ctr(namespace).args(["images", "import", "--snapshotter", "native", &image]));
    }

    /// What `ctr task ls` says is the first process of a container.
    #[track_caller]
    pub(crate) fn pid(&self, namespace: &str, id: &str) -> i32 {
        let listed = told(self.ctr(namespace).args(["task", "ls"]));
        let found = listed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let found: Vec<i32> = found
            .filter(|fields| fields.first() == Some(&id) && fields.get(2) == Some(&"RUNNING"))
            .map(|fields| fields[1].parse().unwrap())
            .collect();
        assert_eq!(found.len(), 1, "{id} is not in:\n{listed}");
        found[0]
    }

    /// Ends a container.
    pub(crate) fn remove(&self, namespace: &str, id: &str) {
        attempt(self.ctr(namespace).args(["task", "delete", "--force", id]));
        attempt(self.ctr(namespace).args(["container", "delete", id]));
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let listed = |command: &mut Command| {
            let output = attempt(command).map(|output| output.stdout).unwrap_or_default();
            let text = String::from_utf8(output).unwrap_or_default();
            text.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        for namespace in listed(self.ctr("default").args(["namespaces", "ls", "--quiet"])) {
            for id in listed(self.ctr(&namespace).args(["containers", "ls", "--quiet"])) {
                self.remove(&namespace, &id);
            }
        }
    }
}

/// Nothing of it lies at its usual place. Copies of the image cost less than finding out which file systems stack
/// here, and a lower score for the out-of-memory killer takes a capability that not every root has.
fn configuration(place: &Place) -> String {
    let at = |name: &str| place.at(name);
    format!(
        r#"
version = 2
root = "{data}"
state = "{state}"
[grpc]
  address = "{socket}"
[plugins."io.containerd.internal.v1.opt"]
  path = "{opt}"
[plugins."io.containerd.grpc.v1.cri"]
  restrict_oom_score_adj = true
  sandbox_image = "{IMAGE}"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{plugins}"
    conf_dir = "{networks}"
"#,
        data = at("data"),
        state = at("state"),
        socket = at("socket"),
        opt = at("opt"),
        plugins = at("plugins"),
        networks = at("networks"),
    )
}

fn network(place: &Place) {
    let plugins = place.directory("plugins");
    // containerd asks for the loopback by itself, the configuration for the other.
    for name in ["loopback", "inside"] {
        let path = plugins.join(name);
        fs::write(&path, PLUGIN).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let network =
        serde_json::json!({ "cniVersion": "0.3.1", "name": "inside", "plugins": [{ "type": "inside" }] });
    fs::write(place.directory("networks").join("inside.conflist"), network.to_string()).unwrap();
}
