//! bubblewrap, which makes its sandbox without a control group, a name or root.

use nix::sys::signal::Signal;
use portolan_world::need::Need;
use portolan_world::require;

use super::place::Place;
use super::process::Process;
use super::rootfs::{self, SH};
use super::told::Told;
use super::tool::tool;
use crate::oracle;

#[test]
fn a_sandbox_of_bubblewrap_is_found_by_its_namespaces() {
    require!(Need::Root, Need::UserNamespaces, Need::Program("bwrap"), Need::Program("busybox"));
    let _turn = super::turn();
    let port = rootfs::port();
    let place = Place::new("bubblewrap");
    let root = place.directory("root");
    rootfs::programs(&root);
    rootfs::files(&root);
    let mut command = tool("bwrap");
    command.arg("--ro-bind").arg(&root).args(["/", "--proc", "/proc", "--dev", "/dev"]);
    // With all namespaces, of users too. It brings up the loopback itself.
    command.args(["--unshare-all", "--die-with-parent", "--as-pid-1"]);
    command.args([SH, "-c", &format!("exec {}", rootfs::httpd("/srv/www", port).join(" "))]);
    let mut sandbox = Process::start(&mut command, Signal::SIGKILL, &place.path().join("log"));
    let pid = sandbox.only_child();
    wait_for_web_server(&mut sandbox, pid);
    assert_ne!(oracle::namespace(pid, "user"), oracle::namespace("self", "user"));
    let told = Told::new("bubblewrap", oracle::nameless_id(pid, "pid"), None, pid, port);
    told.check();
    drop(sandbox);
    told.check_gone();
}

/// Until it has taken its last name, the child is still bubblewrap, on its way.
fn wait_for_web_server(sandbox: &mut Process, pid: i32) {
    sandbox.wait_for("web server", || {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        line.starts_with(b"busybox\0httpd\0").then_some(())
    });
}
