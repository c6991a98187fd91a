//! Names, images and pods from the files that runtimes keep, without asking any daemon.
//!
//! A record counts when root owns it (or, for a rootless container, its own user), when nobody else could have put
//! it there, and when it is about the container that is asked for. Each answer says which file told, with a stamp by
//! which the next scan sees whether it changed, and which files were tried in vain.
//!
//! - [`view`], [`mounted`], [`stamp`]: files, read so that only their owner decides what is read
//! - [`docker`], [`bundle`] (containerd, CRI-O), [`storage`] (Podman, CRI-O), [`lxc`], [`machined`], [`oci`] (runc,
//!   crun): one runtime's records each, bytes in and answer out
//! - [`kubernetes`], [`json`]: what they have in common

pub(crate) mod bundle;
pub(crate) mod docker;
mod json;
mod kubernetes;
mod lxc;
mod machined;
pub(crate) mod mounted;
mod oci;
pub(crate) mod stamp;
mod storage;
#[cfg(test)]
mod tests;
pub(crate) mod view;

use std::collections::HashMap;
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use portolan_linux::error::Escaped;
use portolan_linux::{Process, ProcessId};

use crate::cgroup::names::is_id;
use crate::cgroup::{Kind, Runtime};
use crate::container::Pod;
use crate::evidence::monitor::Monitor;
use crate::evidence::{Evidence, Trust};
use stamp::Stamp;
use view::{Content, Owner, Reason, View};

/// The longest record of one container that is read, in bytes: labels and environment can be long.
pub(crate) const MAX_RECORD: u64 = 1024 * 1024;
/// The longest list of all containers of a store that is read, in bytes.
const MAX_LIST: u64 = 16 * 1024 * 1024;
/// More states of an OCI runtime, or more machines, than this are not looked through.
const MAX_NAMES: usize = 4096;

/// What is asked for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    /// As far as it is known: with [`Runtime::Unknown`] those are asked whose records name the container surely.
    pub(crate) runtime: Runtime,
    /// The container's id, or its name where the runtime knows no other.
    pub(crate) id: &'a str,
    /// The monitor of the container, when it is believed.
    pub(crate) monitor: Option<&'a Monitor>,
    /// The monitor's process.
    pub(crate) keeper: Option<&'a Process>,
    /// The container's first process.
    pub(crate) init: &'a Process,
    /// The text of its `/proc/PID/mountinfo`, when it was read already.
    pub(crate) mount_info: Option<&'a [u8]>,
    /// The user whose files count instead of root's, for a rootless container.
    pub(crate) user: Option<u32>,
}

/// What a record says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// The runtime, where the record tells more than was known.
    pub(crate) runtime: Option<Runtime>,
    pub(crate) kind: Option<Kind>,
    /// The id, where the record is found by the process.
    pub(crate) id: Option<String>,
    /// The id of the pod's sandbox.
    pub(crate) sandbox: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) image: Option<String>,
    pub(crate) pod: Option<Pod>,
    /// The file that the container's output goes to, as its daemon sees it.
    pub(crate) log: Option<PathBuf>,
    /// What else it says, as clauses.
    pub(crate) says: Vec<String>,
    /// The file that told; none when nothing was found.
    pub(crate) source: Option<Source>,
    /// Files that did not tell, and why.
    pub(crate) tried: Vec<(PathBuf, Reason)>,
}

/// Where a record was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Source {
    /// By which we reach it, as long as the [`View`] lasts: [`Stamp::of`] takes it.
    pub(crate) path: PathBuf,
    /// As its daemon sees it.
    pub(crate) seen: PathBuf,
    pub(crate) stamp: Stamp,
    /// The user that owns it.
    pub(crate) user: u32,
}

impl Found {
    /// The record as evidence; none when nothing was found.
    ///
    /// It is found by the id, so it cannot name another one; what it adds is worth as much as a cgroup of root's, or
    /// of the user's who owns it.
    pub(crate) fn evidence(&self, id: &str) -> Option<Evidence> {
        let source = self.source.as_ref()?;
        let trust = if source.user == 0 { Trust::Cgroup } else { Trust::User };
        let path = Escaped(source.seen.as_os_str().as_encoded_bytes());
        let mut says = format!("its record {path} says so");
        for more in &self.says {
            says.push_str(": ");
            says.push_str(more);
        }
        Some(Evidence {
            kind: self.kind,
            id: self.id.clone().or_else(|| Some(id.to_owned())),
            sandbox: self.sandbox.clone(),
            name: self.name.clone(),
            pod: self.pod.clone(),
            image: self.image.clone(),
            ..Evidence::new(trust, self.runtime.unwrap_or(Runtime::Unknown), says)
        })
    }
}

