//! Accepts until the end.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::counters::{Ledger, Trouble};
use super::handle::Signals;
use super::listener::Listener;
use super::place::Place;
use super::{Destination, End, connection};
use crate::{Dialer, Error, Result};

/// What makes `accept` fail (no descriptors left, mostly) is not better a microsecond later.
const PAUSE: Duration = Duration::from_millis(20);

/// What a container said last is still on its way when it has ended; and what it left open is closed by the kernel.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// What all connections of a tunnel have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) dialer: Dialer,
    pub(super) destination: Destination,
    pub(super) limit: usize,
    pub(super) connect_timeout: Duration,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) ledger: Arc<Ledger>,
}

/// Becomes readable when the container's process has ended (`pidfd_open(2)`). In the runtime that the caller is in.
#[allow(
    deprecated,
    reason = "the other way is unsafe, for types unlike OwnedFd, whose descriptor stays the same"
)]
pub(crate) fn end_of(dialer: &Dialer) -> Result<AsyncFd<OwnedFd>> {
    let pid = dialer.process().pid();
    let failed = |e| Error::local(pid, "watch the process", e);
    if !dialer.process().is_alive() {
        return Err(Error::linux(pid, portolan_linux::Error::gone(pid)));
    }
    let pidfd = dialer.process().pidfd().map_err(|e| Error::linux(pid, e))?;
    let pidfd = pidfd.try_clone_to_owned().map_err(failed)?;
    AsyncFd::with_interest(pidfd, Interest::READABLE).map_err(failed)
}

/// The place goes with the task, even if that is dropped together with its runtime.
struct Leaving(Arc<Place>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.remove();
    }
}

/// Serves until it is stopped, or the container has gone; then the place is removed, and every connection is closed.
pub(super) async fn run(
    shared: Arc<Shared>,
    listener: Listener,
    place: Arc<Place>,
    gone: AsyncFd<OwnedFd>,
    mut signals: Signals,
) -> End {
    let leaving = Leaving(place);
    let mut connections = JoinSet::new();
    let end = tokio::select! {
        () = signals.stopped() => End::Closed,
        _ = gone.readable() => End::Gone,
        () = accept(&shared, &listener, &mut connections) => End::Closed,
    };
    drop(listener);
    drop(leaving);
    if end == End::Gone {
        let drained = async { while connections.join_next().await.is_some() {} };
        // Clients that do not close their side are not waited for.
        let _ = tokio::time::timeout(LAST_WORDS, drained).await;
    }
    connections.shutdown().await;
    signals.ended(end);
    end
}

async fn accept(shared: &Arc<Shared>, listener: &Listener, connections: &mut JoinSet<()>) {
    let places = Arc::new(Semaphore::new(shared.limit));
    loop {
        // Those that are done are forgotten as they end.
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        let client = match accepted {
            Ok(client) => client,
            Err(error) => {
                shared.ledger.note(Trouble::accept(error));
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        if let Err(trouble) = listener.admit(&client) {
            shared.ledger.refuse(trouble);
            continue;
        }
        let Ok(permit) = Arc::clone(&places).try_acquire_owned() else {
            shared.ledger.refuse(Trouble::Limit(shared.limit));
            continue;
        };
        let (open, shared) = (shared.ledger.open(), Arc::clone(shared));
        connections.spawn(async move {
            connection::serve(&shared, client).await;
            drop((permit, open));
        });
    }
}
