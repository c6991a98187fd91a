//! A container: a set of processes that share what they see.

use std::cmp::Ordering;

use portolan_linux::{NamespaceId, ProcessId};

use crate::cgroup::{Kind, Runtime};

/// A container.
///
/// Its names come from runtimes' records, cgroup paths or the container itself; they are escaped where they could
/// forge a line, and are for people: decisions are made by `init` and `namespaces`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Container {
    /// The runtime, as far as monitors, cgroup, mounts or a runtime's own record tell; [`Runtime::Unknown`] when only the
    /// namespaces, or an id without a runtime's name, tell that it is a container.
    pub runtime: Runtime,
    /// Workload, sandbox of a pod, or a confined application.
    pub kind: Kind,
    /// The runtime's id; for one without a runtime `ns-`, the inode number of the namespace that sets it apart, and
    /// the start time of its first process (a namespace's number is soon given to another).
    pub id: String,
    /// The runtime's name for it.
    pub name: Option<String>,
    /// The host name that its processes see, when it is not the host's. They choose it themselves.
    pub hostname: Option<String>,
    /// The Kubernetes pod that it belongs to.
    pub pod: Option<Pod>,
    /// The image that it was made from, as its runtime recorded it.
    pub image: Option<String>,
    /// Its oldest process: the one to enter by.
    pub init: ProcessId,
    /// That process's namespaces.
    pub namespaces: Namespaces,
    /// How many processes it has.
    pub processes: usize,
    /// Why it is a container and who it is, as clauses, the most trusted first.
    pub evidence: Vec<String>,
    /// Whether its id stands where a user could have made it.
    pub(crate) claimed: bool,
}

impl Container {
    /// What containers of a chart are ordered by.
    pub(crate) fn order(&self, other: &Self) -> Ordering {
        (self.runtime, &self.name, &self.id).cmp(&(other.runtime, &other.name, &other.id))
    }
}

/// A Kubernetes pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pod {
    /// Its uid, with dashes.
    pub uid: String,
    /// Its name, where the runtime's records tell.
    pub name: Option<String>,
    /// Its namespace (of Kubernetes), where the runtime's records tell.
    pub namespace: Option<String>,
}

/// The namespaces of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Namespaces {
    /// Mount points.
    pub mnt: NamespaceId,
    /// The network.
    pub net: NamespaceId,
    /// Process numbers.
    pub pid: NamespaceId,
    /// Users and capabilities.
    pub user: NamespaceId,
}
