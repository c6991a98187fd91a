//! Who a container is: names, image and pod, beyond what its cgroup says.

use std::collections::HashMap;

use portolan_linux::ProcessId;
use portolan_linux::error::Escaped;

use crate::cgroup::Runtime;
use crate::container::{Container, Namespaces};
use crate::fault::Faults;
use crate::walk::Seen;
use crate::{conmon, docker};

/// What was found out about containers in the scans before.
#[derive(Debug, Default)]
pub(crate) struct Remembered;

/// The host as the containers are in it.
pub(crate) struct Scene<'a> {
    pub(crate) processes: &'a [Seen],
    pub(crate) membership: &'a [Option<usize>],
    /// The places of the containers' first processes.
    pub(crate) inits: &'a [usize],
    pub(crate) host: &'a Namespaces,
    pub(crate) hostnames: &'a HashMap<ProcessId, Option<Vec<u8>>>,
}

pub(crate) fn describe(
    containers: &mut [Container],
    scene: &Scene<'_>,
    _remembered: &mut Remembered,
    faults: &mut Faults,
) {
    let names = conmon::Names::of(scene.processes, scene.host);
    for (container, init) in containers.iter_mut().zip(scene.inits) {
        container.hostname = scene
            .hostnames
            .get(&container.init)
            .and_then(Option::as_ref)
            .map(|name| Escaped(name).to_string());
        let Some(seen) = scene.processes.get(*init) else { continue };
        if !matches!(container.runtime, Runtime::Podman | Runtime::CriO | Runtime::Docker | Runtime::Unknown)
        {
            continue;
        }
        if container.runtime == Runtime::Unknown && container.id.starts_with("ns-") {
            continue;
        }
        let process = match seen.trace.follow() {
            Ok(process) => process,
            Err(error) => {
                faults.of_pid("reopen", container.init.pid, &error);
                continue;
            }
        };
        if matches!(container.runtime, Runtime::Podman | Runtime::CriO) && container.name.is_none() {
            container.name = names.of_container(&container.id, &process);
        }
        if matches!(container.runtime, Runtime::Docker | Runtime::Unknown)
            && let Some(record) = docker::record(&container.id, &process)
        {
            if container.runtime == Runtime::Unknown {
                container.runtime = Runtime::Docker;
                container.evidence.push_str("; Docker has a record of it");
            }
            container.name = record.name.or(container.name.take());
            container.image = record.image;
        }
    }
}