/// The records of one view, for one scan: what tells of many containers is read once.
#[derive(Debug)]
pub(crate) struct Records {
    view: View,
    /// Lists of stores, by place and by whose word counts.
    lists: HashMap<(PathBuf, Owner), Result<List, Reason>>,
    /// The states of runc and crun, by the user whose they are.
    states: HashMap<Option<u32>, HashMap<ProcessId, Found>>,
    /// Machines, by their leader.
    machines: Option<HashMap<i32, String>>,
}

#[derive(Debug)]
struct List {
    containers: HashMap<String, Found>,
    source: Source,
}

impl Records {
    pub(crate) fn new(view: View) -> Self {
        Self { view, lists: HashMap::new(), states: HashMap::new(), machines: None }
    }

    /// What is recorded of a container.
    pub(crate) fn of(&mut self, question: &Question<'_>) -> Found {
        let mut tried = Vec::new();
        let found = self.ask(question, &mut tried);
        Found { tried, ..found.unwrap_or_default() }
    }

    fn ask(&mut self, question: &Question<'_>, tried: &mut Tried) -> Option<Found> {
        use Runtime as R;
        match question.runtime {
            R::Docker => self.docker(question, tried),
            R::Ecs => self.docker(question, tried).or_else(|| self.containerd(question, tried)),
            R::CriContainerd | R::Containerd | R::Garden | R::BuildKit => self.containerd(question, tried),
            R::GVisor | R::Kata => self.containerd(question, tried).or_else(|| self.docker(question, tried)),
            R::Podman => self.storage(question, tried),
            R::CriO => self.crio(question, tried),
            R::Lxc => self.lxc(question, tried),
            R::SystemdNspawn | R::LibvirtLxc => self.machine(question, tried),
            R::Runc | R::Crun => self.state(question, tried),
            R::Kubernetes => self
                .containerd(question, tried)
                .or_else(|| self.crio(question, tried))
                .or_else(|| self.docker(question, tried)),
            R::Unknown if is_id(question.id.as_bytes()) => self
                .docker(question, tried)
                .or_else(|| self.containerd(question, tried))
                .or_else(|| self.storage(question, tried))
                .or_else(|| self.state(question, tried)),
            R::Unknown => self.state(question, tried).or_else(|| self.machine(question, tried)),
            _ => None,
        }
    }

    fn docker(&self, question: &Question<'_>, tried: &mut Tried) -> Option<Found> {
        if !is_id(question.id.as_bytes()) {
            return None;
        }
        let read;
        let inside = match question.mount_info {
            Some(text) => text,
            None => {
                read = question.init.mount_info().unwrap_or_default();
                &read
            }
        };
        let places = docker::places(question.id, inside, self.view.mounted());
        self.first(&places, question.owner(), tried, |text| docker::parse(question.id, text))
    }

    fn containerd(&self, question: &Question<'_>, tried: &mut Tried) -> Option<Found> {
        let monitor = question.monitor;
        let told = monitor.and_then(|m| m.bundle.clone());
        let shims = told.or_else(|| working_directory(question.keeper?));
        let namespace = monitor.and_then(|m| m.namespace.as_deref());
        let places = bundle::places_of_containerd(question.id, namespace, shims.as_deref());
        self.first(&places, question.owner(), tried, |text| bundle::parse(question.id, text))
    }

    fn crio(&mut self, question: &Question<'_>, tried: &mut Tried) -> Option<Found> {
        let bundle = question.monitor.and_then(|m| m.bundle.as_deref());
        let places = bundle::places_of_crio(question.id, bundle);
        let told = |text: &[u8]| {
            bundle::parse(question.id, text).filter(|found| found.runtime == Some(Runtime::CriO))
        };
        self.first(&places, question.owner(), tried, told).or_else(|| self.storage(question, tried))
    }

    fn storage(&mut self, question: &Question<'_>, tried: &mut Tried) -> Option<Found> {
        let bundle = question.monitor.and_then(|m| m.bundle.as_deref());
        for place in storage::places(question.id, bundle) {
            let (view, owner) = (&self.view, question.owner());
            let list = self.lists.entry((place.clone(), owner)).or_insert_with(|| {
                let content = view.read(&place, owner, MAX_LIST)?;
                Ok(List { containers: storage::parse(&content.bytes), source: Source::of(content, &place) })
            });
            match list {
                Ok(list) => match list.containers.get(question.id) {
                    Some(found) => return Some(Found { source: Some(list.source.clone()), ..found.clone() }),
                    None => tried.push((place, "the container is not in it")),
                },
                Err(why) => tried.push((place, why)),
            }
        }
        None
    }

