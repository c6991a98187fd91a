//! Looking, by BPF iterators, where something happened, and for listeners between two whole scans.

use std::collections::HashSet;

use portolan_linux::Result;

use super::snapshot::{Looked, Snapshot, Which};
use crate::Inventory;
use crate::fault::Faults;
use crate::pass::listeners::Rows;
use crate::pass::{Pass, Single};

/// More processes than this are looked at by a whole scan.
const MOST: usize = 256;

/// What came of a look.
#[derive(Debug, Default)]
pub(crate) struct ByLook {
    pub(crate) looked: Looked,
    /// The chart, if it can be another.
    pub(crate) inventory: Option<Inventory>,
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

    /// Looks at some processes again, and for the listeners of `young` ones.
    ///
    /// # Errors
    /// When the iterators fail; then all is to be scanned.
    pub(crate) fn look_by_pass(&mut self, pids: &[i32], young: &[i32]) -> Result<ByLook> {
        let Some(mut pass) = self.iterators.pass.take() else { return Ok(ByLook::default()) };
        let looked = self.look_with(&mut pass, pids, young);
        self.iterators.pass = Some(pass);
        looked
    }

    fn look_with(&mut self, pass: &mut Pass, pids: &[i32], young: &[i32]) -> Result<ByLook> {
        let mut failed = None;
        let (mut gone, mut renamed) = (Vec::new(), false);
        let looked = self.look_again_by(pids, |judged, pid| match pass.look(pid) {
            Ok(Single::Same) => None,
            Ok(Single::Other) => {
                renamed = true;
                Some(judged.look(pid, &mut Faults::default()))
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
        if let Some(error) = failed {
            return Err(error);
        }
        let mut changed = looked.changed;
        for pid in &gone {
            changed |= pass.ended(*pid);
        }
        for pid in young.iter().filter(|pid| !gone.contains(pid)) {
            changed |= pass.listeners_of(*pid)?;
        }
        if renamed {
            changed |= self.name_again(pass);
        }
        let inventory = changed.then(|| self.chart_by(pass));
        Ok(ByLook { looked, inventory })
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
            self.name_again(pass);
            rows = Rows::of(pass, &self.processes);
        }
        self.add_dumps(&mut rows);
        self.listening = rows.listening;
        self.owned = Some(rows.owners);
        self.chart(Which::These(&HashSet::new()), &mut faults)
    }

    /// Asks again for the host names of containers; gives whether any is another one.
    fn name_again(&mut self, pass: &Pass) -> bool {
        let before = self.hostnames.clone();
        self.name_hosts(pass);
        self.hostnames != before
    }
}
