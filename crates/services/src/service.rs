//! A service: what runs, where it is configured, where it logs, and where it is reached.

use std::fmt;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use portolan_linux::error::Escaped;
use portolan_linux::{NamespaceId, ProcessId};

use crate::configuration::{Configuration, LogFormat, LogPurpose, Purpose};

/// Something that runs, and that an agent would watch.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Service {
    /// What it is, by its rule's name: `postgresql`. A program that listens and that no rule knows has the name of its
    /// file, or `unknown` where that would be another kind's; its confidence is low.
    pub kind: String,
    /// Other names of that kind.
    pub aliases: Vec<String>,
    /// What sort of service it is: `database`, `web server`. Empty for an unknown one.
    pub category: String,
    /// What to call it: the kind, or where that is but a runtime, the program's own name. Escaped.
    pub name: String,
    /// The id of the container that it runs in; `None` on the host.
    pub container: Option<String>,
    /// Its first process: the master of its workers.
    pub process: ProcessId,
    /// All its processes, the first one among them, by their numbers.
    pub processes: Vec<i32>,
    /// The network namespace that it is reached in.
    pub netns: NamespaceId,
    /// Its version.
    pub version: Option<Version>,
    /// Where it is reached, best first.
    pub endpoints: Vec<Endpoint>,
    /// What its configuration says.
    pub configuration: Configuration,
    /// Its logs.
    pub logs: Vec<LogFile>,
    /// Why it is what it is, as clauses, the strongest first. Escaped.
    pub evidence: Vec<String>,
    /// How sure that is.
    pub confidence: Confidence,
}

/// How sure it is that a service is of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Confidence {
    /// Only by what it says of itself.
    Low,
    /// By the program that it executes.
    Medium,
    /// By the program, and something else that agrees: a port, a configuration, the image.
    High,
}

/// A version, and how it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Version {
    /// As its makers write it: `1.22.1`. Escaped.
    pub text: String,
    /// Where it comes from, as a clause: `package nginx-light 1.22.1-9+deb12u3 (dpkg)`. Escaped.
    pub source: String,
}

/// Where a service is reached, with a dialer from inside its network namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Endpoint {
    /// What to dial.
    pub address: EndpointAddress,
    /// What it is for.
    pub purpose: Purpose,
    /// Whether it speaks TLS from the first byte on; `None` where that is not told.
    pub tls: Option<bool>,
    /// Whether a socket listens there, as the kernel says; otherwise only the configuration says so.
    pub listening: bool,
}

/// What to dial.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum EndpointAddress {
    /// TCP.
    Tcp(SocketAddr),
    /// UDP.
    Udp(SocketAddr),
    /// A Unix socket, by its path inside.
    Unix(PathBuf),
    /// A Unix socket without a file.
    Abstract(Vec<u8>),
}

/// A log file of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogFile {
    /// Its path inside.
    pub path: PathBuf,
    /// What is in it.
    pub purpose: LogPurpose,
    /// How its lines are written, where that is known.
    pub format: Option<LogFormat>,
    /// Its path on the host, where there is one that was seen to be the same file; else it is read through the helper.
    pub host_path: Option<PathBuf>,
    /// Why it has none; `None` also where that was not looked for, as for a pattern.
    pub host_path_missing: Option<&'static str>,
    /// Whether the path is a pattern: the configuration names files by it, and none of them is open.
    pub pattern: bool,
    /// Whether the process holds it open, as the kernel says; otherwise only the configuration names it.
    pub open: bool,
}

impl fmt::Display for Confidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        })
    }
}

impl fmt::Display for EndpointAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => write!(f, "{address}"),
            Self::Udp(address) => write!(f, "udp:{address}"),
            Self::Unix(path) => write!(f, "unix:{}", Escaped(path.as_os_str().as_bytes())),
            Self::Abstract(name) => write!(f, "unix:@{}", Escaped(name)),
        }
    }
}
