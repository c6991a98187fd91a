//! What a service's configuration says, in terms that all services have in common.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use portolan_linux::ErrorKind;
use portolan_linux::error::Escaped;
pub use secrecy::{ExposeSecret, SecretString};
use std::os::unix::ffi::OsStrExt as _;

use crate::service::EndpointAddress;

/// What was learnt from a service's configuration. Everything in it was written by whoever runs the service, which may
/// be a hostile container: it says what that wants to be believed, and is checked against the kernel's word where it
/// can be ([`Service::endpoints`](crate::Service::endpoints), [`Service::logs`](crate::Service::logs)).
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Configuration {
    /// The files that make it up, in the order in which the service reads them; each once.
    pub files: Vec<ConfigFile>,
    /// Where the service says that it listens.
    pub listens: Vec<Listen>,
    /// Where it tells its own state.
    pub status: Vec<StatusPage>,
    /// Where it keeps its data.
    pub data_directory: Option<PathBuf>,
    /// The logs that it says it writes.
    pub logs: Vec<ConfiguredLog>,
    /// What it asks of its clients.
    pub access: Access,
    /// What it would accept. Never shown unless [exposed](secrecy::ExposeSecret) by name.
    pub credentials: Vec<Credential>,
    /// What it hands requests on to.
    pub upstreams: Vec<Upstream>,
    /// Other settings that an agent needs, by the service's own names for them. No secrets.
    pub settings: BTreeMap<String, String>,
    /// What could not be read or understood. The rest is true all the same.
    pub faults: Vec<ConfigFault>,
}

/// A file of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigFile {
    /// Its path, as the service sees it.
    pub path: PathBuf,
    /// What makes it part of the configuration, as a clause: `argument -c`, `compiled-in default`, `included`.
    pub by: &'static str,
}

/// Where a service says that it listens.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listen {
    /// The address.
    pub address: ListenAddress,
    /// Whether it speaks TLS there from the first byte on; `None` where it is not told.
    pub tls: Option<bool>,
    /// What it is for.
    pub purpose: Purpose,
}

/// An address as configurations have it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ListenAddress {
    /// A port on one address, or on all of them.
    Inet(Option<IpAddr>, u16),
    /// A port on a host name.
    Name(String, u16),
    /// A Unix socket.
    Unix(PathBuf),
    /// A Unix socket without a file, by its name without the leading zero byte.
    Abstract(Vec<u8>),
}

/// What a listener is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub enum Purpose {
    /// The service itself.
    #[default]
    Service,
    /// Its state, for monitoring.
    Status,
    /// To manage it.
    Admin,
    /// Its own other nodes.
    Cluster,
}

/// A page on which a service tells its state.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StatusPage {
    /// What it is, in the service's own words: `stub_status`, `server-status`, `stats`, `pm.status_path`, `prometheus`.
    pub kind: &'static str,
    /// Where that listens.
    pub listen: ListenAddress,
    /// The path and query of its URL.
    pub path: String,
    /// The host name to ask for, if that matters.
    pub host: Option<String>,
    /// Whether it is there over TLS only.
    pub tls: bool,
    /// Whether the configuration lets in some clients only.
    pub restricted: bool,
}

/// A log that a configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfiguredLog {
    /// Its path, as the service sees it. It may hold the service's own placeholders (`%Y`) where [`pattern`](Self::pattern)
    /// says so.
    pub path: PathBuf,
    /// What is in it.
    pub purpose: LogPurpose,
    /// How its lines are written, where the configuration tells.
    pub format: Option<LogFormat>,
    /// Whether the path is a pattern: a glob that matches the files that the service makes of it.
    pub pattern: bool,
}

/// What is in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
#[non_exhaustive]
pub enum LogPurpose {
    /// What clients asked for.
    Access,
    /// What went wrong, and how the service fares.
    Error,
    /// Requests that took long.
    Slow,
    /// All else, or all in one.
    #[default]
    General,
}

/// How the lines of a log are written.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogFormat {
    /// Its name in the configuration: `combined`, `main`, `json`, `csvlog`.
    pub name: String,
    /// The format itself, in the service's own language, as the configuration or the service's defaults have it.
    pub text: Option<String>,
}

/// What a service asks of its clients; `None` where that is not told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Access {
    /// Whether a password (or another proof) is needed.
    pub password: Option<bool>,
    /// Whether TLS is needed.
    pub tls: Option<bool>,
}

/// What a service hands requests on to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Upstream {
    /// Its name in the configuration; of a single address that stands where it is used, that address. Escaped.
    pub name: String,
    /// The addresses behind it, as the configuration has them. Escaped.
    pub addresses: Vec<String>,
}

/// Something that a service would accept as proof.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Credential {
    /// Where it comes from, as a clause: `requirepass`, `variable POSTGRES_PASSWORD`.
    pub source: String,
    /// Whose it is.
    pub user: Option<String>,
    /// The password itself.
    pub secret: SecretString,
}

