//! Where something has happened lately, and when to look there again.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use portolan_linux::NamespaceId;

/// How often a namespace is asked while something may begin to listen there.
const PERIOD: Duration = Duration::from_millis(50);
/// For how long, after a process started there.
const WATCHED: Duration = Duration::from_secs(60);
/// How long a process is looked at again after it started: it may go to other namespaces, and take another name.
const YOUNG: Duration = Duration::from_secs(3);
/// How long is waited after a process started, for more of its kind.
const SETTLE: Duration = Duration::from_millis(5);
/// Looking takes no more than one part in so many of the time.
const SHARE: u32 = 10;
/// More processes than this at once, and a whole scan is cheaper.
const FLOOD: usize = 4096;

/// Where something has happened lately.
#[derive(Debug, Default)]
pub(super) struct Attention {
    /// Started or executed, and not looked at since.
    fresh: HashSet<i32>,
    /// Ended.
    ended: HashSet<i32>,
    /// Looked at while it was young, until when.
    young: HashMap<i32, Instant>,
    /// Namespaces in which something started, until when.
    watched: HashMap<NamespaceId, Instant>,
    /// Namespaces to ask once.
    touched: HashSet<NamespaceId>,
    short_lived: u64,
    next: Option<Instant>,
    cost: Duration,
}

impl Attention {
    /// It was made, or executed another program.
    pub(super) fn started(&mut self, pid: i32) {
        self.fresh.insert(pid);
        self.hurry();
    }

    /// `known`: whether it is in the chart.
    pub(super) fn ended(&mut self, pid: i32, known: bool) {
        self.young.remove(&pid);
        if self.fresh.remove(&pid) && !known {
            self.short_lived = self.short_lived.saturating_add(1);
        }
        if known {
            self.ended.insert(pid);
            self.hurry();
        }
    }

    /// Something is to be looked at soon, but not before the last look has been paid for.
    fn hurry(&mut self) {
        let now = Instant::now();
        let soon = now.checked_add(SETTLE.max(self.cost.saturating_mul(SHARE))).unwrap_or(now);
        self.next = Some(self.next.map_or(soon, |next| next.min(soon)));
    }

    /// When to look again; `None` when there is nothing to look at.
    pub(super) fn next(&self) -> Option<Instant> {
        self.next
    }

    pub(super) fn is_flooded(&self) -> bool {
        self.fresh.len() > FLOOD
    }

    /// The processes to look at now.
    pub(super) fn processes(&self) -> Vec<i32> {
        self.fresh.iter().chain(&self.ended).chain(self.young.keys()).copied().collect()
    }

    /// They were looked at; these are the namespaces in which they are and were.
    pub(super) fn seen(&mut self, places: &HashSet<NamespaceId>, known: impl Fn(i32) -> bool) {
        let now = Instant::now();
        let until = |time: Duration| now.checked_add(time).unwrap_or(now);
        for pid in self.fresh.drain() {
            if known(pid) {
                self.young.insert(pid, until(YOUNG));
            } else {
                self.short_lived = self.short_lived.saturating_add(1);
            }
        }
        self.young.retain(|_, end| *end > now);
        self.touched.extend(places);
        if !self.young.is_empty() {
            self.watched.extend(places.iter().map(|place| (*place, until(WATCHED))));
        }
        self.ended.clear();
        self.watched.retain(|_, end| *end > now);
    }

    /// The namespaces to ask now.
    pub(super) fn places(&mut self) -> HashSet<NamespaceId> {
        self.watched.keys().copied().chain(self.touched.drain()).collect()
    }

    /// It took this long.
    pub(super) fn looked(&mut self, cost: Duration) {
        self.cost = cost;
        let now = Instant::now();
        let again = now.checked_add(PERIOD.max(cost.saturating_mul(SHARE))).unwrap_or(now);
        self.next = (!self.watched.is_empty() || !self.young.is_empty()).then_some(again);
    }

    /// Everything was looked at. Where something started, it is looked again all the same: it may just have begun.
    pub(super) fn seen_all(&mut self) {
        self.ended.clear();
        if self.is_flooded() {
            self.fresh.clear();
        }
    }

    pub(super) fn take_short_lived(&mut self) -> u64 {
        std::mem::take(&mut self.short_lived)
    }
}
