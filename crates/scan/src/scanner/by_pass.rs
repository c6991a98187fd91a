//! A whole scan by BPF iterators, and whether there is to be one.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use portolan_linux::bpf::Unavailable;
use portolan_linux::error::Limit;
use portolan_linux::sock_diag::Listening;
use portolan_linux::{ErrorKind, Home, NamespaceId};

use super::snapshot::{Snapshot, Which};
use crate::fault::Faults;
use crate::owners::{Remembered, Search};
use crate::pass::Pass;
use crate::pass::listeners::Rows;
use crate::places::{Member, Places, Way};
use crate::source::SourceChoice;
use crate::{Error, Inventory, Result, Source, held, walk};

/// The iterators, once it was tried to load them.
#[derive(Debug, Default)]
pub(crate) struct ByPass {
    pub(super) pass: Option<Pass>,
    refused: Option<Unavailable>,
    /// Sockets that no process had at the last scan.
    nobodys: HashSet<Nobodys>,
    /// What the namespaces said that are asked first.
    dumps: Dumps,
    /// What all namespaces said that were asked.
    all_dumps: Dumps,
    mounted: Vec<(NamespaceId, Way)>,
    /// The last chart, as long as nothing has been put together otherwise since.
    last: Option<Inventory>,
}

/// A socket without a process: its namespace and its inode number.
type Nobodys = (NamespaceId, u32);
type Dumps = HashMap<NamespaceId, Vec<Listening>>;

impl Snapshot {
    /// Looks at everything, the way that was chosen or works.
    pub(crate) fn scan(&mut self) -> Result<Inventory> {
        let why = match self.take_pass() {
            Ok(mut pass) => {
                let begun = Instant::now();
                let made = self.scan_by_pass(&mut pass);
                let failed = made.as_ref().is_ok_and(std::result::Result::is_err);
                if failed {
                    pass.failed(begun);
                }
                self.iterators.pass = Some(pass);
                match made? {
                    Ok(inventory) => return Ok(inventory),
                    Err(error) => Some(Unavailable::GivenUp(error.to_string())),
                }
            }
            Err(why) => why,
        };
        if let (SourceChoice::Bpf, Some(why)) = (self.options.source, &why) {
            return Err(Error::without_bpf(why.clone()));
        }
        self.source = Source::SystemCalls { without_bpf: why };
        self.scan_by_calls()
    }

    /// The iterators, if they are to be used now; or why not.
    fn take_pass(&mut self) -> std::result::Result<Pass, Option<Unavailable>> {
        if self.options.source == SourceChoice::SystemCalls {
            return Err(None);
        }
        // Who wants nothing else is not spared.
        let may_rest = self.options.source == SourceChoice::Auto;
        let ours = &mut self.iterators;
        if let Some(why) = &ours.refused {
            return Err(Some(why.clone()));
        }
        match ours.pass.take() {
            Some(pass) if may_rest && pass.is_resting() => {
                ours.pass = Some(pass);
                Err(Some(Unavailable::GivenUp("it took too long a short time ago".to_owned())))
            }
            Some(pass) => Ok(pass),
            None => Pass::load().map_err(|why| {
                ours.refused = Some(why.clone());
                Some(why)
            }),
        }
    }

