//! What a watch tells of real containers and processes, how soon, and how it ends.

mod alike;
mod command;
mod ends;
mod listens;
mod polling;
mod stream;
mod told;

use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use portolan::{Container, Listener, ScanOptions, SourceChoice, Stopper, Update, Watch, WatchOptions};

use portolan_world::need::Need;

use crate::inside::Inside;

/// Nothing that is told may take as long as this, on the busiest machine.
const LIMIT: Duration = Duration::from_secs(20);

/// Process events come in the initial network namespace alone.
const CONNECTOR: Need = Need::File("/proc/net/connector");

/// So long that no whole scan helps.
fn by_events() -> WatchOptions {
    let mut options = WatchOptions::default();
    options.interval = Duration::from_secs(600);
    options
}

fn polling(interval: Duration) -> WatchOptions {
    let mut options = WatchOptions::default();
    (options.interval, options.poll) = (interval, true);
    options
}

/// A watch on a thread of its own; stopped when this is dropped.
struct Watching {
    updates: Receiver<(Duration, Update)>,
    stopper: Stopper,
    thread: Option<JoinHandle<Watch>>,
    is_told: bool,
    /// What the first update said.
    first: Update,
}

impl Watching {
    /// Returns when the first update was told.
    fn start(options: WatchOptions) -> Self {
        Self::by(SourceChoice::Auto, options)
    }

    /// The same, with the kernel asked this way.
    fn by(source: SourceChoice, options: WatchOptions) -> Self {
        let mut how = ScanOptions::default();
        how.source = source;
        let mut watch = portolan::Host::new().with_scan_options(how).scanner().watch(options);
        let (stopper, is_told) = (watch.stopper(), watch.is_told());
        let (sender, updates) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            for update in &mut watch {
                if sender.send((monotonic(), update.unwrap())).is_err() {
                    break;
                }
            }
            watch
        });
        let (_, first) = updates.recv_timeout(LIMIT).unwrap();
        Self { updates, stopper, thread: Some(thread), is_told, first }
    }

    /// Waits for an update in which something is found; gives that, and when it was told.
    #[track_caller]
    fn until<T>(&self, mut found: impl FnMut(&Update) -> Option<T>) -> (T, Duration) {
        self.until_at(|update, _| found(update))
    }

    /// The same, with when each update was told.
    #[track_caller]
    fn until_at<T>(&self, mut found: impl FnMut(&Update, Duration) -> Option<T>) -> (T, Duration) {
        let start = Instant::now();
        loop {
            let left = LIMIT.saturating_sub(start.elapsed());
            let (now, update) = self.updates.recv_timeout(left).expect("it is not told");
            if let Some(found) = found(&update, now) {
                return (found, now);
            }
        }
    }

    /// Waits until a listener at this port is told as added, wherever.
    #[track_caller]
    fn until_listens(&self, port: u16) -> (Listener, Duration) {
        self.until(|update| listener(update, port))
    }

    /// Waits until both the container and its listener were told as removed.
    #[track_caller]
    fn until_gone(&self, pid: i32, port: u16) {
        let (mut container, mut listener) = (false, false);
        self.until(|update| {
            container |= update.diff.containers.removed.iter().any(|c| c.init.pid == pid);
            listener |= update.diff.listeners.removed.iter().any(|l| l.port() == Some(port));
            (container && listener).then_some(())
        });
    }

    /// Ends it; gives it with its last chart.
    fn end(mut self) -> Watch {
        self.stopper.stop();
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.stopper.stop();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking());
        }
    }
}

fn listener(update: &Update, port: u16) -> Option<Listener> {
    update.diff.listeners.added.iter().find(|l| l.port() == Some(port)).cloned()
}

fn added(update: &Update, pid: i32) -> Option<Container> {
    update.diff.containers.added.iter().find(|c| c.init.pid == pid).cloned()
}

/// The clock that the programs inside tell, too.
fn monotonic() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap().into()
}

/// Python: listens after some time, and says when that was, on the clock that goes on all the same.
const LATE: &str = r"
import socket, sys, time
def late(port, seconds):
    time.sleep(seconds)
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(('127.0.0.1', port))
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC)
    s.listen()
    print('listening', now, flush=True)
    return s
";

/// When a program of [`LATE`] listened, by what it wrote.
fn listened(log: &str) -> Duration {
    let line = log.lines().find_map(|line| line.strip_prefix("listening ")).unwrap();
    Duration::from_nanos(line.trim().parse().unwrap())
}

/// When a container of [`LATE`] listened.
fn listened_in(c: &Inside) -> Duration {
    c.wait_log("listening");
    listened(&c.container.log())
}
