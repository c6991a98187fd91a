//! What changes on a host, told as it happens.
//!
//! The kernel tells of every process that starts, executes and ends (its process connector), but not of what listens.
//! So as long as a process lives that started within the last minute, its network namespace is asked again every 50
//! ms: a service that listens within its first minute is told within 100 ms of that, a later one with the next whole
//! scan. A whole scan is made every interval in any case, for what the kernel does not tell: a process that changes
//! its namespaces or is moved to another cgroup, or a listener that is closed by one that lives on.
//!
//! Where BPF may be used, the kernel also tells who begins and ceases to listen by TCP: that is told at once, however late
//! it is, and only the process itself is asked. For other protocols, those that started lately are asked again, the less
//! often the older they are; and all listeners of the host are looked at every few seconds.
//!
//! Looking is paid for: where very much happens all the time, it is looked less often, and events are read in
//! batches.
//!
//! Without the connector (it takes the host's own pid, user and network namespaces) the host is scanned again and
//! again: soon after something changed, then at longer and longer intervals, up to the one that was asked for.
//!
//! - `events`: what the kernel tells
//! - `attention`: where something has happened lately
//! - [`Stopper`]: how a watch is ended from another thread

mod attention;
mod events;
mod stop;

use std::collections::HashSet;
use std::time::{Duration, Instant};

use portolan_linux::wait;

use crate::diff::Diff;
use crate::fault::Faults;
use crate::scanner::by_look::{ByLook, News};
use crate::scanner::snapshot::Which;
use crate::source::SourceChoice;
use crate::{Error, Inventory, Result, Scanner};
use attention::{Attention, Way};
use events::{Events, Happened, Told};
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
    events: Option<Events>,
    attention: Attention,
    stop: stop::Stop,
    /// The last chart that was told.
    chart: Option<Inventory>,
    next_scan: Instant,
    /// When listeners are looked at, where that costs little.
    next_glance: Option<Instant>,
    /// How long after the last one that may be at the soonest.
    glance_pause: Duration,
    /// When the last whole scan ended, and how long it took.
    last_scan: Option<(Instant, Duration)>,
    /// How long after the last scan the next one is due.
    pause: Duration,
}

