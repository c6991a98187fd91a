//! The vocabulary of errors for all of portolan, and this crate's own error.
//!
//! Each crate has an error type of its own, opaque, with a `kind()` from this one list, so that an agent matches
//! on the same names wherever an error came from. Display says the operation and its subject.

use std::fmt;
use std::io;

use crate::privilege::Capability;

/// What kind of thing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No such file, container, or process.
    NotFound,
    /// More than one container answers to that name or prefix.
    Ambiguous,
    /// The request itself is wrong: a relative path, a malformed pattern, a pid that is no number.
    InvalidInput,
    /// The kernel refused, and no capability that we know of would help.
    PermissionDenied,
    /// The kernel refused because this capability is missing.
    MissingPrivilege(Capability),
    /// The path leads to something that is not a regular file.
    NotRegular(FileKind),
    /// More than 40 symbolic links on the way (`path_resolution(7)`).
    SymlinkLoop,
    /// The path goes through a magic link of `/proc`, which leads out of the container.
    MagicLink,
    /// A name is longer than the kernel takes.
    NameTooLong,
    /// The file lies on a file system that is not read unless asked for.
    UnsupportedFs,
    /// The process is gone, is a zombie, or its number was given to another.
    TargetGone,
    /// The process changed its namespaces between being found and being entered.
    TargetChanged,
    /// A socket or thread is in another namespace than it should be, or the target shares the host's.
    NamespaceMismatch,
    /// A limit was met.
    Limit(Limit),
    /// The deadline passed.
    Timeout,
    /// The kernel or this library would have to wait longer than is safe.
    Busy,
    /// The helper ended without an answer.
    HelperDied,
    /// The helper's answer breaks the protocol.
    Protocol,
    /// The network said no; see the errno.
    Net(NetError),
    /// This kernel, process or build has no such feature.
    Unsupported(Feature),
    /// Input or output failed in another way; `source()` has the errno.
    Io,
}

/// What a path leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FileKind {
    /// A kind that the kernel did not tell.
    Unknown,
    /// A regular file.
    Regular,
    /// A directory.
    Directory,
    /// A symbolic link.
    Symlink,
    /// A FIFO (named pipe).
    Fifo,
    /// A Unix socket.
    Socket,
    /// A character device.
    CharDevice,
    /// A block device.
    BlockDevice,
}

/// Which limit was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Limit {
    /// The byte cap; `size` is the file's true size, or what is known of it.
    Bytes {
        /// Bytes.
        size: u64,
    },
    /// The entry cap of a glob.
    Entries,
    /// The depth cap of a glob.
    Depth,
    /// File descriptors of this process (`RLIMIT_NOFILE`) or of the system.
    Descriptors,
}

/// How a connection failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NetError {
    /// Nobody listens there.
    Refused,
    /// No route: the loopback is down, or there is no such network.
    Unreachable,
    /// Another error of `connect(2)`; `source()` has it.
    Other,
}

/// What is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Feature {
    /// The helper's binary was not found.
    Helper,
    /// Executing a memfd is refused (`vm.memfd_noexec`, or a security module).
    MemfdExec,
    /// A kernel thread has no files or network of its own.
    KernelThread,
    /// A system call or option that this kernel does not have.
    Kernel,
    /// A thread of this process cannot come home from another network namespace.
    Homecoming,
    /// Less could be given up inside than was demanded.
    Confinement,
    /// The kernel does not tell this process when others start and end.
    ProcessEvents,
    /// The kernel cannot be asked by programs of ours that walk its tables.
    BpfIterators,
    /// `/proc` is of another pid namespace than this process, so that its numbers are not those of system calls.
    ForeignProc,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotFound => f.write_str("not found"),
            Self::Ambiguous => f.write_str("ambiguous"),
            Self::InvalidInput => f.write_str("invalid request"),
            Self::PermissionDenied => f.write_str("permission denied"),
            Self::MissingPrivilege(cap) => write!(f, "missing {cap} ({})", cap.purpose()),
            Self::NotRegular(kind) => write!(f, "not a regular file but {kind}"),
            Self::SymlinkLoop => f.write_str("too many symbolic links"),
            Self::MagicLink => f.write_str("goes through a magic link of /proc"),
            Self::NameTooLong => f.write_str("a name is too long"),
            Self::UnsupportedFs => f.write_str("a file system that is not read unless asked for"),
            Self::TargetGone => f.write_str("the process is gone"),
            Self::TargetChanged => f.write_str("the process changed its namespaces"),
            Self::NamespaceMismatch => f.write_str("wrong namespace"),
            Self::Limit(limit) => limit.fmt(f),
            Self::Timeout => f.write_str("the deadline passed"),
            Self::Busy => f.write_str("busy"),
            Self::HelperDied => f.write_str("the helper died"),
            Self::Protocol => f.write_str("the helper broke the protocol"),
            Self::Net(NetError::Refused) => f.write_str("connection refused"),
            Self::Net(NetError::Unreachable) => f.write_str("network unreachable"),
            Self::Net(NetError::Other) => f.write_str("connection failed"),
            Self::Unsupported(feature) => feature.fmt(f),
            Self::Io => f.write_str("input or output failed"),
        }
    }
}

