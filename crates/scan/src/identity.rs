//! Who a container is: weighed from what its monitor, its cgroup, its mounts, its variables and its runtime's records
//! say.
//!
//! The cheap and trusted is asked first, and the rest only as long as something is missing: most containers are known
//! by their cgroup and one record. What was found out is kept as long as the container's first process lives and the
//! record that told it does not change; but not while the container is so young that its runtime may still be at work.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use portolan_linux::error::Escaped;
use portolan_linux::{Process, ProcessId, process};

use crate::cgroup::{Classification, Kind, Runtime};
use crate::container::{Container, Namespaces};
use crate::evidence::monitor::{Keeper, Monitor, fits_program, may_speak};
use crate::evidence::verdict::{Verdict, verdict};
use crate::evidence::{Trust, cgroup, environment, mounts};
use crate::fault::Faults;
use crate::records::stamp::Stamp;
use crate::records::view::View;
use crate::records::{Found, Question, Records, Source};
use crate::walk::Seen;

/// A container older than this is what its runtime meant it to be.
const SETTLED: Duration = Duration::from_secs(5);
/// A younger one is asked about again, but not more often than this unless something happened to it.
const AGAIN: Duration = Duration::from_secs(1);
/// So far up the tree of processes is looked for a monitor.
const GENERATIONS: usize = 16;

/// What was found out about containers in the scans before.
#[derive(Debug, Default)]
pub(crate) struct Remembered(HashMap<Key, Arc<Known>>);

impl Remembered {
    /// Whether nothing could be found out anew of so many containers, as long as their processes are as they were.
    pub(crate) fn is_settled(&self, containers: usize) -> bool {
        let is_settled = |known: &Arc<Known>| known.young.is_none() && known.has_same_record();
        self.0.len() == containers && self.0.values().all(is_settled)
    }
}

/// A container as it was grouped, and its first process.
type Key = (String, ProcessId);

#[derive(Debug, Clone)]
struct Known {
    /// What was known of the first process then. A verdict holds as long as that does.
    basis: Basis,
    verdict: Option<Verdict>,
    /// The record that told, and its state then.
    source: Option<Source>,
    /// While its runtime may still be at work: when this was found out.
    young: Option<Instant>,
}

/// What of a process is looked at in every scan, and makes it belong to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Basis {
    cgroup: Arc<Classification>,
    namespaces: Namespaces,
    parent: i32,
    owner: u32,
}

impl Basis {
    fn of(seen: &Seen) -> Self {
        Self {
            cgroup: Arc::clone(&seen.cgroup),
            namespaces: seen.namespaces,
            parent: seen.trace.stat().parent,
            owner: seen.trace.owner(),
        }
    }
}

/// The host as the containers are in it.
pub(crate) struct Scene<'a> {
    pub(crate) processes: &'a [Seen],
    /// The places of the containers' first processes.
    pub(crate) inits: &'a [usize],
    pub(crate) host: &'a Namespaces,
    pub(crate) hostnames: &'a HashMap<ProcessId, Option<Vec<u8>>>,
}

/// Adds to the containers what is known of them. What is no longer there is forgotten. `anew`: whether something may
/// have happened to a container's first process, so that while it is young it is asked about again.
pub(crate) fn describe(
    containers: &mut [Container],
    scene: &Scene<'_>,
    remembered: &mut Remembered,
    anew: impl Fn(ProcessId) -> bool,
    faults: &mut Faults,
) {
    let before = std::mem::take(&mut remembered.0);
    remembered.0 = describe_each(containers, scene, &before, anew, faults);
    tell_apart(containers);
}

/// The same for some of the containers; the others are not forgotten. Whether another one has the same id is for the
/// caller to find out.
pub(crate) fn describe_some(
    containers: &mut [Container],
    scene: &Scene<'_>,
    remembered: &mut Remembered,
    anew: impl Fn(ProcessId) -> bool,
    faults: &mut Faults,
) {
    let now = describe_each(containers, scene, &remembered.0, anew, faults);
    remembered.0.extend(now);
}