/// What could not be read or understood of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigFault {
    /// Of what kind.
    pub kind: ErrorKind,
    /// The file.
    pub path: Option<PathBuf>,
    /// The line in it, the first being 1.
    pub line: Option<u32>,
    /// What is wrong, without the file's name; escaped.
    pub message: String,
}

impl Configuration {
    /// Notes a file, once.
    pub fn add_file(&mut self, path: impl Into<PathBuf>, by: &'static str) {
        let path = path.into();
        if !self.files.iter().any(|known| known.path == path) {
            self.files.push(ConfigFile { path, by });
        }
    }

    /// Notes a listener, once.
    pub fn add_listen(&mut self, address: ListenAddress, tls: Option<bool>, purpose: Purpose) {
        let listen = Listen { address, tls, purpose };
        if !self.listens.contains(&listen) {
            self.listens.push(listen);
        }
    }

    /// Notes a log, once for each path and purpose.
    pub fn add_log(&mut self, path: impl Into<PathBuf>, purpose: LogPurpose, format: Option<LogFormat>) {
        let log = ConfiguredLog { path: path.into(), purpose, format, pattern: false };
        if !self.logs.iter().any(|known| known.path == log.path && known.purpose == purpose) {
            self.logs.push(log);
        }
    }

    /// Notes what requests are handed on to, once for each name.
    pub fn add_upstream(&mut self, name: &[u8], addresses: impl IntoIterator<Item = Vec<u8>>) {
        let name = Escaped(name).to_string();
        if self.upstreams.len() < MOST_UPSTREAMS && !self.upstreams.iter().any(|known| known.name == name) {
            let addresses = addresses.into_iter().map(|address| Escaped(&address).to_string()).collect();
            self.upstreams.push(Upstream { name, addresses });
        }
    }

    /// Notes what could not be read or understood; after a hundred, no more.
    pub fn add_fault(
        &mut self,
        kind: ErrorKind,
        path: Option<&Path>,
        line: Option<u32>,
        message: impl fmt::Display,
    ) {
        if self.faults.len() < MOST_FAULTS {
            let message = Escaped(message.to_string().as_bytes()).to_string();
            self.faults.push(ConfigFault { kind, path: path.map(Path::to_owned), line, message });
        }
    }
}

/// A configuration of nothing but mistakes is not worth more.
const MOST_FAULTS: usize = 100;
/// So many are more than anybody asks for.
pub(crate) const MOST_UPSTREAMS: usize = 1000;

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{}", Escaped(path.as_os_str().as_bytes()))?;
            if let Some(line) = self.line {
                write!(f, ":{line}")?;
            }
            f.write_str(": ")?;
        }
        f.write_str(&self.message)
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Inet(None, port) => write!(f, "*:{port}"),
            Self::Inet(Some(address), port) => write!(f, "{}", SocketAddr::new(*address, *port)),
            Self::Name(name, port) => write!(f, "{}:{port}", Escaped(name.as_bytes())),
            Self::Unix(path) => write!(f, "unix:{}", Escaped(path.as_os_str().as_bytes())),
            Self::Abstract(name) => write!(f, "unix:@{}", Escaped(name)),
        }
    }
}

impl ListenAddress {
    /// Where to dial it from inside its namespace: all addresses, and an unspecified one, become the loopback. `None` for
    /// a name, which means nothing outside of its container.
    #[must_use]
    pub fn dial_address(&self) -> Option<EndpointAddress> {
        let v6 = matches!(self, Self::Inet(Some(IpAddr::V6(_)), _));
        let loopback = if v6 { Ipv6Addr::LOCALHOST.into() } else { IpAddr::from(Ipv4Addr::LOCALHOST) };
        match self {
            Self::Inet(address, port) => {
                let bound = address.filter(|address| !address.is_unspecified());
                Some(EndpointAddress::Tcp(SocketAddr::new(bound.unwrap_or(loopback), *port)))
            }
            Self::Unix(path) => Some(EndpointAddress::Unix(path.clone())),
            Self::Abstract(name) => Some(EndpointAddress::Abstract(name.clone())),
            Self::Name(..) => None,
        }
    }
}

impl LogPurpose {
    /// Its name in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Error => "error",
            Self::Slow => "slow",
            Self::General => "general",
        }
    }
}

impl Purpose {
    /// Its name in JSON.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Service => "service",
            Self::Status => "status",
            Self::Admin => "admin",
            Self::Cluster => "cluster",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_listens_everywhere_is_dialed_at_the_loopback() {
        let dialed = |address: Option<&str>| {
            let address = ListenAddress::Inet(address.map(|text| text.parse().unwrap()), 80);
            address.dial_address().unwrap().to_string()
        };
        assert_eq!(dialed(None), "127.0.0.1:80");
        assert_eq!(dialed(Some("0.0.0.0")), "127.0.0.1:80");
        assert_eq!(dialed(Some("::")), "[::1]:80");
        assert_eq!(dialed(Some("10.0.0.1")), "10.0.0.1:80");
        assert_eq!(dialed(Some("fe80::1")), "[fe80::1]:80");
        assert_eq!(ListenAddress::Name("localhost".to_owned(), 80).dial_address(), None);
    }
}
