//! Where something has happened lately, and when to look there again.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use portolan_linux::NamespaceId;

/// Between two looks: so often a namespace is asked while something may begin to listen there.
const PERIOD: Duration = Duration::from_millis(50);
/// The same where single processes are asked for, which is so cheap that being woken counts.
const PERIOD_ALONE: Duration = Duration::from_millis(80);
/// There, after a process has been looked at for so long, it is looked at in every fourth round only; at its listeners, in
/// every one.
const FIRST: Duration = Duration::from_millis(300);
const ROUNDS: u32 = 4;
/// Where it is told who listens by TCP, so soon again; and a process for whatever is not told, when its age has doubled,
/// but so soon in any case.
const PERIOD_TOLD: Duration = Duration::from_millis(20);
const RAREST: Duration = Duration::from_secs(2);
/// How long is waited after a process started where nothing happened before, for more of its kind.
const SETTLE: Duration = Duration::from_millis(5);
/// The same where it is told who listens: that alone is urgent, and what was forked has executed something by then.
const SETTLE_TOLD: Duration = Duration::from_millis(40);
/// A process that lives may begin to listen for so long after it started.
const WATCHED: Duration = Duration::from_secs(60);
/// How long it is looked at again itself: it may go to other namespaces, and take another name.
const YOUNG: Duration = Duration::from_secs(3);
/// In the long run, looking takes no more than one part in so many of the time.
const SHARE: u32 = 10;
/// But for so long it may be done at any time.
const CREDIT: Duration = Duration::from_millis(200);
/// And it is never put off for longer.
const LONGEST: Duration = Duration::from_millis(500);
/// More processes than this at once, and a whole scan is cheaper.
const FLOOD: usize = 4096;

/// Where something has happened lately.
#[derive(Debug, Default)]
pub(super) struct Attention {
    /// Started or executed, and not looked at since.
    fresh: HashSet<i32>,
    /// There were more of them, or of those that listen.
    flooded: bool,
    /// Known, and ended.
    ended: HashSet<i32>,
    /// Known, and began or ceased to listen.
    listened: HashSet<i32>,
    /// Known and not ended, since they were first looked at after they started.
    young: HashMap<i32, Young>,
    short_lived: u64,
    next: Option<Instant>,
    last: Option<Instant>,
    /// What looking took lately and is not made up for.
    debt: Duration,
    way: Way,
    round: u32,
}

/// A process that started lately.
#[derive(Debug, Clone, Copy)]
struct Young {
    since: Instant,
    /// When it is looked at again.
    due: Instant,
}

/// How it is looked at where something happened.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// Namespaces are asked.
    #[default]
    Calls,
    /// Single processes are asked for.
    Alone,
    /// The same, and who listens by TCP is told.
    Told,
}

impl Attention {
    /// It was made, or executed another program.
    pub(super) fn started(&mut self, pid: i32, now: Instant) {
        if self.fresh.len() < FLOOD {
            self.fresh.insert(pid);
        } else {
            self.flooded = true;
        }
        self.hurry(now, self.settle());
    }

    /// `known`: whether it is in the chart.
    pub(super) fn ended(&mut self, pid: i32, known: bool, now: Instant) {
        self.young.remove(&pid);
        self.listened.remove(&pid);
        let fresh = self.fresh.remove(&pid);
        if known {
            self.ended.insert(pid);
            self.hurry(now, self.settle());
        } else if fresh {
            self.short_lived = self.short_lived.saturating_add(1);
        }
    }

    /// It began or ceased to listen. Who is not known has just started.
    pub(super) fn listened(&mut self, pid: i32, known: bool, now: Instant) {
        if !known {
            return self.started(pid, now);
        }
        if self.listened.len() < FLOOD {
            self.listened.insert(pid);
        } else {
            self.flooded = true;
        }
        self.hurry(now, SETTLE);
    }

    /// Whether something happened that was not looked at.
    pub(super) fn has_news(&self) -> bool {
        !(self.fresh.is_empty() && self.ended.is_empty() && self.listened.is_empty())
    }

    fn settle(&self) -> Duration {
        if self.way == Way::Told { SETTLE_TOLD } else { SETTLE }
    }

    fn hurry(&mut self, now: Instant, settle: Duration) {
        let soon = later(now, settle).max(self.earliest().unwrap_or(now));
        self.next = Some(self.next.map_or(soon, |next| next.min(soon)));
    }

