//! Frames to standard output, and faults to error frames.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use portolan_wire::code::{ErrorCode, FileKind, LimitKind, Stage};
use portolan_wire::frame::{End, Entry, Failure, Frame, Hello, Writer};

use crate::sys::{self, Errno};

/// Why the request cannot be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) failure: Failure,
    /// The reader is gone: nobody is there to be told.
    pub(crate) unheard: bool,
}

impl Fault {
    pub(crate) fn new(stage: Stage, code: ErrorCode) -> Self {
        Self { failure: Failure { code, stage, errno: 0, limit: LimitKind::None, detail: 0 }, unheard: false }
    }

    /// From an errno that has no special meaning at this stage.
    pub(crate) fn of_errno(stage: Stage, errno: Errno) -> Self {
        let code = match errno.0 {
            libc::ENOENT | libc::ENOTDIR => ErrorCode::NotFound,
            libc::EACCES | libc::EPERM => ErrorCode::PermissionDenied,
            libc::ESRCH => ErrorCode::TargetGone,
            libc::ELOOP => ErrorCode::SymlinkLoop,
            libc::ENAMETOOLONG => ErrorCode::NameTooLong,
            libc::EAGAIN => ErrorCode::Busy,
            libc::ENOSYS => ErrorCode::Unsupported,
            _ => ErrorCode::Io,
        };
        let mut fault = Self::new(stage, code);
        fault.failure.errno = u16::try_from(errno.0).unwrap_or(0);
        fault
    }

    /// An errno of an operation that needs capabilities: says which of them is missing.
    pub(crate) fn of_privileged(stage: Stage, errno: Errno, needed: &[u8]) -> Self {
        let mut fault = Self::of_errno(stage, errno);
        if fault.failure.code == ErrorCode::PermissionDenied {
            let effective = sys::capabilities();
            if let Some(missing) =
                needed.iter().find(|n| effective.checked_shr((**n).into()).unwrap_or(0) & 1 == 0)
            {
                fault.failure.code = ErrorCode::MissingPrivilege;
                fault.failure.detail = (*missing).into();
            }
        }
        fault
    }

    pub(crate) fn not_regular(kind: FileKind) -> Self {
        let mut fault = Self::new(Stage::Open, ErrorCode::NotRegular);
        fault.failure.detail = kind.number().into();
        fault
    }

    pub(crate) fn limit(stage: Stage, limit: LimitKind, detail: u64) -> Self {
        let mut fault = Self::new(stage, ErrorCode::Limit);
        (fault.failure.limit, fault.failure.detail) = (limit, detail);
        fault
    }
}

/// The answer as it is written.
#[derive(Debug)]
pub(crate) struct Answer {
    /// What the hello frame will say; changed until it is written.
    pub(crate) hello: Hello,
    deadline: Instant,
    greeted: bool,
    writer: Writer,
    buffer: Vec<u8>,
    bytes: u64,
    entries: u64,
}

impl Answer {
    pub(crate) fn new(timeout: Duration) -> Self {
        let now = Instant::now();
        Self {
            hello: Hello::default(),
            deadline: now.checked_add(timeout).unwrap_or(now),
            greeted: false,
            writer: Writer::default(),
            buffer: Vec::with_capacity(72 * 1024),
            bytes: 0,
            entries: 0,
        }
    }

    /// Fails once the deadline has passed. A system call that hangs is ended by the alarm instead.
    pub(crate) fn in_time(&self, stage: Stage) -> Result<(), Fault> {
        if Instant::now() > self.deadline { Err(Fault::new(stage, ErrorCode::Timeout)) } else { Ok(()) }
    }

    pub(crate) fn data(&mut self, data: &[u8]) -> Result<(), Fault> {
        self.bytes = self.bytes.saturating_add(u64::try_from(data.len()).unwrap_or(u64::MAX));
        self.put(Stage::Read, &Frame::Data(data))?;
        self.flush()
    }

    pub(crate) fn entry(&mut self, kind: FileKind, path: &[u8]) -> Result<(), Fault> {
        self.entries = self.entries.saturating_add(1);
        self.put(Stage::Glob, &Frame::Entry(Entry { kind, path }))?;
        if self.buffer.len() > 32 * 1024 { self.flush() } else { Ok(()) }
    }

    pub(crate) fn end(&mut self, size: u64, truncated: bool, skipped: u32) -> Result<(), Fault> {
        let end = End { bytes: self.bytes, entries: self.entries, size, truncated, skipped };
        self.put(Stage::Read, &Frame::End(end))?;
        self.flush()
    }

    pub(crate) fn fail(&mut self, fault: &Fault) -> ExitCode {
        if !fault.unheard && self.put(fault.failure.stage, &Frame::Error(fault.failure)).is_ok() {
            // If this fails too, nobody is there to be told.
            let _ = self.flush();
        }
        ExitCode::from(if fault.failure.code == ErrorCode::MissingPrivilege { 3 } else { 1 })
    }

    fn put(&mut self, stage: Stage, frame: &Frame<'_>) -> Result<(), Fault> {
        let too_long = |_| Fault::new(stage, ErrorCode::NameTooLong);
        if !self.greeted {
            self.greeted = true;
            self.writer.frame(&mut self.buffer, &Frame::Hello(self.hello)).map_err(too_long)?;
        }
        self.writer.frame(&mut self.buffer, frame).map_err(too_long)
    }

    fn flush(&mut self) -> Result<(), Fault> {
        let written = sys::write_all(1, &self.buffer);
        self.buffer.clear();
        if written { Ok(()) } else { Err(Fault { unheard: true, ..Fault::new(Stage::Read, ErrorCode::Io) }) }
    }
}
