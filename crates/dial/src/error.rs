//! A connection that was not made, and why.

use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use portolan_linux::ErrorKind;
use portolan_linux::error::{Escaped, Limit, NetError};

/// A connection that was not made.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(Box<Repr>);

#[derive(Debug, thiserror::Error)]
enum Repr {
    #[error("dial {address} in the container of pid {pid}: {kind}")]
    Net { kind: ErrorKind, address: SocketAddr, pid: i32, source: Option<io::Error> },
    #[error("dial {} in the container of pid {pid}: {kind} ({source})", Escaped(path.as_os_str().as_bytes()))]
    Unix { kind: ErrorKind, path: PathBuf, pid: i32, source: io::Error },
    #[error("dial in the container of pid {pid}: {kind} (while trying to {})", source.call())]
    Linux { kind: ErrorKind, pid: i32, source: portolan_linux::Error },
    #[error(
        "dial in the container of pid {0}: it shares the host's network; connect directly, or allow the host's \
         network explicitly"
    )]
    HostNetwork(i32),
    #[cfg(any(feature = "tower", feature = "ureq"))]
    #[error("dial '{}' in the container of pid {pid}: {kind}: {reason}", Escaped(authority.as_bytes()))]
    Authority { kind: ErrorKind, authority: String, pid: i32, reason: &'static str },
    #[cfg(feature = "dns")]
    #[error(
        "look up '{}' in the container of pid {pid}: {kind} ({})", Escaped(name.as_bytes()), Escaped(said.as_bytes())
    )]
    Lookup { kind: ErrorKind, name: String, pid: i32, said: String },
    #[cfg(any(feature = "tunnel", feature = "runtime"))]
    #[error("{what} for the container of pid {pid}: {kind} ({source})")]
    Local { kind: ErrorKind, what: &'static str, pid: i32, source: io::Error },
}

