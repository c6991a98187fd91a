//! What was read of a container, so that it can be told without reading it again whether it changed.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use portolan_files::{Batch, Files, Outcome, Stat};
use portolan_linux::glance::{FileNumbers, Glance, glance, root};
use portolan_linux::{ErrorKind, Process, ProcessId};

/// The numbers of files and directories as they were when they were read; `None` for one that was not there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Prints(HashMap<PathBuf, Option<FileNumbers>>);

/// So many paths are looked at in one request.
const AT_ONCE: usize = 500;

impl Prints {
    /// Notes a file, or that there was none.
    pub(crate) fn note(&mut self, path: &Path, stat: Option<&Stat>) {
        self.0.insert(path.to_owned(), stat.map(numbers));
    }

    /// A file that may change.
    pub(crate) fn forget(&mut self, path: &Path) {
        self.0.remove(path);
    }

    /// Adds what was noted later.
    pub(crate) fn extend(&mut self, later: Self) {
        self.0.extend(later.0);
    }

    /// Whether a path was noted.
    pub(crate) fn has(&self, path: &Path) -> bool {
        self.0.contains_key(path)
    }

    /// Whether all is as it was: by a glance where the kernel can tell at once, else through the helper.
    pub(crate) fn hold(&self, id: ProcessId, files: &Files) -> bool {
        match self.at_a_glance(id) {
            Ok(unknown) if unknown.is_empty() => true,
            Ok(unknown) => {
                Process::reopen(id).is_ok_and(|process| self.hold_inside(&unknown, files, &process))
            }
            Err(Changed) => false,
        }
    }

    /// The paths of which a glance cannot tell.
    fn at_a_glance(&self, id: ProcessId) -> Result<Vec<&Path>, Changed> {
        let Ok(root) = root(id.pid) else { return Ok(self.0.keys().map(PathBuf::as_path).collect()) };
        self.at_a_glance_below(root)
    }

    fn at_a_glance_below(&self, root: impl AsFd) -> Result<Vec<&Path>, Changed> {
        let mut unknown = Vec::new();
        for (path, before) in &self.0 {
            match (glance(root.as_fd(), path), before) {
                (Ok(Glance::There(now)), Some(before)) if now == *before => {}
                (Ok(Glance::Missing), None) => {}
                (Ok(Glance::There(_) | Glance::Missing), _) => return Err(Changed),
                _ => unknown.push(path.as_path()),
            }
        }
        Ok(unknown)
    }

    fn hold_inside(&self, paths: &[&Path], files: &Files, process: &Process) -> bool {
        paths.chunks(AT_ONCE).all(|paths| {
            let batch = paths.iter().fold(Batch::new(), |batch, path| batch.stat(path));
            let Ok(outcomes) = files.batch(process, &batch) else { return false };
            paths.iter().zip(outcomes).all(|(path, outcome)| {
                let now = match outcome {
                    Ok(Outcome::Stat(stat)) => Some(numbers(&stat)),
                    Err(error) if error.kind() == ErrorKind::NotFound => None,
                    _ => return false,
                };
                self.0.get(*path) == Some(&now)
            })
        })
    }
}

/// Something is not as it was.
#[derive(Debug, PartialEq, Eq)]
struct Changed;

fn numbers(stat: &Stat) -> FileNumbers {
    FileNumbers { device: stat.device, inode: stat.inode, size: stat.size, modified: stat.modified }
}
