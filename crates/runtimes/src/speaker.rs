//! Who answers on a socket, and which containers that user may speak of.

use std::sync::Arc;

use portolan_linux::{NamespaceKind, Process, ProcessId};
use portolan_scan::cgroup::classify;
use portolan_scan::{Container, Inventory, Namespaces, Runtime};

use crate::fault::Trouble;
use crate::metadata::Engine;

/// Who listens on a socket (`SO_PEERCRED`, `unix(7)`), kept by the kernel since `listen(2)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Speaker {
    pub(crate) user: u32,
    /// Whether its numbers of processes are the chart's. A daemon in a pid namespace of its own counts differently.
    pub(crate) same_numbers: bool,
}

impl Speaker {
    /// The process may have ended since it called `listen(2)`, as a manager that handed the socket on does not: its
    /// number then proves nothing, and the daemon is held to ours.
    pub(crate) fn new(user: u32, pid: Option<i32>, own_pids: portolan_linux::NamespaceId) -> Self {
        let same_numbers = pid.filter(|pid| *pid > 0).is_some_and(|pid| {
            let theirs = Process::open(pid).and_then(|process| process.namespace(NamespaceKind::Pid));
            theirs.map_or(true, |theirs| theirs == own_pids)
        });
        Self { user, same_numbers }
    }
}

/// A container of the chart that a runtime with an API could know.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) id: String,
    pub(crate) init: ProcessId,
    runtime: Runtime,
    namespaces: Namespaces,
    host: Namespaces,
    /// Who may speak of it beside root.
    owner: Option<u32>,
}

/// The containers of a chart that are worth asking about.
pub(crate) fn targets(chart: &Inventory) -> Arc<[Target]> {
    chart.containers.iter().filter_map(|container| Target::of(container, &chart.host)).collect()
}

impl Target {
    fn of(container: &Container, host: &Namespaces) -> Option<Self> {
        let may_be = matches!(
            container.runtime,
            Runtime::Docker
                | Runtime::Podman
                | Runtime::Kubernetes
                | Runtime::Unknown
                | Runtime::Runc
                | Runtime::Crun
        );
        // Ids go into requests: nothing but what a runtime makes up.
        if !may_be || !is_id(&container.id) {
            return None;
        }
        let mut target = Self {
            id: container.id.clone(),
            init: container.init,
            runtime: container.runtime,
            namespaces: container.namespaces,
            host: *host,
            owner: None,
        };
        target.owner = target.find_owner();
        Some(target)
    }

    /// The user whose container it is, when it is a user's: it has a user namespace, into which that user mapped
    /// themselves, and the same user's process looks after it.
    ///
    /// An unprivileged user can map their own number alone, in a line of length one (`user_namespaces(7)`). Who the first
    /// process runs as does not count: a container of root's can run as any user.
    fn find_owner(&self) -> Option<u32> {
        if self.namespaces.user == self.host.user {
            return None;
        }
        let init = Process::reopen(self.init).ok()?;
        let keeper = Process::open(init.stat().parent).ok()?;
        let user = keeper.owner().ok().filter(|user| *user != 0)?;
        let (map, _) = init.id_maps().ok()?;
        maps(&map, user).then_some(user)
    }

    /// Whether what this user says of it can be believed.
    pub(crate) fn may_be_spoken_of_by(&self, user: u32) -> bool {
        user == 0 || self.owner == Some(user)
    }

    /// Whether a runtime with this API could have made it.
    pub(crate) fn may_be_of(&self, engine: Engine) -> bool {
        match self.runtime {
            Runtime::Docker => engine == Engine::Docker,
            Runtime::Podman => engine == Engine::Podman,
            _ => true,
        }
    }

    /// Whether it is known to be this runtime's.
    pub(crate) fn is_of(&self, engine: Engine) -> bool {
        match engine {
            Engine::Docker => self.runtime == Runtime::Docker,
            Engine::Podman => self.runtime == Runtime::Podman,
        }
    }

    /// Holds the daemon's word about the first process against the kernel's.
    pub(crate) fn compare(&self, said: i64, speaker: Speaker) -> Result<(), Trouble> {
        let is = self.init.pid;
        if said == i64::from(is) || !speaker.same_numbers {
            return Ok(());
        }
        let other = i32::try_from(said).ok().filter(|pid| *pid > 0).and_then(|pid| Process::open(pid).ok());
        // It may have been started again since the chart was made.
        match other {
            Some(process) if self.has(&process) => Ok(()),
            _ => Err(Trouble::Contradiction { said, is }),
        }
    }

    /// Whether what was said of this first process is said of the one that the chart shows.
    pub(crate) fn is_still(&self, said: i64, speaker: Speaker) -> bool {
        speaker.same_numbers && said == i64::from(self.init.pid)
    }

    fn has(&self, process: &Process) -> bool {
        if process.cgroup().is_ok_and(|text| classify(&text).container_id.as_deref() == Some(&self.id)) {
            return true;
        }
        let inside =
            |kind, own, hosts| own != hosts && process.namespace(kind).is_ok_and(|theirs| theirs == own);
        inside(NamespaceKind::Mount, self.namespaces.mnt, self.host.mnt)
            && inside(NamespaceKind::Pid, self.namespaces.pid, self.host.pid)
    }
}

/// Whether this is an id of Docker's or Podman's.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether a `uid_map` has this user in a line of its own.
fn maps(map: &[u8], user: u32) -> bool {
    // The kernel allows 340 lines.
    map.split(|b| *b == b'\n').take(340).any(|line| {
        let numbers: Vec<&[u8]> =
            line.split(u8::is_ascii_whitespace).filter(|part| !part.is_empty()).collect();
        matches!(numbers.as_slice(), [_, outside, b"1"] if *outside == user.to_string().as_bytes())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whom_a_map_belongs_to() {
        assert!(maps(b"         0       1001          1\n         1     100000      65536\n", 1001));
        assert!(!maps(b"0 1001 1\n", 100_000));
        // The host's own, a range that root gave to somebody, and one that holds the user among others.
        assert!(!maps(b"0 0 4294967295\n", 0));
        assert!(!maps(b"0 100000 65536\n", 100_000));
        assert!(!maps(b"0 1000 65536\n", 1001));
        assert!(!maps(b"\n1\n1001 1\n", 1001));
    }

    #[test]
    fn what_is_an_id() {
        assert!(is_id(&"0a".repeat(32)));
        for wrong in [
            "",
            "web",
            &"0A".repeat(32),
            &"0a".repeat(31),
            &format!("{}/..", "0a".repeat(31)),
            &"é".repeat(32),
        ] {
            assert!(!is_id(wrong), "{wrong}");
        }
    }
}
