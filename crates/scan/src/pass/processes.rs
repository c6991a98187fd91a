//! The rows of processes, and the processes that they tell of.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use portolan_linux::bpf::{self, Task};
use portolan_linux::process::{self, Trace};
use portolan_linux::{ErrorKind, NamespaceKind, Process, ProcessId};

use super::{Pass, Stray};
use crate::Error;
use crate::cgroup::Classification;
use crate::container::Namespaces;
use crate::fault::Faults;
use crate::walk::{Failed, Judged, Processes, Seen};

/// Makes one pass, and all that follows from it; gives whether any process is otherwise than it was.
///
/// # Errors
/// Outside: `/proc` cannot be read. Inside: the pass failed, and the processes are to be looked at otherwise.
pub(super) fn update(
    pass: &mut Pass,
    known: &mut Processes,
    judged: &mut Judged,
    faults: &mut Faults,
) -> crate::Result<Result<bool, portolan_linux::Error>> {
    let mut rows = std::mem::take(&mut pass.spare);
    if let Err(error) = pass.iterators.tasks(&mut rows, Pass::deadline()) {
        return Ok(Err(error));
    }
    let count = process::count().map_err(Error::proc_unreadable)?;
    let mut changed = false;
    let is_same = rows == pass.tasks && pass.touched.is_empty();
    // The same rows, as many processes as before, and those without a row still there: then there are no others.
    let unlisted = (is_same && pass.count == Some(count)).then(|| std::mem::take(&mut pass.unlisted_numbers));
    let is_there = |pid: &i32| Process::exists(*pid);
    let listed = match unlisted.filter(|pids| pids.iter().all(is_there)) {
        Some(pids) => pids,
        None => process::all().map_err(Error::proc_unreadable)?,
    };
    pass.count = Some(count);
    if is_same {
        pass.spare = rows;
    } else {
        let before = std::mem::take(&mut pass.tasks);
        let touched = std::mem::take(&mut pass.touched);
        pass.latest.clear();
        let mut round = Round::new(pass, &rows, &before, judged);
        round.before.retain(|pid, _| !touched.contains(pid));
        let mut seen = round.seen(known, faults);
        let unproven = std::mem::take(&mut round.unproven);
        let (failed, unseen) = (std::mem::take(&mut round.failed), std::mem::take(&mut round.unseen));
        let strays = round.strays(&seen);
        (pass.touched, known.unseen) = (failed, unseen);
        pass.leaders = leaders(&rows);
        pass.tasks = rows;
        pass.own_uts = pass.row(std::process::id().cast_signed()).map(|row| row.uts());
        pass.spare = before;
        pass.strays = strays;
        if !unproven.is_empty()
            && let Err(error) = prove(pass, &unproven, &mut seen)
        {
            return Ok(Err(error));
        }
        known.seen = seen;
        judged.forget();
        changed = true;
    }
    changed |= add_unlisted(pass, known, judged, &listed, faults);
    Ok(Ok(changed))
}

/// Where the rows of first threads are, by their numbers.
fn leaders(rows: &[u8]) -> Vec<(i32, usize)> {
    let mut at = 0_usize;
    let mut leaders: Vec<(i32, usize)> = Vec::new();
    for row in bpf::tasks(rows) {
        if row.pid() == row.thread() {
            leaders.push((row.pid(), at));
        }
        at = at.saturating_add(row.bytes().len());
    }
    // They mostly are already.
    leaders.sort_unstable();
    leaders
}

/// What was read of these by number alone is theirs if they still have it.
fn prove(
    pass: &mut Pass,
    unproven: &HashMap<i32, u64>,
    seen: &mut Vec<Seen>,
) -> Result<(), portolan_linux::Error> {
    pass.iterators.tasks(&mut pass.spare, Pass::deadline())?;
    let there: HashSet<(i32, u64)> =
        bpf::tasks(&pass.spare).map(|row| (row.pid(), row.start_boottime())).collect();
    seen.retain(|seen| {
        let pid = seen.id().pid;
        unproven.get(&pid).is_none_or(|start| there.contains(&(pid, *start)))
    });
    Ok(())
}

