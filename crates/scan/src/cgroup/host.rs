//! What is no container: monitors and daemons, units, directories of the host; and the guesses that remain.

use super::lines::{Line, Path, Place};
use super::names::{is_digits, is_free_id, is_hex, is_short_uuid, is_uuid, printable};
use super::systemd::{is_unit, scope, scope_or_directory};
use super::{Found, Kind, Rank, Runtime};

/// Daemons that keep their shims beside themselves.
const DAEMONS: &[&[u8]] = &[b"docker.service", b"containerd.service"];

/// Top directories that hosts have without a container in them: login managers, Talos, batch systems,
/// virtual machines, and the empty parents of runtimes (what is a container below these, the rules have found already).
const DIRECTORIES: &[&[u8]] = &[
    b"user",
    b"system",
    b"podruntime",
    b"init",
    b"elogind",
    b"openrc",
    b"hadoop-yarn",
    b"yarn",
    b"slurm",
    b"lsf",
    b"torque",
    b"htcondor",
    b"firecracker",
    b"machine",
    b"docker",
    b"buildkit",
    b"kubepods",
    b"kubelet",
    b"kata_overhead",
    b"libpod_parent",
    b"lxc",
    b"lxc.payload",
    b"lxc.pivot",
    b"libvirt",
    b"ecs",
    b"garden",
    b"mesos",
    b"nomad",
    b"apptainer",
    b"singularity",
    b"wsl-user",
];

/// What runtimes and workloads add below a container.
const ADDITIONS: &[&[u8]] = &[b"container", b"init", b"leaf", b"kube-proxy", b"syscont-cgroup-root", b".lxc"];

/// Processes that look after containers.
pub(super) fn monitor(place: Place<'_, '_>) -> Option<Found> {
    let rule = monitor_rule(place)?;
    Some(Found::new(Rank::Monitor, Runtime::Host, Kind::Monitor, rule))
}

fn monitor_rule(place: Place<'_, '_>) -> Option<&'static str> {
    let Place { here, .. } = place;
    let parent = place.parent();
    // conmon has the id of its container in its name, but is not in it.
    let stem = scope_or_directory(here).unwrap_or_default();
    if stem.starts_with(b"libpod-conmon-") || stem.starts_with(b"crio-conmon-") {
        return Some("a conmon scope carries the id of the container that conmon looks after");
    }
    // Podman's cgroupfs manager has one conmon directory, and one per pod.
    if here == b"conmon" && place.above.iter().all(|e| *e == b"libpod_parent" || is_hex(e, 64)) {
        return Some("libpod_parent/conmon holds Podman's conmon processes");
    }
    // Podman with --cgroups=split: conmon sits beside libpod-payload-<id>.
    if here == b"runtime" && parent.ends_with(b".service") {
        return Some(
            "the runtime directory of a unit holds conmon of a Podman container that shares the unit",
        );
    }
    // Rootless conmon and the process that keeps the user namespace; both without an id.
    if let Some(rest) = scope(here).and_then(|stem| stem.strip_prefix(b"podman-"))
        && (is_digits(rest) || rest.strip_prefix(b"pause-").is_some_and(is_free_id))
    {
        return Some("a scope named podman-<pid> or podman-pause-<n> holds Podman's helpers of a user");
    }
    // LXC 4 and later, and 3.1.
    if here.starts_with(b"lxc.monitor.") || here == b"lxc.monitor" || parent == b"lxc.monitor" {
        return Some("lxc.monitor holds the monitor of an LXC container");
    }
    // systemd-nspawn itself waits beside the payload.
    if here == b"supervisor" && (parent.is_empty() || is_unit(parent)) {
        return Some("the supervisor directory holds systemd-nspawn itself");
    }
    if parent == b"system.slice" && DAEMONS.contains(&here) {
        return Some("the daemon's own unit holds the daemon and its shims");
    }
    None
}

