//! Several operations in one entry into a container.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use portolan_linux::Process;
use portolan_linux::error::FileKind;
use portolan_wire::frame::Hello;
use portolan_wire::limits::{DEFAULT_MAX_BYTES, DEFAULT_MAX_ENTRIES, DEFAULT_TIMEOUT_MS, MAX_OPERATIONS};
use portolan_wire::pattern::Pattern;
use portolan_wire::request::{self, Action, Read, Request};

use crate::answer::Part;
use crate::error::About;
use crate::exchange::{Broken, Received};
use crate::glob::ended;
use crate::{Content, Error, Files, Find, Found, Matches, Result, Stat};

/// What is done with one path or pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// Say what it is; links are followed.
    Stat,
    /// Read it.
    Read {
        /// At most so many bytes.
        max_bytes: u64,
        /// Begin at this byte.
        offset: u64,
        /// Give the first bytes of a larger file instead of refusing it.
        prefix: bool,
    },
    /// Read its last lines.
    Lines {
        /// How many.
        lines: u64,
        /// At most so many bytes.
        max_bytes: u64,
    },
    /// Read the file with this inode number in the path's directory: it was renamed.
    Renamed {
        /// As in [`Stat::device`].
        device: u64,
        /// As in [`Stat::inode`].
        inode: u64,
        /// Begin at this byte.
        offset: u64,
        /// At most so many bytes.
        max_bytes: u64,
    },
    /// Expand it.
    Glob {
        /// At most so many paths.
        max_entries: u64,
    },
    /// Expand it, and read the files that match.
    Include {
        /// At most so many paths.
        max_entries: u64,
        /// At most so many bytes of each.
        max_bytes: u64,
        /// Give the first bytes of a larger file instead of refusing it.
        prefix: bool,
    },
    /// Look for texts in it, and give only what is around them.
    Find(Find),
}

/// Operations that share one entry into a container, and one budget. It costs little more than one of them.
///
/// # Example
/// ```no_run
/// use portolan_files::{Batch, Files, Outcome};
///
/// let files = Files::new()?;
/// let nginx = portolan_linux::Process::open(4242)?;
/// let batch = Batch::new().read("/etc/nginx/nginx.conf").include("/etc/nginx/conf.d/*.conf").stat("/etc/hosts");
/// for outcome in files.batch(&nginx, &batch)? {
///     match outcome {
///         Ok(Outcome::Included(included)) => println!("{} files", included.files.len()),
///         Ok(other) => println!("{other:?}"),
///         Err(error) => println!("{error}"),
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    operations: Vec<(Operation, Vec<u8>)>,
    max_bytes: u64,
    max_entries: u64,
    timeout: Duration,
    any_file_system: bool,
}

/// What came of one operation of a batch.
#[derive(Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// Of [`Operation::Stat`].
    Stat(Stat),
    /// Of [`Operation::Read`], [`Operation::Lines`] and [`Operation::Renamed`].
    Content(Content),
    /// Of [`Operation::Glob`].
    Matches(Matches),
    /// Of [`Operation::Include`].
    Included(Included),
    /// Of [`Operation::Find`].
    Found(Found),
}

/// What a pattern matches, and what is in it.
#[derive(Debug)]
#[non_exhaustive]
pub struct Included {
    /// Sorted by their paths.
    pub files: Vec<IncludedFile>,
    /// Set when a limit or the deadline ended the operation: what is there is true, but there is more.
    pub incomplete: Option<Error>,
    /// Directories that were not looked into.
    pub skipped: u32,
}

/// One file that a pattern matches.
#[derive(Debug)]
#[non_exhaustive]
pub struct IncludedFile {
    /// The path inside.
    pub path: PathBuf,
    /// What the path itself is; links are followed for the content only.
    pub kind: FileKind,
    /// Its bytes, or why there are none.
    pub content: Result<Content>,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            operations: Vec::new(),
            max_bytes: 4 * 1024 * 1024,
            max_entries: DEFAULT_MAX_ENTRIES,
            timeout: Duration::from_millis(DEFAULT_TIMEOUT_MS),
            any_file_system: false,
        }
    }
}

