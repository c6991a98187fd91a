//! Units of systemd, and what a user may make below their own manager.

use super::lines::Place;
use super::names::unescape;
use super::{Found, Kind, Rank, Runtime};

const SUFFIXES: &[&[u8]] = &[
    b".service",
    b".scope",
    b".slice",
    b".mount",
    b".swap",
    b".socket",
    b".automount",
    b".timer",
    b".path",
    b".target",
    b".device",
];

pub(super) fn is_unit(element: &[u8]) -> bool {
    SUFFIXES.iter().any(|suffix| element.ends_with(suffix))
}

/// The name of a scope unit, or the whole element when it is no unit at all: the cgroupfs drivers use the
/// same words without `.scope`.
pub(super) fn scope_or_directory(element: &[u8]) -> Option<&[u8]> {
    scope(element).or_else(|| (!is_unit(element)).then_some(element))
}

pub(super) fn scope(element: &[u8]) -> Option<&[u8]> {
    // systemd puts `_` in front of a unit that could be taken for a file of the cgroup file system.
    element.strip_prefix(b"_").unwrap_or(element).strip_suffix(b".scope")
}

/// The unit name without its `\x2d` escapes.
pub(super) fn plain(name: &[u8]) -> Vec<u8> {
    unescape(name, br"\x")
}

/// Turns a container below `user@UID.service` into a forgery where no rootless runtime would put it.
///
/// That user can make any directory there. The rootless runtimes use `user.slice` of the user's manager, or
/// a cgroup below a unit of their own; Podman without a slice is directly below the manager. In the other
/// slices a bare container name is only a name.
pub(super) fn distrust(place: Place<'_, '_>, found: Found) -> Found {
    let made_by_engine = matches!(
        found.runtime,
        Runtime::Docker
            | Runtime::Containerd
            | Runtime::CriContainerd
            | Runtime::CriO
            | Runtime::Podman
            | Runtime::Kubernetes
            | Runtime::Kata
            | Runtime::Ecs
            | Runtime::Unknown
    );
    if !made_by_engine {
        return found;
    }
    let manager = place.above.iter().rposition(|e| e.starts_with(b"user@") && e.ends_with(b".service"));
    let Some(manager) = manager else { return found };
    let between = place.above.get(manager.saturating_add(1)..).unwrap_or_default();
    let expected = between.first().is_some_and(|slice| *slice == b"user.slice")
        || between.iter().any(|e| e.ends_with(b".service") || e.ends_with(b".scope"))
        || (between.is_empty() && found.runtime == Runtime::Podman);
    if expected {
        return found;
    }
    let rule = "the path claims a container, but a user made it below the user's own manager, where no \
                runtime puts containers";
    Found::new(Rank::Claim, Runtime::Host, Kind::Forged, rule)
}