/// Without events: the first pause after something changed is this part of the interval.
const FIRST_PAUSE: u32 = 8;
/// When events were lost again and again, whole scans take no more than one part in so many of the time.
const SHARE: u32 = 10;
/// Where all listeners can be had in one pass, they are looked at so often; but it takes no more than one part in so many
/// of the time.
const GLANCE: Duration = Duration::from_secs(2);
const GLANCE_SHARE: u32 = 500;
/// The same where it is told who listens by TCP.
const GLANCE_TOLD: Duration = Duration::from_secs(5);
/// Should there be no descriptor to be woken by.
const LOOK_UP: Duration = Duration::from_millis(500);

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
        let may_use_bpf = self.snapshot.options.source != SourceChoice::SystemCalls;
        let events = if options.poll { None } else { Events::open(may_use_bpf) };
        let pause = options.interval.checked_div(FIRST_PAUSE).unwrap_or(options.interval);
        Watch {
            scanner: self,
            options,
            events,
            attention: Attention::default(),
            stop: stop::Stop::new(),
            chart: None,
            next_scan: Instant::now(),
            next_glance: None,
            glance_pause: GLANCE,
            last_scan: None,
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

    /// The chart as of the last update. That a container has more or fewer processes is no update.
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
            let more = self.hear();
            let now = Instant::now();
            let next = self.attention.next();
            let glance = self.next_glance.filter(|_| self.scanner.snapshot.is_by_pass());
            let due = glance.map_or(self.next_scan, |glance| glance.min(self.next_scan));
            let mut until = next.map_or(due, |next| next.min(due));
            if now >= until {
                return Ok(true);
            }
            if more {
                continue;
            }
            let mut events = self.events.as_ref();
            if self.attention.has_news() {
                // What comes meanwhile can wait, too: where much happens, nobody is woken by each event.
                events = None;
                until = until.min(now.checked_add(self.attention.period()).unwrap_or(now));
            }
            let stop = self.stop.as_fd();
            if stop.is_none() {
                until = until.min(now.checked_add(LOOK_UP).unwrap_or(now));
            }
            let fds: Vec<_> = events.into_iter().flat_map(Events::descriptors).chain(stop).collect();
            wait::any(&fds, until).map_err(Error::watch)?;
        }
    }

    /// Takes what the kernel told; gives whether there may be more.
    fn hear(&mut self) -> bool {
        let Some(events) = &mut self.events else { return false };
        let (now, snapshot, attention) = (Instant::now(), &self.scanner.snapshot, &mut self.attention);
        let (mut lost, mut listeners_lost) = (false, false);
        let told = events.read(|happened| match happened {
            Happened::Started(pid) => attention.started(pid, now),
            Happened::Ended(pid) => attention.ended(pid, snapshot.knows(pid), now),
            Happened::Listened(pid) => attention.listened(pid, snapshot.knows(pid), now),
            Happened::Lost => lost = true,
            Happened::ListenersLost => listeners_lost = true,
        });
        if told == Told::NoMore {
            // From now on, everything is scanned.
            self.events = None;
        }
        if lost || told == Told::NoMore || self.attention.is_flooded() {
            self.hurry_scan();
        }
        if listeners_lost {
            let soon = now.checked_add(self.glance_pause).unwrap_or(now);
            self.next_glance = self.next_glance.map(|next| next.min(soon));
        }
        told == Told::Some
    }

    /// A whole scan is needed; but not one upon the other.
    fn hurry_scan(&mut self) {
        let now = Instant::now();
        let (end, cost) = self.last_scan.unwrap_or((now, Duration::ZERO));
        let soon = end.checked_add(cost.saturating_mul(SHARE)).unwrap_or(now);
        self.next_scan = self.next_scan.min(soon.max(now));
    }

    /// Looks at everything, or where something happened; `None` when nothing changed.
    fn look(&mut self) -> Result<Option<Update>> {
        let begun = Instant::now();
        let whole = begun >= self.next_scan;
        let news = if whole {
            let inventory = self.scanner.scan();
            self.last_scan = Some((Instant::now(), begun.elapsed()));
            let inventory = inventory?;
            self.attention.seen_all(|pid| self.scanner.snapshot.knows(pid));
            News::Whole(Box::new(inventory))
        } else if self.attention.next().is_some_and(|next| begun >= next) {
            self.look_there(begun)
        } else {
            self.look_around(begun)
        };
        let inventory = match news {
            News::Nothing => return Ok(None),
            News::Parts(diff) if diff.is_empty() => return Ok(None),
            News::Parts(diff) => return Ok(Some(self.update(diff, false))),
            News::Whole(inventory) => *inventory,
        };
        let first = self.chart.is_none();
        let before = self.chart.take().unwrap_or_else(|| inventory.emptied());
        let inventory = inventory.keeping(&before);
        let diff = Diff::between(&before, &inventory);
        self.chart = Some(inventory);
        if whole {
            self.schedule(diff.is_empty());
        }
        if diff.is_empty() && !first {
            return Ok(None);
        }
        Ok(Some(self.update(diff, whole)))
    }

    fn update(&mut self, diff: Diff, whole: bool) -> Update {
        let short_lived = self.events.is_some().then(|| self.attention.take_short_lived());
        Update { diff, short_lived, whole }
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
        // An interval that is too short for this host would leave it no time for anything else.
        let cost = self.last_scan.map_or(Duration::ZERO, |(_, cost)| cost);
        self.pause = pause.max(cost);
        let now = Instant::now();
        self.next_scan = now.checked_add(self.pause).unwrap_or(now);
        self.next_glance = now.checked_add(self.glance());
    }

    /// How often all listeners are looked at.
    fn glance(&self) -> Duration {
        let is_told = self.events.as_ref().is_some_and(Events::tells_listeners);
        if is_told { GLANCE_TOLD } else { GLANCE }
    }

    /// Looks where something happened.
    fn look_there(&mut self, begun: Instant) -> News {
        let snapshot = &mut self.scanner.snapshot;
        let is_told = self.events.as_ref().is_some_and(Events::tells_listeners);
        self.attention.look_by(match (snapshot.is_by_pass(), is_told) {
            (false, _) => Way::Calls,
            (true, false) => Way::Alone,
            (true, true) => Way::Told,
        });
        if !snapshot.is_by_pass() {
            return self.look_by_calls(begun).map_or(News::Nothing, |chart| News::Whole(Box::new(chart)));
        }
        let pids = self.attention.processes(begun);
        let young = self.attention.watched(begun);
        let made = if snapshot.can_look_by_pass(pids.len().max(young.len())) {
            snapshot.look_by_pass(&pids, &young, self.chart.as_mut())
        } else {
            // Cheap enough to be done instead.
            let scanned = snapshot.scan().map_or(News::Nothing, |chart| News::Whole(Box::new(chart)));
            Ok(ByLook { missed: 0, news: scanned })
        };
        let made = match made {
            Ok(made) => made,
            Err(_) => {
                self.hurry_scan();
                ByLook::default()
            }
        };
        let snapshot = &self.scanner.snapshot;
        self.attention.places(HashSet::new(), made.missed, |pid| snapshot.net_of(pid), begun);
        self.attention.looked(begun.elapsed(), Instant::now());
        made.news
    }

    /// Looks whether other sockets listen than before, between two whole scans.
    fn look_around(&mut self, begun: Instant) -> News {
        let glanced = self.scanner.snapshot.glance();
        let now = Instant::now();
        self.glance_pause = GLANCE.max(begun.elapsed().saturating_mul(GLANCE_SHARE));
        self.next_glance = now.checked_add(self.glance_pause.max(self.glance()));
        match glanced {
            Ok(Some(chart)) => News::Whole(Box::new(chart)),
            Ok(None) => News::Nothing,
            Err(_) => {
                self.hurry_scan();
                News::Nothing
            }
        }
    }

    /// Looks at the processes that started or ended, and asks the namespaces where something happened lately.
    fn look_by_calls(&mut self, begun: Instant) -> Option<Inventory> {
        let snapshot = &mut self.scanner.snapshot;
        let pids = self.attention.processes(begun);
        let looked = snapshot.look_again(&pids);
        let net_of = |pid: i32| snapshot.net_of(pid);
        let asked = self.attention.places(looked.places, looked.missed, net_of, begun);
        let mut faults = Faults::default();
        let asked = Which::These(&asked);
        let changed = snapshot.ask(asked, looked.changed, &pids, &mut faults) || looked.changed;
        let inventory = changed.then(|| snapshot.chart(asked, &mut faults));
        self.attention.looked(begun.elapsed(), Instant::now());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(interval: Duration) -> Watch {
        Scanner::default().watch(WatchOptions { interval, poll: true })
    }

    #[test]
    fn pauses_between_scans_grow_up_to_the_interval_and_begin_anew_when_something_changed() {
        let mut watch = watch(Duration::from_secs(8));
        let mut pauses = |quiet: bool, count: usize| -> Vec<u128> {
            let next = (0..count).map(|_| {
                let before = Instant::now();
                watch.schedule(quiet);
                let planned = watch.next_scan.saturating_duration_since(before);
                assert!(planned >= watch.pause && planned < watch.pause + Duration::from_secs(1));
                watch.pause.as_millis()
            });
            next.collect()
        };
        assert_eq!(pauses(false, 2), [1000, 1000]);
        assert_eq!(pauses(true, 5), [2000, 4000, 8000, 8000, 8000]);
        assert_eq!(pauses(false, 1), [1000]);
    }

    #[test]
    fn no_interval_is_so_short_that_nothing_but_scans_is_done() {
        let mut watch = watch(Duration::ZERO);
        watch.last_scan = Some((Instant::now(), Duration::from_millis(70)));
        watch.schedule(true);
        assert_eq!(watch.pause.as_millis(), 70);
    }

    #[test]
    fn lost_events_bring_a_scan_at_once_but_not_one_upon_the_other() {
        let mut watch = watch(Duration::from_secs(600));
        watch.schedule(true);
        watch.hurry_scan();
        assert!(watch.next_scan <= Instant::now());
        let end = Instant::now();
        watch.last_scan = Some((end, Duration::from_millis(100)));
        watch.schedule(false);
        watch.hurry_scan();
        assert_eq!(watch.next_scan, end + Duration::from_secs(1));
    }

    #[test]
    fn it_can_be_stopped_without_a_descriptor_as_well() {
        let mut watch = watch(Duration::from_secs(600));
        watch.stop = stop::Stop::without_descriptor();
        let stopper = watch.stopper();
        assert!(watch.next().is_some());
        let stopped = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            stopper.stop();
            Instant::now()
        });
        assert!(watch.next().is_none());
        assert!(stopped.join().unwrap().elapsed() < Duration::from_secs(5));
    }
}
