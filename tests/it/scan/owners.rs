//! A listening socket that several processes hold is one listener, and the oldest of them owns it.

use portolan_world::need::Need;
use portolan_world::{World, require};

use crate::inside::Inside;
use crate::{oracle, servers};

use super::{by, container, ways};

#[test]
fn a_listener_that_children_inherited_is_owned_by_the_oldest_of_them() {
    require!(Need::Root, Need::Overlay);
    for way in ways() {
        let chart = || by(way);
        // As prefork servers do it. The first process does not hold the socket itself.
        let text = "
import os, socket, time
if os.fork() == 0:
    listener = socket.socket(); listener.bind(('127.0.0.1', 7300)); listener.listen(1)
    for _ in range(4):
        if os.fork() == 0: time.sleep(1000)
    print('listening', flush=True)
    time.sleep(1000)
time.sleep(1000)";
        let c = Inside::start(&servers::python(World::new("prefork"), text));
        c.wait_log("listening");
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", c.pid())).unwrap();
        let master: i32 = children.trim().parse().unwrap();
        let chart = chart();
        let id = container(&chart, c.pid()).id.clone();
        let listeners: Vec<_> = chart.listeners_of(&id).collect();
        assert_eq!(listeners.len(), 1, "{listeners:?}");
        assert_eq!(listeners[0].owner.map(|owner| owner.pid), Some(master));
    }
}

#[test]
fn a_listener_that_was_passed_to_an_older_process_is_owned_by_it() {
    require!(Need::Root, Need::Overlay);
    for way in ways() {
        let chart = || by(way);
        let text = "
import os, socket, time
ours, theirs = socket.socketpair()
if os.fork() == 0:
    listener = socket.socket(); listener.bind(('127.0.0.1', 7301)); listener.listen(1)
    socket.send_fds(theirs, [b'x'], [listener.fileno()])
    time.sleep(1000)
_, passed, _, _ = socket.recv_fds(ours, 1, 1)
print('passed', flush=True)
time.sleep(1000)";
        let c = Inside::start(&servers::python(World::new("passed"), text));
        c.wait_log("passed");
        let chart = chart();
        let listeners: Vec<_> = chart.listeners.iter().filter(|l| l.port() == Some(7301)).collect();
        assert_eq!(listeners.len(), 1, "{listeners:?}");
        assert_eq!(listeners[0].owner, Some(c.process.id()));
    }
}

#[test]
fn a_listener_that_only_a_process_of_the_host_holds_belongs_to_the_container_of_its_network() {
    require!(Need::Root, Need::Overlay);
    for way in ways() {
        let chart = || by(way);
        let c = Inside::start(&World::new("reached-into"));
        // A daemon of the host that listens in the container's network, as service meshes do it.
        let mut daemon = std::process::Command::new("nsenter");
        daemon.args(["-t", &c.pid().to_string(), "-n", "python3", "-c"]);
        daemon.arg(
            "import socket, time
listener = socket.socket(); listener.bind(('127.0.0.1', 7302)); listener.listen(1)
print('ready', flush=True); time.sleep(1000)",
        );
        let mut daemon = daemon.stdout(std::process::Stdio::piped()).spawn().unwrap();
        let mut ready = [0; 6];
        std::io::Read::read_exact(daemon.stdout.as_mut().unwrap(), &mut ready).unwrap();
        let chart = chart();
        let netns = oracle::namespace(c.pid(), "net");
        let listeners: Vec<_> = chart.listeners.iter().filter(|l| l.netns.inode() == netns).collect();
        assert_eq!(listeners.len(), 1, "{listeners:?}");
        assert_eq!(listeners[0].container.as_deref(), Some(container(&chart, c.pid()).id.as_str()));
        assert_eq!(listeners[0].owner.map(|owner| owner.pid), Some(daemon.id().cast_signed()));
        daemon.kill().unwrap();
        daemon.wait().unwrap();
    }
}

#[test]
fn a_command_name_made_to_forge_the_table_is_shown_escaped() {
    require!(Need::Root, Need::Overlay);
    for way in ways() {
        let chart = || by(way);
        let text = r"
import socket, time
open('/proc/self/comm', 'wb').write(b'a) S\n\x1b[2J\xff')
listener = socket.socket(); listener.bind(('127.0.0.1', 7303)); listener.listen(1)
print('listening', flush=True)
time.sleep(1000)";
        let world = World::new("forger").prepare("printf 'bad\\033[2J' >/proc/sys/kernel/hostname");
        let c = Inside::start(&servers::python(world, text));
        c.wait_log("listening");
        let chart = chart();
        let found = container(&chart, c.pid());
        assert_eq!(found.hostname.as_deref(), Some(r"bad\x1b[2J"));
        let listener = chart.listeners_of(&found.id).next().unwrap();
        assert_eq!(listener.command.as_deref(), Some(r"a) S\x0a\x1b[2J\xff"));
        assert_eq!(listener.owner, Some(c.process.id()));
        let table = String::from_utf8(crate::command::portolan(["scan", "--listeners"]).stdout).unwrap();
        assert!(table.contains(r"a) S\x0a\x1b[2J\xff") && !table.contains('\x1b'), "{table}");
    }
}