    /// Not before then, for the last look has to be paid for.
    fn earliest(&self) -> Option<Instant> {
        let due = self.debt.saturating_sub(CREDIT).saturating_mul(SHARE);
        let period = if self.way == Way::Told { PERIOD_TOLD } else { self.period() };
        self.last.map(|last| later(last, due.clamp(period, LONGEST)))
    }

    /// Between two looks for what is not told.
    pub(super) fn period(&self) -> Duration {
        if self.way == Way::Calls { PERIOD } else { PERIOD_ALONE }
    }

    /// From now on it is looked this way.
    pub(super) fn look_by(&mut self, way: Way) {
        self.way = way;
    }

    /// When to look again; `None` when there is nothing to look at.
    pub(super) fn next(&self) -> Option<Instant> {
        self.next
    }

    pub(super) fn is_flooded(&self) -> bool {
        self.flooded
    }

    /// The processes to look at now. Who listens may have gone to other namespaces before.
    pub(super) fn processes(&self, now: Instant) -> Vec<i32> {
        let all = self.way != Way::Alone || self.round.is_multiple_of(ROUNDS);
        let may = |(pid, young): (&i32, &Young)| {
            let is_due = young.due <= now
                && later(young.since, YOUNG) > now
                && (all || later(young.since, FIRST) > now);
            is_due.then_some(*pid)
        };
        let young = self.young.iter().filter_map(may);
        once(self.fresh.iter().chain(&self.ended).chain(&self.listened).copied().chain(young))
    }

    /// The processes that may begin to listen, and those that did.
    pub(super) fn watched(&self, now: Instant) -> Vec<i32> {
        let may = |(pid, young): (&i32, &Young)| {
            let is_due = young.due <= now && later(young.since, WATCHED) > now;
            is_due.then_some(*pid)
        };
        once(self.fresh.iter().chain(&self.listened).copied().chain(self.young.iter().filter_map(may)))
    }

    /// They were looked at, and `missed` of them were gone before anything was known of them. Gives the namespaces to
    /// ask now: those in which they are and were, and those in which others may begin to listen.
    pub(super) fn places(
        &mut self,
        mut seen: HashSet<NamespaceId>,
        missed: u64,
        net_of: impl Fn(i32) -> Option<NamespaceId>,
        now: Instant,
    ) -> HashSet<NamespaceId> {
        self.short_lived = self.short_lived.saturating_add(missed);
        self.ended.clear();
        seen.extend(self.listened.drain().filter_map(&net_of));
        self.young.extend(self.fresh.drain().map(|pid| (pid, Young { since: now, due: now })));
        let (way, period) = (self.way, self.period());
        self.young.retain(|pid, young| {
            let place = net_of(*pid).filter(|_| later(young.since, WATCHED) > now);
            seen.extend(place);
            if way == Way::Told && young.due <= now {
                let age = now.saturating_duration_since(young.since);
                young.due = later(now, age.clamp(period, RAREST));
            }
            place.is_some()
        });
        seen
    }

    /// It took this long, up to now.
    pub(super) fn looked(&mut self, cost: Duration, now: Instant) {
        let passed = self.last.map_or(Duration::MAX, |last| now.saturating_duration_since(last));
        self.debt =
            self.debt.saturating_sub(passed.checked_div(SHARE).unwrap_or_default()).saturating_add(cost);
        self.last = Some(now);
        self.round = self.round.wrapping_add(1);
        let due = self.young.values().map(|young| young.due).min();
        self.next = due.zip(self.earliest()).map(|(due, earliest)| due.max(earliest));
    }

    /// Everything was looked at. Where something started, it is looked again all the same: it may just have begun.
    pub(super) fn seen_all(&mut self, known: impl Fn(i32) -> bool) {
        self.ended.clear();
        self.listened.clear();
        self.young.retain(|pid, _| known(*pid));
        if std::mem::take(&mut self.flooded) {
            self.fresh.clear();
        }
    }

    pub(super) fn take_short_lived(&mut self) -> u64 {
        std::mem::take(&mut self.short_lived)
    }
}

fn once(pids: impl Iterator<Item = i32>) -> Vec<i32> {
    let mut pids: Vec<i32> = pids.collect();
    pids.sort_unstable();
    pids.dedup();
    pids
}

