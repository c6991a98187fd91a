//! A host with systemd as its process 1: the host's own programs, started as a machine of systemd-nspawn.
//!
//! Inside it is a host like any other, with the second version of control groups alone; the command is run in there
//! as well, and sees what it would see on such a host. It has no services but those that come with systemd, its
//! configuration is written here, and the host's `/usr` is mounted read-only.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::super::group::Group;
use super::super::place::Place;
use super::super::process::Process;
use super::super::rootfs;
use super::super::tool::{attempt, told, tool};
use super::super::traces::Traces;
use super::super::view::View;
use crate::command::{binary, helper};
use crate::oracle;

/// Where the machine sees [`Machine::at`].
pub(crate) const INSIDE: &str = "/mnt/inside";
/// An ordinary user of the machine.
pub(crate) const USER: u32 = 1500;

/// Its users, and what a user's own manager takes. `systemd-logind` would make the directory of the runtime; without
/// a seat, and without anybody who logs in, a line says the same.
const FILES: [(&str, &str); 9] = [
    ("etc/machine-id", ""),
    (
        "etc/passwd",
        "root:x:0:0::/root:/bin/sh\nmessagebus:x:100:107::/:/usr/sbin/nologin\n\
         inside:x:1500:1500::/mnt/inside/home:/bin/sh\nnobody:x:65534:65534::/:/usr/sbin/nologin\n",
    ),
    ("etc/group", "root:x:0:\nmessagebus:x:107:\ninside:x:1500:\nnogroup:x:65534:\n"),
    ("etc/os-release", "ID=inside\n"),
    ("etc/pam.d/systemd-user", "account required pam_permit.so\nsession required pam_permit.so\n"),
    ("etc/containers/policy.json", r#"{"default":[{"type":"insecureAcceptAnything"}]}"#),
    (
        "etc/systemd/system/user@.service.d/inside.conf",
        "[Service]\nEnvironment=XDG_RUNTIME_DIR=/run/user/%i\n",
    ),
    (
        "etc/systemd/user/dbus.service",
        "[Service]\nType=notify\n\
         ExecStart=/usr/bin/dbus-daemon --session --address=unix:path=%t/bus --nofork --nopidfile\n",
    ),
    (
        "etc/systemd/system/docker.service",
        "[Service]\nDelegate=yes\nExecStart=/usr/sbin/dockerd --iptables=false --ip6tables=false --bridge=none \
         --ip-forward=false --storage-driver vfs --exec-opt native.cgroupdriver=systemd \
         --data-root /mnt/inside/docker --exec-root /run/inside-docker --pidfile /run/inside-docker.pid \
         -H unix:///run/inside-docker.sock\n",
    ),
];

/// What would change the host's kernel, or wait for its devices.
const MASKED: [&str; 5] = [
    "systemd-sysctl.service",
    "systemd-modules-load.service",
    "systemd-udevd.service",
    "dev-hugepages.mount",
    "sys-kernel-tracing.mount",
];

/// A running machine. The fields are dropped in their order.
#[derive(Debug)]
pub(crate) struct Machine {
    nspawn: Process,
    leader: i32,
    /// When that began, in clock ticks.
    started: u64,
    _group: Group,
    place: Place,
    _traces: Traces,
}

impl Machine {
    pub(crate) fn start() -> Self {
        let traces = Traces::of(
            &[],
            &["/run/systemd/nspawn/propagate", "/run/systemd/nspawn/locks", "/run/systemd/nspawn"],
        );
        let name = super::super::name("machine");
        let place = Place::new("machine");
        let group = Group::new(&name);
        let root = place.directory("root");
        prepare(&root);
        let inside = place.directory("inside");
        for (program, name) in [(binary(), "portolan"), (helper(), "portolan-helper")] {
            fs::copy(program, inside.join(name)).unwrap();
        }
        rootfs::programs(&place.directory("inside/rootfs"));
        rootfs::files(&inside.join("rootfs"));
        let mut command = tool("sh");
        command.args(["-c", &group.script(), "systemd-nspawn", "--quiet"]).arg("--directory").arg(&root);
        // Nobody to register with; below the group that it was started in.
        command.args(["--machine", &name, "--register=no", "--keep-unit", "--private-network"]);
        // What runtimes take, and containers usually do without.
        command.args(["--capability=all", "--system-call-filter=@keyring bpf perf_event_open"]);
        command.args(["--bind-ro=/usr", &format!("--bind={}:{INSIDE}", inside.display())]);
        command.args(["--console=pipe", "--boot", "systemd.unit=basic.target"]);
        command.env("SYSTEMD_NSPAWN_UNIFIED_HIERARCHY", "1");
        let mut nspawn = Process::start(&mut command, Signal::SIGTERM, &place.path().join("log"));
        let leader = first(&mut nspawn);
        let started = oracle::start_time(leader);
        let mut machine = Self { nspawn, leader, started, _group: group, place, _traces: traces };
        let mut ready = machine.command(&["systemctl", "is-active", "--quiet", "basic.target"]);
        machine.nspawn.wait_for("target", || attempt(&mut ready));
        machine
    }

    /// Its process 1, by the host's number.
    pub(crate) fn leader(&self) -> i32 {
        self.leader
    }

    /// Where something lies on the host that the machine sees below [`INSIDE`].
    pub(crate) fn at(&self, name: &str) -> String {
        self.place.at(&format!("inside/{name}"))
    }

    /// A program in the machine.
    pub(crate) fn command<S: AsRef<str>>(&self, arguments: &[S]) -> Command {
        let mut command = tool(&self.enter()[0]);
        command.args(&self.enter()[1..]).args(arguments.iter().map(AsRef::as_ref));
        // It has no locale, no home and no sessions of the host.
        command.env("HOME", "/root");
        command
    }

    /// What a program in the machine prints.
    #[track_caller]
    pub(crate) fn told<S: AsRef<str>>(&self, arguments: &[S]) -> String {
        told(&mut self.command(arguments))
    }

    fn enter(&self) -> Vec<String> {
        let words = ["nsenter", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--target"];
        words.map(str::to_owned).into_iter().chain([self.leader.to_string(), "--".to_owned()]).collect()
    }

    /// The command in the machine.
    pub(crate) fn view(&self) -> View {
        let program = format!("{INSIDE}/portolan");
        let environment = ["env".to_owned(), format!("PORTOLAN_HELPER={program}-helper"), program];
        View::through(self.enter().into_iter().chain(environment), 1)
    }

    /// A process of the machine, by the host's number.
    #[track_caller]
    pub(crate) fn pid(&self, inside: &str) -> i32 {
        let inside = inside.parse().unwrap_or_else(|_| panic!("no pid: {inside}"));
        assert!(inside > 0, "it does not run");
        self.view().on_host(inside, oracle::namespace(self.leader, "pid"))
    }

    /// Waits for something in the machine.
    #[track_caller]
    pub(crate) fn wait_for<T>(&mut self, what: &str, check: impl FnMut() -> Option<T>) -> T {
        self.nspawn.wait_for(what, check)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It would take its time to stop everything in order. Should it have ended, its number may be another's now.
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.leader)).unwrap_or_default();
        if stat.contains(&format!(" {} ", self.started)) {
            let _ = kill(Pid::from_raw(self.leader), Signal::SIGKILL);
        }
    }
}

fn prepare(root: &Path) {
    for directory in ["usr", "proc", "sys", "dev", "run", "tmp", "var", "root", "mnt/inside"] {
        fs::create_dir_all(root.join(directory)).unwrap();
    }
    for name in ["bin", "sbin", "lib", "lib64"] {
        if let Ok(target) = fs::read_link(Path::new("/").join(name)) {
            symlink(target, root.join(name)).unwrap();
        }
    }
    for (path, text) in FILES {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    for name in MASKED {
        symlink("/dev/null", root.join("etc/systemd/system").join(name)).unwrap();
    }
}

/// The machine's process 1, once it is systemd: nspawn has other children before.
fn first(nspawn: &mut Process) -> i32 {
    let pid = nspawn.pid();
    nspawn.wait_for("process 1", || {
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
        let mut children = children.split_whitespace().filter_map(|child| child.parse::<i32>().ok());
        children.find(|child| {
            fs::read_to_string(format!("/proc/{child}/comm")).is_ok_and(|name| name == "systemd\n")
        })
    })
}
