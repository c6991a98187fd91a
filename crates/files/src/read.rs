//! Reading one file.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use portolan_linux::Process;
use portolan_wire::WireError;
use portolan_wire::frame::{self, End, Hello};
use portolan_wire::limits::{DEFAULT_MAX_BYTES, DEFAULT_TIMEOUT_MS};
use portolan_wire::request::{Action, Operation, Read, Request};

use crate::answer::Part;
use crate::error::About;
use crate::exchange::{Broken, Received};
use crate::{Error, Files, Result, Stat};

/// How a file is read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReadOptions {
    /// At most so many bytes; 204800 (200 KiB) by default. A larger file is refused with its size.
    pub max_bytes: u64,
    /// A larger file is not refused: its first bytes are given, and [`Content::truncated`] says so.
    pub prefix: bool,
    /// Begin at this byte; 0 by default. An offset past the end gives nothing.
    pub offset: u64,
    /// Answer within this time; two seconds by default.
    pub timeout: Duration,
    /// Read on FUSE and network file systems too. Their server may never answer, and then not even a killed helper
    /// ends: [`Files::stuck`].
    pub any_file_system: bool,
    /// Join the container's pid namespace, so that `/proc/self` and `/proc/thread-self` lead somewhere. The
    /// container can then see the helper and end it.
    pub pid_namespace: bool,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            max_bytes: DEFAULT_MAX_BYTES,
            prefix: false,
            offset: 0,
            timeout: Duration::from_millis(DEFAULT_TIMEOUT_MS),
            any_file_system: false,
            pid_namespace: false,
        }
    }
}

impl ReadOptions {
    /// The same with another byte cap.
    #[must_use]
    pub fn max_bytes(self, max_bytes: u64) -> Self {
        Self { max_bytes, ..self }
    }

    /// The same, giving the first bytes of a larger file.
    #[must_use]
    pub fn prefix(self) -> Self {
        Self { prefix: true, ..self }
    }

    /// The same, from another byte on.
    #[must_use]
    pub fn offset(self, offset: u64) -> Self {
        Self { offset, ..self }
    }

    /// The same with another deadline.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// The same, also on FUSE and network file systems.
    #[must_use]
    pub fn any_file_system(self) -> Self {
        Self { any_file_system: true, ..self }
    }

    /// The same, joining the pid namespace.
    #[must_use]
    pub fn pid_namespace(self) -> Self {
        Self { pid_namespace: true, ..self }
    }
}

/// What was read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Content {
    /// The bytes: never more than were allowed, never promised to be text.
    pub bytes: Vec<u8>,
    /// The file's size when it was opened; 0 for files of `/proc` and `/sys`.
    pub size: u64,
    /// Where in the file the bytes begin.
    pub offset: u64,
    /// What the file was when it was opened.
    pub stat: Stat,
    /// Whether the file goes on after these bytes; only ever true with [`ReadOptions::prefix`].
    pub truncated: bool,
    /// What the helper had given up when it read.
    pub helper: Hello,
}

impl Files {
    /// Reads a regular file inside the container of a process, as that process would find it: below its root,
    /// through its mounts, absolute links and `..` staying inside.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound), [`NotRegular`](crate::ErrorKind::NotRegular) (directory, FIFO,
    /// device, socket: none is opened), [`SymlinkLoop`](crate::ErrorKind::SymlinkLoop),
    /// [`MagicLink`](crate::ErrorKind::MagicLink), [`UnsupportedFs`](crate::ErrorKind::UnsupportedFs) (FUSE, network
    /// file systems, and `/proc` or `/sys` by way of a link: none is asked), [`Limit`](crate::ErrorKind::Limit) with the file's size,
    /// [`TargetGone`](crate::ErrorKind::TargetGone), [`MissingPrivilege`](crate::ErrorKind::MissingPrivilege),
    /// [`Timeout`](crate::ErrorKind::Timeout), [`Busy`](crate::ErrorKind::Busy),
    /// [`HelperDied`](crate::ErrorKind::HelperDied), [`InvalidInput`](crate::ErrorKind::InvalidInput) for a path that is
    /// relative, too long or holds a NUL.
    ///
    /// # Example
    /// ```no_run
    /// # use portolan_files::{Files, ReadOptions};
    /// # let (files, process) = (Files::new()?, portolan_linux::Process::open(4242)?);
    /// let log = files.read(&process, "/var/log/nginx/error.log", &ReadOptions::default().prefix())?;
    /// if log.truncated {
    ///     println!("{} of {} bytes", log.bytes.len(), log.size);
    /// }
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read(&self, process: &Process, path: impl AsRef<Path>, options: &ReadOptions) -> Result<Content> {
        let path = path.as_ref().as_os_str().as_bytes();
        let about = About { operation: "read", pid: process.pid(), path };
        let request = options.request(about)?;
        let received = if options.pid_namespace {
            self.one_shot(process, about, &request, options.timeout)?
        } else {
            self.exchange(process, about, request, options.timeout)?
        };
        Content::of(about, received)
    }
}

impl ReadOptions {
    pub(crate) fn request(&self, about: About<'_>) -> Result<Request> {
        about.check()?;
        let Self { max_bytes, offset, prefix, .. } = *self;
        let action = Action::Read(Read { max_bytes, offset, prefix });
        if offset > i64::MAX.unsigned_abs() {
            return Err(Error::invalid(about, "no file has so many bytes"));
        }
        Ok(Request {
            max_bytes,
            max_entries: 0,
            any_file_system: self.any_file_system,
            operations: vec![Operation { action, path: about.path.to_vec() }],
            ..Request::default()
        })
    }
}

impl Content {
    /// From the answer to a request for one file.
    pub(crate) fn of(about: About<'_>, received: Received) -> Result<Self> {
        let (hello, part, broken) = received.single(about)?;
        Self::of_part(about, hello, part, broken)
    }

    /// From the answer to one operation.
    pub(crate) fn of_part(
        about: About<'_>,
        hello: Hello,
        part: Part,
        broken: Option<Broken>,
    ) -> Result<Self> {
        match part.end {
            Some(Ok(end)) => Self::new(about, hello, part.stat, part.bytes, end),
            Some(Err(failure)) => Err(Error::told(about, &failure)),
            None => Err(broken.unwrap_or(Broken::Died(None)).error(about)),
        }
    }

    pub(crate) fn new(
        about: About<'_>,
        helper: Hello,
        stat: Option<frame::Stat>,
        bytes: Vec<u8>,
        end: End,
    ) -> Result<Self> {
        let Some(stat) = stat else {
            return Err(Error::wire(about, WireError::OutOfOrder));
        };
        let (offset, stat) = (stat.offset, Stat::of(&stat));
        Ok(Self { bytes, size: end.size, offset, stat, truncated: end.truncated, helper })
    }
}
