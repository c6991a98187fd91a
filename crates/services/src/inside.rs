//! Files of one container, fetched in as few requests as can be.

use std::collections::HashMap;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use portolan_files::{Batch, Files, Find, GlobOptions, Operation, Outcome, Stat};
use portolan_linux::error::{Escaped, FileKind, Limit};
use portolan_linux::{ErrorKind, Process};

use crate::config::Wanted;
use crate::prints::Prints;
use crate::source::{Finding, Findings, Included, Source, Unread};

/// The files that a process sees. Each is read once.
pub(crate) struct Inside<'a> {
    files: &'a Files,
    process: &'a Process,
    read: HashMap<PathBuf, Result<Arc<[u8]>, Unread>>,
    included: HashMap<PathBuf, Included>,
    looked: HashMap<PathBuf, Result<Stat, Unread>>,
    found: HashMap<(PathBuf, Find), Result<Arc<Findings>, Unread>>,
    bytes: u64,
    /// Why nothing more is asked for.
    broken: Option<Unread>,
    prints: Prints,
}

/// So long is waited for one request.
const TIMEOUT: Duration = Duration::from_secs(1);
/// So much is asked for in one request.
const AT_ONCE: usize = 400;
/// One file.
const MOST_BYTES: u64 = 1024 * 1024;
/// All files of a container.
const MOST_IN_ALL: u64 = 8 * 1024 * 1024;
/// Of one pattern.
const MOST_ENTRIES: u64 = 1000;

impl<'a> Inside<'a> {
    pub(crate) fn new(files: &'a Files, process: &'a Process) -> Self {
        Self {
            files,
            process,
            read: HashMap::new(),
            included: HashMap::new(),
            looked: HashMap::new(),
            found: HashMap::new(),
            bytes: 0,
            broken: None,
            prints: Prints::default(),
        }
    }

    /// Fetches in one request what will most likely be read.
    pub(crate) fn foresee(&mut self, wanted: &[Wanted]) {
        let fresh: Vec<&Wanted> = wanted
            .iter()
            .filter(|wanted| match wanted {
                Wanted::Read(path) => !self.read.contains_key(path),
                Wanted::Include(pattern) => !self.included.contains_key(pattern),
                Wanted::Look(path) => !self.looked.contains_key(path),
                Wanted::Find(path, find) => !self.found.contains_key(&(path.clone(), find.clone())),
            })
            .collect();
        if !fresh.is_empty() {
            self.fetch(&fresh);
        }
    }

    /// Whose files these are.
    pub(crate) fn process(&self) -> &Process {
        self.process
    }

    /// What a path is, links followed.
    pub(crate) fn stat(&mut self, path: &Path) -> Result<Stat, Unread> {
        if !self.looked.contains_key(path) {
            self.fetch(&[&Wanted::Look(path.to_owned())]);
        }
        let nothing = || Err(Unread::new(ErrorKind::Protocol, "look at: no answer"));
        self.looked.get(path).cloned().unwrap_or_else(nothing)
    }

    /// A file that may change without anything being read again.
    pub(crate) fn forget(&mut self, path: &Path) {
        self.prints.forget(path);
    }

    /// What was looked at, so that it can be known later whether it changed.
    pub(crate) fn into_prints(self) -> Prints {
        self.prints
    }

    fn fetch(&mut self, wanted: &[&Wanted]) {
        for wanted in wanted.chunks(AT_ONCE) {
            self.fetch_at_once(wanted);
        }
    }

