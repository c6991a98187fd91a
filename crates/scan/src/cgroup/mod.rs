//! What `/proc/PID/cgroup` says about the container of a process: text in, classification out, no I/O.
//!
//! 1. Every line counts: on hybrid hosts the id is on the v1 lines or on the `0::` line, rarely on both.
//! 2. Leading `/..` parts (a reader in its own cgroup namespace) and ` (deleted)` are taken off first.
//! 3. A path is read from its last element outwards, and the innermost container wins. Elements that a
//!    container makes below itself (`container`, `init.scope`, a unit of its own systemd) match no rule.
//! 4. Monitors, sandboxed programs and forgeries count only when no container is around them.
//! 5. Between lines the container inside the other wins, else the most specific finding (`Rank`), then the
//!    deeper one, then the first line.
//! 6. What no rule knows is an ordinary unit, a known host directory, or the trace of a bare OCI runtime.
//!
//! Names come from whoever made the cgroup. The text is bounded, ids are checked, names are escaped.

mod apps;
mod host;
mod kubernetes;
mod lines;
mod machines;
pub(crate) mod names;
mod platforms;
mod runtimes;
mod systemd;
#[cfg(test)]
#[allow(clippy::arithmetic_side_effects)]
mod tests;

use std::fmt;

use lines::{Line, Path, Place};

/// The container runtime that a cgroup path names, as far as the text alone can tell; or that other evidence names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Runtime {
    /// Docker Engine.
    Docker,
    /// A pod container whose path does not say which runtime made it.
    Kubernetes,
    /// containerd through its Kubernetes interface.
    CriContainerd,
    /// containerd used directly, by `ctr` or nerdctl.
    Containerd,
    /// CRI-O.
    CriO,
    /// Podman.
    Podman,
    /// A build step of BuildKit.
    BuildKit,
    /// A task of Amazon ECS, on EC2 or on Fargate.
    Ecs,
    /// The virtual machine of a Kata pod.
    Kata,
    /// LXC, LXD or Incus.
    Lxc,
    /// libvirt's LXC driver.
    LibvirtLxc,
    /// A machine of systemd-nspawn.
    SystemdNspawn,
    /// rkt.
    Rkt,
    /// Garden, the runtime of Cloud Foundry and Concourse.
    Garden,
    /// A BOSH process manager job.
    Bpm,
    /// The Mesos containerizer.
    Mesos,
    /// Nomad's exec and java drivers.
    Nomad,
    /// Apptainer or Singularity.
    Apptainer,
    /// A Flatpak application.
    Flatpak,
    /// A snap application.
    Snap,
    /// gVisor, where it says so itself.
    GVisor,
    /// A program that bubblewrap confines.
    Bubblewrap,
    /// runc without an engine above it.
    Runc,
    /// crun without an engine above it.
    Crun,
    /// A container is likely, but its runtime is not in the path.
    Unknown,
    /// The text says nothing at all.
    None,
    /// Not a container.
    Host,
}

impl Runtime {
    /// The name of the runtime in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Kubernetes => "kubernetes",
            Self::CriContainerd => "cri-containerd",
            Self::Containerd => "containerd",
            Self::CriO => "cri-o",
            Self::Podman => "podman",
            Self::BuildKit => "buildkit",
            Self::Ecs => "ecs",
            Self::Kata => "kata",
            Self::Lxc => "lxc",
            Self::LibvirtLxc => "libvirt-lxc",
            Self::SystemdNspawn => "systemd-nspawn",
            Self::Rkt => "rkt",
            Self::Garden => "garden",
            Self::Bpm => "bpm",
            Self::Mesos => "mesos",
            Self::Nomad => "nomad",
            Self::Apptainer => "apptainer",
            Self::Flatpak => "flatpak",
            Self::Snap => "snap",
            Self::GVisor => "gvisor",
            Self::Bubblewrap => "bubblewrap",
            Self::Runc => "runc",
            Self::Crun => "crun",
            Self::Unknown => "unknown",
            Self::None => "none",
            Self::Host => "host",
        }
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What kind of process lives in the cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A workload container. With [`Runtime::None`] it is only not excluded: a process that reads its own
    /// file in its own cgroup namespace sees nothing but `/`.
    Container,
    /// The sandbox around the containers of a pod: a virtual machine, or the pod's cgroup itself.
    Sandbox,
    /// A process of the host that looks after containers: conmon, a shim, the LXC monitor.
    Monitor,
    /// A process of the host whose path may be mistaken for a container's.
    LookAlike,
    /// A process of the host.
    Host,
    /// A confined application of the host: Flatpak, snap.
    SandboxedProcess,
    /// A name that claims a container where its runtime does not put one and a user can make any name.
    Forged,
}

