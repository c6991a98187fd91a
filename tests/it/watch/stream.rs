//! A watch as a stream of tokio's world.

use std::pin::Pin;
use std::time::{Duration, Instant};

use futures_core::Stream;
use portolan::WatchStream;
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::{LIMIT, added, polling};
use crate::inside::Inside;

fn stream() -> WatchStream {
    WatchStream::new(portolan::Host::new().scanner().watch(polling(Duration::from_millis(400)))).unwrap()
}

/// How many threads of ours watch for a stream.
fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names =
        tasks.flatten().map(|task| std::fs::read_to_string(task.path().join("comm")).unwrap_or_default());
    names.filter(|name| name.trim() == "portolan-watch").count()
}

/// One test, for it counts threads.
#[tokio::test]
async fn it_gives_updates_and_ends_when_it_is_dropped() {
    require!(Need::Root, Need::Overlay);
    let mut updates = stream();
    assert!(updates.next().await.unwrap().unwrap().whole);
    let c = Inside::start(&World::new("streamed").command(["sleep", "1000"]));
    let told = async {
        // By the trait, as an adapter does it.
        loop {
            let next = std::future::poll_fn(|context| Pin::new(&mut updates).poll_next(context));
            if let Some(container) = added(&next.await.unwrap().unwrap(), c.pid()) {
                break container;
            }
        }
    };
    assert_eq!(tokio::time::timeout(LIMIT, told).await.unwrap().init, c.process.id());
    assert_eq!(threads(), 1);
    drop(updates);
    // One that was never asked, and one whose update nobody took.
    drop(stream());
    let untaken = stream();
    tokio::time::sleep(Duration::from_millis(600)).await;
    drop(untaken);
    let start = Instant::now();
    while threads() > 0 {
        assert!(start.elapsed() < LIMIT, "a thread goes on watching");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
