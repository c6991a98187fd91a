//! What can go wrong with a request, in words that say what to do.

use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use portolan_linux::ErrorKind;
use portolan_linux::error::{Escaped, Feature, FileKind, Limit};
use portolan_linux::privilege::Capability;
use portolan_wire::WireError;
use portolan_wire::code::{self, ErrorCode, LimitKind, Stage};
use portolan_wire::frame::Failure;
use portolan_wire::limits::MAX_PATH;
use portolan_wire::pattern::PatternError;

use crate::server::NoServer;

/// A request that was not answered, or not in full.
#[derive(Debug)]
pub struct Error(Box<Repr>);

#[derive(Debug)]
struct Repr {
    kind: ErrorKind,
    operation: &'static str,
    pid: Option<i32>,
    path: Vec<u8>,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    /// What kind of error it is says everything.
    Kind,
    Linux(portolan_linux::Error),
    Helper {
        stage: Stage,
        errno: i32,
    },
    Wire(WireError),
    Pattern(PatternError),
    NoHelper(Vec<PathBuf>),
    Died(Option<std::process::ExitStatus>),
    FileSystem(code::FileSystem),
    Io(std::io::Error),
    Server(std::sync::Arc<portolan_linux::Error>),
    Words(&'static str),
}

/// What a request was about, for its errors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct About<'a> {
    pub(crate) operation: &'static str,
    pub(crate) pid: i32,
    pub(crate) path: &'a [u8],
}

impl About<'_> {
    /// Whether the path or pattern can be one.
    pub(crate) fn check(self) -> crate::Result<()> {
        if self.path.first() != Some(&b'/') {
            return Err(Error::invalid(self, "a path must begin with a slash"));
        }
        if self.path.len() > MAX_PATH || self.path.contains(&0) {
            return Err(Error::invalid(self, "a path has at most 4095 bytes, none of them NUL"));
        }
        Ok(())
    }
}

impl Error {
    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The path or pattern that was asked for; empty when the error is not about one.
    #[must_use]
    pub fn path(&self) -> &[u8] {
        &self.0.path
    }

    fn new(kind: ErrorKind, about: About<'_>, cause: Cause) -> Self {
        let About { operation, pid, path } = about;
        Self(Box::new(Repr { kind, operation, pid: Some(pid), path: path.to_vec(), cause }))
    }

    pub(crate) fn no_helper(places: Vec<PathBuf>) -> Self {
        let kind = ErrorKind::Unsupported(Feature::Helper);
        let cause = Cause::NoHelper(places);
        Self(Box::new(Repr { kind, operation: "find the helper", pid: None, path: Vec::new(), cause }))
    }

    pub(crate) fn of_helper(path: &Path, error: portolan_linux::Error) -> Self {
        if error.kind() == ErrorKind::NotFound {
            return Self::no_helper(vec![path.to_owned()]);
        }
        let (kind, path) = (error.kind(), path.as_os_str().as_bytes().to_vec());
        let cause = match kind {
            ErrorKind::PermissionDenied if error.errno().is_none() => Cause::Words(
                "it must belong to root or to this user, and nobody else may be able to change it",
            ),
            _ => Cause::Linux(error),
        };
        Self(Box::new(Repr { kind, operation: "load the helper", pid: None, path, cause }))
    }

    pub(crate) fn invalid(about: About<'_>, words: &'static str) -> Self {
        Self::new(ErrorKind::InvalidInput, about, Cause::Words(words))
    }

    pub(crate) fn pattern(about: About<'_>, error: PatternError) -> Self {
        Self::new(ErrorKind::InvalidInput, about, Cause::Pattern(error))
    }

    pub(crate) fn linux(about: About<'_>, error: portolan_linux::Error) -> Self {
        Self::new(error.kind(), about, Cause::Linux(error))
    }

    pub(crate) fn wire(about: About<'_>, error: WireError) -> Self {
        Self::new(ErrorKind::Protocol, about, Cause::Wire(error))
    }

    pub(crate) fn timeout(about: About<'_>) -> Self {
        Self::new(ErrorKind::Timeout, about, Cause::Kind)
    }

    pub(crate) fn busy(about: About<'_>, words: &'static str) -> Self {
        Self::new(ErrorKind::Busy, about, Cause::Words(words))
    }

    pub(crate) fn died(about: About<'_>, status: Option<std::process::ExitStatus>) -> Self {
        Self::new(ErrorKind::HelperDied, about, Cause::Died(status))
    }

    pub(crate) fn bare(kind: ErrorKind, about: About<'_>) -> Self {
        Self::new(kind, about, Cause::Kind)
    }

    pub(crate) fn io(about: About<'_>, error: std::io::Error) -> Self {
        let kind = match error.raw_os_error() {
            // EMFILE, ENFILE.
            Some(23 | 24) => ErrorKind::Limit(Limit::Descriptors),
            _ => ErrorKind::Io,
        };
        Self::new(kind, about, Cause::Io(error))
    }

    /// A request that the protocol cannot hold.
    pub(crate) fn too_much(about: About<'_>, error: WireError) -> Self {
        Self::new(ErrorKind::InvalidInput, about, Cause::Wire(error))
    }

    pub(crate) fn no_server(about: About<'_>, why: NoServer) -> Self {
        match why {
            NoServer::Start(error) => Self::new(error.kind(), about, Cause::Server(error)),
            NoServer::Os(errno) => Self::io(about, std::io::Error::from_raw_os_error(errno)),
            NoServer::Ended(status) => Self::died(about, status),
            NoServer::Broken(error) => Self::wire(about, error),
            NoServer::TimedOut => Self::timeout(about),
        }
    }

    pub(crate) fn changed(about: About<'_>) -> Self {
        Self::new(ErrorKind::TargetChanged, about, Cause::Kind)
    }

