//! Shims of containerd: one for each container or, in Kubernetes, for each pod.

use super::Monitor;
use super::arguments::{Argument, Arguments, base};
use crate::cgroup::Runtime;
use crate::cgroup::names::{is_free_id, is_id};
use crate::evidence::label;

/// `containerd-shim-runc-v2 -namespace NS -id ID -address SOCK`, its relatives of other runtimes and its ancestors.
pub(super) fn shim(program: &[u8], arguments: Arguments<'_>) -> Option<Monitor> {
    let program = program.strip_prefix(b"docker-").unwrap_or(program);
    let kind = program.strip_prefix(b"containerd-shim")?;
    if !kind.is_empty() && !kind.starts_with(b"-") {
        return None;
    }
    let mut said = Said::default();
    said.read(arguments);
    // The first form of all: an id, a directory and a runtime, without options.
    if said.namespace.is_none()
        && let [id, bundle, ..] = said.words.as_slice()
        && is_id(id)
    {
        let monitor = Monitor::new(Runtime::Docker, "a shim of containerd");
        return Some(Monitor { id: text(id), bundle: label::path(bundle), ..monitor });
    }
    // `start` makes the shim, `delete` cleans up after it; both are gone at once.
    if said.words.iter().any(|word| matches!(*word, b"start" | b"delete")) {
        return None;
    }
    let namespace = said.namespace?;
    // Before 1.2 the id was only in the name of the directory.
    let id = said.id.or_else(|| said.directory.map(base))?;
    if !is_free_id(id) {
        return None;
    }
    let (runtime, what) = match (kind, namespace) {
        _ if kind.starts_with(b"-kata-") => (Runtime::Kata, "a shim of Kata Containers"),
        _ if kind.starts_with(b"-runsc-") => (Runtime::GVisor, "a shim of gVisor"),
        (_, b"moby") => (Runtime::Docker, "a shim of Docker's containerd"),
        (_, b"k8s.io") => (Runtime::CriContainerd, "a shim of containerd"),
        (_, b"garden") => (Runtime::Garden, "a shim of Garden's containerd"),
        (_, b"buildkit") => (Runtime::BuildKit, "a shim of BuildKit's containerd"),
        _ => (Runtime::Containerd, "a shim of containerd"),
    };
    let mut monitor = Monitor { namespace: label::name(namespace), ..Monitor::new(runtime, what) };
    monitor.bundle = said.directory.and_then(label::path);
    if namespace == b"k8s.io" {
        monitor.sandbox = text(id);
    } else {
        monitor.id = text(id);
    }
    Some(monitor)
}

#[derive(Debug, Default)]
struct Said<'a> {
    namespace: Option<&'a [u8]>,
    id: Option<&'a [u8]>,
    directory: Option<&'a [u8]>,
    words: Vec<&'a [u8]>,
}

impl<'a> Said<'a> {
    fn read(&mut self, mut arguments: Arguments<'a>) {
        const VALUED: &[&[u8]] = &[
            b"namespace",
            b"id",
            b"address",
            b"bundle",
            b"workdir",
            b"publish-binary",
            b"containerd-binary",
            b"runtime",
            b"runtime-root",
            b"socket",
            b"criu",
            b"shim-cgroup",
            b"log",
        ];
        while let Some(argument) = arguments.argument(|option| VALUED.contains(&option)) {
            match argument {
                Argument::Option(b"namespace", value) => self.namespace = Some(value),
                Argument::Option(b"id", value) => self.id = Some(value),
                Argument::Option(b"workdir" | b"bundle", value) => self.directory = Some(value),
                Argument::Word(word) if self.words.len() < 4 => self.words.push(word),
                _ => {}
            }
        }
    }
}

fn text(id: &[u8]) -> Option<String> {
    std::str::from_utf8(id).ok().map(str::to_owned)
}
