//! Expanding one pattern.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;
use std::time::Duration;

use portolan_linux::Process;
use portolan_linux::error::{ErrorKind, FileKind};
use portolan_wire::frame::Hello;
use portolan_wire::limits::{DEFAULT_MAX_ENTRIES, DEFAULT_TIMEOUT_MS};
use portolan_wire::pattern::Pattern;
use portolan_wire::request::{Action, Operation, Request};

use crate::answer::Part;
use crate::error::About;
use crate::exchange::Broken;
use crate::{Error, Files, Result};

/// How a pattern is expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GlobOptions {
    /// At most so many paths; 10000 by default.
    pub max_entries: u64,
    /// Answer within this time; two seconds by default.
    pub timeout: Duration,
    /// Look into FUSE and network file systems too; see [`ReadOptions`](crate::ReadOptions::any_file_system).
    pub any_file_system: bool,
    /// Join the container's pid namespace; see [`ReadOptions`](crate::ReadOptions::pid_namespace).
    pub pid_namespace: bool,
}

impl Default for GlobOptions {
    fn default() -> Self {
        Self {
            max_entries: DEFAULT_MAX_ENTRIES,
            timeout: Duration::from_millis(DEFAULT_TIMEOUT_MS),
            any_file_system: false,
            pid_namespace: false,
        }
    }
}

impl GlobOptions {
    /// The same with another entry cap.
    #[must_use]
    pub fn max_entries(self, max_entries: u64) -> Self {
        Self { max_entries, ..self }
    }

    /// The same with another deadline.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// The same, also in FUSE and network file systems.
    #[must_use]
    pub fn any_file_system(self) -> Self {
        Self { any_file_system: true, ..self }
    }

    pub(crate) fn request(&self, about: About<'_>) -> Result<Request> {
        Pattern::parse(about.path).map_err(|e| Error::pattern(about, e))?;
        about.check()?;
        let action = Action::Glob { max_entries: self.max_entries };
        Ok(Request {
            max_bytes: 0,
            max_entries: self.max_entries,
            any_file_system: self.any_file_system,
            operations: vec![Operation { action, path: about.path.to_vec() }],
            ..Request::default()
        })
    }
}

/// A path that matches.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// The path inside the container; bytes, not promised to be text.
    pub path: PathBuf,
    /// What the path itself is; links are not followed.
    pub kind: FileKind,
}

/// What a pattern matches.
#[derive(Debug)]
#[non_exhaustive]
pub struct Matches {
    /// The paths, sorted by their bytes, each once.
    pub entries: Vec<Entry>,
    /// Set when a limit or the deadline ended the search: the entries are true, but there are more.
    pub incomplete: Option<Error>,
    /// Directories that were not looked into: for want of permission, or because of their file system.
    pub skipped: u32,
    /// What the helper had given up when it looked.
    pub helper: Hello,
}

impl Files {
    /// Expands a pattern inside the container of a process. The syntax is in [`portolan_wire::pattern`].
    ///
    /// Nothing that matches is no error: the list is empty then. What was found before a limit was met is kept, and
    /// [`Matches::incomplete`] says which limit.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a malformed pattern (no helper is started for it);
    /// [`TargetGone`](ErrorKind::TargetGone), [`MissingPrivilege`](ErrorKind::MissingPrivilege),
    /// [`Timeout`](ErrorKind::Timeout) as for reading.
    ///
    /// # Example
    /// ```no_run
    /// # use portolan_files::{Files, GlobOptions};
    /// # let (files, process) = (Files::new()?, portolan_linux::Process::open(4242)?);
    /// let sites = files.glob(&process, "/etc/nginx/{conf.d,sites-enabled}/*.conf", &GlobOptions::default())?;
    /// assert!(sites.incomplete.is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn glob(
        &self,
        process: &Process,
        pattern: impl AsRef<OsStr>,
        options: &GlobOptions,
    ) -> Result<Matches> {
        let pattern = pattern.as_ref().as_bytes();
        let about = About { operation: "expand", pid: process.pid(), path: pattern };
        let request = options.request(about)?;
        let received = if options.pid_namespace {
            self.one_shot(process, about, &request, options.timeout)?
        } else {
            self.exchange(process, about, request, options.timeout)?
        };
        let (hello, part, broken) = received.single(about)?;
        Matches::of_part(about, hello, part, broken)
    }
}

impl Matches {
    /// From the answer to one operation.
    pub(crate) fn of_part(
        about: About<'_>,
        helper: Hello,
        part: Part,
        broken: Option<Broken>,
    ) -> Result<Self> {
        let (skipped, incomplete) = ended(about, &part, broken)?;
        let entries = part.entries.into_iter().map(|found| Entry {
            path: OsString::from_vec(found.path).into(),
            kind: crate::error::file_kind(found.kind),
        });
        Ok(Self { entries: entries.collect(), incomplete, skipped, helper })
    }
}

/// How a search ended. What was found before a limit or the deadline was met is true, and is kept; before the search
/// began, there is nothing to keep.
pub(crate) fn ended(about: About<'_>, part: &Part, broken: Option<Broken>) -> Result<(u32, Option<Error>)> {
    let error = match &part.end {
        Some(Ok(end)) => return Ok((end.skipped, None)),
        Some(Err(failure)) => Error::told(about, failure),
        None => broken.unwrap_or(Broken::Died(None)).error(about),
    };
    match error.kind() {
        ErrorKind::Limit(_) => Ok((0, Some(error))),
        ErrorKind::Timeout if part.end.is_some() || !part.entries.is_empty() => Ok((0, Some(error))),
        _ => Err(error),
    }
}
