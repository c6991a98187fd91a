//! Files as a service sees them: what readers of configurations read from.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portolan_files::Find;
use portolan_linux::ErrorKind;
use portolan_linux::error::FileKind;

use crate::config::Wanted;

/// Where files come from: a container's, through the helper (`inside`), or a test's.
///
/// Paths are absolute, and mean what they mean to the service. All that is read is limited: one file to 1 MiB, all files
/// of a service together to 8 MiB and 2000.
pub trait Source {
    /// A whole file.
    ///
    /// # Errors
    /// Why there is nothing: the kinds are those of `portolan_files`.
    fn read(&mut self, path: &Path) -> Result<Arc<[u8]>, Unread>;

    /// The files that match a pattern (`glob(7)`, without `{}`), and what is in them, sorted by their paths as bytes.
    /// A pattern without wildcards is a file that may be missing.
    fn include(&mut self, pattern: &Path) -> Included;

    /// The paths that match a pattern, sorted as bytes; empty when there are none.
    fn glob(&mut self, pattern: &Path) -> Vec<PathBuf>;

    /// Those of the paths that match a pattern which are symbolic links themselves.
    fn links(&mut self, _pattern: &Path) -> Vec<PathBuf> {
        Vec::new()
    }

    /// What is around texts in a file, which may be larger than what may be read; not all of it counts as read then.
    ///
    /// # Errors
    /// Why the file was not looked through.
    fn find(&mut self, path: &Path, find: &Find) -> Result<Arc<Findings>, Unread>;

    /// Fetches at once what will be asked for. Nothing depends on it.
    fn foresee(&mut self, _wanted: &[Wanted]) {}

    /// What a path is, links followed.
    ///
    /// # Errors
    /// Why it could not be looked at.
    fn kind(&mut self, path: &Path) -> Result<FileKind, Unread>;
}

/// Texts that were found in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Findings {
    /// In the file's order.
    pub places: Vec<Finding>,
    /// Whether a limit ended the search.
    pub truncated: bool,
}

/// A text that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Finding {
    /// The text, and what is around it.
    pub bytes: Vec<u8>,
    /// Where in them the text begins.
    pub at: usize,
}

/// Files that match a pattern.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Included {
    /// Each with its content, or why there is none.
    pub files: Vec<IncludedFile>,
    /// Why there may be more.
    pub incomplete: Option<Unread>,
}

/// A path, and what is in it or why there is nothing.
pub type IncludedFile = (PathBuf, Result<Arc<[u8]>, Unread>);

/// Why a file was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Unread {
    /// Of what kind.
    pub kind: ErrorKind,
    /// In words, with the path; escaped.
    pub message: String,
}

impl Unread {
    /// Of a kind, in words that hold nothing unescaped.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// Whether there just is no such file.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.kind == ErrorKind::NotFound
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Unread {}
