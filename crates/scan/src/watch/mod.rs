//! What changes on a host, told as it happens.
//!
//! The kernel tells of every process that starts, executes and ends (its process connector), but not of what listens.
//! So where something has started, its network namespace is asked again every 50 ms for a minute: a service that
//! listens within its first minute is told within 100 ms of that, a later one with the next whole scan. A whole scan
//! is made every interval in any case, for what the kernel does not tell: a process that changes its namespaces or is
//! moved to another cgroup.
//!
//! Without the connector (it takes the host's own pid, user and network namespaces) the host is scanned again and
//! again: soon after something changed, then at longer and longer intervals, up to the one that was asked for.
//!
//! - `attention`: where something has happened lately
//! - [`Stopper`]: how a watch is ended from another thread

mod attention;
mod stop;

use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use portolan_linux::proc_events::{Event, ProcessEvents};
use portolan_linux::wait;

use crate::diff::Diff;
use crate::fault::Faults;
use crate::scanner::snapshot::Which;
use crate::{Error, Inventory, Result, Scanner};
use attention::Attention;
pub use stop::Stopper;

/// How a host is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WatchOptions {
    /// The longest time between two whole scans; ten seconds by default. What lives longer than this is never missed.
    pub interval: Duration,
    /// Whether to scan again and again even where the kernel would tell what happens.
    pub poll: bool,
}

impl Default for WatchOptions {
    fn default() -> Self {
        Self { interval: Duration::from_secs(10), poll: false }
    }
}

/// What a watch learns.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Update {
    /// What changed; the first time, all that there is.
    pub diff: Diff,
    /// How many processes started and ended without having been looked at since the last update; `None` where only
    /// scans tell.
    pub short_lived: Option<u64>,
    /// Whether it comes of a whole scan.
    pub whole: bool,
}

/// A watch over a host: an iterator that waits for the next change. It ends when it is [stopped](Self::stopper).
#[derive(Debug)]
pub struct Watch {
    scanner: Scanner,
    options: WatchOptions,
    events: Option<ProcessEvents>,
    attention: Attention,
    stop: stop::Stop,
    /// The last chart that was told.
    chart: Option<Inventory>,
    next_scan: Instant,
    /// Without events: when the next scan is due after the last one.
    pause: Duration,
}

/// Without events: the first pause after something changed is this part of the interval.
const FIRST_PAUSE: u32 = 8;

impl Scanner {
    /// Watches the host. The first update tells all that there is, as added.
    ///
    /// # Example
    /// ```
    /// use portolan_scan::{ScanOptions, Scanner, WatchOptions};
    ///
    /// let mut watch = Scanner::new(ScanOptions::default()).watch(WatchOptions::default());
    /// let first = watch.next().expect("it was not stopped")?;
    /// println!("{} listeners", first.diff.listeners.added.len());
    /// # Ok::<(), portolan_scan::Error>(())
    /// ```
    #[must_use]
    pub fn watch(self, options: WatchOptions) -> Watch {
        // Subscribed before the first scan, so that nothing falls between.
        let events = if options.poll { None } else { ProcessEvents::open().ok() };
        let pause = options.interval.checked_div(FIRST_PAUSE).unwrap_or(options.interval);
        Watch {
            scanner: self,
            options,
            events,
            attention: Attention::default(),
            stop: stop::Stop::new(),
            chart: None,
            next_scan: Instant::now(),
            pause,
        }
    }
}

impl Watch {
    /// Whether the kernel tells what happens; otherwise the host is scanned again and again.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.events.is_some()
    }

    /// The chart as of the last update.
    #[must_use]
    pub fn chart(&self) -> Option<&Inventory> {
        self.chart.as_ref()
    }

    /// What ends this watch, from any thread.
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stop.stopper()
    }

    /// Waits until something is to be looked at; false when the watch was stopped.
    fn wait(&mut self) -> Result<bool> {
        loop {
            if self.stop.is_stopped() {
                return Ok(false);
            }
            self.hear();
            let due = self.attention.next().map_or(self.next_scan, |next| next.min(self.next_scan));
            if Instant::now() >= due {
                return Ok(true);
            }
            let events = self.events.as_ref().map(ProcessEvents::as_fd);
            let fds: Vec<_> = events.into_iter().chain(self.stop.as_fd()).collect();
            wait::any(&fds, due).map_err(Error::watch)?;
        }
    }

    /// Takes what the kernel told.
    fn hear(&mut self) {
        let Some(events) = &mut self.events else { return };
        let mut told = Vec::new();
        loop {
            match events.read(&mut told) {
                Ok(true) => {}
                Ok(false) => break,
                Err(_) => {
                    // It tells no more: from now on, everything is scanned.
                    self.events = None;
                    self.next_scan = Instant::now();
                    break;
                }
            }
        }
        for event in told {
            match event {
                Event::Fork { child: pid, .. } | Event::Exec { pid } => self.attention.started(pid),
                Event::Exit { pid } => self.attention.ended(pid, self.scanner.snapshot.knows(pid)),
                _ => self.next_scan = Instant::now(),
            }
        }
        if self.attention.is_flooded() {
            self.next_scan = Instant::now();
        }
    }

    /// Looks at everything, or where something happened; `None` when nothing changed.
    fn look(&mut self) -> Result<Option<Update>> {
        let begun = Instant::now();
        let whole = begun >= self.next_scan;
        let inventory = if whole {
            let inventory = self.scanner.scan()?;
            self.attention.seen_all();
            Some(inventory)
        } else {
            self.look_there()
        };
        let Some(inventory) = inventory else { return Ok(None) };
        let first = self.chart.is_none();
        let before = self.chart.take().unwrap_or_else(|| inventory.emptied());
        let inventory = inventory.keeping(&before);
        let diff = inventory.diff(&before);
        self.chart = Some(inventory);
        if whole {
            self.schedule(diff.is_empty());
        }
        if diff.is_empty() && !first {
            return Ok(None);
        }
        let short_lived = self.events.is_some().then(|| self.attention.take_short_lived());
        Ok(Some(Update { diff, short_lived, whole }))
    }

    fn schedule(&mut self, quiet: bool) {
        let interval = self.options.interval;
        let pause = if self.events.is_some() {
            interval
        } else if quiet {
            self.pause.saturating_mul(2).min(interval)
        } else {
            interval.checked_div(FIRST_PAUSE).unwrap_or(interval)
        };
        self.pause = pause;
        let now = Instant::now();
        self.next_scan = now.checked_add(pause).unwrap_or(now);
    }

    /// Looks at the processes that started or ended, and asks the namespaces where something happened lately.
    fn look_there(&mut self) -> Option<Inventory> {
        let begun = Instant::now();
        let snapshot = &mut self.scanner.snapshot;
        let pids = self.attention.processes();
        let (mut changed, places) = snapshot.look_again(&pids);
        let known = |pid: i32| snapshot.knows(pid);
        self.attention.seen(&places, known);
        let asked = self.attention.places();
        let mut faults = Faults::default();
        changed |= snapshot.ask(Which::These(&asked), &mut faults);
        let inventory = changed.then(|| snapshot.chart(Which::These(&asked), &mut faults));
        self.attention.looked(begun.elapsed());
        inventory
    }
}

impl Iterator for Watch {
    type Item = Result<Update>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.wait() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => return Some(Err(error)),
            }
            match self.look() {
                Ok(Some(update)) => return Some(Ok(update)),
                Ok(None) => {}
                Err(error) => {
                    // Not at once again: who iterates on would spin.
                    self.schedule(true);
                    return Some(Err(error));
                }
            }
        }
    }
}