    /// The scan, unless a pass fails.
    fn scan_by_pass(
        &mut self,
        pass: &mut Pass,
    ) -> Result<std::result::Result<Inventory, portolan_linux::Error>> {
        let start = Instant::now();
        let mut faults = Faults::default();
        let home = Home::here().map_err(Error::proc_unreadable)?;
        self.host = walk::host_namespaces(home.id(), &mut faults);
        match pass.processes(&mut self.processes, &mut self.judged, &mut faults)? {
            Ok(true) => {
                self.iterators.last = None;
                self.grouped = None;
                self.name_hosts(pass);
            }
            Ok(false) => {}
            Err(error) => return Ok(Err(error)),
        }
        self.silent.clear();
        // What no process has is told by dumps: before the pass, so that what is opened in between has its owner.
        let mut asked = self.asked_first(pass);
        let kept: Dumps =
            asked.iter().filter_map(|id| Some((*id, self.listening.get(id)?.clone()))).collect();
        let mut dumps = self.dump(&asked, &mut faults);
        let mounted = held::mounted(&self.processes.seen, &self.host, &mut faults);
        let is_same = match pass.listeners() {
            Ok(is_new) => !is_new && dumps == self.iterators.dumps && mounted == self.iterators.mounted,
            Err(error) => return Ok(Err(error)),
        };
        if is_same && let Some(last) = self.as_last(start) {
            self.listening.extend(kept);
            return Ok(Ok(last));
        }
        self.iterators.dumps.clone_from(&dumps);
        self.iterators.mounted = mounted;
        let mut rows = Rows::of(pass, &self.processes);
        if self.meet(&rows.strangers, pass, &mut faults) {
            self.name_hosts(pass);
            rows = Rows::of(pass, &self.processes);
        }
        self.ways = held::find_by_pass(
            &self.processes.seen,
            &self.options,
            pass,
            &self.iterators.mounted,
            &mut faults,
        );
        let more = self.asked_then(&rows, &asked);
        if !more.is_empty() {
            dumps.extend(self.dump(&more, &mut faults));
            asked.extend(more);
        }
        let nobodys = self.nobodys(&rows, &dumps);
        let again: HashSet<NamespaceId> =
            nobodys.difference(&self.iterators.nobodys).map(|(id, _)| *id).collect();
        if !again.is_empty() {
            // Most likely closed between the dump and the pass: then the next dump does not have them.
            let before = dumps.clone();
            dumps.extend(self.dump(&again, &mut faults));
            for (id, dump) in dumps.iter_mut().filter(|(id, _)| again.contains(id)) {
                let was: HashSet<u32> = before.get(id).into_iter().flatten().map(|l| l.inode).collect();
                dump.retain(|l| was.contains(&l.inode));
            }
        }
        for (id, dump) in &dumps {
            rows.add_dump(*id, dump);
        }
        self.iterators.nobodys = self.nobodys(&rows, &dumps);
        self.iterators.all_dumps.clone_from(&dumps);
        for id in &rows.flooded {
            faults.of_netns("list the listeners", id.inode(), ErrorKind::Limit(Limit::Entries));
            self.silent.insert(*id);
        }
        self.search_unlisted(pass, &mut rows, &dumps, &mut faults);
        self.listening = rows.listening;
        self.owned = Some(rows.owners);
        self.source = Source::Bpf;
        let mut inventory = self.chart(Which::All, &mut faults);
        self.faults = faults.into_list();
        inventory.faults.clone_from(&self.faults);
        inventory.elapsed = start.elapsed();
        self.iterators.last = Some(inventory.clone());
        Ok(Ok(inventory))
    }

    /// The last chart once more, if nothing of it can be otherwise: no row, no dump and no mount of a namespace is.
    fn as_last(&mut self, start: Instant) -> Option<Inventory> {
        let mut last = self.iterators.last.take().filter(|_| !self.options.thorough)?;
        let silent = last.unseen.namespaces.iter().all(|id| self.silent.contains(id));
        let is_same = silent && self.silent.len() == last.unseen.namespaces.len();
        if !is_same || !self.identities.is_settled(last.containers.len()) {
            return None;
        }
        last.elapsed = start.elapsed();
        self.iterators.last = Some(last.clone());
        Some(last)
    }

    /// What is known of the host was put together otherwise than by a whole pass.
    pub(super) fn forget_last(&mut self) {
        self.iterators.last = None;
    }

    /// The host names that the containers' first processes see.
    pub(super) fn name_hosts(&mut self, pass: &Pass) {
        let (containers, membership) = self.grouped();
        self.hostnames = containers
            .iter()
            .filter_map(|container| Some((container.init, pass.hostname(container.init.pid)?)))
            .collect();
        self.grouped = Some((containers, membership));
    }

