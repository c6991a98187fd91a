//! Expanding one pattern.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::PathBuf;
use std::time::Duration;

use portolan_linux::Process;
use portolan_linux::error::{ErrorKind, FileKind};
use portolan_wire::frame::Hello;
use portolan_wire::limits::{DEFAULT_MAX_ENTRIES, DEFAULT_TIMEOUT_MS, Limits};
use portolan_wire::pattern::Pattern;

use crate::error::About;
use crate::request::Request;
use crate::{Error, Files, Result};

/// How a pattern is expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GlobOptions {
    /// At most so many paths; 10000 by default.
    pub max_entries: u64,
    /// Answer within this time; two seconds by default.
    pub timeout: Duration,
    /// Join the container's pid namespace; see [`ReadOptions`](crate::ReadOptions::pid_namespace).
    pub pid_namespace: bool,
}

impl Default for GlobOptions {
    fn default() -> Self {
        Self {
            max_entries: DEFAULT_MAX_ENTRIES,
            timeout: Duration::from_millis(DEFAULT_TIMEOUT_MS),
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
    /// Directories that could not be looked into for want of permission.
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
        Pattern::parse(pattern).map_err(|e| Error::pattern(about, e))?;
        let max_entries = options.max_entries.to_string();
        let request = Request {
            about,
            command: "glob",
            arguments: vec![OsStr::new("--max-entries"), OsStr::new(&max_entries)],
            limits: Limits { max_bytes: 0, max_entries: options.max_entries },
            timeout: options.timeout,
            pid_namespace: options.pid_namespace,
        };
        let answer = self.run(process, &request)?;
        let incomplete = match answer.failure.map(|failure| Error::told(about, &failure)) {
            // The search itself was under way; before, there is nothing to keep.
            Some(error) if matches!(error.kind(), ErrorKind::Limit(_) | ErrorKind::Timeout) => Some(error),
            Some(error) => return Err(error),
            None => None,
        };
        let entries = answer.entries.into_iter().map(|(path, kind)| Entry {
            path: OsString::from_vec(path).into(),
            kind: crate::error::file_kind(kind),
        });
        Ok(Matches {
            entries: entries.collect(),
            incomplete,
            skipped: answer.end.skipped,
            helper: answer.hello,
        })
    }
}
