//! A thread inside, and all that it starts: for clients that take neither a stream nor a local address.
//!
//! [`Dialer::runtime`] starts a thread, takes it into the container's network, proves that it is there, and gives it a
//! tokio runtime of its own. What runs there makes its sockets inside without knowing it: `127.0.0.1` is the
//! container's. Threads inherit that: those of `spawn_blocking`, of [`std::thread::spawn`], of a runtime that is built
//! there. No thread of the agent is ever inside.
//!
//! # What it does not do
//! - It does not change the files: `/etc/resolv.conf` and `/etc/hosts` are the host's, and so are Unix sockets by path.
//!   A name is resolved as the host would, though its packets leave inside. Use addresses.
//! - It cannot move what others have started: a global pool of threads (`getaddrinfo` behind some libraries, `smol`,
//!   `rayon`) that was begun outside stays outside; one begun inside stays inside, for all of the process.
//! - It cannot follow a client that is taken out of it: whatever is returned from [`Runtime::run`] and then used
//!   outside connects outside. Return answers, not clients.
//!
//! # What it costs
//! A thread, and **the namespace is held**: the container's network lives, with its interfaces and addresses, until
//! the runtime has ended. It ends by itself when the container's process does; threads that block then are left behind
//! until they stop blocking.
//!
//! # Example
//! ```no_run
//! # fn example(dialer: portolan_dial::Dialer) -> Result<(), Box<dyn std::error::Error>> {
//! use std::time::Duration;
//!
//! let inside = dialer.runtime()?;
//! let banner = inside.run_blocking(|| async {
//!     let stream = tokio::net::TcpStream::connect("127.0.0.1:22").await?;
//!     let mut banner = [0; 64];
//!     stream.readable().await?;
//!     let length = stream.try_read(&mut banner)?;
//!     Ok::<_, std::io::Error>(banner[..length].to_vec())
//! })??;
//! inside.shutdown(Duration::from_secs(1));
//! # Ok(()) }
//! ```

use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::panic::resume_unwind;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use portolan_linux::netns::{Residence, SocketKind, inhabit};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{mpsc as jobs, oneshot, watch};
use tokio::task::LocalSet;

use crate::{Dialer, Error, Result};

/// Linux keeps 15 bytes of it.
const THREAD: &str = "portolan-inside";

type Job = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = ()>>> + Send>;

impl Dialer {
    /// A thread inside with a tokio runtime of its own. See [`runtime`](crate::runtime) for what it is for, and costs.
    ///
    /// # Errors
    /// [`TargetGone`](crate::ErrorKind::TargetGone), [`TargetChanged`](crate::ErrorKind::TargetChanged),
    /// [`MissingPrivilege`](crate::ErrorKind::MissingPrivilege) without `CAP_SYS_ADMIN` over the namespace, or when there is
    /// no thread or descriptor left.
    pub fn runtime(&self) -> Result<Runtime> {
        let pid = self.process().pid();
        let linux = |e| Error::linux(pid, e);
        let failed = |e| Error::local(pid, "start a runtime", e);
        // While it is there, the namespace is the one that was meant, and its number nobody else's.
        let witness = self.socket(SocketKind::Udp4)?;
        let pidfd = self.process().pidfd().map_err(linux)?.try_clone_to_owned().map_err(failed)?;
        let (jobs, queue) = jobs::unbounded_channel();
        let (stop, stopped) = watch::channel(None);
        let (ended, end) = mpsc::channel();
        let (started, start) = mpsc::sync_channel(1);
        let departed = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&departed);
        let live = move |residence| {
            // Dropped last, by a panic too: whoever waits for it knows that all is over.
            let _ended: mpsc::Sender<()> = ended;
            live(residence, pidfd, &started, queue, stopped, &seen)
        };
        let thread = inhabit(THREAD, self.process(), self.netns(), live).map_err(linux)?;
        drop(witness);
        let began: io::Result<()> = start.recv().unwrap_or_else(|_| Err(io::ErrorKind::Other.into()));
        began.map_err(failed)?;
        Ok(Runtime { fate: Fate { pid, departed }, jobs, stop, end, thread })
    }
}

/// A thread inside that runs what it is given. When it is dropped, everything that runs there is cancelled, soon after.
#[derive(Debug)]
#[must_use = "a runtime ends when it is dropped"]
pub struct Runtime {
    fate: Fate,
    jobs: jobs::UnboundedSender<Job>,
    stop: watch::Sender<Option<Duration>>,
    end: mpsc::Receiver<()>,
    thread: JoinHandle<Option<bool>>,
}

/// What became of it.
#[derive(Debug, Clone)]
struct Fate {
    pid: i32,
    /// Whether the container's process has ended.
    departed: Arc<AtomicBool>,
}

impl Fate {
    /// Why there is no answer; `over` when the runtime has ended.
    fn lost(&self, over: bool) -> Error {
        if self.departed.load(Ordering::Acquire) {
            return Error::linux(self.pid, portolan_linux::Error::gone(self.pid));
        }
        let why = if over { "the runtime has ended" } else { "what ran there panicked" };
        Error::local(self.pid, "run inside", io::Error::other(why))
    }
}