fn describe_each(
    containers: &mut [Container],
    scene: &Scene<'_>,
    before: &HashMap<Key, Arc<Known>>,
    anew: impl Fn(ProcessId) -> bool,
    faults: &mut Faults,
) -> HashMap<Key, Arc<Known>> {
    let mut now = HashMap::new();
    let mut enquiry = Enquiry::new(scene);
    for (container, init) in containers.iter_mut().zip(scene.inits) {
        let hostname = scene.hostnames.get(&container.init).and_then(Option::as_ref);
        container.hostname = hostname.map(|name| Escaped(name).to_string());
        let Some(seen) = scene.processes.get(*init) else { continue };
        let key = (container.id.clone(), container.init);
        let is_good = |known: &&Arc<Known>| {
            known.young.is_none_or(|since| since.elapsed() < AGAIN && !anew(key.1)) && known.is_current(seen)
        };
        let known = match before.get(&key).filter(is_good) {
            Some(known) => Arc::clone(known),
            None => match enquiry.about(seen) {
                Ok(known) => Arc::new(Known {
                    young: (!enquiry.is_settled(container.init)).then(Instant::now),
                    ..known
                }),
                Err(error) => {
                    faults.of_pid("find out who it is", container.init.pid, &error);
                    continue;
                }
            },
        };
        if let Some(verdict) = &known.verdict {
            apply(container, verdict);
        }
        now.insert(key, known);
    }
    now
}

impl Known {
    fn is_current(&self, seen: &Seen) -> bool {
        self.basis == Basis::of(seen) && self.has_same_record()
    }

    fn has_same_record(&self) -> bool {
        // A record that was found through another process's root cannot be looked at again without it.
        self.source.as_ref().is_none_or(|s| s.path == s.seen && Stamp::of(&s.path) == Some(s.stamp))
    }
}

fn apply(container: &mut Container, verdict: &Verdict) {
    // The name of a directory that many can share is a name at most.
    let id = verdict.id.as_ref().filter(|_| verdict.trust != Trust::Guess);
    if verdict.runtime != Runtime::Unknown {
        container.runtime = verdict.runtime;
    }
    if let Some(kind) = verdict.kind {
        container.kind = kind;
    }
    if let Some(id) = id {
        container.id.clone_from(id);
        container.claimed = verdict.trust <= Trust::User;
    }
    if verdict.name.is_some() {
        container.name.clone_from(&verdict.name);
    }
    container.image.clone_from(&verdict.image);
    container.pod.clone_from(&verdict.pod);
    if id.is_some() {
        container.evidence.clone_from(&verdict.says);
    } else {
        container.evidence.extend(verdict.says.iter().cloned());
    }
}

/// Two containers of one id: who has less right to it is called by its user or namespaces as well.
fn tell_apart(containers: &mut [Container]) {
    let mut first: HashMap<String, usize> = HashMap::new();
    for place in 0..containers.len() {
        let Some(this) = containers.get(place) else { continue };
        let Some(other) = first.get(&this.id).copied() else {
            first.insert(this.id.clone(), place);
            continue;
        };
        // A forger comes later than whom he copies.
        let older = |at: usize| containers.get(at).map(|c| (c.claimed, c.init.start_time, c.init.pid));
        let loser = if older(other) <= older(place) { place } else { other };
        first.insert(this.id.clone(), if loser == place { other } else { place });
        if let Some(loser) = containers.get_mut(loser) {
            let said = format!("another container has the id {} with better right", loser.id);
            loser.evidence.push(said);
            loser.id = format!("{}@{}", loser.id, loser.namespaces.mnt);
        }
    }
}

/// One round of questions.
struct Enquiry<'a> {
    scene: &'a Scene<'a>,
    /// Places of processes by their number, made when first needed.
    by_pid: Option<HashMap<i32, usize>>,
    monitors: HashMap<i32, Option<(Monitor, Keeper)>>,
    records: Option<Records>,
    /// Start times up to this are of processes that have settled.
    settled: Option<u64>,
}

impl<'a> Enquiry<'a> {
    fn new(scene: &'a Scene<'a>) -> Self {
        let settled = process::uptime()
            .and_then(|(now, second)| now.checked_sub(second.checked_mul(SETTLED.as_secs())?));
        Self { scene, by_pid: None, monitors: HashMap::new(), records: None, settled }
    }

