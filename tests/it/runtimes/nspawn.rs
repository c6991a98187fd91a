//! systemd-nspawn without a service manager.

use nix::sys::signal::Signal;
use portolan_world::need::Need;
use portolan_world::require;

use super::place::Place;
use super::process::Process;
use super::rootfs::{self, SH};
use super::told::Told;
use super::tool::tool;
use super::traces::Traces;

#[test]
fn a_machine_of_systemd_nspawn_is_found_without_its_manager() {
    require!(Need::Root, Need::Program("systemd-nspawn"), Need::Program("busybox"));
    let _turn = super::turn();
    let (name, port) = (super::name("nspawn"), rootfs::port());
    let _traces = Traces::of(
        &["payload", "supervisor"],
        &["/run/systemd/nspawn/propagate", "/run/systemd/nspawn/locks", "/run/systemd/nspawn"],
    );
    let place = Place::new("nspawn");
    let root = place.directory("root");
    rootfs::programs(&root);
    rootfs::files(&root);
    let mut command = tool("systemd-nspawn");
    command.arg("--directory").arg(&root).args(["--machine", &name]);
    // Nobody to register with, and no unit to be put into.
    command.args(["--quiet", "--register=no", "--keep-unit", "--private-network", "--resolv-conf=off"]);
    command.args([SH, "-c", &rootfs::serve("/srv/www", port)]);
    let mut nspawn = Process::start(&mut command, Signal::SIGTERM, &place.path().join("log"));
    let pid = wait_for_web_server(&mut nspawn);
    // Without a unit the machine's name is nowhere in the control group; its supervisor was told it.
    let told = Told::new("systemd-nspawn", &name, Some(name.clone()), pid, port);
    told.check();
    drop(nspawn);
    told.check_gone();
}

/// The machine's first process, once it has taken its last name: nspawn has other children before.
fn wait_for_web_server(nspawn: &mut Process) -> i32 {
    loop {
        let pid = nspawn.only_child();
        let found = nspawn.wait_for("web server", || {
            let command = std::fs::read(format!("/proc/{pid}/cmdline"));
            match command {
                Ok(line) if line.starts_with(b"busybox\0httpd\0") => Some(true),
                Ok(line) if !line.is_empty() => None,
                _ => Some(false),
            }
        });
        if found {
            return pid;
        }
    }
}
