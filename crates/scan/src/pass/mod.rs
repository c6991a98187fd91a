//! The host by BPF iterators: all processes and listeners in two passes.
//!
//! What a row says is not asked again; what no row says (the text of a cgroup) is read from `/proc` when a process is seen
//! for the first time, and again when the row says that it was moved. Such a reading is by number, and a number can go to
//! another process meanwhile: so the processes are passed over once more afterwards, and what was read of one that is not
//! there any more is forgotten.
//!
//! - `processes`: rows into processes
//! - `listeners`: rows into listeners and their owners

pub(crate) mod listeners;
mod processes;

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use portolan_linux::bpf::{self, Holder, Iterators, Task, Unavailable};
use portolan_linux::{NamespaceId, ProcessId, Result};

use crate::fault::Faults;
use crate::walk::{Judged, Processes};

/// So long a pass may take; some two million open files take a quarter of it.
const LONGEST: Duration = Duration::from_secs(1);
/// After a pass that failed, none is tried for so many times as long as it took.
const REST: u32 = 100;

/// The iterators, and what they said last.
#[derive(Debug)]
pub(crate) struct Pass {
    iterators: Iterators,
    /// The rows of processes from which the processes that are known were made.
    tasks: Vec<u8>,
    /// Where the rows of first threads are in that, by their numbers.
    leaders: Vec<(i32, usize)>,
    /// Threads that are elsewhere than the first of their process.
    strays: Vec<Stray>,
    /// Processes that `/proc` shows and the iterator does not.
    unlisted: HashSet<ProcessId>,
    /// The numbers of all of `/proc` that have no row.
    unlisted_numbers: Vec<i32>,
    /// How many processes the host had.
    count: Option<u64>,
    /// The rows of processes that were asked for alone since.
    latest: HashMap<i32, Vec<u8>>,
    /// Processes that were looked at otherwise since, or could not be read.
    touched: HashSet<i32>,
    files: Vec<u8>,
    /// Who has which listeners, by process.
    holders: HashMap<i32, Vec<Holder>>,
    /// For what comes next, so that the room is used again.
    spare: Vec<u8>,
    /// The UTS namespace of this process.
    own_uts: Option<NamespaceId>,
    /// Not before then.
    rest: Option<Instant>,
}

/// What came of asking for one process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Single {
    /// It is as it was.
    Same,
    /// It is not.
    Other,
    /// There is no such process.
    Gone,
}

/// A thread in another network namespace than its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stray {
    pub(crate) process: ProcessId,
    pub(crate) thread: i32,
    pub(crate) net: NamespaceId,
}

impl Pass {
    pub(crate) fn load() -> std::result::Result<Self, Unavailable> {
        Ok(Self {
            iterators: Iterators::load()?,
            tasks: Vec::new(),
            leaders: Vec::new(),
            strays: Vec::new(),
            unlisted: HashSet::new(),
            unlisted_numbers: Vec::new(),
            count: None,
            latest: HashMap::new(),
            touched: HashSet::new(),
            files: Vec::new(),
            holders: HashMap::new(),
            spare: Vec::new(),
            own_uts: None,
            rest: None,
        })
    }

    /// Whether a pass that failed is still to be made up for.
    pub(crate) fn is_resting(&self) -> bool {
        self.rest.is_some_and(|until| Instant::now() < until)
    }

    /// A pass that was begun then has failed.
    pub(crate) fn failed(&mut self, begun: Instant) {
        let now = Instant::now();
        self.rest = now.checked_add(now.saturating_duration_since(begun).saturating_mul(REST));
        // What is known by system calls meanwhile is not what the rows say.
        self.forget();
    }

    /// Forgets all rows, but not the programs.
    pub(crate) fn forget(&mut self) {
        self.tasks.clear();
        self.leaders.clear();
        self.strays.clear();
        self.unlisted.clear();
        self.unlisted_numbers.clear();
        self.count = None;
        self.latest.clear();
        self.touched.clear();
        self.files.clear();
        self.holders.clear();
    }

    /// A process was looked at otherwise: what was said of it is not what is known.
    pub(crate) fn touch(&mut self, pid: i32) {
        self.touched.insert(pid);
    }

    pub(crate) fn deadline() -> Instant {
        let now = Instant::now();
        now.checked_add(LONGEST).unwrap_or(now)
    }

    /// Brings the processes up to date; gives whether any is otherwise than it was.
    pub(crate) fn processes(
        &mut self,
        known: &mut Processes,
        judged: &mut Judged,
        faults: &mut Faults,
    ) -> crate::Result<std::result::Result<bool, portolan_linux::Error>> {
        processes::update(self, known, judged, faults)
    }

