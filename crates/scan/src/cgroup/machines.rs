//! System containers: LXC, libvirt's LXC, systemd-nspawn and rkt. They have names, not ids.

use super::lines::Place;
use super::names::{is_digits, is_uuid, printable};
use super::systemd::{is_unit, plain, scope};
use super::{Found, Runtime};

/// A container that is known by its name alone.
fn known_by_name(runtime: Runtime, name: &[u8], rule: &'static str) -> Option<Found> {
    let name = printable(name)?;
    Some(Found::container(runtime, name.clone(), rule).named(Some(name)))
}

/// LXC, LXD, Incus, and all that is built on them.
pub(super) fn lxc(place: Place<'_, '_>) -> Option<Found> {
    // LXC 4 and later; the word may be anywhere, lxc.cgroup.dir and lxc.cgroup.relative move it.
    if let Some(name) = place.here.strip_prefix(b"lxc.payload.") {
        return known_by_name(Runtime::Lxc, name, "lxc.payload.<name> is made by LXC, LXD or Incus");
    }
    match place.parent() {
        // LXC 3.1 and 3.2.
        b"lxc.payload" => known_by_name(Runtime::Lxc, place.here, "lxc.payload/<name> is made by LXC 3"),
        // LXC 3 and older, Proxmox, Heroku.
        b"lxc" if !is_unit(place.here) && !place.here.starts_with(b".") => {
            known_by_name(Runtime::Lxc, place.here, "/lxc/<name> is made by LXC 3 and older, and by Proxmox")
        }
        _ => unprivileged(place),
    }
}

/// Whether an element by itself is a container with a system of its own inside.
pub(super) fn is_system_container(element: &[u8]) -> bool {
    let scope = scope(element).and_then(|stem| stem.strip_prefix(b"machine-"));
    element.starts_with(b"lxc.payload.")
        || scope.is_some_and(|name| !name.starts_with(br"qemu\x2d"))
        || (element.starts_with(b"systemd-nspawn@") && element.ends_with(b".service"))
}

/// `lxc-<name>-<n>.scope`: an unprivileged container asks systemd for a scope; its monitor is in there too.
fn unprivileged(place: Place<'_, '_>) -> Option<Found> {
    if place.child().starts_with(b"lxc.monitor") {
        return None;
    }
    let stem = scope(place.here)?.strip_prefix(b"lxc-")?;
    let dash = stem.iter().rposition(|&b| b == b'-')?;
    let (name, number) = stem.split_at_checked(dash)?;
    if !is_digits(number.strip_prefix(b"-")?) {
        return None;
    }
    let rule = "a scope named lxc-<name>-<n>.scope is made for an unprivileged LXC container";
    known_by_name(Runtime::Lxc, &plain(name), rule)
}

/// libvirt's LXC driver; its virtual machines are no containers and match nothing here.
pub(super) fn libvirt(place: Place<'_, '_>) -> Option<Found> {
    // Registered with systemd-machined as lxc-<number>-<name>.
    if let Some(machine) = machine(place).and_then(|m| m.strip_prefix(br"lxc\x2d")) {
        let rule = r"a scope named machine-lxc\x2d<n>\x2d<name>.scope is a container of libvirt";
        return known_by_name(Runtime::LibvirtLxc, without_number(&plain(machine)), rule);
    }
    // Without systemd: a directory of its own.
    if let Some(name) = place.here.strip_suffix(b".libvirt-lxc") {
        let name = plain(name.strip_prefix(b"lxc-").unwrap_or(name));
        let rule = "a directory named <name>.libvirt-lxc is a container of libvirt";
        return known_by_name(Runtime::LibvirtLxc, without_number(&name), rule);
    }
    if place.parent() == b"lxc" && place.grandparent() == b"libvirt" {
        return known_by_name(
            Runtime::LibvirtLxc,
            place.here,
            "/libvirt/lxc/<name> is a container of libvirt",
        );
    }
    None
}

/// The name behind the `<number>-` that libvirt puts in front.
fn without_number(name: &[u8]) -> &[u8] {
    let dash = name.iter().position(|&b| b == b'-').filter(|&at| name.get(..at).is_some_and(is_digits));
    dash.and_then(|at| name.get(at..)?.strip_prefix(b"-")).unwrap_or(name)
}

/// rkt registered its pods as machines; an application is a unit of the pod's own systemd.
pub(super) fn rkt(place: Place<'_, '_>) -> Option<Found> {
    let id = plain(machine(place)?.strip_prefix(br"rkt\x2d")?);
    if !is_uuid(&id) {
        return None;
    }
    let app = match place.below {
        [b"system.slice", unit, ..] => unit.strip_suffix(b".service").and_then(|app| printable(&plain(app))),
        _ => None,
    };
    let rule = r"a scope named machine-rkt\x2d<uuid>.scope is a pod of rkt";
    Some(Found::container(Runtime::Rkt, printable(&id)?, rule).named(app))
}

/// A machine of systemd-nspawn: registered as a scope, or started by its template unit.
pub(super) fn nspawn(place: Place<'_, '_>) -> Option<Found> {
    // systemd-nspawn itself waits in a cgroup beside the payload.
    if place.child() == b"supervisor" {
        return None;
    }
    if let Some(name) = machine(place) {
        // libvirt registers virtual machines the same way.
        if name.starts_with(br"qemu\x2d") {
            return None;
        }
        let rule = "a scope named machine-<name>.scope is a machine of systemd-nspawn";
        return known_by_name(Runtime::SystemdNspawn, &plain(name), rule);
    }
    let name = place.here.strip_prefix(b"systemd-nspawn@")?.strip_suffix(b".service")?;
    let rule = "systemd-nspawn@<name>.service runs a machine of systemd-nspawn";
    known_by_name(Runtime::SystemdNspawn, &plain(name), rule)
}

/// The escaped name of a machine that is registered with systemd-machined.
fn machine<'a>(place: Place<'_, 'a>) -> Option<&'a [u8]> {
    scope(place.here)?.strip_prefix(b"machine-")
}
