//! conmon: the monitor of Podman and of CRI-O, one for each container (`conmon(8)`).

use std::path::PathBuf;

use super::Monitor;
use super::arguments::{Argument, Arguments};
use crate::cgroup::names::is_id;
use crate::cgroup::{Kind, Runtime};
use crate::evidence::{label, pod};

/// Options that take no value; all others do.
const FLAGS: &[&[u8]] = &[
    b"e",
    b"exec",
    b"full-attach",
    b"i",
    b"stdin",
    b"leave-stdin-open",
    b"no-new-keyring",
    b"no-pivot",
    b"no-sync-log",
    b"replace-listen-pid",
    b"s",
    b"systemd-cgroup",
    b"sync",
    b"syslog",
    b"t",
    b"terminal",
    b"exec-attach",
    b"log-rotate",
    b"version",
    b"help",
    b"h",
];

/// More logs than this are not kept of one conmon.
const MAX_LOGS: usize = 4;

/// The id, name, bundle and logs of conmon's container. With `podman exec` it has the same `-c`.
pub(super) fn conmon(mut arguments: Arguments<'_>) -> Option<Monitor> {
    let (mut id, mut name, mut bundle, mut exits) = (None, None, None, None);
    let mut logs = Vec::new();
    while let Some(argument) = arguments.argument(|option| !FLAGS.contains(&option)) {
        match argument {
            Argument::Option(b"c" | b"cid", value) => id = Some(value),
            Argument::Option(b"n" | b"name", value) => name = Some(value),
            Argument::Option(b"b" | b"bundle", value) => bundle = Some(value),
            Argument::Option(b"l" | b"log-path", value) => {
                logs.extend(log(value).filter(|_| logs.len() < MAX_LOGS));
            }
            Argument::Option(b"exit-dir" | b"persist-dir", value) => exits = exits.or(Some(value)),
            _ => {}
        }
    }
    let id = id.filter(|id| is_id(id)).and_then(|id| std::str::from_utf8(id).ok())?;
    let member = name.and_then(pod::member);
    // CRI-O names its containers as the kubelet did, and keeps their ends in a directory of its own.
    let crio = member.is_some() || exits.is_some_and(|dir| dir.split(|b| *b == b'/').any(|e| e == b"crio"));
    let runtime = if crio { Runtime::CriO } else { Runtime::Podman };
    let what = if crio { "a conmon of CRI-O" } else { "a conmon of Podman" };
    let mut monitor = Monitor { id: Some(id.to_owned()), ..Monitor::new(runtime, what) };
    monitor.bundle = bundle.and_then(label::path);
    monitor.logs = logs;
    match member {
        Some(member) => {
            monitor.kind = Some(if member.sandbox { Kind::Sandbox } else { Kind::Container });
            // A sandbox has no name of its own: it is the pod's.
            monitor.name = Some(member.container).filter(|_| !member.sandbox);
            monitor.pod = Some(member.pod);
        }
        None => {
            monitor.kind = name.filter(|name| label::is_infra(name)).map(|_| Kind::Sandbox);
            monitor.name = name.and_then(label::name);
        }
    }
    Some(monitor)
}

/// `PATH`, `DRIVER:PATH` or `DRIVER`: a path alone is a file in Kubernetes' format.
fn log(value: &[u8]) -> Option<(String, Option<PathBuf>)> {
    if value.starts_with(b"/") {
        return Some(("k8s-file".to_owned(), label::path(value)));
    }
    let mut parts = value.splitn(2, |b| *b == b':');
    let driver = label::name(parts.next()?)?;
    Some((driver, parts.next().and_then(label::path)))
}

/// conmonrs: one for each pod of CRI-O, told the directory of the pod's sandbox.
pub(super) fn conmonrs(mut arguments: Arguments<'_>) -> Option<Monitor> {
    while let Some(argument) = arguments.argument(|option| option != b"version" && option != b"help") {
        if let Argument::Option(b"runtime-dir", directory) = argument {
            let sandbox = in_storage(directory)?;
            let monitor = Monitor::new(Runtime::CriO, "a conmonrs of CRI-O");
            return Some(Monitor { sandbox: Some(sandbox), ..monitor });
        }
    }
    None
}

/// The id in `.../<driver>-containers/<id>/userdata`.
fn in_storage(directory: &[u8]) -> Option<String> {
    let mut elements = directory.rsplit(|b| *b == b'/').skip_while(|e| e.is_empty());
    elements.next().filter(|last| *last == b"userdata")?;
    let id = elements.next().filter(|id| is_id(id))?;
    elements.next().filter(|parent| parent.ends_with(b"-containers"))?;
    std::str::from_utf8(id).ok().map(str::to_owned)
}