impl Batch {
    /// No operations yet; a budget of 4 MiB, 10000 entries and two seconds for all together.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One more operation, with limits of its own. At most 1024 of them, and 128 KiB with all their paths.
    #[must_use]
    pub fn operation(mut self, operation: Operation, path: impl AsRef<OsStr>) -> Self {
        self.operations.push((operation, path.as_ref().as_bytes().to_vec()));
        self
    }

    /// Says what a path is.
    #[must_use]
    pub fn stat(self, path: impl AsRef<Path>) -> Self {
        self.operation(Operation::Stat, path.as_ref())
    }

    /// Reads a file of at most 200 KiB.
    #[must_use]
    pub fn read(self, path: impl AsRef<Path>) -> Self {
        let read = Operation::Read { max_bytes: DEFAULT_MAX_BYTES, offset: 0, prefix: false };
        self.operation(read, path.as_ref())
    }

    /// Expands a pattern.
    #[must_use]
    pub fn glob(self, pattern: impl AsRef<OsStr>) -> Self {
        self.operation(Operation::Glob { max_entries: DEFAULT_MAX_ENTRIES }, pattern)
    }

    /// Expands a pattern and reads the files that match, each of at most 200 KiB.
    #[must_use]
    pub fn include(self, pattern: impl AsRef<OsStr>) -> Self {
        let (max_entries, max_bytes) = (DEFAULT_MAX_ENTRIES, DEFAULT_MAX_BYTES);
        self.operation(Operation::Include { max_entries, max_bytes, prefix: false }, pattern)
    }

    /// The same with another cap on the bytes of all files together.
    #[must_use]
    pub fn max_bytes(self, max_bytes: u64) -> Self {
        Self { max_bytes, ..self }
    }

    /// The same with another cap on the paths of all patterns together.
    #[must_use]
    pub fn max_entries(self, max_entries: u64) -> Self {
        Self { max_entries, ..self }
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

    /// How long it may take.
    pub(crate) fn time(&self) -> Duration {
        self.timeout
    }

    /// What is wrong with each operation, if anything, and a request of those that are right.
    pub(crate) fn request(&self, pid: i32) -> Result<(Vec<Option<Error>>, Request)> {
        if self.operations.is_empty() || self.operations.len() > MAX_OPERATIONS {
            let about = About { operation: "read a batch", pid, path: &[] };
            return Err(Error::invalid(about, "a batch has 1 to 1024 operations"));
        }
        let mut operations = Vec::new();
        let mut wrong = Vec::new();
        for (operation, path) in &self.operations {
            let error = operation.check(operation.about(pid, path)).err();
            if error.is_none() {
                operations.push(request::Operation { action: operation.action(), path: path.clone() });
            }
            wrong.push(error);
        }
        let Self { max_bytes, max_entries, any_file_system, .. } = *self;
        Ok((wrong, Request { max_bytes, max_entries, any_file_system, operations, ..Request::default() }))
    }

    /// Puts answers and errors together, in the order of the operations.
    pub(crate) fn outcomes(
        &self,
        pid: i32,
        wrong: Vec<Option<Error>>,
        received: Received,
    ) -> Vec<Result<Outcome>> {
        let Received { answer, broken } = received;
        let mut parts = answer.parts.into_iter();
        let each = self.operations.iter().zip(wrong);
        each.map(|((operation, path), wrong)| match wrong {
            Some(error) => Err(error),
            None => operation.outcome(operation.about(pid, path), answer.hello, parts.next(), broken),
        })
        .collect()
    }
}

impl Operation {
    fn about<'a>(&self, pid: i32, path: &'a [u8]) -> About<'a> {
        let operation = match self {
            Self::Stat => "look at",
            Self::Glob { .. } => "expand",
            Self::Include { .. } => "include",
            Self::Find(_) => "look through",
            _ => "read",
        };
        About { operation, pid, path }
    }

    fn check(&self, about: About<'_>) -> Result<()> {
        about.check()?;
        match self {
            Self::Glob { .. } | Self::Include { .. } => {
                Pattern::parse(about.path).map(drop).map_err(|e| Error::pattern(about, e))
            }
            Self::Read { offset, .. } | Self::Renamed { offset, .. } if *offset > i64::MAX.unsigned_abs() => {
                Err(Error::invalid(about, "no file has so many bytes"))
            }
            Self::Find(find) => {
                let (action, path) = (Action::Find(find.clone()), about.path.to_vec());
                let operations = vec![request::Operation { action, path }];
                let asked = Request { operations, ..Request::default() }.to_bytes();
                asked.and_then(|bytes| Request::parse(&bytes)).map(drop).map_err(|_| {
                    Error::invalid(about, "1 to 64 texts of 1 to 255 bytes, and 32 KiB around each")
                })
            }
            _ => Ok(()),
        }
    }

    fn action(&self) -> Action {
        match *self {
            Self::Find(ref find) => Action::Find(find.clone()),
            Self::Stat => Action::Stat,
            Self::Read { max_bytes, offset, prefix } => Action::Read(Read { max_bytes, offset, prefix }),
            Self::Lines { lines, max_bytes } => Action::Lines { lines, max_bytes },
            Self::Renamed { device, inode, offset, max_bytes } => {
                Action::Renamed { device, inode, offset, max_bytes }
            }
            Self::Glob { max_entries } => Action::Glob { max_entries },
            Self::Include { max_entries, max_bytes, prefix } => {
                Action::Include { max_entries, max_bytes, prefix }
            }
        }
    }

    fn outcome(
        &self,
        about: About<'_>,
        hello: Hello,
        part: Option<Part>,
        broken: Option<Broken>,
    ) -> Result<Outcome> {
        let part = part.unwrap_or_default();
        match self {
            Self::Stat => {
                Content::of_part(about, hello, part, broken).map(|content| Outcome::Stat(content.stat))
            }
            Self::Read { .. } | Self::Lines { .. } | Self::Renamed { .. } => {
                Content::of_part(about, hello, part, broken).map(Outcome::Content)
            }
            Self::Glob { .. } => Matches::of_part(about, hello, part, broken).map(Outcome::Matches),
            Self::Include { .. } => Included::of_part(about, hello, part, broken).map(Outcome::Included),
            Self::Find(find) => Found::of_part(about, find, part, broken).map(Outcome::Found),
        }
    }
}