    pub(crate) fn told(about: About<'_>, failure: &Failure) -> Self {
        let file_system = u8::try_from(failure.detail).ok().and_then(|n| code::FileSystem::try_from(n).ok());
        let cause = match file_system {
            Some(kind) if failure.code == ErrorCode::UnsupportedFs => Cause::FileSystem(kind),
            _ => Cause::Helper { stage: failure.stage, errno: failure.errno.into() },
        };
        Self::new(kind_of(failure), about, cause)
    }
}

fn kind_of(failure: &Failure) -> ErrorKind {
    match failure.code {
        ErrorCode::NotFound => ErrorKind::NotFound,
        ErrorCode::PermissionDenied => ErrorKind::PermissionDenied,
        ErrorCode::MissingPrivilege => ErrorKind::MissingPrivilege(Capability::of_number(
            u8::try_from(failure.detail).unwrap_or(u8::MAX),
        )),
        ErrorCode::NotRegular => {
            let kind = u8::try_from(failure.detail).ok().and_then(|n| code::FileKind::try_from(n).ok());
            ErrorKind::NotRegular(file_kind(kind.unwrap_or(code::FileKind::Unknown)))
        }
        ErrorCode::SymlinkLoop => ErrorKind::SymlinkLoop,
        ErrorCode::MagicLink => ErrorKind::MagicLink,
        ErrorCode::TargetGone => ErrorKind::TargetGone,
        ErrorCode::TargetChanged => ErrorKind::TargetChanged,
        ErrorCode::Limit => ErrorKind::Limit(match failure.limit {
            LimitKind::Entries => Limit::Entries,
            LimitKind::Depth => Limit::Depth,
            _ => Limit::Bytes { size: failure.detail },
        }),
        ErrorCode::Timeout => ErrorKind::Timeout,
        ErrorCode::Busy => ErrorKind::Busy,
        ErrorCode::Unsupported if failure.stage == Stage::Confine => {
            ErrorKind::Unsupported(Feature::MemfdExec)
        }
        ErrorCode::Unsupported if failure.stage == Stage::Target => {
            ErrorKind::Unsupported(Feature::KernelThread)
        }
        ErrorCode::Unsupported => ErrorKind::Unsupported(Feature::Kernel),
        ErrorCode::InvalidInput => ErrorKind::InvalidInput,
        ErrorCode::NameTooLong => ErrorKind::NameTooLong,
        ErrorCode::UnsupportedFs => ErrorKind::UnsupportedFs,
        ErrorCode::NotConfined => ErrorKind::Unsupported(Feature::Confinement),
        _ => ErrorKind::Io,
    }
}

/// The wire's number as the library's word.
pub(crate) fn file_kind(kind: code::FileKind) -> FileKind {
    match kind {
        code::FileKind::Regular => FileKind::Regular,
        code::FileKind::Directory => FileKind::Directory,
        code::FileKind::Symlink => FileKind::Symlink,
        code::FileKind::Fifo => FileKind::Fifo,
        code::FileKind::Socket => FileKind::Socket,
        code::FileKind::CharDevice => FileKind::CharDevice,
        code::FileKind::BlockDevice => FileKind::BlockDevice,
        _ => FileKind::Unknown,
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Repr { kind, operation, pid, path, cause } = &*self.0;
        f.write_str(operation)?;
        if !path.is_empty() {
            write!(f, " {}", Escaped(path))?;
        }
        if let Some(pid) = pid {
            write!(f, " in the container of pid {pid}")?;
        }
        match kind {
            ErrorKind::Limit(Limit::Bytes { size: 0 }) => f.write_str(": over the byte limit")?,
            _ => write!(f, ": {kind}")?,
        }
        match cause {
            Cause::Kind => Ok(()),
            Cause::Linux(error) => told_by_linux(f, error),
            Cause::Server(error) => told_by_linux(f, error),
            Cause::Io(error) => write!(f, " ({error})"),
            Cause::FileSystem(kind) if kind.is_kernel() => {
                write!(f, " ({kind}; it is read by a path that begins with /proc or /sys)")
            }
            Cause::FileSystem(kind) => {
                write!(f, " ({kind}; its server may never answer: ask for any file system to read it)")
            }
            Cause::Helper { errno: 0, .. } => Ok(()),
            Cause::Helper { stage, errno } => {
                write!(f, " (while {stage}: {})", std::io::Error::from_raw_os_error(*errno))
            }
            Cause::Wire(error) => write!(f, " ({error})"),
            Cause::Pattern(error) => write!(f, " ({error})"),
            Cause::Words(words) => write!(f, " ({words})"),
            Cause::Died(None) => Ok(()),
            Cause::Died(Some(status)) => write!(f, " ({status})"),
            Cause::NoHelper(places) => {
                f.write_str("; looked for ")?;
                for (i, place) in places.iter().enumerate() {
                    write!(f, "{}{}", if i == 0 { "" } else { ", " }, place.display())?;
                }
                write!(f, ": run `make helper`, or name it in {}", crate::helper::VARIABLE)
            }
        }
    }
}

fn told_by_linux(f: &mut fmt::Formatter<'_>, error: &portolan_linux::Error) -> fmt::Result {
    match error.errno() {
        Some(errno) => {
            let why = std::io::Error::from_raw_os_error(errno);
            write!(f, " (while trying to {}: {why})", error.call())
        }
        None => Ok(()),
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.0.cause {
            Cause::Linux(error) => Some(error),
            Cause::Server(error) => Some(&**error),
            Cause::Io(error) => Some(error),
            Cause::Wire(error) => Some(error),
            Cause::Pattern(error) => Some(error),
            _ => None,
        }
    }
}