    fn fetch_at_once(&mut self, wanted: &[&Wanted]) {
        let left = MOST_IN_ALL.saturating_sub(self.bytes);
        if left == 0 {
            let kind = ErrorKind::Limit(Limit::Bytes { size: MOST_IN_ALL });
            self.give_up(wanted, &Unread::new(kind, "read: more than 8 MiB in all"));
            return;
        }
        if let Some(broken) = self.broken.clone() {
            self.give_up(wanted, &broken);
            return;
        }
        let mut batch = Batch::new().max_bytes(left).max_entries(MOST_ENTRIES).timeout(TIMEOUT);
        for wanted in wanted {
            batch = match wanted {
                Wanted::Read(path) => {
                    let read = Operation::Read { max_bytes: MOST_BYTES, offset: 0, prefix: false };
                    batch.operation(read, path)
                }
                Wanted::Include(pattern) => {
                    let include = Operation::Include {
                        max_entries: MOST_ENTRIES,
                        max_bytes: MOST_BYTES,
                        prefix: false,
                    };
                    batch.operation(include, of_glob(pattern))
                }
                Wanted::Look(path) => batch.stat(path),
                Wanted::Find(path, find) => batch.operation(Operation::Find(find.clone()), path),
            };
        }
        // A file that comes or goes changes its directory.
        let mut directories: Vec<PathBuf> = Vec::new();
        for wanted in wanted {
            if let Wanted::Include(pattern) = wanted
                && let Some(directory) = fixed_part(pattern)
                && !self.prints.has(directory)
                && !directories.iter().any(|known| known == directory)
            {
                directories.push(directory.to_owned());
                batch = batch.stat(directory);
            }
        }
        match self.files.batch(self.process, &batch) {
            Ok(outcomes) => {
                let mut outcomes = outcomes.into_iter();
                for (wanted, outcome) in wanted.iter().zip(&mut outcomes) {
                    self.take(wanted, outcome);
                }
                for (directory, outcome) in directories.into_iter().zip(outcomes) {
                    let stat = self.look(&directory, outcome);
                    self.looked.insert(directory, stat);
                }
            }
            Err(error) => {
                let unread = unread(&error);
                self.give_up(wanted, &unread);
                // Who waited once for files that do not come does not wait for each of them.
                self.broken = Some(unread);
            }
        }
    }

    fn give_up(&mut self, wanted: &[&Wanted], why: &Unread) {
        for wanted in wanted {
            match wanted {
                Wanted::Read(path) => drop(self.read.insert(path.clone(), Err(why.clone()))),
                Wanted::Include(pattern) => {
                    let nothing = Included { files: Vec::new(), incomplete: Some(why.clone()) };
                    self.included.insert(pattern.clone(), nothing);
                }
                Wanted::Look(path) => drop(self.looked.insert(path.clone(), Err(why.clone()))),
                Wanted::Find(path, find) => {
                    self.found.insert((path.clone(), find.clone()), Err(why.clone()));
                }
            }
        }
    }

    fn look(&mut self, path: &Path, outcome: portolan_files::Result<Outcome>) -> Result<Stat, Unread> {
        match outcome {
            Ok(Outcome::Stat(stat)) => {
                self.prints.note(path, Some(&stat));
                Ok(stat)
            }
            Ok(_) => Err(Unread::new(ErrorKind::Protocol, "look at: another answer")),
            Err(error) => {
                if error.kind() == ErrorKind::NotFound {
                    self.prints.note(path, None);
                }
                Err(unread(&error))
            }
        }
    }

    fn take(&mut self, wanted: &Wanted, outcome: portolan_files::Result<Outcome>) {
        match (wanted, outcome) {
            (Wanted::Look(path), outcome) => {
                let kind = self.look(path, outcome);
                self.looked.insert(path.clone(), kind);
            }
            (Wanted::Read(path), outcome) => {
                let content = match outcome {
                    Ok(Outcome::Content(content)) => Ok(content),
                    Ok(_) => return,
                    Err(error) => Err(error),
                };
                let content = self.keep(path, content);
                self.read.insert(path.clone(), content);
            }
            (Wanted::Include(pattern), Ok(Outcome::Included(included))) => {
                let mut files = Vec::new();
                for file in included.files {
                    let content = self.keep(&file.path, file.content);
                    self.read.entry(file.path.clone()).or_insert_with(|| content.clone());
                    files.push((file.path, content));
                }
                let incomplete = included.incomplete.as_ref().map(unread);
                self.included.insert(pattern.clone(), Included { files, incomplete });
            }
            (Wanted::Include(pattern), Err(error)) => {
                let incomplete = Some(unread(&error)).filter(|unread| !unread.is_missing());
                self.included.insert(pattern.clone(), Included { files: Vec::new(), incomplete });
            }
            (Wanted::Find(path, find), outcome) => {
                let found = match outcome {
                    Ok(Outcome::Found(found)) => {
                        let places = found.places.into_iter();
                        let places = places.map(|place| Finding { bytes: place.bytes, at: place.at });
                        let places: Vec<Finding> = places.collect();
                        let bytes = places.iter().map(|place| place.bytes.len()).sum::<usize>();
                        self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
                        self.prints.note(path, Some(&found.stat));
                        Ok(Arc::new(Findings { places, truncated: found.truncated }))
                    }
                    Ok(_) => return,
                    Err(error) => {
                        if error.kind() == ErrorKind::NotFound {
                            self.prints.note(path, None);
                        }
                        Err(unread(&error))
                    }
                };
                self.found.insert((path.clone(), find.clone()), found);
            }
            _ => {}
        }
    }

