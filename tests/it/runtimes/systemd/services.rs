//! Services with namespaces of their own are the host's, whatever they are called.

use portolan_world::need::Need;
use portolan_world::require;
use serde_json::json;

use super::super::chart::Chart;
use super::super::rootfs::{self, CONFIG, PAGE};
use super::super::told::Told;
use super::super::view::View;
use super::machine::{INSIDE, Machine};
use crate::command::run;
use crate::oracle;

/// What a careful service asks for. The network makes it look like a container.
const PRIVATE: [&str; 5] =
    ["PrivateNetwork=yes", "PrivateTmp=yes", "PrivateMounts=yes", "ProtectSystem=strict", "PrivateIPC=yes"];

/// Starts a service that serves the page; gives what systemd says of it.
#[track_caller]
fn service(machine: &Machine, unit: &str, options: &[&str], www: &str, base: &'static str) -> Told {
    let port = rootfs::port();
    let mut words = vec!["systemd-run", "--quiet", "--unit", unit];
    words.extend(PRIVATE.iter().chain(options).flat_map(|option| ["--property", option]));
    let httpd = rootfs::httpd(www, port);
    words.extend(httpd.iter().map(String::as_str));
    machine.told(&words);
    let pid = machine.told(&["systemctl", "show", "--property", "MainPID", "--value", unit]);
    Told::new("none", unit, None, machine.pid(&pid), port).below(base).seen_by(&machine.view())
}

/// It is in no container, and all the same its port is charted where it is, its files are read and its port is
/// dialed, by its pid.
#[track_caller]
fn check(machine: &Machine, service: &Told) {
    let (view, pid) = (machine.view(), machine.view().pid(service.pid));
    service.wait_listening();
    let chart = Chart::seen_by(&view);
    assert!(!chart.is_first(service.pid), "{service:?} is charted as a container: {chart:#?}");
    let netns = oracle::namespace(service.pid, "net");
    assert_eq!(chart.addresses(netns), oracle::listeners(service.pid));
    let listener = service.listener(&chart);
    let known = (&listener["container"], &listener["pid"], &listener["netns"], &listener["reach"]);
    assert_eq!(known, (&json!(null), &json!(pid), &json!(netns), &json!("loopback")), "{listener:#}");
    let target = format!("pid:{pid}");
    assert_eq!(service.cat(&target, "/etc/app/app.conf"), CONFIG);
    assert!(!rootfs::is_open_on_host(service.port));
    assert!(service.get(&target, &[]).ends_with(PAGE));
    // By its unit's name it is not to be had.
    run(&mut view.command(["cat", &service.id, "/etc/app/app.conf"]), b"").failed(1);
}

/// From outside a service belongs to the machine, and to no container in it.
#[track_caller]
fn check_from_outside(machine: &Machine, service: &Told) {
    let service = service.seen_by(&View::host());
    let chart = Chart::now();
    let host = chart.container_of(machine.leader());
    let listener = service.listener(&chart);
    assert_eq!(
        (&listener["container"], &listener["pid"]),
        (&host["id"], &json!(service.pid)),
        "{listener:#}"
    );
}

#[test]
fn services_with_namespaces_of_their_own_are_no_containers() {
    require!(Need::Root, Need::CgroupV2, Need::Program("systemd-nspawn"), Need::Program("busybox"));
    let _turn = super::super::turn();
    let machine = Machine::start();
    let files = format!("{INSIDE}/rootfs");
    let www = format!("{files}/srv/www");
    let plain = service(&machine, "inside-plain.service", &[], &www, "/mnt/inside/rootfs");
    check(&machine, &plain);
    check_from_outside(&machine, &plain);
    let users = service(&machine, "inside-users.service", &["PrivateUsers=yes"], &www, "/mnt/inside/rootfs");
    check(&machine, &users);
    let other_root = format!("RootDirectory={files}");
    let options = [other_root.as_str(), "MountAPIVFS=yes", "ProtectProc=invisible"];
    check(&machine, &service(&machine, "inside-root.service", &options, "/srv/www", ""));
    // Units may have any name, also that of a container, or one like it.
    for unit in ["4".repeat(64), format!("docker-{}", "5".repeat(64)), format!("libpod-{}", "6".repeat(64))] {
        check(&machine, &service(&machine, &format!("{unit}.service"), &[], &www, "/mnt/inside/rootfs"));
    }
    assert_eq!(Chart::seen_by(&machine.view()).containers(), [] as [serde_json::Value; 0]);
}