    /// Takes all listeners anew; gives whether any is otherwise than before.
    pub(crate) fn listeners(&mut self) -> Result<bool> {
        self.iterators.listeners(&mut self.spare, Self::deadline())?;
        if self.spare == self.files && !self.holders.is_empty() {
            return Ok(false);
        }
        std::mem::swap(&mut self.spare, &mut self.files);
        let mut holders: HashMap<i32, Vec<Holder>> = HashMap::new();
        for holder in bpf::holders(&self.files) {
            holders.entry(holder.pid).or_default().push(holder);
        }
        let is_same = holders == self.holders;
        self.holders = holders;
        Ok(!is_same)
    }

    /// Whether single processes can be asked for.
    pub(crate) fn has_single(&self) -> bool {
        self.iterators.has_single()
    }

    /// Asks for one process alone.
    pub(crate) fn look(&mut self, pid: i32) -> Result<Single> {
        self.iterators.tasks_of(pid, &mut self.spare)?;
        if self.spare.is_empty() {
            self.latest.remove(&pid);
            return Ok(Single::Gone);
        }
        let known = match self.latest.get(&pid) {
            Some(rows) => Some(rows.as_slice()),
            None => self.row(pid).map(|row| row.bytes()),
        };
        if known == Some(self.spare.as_slice()) {
            return Ok(Single::Same);
        }
        self.latest.insert(pid, self.spare.clone());
        self.touched.insert(pid);
        Ok(Single::Other)
    }

    /// Whether the process that was asked for alone has its number still; otherwise what is known is forgotten.
    pub(crate) fn is_still(&mut self, pid: i32) -> bool {
        let start = |rows: &[u8]| bpf::tasks(rows).next().map(|row| row.start_boottime());
        let before = self.row(pid).map(|row| row.start_boottime());
        let asked = self.iterators.tasks_of(pid, &mut self.spare);
        let is_still = asked.is_ok() && before.is_some() && before == start(&self.spare);
        if !is_still {
            self.latest.remove(&pid);
        }
        is_still
    }

    /// Forgets what was said of a process that there is nothing to chart of.
    pub(crate) fn leave(&mut self, pid: i32) {
        self.latest.remove(&pid);
    }

    /// Asks for the listeners of one process alone; adds the numbers of those that came and went.
    pub(crate) fn listeners_of(&mut self, pid: i32, sockets: &mut HashSet<u32>) -> Result<()> {
        self.iterators.listeners_of(pid, &mut self.spare)?;
        let now: Vec<Holder> = bpf::holders(&self.spare).collect();
        let before = self.holders.get(&pid).map(Vec::as_slice).unwrap_or_default();
        if before == now {
            return Ok(());
        }
        // The rows of all are not what is known any more.
        self.files.clear();
        let other = |of: &[Holder], than: &[Holder]| {
            of.iter().filter(|holder| !than.contains(holder)).map(|h| h.listening.inode).collect::<Vec<_>>()
        };
        sockets.extend(other(before, &now));
        sockets.extend(other(&now, before));
        if now.is_empty() {
            self.holders.remove(&pid);
        } else {
            self.holders.insert(pid, now);
        }
        Ok(())
    }

    /// A process has ended; adds the numbers of the listeners that it had.
    pub(crate) fn ended(&mut self, pid: i32, sockets: &mut HashSet<u32>) {
        self.latest.remove(&pid);
        if let Some(held) = self.holders.remove(&pid) {
            self.files.clear();
            sockets.extend(held.iter().map(|holder| holder.listening.inode));
        }
    }

    pub(crate) fn holders(&self) -> impl Iterator<Item = &Holder> {
        self.holders.values().flatten()
    }

    pub(crate) fn strays(&self) -> &[Stray] {
        &self.strays
    }

    pub(crate) fn unlisted(&self) -> &HashSet<ProcessId> {
        &self.unlisted
    }

    pub(crate) fn start_time(&self, holder: &Holder) -> u64 {
        self.iterators.start_time(holder.start_boottime)
    }

    /// Whether a row of a listener is of the process that is known under its number, and not of one that had the number
    /// before or after it within the same clock tick of `/proc`.
    pub(crate) fn is_of(&self, holder: &Holder) -> bool {
        // Of one that no row tells of, no more is known than the tick.
        self.row(holder.pid).is_none_or(|row| row.start_boottime() == holder.start_boottime)
    }

    /// The host name that a process sees, if it is not the one that this process sees. One whose first thread has
    /// ended sees none.
    pub(crate) fn hostname(&self, pid: i32) -> Option<Option<Vec<u8>>> {
        let row = self.row(pid)?;
        let own = self.own_uts?;
        let has_own = row.uts().inode() != 0 && row.uts() != own;
        Some(has_own.then(|| row.hostname().to_vec()))
    }

    fn row(&self, pid: i32) -> Option<Task<'_>> {
        if let Some(rows) = self.latest.get(&pid) {
            return bpf::tasks(rows).find(|row| row.thread() == pid);
        }
        let at = self.leaders.binary_search_by_key(&pid, |(pid, _)| *pid).ok()?;
        let (_, offset) = self.leaders.get(at)?;
        bpf::tasks(self.tasks.get(*offset..)?).next()
    }
}