fn later(now: Instant, time: Duration) -> Instant {
    now.checked_add(time).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: NamespaceId = NamespaceId::new(7);
    const LOOK: Duration = Duration::from_millis(1);

    /// Looks, when it is time; gives the namespaces that were asked.
    fn look(attention: &mut Attention, alive: &[i32], now: Instant) -> Vec<NamespaceId> {
        let net_of = |pid| alive.contains(&pid).then_some(PLACE);
        let seen = attention.processes(now).into_iter().filter_map(net_of).collect();
        let places = attention.places(seen, 0, net_of, now);
        attention.looked(LOOK, now);
        places.into_iter().collect()
    }

    #[test]
    fn a_process_that_lives_is_watched_for_a_minute_and_one_that_ends_no_longer() {
        let (mut attention, start) = (Attention::default(), Instant::now());
        attention.started(10, start);
        let mut now = attention.next().unwrap();
        assert_eq!(now, start + SETTLE);
        let mut asked = 0;
        while let Some(next) = attention.next() {
            assert!(next >= now);
            now = next;
            asked += look(&mut attention, &[10], now).len();
        }
        assert!(now - start >= WATCHED && now - start <= WATCHED + 3 * PERIOD);
        assert!(asked >= 1100, "{asked}");

        attention.started(11, now);
        look(&mut attention, &[11], now);
        attention.ended(11, true, now);
        now = attention.next().unwrap();
        assert_eq!(attention.processes(now), [11]);
        look(&mut attention, &[], now);
        assert_eq!(attention.next(), None);
    }

    #[test]
    fn where_it_is_told_who_listens_the_others_are_looked_at_the_less_often_the_older_they_are() {
        let (mut attention, start) = (Attention::default(), Instant::now());
        attention.look_by(Way::Told);
        attention.started(10, start);
        let mut now = start;
        let mut times = Vec::new();
        while let Some(next) = attention.next() {
            now = next;
            assert!(now - start >= WATCHED || attention.watched(now) == [10]);
            look(&mut attention, &[10], now);
            times.push((now - start).as_millis());
        }
        assert_eq!(times[..6], [40, 120, 200, 360, 680, 1320]);
        assert!(now - start >= WATCHED && times.len() < 40, "{times:?}");

        // It is old, and begins to listen: it is looked at once.
        attention.listened(10, true, now);
        assert!(attention.has_news());
        now = attention.next().unwrap();
        assert!(now - start <= WATCHED + RAREST + PERIOD_TOLD + SETTLE);
        assert_eq!((attention.processes(now), attention.watched(now)), (vec![10], vec![10]));
        look(&mut attention, &[10], now);
        assert!(!attention.has_news() && attention.next().is_none());
        // Nobody knows this one.
        attention.listened(11, false, now);
        assert_eq!((attention.processes(now), attention.watched(now)), (vec![11], vec![11]));
        attention.ended(11, false, now);
        assert!(!attention.has_news());
    }

    #[test]
    fn what_was_never_looked_at_is_counted() {
        let (mut attention, now) = (Attention::default(), Instant::now());
        attention.started(10, now);
        attention.started(10, now);
        attention.ended(10, false, now);
        attention.ended(11, false, now);
        attention.started(12, now);
        attention.ended(12, true, now);
        assert_eq!(attention.processes(now), [12], "it was known when it executed something");
        attention.places(HashSet::new(), 2, |_| None, now);
        assert_eq!((attention.take_short_lived(), attention.take_short_lived()), (3, 0));
    }

    #[test]
    fn events_do_not_make_it_look_more_often_than_it_may() {
        let (mut attention, start) = (Attention::default(), Instant::now());
        let (mut now, mut looks) = (start, 0_u32);
        while now < start + Duration::from_secs(100) {
            attention.started(10, now);
            if attention.next().is_some_and(|next| next <= now) {
                look(&mut attention, &[], now);
                // A costly one.
                attention.debt += Duration::from_millis(39);
                looks += 1;
            }
            now += Duration::from_millis(1);
        }
        // 40 ms each, in 100 s: 10 s, and what it had credit for.
        assert!((200..=270).contains(&looks), "{looks}");
    }

    #[test]
    fn a_flood_is_cut_off() {
        let (mut attention, now) = (Attention::default(), Instant::now());
        for pid in 0..100_000 {
            attention.started(pid, now);
        }
        assert!(attention.is_flooded() && attention.processes(now).len() == FLOOD);
        attention.seen_all(|_| true);
        assert!(!attention.is_flooded() && attention.processes(now).is_empty());
    }
}
