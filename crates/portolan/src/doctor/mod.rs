//! What works here, and which privilege or kernel feature each thing that does not is missing.
//!
//! - `privileges`: the capabilities of each feature
//! - `one_pass`: whether BPF iterators work; `listens`: whether it is told who begins to listen

mod listens;
mod one_pass;
mod privileges;

use std::fmt;
use std::io::ErrorKind as IoKind;
use std::net::UdpSocket;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::time::{Duration, Instant};

use portolan_files::{Files, GlobOptions, posture};
use portolan_linux::netns::{self, SocketKind};
use portolan_linux::proc_events::ProcessEvents;
use portolan_linux::sock_diag::{Dumper, Wanted};
use portolan_linux::{Error, Home, NamespaceKind, NetNs, Process, netns_files};

use crate::{Capability, ErrorKind};
pub use privileges::{PRIVILEGES, Privilege};

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
    let mut checks: Vec<Check> = PRIVILEGES.iter().map(Privilege::check).collect();
    checks.extend([
        one_pass::one_pass(),
        listeners(),
        entering(),
        sockets(),
        cgroups(),
        records(),
        events(),
        listens::listens(),
        helper(),
        walls(),
    ]);
    checks.sort_by_key(|check| check.feature.split(':').next().unwrap_or_default());
    checks
}

/// What the helper can give up on this host: it enters the namespace that it is in already, and looks at its root.
fn walls() -> Check {
    let feature = "files: the helper's walls";
    let entered = Files::new()
        .map_err(crate::Error::from)
        .and_then(|files| Ok(files.glob(&own()?, "/", &GlobOptions::default())?.helper));
    let hello = match entered {
        Ok(hello) => hello,
        Err(error) => return Check { feature, state: State::Missing, detail: error.to_string() },
    };
    let has = |bit: u16| hello.posture & bit != 0;
    let walls = [
        (hello.seccomp == 2, "a seccomp filter"),
        (hello.landlock > 0, "Landlock"),
        (has(posture::PRIVATE_PROCFS), "a procfs of its own"),
        (has(posture::SEALED), "sealed memory"),
        (has(posture::NOT_DUMPABLE), "not dumpable"),
        (has(posture::NO_NEW_PRIVS), "no new privileges"),
        (has(posture::LIMITED), "resource limits"),
        (has(posture::DEATH_SIGNAL), "a death signal"),
        (hello.bounding == 0, "an empty bounding set"),
    ];
    let named = |there: bool| {
        walls.iter().filter(|(has, _)| *has == there).map(|(_, name)| *name).collect::<Vec<_>>().join(", ")
    };
    match named(false) {
        missing if missing.is_empty() => Check { feature, state: State::Works, detail: named(true) },
        missing => Check { feature, state: State::Partly, detail: format!("lacks {missing}") },
    }
}

fn listeners() -> Check {
    let feature = "scan: listeners of the host (sock_diag)";
    let asked = Home::here().and_then(|home| {
        let socket = NetNs::of_this_thread()?.socket(&home, SocketKind::SockDiag)?;
        let now = Instant::now();
        let deadline = now.checked_add(Duration::from_secs(1)).unwrap_or(now);
        let mut found = Vec::new();
        for wanted in [Wanted::Tcp, Wanted::Udp4, Wanted::Udp6, Wanted::Unix] {
            Dumper::new().ask(&socket, wanted, deadline, &mut found)?;
        }
        Ok(found)
    });
    match asked {
        Ok(found) => Check { feature, state: State::Works, detail: format!("{} found", found.len()) },
        Err(error) => {
            let detail = format!(
                "{error}; load the kernel modules inet_diag, tcp_diag, udp_diag and unix_diag; without: {TEXT}"
            );
            Check { feature, state: State::Partly, detail }
        }
    }
}

/// What serves where the kernel's dump cannot be had.
const TEXT: &str = "the text files of /proc/PID/net, which are slower and do not tell the interface of a socket, \
                    IPV6_V6ONLY, and the users of Unix sockets";

/// Whether network namespaces can be entered. Joining where one is already changes nothing, and takes the same right.
fn entering() -> Check {
    let feature = "scan: entering network namespaces (setns)";
    let entered = own().and_then(|own| {
        let id = own.namespace(NamespaceKind::Net)?;
        let namespace = own.open_namespace(NamespaceKind::Net)?;
        netns::visit(|visitor| visitor.sock_diag_of(namespace.as_fd(), id))?
    });
    match entered {
        Ok(_) => Check { feature, state: State::Works, detail: "entered our own".to_owned() },
        Err(error) => {
            let detail = format!("{}; without: {TEXT}; host names of containers are not known", why(&error));
            Check { feature, state: State::Partly, detail }
        }
    }
}