impl Kind {
    /// The name of the kind in reports.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Sandbox => "sandbox",
            Self::Monitor => "monitor",
            Self::LookAlike => "lookalike",
            Self::Host => "host",
            Self::SandboxedProcess => "sandboxed-process",
            Self::Forged => "forged",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The answer of [`classify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classification {
    /// The runtime, as far as the path names it.
    pub runtime: Runtime,
    /// What the process is.
    pub kind: Kind,
    /// The id of the innermost container: printable, at most 255 bytes of the path.
    pub container_id: Option<String>,
    /// The uid of the pod around the container, with dashes.
    pub pod_uid: Option<String>,
    /// The name, where the path carries one beside the id: instance, machine, task, application.
    pub name: Option<String>,
    /// The cgroup path that decided, as the kernel printed it.
    pub path: Vec<u8>,
    /// Why, as a fragment of a sentence.
    pub rule: &'static str,
}

impl Classification {
    /// Whether the process belongs to a container or to a pod's sandbox, according to its cgroup.
    ///
    /// A file that says nothing is no evidence, so [`Runtime::None`] is not one. [`Runtime::Unknown`]
    /// without an id is a guess: check it against the namespaces of the process.
    #[must_use]
    pub fn is_container(&self) -> bool {
        self.runtime != Runtime::None && matches!(self.kind, Kind::Container | Kind::Sandbox)
    }

    /// Whether the process belongs to a login, and to no container that its cgroup tells of.
    ///
    /// A unit may have namespaces of its own by its settings and be the host's all the same. A login has none:
    /// what has some there, a user has put into a container without a cgroup.
    #[must_use]
    pub fn is_login(&self) -> bool {
        self.runtime == Runtime::Host && host::is_session(&Path::new(&self.path))
    }
}

/// How specific a finding is; between lines the highest wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// The path says nothing.
    Nothing,
    /// Above the reader's own cgroup, and nothing more.
    Outside,
    /// A unit or a directory that hosts have.
    Unit,
    /// Nothing a host is known to have, so likely a container made by hand.
    Guess,
    /// A monitor of containers.
    Monitor,
    /// A confined application or a forgery.
    Claim,
    /// A pod, but no container in it.
    Pod,
    /// An id that no runtime's name goes with.
    Id,
    /// A runtime and its id or name.
    Named,
}

/// What a rule made of one place in a path.
#[derive(Debug, Clone)]
struct Found {
    rank: Rank,
    /// How many elements are in front of the one that matched.
    depth: usize,
    runtime: Runtime,
    kind: Kind,
    id: Option<String>,
    pod: Option<String>,
    name: Option<String>,
    rule: &'static str,
}

impl Found {
    fn new(rank: Rank, runtime: Runtime, kind: Kind, rule: &'static str) -> Self {
        Self { rank, depth: 0, runtime, kind, id: None, pod: None, name: None, rule }
    }

    /// A container of a known runtime.
    fn container(runtime: Runtime, id: String, rule: &'static str) -> Self {
        Self { id: Some(id), ..Self::new(Rank::Named, runtime, Kind::Container, rule) }
    }

    fn named(self, name: Option<String>) -> Self {
        Self { name, ..self }
    }

    fn in_pod(self, pod: Option<String>) -> Self {
        Self { pod, ..self }
    }
}

/// A rule looks at one element of a path and at its neighbours.
type Rule = for<'p, 'a> fn(Place<'p, 'a>) -> Option<Found>;

/// The rules, tried in this order at every element. Monitors come first: their names extend those of
/// the containers they look after.
const RULES: &[Rule] = &[
    host::monitor,
    runtimes::prefixed,
    runtimes::bare,
    runtimes::build_step,
    runtimes::plain_containerd,
    machines::libvirt,
    machines::rkt,
    machines::nspawn,
    machines::lxc,
    platforms::fargate,
    platforms::garden,
    platforms::mesos,
    platforms::nomad,
    platforms::bpm,
    platforms::apptainer,
    kubernetes::pod_itself,
    apps::flatpak,
    apps::snap,
];

/// Classifies the text of a `/proc/PID/cgroup` file. Never fails: what cannot be read says nothing.
#[must_use]
pub fn classify(text: &[u8]) -> Classification {
    let lines = lines::parse(text);
    let mut best: Option<(Found, &Line<'_>)> = None;
    for line in &lines {
        let found = read(&line.path);
        // A v1 controller alone may sit anywhere; guess only from where most of the process is.
        if found.rank == Rank::Guess && !lines::carries(&lines, line) {
            continue;
        }
        // Without its front only the name of a container is still clear.
        if line.path.cut && found.rank < Rank::Pod {
            continue;
        }
        if best.as_ref().is_none_or(|(old, of)| is_better(&found, line, old, of)) {
            best = Some((found, line));
        }
    }
    match best {
        Some((found, line)) => report(host::login(found, line, &lines), line.path.raw.to_vec()),
        None => report(nothing(), Vec::new()),
    }
}

/// What makes one line's finding better than another's. A container below the other line's container is the
/// inner one, whatever its path says of its runtime.
fn is_better(found: &Found, line: &Line<'_>, old: &Found, of: &Line<'_>) -> bool {
    if found.rank >= Rank::Id && old.rank >= Rank::Id {
        let inside = |found: &Found, line: &Line<'_>, old: &Found, of: &Line<'_>| {
            let container = of.path.elements.get(..=old.depth);
            found.depth > old.depth && container.is_some_and(|outer| line.path.elements.starts_with(outer))
        };
        if inside(found, line, old, of) || inside(old, of, found, line) {
            return found.depth > old.depth;
        }
    }
    weight(found, line) > weight(old, of)
}

/// The deeper container is likely the inner one; of two lines that end in the same container, the longer may
/// carry a name as well.
fn weight(found: &Found, line: &Line<'_>) -> (Rank, usize, usize) {
    (found.rank, found.depth, line.path.elements.len())
}

fn report(found: Found, path: Vec<u8>) -> Classification {
    let Found { runtime, kind, id, pod, name, rule, .. } = found;
    Classification { runtime, kind, container_id: id, pod_uid: pod, name, path, rule }
}

fn nothing() -> Found {
    Found::new(
        Rank::Nothing,
        Runtime::None,
        Kind::Container,
        "the root cgroup says nothing about the process",
    )
}

/// Reads one path from the inside outwards.
fn read(path: &Path<'_>) -> Found {
    let mut weak: Option<Found> = None;
    for place in path.places_from_inside() {
        let Some(found) = RULES.iter().find_map(|rule| rule(place)) else { continue };
        let found = Found { depth: place.above.len(), ..systemd::distrust(place, found) };
        if found.rank >= Rank::Pod {
            return found;
        }
        weak.get_or_insert(found);
    }
    weak.unwrap_or_else(|| if path.says_nothing() { nothing() } else { host::leftover(path) })
}
