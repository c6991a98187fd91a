//! Looking, by BPF iterators, where something happened, and for listeners between two whole scans.

use std::collections::HashSet;

use portolan_linux::Result;

use super::snapshot::{Looked, Snapshot, Which};
use crate::diff::Diff;
use crate::fault::Faults;
use crate::pass::listeners::Rows;
use crate::pass::{Pass, Single};
use crate::{Inventory, group};

/// More processes than this are looked at by a whole scan.
const MOST: usize = 256;

/// What came of a look.
#[derive(Debug, Default)]
pub(crate) struct ByLook {
    /// How many processes were gone before anything was known of them.
    pub(crate) missed: u64,
    pub(crate) news: News,
}

/// How a chart is another.
#[derive(Debug, Default)]
pub(crate) enum News {
    /// It is not.
    #[default]
    Nothing,
    /// In these parts, and has been changed so.
    Parts(Diff),
    /// It may be in every part; this is the one now.
    Whole(Box<Inventory>),
}

impl Snapshot {
    /// Whether so many processes can be looked at alone.
    pub(crate) fn can_look_by_pass(&self, processes: usize) -> bool {
        self.owned.is_some()
            && processes <= MOST
            && self.iterators.pass.as_ref().is_some_and(|pass| pass.has_single() && !pass.is_resting())
    }

    /// Whether the last whole scan was made by BPF iterators.
    pub(crate) fn is_by_pass(&self) -> bool {
        self.owned.is_some() && self.iterators.pass.is_some()
    }

    /// Looks at some processes again, and for the listeners of `young` ones. The chart is the one that was told last.
    ///
    /// # Errors
    /// When the iterators fail; then all is to be scanned.
    pub(crate) fn look_by_pass(
        &mut self,
        pids: &[i32],
        young: &[i32],
        chart: Option<&mut Inventory>,
    ) -> Result<ByLook> {
        let Some(mut pass) = self.iterators.pass.take() else { return Ok(ByLook::default()) };
        let looked = self.look_with(&mut pass, pids, young, chart);
        self.iterators.pass = Some(pass);
        looked
    }

    fn look_with(
        &mut self,
        pass: &mut Pass,
        pids: &[i32],
        young: &[i32],
        chart: Option<&mut Inventory>,
    ) -> Result<ByLook> {
        let mut failed = None;
        let (mut gone, mut other) = (Vec::new(), Vec::new());
        let mut looked = self.look_again_by(pids, |judged, pid| match pass.look(pid) {
            Ok(Single::Same) => None,
            Ok(Single::Other) => {
                other.push(pid);
                let found = judged.look(pid, &mut Faults::default());
                // What was read by number is its own if it has the number still.
                pass.is_still(pid).then_some(found)
            }
            Ok(Single::Gone) => {
                gone.push(pid);
                Some(Err(("look at", portolan_linux::Error::gone(pid))))
            }
            Err(error) => {
                failed = Some(error);
                None
            }
        });
        for pid in &gone {
            pass.ended(*pid, &mut looked.sockets);
        }
        for pid in young.iter().filter(|pid| !gone.contains(pid)) {
            failed = failed.or(pass.listeners_of(*pid, &mut looked.sockets).err());
        }
        for pid in other {
            if self.knows(pid) {
                self.rename(pid, pass, &mut looked);
            } else {
                pass.leave(pid);
            }
        }
        let missed = looked.missed;
        let pending = std::mem::take(&mut self.pending);
        looked.ties.extend(pending.ties);
        looked.places.extend(pending.places);
        looked.processes.extend(pending.processes);
        looked.sockets.extend(pending.sockets);
        looked.changed |= pending.changed;
        if let Some(error) = failed {
            // What was seen before that is still to be put in the chart.
            self.pending = looked;
            return Err(error);
        }
        if !looked.changed && looked.sockets.is_empty() {
            self.pending = looked;
            return Ok(ByLook { missed, news: News::Nothing });
        }
        self.forget_last();
        if let Some(chart) = chart
            && let Some(diff) = self.change(chart, &looked, pass)
        {
            return Ok(ByLook { missed, news: News::Parts(diff) });
        }
        self.name_hosts(pass);
        Ok(ByLook { missed, news: News::Whole(Box::new(self.chart_by(pass))) })
    }

    /// If a container has another host name than before, it is concerned.
    fn rename(&mut self, pid: i32, pass: &Pass, looked: &mut Looked) {
        let place = self.processes.place_of(pid).ok();
        let Some(seen) = place.and_then(|place| self.processes.seen.get(place)) else { return };
        let (Some(known), Some(now)) = (self.hostnames.get_mut(&seen.id()), pass.hostname(pid)) else {
            return;
        };
        if *known != now {
            *known = now;
            looked.changed = true;
            looked.ties.extend(group::ties(seen, &self.host));
            looked.processes.insert(seen.id());
        }
    }

    /// Takes the listeners of all processes, and nothing else; `None` if they are the same.
    ///
    /// # Errors
    /// When the iterators fail.
    pub(crate) fn glance(&mut self) -> Result<Option<Inventory>> {
        if self.iterators.pass.as_ref().is_none_or(Pass::is_resting) {
            return Ok(None);
        }
        let Some(mut pass) = self.iterators.pass.take() else { return Ok(None) };
        let glanced = pass.listeners().map(|changed| changed.then(|| self.chart_by(&mut pass)));
        self.iterators.pass = Some(pass);
        glanced
    }

    /// Puts together what is known now.
    fn chart_by(&mut self, pass: &mut Pass) -> Inventory {
        self.forget_last();
        let mut faults = Faults::default();
        let mut rows = Rows::of(pass, &self.processes);
        if self.meet(&rows.strangers, pass, &mut faults) {
            self.name_hosts(pass);
            rows = Rows::of(pass, &self.processes);
        }
        self.add_dumps(&mut rows);
        self.listening = rows.listening;
        self.owned = Some(rows.owners);
        self.chart(Which::These(&HashSet::new()), &mut faults)
    }
}