/// What remains when no rule knows any element of the path.
pub(super) fn leftover(path: &Path<'_>) -> Found {
    let elements = trim(&path.elements);
    let (Some(first), Some(last)) = (elements.first(), elements.last()) else {
        let rule = "the process is above the reader's own cgroup, and nothing else is in the path";
        return Found::new(Rank::Outside, Runtime::Host, Kind::Host, rule);
    };
    // systemd-nspawn makes it below whatever unit it was started in; the name is not in the path.
    if elements.contains(&&b"payload"[..]) {
        return guess(
            None,
            "a payload directory is made by systemd-nspawn; the machine's name is not in the path",
        );
    }
    // Garden and others with a plain runc: the id is all there is, below any service.
    if is_uuid(last) || is_short_uuid(last) {
        return guess(
            printable(last),
            "a UUID as a whole element is a container id; its runtime is not in the path",
        );
    }
    // runc's and crun's own prefix with the systemd driver.
    let stem = scope(last).unwrap_or_default();
    if let Some(id) = stem.strip_prefix(b"runc-").or_else(|| stem.strip_prefix(b"crun-")) {
        return guess(
            printable(id),
            "a scope named runc-<id> or crun-<id> is made by the OCI runtime itself",
        );
    }
    if is_unit(first) || is_unit(last) || is_directory(first) {
        return on_host(path, last);
    }
    match elements {
        [id] if is_free_id(id) => {
            guess(printable(id), "a directory at the root is where runc and crun put a container")
        }
        _ if is_free_id(last) => {
            guess(None, "no host has this directory of its own; a runtime was told to use it")
        }
        // No OCI runtime takes such an id.
        _ => on_host(path, last),
    }
}

/// A login that the other lines bear out: systemd keeps the v1 controllers that a session does not need in
/// the slices above it. A session scope alone is only a name with a number.
pub(super) fn login(found: Found, line: &Line<'_>, lines: &[Line<'_>]) -> Found {
    let elements = line.path.elements.as_slice();
    let above = |other: &Line<'_>| match other.path.elements.as_slice() {
        slices @ [.., last] => {
            last.ends_with(b".slice") && slices.len() < elements.len() && elements.starts_with(slices)
        }
        [] => false,
    };
    if found.rank != Rank::Unit || !is_session(&line.path) || !lines.iter().any(above) {
        return found;
    }
    let rule = "a session scope below the slices of a user is a login";
    Found { kind: Kind::Host, rule, ..found }
}

/// Whether the path ends at the scope that logind gives a login.
pub(super) fn is_session(path: &Path<'_>) -> bool {
    let last = path.elements.last().and_then(|e| scope(e));
    last.and_then(|stem| stem.strip_prefix(b"session-")).is_some_and(is_digits)
}

fn is_directory(first: &[u8]) -> bool {
    DIRECTORIES.contains(&first)
        || first.starts_with(b"openrc.")
        || first.starts_with(b"slurm_")
        || first.ends_with(b".libvirt-qemu")
}

/// The elements without what is added below a container, as long as something remains.
fn trim<'p, 'a>(elements: &'p [&'a [u8]]) -> &'p [&'a [u8]] {
    let mut rest = elements;
    while let [front @ .., last] = rest
        && !front.is_empty()
        && ADDITIONS.contains(last)
    {
        rest = front;
    }
    rest
}

fn guess(id: Option<String>, rule: &'static str) -> Found {
    Found { id, ..Found::new(Rank::Guess, Runtime::Unknown, Kind::Container, rule) }
}

fn on_host(path: &Path<'_>, last: &[u8]) -> Found {
    let found = |kind, rule| Found::new(Rank::Unit, Runtime::Host, kind, rule);
    if path.ups > 0 && matches!(path.elements.as_slice(), [b"init.scope"]) {
        return found(
            Kind::Host,
            "the path leads out of the reader's own cgroup to the host's first process",
        );
    }
    if is_unit(last) {
        return found(Kind::LookAlike, "the unit is not one that a container runtime makes");
    }
    found(Kind::LookAlike, "the directory is one of the host, and no container id is below it")
}
