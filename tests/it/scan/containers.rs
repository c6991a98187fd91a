//! Containers without any runtime are found, each once, with what sets them apart.

use std::process::{Command, Stdio};

use portolan::{Runtime, SourceChoice};
use portolan_world::need::Need;
use portolan_world::{World, require};

use crate::command::portolan;
use crate::inside::Inside;
use crate::{oracle, servers};

use super::{by, container, ways};

/// All that is charted of a container agrees with what `/proc` says of its first process.
#[track_caller]
fn charted(c: &Inside, hostname: Option<&str>) {
    for way in ways() {
        charted_by(way, c, hostname);
    }
}

#[track_caller]
fn charted_by(way: SourceChoice, c: &Inside, hostname: Option<&str>) {
    let (chart, pid) = (by(way), c.pid());
    let found = container(&chart, pid);
    assert_eq!(found.runtime, Runtime::Unknown);
    assert_eq!(found.init.start_time, oracle::start_time(pid));
    let own = found.namespaces;
    for (kind, id) in [("mnt", own.mnt), ("net", own.net), ("pid", own.pid), ("user", own.user)] {
        assert_eq!(id.inode(), oracle::namespace(pid, kind), "{kind}");
    }
    assert_eq!(found.hostname.as_deref(), hostname);
    // It is one container, whichever of its namespaces it is looked for by.
    let apart = |c: &&portolan::Container| c.namespaces.mnt == own.mnt || c.id == found.id;
    assert_eq!(chart.containers.iter().filter(apart).count(), 1);
    for listener in chart.listeners_of(&found.id) {
        assert_eq!(listener.netns, own.net);
    }
}

#[test]
fn containers_of_every_make_are_found_once() {
    require!(Need::Root, Need::Overlay, Need::UserNamespaces);
    charted(&Inside::start(&World::new("plain-one")), Some("plain-one"));
    charted(&Inside::start(&World::new("in-a-chroot").chroot_only()), Some("in-a-chroot"));
    charted(&Inside::start(&World::new("with-users").user_namespace()), Some("with-users"));
    charted(&Inside::start(&World::new("no-net-of-its-own").share_network()), Some("no-net-of-its-own"));
    charted(&Inside::start(&World::new("no-pids-of-its-own").share_pid()), Some("no-pids-of-its-own"));
    charted(&Inside::start(&World::new("unnamed").share_uts()), None);
    charted(&Inside::start(&World::new("of-nobody").user("nobody")), Some("of-nobody"));
    let world = World::new("no-proc-inside").prepare("umount -l /proc");
    charted(&Inside::start(&world), Some("no-proc-inside"));
}

#[test]
fn a_container_of_many_processes_is_one_and_its_first_process_is_its_init() {
    require!(Need::Root, Need::Overlay);
    for way in ways() {
        let chart = || by(way);
        let world =
            World::new("many").command(["sh", "-c", "for i in 1 2 3 4 5; do sleep 1000 & done; wait"]);
        let c = Inside::start(&world);
        while c.shell("ls -d /proc/[0-9]*").lines().count() < 7 {}
        let chart = chart();
        let found = container(&chart, c.pid());
        assert!(found.processes >= 6, "{found:?}");
        // Neither what entered it from outside nor a process in a mount namespace below is another container.
        let pid = c.pid().to_string();
        let mut inner = Command::new("nsenter");
        inner.args(["-t", &pid, "-m", "-u", "-n", "-p", "-r", "unshare", "-m", "sleep", "1000"]);
        let mut inner = inner.stdin(Stdio::null()).spawn().unwrap();
        while c.shell("cat /proc/[0-9]*/comm").lines().filter(|name| *name == "sleep").count() < 6 {}
        let chart = by(way);
        let own = container(&chart, c.pid()).namespaces;
        let same =
            chart.containers.iter().filter(|c| c.namespaces.pid == own.pid || c.namespaces.net == own.net);
        assert_eq!(same.count(), 1, "{:?}", chart.containers);
        inner.kill().unwrap();
        inner.wait().unwrap();
    }
}

#[test]
fn a_container_made_by_unshare_is_found_by_the_first_process_inside() {
    require!(Need::Root);
    for way in ways() {
        let chart = || by(way);
        let mut unshare = Command::new("unshare");
        unshare.args(["-m", "-u", "-n", "-p", "--fork", "--kill-child", "--mount-proc"]);
        unshare.args(["sh", "-c", "hostname by-unshare; echo ready; exec sleep 1000"]);
        let mut unshare = unshare.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = [0; 6];
        std::io::Read::read_exact(unshare.stdout.as_mut().unwrap(), &mut ready).unwrap();
        let outer = unshare.id();
        let children = std::fs::read_to_string(format!("/proc/{outer}/task/{outer}/children")).unwrap();
        let inner: i32 = children.trim().parse().unwrap();
        let chart = chart();
        let found = container(&chart, inner);
        assert_eq!(found.hostname.as_deref(), Some("by-unshare"));
        assert_eq!(found.id, oracle::nameless_id(inner, "pid"));
        assert!(chart.containers.iter().all(|c| c.init.pid != outer.cast_signed()), "the supervisor is none");
        unshare.kill().unwrap();
        unshare.wait().unwrap();
    }
}

#[test]
fn what_shares_the_hosts_mounts_is_no_container() {
    require!(Need::Root, Need::Overlay);
    for way in ways() {
        let chart = || by(way);
        let c = Inside::start(&World::new("net-only").share_mount().share_pid());
        let chart = chart();
        assert!(chart.containers.iter().all(|found| found.init.pid != c.pid()));
    }
}

#[test]
fn a_container_that_ended_is_not_charted() {
    require!(Need::Root, Need::Overlay);
    for way in ways() {
        let chart = || by(way);
        let c = Inside::start(&World::new("ended-before-the-scan"));
        let pid = c.pid();
        container(&chart(), pid);
        drop(c);
        let chart = chart();
        assert!(chart.containers.iter().all(|c| c.hostname.as_deref() != Some("ended-before-the-scan")));
    }
}

#[test]
fn people_get_a_table_with_every_container_in_it() {
    require!(Need::Root, Need::Overlay);
    let world = servers::banner(World::new("in-the-table"), "hello", &[("127.0.0.1", 7311), ("::1", 7312)]);
    let c = Inside::start(&world);
    c.wait_log("listening");
    let _silent = Inside::start(&World::new("silent-in-the-table"));
    let ran = portolan(["scan", "--listeners"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let table = String::from_utf8(ran.stdout).unwrap();
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["CONTAINER", "RUNTIME", "ID", "PID", "LISTENS", "ON", "REACH", "COMMAND"]);
    let id = oracle::nameless_id(c.pid(), "pid");
    let pid = c.pid().to_string();
    assert!(
        rows.iter()
            .any(|row| row[..]
                == ["in-the-table", "unknown", &id, &pid, "127.0.0.1:7311", "loopback", "python3"]),
        "{table}"
    );
    assert!(rows.iter().any(|row| row[..] == [pid.as_str(), "[::1]:7312", "loopback", "python3"]), "{table}");
    assert!(rows.iter().any(|row| row.first() == Some(&"silent-in-the-table") && row[4] == "-"), "{table}");
    assert!(!table.contains('\x1b'), "colours are for terminals");
}
