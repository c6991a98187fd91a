//! The runtimes with ids of 64 hexadecimal digits: Docker, containerd, CRI-O, Podman, Kata, BuildKit.

use super::kubernetes::{is_in_kubepods, is_in_pod, pod_around};
use super::lines::Place;
use super::machines::is_system_container;
use super::names::{is_build_step, is_free_id, is_id, printable};
use super::platforms::is_in_ecs_task;
use super::systemd::{is_unit, scope, scope_or_directory};
use super::{Found, Kind, Rank, Runtime};

/// A word that a runtime puts in front of its id, as `<word>-<id>[.scope]` or `<slice>:<word>:<id>`.
struct Word {
    word: &'static [u8],
    runtime: Runtime,
    rule: &'static str,
}

const WORDS: &[Word] = &[
    // The systemd driver of Docker and of cri-dockerd.
    Word {
        word: b"docker",
        runtime: Runtime::Docker,
        rule: "a scope named docker-<64 hex>.scope is made by Docker's systemd driver",
    },
    // containerd's Kubernetes plugin; with colons when kubelet and containerd use different drivers.
    Word {
        word: b"cri-containerd",
        runtime: Runtime::CriContainerd,
        rule: "the word cri-containerd in front of 64 hex is containerd's Kubernetes plugin",
    },
    // CRI-O uses the same word with both drivers.
    Word { word: b"crio", runtime: Runtime::CriO, rule: "the word crio in front of 64 hex is CRI-O" },
    // Podman, both managers.
    Word { word: b"libpod", runtime: Runtime::Podman, rule: "the word libpod in front of 64 hex is Podman" },
    // Podman with --cgroups=split, the default of quadlets: below the unit that started it.
    Word {
        word: b"libpod-payload",
        runtime: Runtime::Podman,
        rule: "libpod-payload-<64 hex> is the payload of a Podman container that shares its unit's cgroup",
    },
    // Kata's own processes on the host, with the systemd driver of its newer runtime.
    Word {
        word: b"runtime-rs",
        runtime: Runtime::Kata,
        rule: "the word runtime-rs in front of 64 hex holds the processes of a Kata sandbox on the host",
    },
    // nerdctl with the systemd driver.
    Word {
        word: b"nerdctl",
        runtime: Runtime::Containerd,
        rule: "a scope named nerdctl-<64 hex>.scope is made by nerdctl for containerd",
    },
];

/// Directories whose children are containerd containers: the names of its usual namespaces.
const CONTAINERD_NAMESPACES: &[&[u8]] = &[b"default", b"k8s.io", b"moby", b"services.linuxkit"];

/// `docker-ID.scope` and its relatives.
pub(super) fn prefixed(place: Place<'_, '_>) -> Option<Found> {
    let (entry, id) = split(place.here)?;
    let pod = pod_around(place);
    if entry.runtime == Runtime::Kata {
        return Some(kata(id, entry.rule)?.in_pod(pod));
    }
    if is_in_kata_overhead(place) {
        return Some(kata(id, KATA_OVERHEAD)?.in_pod(pod));
    }
    if pod.is_none() && entry.runtime == Runtime::Docker && is_in_ecs_task(place) {
        // The ECS agent gives Docker a slice per task as the parent.
        let rule = "a Docker container below ecstasks-<task>.slice belongs to an ECS task";
        return Some(Found::container(Runtime::Ecs, printable(id)?, rule));
    }
    Some(Found::container(entry.runtime, printable(id)?, entry.rule).in_pod(pod))
}

/// The word and the id of an element, in one of the two spellings.
fn split(element: &[u8]) -> Option<(&'static Word, &[u8])> {
    let entry = |word: &[u8]| WORDS.iter().find(|entry| entry.word == word);
    let mut parts = element.splitn(3, |&b| b == b':');
    // `<slice>:<word>:<id>` names a unit; the slice may be empty.
    if let (Some(_slice), Some(word), Some(id)) = (parts.next(), parts.next(), parts.next()) {
        return if is_id(id) { Some((entry(word)?, id)) } else { None };
    }
    let stem = scope_or_directory(element)?;
    let dash = stem.iter().rposition(|&b| b == b'-')?;
    let id = stem.get(dash..)?.strip_prefix(b"-")?;
    if is_id(id) { Some((entry(stem.get(..dash)?)?, id)) } else { None }
}

/// Whether an element by itself is a container: what lies below it belongs to that container.
pub(super) fn holds_container(element: &[u8]) -> bool {
    is_id(element) || split(element).is_some()
}