impl Included {
    fn of_part(about: About<'_>, hello: Hello, part: Part, broken: Option<Broken>) -> Result<Self> {
        let (skipped, incomplete) = ended(about, &part, broken)?;
        let files = part.entries.into_iter().map(|found| {
            let about = About { operation: "read", pid: about.pid, path: &found.path };
            let content = match found.file {
                Some(file) => match file.end {
                    Ok(end) => Content::new(about, hello, file.stat, file.bytes, end),
                    Err(failure) => Err(Error::told(about, &failure)),
                },
                // The answer broke off at this one.
                None => Err(broken.unwrap_or(Broken::TimedOut).error(about)),
            };
            let kind = crate::error::file_kind(found.kind);
            IncludedFile { content, kind, path: OsString::from_vec(found.path.clone()).into() }
        });
        Ok(Self { files: files.collect(), incomplete, skipped })
    }
}

impl Files {
    /// Does several operations in one entry into the container of a process. The results are in the order of the
    /// operations; one that fails costs the others nothing.
    ///
    /// # Errors
    /// When no operation could be begun: [`TargetGone`](crate::ErrorKind::TargetGone),
    /// [`MissingPrivilege`](crate::ErrorKind::MissingPrivilege), [`Busy`](crate::ErrorKind::Busy), and
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a batch that is empty or too large.
    pub fn batch(&self, process: &Process, batch: &Batch) -> Result<Vec<Result<Outcome>>> {
        let (wrong, request) = batch.request(process.pid())?;
        let about = batch.about(process.pid());
        if request.operations.is_empty() {
            return Ok(batch.outcomes(process.pid(), wrong, Received::default()));
        }
        let received = self.exchange(process, about, request, batch.time())?;
        batch.received(process.pid(), wrong, received)
    }
}

impl Batch {
    pub(crate) fn about(&self, pid: i32) -> About<'static> {
        About { operation: "read a batch", pid, path: &[] }
    }

    /// The outcomes, unless the whole request was refused.
    pub(crate) fn received(
        &self,
        pid: i32,
        wrong: Vec<Option<Error>>,
        received: Received,
    ) -> Result<Vec<Result<Outcome>>> {
        match received.answer.refused {
            Some(failure) => Err(Error::told(self.about(pid), &failure)),
            None => Ok(self.outcomes(pid, wrong, received)),
        }
    }
}