    fn is_settled(&self, init: ProcessId) -> bool {
        self.settled.is_some_and(|settled| init.start_time <= settled)
    }

    fn about(&mut self, init: &Seen) -> portolan_linux::Result<Known> {
        let process = init.trace.follow()?;
        let owner = init.trace.owner();
        let mut evidence = Vec::new();
        let uid_map = || process.id_maps().map(|(uids, _)| uids).unwrap_or_default();
        let delegate = cgroup::delegate(&init.cgroup);
        let map = if delegate.is_some_and(|user| user != owner) { uid_map() } else { Vec::new() };
        evidence.extend(cgroup::evidence(&init.cgroup, owner, &map));
        let monitor = self.monitor_of(init);
        let monitor = monitor.filter(|(_, keeper)| {
            keeper.user == 0 || keeper.user == owner || may_speak(keeper.user, owner, &uid_map())
        });
        if let Some((monitor, keeper)) = &monitor {
            evidence.push(monitor.evidence(*keeper));
        }
        let mut so_far = verdict(evidence.clone());
        let mut mount_info = None;
        let apart = init.namespaces.mnt != self.scene.host.mnt;
        if apart && is_lacking(so_far.as_ref()) {
            let text = process.mount_info().unwrap_or_default();
            evidence.extend(mounts::marks(&text).and_then(mounts::Marks::evidence));
            mount_info = Some(text);
            so_far = verdict(evidence.clone());
        }
        if so_far.as_ref().is_none_or(|v| v.runtime == Runtime::Unknown)
            && let Ok(text) = process.environment()
        {
            evidence.extend(environment::environment(&text).and_then(|e| e.evidence()));
            so_far = verdict(evidence.clone());
        }
        let found = self.recorded(so_far.as_ref(), monitor.as_ref(), &process, mount_info.as_deref());
        let id = so_far.as_ref().and_then(|v| v.id.clone()).or_else(|| found.id.clone());
        if let Some(id) = id {
            evidence.extend(found.evidence(&id));
        }
        let verdict = verdict(evidence);
        Ok(Known { basis: Basis::of(init), verdict, source: found.source, young: None })
    }

    fn recorded(
        &mut self,
        so_far: Option<&Verdict>,
        monitor: Option<&(Monitor, Keeper)>,
        init: &Process,
        mount_info: Option<&[u8]>,
    ) -> Found {
        let keeper = monitor.and_then(|(_, keeper)| Process::open(keeper.pid).ok());
        let user = monitor.map(|(_, keeper)| keeper.user).filter(|user| *user != 0);
        let question = Question {
            runtime: so_far.map_or(Runtime::Unknown, |v| v.runtime),
            // Without a name of the runtime's, records are found by the process alone.
            id: so_far.and_then(|v| v.id.as_deref().or(v.name.as_deref())).unwrap_or_default(),
            monitor: monitor.map(|(monitor, _)| monitor),
            keeper: keeper.as_ref(),
            init,
            mount_info,
            user,
        };
        // A daemon that has another view of the host, as one that runs in a container of its own, names paths there.
        let elsewhere = keeper.as_ref().filter(|_| {
            let seen = monitor.and_then(|(_, keeper)| self.place_of(keeper.pid));
            seen.and_then(|place| self.scene.processes.get(place))
                .is_some_and(|seen| seen.namespaces.mnt != self.scene.host.mnt)
        });
        if let Some(view) = elsewhere.and_then(|process| View::of(process).ok()) {
            return Records::new(view).of(&question);
        }
        self.records.get_or_insert_with(|| Records::new(View::own())).of(&question)
    }

    /// The nearest monitor above a container's first process.
    fn monitor_of(&mut self, init: &Seen) -> Option<(Monitor, Keeper)> {
        let mut parent = init.trace.stat().parent;
        for _ in 0..GENERATIONS {
            let seen = self.place_of(parent).and_then(|place| self.scene.processes.get(place))?;
            if Monitor::is_likely(seen.command())
                && let Some(found) = self.read_monitor(seen)
            {
                return Some(found);
            }
            parent = seen.trace.stat().parent;
        }
        None
    }

