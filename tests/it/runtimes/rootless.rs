//! Podman as a user who has one id: no range of them, no service manager, and no control group of his own.

use std::fs;
use std::process::Command;

use portolan_world::need::Need;
use portolan_world::require;

use super::place::Place;
use super::podman::CONFIGURATION;
use super::rootfs;
use super::told::Told;
use super::tool::{attempt, detach, told, tool};
use crate::oracle;

/// A user id that nobody has: above those that `adduser` gives, below those that systemd does (`UIDS-GIDS` in its
/// documentation).
pub(crate) const USER: u32 = 60_432;

/// A user's Podman. The user is in no file of the host: Podman finds him in one that only it sees.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) place: Place,
}

impl Account {
    pub(crate) fn new() -> Self {
        let place = Place::new("rootless");
        let home = place.directory("home");
        rootfs::programs(&place.directory("home/rootfs"));
        rootfs::files(&home.join("rootfs"));
        place.directory("home/run");
        fs::write(home.join("containers.conf"), CONFIGURATION).unwrap();
        fs::write(home.join("storage.conf"), "[storage]\ndriver = \"vfs\"\n").unwrap();
        let passwd = fs::read_to_string("/etc/passwd").unwrap();
        let group = fs::read_to_string("/etc/group").unwrap();
        let line = format!("inside:x:{USER}:{USER}::{}:/bin/sh\n", home.display());
        fs::write(place.path().join("passwd"), passwd + &line).unwrap();
        fs::write(place.path().join("group"), format!("{group}inside:x:{USER}:\n")).unwrap();
        told(tool("chown").args(["-R", &format!("{USER}:{USER}")]).arg(&home));
        Self { place }
    }

    /// A program as the user.
    pub(crate) fn program(&self, name: &str) -> Command {
        let at = |name: &str| self.place.at(name);
        let mounts = "mount --bind \"$0/passwd\" /etc/passwd && mount --bind \"$0/group\" /etc/group";
        let become_user = format!("setpriv --reuid={USER} --regid={USER} --clear-groups");
        let mut command = tool("unshare");
        command
            .args(["--mount", "--propagation", "private", "sh", "-c"])
            .args([&format!("{mounts} && exec {become_user} \"$@\""), &at(""), name])
            .current_dir(at("home"))
            .env("HOME", at("home"))
            .env("XDG_RUNTIME_DIR", at("home/run"))
            .env("TMPDIR", at("home/run"))
            .env("CONTAINERS_CONF", at("home/containers.conf"))
            .env("CONTAINERS_STORAGE_CONF", at("home/storage.conf"))
            .env_remove("DBUS_SESSION_BUS_ADDRESS");
        command
    }

    /// Podman, which also says that the user has few ids.
    pub(crate) fn podman(&self) -> Command {
        let mut command = self.program("podman");
        command.args(["--log-level", "error"]);
        command
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        attempt(self.podman().args(["rm", "--all", "--force", "--time", "0"]));
        // A process that holds the user's namespaces for the next command.
        attempt(self.podman().args(["system", "migrate"]));
    }
}

#[test]
fn a_podman_container_of_a_user_with_one_id_is_what_podman_inspect_says() {
    require!(
        Need::Root,
        Need::Podman,
        Need::UserNamespaces,
        Need::Program("runc"),
        Need::Program("unshare"),
        Need::Program("busybox")
    );
    let _turn = super::turn();
    let account = Account::new();
    let (name, port) = (super::name("rootless"), rootfs::port());
    let root = account.place.at("home/rootfs");
    let mut run = account.podman();
    run.args(["run", "--detach", "--network", "none", "--name", &name, "--rootfs", &root]);
    detach(run.args(rootfs::httpd("/srv/www", port)));
    let inspect = |template| told(account.podman().args(["inspect", "--format", template, &name]));
    let (id, pid): (String, i32) = (inspect("{{.Id}}"), inspect("{{.State.Pid}}").parse().unwrap());
    assert_ne!(oracle::namespace(pid, "user"), oracle::namespace("self", "user"));
    // On a host with the first version of control groups it has none, and all is up to its monitor.
    let told = Told::new("podman", id, Some(name), pid, port);
    told.check();
    drop(account);
    told.check_gone();
}