/// A bare id as a whole element; what it is, its surroundings tell.
pub(super) fn bare(place: Place<'_, '_>) -> Option<Found> {
    // Kata's virtual machine: the id is the sandbox's, the workload has no process on this host.
    if let Some(id) = place.here.strip_prefix(b"kata_").filter(|id| is_id(id)) {
        let rule = "kata_<64 hex> holds the virtual machine of a Kata sandbox";
        return Some(kata(id, rule)?.in_pod(pod_around(place)));
    }
    // A scope has a word in front of its id, unless the directory above is word enough.
    let worded = place.parent() == b"docker" || is_in_pod(place);
    let stem = scope(place.here).filter(|_| worded).unwrap_or(place.here);
    let id = Some(stem).filter(|id| is_id(id))?;
    let found = match place.parent() {
        // Podman's cgroupfs manager: this is the directory of a pod, its containers are below.
        b"libpod_parent" => return None,
        _ if is_in_kata_overhead(place) => kata(id, KATA_OVERHEAD)?,
        b"docker" => {
            let rule = "/docker/<64 hex> is made by Docker's cgroupfs driver";
            Found::container(Runtime::Docker, printable(id)?, rule)
        }
        // Here the id is a name that someone chose.
        b"lxc.payload" => return None,
        b"lxc" if place.grandparent() == b"libvirt" => return None,
        b"lxc" => {
            let rule = "/lxc/<64 hex> is made by Docker's old LXC driver: LXC itself gives no such names";
            Found::container(Runtime::Docker, printable(id)?, rule)
        }
        b"buildkit" => Found::container(Runtime::BuildKit, printable(id)?, BUILD_STEP),
        // The cgroupfs driver below a pod: containerd and Docker both write the bare id.
        _ if is_in_pod(place) || is_in_kubepods(place) => {
            let rule = "64 hex below a pod is a container of that pod; its runtime is not in the path";
            Found::container(Runtime::Kubernetes, printable(id)?, rule)
        }
        parent if parent == b"containerd" || CONTAINERD_NAMESPACES.contains(&parent) => {
            let rule = "64 hex below containerd or one of its usual namespaces is a container of containerd";
            Found::container(Runtime::Containerd, printable(id)?, rule)
        }
        _ if is_in_ecs_task(place) => {
            let rule = "64 hex below /ecs/<task> is a container of an ECS task";
            Found::container(Runtime::Ecs, printable(id)?, rule)
        }
        // Any --cgroup-parent gives this form, and so does a reader inside a container.
        _ => {
            let rule = "64 hex as a whole element is a container id; its runtime is not in the path";
            let unknown = Found::container(Runtime::Unknown, printable(id)?, rule);
            Found { rank: Rank::Id, ..unknown }
        }
    };
    Some(found.in_pod(pod_around(place)))
}

const KATA_OVERHEAD: &str = "kata_overhead holds the processes of a Kata sandbox on the host";

/// Kata keeps the whole path that the sandbox was given below a directory of its own.
fn is_in_kata_overhead(place: Place<'_, '_>) -> bool {
    let own = |e: &[u8]| e == b"kata_overhead" || e == b"kata-overhead.slice";
    place.ancestors().take_while(|e| !holds_container(e)).any(own)
}

fn kata(id: &[u8], rule: &'static str) -> Option<Found> {
    Some(Found { kind: Kind::Sandbox, ..Found::container(Runtime::Kata, printable(id)?, rule) })
}

const BUILD_STEP: &str =
    "a step of an image build has its own id below buildkit; no Docker container is behind it";

/// A RUN step of an image build: 25 digits of base 36, below `buildkit` or in Docker's scope.
pub(super) fn build_step(place: Place<'_, '_>) -> Option<Found> {
    let id = match place.parent() {
        b"buildkit" => place.here,
        _ => {
            let mut parts = place.here.splitn(3, |&b| b == b':');
            match (parts.next(), parts.next(), parts.next()) {
                (Some(_slice), Some(b"docker"), Some(id)) => id,
                _ => scope(place.here)?.strip_prefix(b"docker-")?,
            }
        }
    };
    if is_build_step(id) {
        Some(Found::container(Runtime::BuildKit, printable(id)?, BUILD_STEP))
    } else {
        None
    }
}

/// `/<namespace>/<id>` of plain containerd: the id is free text, so only usual namespaces count, and only
/// at the top of a system or of a container.
pub(super) fn plain_containerd(place: Place<'_, '_>) -> Option<Found> {
    let at_top = match place.above.split_last() {
        Some((_, [])) => true,
        Some((_, [.., b"payload"])) => true,
        Some((_, [.., b"lxc" | b"lxc.payload", _])) => true,
        Some((_, [.., above])) => holds_container(above) || is_system_container(above),
        None => false,
    };
    let known = CONTAINERD_NAMESPACES.contains(&place.parent());
    if !at_top || !known || is_unit(place.here) || !is_free_id(place.here) {
        return None;
    }
    let rule = "a path of a containerd namespace and an id is a container started with ctr";
    let found = Found::container(Runtime::Containerd, printable(place.here)?, rule);
    Some(Found { rank: Rank::Id, ..found })
}
