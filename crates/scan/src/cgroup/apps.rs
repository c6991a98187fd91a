//! Confined applications of the host: they are in a sandbox, but in no container.

use super::lines::Place;
use super::names::{is_digits, is_uuid, printable};
use super::systemd::{plain, scope};
use super::{Found, Kind, Rank, Runtime};

fn application(runtime: Runtime, name: &[u8], rule: &'static str) -> Option<Found> {
    let name = printable(&plain(name))?;
    Some(Found::new(Rank::Claim, runtime, Kind::SandboxedProcess, rule).named(Some(name)))
}

/// `app-flatpak-<id>-<n>.scope`, or `app-flatpak-<id>@<n>.service` when the session starts it.
pub(super) fn flatpak(place: Place<'_, '_>) -> Option<Found> {
    let (stem, mark) = match scope(place.here) {
        Some(stem) => (stem, b'-'),
        None => (place.here.strip_suffix(b".service")?, b'@'),
    };
    let id = without_tail(stem.strip_prefix(b"app-flatpak-")?, mark);
    application(Runtime::Flatpak, id, "a unit named app-flatpak-<id> runs a Flatpak application")
}

/// The name in front of `<mark><number>`.
fn without_tail(name: &[u8], mark: u8) -> &[u8] {
    let at = name.iter().rposition(|&b| b == mark);
    let number = |&at: &usize| name.get(at..).and_then(|tail| tail.get(1..)).is_some_and(is_digits);
    let front = at.filter(|at| mark == b'@' || number(at)).and_then(|at| name.get(..at));
    front.filter(|front| !front.is_empty()).unwrap_or(name)
}

/// `snap.<snap>.<app>.service`, or a scope with a number that snapd adds behind `-` or `.`.
pub(super) fn snap(place: Place<'_, '_>) -> Option<Found> {
    let stem = match scope(place.here) {
        Some(stem) => stem,
        None => place.here.strip_suffix(b".service")?,
    };
    let mut parts = stem.strip_prefix(b"snap.")?.split(|&b| b == b'.');
    let (snap, second) = (parts.next()?, parts.next()?);
    let mut name = snap.to_vec();
    let mut add = |part: &[u8]| {
        name.push(b'.');
        name.extend_from_slice(without_uuid(part));
    };
    add(second);
    // A hook has one word more: snap.<snap>.hook.<hook>.
    if let (b"hook", Some(hook)) = (second, parts.next()) {
        add(hook);
    }
    application(Runtime::Snap, &name, "a unit named snap.<snap>.<app> runs an application of a snap")
}

fn without_uuid(app: &[u8]) -> &[u8] {
    let at = app.len().checked_sub(37);
    let parts = at.and_then(|at| app.split_at_checked(at));
    match parts {
        Some((app, tail)) if tail.strip_prefix(b"-").is_some_and(is_uuid) => app,
        _ => app,
    }
}