impl fmt::Display for FileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "something of unknown kind",
            Self::Regular => "a regular file",
            Self::Directory => "a directory",
            Self::Symlink => "a symbolic link",
            Self::Fifo => "a FIFO",
            Self::Socket => "a socket",
            Self::CharDevice => "a character device",
            Self::BlockDevice => "a block device",
        })
    }
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes { size } => write!(f, "over the byte limit: the file has {size} bytes"),
            Self::Entries => f.write_str("over the entry limit"),
            Self::Depth => f.write_str("over the depth limit"),
            Self::Descriptors => f.write_str("no file descriptors left"),
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Helper => "the helper portolan-helper was not found",
            Self::MemfdExec => "executing from memory is refused here",
            Self::KernelThread => "a kernel thread has no files and no network of its own",
            Self::Kernel => "this kernel does not have it",
            Self::Homecoming => "this thread could not come home from another network namespace",
            Self::Confinement => "less could be given up here than is demanded",
            Self::ProcessEvents => {
                "the kernel tells of no processes here: it was built without, or this is not the host's own pid, user \
                 and network namespace"
            }
            Self::BpfIterators => "BPF iterators cannot be used here",
            Self::ForeignProc => {
                "/proc is of another pid namespace than this process; run it in that one (`nsenter --target PID --pid`), or \
                 mount a proc of its own"
            }
        })
    }
}

/// An error of a kernel call: which call, on what, and why.
#[derive(Debug, thiserror::Error)]
#[error("{subject}: {call}: {kind}")]
pub struct Error {
    kind: ErrorKind,
    call: &'static str,
    subject: Subject,
    source: Option<io::Error>,
}

/// What an operation was about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Subject {
    /// A process, by its number.
    Pid(i32),
    /// A path; bytes, escaped when shown.
    Path(Vec<u8>),
    /// A socket.
    Socket,
    /// This process.
    Own,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pid(pid) => write!(f, "pid {pid}"),
            Self::Path(path) => write!(f, "{}", Escaped(path)),
            Self::Socket => f.write_str("a socket"),
            Self::Own => f.write_str("this process"),
        }
    }
}

/// Bytes from a container, shown so that they cannot forge a line or move a cursor.
///
/// Printable text is shown as it is, control characters, backslashes and bytes that are not UTF-8 as `\xNN`.
///
/// ```
/// assert_eq!(portolan_linux::error::Escaped(b"a\nb\x1b\xff\\").to_string(), r"a\x0ab\x1b\xff\x5c");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Escaped<'a>(pub &'a [u8]);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                // Bidirectional controls reorder a line as surely as an escape sequence does.
                let forging = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
                    | '\u{2028}' | '\u{2029}' | '\u{feff}');
                if c.is_control() || c == '\\' || forging {
                    let mut bytes = [0; 4];
                    for byte in c.encode_utf8(&mut bytes).bytes() {
                        write!(f, "\\x{byte:02x}")?;
                    }
                } else {
                    fmt::Write::write_char(f, c)?;
                }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

impl Error {
    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What was tried.
    #[must_use]
    pub fn call(&self) -> &'static str {
        self.call
    }

    /// The kernel's errno, where the kernel complained.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        self.source.as_ref().and_then(io::Error::raw_os_error)
    }

    /// That a process is gone, for one who found that out without asking the kernel.
    #[must_use]
    pub fn gone(pid: i32) -> Self {
        Self::new(ErrorKind::TargetGone, "look at", Subject::Pid(pid))
    }

    pub(crate) fn new(kind: ErrorKind, call: &'static str, subject: Subject) -> Self {
        Self { kind, call, subject, source: None }
    }

    /// From an errno, by the meaning that it has for a process of `/proc`.
    pub(crate) fn of_process(call: &'static str, pid: i32, source: io::Error) -> Self {
        let kind = match source.raw_os_error() {
            Some(libc::ENOENT | libc::ESRCH) => ErrorKind::TargetGone,
            Some(libc::EACCES | libc::EPERM) => ErrorKind::PermissionDenied,
            other => common(other),
        };
        Self { kind, call, subject: Subject::Pid(pid), source: Some(source) }
    }

    /// From an errno of a call that takes ptrace access to the process, or the capability instead (`ptrace(2)`).
    pub(crate) fn of_traced(call: &'static str, pid: i32, source: io::Error) -> Self {
        let error = Self::of_process(call, pid, source);
        if error.kind == ErrorKind::PermissionDenied && !Capability::SysPtrace.is_effective() {
            return error.with_kind(ErrorKind::MissingPrivilege(Capability::SysPtrace));
        }
        error
    }

    pub(crate) fn of_call(call: &'static str, subject: Subject, source: io::Error) -> Self {
        let kind = match source.raw_os_error() {
            Some(libc::ENOENT) => ErrorKind::NotFound,
            Some(libc::EACCES | libc::EPERM) => ErrorKind::PermissionDenied,
            other => common(other),
        };
        Self { kind, call, subject, source: Some(source) }
    }

    /// The same error, with a kind that the caller knows better.
    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.kind = kind;
        self
    }
}

fn common(errno: Option<i32>) -> ErrorKind {
    match errno {
        Some(libc::EMFILE | libc::ENFILE) => ErrorKind::Limit(Limit::Descriptors),
        Some(libc::ENOSYS) => ErrorKind::Unsupported(Feature::Kernel),
        _ => ErrorKind::Io,
    }
}

/// `nix` and `libc` errors as the one that `source()` gives.
pub(crate) fn os(errno: nix::Error) -> io::Error {
    io::Error::from_raw_os_error(errno as i32)
}