impl Error {
    /// What kind of error it is: [`ErrorKind::Net`] with refused or unreachable, [`ErrorKind::Timeout`],
    /// [`ErrorKind::TargetGone`], [`ErrorKind::MissingPrivilege`], [`ErrorKind::NamespaceMismatch`].
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match &*self.0 {
            Repr::Net { kind, .. } | Repr::Unix { kind, .. } | Repr::Linux { kind, .. } => *kind,
            Repr::HostNetwork(_) => ErrorKind::NamespaceMismatch,
            #[cfg(any(feature = "tower", feature = "ureq"))]
            Repr::Authority { kind, .. } => *kind,
            #[cfg(feature = "dns")]
            Repr::Lookup { kind, .. } => *kind,
            #[cfg(any(feature = "tunnel", feature = "runtime"))]
            Repr::Local { kind, .. } => *kind,
        }
    }

    pub(crate) fn net(pid: i32, address: SocketAddr, source: io::Error) -> Self {
        let kind = net_kind(source.raw_os_error().map(nix::Error::from_raw));
        Self(Box::new(Repr::Net { kind, address, pid, source: Some(source) }))
    }

    pub(crate) fn unix(pid: i32, path: &Path, source: io::Error) -> Self {
        let kind = match source.raw_os_error().map(nix::Error::from_raw) {
            Some(nix::Error::ENOENT | nix::Error::ENOTDIR) => ErrorKind::NotFound,
            Some(nix::Error::ENOTSOCK | nix::Error::EINVAL | nix::Error::ENAMETOOLONG) => {
                ErrorKind::InvalidInput
            }
            Some(nix::Error::ELOOP) => ErrorKind::SymlinkLoop,
            Some(nix::Error::EBUSY) => ErrorKind::Busy,
            other => net_kind(other),
        };
        Self(Box::new(Repr::Unix { kind, path: path.to_owned(), pid, source }))
    }

    pub(crate) fn of_kind(kind: ErrorKind, pid: i32, address: SocketAddr) -> Self {
        Self(Box::new(Repr::Net { kind, address, pid, source: None }))
    }

    pub(crate) fn linux(pid: i32, source: portolan_linux::Error) -> Self {
        Self(Box::new(Repr::Linux { kind: source.kind(), pid, source }))
    }

    /// Something on our own side of it: a place to listen, a thread.
    #[cfg(any(feature = "tunnel", feature = "runtime"))]
    pub(crate) fn local(pid: i32, what: &'static str, source: io::Error) -> Self {
        let kind = match source.raw_os_error().map(nix::Error::from_raw) {
            Some(nix::Error::ENOENT | nix::Error::ENOTDIR) => ErrorKind::NotFound,
            Some(nix::Error::EACCES | nix::Error::EPERM) => ErrorKind::PermissionDenied,
            Some(nix::Error::EADDRINUSE) => ErrorKind::Busy,
            Some(nix::Error::EMFILE | nix::Error::ENFILE) => ErrorKind::Limit(Limit::Descriptors),
            None if source.kind() == io::ErrorKind::InvalidInput => ErrorKind::InvalidInput,
            _ => ErrorKind::Io,
        };
        Self(Box::new(Repr::Local { kind, what, pid, source }))
    }

    pub(crate) fn host_network(pid: i32) -> Self {
        Self(Box::new(Repr::HostNetwork(pid)))
    }

    #[cfg(any(feature = "tower", feature = "ureq"))]
    pub(crate) fn authority(pid: i32, authority: &str, reason: &'static str) -> Self {
        let (kind, authority) = (ErrorKind::InvalidInput, authority.to_owned());
        Self(Box::new(Repr::Authority { kind, authority, pid, reason }))
    }

    #[cfg(feature = "dns")]
    pub(crate) fn lookup(kind: ErrorKind, pid: i32, name: &str, said: String) -> Self {
        Self(Box::new(Repr::Lookup { kind, name: name.to_owned(), pid, said }))
    }

    /// The same, for another reason that is known better.
    pub(crate) fn with_kind(mut self, better: ErrorKind) -> Self {
        if let Repr::Net { kind, .. } | Repr::Unix { kind, .. } = &mut *self.0 {
            *kind = better;
        }
        self
    }
}

/// For clients that know no errors but these; the error itself is inside.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind() {
            ErrorKind::Net(NetError::Refused) => io::ErrorKind::ConnectionRefused,
            ErrorKind::Net(NetError::Unreachable) => io::ErrorKind::NetworkUnreachable,
            ErrorKind::TargetGone | ErrorKind::TargetChanged => io::ErrorKind::NotConnected,
            ErrorKind::Timeout => io::ErrorKind::TimedOut,
            ErrorKind::NotFound => io::ErrorKind::NotFound,
            ErrorKind::InvalidInput => io::ErrorKind::InvalidInput,
            ErrorKind::PermissionDenied | ErrorKind::MissingPrivilege(_) => io::ErrorKind::PermissionDenied,
            _ => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

fn net_kind(errno: Option<nix::Error>) -> ErrorKind {
    match errno {
        // Reset: the listener was there when the first packet came, and gone when the last did.
        Some(nix::Error::ECONNREFUSED | nix::Error::ECONNRESET) => ErrorKind::Net(NetError::Refused),
        // With the loopback down IPv4 has no route, and IPv6 no address to come from.
        Some(
            nix::Error::ENETUNREACH
            | nix::Error::EHOSTUNREACH
            | nix::Error::EADDRNOTAVAIL
            | nix::Error::ENETDOWN,
        ) => ErrorKind::Net(NetError::Unreachable),
        Some(nix::Error::ETIMEDOUT) => ErrorKind::Timeout,
        Some(nix::Error::EACCES | nix::Error::EPERM) => ErrorKind::PermissionDenied,
        Some(nix::Error::EMFILE | nix::Error::ENFILE) => ErrorKind::Limit(Limit::Descriptors),
        _ => ErrorKind::Net(NetError::Other),
    }
}
