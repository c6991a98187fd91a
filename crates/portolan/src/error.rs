//! All errors of the doors as one.

use crate::ErrorKind;

/// An error of any of the doors.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct Error(#[from] Repr);

#[derive(Debug, thiserror::Error)]
enum Repr {
    #[error(transparent)]
    Linux(#[from] portolan_linux::Error),
    #[error(transparent)]
    Scan(#[from] portolan_scan::Error),
    #[error(transparent)]
    Files(#[from] portolan_files::Error),
    #[error(transparent)]
    Dial(#[from] portolan_dial::Error),
    #[error(transparent)]
    Services(#[from] portolan_services::Error),
    #[error(transparent)]
    Logs(#[from] portolan_services::logs::Error),
    #[error("'{0}' is no pid: write pid: and a positive number, as in pid:4242")]
    NoPid(String),
}

impl Error {
    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match &self.0 {
            Repr::Linux(error) => error.kind(),
            Repr::Scan(error) => error.kind(),
            Repr::Files(error) => error.kind(),
            Repr::Dial(error) => error.kind(),
            Repr::Services(error) => error.kind(),
            Repr::Logs(error) => error.kind(),
            Repr::NoPid(_) => ErrorKind::InvalidInput,
        }
    }

    pub(crate) fn no_pid(target: &str) -> Self {
        Self(Repr::NoPid(crate::Escaped(target.as_bytes()).to_string()))
    }
}

macro_rules! from {
    ($($error:ty),+) => {
        $(impl From<$error> for Error {
            fn from(error: $error) -> Self { Self(error.into()) }
        })+
    };
}

from!(
    portolan_linux::Error,
    portolan_scan::Error,
    portolan_files::Error,
    portolan_dial::Error,
    portolan_services::Error,
    portolan_services::logs::Error
);
