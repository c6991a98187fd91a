//! Monitors that are the container's own parent and last as long as it: gVisor, Apptainer, Nomad, Garden, and OCI
//! runtimes that stay in the foreground.

use super::Monitor;
use super::arguments::{Argument, Arguments};
use crate::cgroup::Runtime;
use crate::cgroup::names::{is_free_id, is_short_uuid, is_uuid};
use crate::evidence::label;

/// `runsc-sandbox --root=DIR ... boot --bundle=DIR ... ID`. It is no parent: to the host it is the container.
pub(super) fn gvisor(arguments: Arguments<'_>) -> Option<Monitor> {
    let id = arguments.clone().last().filter(|id| is_free_id(id)).and_then(label::name)?;
    let (mut words, mut boots, mut bundle) = (arguments, false, None);
    while let Some(word) = words.word() {
        boots |= word == b"boot";
        bundle = word.strip_prefix(b"--bundle=").or(bundle);
    }
    if !boots {
        return None;
    }
    let mut monitor = Monitor::new(Runtime::GVisor, "the kernel of a gVisor sandbox");
    // In Kubernetes the kernel is the pod's, and its containers are inside where the host does not see them.
    if bundle.is_some_and(|path| path.split(|b| *b == b'/').any(|e| e == b"k8s.io")) {
        monitor.sandbox = Some(id);
    } else {
        monitor.id = Some(id);
    }
    monitor.bundle = bundle.and_then(label::path);
    Some(monitor)
}

/// The titles that Apptainer and Singularity give themselves.
pub(super) fn apptainer(command_line: &[u8]) -> Option<Monitor> {
    let title = command_line.split(|b| *b == 0).next()?;
    let title = title.strip_prefix(b"Apptainer ").or_else(|| title.strip_prefix(b"Singularity "))?;
    let monitor = Monitor::new(Runtime::Apptainer, "a starter of Apptainer");
    if title == b"runtime parent" {
        return Some(monitor);
    }
    // `instance: USER [NAME]`
    let instance = title.strip_prefix(b"instance: ")?.strip_suffix(b"]")?;
    let at = instance.iter().rposition(|b| *b == b'[')?;
    let name = label::name(instance.get(at..)?.get(1..)?)?;
    Some(Monitor { name: Some(name), ..monitor })
}

/// `nomad executor {"LogFile":".../alloc/ALLOCATION/TASK/executor.out",...}`.
pub(super) fn nomad(mut arguments: Arguments<'_>) -> Option<Monitor> {
    arguments.word().filter(|word| *word == b"executor")?;
    let json: serde_json::Value = serde_json::from_slice(arguments.word()?).ok()?;
    let log = json.get("LogFile")?.as_str()?;
    let mut elements = log.rsplit('/');
    elements.next().filter(|file| *file == "executor.out")?;
    let task = label::name(elements.next()?.as_bytes())?;
    let allocation = elements.next().filter(|a| is_uuid(a.as_bytes()))?;
    let monitor = Monitor::new(Runtime::Nomad, "an executor of Nomad");
    Some(Monitor { id: Some(allocation.to_owned()), name: Some(task), ..monitor })
}

/// `dadoo ... exec RUNTIME DIRECTORY HANDLE`, Garden's own monitor; its handles are UUIDs, the last of them cut short in
/// Cloud Foundry.
pub(super) fn dadoo(arguments: Arguments<'_>) -> Option<Monitor> {
    let handle = arguments.clone().last().filter(|h| is_uuid(h) || is_short_uuid(h))?;
    let mut words = arguments;
    while let Some(word) = words.word() {
        if matches!(word, b"exec" | b"run") {
            let monitor = Monitor::new(Runtime::Garden, "a monitor of Garden");
            return Some(Monitor { id: label::name(handle), ..monitor });
        }
    }
    None
}

/// `runc run ID` and `crun run ID` in the foreground. Detached, they are gone.
pub(super) fn oci(runtime: Runtime, mut arguments: Arguments<'_>) -> Option<Monitor> {
    const VALUED: &[&[u8]] = &[
        b"root",
        b"log",
        b"log-format",
        b"log-level",
        b"criu",
        b"rootless",
        b"cgroup-manager",
        b"bundle",
        b"b",
        b"config",
        b"f",
        b"console-socket",
        b"pid-file",
        b"preserve-fds",
    ];
    let (mut command, mut id, mut bundle) = (None, None, None);
    while let Some(argument) = arguments.argument(|option| VALUED.contains(&option)) {
        match argument {
            Argument::Option(b"bundle" | b"b", value) => bundle = Some(value),
            Argument::Option(b"detach" | b"d", _) => return None,
            Argument::Option(..) => {}
            Argument::Word(word) if command.is_none() => command = Some(word),
            Argument::Word(word) => id = id.or(Some(word)),
        }
    }
    let id = id.filter(|id| command == Some(b"run") && is_free_id(id)).and_then(label::name)?;
    let what = if runtime == Runtime::Crun { "a crun in the foreground" } else { "a runc in the foreground" };
    Some(Monitor { id: Some(id), bundle: bundle.and_then(label::path), ..Monitor::new(runtime, what) })
}