/// Looks in `/proc` at those that it shows and the iterator does not. Gives whether any is otherwise than before.
fn add_unlisted(
    pass: &mut Pass,
    known: &mut Processes,
    judged: &mut Judged,
    listed: &[i32],
    faults: &mut Faults,
) -> bool {
    let is_unlisted = |pid: &i32| pass.leaders.binary_search_by_key(pid, |(pid, _)| *pid).is_err();
    let before = std::mem::take(&mut pass.unlisted);
    // Those of the last time are looked at again, or are not there any more.
    let mut were = Vec::new();
    if !before.is_empty() {
        let (old, kept) =
            std::mem::take(&mut known.seen).into_iter().partition(|seen| before.contains(&seen.id()));
        (were, known.seen) = (old, kept);
    }
    known.unseen.retain(|pid| !is_unlisted(pid));
    let mut changed = false;
    let mut alike = 0_usize;
    pass.unlisted_numbers = listed.iter().copied().filter(is_unlisted).collect();
    for pid in pass.unlisted_numbers.clone() {
        match judged.look(pid, faults) {
            Ok(Some(seen)) => {
                if were.iter().any(|was: &Seen| was.is_alike(&seen)) {
                    alike = alike.saturating_add(1);
                } else {
                    changed = true;
                }
                pass.unlisted.insert(seen.id());
                insert(&mut known.seen, seen);
            }
            Ok(None) => {}
            Err((operation, error)) => {
                faults.of_pid(operation, pid, &error);
                if error.kind() != ErrorKind::TargetGone {
                    known.unseen.push(pid);
                }
            }
        }
    }
    changed || alike != were.len()
}

/// In its place by its number.
fn insert(into: &mut Vec<Seen>, seen: Seen) {
    match into.binary_search_by_key(&seen.id().pid, |other| other.id().pid) {
        Ok(at) => into.splice(at..=at, [seen]).for_each(drop),
        Err(at) => into.insert(at, seen),
    }
}

/// One pass, and the one before.
struct Round<'a> {
    pass: &'a Pass,
    rows: &'a [u8],
    before: HashMap<i32, Task<'a>>,
    judged: &'a mut Judged,
    /// Threads that are elsewhere than the first, by process.
    threads: HashMap<i32, Vec<Task<'a>>>,
    /// What was read of these is believed only when they are still there afterwards.
    unproven: HashMap<i32, u64>,
    /// Something of these could not be read: it is tried again.
    failed: HashSet<i32>,
    unseen: Vec<i32>,
}

impl<'a> Round<'a> {
    fn new(pass: &'a Pass, rows: &'a [u8], before: &'a [u8], judged: &'a mut Judged) -> Self {
        let mut threads: HashMap<i32, Vec<Task<'a>>> = HashMap::new();
        for row in bpf::tasks(rows).filter(|row| row.pid() != row.thread() && !row.has_ended()) {
            threads.entry(row.pid()).or_default().push(row);
        }
        let leaders = bpf::tasks(before).filter(|row| row.pid() == row.thread());
        let before = leaders.map(|row| (row.pid(), row)).collect();
        Self {
            pass,
            rows,
            before,
            judged,
            threads,
            unproven: HashMap::new(),
            failed: HashSet::new(),
            unseen: Vec::new(),
        }
    }

    /// All processes that there is something to chart of, by their numbers.
    fn seen(&mut self, known: &mut Processes, faults: &mut Faults) -> Vec<Seen> {
        let mut old: HashMap<i32, Seen> =
            std::mem::take(&mut known.seen).into_iter().map(|seen| (seen.id().pid, seen)).collect();
        let mut all = Vec::with_capacity(old.len());
        for row in bpf::tasks(self.rows) {
            if row.pid() != row.thread() || row.is_kernel_thread() {
                continue;
            }
            let was = old.remove(&row.pid());
            match self.one(row, was, faults) {
                Ok(seen) => all.extend(seen),
                Err((operation, error)) => {
                    faults.of_pid(operation, row.pid(), &error);
                    if error.kind() != ErrorKind::TargetGone {
                        self.failed.insert(row.pid());
                        self.unseen.push(row.pid());
                    }
                }
            }
        }
        all.sort_by_key(|seen| seen.id().pid);
        all
    }

