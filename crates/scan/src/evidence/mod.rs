//! What is known of a container beyond its cgroup, by how far it can be believed.
//!
//! Each source is read by a module of its own: bytes in, evidence out, no I/O. The bytes are of others' making, so
//! each reader is bounded and fails by saying nothing. [`verdict`] weighs what they say.
//!
//! - [`monitor`]: the process on the host that looks after the container
//! - [`cgroup`]: its cgroup, and whether a user could have made that
//! - [`mounts`]: what is mounted in it
//! - [`environment`]: the variables that it was started with
//! - [`pod`], [`label`]: names of Kubernetes; names made fit to show

pub(crate) mod cgroup;
pub(crate) mod environment;
pub(crate) mod label;
pub(crate) mod monitor;
pub(crate) mod mounts;
pub(crate) mod pod;
pub(crate) mod verdict;

use crate::cgroup::{Kind, Runtime};
use crate::container::Pod;

/// How far evidence is believed: by who could have made it. Later ones win.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trust {
    /// The name of a directory of cgroups that no rule knows: a runtime was told to use it, or somebody else.
    Guess,
    /// The container's own variables: it can start with any, and rewrite them.
    Environment,
    /// Mounts: a user namespace can mount any directory that its user sees.
    Mounts,
    /// A cgroup below a user's manager, or a monitor that is not root's or is in a container: whoever that is can make
    /// any name.
    User,
    /// A cgroup that only root could have made.
    Cgroup,
    /// The command line of a monitor that root runs.
    Monitor,
}

/// What one source says of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Evidence {
    pub(crate) trust: Trust,
    /// [`Runtime::Unknown`] where it does not tell.
    pub(crate) runtime: Runtime,
    pub(crate) kind: Option<Kind>,
    /// The container's own id.
    pub(crate) id: Option<String>,
    /// The id of its pod's sandbox.
    pub(crate) sandbox: Option<String>,
    /// The name that people know.
    pub(crate) name: Option<String>,
    pub(crate) pod: Option<Pod>,
    pub(crate) image: Option<String>,
    /// A clause that a person understands, without a full stop.
    pub(crate) says: String,
}

impl Evidence {
    pub(crate) fn new(trust: Trust, runtime: Runtime, says: String) -> Self {
        Self { trust, runtime, says, kind: None, id: None, sandbox: None, name: None, pod: None, image: None }
    }
}
