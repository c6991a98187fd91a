//! Frames to standard output, and faults to error frames.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use portolan_wire::code::{ErrorCode, FileKind, LimitKind, Stage};
use portolan_wire::frame::{End, Entry, Failure, Frame, Hello, Place, Stat, Writer};
use portolan_wire::request::{Demand, Request};

use crate::confine;
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
            let effective = confine::capabilities();
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

/// How an operation, or a file that was included, ends well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Whole {
    pub(crate) size: u64,
    pub(crate) truncated: bool,
}

/// The answer as it is written, and what is left of the request's budget.
#[derive(Debug)]
pub(crate) struct Answer {
    /// What the hello frame will say; changed until it is written.
    pub(crate) hello: Hello,
    /// Directories that the operation under way had to leave out.
    pub(crate) skipped: u32,
    /// A file whose server may not let us close it (FUSE is asked to flush): what was said of it goes first.
    held: Option<OwnedFd>,
    any_file_system: bool,
    deadline: Instant,
    greeted: bool,
    unheard: bool,
    failed: Option<ErrorCode>,
    writer: Writer,
    buffer: Vec<u8>,
    bytes: u64,
    entries: u64,
    file_bytes: u64,
    bytes_left: u64,
    entries_left: u64,
}

/// As much is gathered before it is written.
const GATHERED: usize = 32 * 1024;

impl Answer {
    pub(crate) fn new(request: &Request) -> Self {
        let now = Instant::now();
        let timeout = Duration::from_millis(request.timeout_ms.into());
        Self {
            hello: Hello::default(),
            skipped: 0,
            held: None,
            any_file_system: request.any_file_system,
            deadline: now.checked_add(timeout).unwrap_or(now),
            greeted: false,
            unheard: false,
            failed: None,
            writer: Writer::default(),
            buffer: Vec::new(),
            bytes: 0,
            entries: 0,
            file_bytes: 0,
            bytes_left: request.max_bytes,
            entries_left: request.max_entries,
        }
    }

    pub(crate) fn bytes_left(&self) -> u64 {
        self.bytes_left
    }

    /// Bytes of files that the operation under way has sent.
    pub(crate) fn bytes_of_operation(&self) -> u64 {
        self.bytes
    }

    pub(crate) fn entries_left(&self) -> u64 {
        self.entries_left
    }

    /// How the last operation failed, if it did.
    pub(crate) fn failed(&self) -> Option<ErrorCode> {
        self.failed
    }

    /// Fails once the deadline has passed. A system call that hangs is ended by the alarm instead.
    pub(crate) fn in_time(&self, stage: Stage) -> Result<(), Fault> {
        if Instant::now() > self.deadline { Err(Fault::new(stage, ErrorCode::Timeout)) } else { Ok(()) }
    }

    /// Fails if less was given up than the request demands.
    pub(crate) fn satisfies(&self, demand: Demand) -> Result<(), Fault> {
        let Hello { posture, seccomp, landlock, .. } = self.hello;
        let missing = demand.posture & !posture;
        if missing == 0 && seccomp >= demand.seccomp && landlock >= demand.landlock {
            return Ok(());
        }
        let mut fault = Fault::new(Stage::Confine, ErrorCode::NotConfined);
        fault.failure.detail = missing.into();
        Err(fault)
    }

    pub(crate) fn stat(&mut self, stat: Stat) -> Result<(), Fault> {
        self.put(Stage::Stat, &Frame::Stat(stat))
    }

    pub(crate) fn data(&mut self, data: &[u8]) -> Result<(), Fault> {
        let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(length);
        self.file_bytes = self.file_bytes.saturating_add(length);
        self.bytes_left = self.bytes_left.saturating_sub(length);
        self.put(Stage::Read, &Frame::Data(data))
    }

