//! What can go wrong, in words.

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use portolan_linux::ErrorKind;
use portolan_linux::error::Escaped;

/// An error of this crate.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
    source: Option<io::Error>,
}

impl Error {
    /// Of what kind.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    pub(crate) fn rules(path: &Path, source: io::Error) -> Self {
        let kind = match source.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
            io::ErrorKind::InvalidData => ErrorKind::InvalidInput,
            _ => ErrorKind::Io,
        };
        let message = format!("read rules from {}: {source}", Escaped(path.as_os_str().as_bytes()));
        Self { kind, message, source: Some(source) }
    }

    pub(crate) fn rule(path: &Path, line: Option<usize>, what: &str) -> Self {
        let path = Escaped(path.as_os_str().as_bytes());
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        let message = format!("read rules from {path}{line}: {}", Escaped(what.as_bytes()));
        Self { kind: ErrorKind::InvalidInput, message, source: None }
    }
}
