//! Reading one file.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::time::Duration;

use portolan_linux::Process;
use portolan_wire::frame::Hello;
use portolan_wire::limits::{DEFAULT_MAX_BYTES, DEFAULT_TIMEOUT_MS, Limits};

use crate::error::About;
use crate::request::Request;
use crate::{Error, Files, Result};

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
    /// [`MagicLink`](crate::ErrorKind::MagicLink), [`Limit`](crate::ErrorKind::Limit) with the file's size,
    /// [`TargetGone`](crate::ErrorKind::TargetGone), [`MissingPrivilege`](crate::ErrorKind::MissingPrivilege),
    /// [`Timeout`](crate::ErrorKind::Timeout), [`InvalidInput`](crate::ErrorKind::InvalidInput) for a path that is
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
        let numbers = [options.max_bytes.to_string(), options.offset.to_string()];
        let [max_bytes, offset] = numbers.each_ref().map(OsStr::new);
        let mut arguments = vec![OsStr::new("--max-bytes"), max_bytes, OsStr::new("--offset"), offset];
        if options.prefix {
            arguments.push(OsStr::new("--prefix"));
        }
        let request = Request {
            about,
            command: "read",
            arguments,
            limits: Limits { max_bytes: options.max_bytes, max_entries: 0 },
            timeout: options.timeout,
            pid_namespace: options.pid_namespace,
        };
        let answer = self.run(process, &request)?;
        if let Some(failure) = answer.failure {
            return Err(Error::told(about, &failure));
        }
        let end = answer.end;
        Ok(Content { bytes: answer.bytes, size: end.size, truncated: end.truncated, helper: answer.hello })
    }
}
