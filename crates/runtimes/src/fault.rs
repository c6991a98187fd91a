//! What a socket did not say, and why.

#[cfg(feature = "docker")]
use std::collections::BTreeMap;
use std::fmt;
#[cfg(feature = "docker")]
use std::io;
#[cfg(feature = "docker")]
use std::path::Path;
use std::path::PathBuf;

use portolan_linux::ErrorKind;
#[cfg(feature = "docker")]
use portolan_linux::error::NetError;
use portolan_linux::error::{Escaped, Limit};

/// Something that a socket did not answer, or answered so that it is not believed. The same trouble of many containers is
/// one fault with a count.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The socket; empty when none could be looked for.
    pub socket: PathBuf,
    /// The id of the first container concerned; none when the trouble is the socket's.
    pub container: Option<String>,
    /// How many containers had the same trouble; one for the socket's own.
    pub count: usize,
    /// What is wrong.
    pub trouble: Trouble,
}

/// What is wrong with a socket or its answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Trouble {
    /// Opening it, connecting or reading failed, as the kernel says.
    #[error("{text}")]
    Io {
        /// What the errno means.
        kind: ErrorKind,
        /// The kernel's words.
        text: String,
    },
    /// It is no socket.
    #[error("it is no socket")]
    NoSocket,
    /// A socket in a user's directory is not that user's, or is served by someone else: what is asked of it could reach a
    /// service that was never meant.
    #[error("it stands in the directory of user {expected} and is user {found}'s: it is not asked")]
    Foreign {
        /// The user whose directory it is in.
        expected: u32,
        /// Whose it is.
        found: u32,
    },
    /// A user's directory lies on a file system whose server may never answer.
    #[error("the directory lies on {0}, whose server may never answer")]
    FileSystem(String),
    /// It did not answer in time.
    #[error("no answer before the deadline")]
    Deadline,
    /// It has not let go of the threads that asked it before.
    #[error("earlier questions still hang")]
    Hanging,
    /// It sent more than it may.
    #[error("it sends more than {0} bytes")]
    TooMuch(u64),
    /// There are more sockets or containers than are asked.
    #[error("more than {0} are not asked")]
    TooMany(usize),
    /// What it sends is not HTTP, or not the JSON that the API promises.
    #[error("it does not speak the runtimes' API: {0}")]
    Nonsense(String),
    /// It answered with an error.
    #[error("it answers {status}: {}", Escaped(.text.as_bytes()))]
    Refused {
        /// HTTP's status.
        status: u16,
        /// Its words, cut.
        text: String,
    },
    /// It names another first process than the kernel; what it says of the container is not believed.
    #[error(
        "the daemon says that its first process is {said}, the kernel says {is}: the kernel's word stands"
    )]
    Contradiction {
        /// The daemon's.
        said: i64,
        /// The chart's.
        is: i32,
    },
}

#[cfg(feature = "docker")]
impl Trouble {
    pub(crate) fn of_io(error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => ErrorKind::NotFound,
            io::ErrorKind::PermissionDenied => ErrorKind::PermissionDenied,
            io::ErrorKind::ConnectionRefused => ErrorKind::Net(NetError::Refused),
            // The queue of those who wait to be accepted is full.
            io::ErrorKind::WouldBlock => ErrorKind::Busy,
            io::ErrorKind::TimedOut => return Self::Deadline,
            _ => ErrorKind::Io,
        };
        Self::Io { kind, text: error.to_string() }
    }
}

impl Fault {
    #[cfg(feature = "docker")]
    pub(crate) fn of_socket(socket: &Path, trouble: Trouble) -> Self {
        Self { socket: socket.to_owned(), container: None, count: 1, trouble }
    }

    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match &self.trouble {
            Trouble::Io { kind, .. } => *kind,
            Trouble::NoSocket | Trouble::Nonsense(_) | Trouble::Refused { .. } => ErrorKind::Io,
            Trouble::Foreign { .. } => ErrorKind::PermissionDenied,
            Trouble::FileSystem(_) => ErrorKind::UnsupportedFs,
            Trouble::Deadline => ErrorKind::Timeout,
            Trouble::Hanging => ErrorKind::Busy,
            Trouble::TooMuch(size) => ErrorKind::Limit(Limit::Bytes { size: *size }),
            Trouble::TooMany(_) => ErrorKind::Limit(Limit::Entries),
            Trouble::Contradiction { .. } => ErrorKind::TargetChanged,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use std::os::unix::ffi::OsStrExt as _;
        write!(f, "ask {}", Escaped(self.socket.as_os_str().as_bytes()))?;
        if let Some(id) = &self.container {
            let short: String = id.chars().take(12).collect();
            write!(f, " about {}", Escaped(short.as_bytes()))?;
        }
        if let Some(others) = self.count.checked_sub(1).filter(|n| *n > 0) {
            write!(f, " and {others} more")?;
        }
        write!(f, ": {}", self.trouble)
    }
}

/// Faults as they come, joined by what they are.
#[cfg(feature = "docker")]
#[derive(Debug, Default)]
pub(crate) struct Faults(BTreeMap<(PathBuf, String), Fault>);

#[cfg(feature = "docker")]
impl Faults {
    /// So many different ones of all sockets are kept: a daemon makes up the words of its refusals.
    const MOST: usize = 256;

    pub(crate) fn add(&mut self, fault: Fault) {
        let key = (
            fault.socket.clone(),
            match &fault.trouble {
                // Each of these is about one container and no other.
                Trouble::Contradiction { .. } => format!("{:?}", fault.container),
                other => other.to_string(),
            },
        );
        if let Some(known) = self.0.get_mut(&key) {
            known.count = known.count.saturating_add(fault.count);
        } else if self.0.len() < Self::MOST {
            self.0.insert(key, fault);
        }
    }

    pub(crate) fn into_list(self) -> Vec<Fault> {
        self.0.into_values().collect()
    }
}