    pub(crate) fn entry(&mut self, kind: FileKind, path: &[u8]) -> Result<(), Fault> {
        self.entries = self.entries.saturating_add(1);
        self.entries_left = self.entries_left.saturating_sub(1);
        self.put(Stage::Glob, &Frame::Entry(Entry { kind, path }))
    }

    pub(crate) fn place(&mut self, place: Place<'_>) -> Result<(), Fault> {
        let length = u64::try_from(place.bytes.len()).unwrap_or(u64::MAX);
        self.bytes = self.bytes.saturating_add(length);
        self.bytes_left = self.bytes_left.saturating_sub(length);
        self.entries = self.entries.saturating_add(1);
        self.entries_left = self.entries_left.saturating_sub(1);
        self.put(Stage::Read, &Frame::Place(place))
    }

    /// Takes a file that was read, to close it once its end is written.
    pub(crate) fn hold(&mut self, file: OwnedFd) {
        self.held = self.any_file_system.then_some(file);
    }

    fn let_go(&mut self) -> Result<(), Fault> {
        match self.held.take() {
            Some(file) => {
                let flushed = self.flush();
                drop(file);
                flushed
            }
            None => Ok(()),
        }
    }

    /// How a file that was included ends.
    pub(crate) fn file(&mut self, result: Result<Whole, Fault>) -> Result<(), Fault> {
        let bytes = std::mem::take(&mut self.file_bytes);
        let told = match result {
            Ok(Whole { size, truncated }) => {
                let end = End { bytes, entries: 0, size, truncated, skipped: 0 };
                self.put(Stage::Read, &Frame::FileEnd(end))
            }
            Err(fault) if fault.unheard => Err(fault),
            Err(fault) => self.put(Stage::Read, &Frame::FileError(fault.failure)),
        };
        told.and_then(|()| self.let_go())
    }

    /// How an operation ends; false when nobody listens any more.
    pub(crate) fn operation(&mut self, result: Result<Whole, Fault>) -> bool {
        let (bytes, entries) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.entries));
        let skipped = std::mem::take(&mut self.skipped);
        self.file_bytes = 0;
        self.failed = None;
        let written = match result {
            Ok(Whole { size, truncated }) => {
                self.put(Stage::Read, &Frame::End(End { bytes, entries, size, truncated, skipped }))
            }
            Err(fault) if fault.unheard => Err(fault),
            Err(fault) => {
                self.failed = Some(fault.failure.code);
                self.put(fault.failure.stage, &Frame::Error(fault.failure))
            }
        };
        written.and_then(|()| self.let_go()).is_ok()
    }

    /// No operation could be begun.
    pub(crate) fn refuse(&mut self, fault: &Fault) {
        if !fault.unheard && self.put(fault.failure.stage, &Frame::Refused(fault.failure)).is_ok() {
            self.finish();
        }
    }

    /// Writes what was gathered. If this fails, nobody is there to be told.
    pub(crate) fn finish(&mut self) {
        let _ = self.flush();
    }

    /// Forgets what was gathered.
    pub(crate) fn discard(&mut self) {
        self.buffer.clear();
    }

    fn put(&mut self, stage: Stage, frame: &Frame<'_>) -> Result<(), Fault> {
        let too_long = |_| Fault::new(stage, ErrorCode::NameTooLong);
        if !self.greeted {
            self.greeted = true;
            self.writer.frame(&mut self.buffer, &Frame::Hello(self.hello)).map_err(too_long)?;
        }
        self.writer.frame(&mut self.buffer, frame).map_err(too_long)?;
        if self.buffer.len() >= GATHERED { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Fault> {
        self.unheard |= !sys::write_all(1, &self.buffer);
        self.buffer.clear();
        if self.unheard {
            return Err(Fault { unheard: true, ..Fault::new(Stage::Read, ErrorCode::Io) });
        }
        Ok(())
    }
}

/// The exit status that goes with a failure.
pub(crate) fn exit_code(code: ErrorCode) -> i32 {
    if code == ErrorCode::MissingPrivilege { 3 } else { 1 }
}