    fn keep(
        &mut self,
        path: &Path,
        content: portolan_files::Result<portolan_files::Content>,
    ) -> Result<Arc<[u8]>, Unread> {
        match content {
            Ok(content) => {
                let length = u64::try_from(content.bytes.len()).unwrap_or(u64::MAX);
                self.bytes = self.bytes.saturating_add(length);
                let stat = content.stat;
                self.prints.note(path, Some(&stat));
                self.looked.insert(path.to_owned(), Ok(stat));
                Ok(Arc::from(content.bytes))
            }
            Err(error) => {
                if error.kind() == ErrorKind::NotFound {
                    self.prints.note(path, None);
                    self.looked.insert(path.to_owned(), Err(unread(&error)));
                }
                Err(unread(&error))
            }
        }
    }
}

/// The directory before a pattern's first wildcard.
fn fixed_part(pattern: &Path) -> Option<&Path> {
    let wild = |path: &&Path| path.as_os_str().as_bytes().iter().any(|byte| b"*?[\\".contains(byte));
    pattern.ancestors().skip(1).find(|path| !wild(path))
}

/// Patterns are those of the C library.
fn of_glob(pattern: &Path) -> PathBuf {
    let meant = crate::pattern::of_glob(pattern.as_os_str().as_bytes());
    PathBuf::from(std::ffi::OsString::from_vec(meant))
}

fn unread(error: &portolan_files::Error) -> Unread {
    Unread::new(error.kind(), Escaped(error.to_string().as_bytes()).to_string())
}

impl Source for Inside<'_> {
    fn read(&mut self, path: &Path) -> Result<Arc<[u8]>, Unread> {
        if !self.read.contains_key(path) {
            self.fetch(&[&Wanted::Read(path.to_owned())]);
        }
        self.read.get(path).cloned().unwrap_or_else(|| {
            let path = Escaped(path.as_os_str().as_bytes());
            Err(Unread::new(ErrorKind::Protocol, format!("read {path}: no answer")))
        })
    }

    fn include(&mut self, pattern: &Path) -> Included {
        if !self.included.contains_key(pattern) {
            self.fetch(&[&Wanted::Include(pattern.to_owned())]);
        }
        self.included.get(pattern).cloned().unwrap_or_default()
    }

    fn find(&mut self, path: &Path, find: &Find) -> Result<Arc<Findings>, Unread> {
        let key = (path.to_owned(), find.clone());
        if !self.found.contains_key(&key) {
            self.fetch(&[&Wanted::Find(key.0.clone(), key.1.clone())]);
        }
        self.found.get(&key).cloned().unwrap_or_else(|| {
            let path = Escaped(path.as_os_str().as_bytes());
            Err(Unread::new(ErrorKind::Protocol, format!("look through {path}: no answer")))
        })
    }

    fn foresee(&mut self, wanted: &[Wanted]) {
        Inside::foresee(self, wanted);
    }

    fn links(&mut self, pattern: &Path) -> Vec<PathBuf> {
        if self.broken.is_some() {
            return Vec::new();
        }
        let matches = self.files.glob(self.process, pattern, &GlobOptions::default().timeout(TIMEOUT));
        let entries = matches.map(|matches| matches.entries).unwrap_or_default();
        entries.into_iter().filter(|entry| entry.kind == FileKind::Symlink).map(|entry| entry.path).collect()
    }

    fn glob(&mut self, pattern: &Path) -> Vec<PathBuf> {
        if self.broken.is_some() {
            return Vec::new();
        }
        let matches =
            self.files.glob(self.process, of_glob(pattern), &GlobOptions::default().timeout(TIMEOUT));
        if let Some(directory) = fixed_part(pattern) {
            let _ = self.kind(directory);
        }
        matches
            .map(|matches| matches.entries.into_iter().map(|entry| entry.path).collect())
            .unwrap_or_default()
    }

    fn kind(&mut self, path: &Path) -> Result<FileKind, Unread> {
        self.stat(path).map(|stat| stat.kind)
    }
}
