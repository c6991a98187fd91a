//! A plain `chroot`: another root, and everything else of the host.

use nix::sys::signal::Signal;
use portolan_world::need::Need;
use portolan_world::require;
use serde_json::json;

use super::chart::Chart;
use super::place::Place;
use super::process::Process;
use super::rootfs::{self, CONFIG, PAGE, PASSWD, SH};
use super::tool::tool;
use crate::command::{command, portolan, run};
use crate::oracle;

#[test]
fn a_chroot_is_no_container_and_is_read_below_its_own_root() {
    require!(Need::Root, Need::Program("chroot"), Need::Program("busybox"));
    let _turn = super::turn();
    let port = rootfs::port();
    let place = Place::new("plain-chroot");
    let root = place.directory("root");
    rootfs::programs(&root);
    rootfs::files(&root);
    let serve = format!("exec {}", rootfs::httpd("/srv/www", port).join(" "));
    let mut command = tool("chroot");
    command.arg(&root).args([SH, "-c", &serve]);
    let mut jail = Process::start(&mut command, Signal::SIGKILL, &place.path().join("log"));
    jail.wait_for("listener", || rootfs::is_open_on_host(port).then_some(()));
    let pid = jail.pid();
    for kind in ["mnt", "net", "pid", "user"] {
        assert_eq!(oracle::namespace(pid, kind), oracle::namespace("self", kind), "{kind}");
    }
    let chart = Chart::now();
    assert!(!chart.is_first(pid), "a chroot is charted as a container: {chart:#?}");
    let listener = chart.listeners().iter().find(|l| l["port"] == port).unwrap();
    let known = (&listener["container"], &listener["pid"], &listener["netns"]);
    assert_eq!(known, (&json!(null), &json!(pid), &json!(oracle::namespace("self", "net"))));
    let target = format!("pid:{pid}");
    // Both links are absolute, and both lead below the root that the process has.
    for (path, text) in
        [("/etc/app/app.conf", CONFIG), ("/etc/app/current.conf", CONFIG), ("/etc/app/users", PASSWD)]
    {
        assert_eq!(portolan(["cat", &target, path]).text(), text, "{path}");
    }
    dials(&target, port);
    drop(jail);
    portolan(["cat", &target, "/etc/app/app.conf"]).failed(1);
}

/// What it listens on is the host's: only who says so gets there.
#[track_caller]
fn dials(target: &str, port: u16) {
    let port = port.to_string();
    let request = b"GET /index.html HTTP/1.0\r\n\r\n";
    let refused = run(&mut command(["dial", target, &port]), request);
    assert!(refused.failed(1).contains("host"), "{refused:?}");
    let answer = run(&mut command(["dial", target, &port, "--allow-host-network"]), request).text();
    assert!(answer.ends_with(PAGE), "{answer}");
}
