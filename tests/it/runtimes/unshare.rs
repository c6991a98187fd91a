//! Containers that a shell makes with `unshare` and `chroot`: no runtime, no control group, no name.

use std::path::Path;

use nix::sys::signal::Signal;
use portolan_world::need::Need;
use portolan_world::require;

use super::place::Place;
use super::process::Process;
use super::rootfs;
use super::told::Told;
use super::tool::tool;
use crate::oracle;

/// Where the files are mounted when the container keeps the host's root. Every host has it, and nothing in it that
/// a container here would need.
const BASE: &str = "/mnt";

/// A running container. The process goes first.
#[derive(Debug)]
pub(super) struct Unshared {
    process: Process,
    port: u16,
    _place: Place,
}

/// With new pids `unshare` stays outside as the parent; otherwise the web server takes its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Forks,
    Stays,
}

impl Unshared {
    fn start(what: &str, script: impl FnOnce(&str, u16) -> String) -> Self {
        let place = Place::new(what);
        let root = place.directory("root");
        rootfs::programs(&root);
        rootfs::files(&root);
        let port = rootfs::port();
        let script = script(root.to_str().unwrap(), port);
        let mut shell = tool("sh");
        // `unshare` does not let itself be disturbed while it waits for its child.
        let end = Signal::SIGKILL;
        let process = Process::start(shell.args(["-c", &script]), end, &place.path().join("log"));
        Self { process, port, _place: place }
    }

    /// `unshare` with these options, and the files on [`BASE`].
    pub(super) fn on_hosts_root(what: &str, options: &str) -> Self {
        Self::start(what, |root, port| {
            let serve = rootfs::serve(&format!("{BASE}/srv/www"), port);
            format!("exec unshare {options} sh -c 'mount --bind {root} {BASE} && {serve}'")
        })
    }

    fn told(&mut self, form: Form, base: &'static str) -> Told {
        let pid = match form {
            Form::Forks => self.process.only_child(),
            Form::Stays => self.process.pid(),
        };
        let (own, host) = (oracle::namespace(pid, "net"), oracle::namespace("self", "net"));
        let (own, host) = if own == host { self.wait_apart(pid) } else { (own, host) };
        assert_ne!(own, host);
        let kind = if form == Form::Forks { "pid" } else { "mnt" };
        let id = oracle::nameless_id(pid, kind);
        Told::new("unknown", id, None, pid, self.port).below(base)
    }

    /// Waits until the process is in a network namespace that is not ours.
    fn wait_apart(&mut self, pid: i32) -> (u64, u64) {
        let host = oracle::namespace("self", "net");
        let own = self
            .process
            .wait_for("network namespace", || Some(oracle::namespace(pid, "net")).filter(|own| *own != host));
        (own, host)
    }

    pub(super) fn told_with_pids(&mut self) -> Told {
        self.told(Form::Forks, BASE)
    }
}

#[track_caller]
fn check(mut container: Unshared, form: Form, base: &'static str) {
    assert!(base.is_empty() || !Path::new(&format!("{base}/etc/app")).exists(), "{base} is in use");
    let told = container.told(form, base);
    let chart = told.check();
    if form == Form::Forks {
        // Its parent stands outside of the pid namespace, and belongs to the same container all the same.
        let outer = format!("pid:{}", container.process.pid());
        assert_eq!(told.cat(&outer, "/etc/app/app.conf"), rootfs::CONFIG);
        assert!(told.get(&outer, &[]).ends_with(rootfs::PAGE));
        assert_eq!(chart.container_of(told.pid)["processes"], 2);
    }
    drop(container);
    told.check_gone();
}

#[test]
fn a_container_of_all_namespaces_is_found_without_a_runtime() {
    require!(Need::Root, Need::Program("unshare"), Need::Program("busybox"));
    let _turn = super::turn();
    // The child would outlive its parent, which is all that we may end.
    let container = Unshared::on_hosts_root("unshare", "-mpfn --mount-proc --kill-child");
    check(container, Form::Forks, BASE);
}

#[test]
fn a_container_of_mounts_and_network_is_found_without_a_runtime() {
    require!(Need::Root, Need::Program("unshare"), Need::Program("busybox"));
    let _turn = super::turn();
    check(Unshared::on_hosts_root("mounts", "-n -m"), Form::Stays, BASE);
}

#[test]
fn a_container_of_another_user_namespace_is_found_without_a_runtime() {
    require!(Need::Root, Need::UserNamespaces, Need::Program("unshare"), Need::Program("busybox"));
    let _turn = super::turn();
    let container = Unshared::on_hosts_root("users", "-Umnpf -r --kill-child");
    check(container, Form::Forks, BASE);
}

#[test]
fn a_chroot_in_namespaces_is_read_below_its_own_root() {
    require!(Need::Root, Need::Program("unshare"), Need::Program("chroot"), Need::Program("busybox"));
    let _turn = super::turn();
    let container = Unshared::start("chroot", |root, port| {
        let serve = rootfs::serve("/srv/www", port);
        format!("exec unshare -n -m chroot {root} /bin/sh -c '{serve}'")
    });
    check(container, Form::Stays, "");
}