    fn one(&mut self, row: Task<'a>, was: Option<Seen>, faults: &mut Faults) -> Result<Option<Seen>, Failed> {
        let id =
            ProcessId { pid: row.pid(), start_time: self.pass.iterators.start_time(row.start_boottime()) };
        // Within one tick, a number can have been used twice.
        let is_other =
            self.before.get(&row.pid()).is_some_and(|before| before.start_boottime() != row.start_boottime());
        let was = was.filter(|was| was.id() == id && !is_other);
        // Its first thread has ended, and others go on without it.
        let (speaker, thread) = if row.has_ended() {
            let threads = self.threads.get(&row.pid());
            match threads.and_then(|threads| threads.iter().min_by_key(|thread| thread.thread())) {
                Some(thread) => (*thread, Some(thread.thread())),
                None => return Ok(None),
            }
        } else {
            (row, None)
        };
        let same_row = self.before.get(&row.pid()).is_some_and(|before| before.bytes() == row.bytes());
        let moved = |was: &Seen| {
            self.before.get(&row.pid()).is_none_or(|before| before.cgroups() != row.cgroups())
                || was.thread != thread
        };
        let was = match was {
            Some(was) if same_row && thread.is_none() && was.thread.is_none() => return Ok(Some(was)),
            other => other,
        };
        let stat = row.stat(id.start_time);
        let pid_namespace = speaker.pid_namespace();
        let cgroup = was.as_ref().filter(|was| !moved(was)).map(|was| Arc::clone(&was.cgroup));
        let known_pid = pid_namespace.or_else(|| was.as_ref().map(|was| was.namespaces.pid));
        let (inode, pid_namespace, cgroup) = match (&was, known_pid, cgroup) {
            (Some(was), Some(pid), Some(cgroup)) => (was.trace.inode(), pid, cgroup),
            (was, pid, cgroup) => {
                let process = match was {
                    Some(was) => was.trace.follow(),
                    None => Process::presumed(id.pid, stat.clone()),
                };
                let process = process.map_err(|e| ("open", e))?;
                self.unproven.insert(id.pid, row.start_boottime());
                let pid = match pid {
                    Some(pid) => pid,
                    None => process.namespace(NamespaceKind::Pid).map_err(|e| ("read the namespaces", e))?,
                };
                let cgroup = cgroup.unwrap_or_else(|| self.cgroup(&process, faults));
                (process.trace().map_err(|e| ("look at", e))?.inode(), pid, cgroup)
            }
        };
        let namespaces =
            Namespaces { mnt: speaker.mnt(), net: speaker.net(), pid: pid_namespace, user: speaker.user() };
        Ok(Some(Seen { trace: Trace::new(id, inode, row.owner(), stat), namespaces, cgroup, thread }))
    }

    fn cgroup(&mut self, process: &Process, faults: &mut Faults) -> Arc<Classification> {
        let (cgroup, read) = self.judged.read(process);
        if let Err(error) = read
            && error.kind() != ErrorKind::TargetGone
        {
            faults.of_pid("read the cgroup", process.pid(), &error);
            self.failed.insert(process.pid());
        }
        cgroup
    }

    fn strays(&self, seen: &[Seen]) -> Vec<Stray> {
        let process = |pid: i32| {
            let at = seen.binary_search_by_key(&pid, |seen| seen.id().pid).ok()?;
            seen.get(at)
        };
        let mut strays = Vec::new();
        for (pid, threads) in &self.threads {
            let Some(process) = process(*pid) else { continue };
            let elsewhere = threads.iter().filter(|row| row.net() != process.namespaces.net);
            strays.extend(elsewhere.map(|row| Stray {
                process: process.id(),
                thread: row.thread(),
                net: row.net(),
            }));
        }
        strays.sort_by_key(|stray| stray.thread);
        strays
    }
}
