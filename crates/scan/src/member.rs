//! A process, as far as the chart needs it.

use portolan_linux::{NamespaceId, ProcessId};

use crate::walk::Seen;

/// A process of the host or of a container.
///
/// It is `Copy` and small: a host has thousands of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Member {
    /// Number and start time.
    pub id: ProcessId,
    /// The number of its parent; 0 when that is outside of our pid namespace.
    pub parent: i32,
    /// The first process of the container that it belongs to ([`Container::init`](crate::Container::init)), which is
    /// what sets containers apart; `None` for the host's own.
    pub container: Option<ProcessId>,
    /// Its mount namespace.
    pub mnt: NamespaceId,
    /// Its network namespace.
    pub net: NamespaceId,
    /// Its effective user, as a number of the host.
    pub owner: u32,
    /// Another number means that it executes another program since:
    /// [`Stat::arguments`](portolan_linux::process::Stat::arguments).
    pub arguments: u64,
    name: [u8; LONGEST],
}

/// `TASK_COMM_LEN` of `include/linux/sched.h`, without the byte that ends it.
const LONGEST: usize = 15;

impl Member {
    pub(crate) fn of(seen: &Seen, container: Option<ProcessId>) -> Self {
        let mut name = [0; LONGEST];
        for (to, from) in name.iter_mut().zip(seen.command()) {
            *to = *from;
        }
        Self {
            id: seen.id(),
            parent: seen.trace.stat().parent,
            container,
            mnt: seen.namespaces.mnt,
            net: seen.namespaces.net,
            owner: seen.trace.owner(),
            arguments: seen.trace.stat().arguments,
            name,
        }
    }

    /// The name that it gives itself (`comm`), of at most 15 bytes: any bytes, and never to be trusted.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        let end = self.name.iter().position(|byte| *byte == 0).unwrap_or(LONGEST);
        self.name.get(..end).unwrap_or(&self.name)
    }
}
