//! How a watch ends, and what it does not hold on to as long as it goes on.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use portolan_world::need::Need;
use portolan_world::{World, require};

use super::{LIMIT, Watching, added, by_events, polling};
use crate::inside::Inside;

#[test]
fn it_is_stopped_from_another_thread_and_twice() {
    require!(Need::Root);
    for options in [by_events(), polling(Duration::from_secs(600))] {
        let mut watching = Watching::start(options.clone());
        let (stopper, other) = (watching.stopper.clone(), watching.stopper.clone());
        let start = Instant::now();
        std::thread::spawn(move || stopper.stop()).join().unwrap();
        let mut watch = watching.thread.take().unwrap().join().unwrap();
        assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
        other.stop();
        assert!(watch.next().is_none() && watch.next().is_none());
        // Before it has begun.
        let mut watch = portolan::Host::new().scanner().watch(options);
        watch.stopper().stop();
        assert!(watch.next().is_none() && watch.chart().is_none());
    }
}

/// One end of a pair of interfaces in the host; removed with this if the other end's namespace has not done it.
struct Pair(String);

impl Pair {
    fn with(pid: i32) -> Self {
        let name = format!("pw{pid}");
        let mut ip = Command::new("ip");
        ip.args(["link", "add", &name, "type", "veth", "peer", "name", "inner", "netns", &pid.to_string()]);
        assert!(ip.status().unwrap().success());
        Self(name)
    }

    fn is_there(&self) -> bool {
        Path::new("/sys/class/net").join(&self.0).exists()
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        if self.is_there() {
            let _ = Command::new("ip").args(["link", "del", &self.0]).status();
        }
    }
}

#[test]
fn namespaces_end_with_their_containers_while_it_goes_on() {
    require!(Need::Root, Need::Overlay, Need::Program("ip"));
    for options in [by_events(), polling(Duration::from_millis(500))] {
        let watching = Watching::start(options);
        let c = Inside::start(&World::new("ends-whole").command(["sleep", "1000"]));
        let pair = Pair::with(c.pid());
        watching.until(|update| added(update, c.pid()));
        assert!(pair.is_there());
        // A namespace takes its interfaces with it, and they their other ends.
        c.container.kill();
        let start = Instant::now();
        while pair.is_there() {
            assert!(start.elapsed() < LIMIT, "the network namespace is still there");
            std::thread::sleep(Duration::from_millis(20));
        }
        watching.until(|update| {
            update.diff.containers.removed.iter().any(|gone| gone.init.pid == c.pid()).then_some(())
        });
    }
}