/// Whether a thorough scan can ask sockets of others where they are: it borrows one of our own.
fn sockets() -> Check {
    let feature = "scan: namespaces held by sockets (pidfd_getfd)";
    let socket = match UdpSocket::bind("127.0.0.1:0") {
        Ok(socket) => socket,
        Err(error) => {
            return Check { feature, state: State::Missing, detail: format!("no socket to try it: {error}") };
        }
    };
    match own().and_then(|own| netns_files::socket_namespace_of(&own, socket.as_raw_fd())) {
        Ok(_) => Check { feature, state: State::Works, detail: "borrowed a socket and asked it".to_owned() },
        Err(error) => Check {
            feature,
            state: State::Missing,
            detail: format!(
                "{}; a thorough scan does not find network namespaces that only a socket holds",
                why(&error)
            ),
        },
    }
}

/// Whether the kernel tells of processes that start and end.
fn events() -> Check {
    let feature = "watch: process events (connector)";
    match ProcessEvents::open() {
        Ok(events) => {
            let detail = match events.is_filtered() {
                true => "the kernel tells of starts and ends, and of nothing else",
                false => "the kernel tells of starts and ends among other things (before Linux 6.6)",
            };
            Check { feature, state: State::Works, detail: detail.to_owned() }
        }
        Err(error) => Check {
            feature,
            state: State::Partly,
            detail: format!(
                "{}; without: the host is scanned again and again, and what starts is seen within one interval",
                why(&error)
            ),
        },
    }
}

/// Where runtimes keep what they know of their containers, as far as root or the daemons of a host keep it.
const RECORDS: [(&str, &[&str]); 6] = [
    ("Docker", &["/var/lib/docker/containers"]),
    ("containerd", &["/run/containerd/io.containerd.runtime.v2.task"]),
    ("Podman and CRI-O", &["/var/lib/containers/storage", "/run/containers/storage"]),
    ("runc and crun", &["/run/runc", "/run/crun"]),
    ("LXC", &["/var/lib/lxc"]),
    ("systemd", &["/run/systemd/machines"]),
];

/// Which runtimes keep records here, and whether we may list them.
fn records() -> Check {
    let list = |place: &&str| std::fs::read_dir(place).map(drop).map_err(|error| error.kind());
    records_listed(RECORDS.iter().map(|(runtime, places)| (*runtime, places.iter().map(list).collect())))
}

/// By how listing the places of each went.
fn records_listed(runtimes: impl Iterator<Item = (&'static str, Vec<Result<(), IoKind>>)>) -> Check {
    let feature = "scan: records of runtimes";
    let (mut readable, mut refused) = (Vec::new(), Vec::new());
    for (runtime, places) in runtimes {
        if places.contains(&Err(IoKind::PermissionDenied)) {
            refused.push(runtime);
        } else if places.contains(&Ok(())) {
            readable.push(runtime);
        }
    }
    let (state, detail) = match (readable.is_empty(), refused.is_empty()) {
        (true, true) => (State::Works, "no runtime keeps any in its usual place".to_owned()),
        (false, true) => (State::Works, format!("those of {}", readable.join(", "))),
        (none, false) => (
            if none { State::Missing } else { State::Partly },
            format!(
                "may not read those of {}: needs root, or {}; without: ids from cgroups, but no names and images",
                refused.join(", "),
                Capability::DacReadSearch,
            ),
        ),
    };
    Check { feature, state, detail }
}

fn own() -> Result<Process, Error> {
    Process::own()
}

/// An error, with what the kernel's refusal means when no capability is missing.
fn why(error: &Error) -> String {
    match error.kind() {
        ErrorKind::PermissionDenied => {
            format!("{error}: a filter of system calls or a security module refuses it")
        }
        _ => error.to_string(),
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
    let text = own().and_then(|process| process.cgroup()).unwrap_or_default();
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_that_may_not_be_read_are_told_from_those_that_are_not_there() {
        let (no, none) = (Err(IoKind::PermissionDenied), Err(IoKind::NotFound));
        for (docker, podman, state, detail) in [
            (none, vec![none, none], State::Works, "no runtime keeps any in its usual place"),
            (Ok(()), vec![none, Ok(())], State::Works, "those of Docker, Podman"),
            (Ok(()), vec![Ok(()), no], State::Partly, "may not read those of Podman: needs root, or CAP_DAC"),
            (no, vec![no], State::Missing, "may not read those of Docker, Podman: needs root, or CAP_DAC"),
        ] {
            let check = records_listed([("Docker", vec![docker]), ("Podman", podman)].into_iter());
            assert_eq!(check.state, state, "{check:?}");
            assert!(check.detail.starts_with(detail), "{check:?}");
        }
    }
}
