//! Services of which nothing changed since they were looked at.
//!
//! A service stays as it was as long as it has the same processes, which execute the same programs and listen on the
//! same sockets, and as long as none of the files that were read for its container is another one now.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, Hash as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::time::{Duration, Instant};

use portolan_files::Files;
use portolan_linux::{ErrorKind, ProcessId};
use portolan_scan::Inventory;

use super::scene::Scene;
use super::view::View;
use crate::prints::Prints;
use crate::recognise::group::Group;
use crate::service::Service;

/// What is kept from survey to survey.
#[derive(Debug)]
pub(super) struct Kept {
    services: HashMap<ProcessId, One>,
    /// What was read of whose files, and whether all of it was found as it was in this survey.
    views: HashMap<View, (Prints, Option<bool>)>,
    /// Of the chart of the last survey, if all that it shows was surveyed.
    whole: Option<u64>,
    hasher: RandomState,
    now: Instant,
    round: u64,
}

#[derive(Debug)]
struct One {
    shape: u64,
    view: View,
    due: Instant,
    round: u64,
    service: Arc<Service>,
}

impl Default for Kept {
    fn default() -> Self {
        Self {
            services: HashMap::new(),
            views: HashMap::new(),
            whole: None,
            hasher: RandomState::new(),
            now: Instant::now(),
            round: 0,
        }
    }
}

impl Kept {
    /// Begins a survey.
    pub(super) fn begin(&mut self, now: Instant) {
        self.now = now;
        self.round = self.round.wrapping_add(1);
        for (_, holds) in self.views.values_mut() {
            *holds = None;
        }
    }

    /// A number that is another when any process, program, socket or container of a chart is.
    pub(super) fn whole(&self, chart: &Inventory) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        for member in &chart.processes {
            (member.id, member.parent, member.arguments, member.container).hash(&mut hasher);
            (member.mnt, member.net, member.name()).hash(&mut hasher);
        }
        for listener in &chart.listeners {
            (listener.netns, listener.protocol, listener.inode, &listener.local).hash(&mut hasher);
            listener.owner.hash(&mut hasher);
        }
        for container in &chart.containers {
            (&container.id, container.init, &container.image).hash(&mut hasher);
        }
        hasher.finish()
    }

    /// All services as they were, if the chart is as it was and every one of them still is.
    pub(super) fn all(&mut self, whole: u64, files: Option<&Files>) -> Option<Vec<Arc<Service>>> {
        if self.whole != Some(whole) {
            return None;
        }
        let ids: Vec<ProcessId> = self.services.keys().copied().collect();
        ids.into_iter().map(|id| self.find(id, None, files)).collect()
    }

    /// A number that is another when a service's processes, programs, sockets or container are others.
    pub(super) fn shape(&self, group: &Group<'_>, scene: &Scene<'_>) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        (&group.verdict.rule.kind, &group.verdict.name).hash(&mut hasher);
        group.first.container.and_then(|init| scene.containers.get(&init)).map(|c| &c.id).hash(&mut hasher);
        for member in &group.members {
            (member.id, member.arguments, member.mnt, member.net).hash(&mut hasher);
            for listener in scene.listeners_of(member.id) {
                (listener.netns, listener.protocol, listener.inode, &listener.local).hash(&mut hasher);
            }
        }
        hasher.finish()
    }

    /// The service as it was, if it still is; without a shape, if its files are.
    pub(super) fn find(
        &mut self,
        id: ProcessId,
        shape: Option<u64>,
        files: Option<&Files>,
    ) -> Option<Arc<Service>> {
        let one = self.services.get_mut(&id)?;
        if shape.is_some_and(|shape| one.shape != shape) || one.due <= self.now {
            return None;
        }
        if let Some(files) = files
            && let Some((prints, holds)) = self.views.get_mut(&one.view)
        {
            let process = one.view.process;
            if !*holds.get_or_insert_with(|| prints.hold(process, files)) {
                return None;
            }
        }
        one.round = self.round;
        Some(Arc::clone(&one.service))
    }

    /// Notes what was read of whose files.
    pub(super) fn learn(&mut self, view: &View, prints: Prints) {
        let (known, holds) = self.views.entry(view.clone()).or_default();
        // Where a file changed, all services that see those files were read anew.
        if *holds == Some(false) {
            *known = prints;
        } else {
            known.extend(prints);
        }
        *holds = Some(true);
    }

    /// Keeps a service that was looked at now.
    pub(super) fn keep(
        &mut self,
        id: ProcessId,
        shape: u64,
        view: View,
        service: &Arc<Service>,
        refresh: Duration,
    ) {
        let passing = |kind| matches!(kind, ErrorKind::Timeout | ErrorKind::Busy | ErrorKind::HelperDied);
        let wait = if service.configuration.faults.iter().any(|fault| passing(fault.kind)) {
            Duration::ZERO
        } else {
            // Not all of them at once: from one half of that time to the whole.
            let part = id.pid.unsigned_abs().wrapping_mul(7) % PARTS;
            let whole = refresh.saturating_mul(PARTS.saturating_add(part));
            whole.checked_div(PARTS.saturating_mul(2)).unwrap_or(refresh)
        };
        let due = self.now.checked_add(wait).unwrap_or(self.now);
        let one = One { shape, view, due, round: self.round, service: Arc::clone(service) };
        self.services.insert(id, one);
    }

    /// Ends a survey: what it did not see is forgotten. `whole`: of the chart, if all of it was surveyed.
    pub(super) fn end(&mut self, whole: Option<u64>) {
        self.whole = whole;
        let round = self.round;
        self.services.retain(|_, one| one.round == round);
        let seen: std::collections::HashSet<&View> = self.services.values().map(|one| &one.view).collect();
        self.views.retain(|view, _| seen.contains(view));
    }
}

const PARTS: u32 = 64;
