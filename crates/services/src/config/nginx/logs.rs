//! Logs of nginx: where they are, and how their lines are written.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use portolan_linux::error::Escaped;

use super::tree::{Statement, named};
use crate::configuration::LogFormat;

/// The format that is there without being defined, as its manual has it.
const COMBINED: &str = concat!(
    r#"$remote_addr - $remote_user [$time_local] "$request" "#,
    r#"$status $body_bytes_sent "$http_referer" "$http_user_agent""#
);

/// The formats of a block, by their names.
#[derive(Debug)]
pub(super) struct Formats(BTreeMap<Vec<u8>, String>);

impl Formats {
    /// What `http` or `stream` defines; only the former has one of its own.
    pub(super) fn of(block: &[Statement], http: bool) -> Self {
        let mut formats = BTreeMap::new();
        if http {
            formats.insert(b"combined".to_vec(), COMBINED.to_owned());
        }
        for statement in named(block, "log_format") {
            let mut parts = statement.arguments.iter();
            let Some(name) = parts.next() else { continue };
            // The parts of a format are one text; how values are escaped is no part of it.
            let parts = parts.enumerate().filter(|(place, part)| *place > 0 || !part.starts_with(b"escape="));
            let text: Vec<u8> = parts.flat_map(|(_, part)| part.iter().copied()).collect();
            formats.insert(name.clone(), Escaped(&text).to_string());
        }
        Self(formats)
    }

    /// The format of an `access_log`; `None` where it names one that is not defined.
    pub(super) fn named(&self, name: &[u8]) -> LogFormat {
        LogFormat { name: Escaped(name).to_string(), text: self.0.get(name).cloned() }
    }

    /// The format where none is named.
    pub(super) fn usual() -> LogFormat {
        LogFormat { name: "combined".to_owned(), text: Some(COMBINED.to_owned()) }
    }
}

/// Where a log is written to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target<'a> {
    /// A file.
    File(&'a [u8]),
    /// Files whose names hold variables: a glob that matches them.
    Files(Vec<u8>),
    /// syslog, memory, standard error, or nowhere.
    Elsewhere,
}

impl<'a> Target<'a> {
    /// Of an `access_log`.
    pub(super) fn access(path: &'a [u8]) -> Self {
        if path.starts_with(b"syslog:") || path.is_empty() {
            Self::Elsewhere
        } else if path.contains(&b'$') {
            Self::Files(glob(path))
        } else {
            Self::File(path)
        }
    }

    /// Of an `error_log`.
    pub(super) fn error(path: &'a [u8]) -> Self {
        let elsewhere = path == b"stderr" || path.starts_with(b"syslog:") || path.starts_with(b"memory:");
        if elsewhere || path.is_empty() { Self::Elsewhere } else { Self::File(path) }
    }
}

/// A path with variables as a glob.
fn glob(path: &[u8]) -> Vec<u8> {
    let mut glob = Vec::with_capacity(path.len());
    let mut left = path.iter().copied().peekable();
    while let Some(byte) = left.next() {
        match byte {
            b'$' => {
                if left.next_if_eq(&b'{').is_some() {
                    while left.next().is_some_and(|byte| byte != b'}') {}
                } else {
                    while left.next_if(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').is_some() {}
                }
                if glob.last() != Some(&b'*') {
                    glob.push(b'*');
                }
            }
            b'*' | b'?' | b'[' | b'\\' => glob.extend([b'\\', byte]),
            _ => glob.push(byte),
        }
    }
    glob
}

/// A path as bytes, below a directory where it is relative.
pub(super) fn below(directory: &Path, path: &[u8]) -> PathBuf {
    directory.join(PathBuf::from(std::ffi::OsString::from_vec(path.to_vec())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_paths_become_wildcards() {
        assert_eq!(glob(b"/l/$host.log"), b"/l/*.log");
        assert_eq!(glob(b"/l/${host}_$a$b.log"), b"/l/*_*.log");
        assert_eq!(glob(b"/l[1]*/$x"), b"/l\\[1]\\*/*");
        assert_eq!(glob(b"/l/${x"), b"/l/*");
    }

    #[test]
    fn not_all_targets_are_files() {
        for elsewhere in ["stderr", "syslog:server=[::1]", "memory:32m", ""] {
            assert_eq!(Target::error(elsewhere.as_bytes()), Target::Elsewhere);
        }
        // Famous: this makes a file of that name.
        assert_eq!(Target::error(b"off"), Target::File(b"off"));
        assert_eq!(Target::access(b"stderr"), Target::File(b"stderr"));
    }
}