    fn lxc(&self, question: &Question<'_>, tried: &mut Tried) -> Option<Found> {
        let told = question.monitor.and_then(|m| m.directory.as_deref());
        for place in lxc::places(question.id, told) {
            match self.view.stamp(&place, question.owner()) {
                Ok(stamped) => {
                    let (stamp, user, path) = (stamped.stamp, stamped.user, stamped.path);
                    let source = Source { path, seen: place.clone(), stamp, user };
                    return lxc::found(&place).map(|found| Found { source: Some(source), ..found });
                }
                Err(why) => tried.push((place, why)),
            }
        }
        None
    }

    fn machine(&mut self, question: &Question<'_>, tried: &mut Tried) -> Option<Found> {
        let pid = question.init.pid();
        let read = |place: PathBuf, tried: &mut Tried| {
            self.first(&[place], Owner::Root, tried, |text| machined::parse(pid, text))
        };
        if let Some(found) = machined::place(question.id).and_then(|place| read(place, tried)) {
            return Some(found);
        }
        // Under another name, or under one that is not known: by the leader.
        let view = &self.view;
        let machines = self.machines.get_or_insert_with(|| {
            let directory = Path::new(machined::DIRECTORY);
            let names = view.names(directory, Owner::Root, MAX_NAMES).into_iter().filter_map(view::text);
            let leader = |name: &String| {
                let content = view.read(&machined::place(name)?, Owner::Root, MAX_RECORD).ok()?;
                machined::leader(&content.bytes)
            };
            names.filter_map(|name| Some((leader(&name)?, name))).collect()
        });
        let place = machined::place(machines.get(&pid)?)?;
        self.first(&[place], Owner::Root, tried, |text| machined::parse(pid, text))
    }

    fn state(&mut self, question: &Question<'_>, tried: &mut Tried) -> Option<Found> {
        let (view, user) = (&self.view, question.user.filter(|user| *user != 0));
        let states = self.states.entry(user).or_insert_with(|| {
            let owners = user.map_or(vec![(None, Owner::Root)], |user| {
                vec![(None, Owner::Root), (Some(user), Owner::User(user))]
            });
            owners.into_iter().flat_map(|(user, owner)| states(view, user, owner)).collect()
        });
        let found = states.get(&question.init.id()).cloned();
        if found.is_none() {
            let why = "no state in it is of this process";
            tried.extend(oci::directories(user).into_iter().map(|(_, directory, _)| (directory, why)));
        }
        found
    }

    /// The first of these files that tells.
    fn first(
        &self,
        places: &[PathBuf],
        owner: Owner,
        tried: &mut Tried,
        parse: impl Fn(&[u8]) -> Option<Found>,
    ) -> Option<Found> {
        for place in places {
            let content = match self.view.read(place, owner, MAX_RECORD) {
                Ok(content) => content,
                Err(why) => {
                    tried.push((place.clone(), why));
                    continue;
                }
            };
            match parse(&content.bytes) {
                Some(found) => {
                    return Some(Found { source: Some(Source::of(content, place)), ..found });
                }
                None => tried.push((place.clone(), "it is not about this container")),
            }
        }
        None
    }
}

type Tried = Vec<(PathBuf, Reason)>;

impl Question<'_> {
    fn owner(&self) -> Owner {
        self.user.filter(|user| *user != 0).map_or(Owner::Root, Owner::User)
    }
}

impl Source {
    fn of(content: Content, seen: &Path) -> Self {
        Self { path: content.path, seen: seen.to_owned(), stamp: content.stamp, user: content.user }
    }
}

/// The states of runc and crun, by the first process of each container.
fn states(view: &View, user: Option<u32>, owner: Owner) -> Vec<(ProcessId, Found)> {
    let mut all = Vec::new();
    for (runtime, directory, file) in oci::directories(user) {
        for id in view.names(&directory, owner, MAX_NAMES).into_iter().filter_map(view::text) {
            let place = directory.join(&id).join(file);
            if let Ok(content) = view.read(&place, owner, MAX_RECORD)
                && let Some((process, found)) = oci::parse(runtime, &id, &content.bytes)
            {
                all.push((process, Found { source: Some(Source::of(content, &place)), ..found }));
            }
        }
    }
    all
}

/// The directory that a process works in, as its own mount namespace names it.
pub(crate) fn working_directory(process: &Process) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/self/fd/{}/cwd", process.directory().as_raw_fd())).ok()
}