    /// The host's own namespace, where sockets of the kernel are; and those of processes that the iterators do not show.
    fn asked_first(&self, pass: &Pass) -> HashSet<NamespaceId> {
        let unlisted = self.processes.seen.iter().filter(|seen| pass.unlisted().contains(&seen.id()));
        unlisted.map(|seen| seen.namespaces.net).chain([self.host.net]).collect()
    }

    /// Those with sockets whose names could not be read, and if everything is wanted, all.
    fn asked_then(&self, rows: &Rows, asked: &HashSet<NamespaceId>) -> HashSet<NamespaceId> {
        let mut more: HashSet<NamespaceId> = rows.nameless.difference(asked).copied().collect();
        if self.options.thorough {
            let places = Places::of(&self.processes.seen, self.host.net, &self.ways, Which::All);
            more.extend(places.iter().map(|(id, _)| id).filter(|id| !asked.contains(id)));
        }
        more
    }

    fn dump(&mut self, asked: &HashSet<NamespaceId>, faults: &mut Faults) -> Dumps {
        self.ask(Which::These(asked), true, &[], faults);
        asked.iter().filter_map(|id| Some((*id, self.listening.remove(id)?))).collect()
    }

    /// Looks at processes that the pass over processes did not know of yet; gives whether any was added.
    pub(super) fn meet(&mut self, strangers: &HashSet<i32>, pass: &mut Pass, faults: &mut Faults) -> bool {
        let mut met = false;
        for pid in strangers {
            let is_known = pass.has_single() && pass.look(*pid).is_ok();
            let found = self.judged.look(*pid, faults);
            if is_known && !pass.is_still(*pid) {
                continue;
            }
            if let Ok(Some(seen)) = found {
                pass.touch(*pid);
                match self.processes.place_of(*pid) {
                    Ok(at) => self.processes.seen.splice(at..=at, [seen]).for_each(drop),
                    Err(at) => self.processes.seen.insert(at, seen),
                }
                met = true;
            }
        }
        if met {
            self.grouped = None;
        }
        met
    }

    /// Adds the sockets that no process had at the last whole scan.
    pub(super) fn add_dumps(&self, rows: &mut Rows) {
        for (id, dump) in &self.iterators.all_dumps {
            let is_nobodys =
                |l: &&Listening| l.inode == 0 || self.iterators.nobodys.contains(&(*id, l.inode));
            let nobodys: Vec<Listening> = dump.iter().filter(is_nobodys).cloned().collect();
            rows.add_dump(*id, &nobodys);
        }
    }

    /// What the dumps have and the rows have not.
    fn nobodys(&self, rows: &Rows, dumps: &Dumps) -> HashSet<Nobodys> {
        let all = dumps.iter().flat_map(|(id, dump)| dump.iter().map(|listening| (*id, listening.inode)));
        all.filter(|(_, inode)| *inode != 0 && !rows.owners.contains_key(inode)).collect()
    }

    /// Looks for the owners of such sockets among the processes that the iterators do not show.
    fn search_unlisted(&self, pass: &Pass, rows: &mut Rows, dumps: &Dumps, faults: &mut Faults) {
        let processes = &self.processes.seen;
        let is_unlisted = |(_, seen): &(usize, &walk::Seen)| pass.unlisted().contains(&seen.id());
        let unlisted = processes.iter().enumerate().filter(is_unlisted);
        let mut members: Vec<(usize, &walk::Seen)> = unlisted.collect();
        members.sort_by_key(|(_, seen)| seen.age());
        if members.is_empty() {
            return;
        }
        let nothing = Remembered::default();
        let mut search = Search::new(processes, &nothing);
        for (id, dump) in dumps {
            let wanted = dump.iter().map(|l| l.inode).filter(|l| *l != 0 && !rows.owners.contains_key(l));
            let own = members.iter().filter(|(_, seen)| seen.namespaces.net == *id);
            let own: Vec<Member> =
                own.map(|(place, seen)| Member { place: *place, thread: seen.thread }).collect();
            search.at_home(*id, &own, wanted.collect(), faults);
        }
        rows.owners.extend(search.places());
    }
}
