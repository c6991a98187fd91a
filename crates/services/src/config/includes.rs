//! Files that include files: how deep, how many, and never in a circle.

use std::path::{Path, PathBuf};

use portolan_linux::ErrorKind;
use portolan_linux::error::Limit;

/// The files that are being read, each included by the one before it.
///
/// A file may be read twice, one after the other, as services do; it may not include itself.
#[derive(Debug)]
pub(crate) struct Includes {
    open: Vec<PathBuf>,
    deepest: usize,
    read: usize,
}

/// So many files make up one configuration at most.
const MOST_FILES: usize = 2000;
/// So deep are files included where the service has no limit of its own.
const DEEPEST: usize = 32;

impl Default for Includes {
    fn default() -> Self {
        Self::to_depth(DEEPEST)
    }
}

impl Includes {
    /// None is open; so many may be at once.
    pub(crate) fn to_depth(deepest: usize) -> Self {
        Self { open: Vec::new(), deepest, read: 0 }
    }

    /// How many may be open at once.
    pub(crate) fn deepest(&self) -> usize {
        self.deepest
    }

    /// Begins a file; [`leave`](Self::leave) ends it.
    ///
    /// # Errors
    /// Why it is not to be read.
    pub(crate) fn enter(&mut self, path: &Path) -> Result<(), (ErrorKind, &'static str)> {
        if self.open.iter().any(|open| open == path) {
            return Err((ErrorKind::InvalidInput, "it includes itself"));
        }
        if self.open.len() >= self.deepest {
            return Err((ErrorKind::Limit(Limit::Depth), "files are included too deep here"));
        }
        if self.read >= MOST_FILES {
            return Err((ErrorKind::Limit(Limit::Entries), "more than 2000 files are included"));
        }
        self.read = self.read.saturating_add(1);
        self.open.push(path.to_owned());
        Ok(())
    }

    /// Ends the last file that was begun.
    pub(crate) fn leave(&mut self) {
        self.open.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn circles_depth_and_number_are_limited() {
        let mut includes = Includes::to_depth(2);
        includes.enter(Path::new("/a")).unwrap();
        assert!(includes.enter(Path::new("/a")).is_err());
        includes.enter(Path::new("/b")).unwrap();
        assert!(includes.enter(Path::new("/c")).is_err());
        includes.leave();
        includes.enter(Path::new("/b")).unwrap();
        includes.leave();
        for _ in 0..MOST_FILES {
            if includes.enter(Path::new("/x")).is_ok() {
                includes.leave();
            }
        }
        assert!(includes.enter(Path::new("/y")).is_err());
    }
}
