//! Files of a test.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portolan_files::Find;
use portolan_linux::ErrorKind;
use portolan_linux::error::{Escaped, FileKind};

use crate::source::{Finding, Findings, Included, Source, Unread};

/// Files of a test, and what was read of them. A pattern may have wildcards in any of its names.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    files: BTreeMap<PathBuf, Arc<[u8]>>,
    pub(crate) read: Vec<PathBuf>,
}

impl Memory {
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        let files = files.iter().map(|(path, text)| (PathBuf::from(path), Arc::from(text.as_bytes())));
        Self { files: files.collect(), read: Vec::new() }
    }

    pub(crate) fn with(mut self, path: impl Into<PathBuf>, bytes: &[u8]) -> Self {
        self.files.insert(path.into(), Arc::from(bytes));
        self
    }
}

fn missing(path: &Path) -> Unread {
    let path = Escaped(path.as_os_str().as_bytes());
    Unread::new(ErrorKind::NotFound, format!("read {path}: no such file"))
}

impl Source for Memory {
    fn read(&mut self, path: &Path) -> Result<Arc<[u8]>, Unread> {
        self.read.push(path.to_owned());
        let below = |file: &PathBuf| file != path && file.starts_with(path);
        match self.files.get(path) {
            Some(content) => Ok(Arc::clone(content)),
            None if self.files.keys().any(below) => {
                let kind = ErrorKind::NotRegular(FileKind::Directory);
                Err(Unread::new(kind, "read: it is a directory"))
            }
            None => Err(missing(path)),
        }
    }

    fn include(&mut self, pattern: &Path) -> Included {
        let paths = self.glob(pattern);
        let files = paths.into_iter().map(|path| {
            let content = self.read(&path);
            (path, content)
        });
        Included { files: files.collect(), incomplete: None }
    }

    fn glob(&mut self, pattern: &Path) -> Vec<PathBuf> {
        let wanted: Vec<&[u8]> = pattern.as_os_str().as_bytes().split(|b| *b == b'/').collect();
        let fits = |path: &&PathBuf| {
            let names: Vec<&[u8]> = path.as_os_str().as_bytes().split(|b| *b == b'/').collect();
            names.len() == wanted.len()
                && names.iter().zip(&wanted).all(|(name, wanted)| {
                    (!name.starts_with(b".") || wanted.starts_with(b"."))
                        && crate::rules::wild::matches(wanted, name)
                })
        };
        self.files.keys().filter(fits).cloned().collect()
    }

    fn find(&mut self, path: &Path, find: &Find) -> Result<Arc<Findings>, Unread> {
        let bytes = self.read(path)?;
        let from = usize::try_from(find.offset).unwrap();
        let fits = |at: &usize| {
            let line = *at == 0 || bytes[at.saturating_sub(1)] == b'\n';
            (line || !find.at_lines) && find.texts.iter().any(|text| bytes[*at..].starts_with(text))
        };
        let places = (from..bytes.len()).filter(fits).map(|at| {
            let first = at.saturating_sub(find.before as usize).max(from);
            let last = at.saturating_add(find.after as usize).min(bytes.len());
            Finding { bytes: bytes[first..last].to_vec(), at: at.saturating_sub(first) }
        });
        let most = usize::try_from(find.max_places).unwrap();
        let places: Vec<Finding> = places.take(most).collect();
        let truncated = places.len() == most;
        Ok(Arc::new(Findings { places, truncated }))
    }

    fn kind(&mut self, path: &Path) -> Result<FileKind, Unread> {
        if self.files.contains_key(path) {
            Ok(FileKind::Regular)
        } else if self.files.keys().any(|file| file.starts_with(path)) {
            Ok(FileKind::Directory)
        } else {
            Err(missing(path))
        }
    }
}
