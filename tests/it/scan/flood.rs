//! A container that listens thousands of times fills nobody's memory, and costs no other its answer.

use portolan::ErrorKind;
use portolan_world::need::Need;
use portolan_world::{World, require};

use crate::inside::Inside;
use crate::{oracle, servers};

use super::{by, ways};

#[test]
fn more_listeners_than_a_namespace_may_have_are_cut_and_that_is_told() {
    require!(Need::Root, Need::Overlay, Need::Program("python3"));
    for way in ways() {
        let chart = || by(way);
        let text = "
import os, resource, socket, time
resource.setrlimit(resource.RLIMIT_NOFILE, (17000, 17000))
if os.fork() == 0: pass
listeners = []
for number in range(9000):
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(f'\\0{os.getpid()}-{number}')
    listener.listen(1)
    listeners.append(listener)
os.write(1, b'listening\\n')
time.sleep(1000)";
        let flood = Inside::start(&servers::python(World::new("flood"), text));
        let other =
            Inside::start(&servers::banner(World::new("beside-the-flood"), "", &[("127.0.0.1", 7900)]));
        other.wait_log("listening");
        // Both processes, of nine thousand each.
        flood.wait_log("listening\nlistening");
        let chart = chart();
        let netns = |c: &Inside| oracle::namespace(c.pid(), "net");
        let of = |netns: u64| chart.listeners.iter().filter(move |l| l.netns.inode() == netns);
        assert_eq!(of(netns(&flood)).count(), 16_384);
        let told = chart.faults.iter().find(|f| f.subject == "netns" && f.first == netns(&flood)).unwrap();
        assert!(matches!(told.kind, ErrorKind::Limit(_)), "{told}");
        let beside: Vec<_> = of(netns(&other)).collect();
        assert_eq!(beside.len(), 1);
        assert_eq!(beside[0].owner, Some(other.process.id()));
    }
}
