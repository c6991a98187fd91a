//! systemd-nspawn with a manager that it registers its machines with.

use portolan_world::need::Need;
use portolan_world::require;

use super::super::rootfs;
use super::super::told::Told;
use super::super::tool::attempt;
use super::machine::{INSIDE, Machine};

#[test]
fn a_registered_machine_is_what_machinectl_says() {
    require!(
        Need::Root,
        Need::CgroupV2,
        Need::Program("systemd-nspawn"),
        Need::Program("machinectl"),
        Need::File("/usr/bin/dbus-daemon"),
        Need::Program("busybox")
    );
    let _turn = super::super::turn();
    let mut machine = Machine::start();
    machine.told(&["systemctl", "start", "dbus.service", "systemd-machined.service"]);
    // Units' names have a dash as `\x2d`; the machine's has it as it is.
    let (name, port) = ("inside-web-01.lan", rootfs::port());
    let root = format!("{INSIDE}/rootfs");
    let mut words = vec!["systemd-run", "--quiet", "systemd-nspawn", "--quiet", "--private-network"];
    words.extend(["--resolv-conf=off", "--directory", &root, "--machine", name]);
    let serve = rootfs::serve("/srv/www", port);
    words.extend([rootfs::SH, "-c", &serve]);
    machine.told(&words);
    let mut show = machine.command(&["machinectl", "show", "--property", "Leader", "--value", name]);
    let pid = machine.wait_for("registered machine", || {
        let said = String::from_utf8(attempt(&mut show)?.stdout).ok()?;
        Some(said.trim().to_owned()).filter(|pid| !pid.is_empty())
    });
    let container = Told::new("systemd-nspawn", name, Some(name.to_owned()), machine.pid(&pid), port);
    container.seen_by(&machine.view()).check();
    // From outside it is a machine in a machine.
    container.check();
}
