//! Platforms with ids of their own: ECS, Cloud Foundry, BOSH, Mesos, Nomad, Apptainer.

use super::lines::Place;
use super::names::{is_digits, is_free_id, is_hex, is_short_uuid, is_uuid, printable, unescape};
use super::runtimes::holds_container;
use super::systemd::{is_unit, plain, scope, scope_or_directory};
use super::{Found, Runtime};

/// Whether the place is directly in an ECS task, and not in a container of one.
pub(super) fn is_in_ecs_task(place: Place<'_, '_>) -> bool {
    let task_slice = |e: &[u8]| e.starts_with(b"ecstasks-") && e.ends_with(b".slice");
    let of_ecs = |e: &[u8]| e == b"ecs" || e == b"ecstasks.slice" || task_slice(e);
    place.ancestors().take_while(|e| !holds_container(e)).any(of_ecs)
}

/// Fargate names a container `<task>-<number>`, not by 64 digits.
pub(super) fn fargate(place: Place<'_, '_>) -> Option<Found> {
    let (task, number) = place.here.split_at_checked(32)?;
    if !is_hex(task, 32) || !is_digits(number.strip_prefix(b"-")?) {
        return None;
    }
    let rule = "<task>-<number> is the name of a container on ECS Fargate";
    Some(Found::container(Runtime::Ecs, printable(place.here)?, rule))
}

/// Garden: `garden[-<tag>]/[good|bad/]<handle>`; the throttled and the others have a directory each.
pub(super) fn garden(place: Place<'_, '_>) -> Option<Found> {
    let is_root = |e: &[u8]| e == b"garden" || e.starts_with(b"garden-");
    let below_garden = match place.parent() {
        b"good" | b"bad" => is_root(place.grandparent()),
        parent => is_root(parent),
    };
    if !below_garden || !(is_short_uuid(place.here) || is_uuid(place.here)) {
        return None;
    }
    Some(Found::container(
        Runtime::Garden,
        printable(place.here)?,
        "/garden/<handle> is a container of Garden",
    ))
}

/// The Mesos containerizer; some controllers only carry the id, and nested containers repeat the word.
pub(super) fn mesos(place: Place<'_, '_>) -> Option<Found> {
    if place.parent() != b"mesos" || !is_uuid(place.here) {
        return None;
    }
    let rule = "/mesos/<uuid> is a container of the Mesos containerizer";
    Some(Found::container(Runtime::Mesos, printable(place.here)?, rule))
}

/// Nomad's own drivers: `<allocation>.<task>.scope` on cgroup v2 below any parent, a directory on v1.
pub(super) fn nomad(place: Place<'_, '_>) -> Option<Found> {
    let (allocation, task) = scope_or_directory(place.here)?.split_at_checked(36)?;
    let task = printable(&plain(task.strip_prefix(b".")?))?;
    let known = scope(place.here).is_some() || place.ancestors().any(|e| e == b"nomad");
    if !is_uuid(allocation) || !known {
        return None;
    }
    let rule = "<allocation uuid>.<task> is a task of Nomad's exec or java driver";
    Some(Found::container(Runtime::Nomad, printable(allocation)?, rule).named(Some(task)))
}

/// BOSH process manager: `bpm-<job>` below the caller on v1, `<own path>-bpm-bpm-<job>.scope` on v2.
/// Bytes that ids cannot have are written `.hh`.
pub(super) fn bpm(place: Place<'_, '_>) -> Option<Found> {
    let id = match scope(place.here) {
        Some(stem) => {
            // Before bpm named its scopes, runc did.
            let legacy = stem.strip_prefix(b"runc-").filter(|id| id.starts_with(b"bpm-"));
            let named =
                || stem.get(stem.windows(9).position(|w| w == b"-bpm-bpm-")?..)?.strip_prefix(b"-bpm-");
            legacy.or_else(named)?
        }
        None if !is_unit(place.here) => place.here,
        None => return None,
    };
    let job = id.strip_prefix(b"bpm-").filter(|job| is_free_id(job))?;
    let name = printable(&unescape(job, b"."))?;
    let rule = "bpm-<job> is the container of a BOSH job";
    Some(Found::container(Runtime::Bpm, printable(id)?, rule).named(Some(name)))
}

/// Apptainer makes a cgroup only when limits are asked for, and names it by the starter's process id.
pub(super) fn apptainer(place: Place<'_, '_>) -> Option<Found> {
    let id = match place.parent() {
        b"apptainer" | b"singularity" if !is_unit(place.here) => place.here,
        _ => {
            let stem = scope(place.here)?;
            stem.strip_prefix(b"apptainer-").or_else(|| stem.strip_prefix(b"singularity-"))?
        }
    };
    let id = Some(id).filter(|id| is_free_id(id))?;
    let rule = "a cgroup named apptainer-<pid> holds an Apptainer container with limits";
    Some(Found::container(Runtime::Apptainer, printable(id)?, rule))
}
