//! Much of everything: processes of one namespace, connections of one process.

use std::collections::BTreeMap;
use std::fs;

use portolan_scan::{ScanOptions, Scanner};
use portolan_world::need::Need;
use portolan_world::{World, require};

use crate::inside::Inside;
use crate::{oracle, servers};

use super::{by, container, in_namespace, ways};

#[test]
fn among_many_processes_of_one_namespace_every_owner_is_found() {
    require!(Need::Root, Need::Overlay);
    for way in ways() {
        let chart = || by(way);
        // The first two hundred have nothing, then some listen, then come a hundred more without anything.
        let text = "
import os, socket, sys, time
for number in range(400):
    pid = os.fork()
    if pid == 0:
        if 200 <= number < 300 and number % 10 == 0:
            s = socket.socket(); s.bind(('127.0.0.1', 9000 + number)); s.listen(1)
            with open('/run/%d' % number, 'w') as f: f.write('x')
        time.sleep(1000)
while len(os.listdir('/run')) < 10: time.sleep(0.001)
print('ready', flush=True)
time.sleep(1000)";
        let c = Inside::start(&servers::python(World::new("four-hundred").tmpfs("/run"), text));
        c.wait_log("ready");
        let chart = chart();
        assert!(container(&chart, c.pid()).processes > 400);
        let owners: BTreeMap<u16, i32> = in_namespace(&chart, oracle::namespace(c.pid(), "net"))
            .into_iter()
            .map(|l| (l.port().unwrap(), l.owner.unwrap().pid))
            .collect();
        assert_eq!(
            owners.keys().copied().collect::<Vec<_>>(),
            (0..10).map(|n| 9200 + 10 * n).collect::<Vec<_>>()
        );
        let inside = |pid: &i32| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            let numbers = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap();
            numbers.split_whitespace().last().unwrap().parse::<u16>().unwrap()
        };
        for (port, pid) in &owners {
            // Forked one after another from process 1, which makes no others.
            assert_eq!(inside(pid), port - 9000 + 2, "{owners:?}");
        }
    }
}

#[test]
fn thousands_of_connections_are_not_listeners_and_hide_none() {
    require!(Need::Root, Need::Overlay, Need::Program("ss"));
    for way in ways() {
        // One listener is below all connections among the descriptors, one above them.
        let text = "
import resource, socket, time
resource.setrlimit(resource.RLIMIT_NOFILE, (16384, 16384))
low = socket.socket(); low.bind(('127.0.0.1', 8600)); low.listen(128)
held = []
for _ in range(3000):
    client = socket.socket(); client.connect(('127.0.0.1', 8600))
    held += client, low.accept()[0]
high = socket.socket(); high.bind(('127.0.0.1', 8601)); high.listen(1)
for kind in range(300):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.connect(('127.0.0.1', 8600)); held.append(s)
print('ready', flush=True)
time.sleep(1000)";
        let c = Inside::start(&servers::python(World::new("connected"), text));
        c.wait_log("ready");
        let netns = oracle::namespace(c.pid(), "net");
        let mut options = ScanOptions::default();
        options.source = way;
        let mut scanner = Scanner::new(options);
        for _ in 0..2 {
            let chart = scanner.scan().unwrap();
            let found: Vec<_> =
                in_namespace(&chart, netns).into_iter().map(|l| (l.port().unwrap(), l.owner)).collect();
            assert_eq!(found, [(8600, Some(c.process.id())), (8601, Some(c.process.id()))]);
        }
        assert_eq!(oracle::listeners(c.pid()).len(), 2);
    }
}
