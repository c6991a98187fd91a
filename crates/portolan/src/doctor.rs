//! What works here, and which privilege or kernel feature each thing that does not is missing.

use std::fmt;

use portolan_files::Files;
use portolan_linux::netns::SocketKind;
use portolan_linux::{Home, NetNs, Process};

use crate::Capability;

/// One feature, and how it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Check {
    /// The feature.
    pub feature: &'static str,
    /// Whether it works.
    pub state: State,
    /// What was found, or what to do.
    pub detail: String,
}

/// How a feature stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// It works.
    Works,
    /// It works in part, or by a fallback.
    Partly,
    /// It does not work.
    Missing,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Works => "works",
            Self::Partly => "partly",
            Self::Missing => "missing",
        })
    }
}

/// Tries every feature on this process itself; no container is touched.
#[must_use]
pub fn examine() -> Vec<Check> {
    vec![
        by_capability("scan: processes of all users", &[Capability::SysPtrace], State::Partly),
        listeners(),
        by_capability(
            "scan: listeners in other namespaces",
            &[Capability::SysPtrace, Capability::SysAdmin],
            State::Partly,
        ),
        by_capability(
            "dial: connect inside containers",
            &[Capability::SysPtrace, Capability::SysAdmin],
            State::Missing,
        ),
        by_capability(
            "files: enter containers",
            &[Capability::SysPtrace, Capability::SysAdmin, Capability::SysChroot],
            State::Missing,
        ),
        by_capability("files: protected files", &[Capability::DacReadSearch], State::Partly),
        helper(),
        cgroups(),
    ]
}

fn by_capability(feature: &'static str, needed: &[Capability], without: State) -> Check {
    let missing: Vec<String> = needed.iter().filter(|c| !c.is_effective()).map(ToString::to_string).collect();
    if missing.is_empty() {
        let all: Vec<String> = needed.iter().map(ToString::to_string).collect();
        Check { feature, state: State::Works, detail: format!("has {}", all.join(", ")) }
    } else {
        Check { feature, state: without, detail: format!("needs {}", missing.join(", ")) }
    }
}

fn listeners() -> Check {
    let feature = "scan: listeners of the host (sock_diag)";
    let asked = Home::here().and_then(|home| {
        let socket = NetNs::of_this_thread()?.socket(&home, SocketKind::SockDiag)?;
        portolan_linux::sock_diag::tcp_listeners(&socket, std::time::Duration::from_secs(1))
    });
    match asked {
        Ok(found) => Check { feature, state: State::Works, detail: format!("{} found", found.len()) },
        Err(error) => {
            let detail = format!("{error}; load the kernel modules tcp_diag and inet_diag");
            Check { feature, state: State::Missing, detail }
        }
    }
}

fn helper() -> Check {
    let feature = "files: the helper";
    match Files::new() {
        Ok(files) if files.is_sealed() => {
            Check { feature, state: State::Works, detail: "runs from sealed memory".to_owned() }
        }
        Ok(_) => Check {
            feature,
            state: State::Partly,
            detail: "runs from its file: this host refuses to execute memory (vm.memfd_noexec), so pid namespaces \
                     are not joined"
                .to_owned(),
        },
        Err(error) => Check { feature, state: State::Missing, detail: error.to_string() },
    }
}

fn cgroups() -> Check {
    let feature = "scan: runtimes by cgroup";
    let own = Process::open(std::process::id().cast_signed()).and_then(|process| process.cgroup());
    let text = own.unwrap_or_default();
    let lines = || text.split(|b| *b == b'\n').filter(|line| !line.is_empty());
    let (unified, others) = (lines().filter(|l| l.starts_with(b"0::")).count(), lines().count());
    let detail = match (unified, others) {
        (0, 0) => {
            return Check { feature, state: State::Missing, detail: "no cgroups are mounted".to_owned() };
        }
        (1, 1) => "cgroup v2",
        (0, _) => "cgroup v1",
        _ => "cgroup v1 and v2 (hybrid)",
    };
    Check { feature, state: State::Works, detail: detail.to_owned() }
}
