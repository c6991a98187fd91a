//! A tunnel that runs, and how it ended.

use std::ops::Deref;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::sync::watch;

use super::counters::Ledger;
use super::place::{Address, Place};
use super::{Counters, Trouble};

/// How a tunnel ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// It was closed, or its runtime was.
    Closed,
    /// The container's process has ended. What it had said before was passed on, if its client took it within a second.
    Gone,
}

/// A tunnel that runs. When it is dropped, the tunnel ends: its socket file and directory are gone at once, its
/// connections soon after.
#[derive(Debug)]
#[must_use = "a tunnel ends when it is dropped"]
pub struct Tunnel {
    place: Arc<Place>,
    ledger: Arc<Ledger>,
    stop: watch::Sender<bool>,
    end: watch::Receiver<Option<End>>,
}

/// The other side of a [`Tunnel`].
#[derive(Debug)]
pub(super) struct Signals {
    stop: watch::Receiver<bool>,
    end: watch::Sender<Option<End>>,
}

impl Signals {
    /// Returns once the tunnel is to end.
    pub(super) async fn stopped(&mut self) {
        // An error says that the handle was dropped.
        let _ = self.stop.wait_for(|stop| *stop).await;
    }

    pub(super) fn ended(&self, end: End) {
        self.end.send_replace(Some(end));
    }
}

impl Tunnel {
    pub(super) fn new(place: Arc<Place>, ledger: Arc<Ledger>) -> (Self, Signals) {
        let (stop, stopped) = watch::channel(false);
        let (ended, end) = watch::channel(None);
        (Self { place, ledger, stop, end }, Signals { stop: stopped, end: ended })
    }

    /// Where clients find it.
    #[must_use]
    pub fn address(&self) -> &Address {
        self.place.address()
    }

    /// The directory of its Unix socket, which some clients want instead of the path; `None` for a port.
    #[must_use]
    pub fn directory(&self) -> Option<&Path> {
        match self.address() {
            Address::Unix(path) => path.parent(),
            Address::Tcp(_) => None,
        }
    }

    /// What it has done so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.ledger.read()
    }

    /// The last thing that went wrong with a connection.
    #[must_use]
    pub fn last_error(&self) -> Option<Trouble> {
        self.counters().last_error
    }

    /// How it ended; `None` while it runs.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        let end = *self.end.borrow();
        // When its runtime is gone, nobody says so.
        end.or_else(|| self.end.has_changed().is_err().then_some(End::Closed))
    }

    /// Waits for its end, and tells it. The tunnel stays usable when the future is dropped.
    pub async fn ended(&self) -> End {
        let mut end = self.end.clone();
        let ended = end.wait_for(Option::is_some).await;
        ended.map_or(End::Closed, |end| end.unwrap_or(End::Closed))
    }

    /// Ends it, and waits until every connection is closed.
    pub async fn close(self) -> End {
        self.stop();
        self.ended().await
    }

    fn stop(&self) {
        self.stop.send_replace(true);
        self.place.remove();
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A tunnel on a thread of its own, for agents without tokio; it can do what a [`Tunnel`] can. When it is dropped, the
/// tunnel ends, and the drop waits for that.
#[derive(Debug)]
#[must_use = "a tunnel ends when it is dropped"]
pub struct TunnelThread {
    tunnel: Tunnel,
    thread: Option<JoinHandle<End>>,
}

impl TunnelThread {
    pub(super) fn new(tunnel: Tunnel, thread: JoinHandle<End>) -> Self {
        Self { tunnel, thread: Some(thread) }
    }

    /// Waits for its end, and tells it.
    #[must_use]
    pub fn wait(mut self) -> End {
        self.join()
    }

    /// Ends it, and waits until every connection is closed.
    pub fn close(mut self) -> End {
        self.tunnel.stop();
        self.join()
    }

    fn join(&mut self) -> End {
        match self.thread.take() {
            Some(thread) => thread.join().unwrap_or(End::Closed),
            None => End::Closed,
        }
    }
}

impl Deref for TunnelThread {
    type Target = Tunnel;

    fn deref(&self) -> &Tunnel {
        &self.tunnel
    }
}

impl Drop for TunnelThread {
    fn drop(&mut self) {
        self.tunnel.stop();
        self.join();
    }
}