    fn place_of(&mut self, pid: i32) -> Option<usize> {
        let processes = self.scene.processes;
        let by_pid = self.by_pid.get_or_insert_with(|| {
            processes.iter().enumerate().map(|(at, seen)| (seen.id().pid, at)).collect()
        });
        by_pid.get(&pid).copied()
    }

    fn read_monitor(&mut self, seen: &Seen) -> Option<(Monitor, Keeper)> {
        let host = self.scene.host;
        let read = || {
            let process = seen.trace.follow().ok()?;
            let monitor = Monitor::parse(&process.command_line().ok()?)?;
            let program = process.program().is_ok_and(|file| fits_program(&monitor, &file));
            let inside = seen.namespaces.pid != host.pid;
            let keeper = Keeper { pid: seen.id().pid, user: seen.trace.owner(), program, inside };
            Some((monitor, keeper))
        };
        self.monitors.entry(seen.id().pid).or_insert_with(read).clone()
    }
}

/// Whether mounts could tell what is not known yet.
fn is_lacking(so_far: Option<&Verdict>) -> bool {
    so_far.is_none_or(|v| {
        let in_pod = v.pod.is_some() || v.sandbox.is_some() || v.runtime == Runtime::Kubernetes;
        v.runtime == Runtime::Unknown
            || v.id.is_none()
            || in_pod && v.name.is_none() && v.kind != Some(Kind::Sandbox)
    })
}

/// Evidence that only the namespaces give.
pub(crate) fn of_namespaces(why: &str) -> Vec<String> {
    vec![why.to_owned(), "its cgroup names no runtime".to_owned()]
}

/// What a cgroup alone says, before anybody else was asked.
pub(crate) fn of_cgroup(seen: &Seen) -> Vec<String> {
    let cgroup = &seen.cgroup;
    vec![format!("its cgroup {} says so: {}", Escaped(&cgroup.path), cgroup.rule)]
}

/// Whether a process's cgroup names a container in a place where its own user could have made the name, or where that
/// user is not the one.
pub(crate) fn claim(seen: &Seen) -> Claim {
    match cgroup::delegate(&seen.cgroup) {
        None => Claim::None,
        Some(user) if user == seen.trace.owner() => Claim::Own(user),
        Some(_) => Claim::Foreign,
    }
}

/// Whether a user could have made a container's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Claim {
    /// Only root could.
    None,
    /// This user, whose process it is.
    Own(u32),
    /// One whose process it is not.
    Foreign,
}

#[cfg(test)]
mod tests {
    use portolan_linux::NamespaceId;

    use super::*;

    fn container(id: &str, pid: i32, claimed: bool) -> Container {
        let ns = NamespaceId::new(u64::from(pid.unsigned_abs()));
        Container {
            runtime: Runtime::Docker,
            kind: Kind::Container,
            id: id.to_owned(),
            name: None,
            hostname: None,
            pod: None,
            image: None,
            init: ProcessId { pid, start_time: u64::from(pid.unsigned_abs()) },
            namespaces: Namespaces { mnt: ns, net: ns, pid: ns, user: ns },
            processes: 1,
            evidence: Vec::new(),
            claimed,
        }
    }

    #[test]
    fn nobody_takes_the_id_of_another() {
        // Whoever comes first in the list, and whoever started first: what root made keeps its id.
        for (user, root) in [(5, 9), (9, 5)] {
            for turned in [false, true] {
                let mut both = vec![container("abc", user, true), container("abc", root, false)];
                if turned {
                    both.reverse();
                }
                tell_apart(&mut both);
                let of = |pid: i32| both.iter().find(|c| c.init.pid == pid).unwrap();
                assert_eq!(of(root).id, "abc");
                assert_eq!(of(user).id, format!("abc@{user}"));
                assert_eq!(of(user).evidence.len(), 1);
            }
        }
        let mut alike =
            vec![container("abc", 7, false), container("abc", 3, false), container("d", 1, false)];
        tell_apart(&mut alike);
        assert_eq!(alike.iter().map(|c| c.id.as_str()).collect::<Vec<_>>(), ["abc@7", "abc", "d"]);
    }
}
