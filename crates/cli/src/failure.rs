//! How a command ends when it does not end well.

use portolan::ErrorKind;

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error of the library.
    Portolan(portolan::Error),
    /// The same, of the log of this target.
    Log(String, portolan::Error),
    /// The input or output of this command itself.
    Io(&'static str, std::io::Error),
    /// Something that was asked for and is not there.
    Unsupported(&'static str),
    /// Nobody reads our output any more, as in `portolan scan | head`.
    Unread,
}

impl Failure {
    /// The line for standard error; `None` when there is nothing to say.
    pub(crate) fn line(&self) -> Option<String> {
        match self {
            Self::Portolan(error) => Some(error.to_string()),
            Self::Log(target, error) => Some(format!("logs of {target}: {error}")),
            Self::Io(what, error) => Some(format!("{what}: {error}")),
            Self::Unsupported(what) => Some((*what).to_owned()),
            Self::Unread => None,
        }
    }

    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        match self {
            Self::Portolan(error) | Self::Log(_, error) => match error.kind() {
                ErrorKind::MissingPrivilege(_) => 3,
                ErrorKind::InvalidInput => 2,
                _ => 1,
            },
            _ => 1,
        }
    }

    /// Of writing the result.
    pub(crate) fn output(error: std::io::Error) -> Self {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            Self::Unread
        } else {
            Self::Io("write the result", error)
        }
    }
}

impl<E: Into<portolan::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Portolan(error.into())
    }
}
