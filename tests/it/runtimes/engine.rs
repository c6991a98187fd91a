//! A Docker daemon that belongs to its test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::place::Place;
use super::process::Process;
use super::rootfs;
use super::tool::{attempt, told, tool};
use super::traces::Traces;

/// The image that [`Engine::start`] imports.
pub(crate) const IMAGE: &str = "portolan/inside:1";

/// A daemon with a socket, data and containerd of its own. The fields are dropped in their order: the daemon ends,
/// then its mounts and files go, then what it made elsewhere.
#[derive(Debug)]
pub(crate) struct Engine {
    daemon: Process,
    place: Place,
    _traces: Traces,
}

impl Engine {
    pub(crate) fn start() -> Self {
        let parent = parent();
        // The last ones are an identity that the daemon insists on writing there, and its directories below /run.
        let traces = Traces::of(
            &["docker", parent.trim_start_matches('/')],
            &[
                "/etc/docker/key.json",
                "/etc/docker",
                "/run/docker/plugins",
                "/run/docker",
                "/run/containerd/s",
                "/run/containerd",
            ],
        );
        let place = Place::new("docker");
        let daemon = Self::daemon(&place, &[]);
        let mut engine = Self { daemon, place, _traces: traces };
        engine.wait_until_it_answers();
        engine.import();
        engine
    }

    fn daemon(place: &Place, options: &[&str]) -> Process {
        let mut command = tool("dockerd");
        command
            .args(options)
            .args(["--data-root", &place.at("data"), "--exec-root", &place.at("exec")])
            .args(["--pidfile", &place.at("pid"), "--host", &socket(place)])
            // The image is small: copies of it cost less than finding out which file systems stack here.
            .args(["--storage-driver", "vfs"])
            .args(["--exec-opt", "native.cgroupdriver=cgroupfs"])
            // The host's network is not ours to change.
            .args(["--bridge=none", "--iptables=false", "--ip6tables=false", "--ip-forward=false"]);
        Process::start(&mut command, Signal::SIGTERM, &place.path().join("log"))
    }

    #[track_caller]
    fn wait_until_it_answers(&mut self) {
        let mut ping = self.docker();
        ping.args(["version", "--format", "{{.Server.Version}}"]);
        self.daemon.wait_for("answer", || attempt(&mut ping));
    }

    /// Where it listens.
    pub(crate) fn socket(&self) -> PathBuf {
        self.place.path().join("docker.sock")
    }

    /// Sends the daemon a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.daemon.pid()), signal).unwrap();
    }

    /// Ends the daemon as no one can expect, and its containers go on.
    pub(crate) fn crash(&mut self) {
        self.signal(Signal::SIGKILL);
        self.daemon.wait_for_end();
        // Its containerd is killed with it (`PR_SET_PDEATHSIG`), and may stay a zombie, which the next daemon would take for
        // a living one.
        fs::remove_file(self.place.at("exec/containerd/containerd.pid")).unwrap();
    }

    /// Starts it again after a crash; it takes its containers back.
    pub(crate) fn start_again(&mut self) {
        self.daemon = Self::daemon(&self.place, &["--live-restore"]);
        self.wait_until_it_answers();
    }

    fn import(&self) {
        let root = self.place.directory("root");
        rootfs::programs(&root);
        rootfs::files(&root);
        let mut tar =
            tool("tar").arg("-C").arg(&root).args(["-c", "."]).stdout(Stdio::piped()).spawn().unwrap();
        let output = tar.stdout.take().unwrap();
        let imported = self.docker().args(["import", "-", IMAGE]).stdin(output).output().unwrap();
        assert!(tar.wait().unwrap().success());
        assert!(imported.status.success(), "{imported:?}");
    }

    /// The client, bound to this daemon. Debian's own is as old as its daemon; others may refuse it for its age.
    pub(crate) fn docker(&self) -> Command {
        let debians = "/usr/bin/docker";
        let mut command = tool(if Path::new(debians).exists() { debians } else { "docker" });
        command
            .env("DOCKER_HOST", socket(&self.place))
            .env("DOCKER_CONFIG", self.place.at("client"))
            .env_remove("DOCKER_CONTEXT");
        command
    }

    /// Starts a container; gives its id.
    #[track_caller]
    pub(crate) fn run<S: AsRef<str>>(&self, options: &[&str], program: &[S]) -> String {
        let program = program.iter().map(AsRef::as_ref);
        let mut command = self.docker();
        let id = told(command.args(["run", "--detach"]).args(options).arg(IMAGE).args(program));
        assert_eq!(id.len(), 64, "{id}");
        id
    }

    /// A field of `docker inspect`, as a Go template.
    #[track_caller]
    pub(crate) fn inspect(&self, container: &str, template: &str) -> String {
        told(self.docker().args(["inspect", "--format", template, container]))
    }

    #[track_caller]
    pub(crate) fn pid(&self, container: &str) -> i32 {
        self.inspect(container, "{{.State.Pid}}").parse().unwrap()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let all = attempt(self.docker().args(["ps", "--all", "--quiet", "--no-trunc"]));
        let all = String::from_utf8(all.map(|output| output.stdout).unwrap_or_default()).unwrap_or_default();
        let ids: Vec<&str> = all.split_whitespace().collect();
        if !ids.is_empty() {
            attempt(self.docker().args(["rm", "--force"]).args(ids));
        }
        let _ = fs::remove_file(self.place.at("docker.sock"));
    }
}

fn socket(place: &Place) -> String {
    format!("unix://{}", place.at("docker.sock"))
}

/// A parent for control groups that is not Docker's own.
pub(crate) fn parent() -> String {
    format!("/{}", super::name("parent"))
}
