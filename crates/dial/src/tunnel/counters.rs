//! What a tunnel has done.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::Error;

/// What a tunnel has done so far.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Connections of clients that were let in.
    pub accepted: u64,
    /// Connections that were closed at once: another user's, or over the limit.
    pub refused: u64,
    /// Of those accepted, the ones that were never joined to the container: the dial failed, or the client did not
    /// say by SOCKS5 what it wants, or nobody else may want it.
    pub failed: u64,
    /// Connections that are open now.
    pub open: u64,
    /// Bytes that went into the container.
    pub sent: u64,
    /// Bytes that came out of it.
    pub received: u64,
    /// The last thing that went wrong.
    pub last_error: Option<Trouble>,
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { accepted, refused, failed, open, sent, received, last_error } = self;
        write!(f, "{accepted} connections accepted, {refused} refused, {failed} failed, {open} open; ")?;
        write!(f, "{sent} bytes in, {received} bytes out")?;
        match last_error {
            Some(trouble) => write!(f, "; last error: {trouble}"),
            None => Ok(()),
        }
    }
}

/// Why a connection of a tunnel was closed early.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Trouble {
    /// A user who may not use the Unix socket.
    User(u32),
    /// More connections than may be open at once.
    Limit(usize),
    /// It could not be made inside.
    Dial(Arc<Error>),
    /// The client speaks no SOCKS5, asks for something else than a connection, or left while asking.
    Socks,
    /// The client did not say in time what it wants.
    Late,
    /// The client's name or password is wrong.
    Credentials,
    /// The address is not among those that may be asked for.
    Address,
    /// The name asked for could not be resolved, or there is nobody to resolve it.
    Name,
    /// Nothing came for too long.
    Idle,
    /// The system could not give us the connection.
    Accept(Arc<io::Error>),
}

impl Trouble {
    pub(super) fn accept(error: io::Error) -> Self {
        Self::Accept(Arc::new(error))
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(uid) => write!(f, "user {uid} may not use this tunnel"),
            Self::Limit(limit) => write!(f, "over the limit of {limit} open connections"),
            Self::Dial(error) => error.fmt(f),
            Self::Socks => f.write_str("the client did not ask for a connection by SOCKS5"),
            Self::Late => f.write_str("the client did not say in time what it wants"),
            Self::Credentials => f.write_str("wrong name or password"),
            Self::Address => f.write_str("an address that may not be asked for"),
            Self::Name => f.write_str("a name that could not be resolved"),
            Self::Idle => f.write_str("nothing came for too long"),
            Self::Accept(error) => write!(f, "accept: {error}"),
        }
    }
}

/// Where it is counted.
#[derive(Debug)]
pub(super) struct Ledger {
    accepted: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    open: AtomicU64,
    sent: AtomicU64,
    received: AtomicU64,
    last: Mutex<Option<Trouble>>,
}

/// A connection that is counted as open until this is dropped.
#[derive(Debug)]
pub(super) struct Open(Arc<Ledger>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Ledger {
    pub(super) fn new() -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            accepted: zero(),
            refused: zero(),
            failed: zero(),
            open: zero(),
            sent: zero(),
            received: zero(),
            last: Mutex::new(None),
        }
    }

    pub(super) fn open(self: &Arc<Self>) -> Open {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.open.fetch_add(1, Ordering::Relaxed);
        Open(Arc::clone(self))
    }

    pub(super) fn refuse(&self, trouble: Trouble) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        self.note(trouble);
    }

    pub(super) fn fail(&self, trouble: Trouble) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        self.note(trouble);
    }

    pub(super) fn note(&self, trouble: Trouble) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(trouble);
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn received(&self, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn read(&self) -> Counters {
        let now = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            accepted: now(&self.accepted),
            refused: now(&self.refused),
            failed: now(&self.failed),
            open: now(&self.open),
            sent: now(&self.sent),
            received: now(&self.received),
            last_error: self.last.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

/// When something last passed over a connection.
#[derive(Debug)]
pub(super) struct Activity {
    start: Instant,
    /// Milliseconds after the start.
    last: AtomicU64,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), last: AtomicU64::new(0) }
    }

    pub(super) fn touch(&self) {
        let millis = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(millis, Ordering::Relaxed);
    }

    /// Returns once nothing has passed for this long.
    pub(super) async fn idle(&self, limit: Duration) {
        loop {
            let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
            let left = limit.saturating_sub(self.start.elapsed().saturating_sub(last));
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }
}
