//! What makes a log unreadable.

use std::path::{Path, PathBuf};

use portolan_linux::ErrorKind;
use portolan_linux::error::{Escaped, FileKind};

/// A log that cannot be found or read: which, where, why, and what to do.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(#[from] Repr);

#[derive(Debug, thiserror::Error)]
enum Repr {
    #[error(transparent)]
    Linux(#[from] portolan_linux::Error),
    #[error(transparent)]
    Scan(#[from] portolan_scan::Error),
    #[error("read the log {}: {source}", Escaped(path.as_os_str().as_encoded_bytes()))]
    File { path: PathBuf, source: std::io::Error },
    #[error("read the log {}: {why}", Escaped(path.as_os_str().as_encoded_bytes()))]
    Refused { path: PathBuf, why: &'static str },
    #[error("{0}")]
    Nowhere(String),
    #[error("ask the journal: {0}")]
    Journal(String, ErrorKind),
}

impl Error {
    /// What kind of error it is: [`NotFound`](ErrorKind::NotFound) also where a container's output is kept nowhere.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match &self.0 {
            Repr::Linux(error) => error.kind(),
            Repr::Scan(error) => error.kind(),
            Repr::File { source, .. } => match source.kind() {
                std::io::ErrorKind::NotFound => ErrorKind::NotFound,
                std::io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
                // A symbolic link is one of the errors that the standard library does not name yet.
                std::io::ErrorKind::InvalidInput => ErrorKind::NotRegular(FileKind::Unknown),
                _ => ErrorKind::Io,
            },
            Repr::Refused { .. } => ErrorKind::PermissionDenied,
            Repr::Nowhere(_) => ErrorKind::NotFound,
            Repr::Journal(_, kind) => *kind,
        }
    }

    pub(crate) fn file(path: &Path, error: std::io::Error) -> Self {
        Self(Repr::File { path: path.to_owned(), source: error })
    }

    pub(crate) fn refused(path: &Path, why: &'static str) -> Self {
        Self(Repr::Refused { path: path.to_owned(), why })
    }

    pub(crate) fn nowhere(why: impl Into<String>) -> Self {
        Self(Repr::Nowhere(why.into()))
    }

    pub(crate) fn journal(what: impl Into<String>, kind: ErrorKind) -> Self {
        Self(Repr::Journal(what.into(), kind))
    }
}

impl From<portolan_linux::Error> for Error {
    fn from(error: portolan_linux::Error) -> Self {
        Self(error.into())
    }
}

impl From<portolan_scan::Error> for Error {
    fn from(error: portolan_scan::Error) -> Self {
        Self(error.into())
    }
}