impl Runtime {
    /// Runs a closure inside, and the future that it gives, which need not be `Send`. Several can run at once; all of
    /// them, and what they `tokio::spawn`, share one thread.
    ///
    /// It begins at once. Dropping the future that is given here cancels it.
    ///
    /// # Errors
    /// [`TargetGone`](crate::ErrorKind::TargetGone) when the container ended meanwhile, or before;
    /// [`Io`](crate::ErrorKind::Io) when it panicked, or the runtime was dropped.
    pub fn run<F, R>(&self, work: F) -> impl Future<Output = Result<R::Output>> + Send + use<F, R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Future + 'static,
        R::Output: Send + 'static,
    {
        let (mut answer, answered) = oneshot::channel();
        let sent = self.send(Box::new(move || {
            Box::pin(async move {
                let done = tokio::select! {
                    done = work() => done,
                    () = answer.closed() => return,
                };
                // Nobody may be waiting any more.
                let _ = answer.send(done);
            })
        }));
        let (fate, jobs) = (self.fate.clone(), self.jobs.clone());
        async move {
            sent?;
            answered.await.map_err(|_| fate.lost(jobs.is_closed()))
        }
    }

    /// The same for callers without a runtime: waits for the answer. What runs inside must not call it: it would wait
    /// for itself.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_blocking<F, R>(&self, work: F) -> Result<R::Output>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Future + 'static,
        R::Output: Send + 'static,
    {
        let (answer, answered) = mpsc::sync_channel(1);
        self.send(Box::new(move || {
            Box::pin(async move {
                let _ = answer.send(work().await);
            })
        }))?;
        answered.recv().map_err(|_| self.fate.lost(self.jobs.is_closed()))
    }

    /// Whether it still runs: false once the container has ended.
    #[must_use]
    pub fn is_running(&self) -> bool {
        !self.jobs.is_closed()
    }

    /// Cancels everything that runs there, and waits until the thread and its pool have ended, but not longer than
    /// this; false when they had not. Threads that block cannot be ended from outside.
    pub fn shutdown(self, timeout: Duration) -> bool {
        self.stop.send_replace(Some(timeout));
        // A little longer, for the way there and back.
        let patience = timeout.saturating_add(Duration::from_millis(100));
        let over = self.end.recv_timeout(patience) == Err(mpsc::RecvTimeoutError::Disconnected);
        over && matches!(self.thread.join(), Ok(Some(true)))
    }

    fn send(&self, job: Job) -> Result<()> {
        self.jobs.send(job).map_err(|_| self.fate.lost(true))
    }
}

/// The life of the thread, from its arrival to its end; whether its pool has ended too.
fn live(
    residence: Residence,
    pidfd: OwnedFd,
    started: &mpsc::SyncSender<io::Result<()>>,
    mut queue: jobs::UnboundedReceiver<Job>,
    mut stopped: watch::Receiver<Option<Duration>>,
    departed: &AtomicBool,
) -> bool {
    let residence = Arc::new(residence);
    // Weak: a tokio handle that somebody keeps is not to keep the namespace.
    let place = Arc::downgrade(&residence);
    let pool = Arc::new(AtomicUsize::new(0));
    let (entering, leaving) = (Arc::clone(&pool), Arc::clone(&pool));
    let built = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .thread_name(THREAD)
        // The pool grows by whoever calls for it, perhaps with a handle that was taken outside.
        .on_thread_start(move || match place.upgrade().map(|place| place.settle()) {
            Some(Ok(())) => _ = entering.fetch_add(1, Ordering::Relaxed),
            _ => resume_unwind(Box::new("this thread could not get inside")),
        })
        .on_thread_stop(move || _ = leaving.fetch_sub(1, Ordering::Relaxed))
        .build();
    let runtime = match built {
        Ok(runtime) => runtime,
        Err(error) => return started.send(Err(error)).is_ok(),
    };
    let gone = {
        let _entered = runtime.enter();
        watched(pidfd)
    };
    let gone = match gone {
        Ok(gone) => gone,
        Err(error) => return started.send(Err(error)).is_ok(),
    };
    let _ = started.send(Ok(()));
    let tasks = LocalSet::new();
    let patience = tasks.block_on(&runtime, async move {
        let work = async {
            while let Some(job) = queue.recv().await {
                // Made inside the task, so that a panic of it is the task's.
                tokio::task::spawn_local(async move { job().await });
            }
        };
        tokio::select! {
            // The handle was dropped, or says how long to wait.
            stopped = stopped.wait_for(Option::is_some) => stopped.ok().and_then(|patience| *patience),
            _ = gone.readable() => {
                departed.store(true, Ordering::Release);
                None
            }
            () = work => None,
        }
    });
    drop(tasks);
    runtime.shutdown_timeout(patience.unwrap_or_default());
    drop(residence);
    pool.load(Ordering::Acquire) == 0
}

#[allow(
    deprecated,
    reason = "the other way is unsafe, for types unlike OwnedFd, whose descriptor stays the same"
)]
fn watched(pidfd: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(pidfd, Interest::READABLE)
}
