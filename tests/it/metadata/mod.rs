//! What the runtimes' API says of containers: held against `docker inspect` and `podman inspect`, and what a socket that
//! hangs, dies or lies can do.
//!
//! # Layout
//! - `docker`, `podman`: the real daemons, root's and a user's
//! - `hostile`: sockets that are served by the test
//! - `watch`: events that are served by the test
//! - `scene`: a container by its control group alone, and servers that answer whatever a test wants

mod docker;
mod hostile;
mod podman;
mod scene;
mod watch;

use std::time::{Duration, Instant};

use portolan::metadata::Answer;
use portolan::{Host, Inventory, Runtimes};

/// Long enough for a daemon on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);
/// What an answer may take beyond its deadline on a busy machine.
const SLACK: Duration = Duration::from_secs(1);

fn chart() -> Inventory {
    Host::new().scan().unwrap()
}

/// Asks, and sees to it that the deadline is kept.
#[track_caller]
fn ask(runtimes: &Runtimes, chart: &Inventory, deadline: Duration) -> Answer {
    let start = Instant::now();
    let answer = runtimes.ask(chart, deadline);
    let took = start.elapsed();
    assert!(took < deadline + SLACK, "{took:?} for {deadline:?}: {answer:?}");
    answer
}
