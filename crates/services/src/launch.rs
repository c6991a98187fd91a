//! How a service's process was started: its program, arguments, directory and variables.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use portolan_linux::{ErrorKind, Process};

/// How a process was started. Program, directory and root are the kernel's word; arguments and variables lie in the
/// process's own memory, and can have been rewritten.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Launch {
    /// The program that it executes, as its mount namespace names it. Empty where that could not be read.
    pub program: PathBuf,
    /// Whether that file was replaced or removed since.
    pub deleted: bool,
    /// The arguments, the program's name being the first.
    pub arguments: Vec<Vec<u8>>,
    /// The working directory, as seen from the process's root.
    pub directory: PathBuf,
    /// The process's root directory in its mount namespace.
    pub root: PathBuf,
    /// The effective user, as a number of the host.
    pub user: u32,
    /// Why the program could not be read, if it could not.
    pub(crate) unreadable: Option<ErrorKind>,
    /// The ports of the TCP and UDP sockets that its service listens on, by the kernel's word; in order, each once.
    pub ports: Vec<u16>,
    /// Variables, each ended by NUL: secrets are among them.
    environment: Vec<u8>,
}

impl fmt::Debug for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Arguments can hold passwords as well as variables can.
        f.debug_struct("Launch").field("program", &self.program).finish_non_exhaustive()
    }
}

impl Launch {
    /// Reads the program and the arguments of a process; what cannot be read is empty.
    #[must_use]
    pub fn of(process: &Process) -> Self {
        let program = process.program();
        let unreadable = program.as_ref().err().map(portolan_linux::Error::kind);
        let (program, deleted) = undeleted(program.unwrap_or_default());
        let line = process.whole_command_line().unwrap_or_default();
        Self { program, deleted, arguments: arguments(&line), unreadable, ..Self::default() }
    }

    /// The same with directory, root, user and variables, which readers of configurations need.
    #[must_use]
    pub fn with_surroundings(mut self, process: &Process) -> Self {
        self = self.with_directory(process);
        self.user = process.owner().unwrap_or(u32::MAX);
        self.environment = process.environment().unwrap_or_default();
        // The last one may have been cut.
        let whole = self.environment.iter().rposition(|b| *b == 0).map_or(0, |at| at.saturating_add(1));
        self.environment.truncate(whole);
        self
    }

    /// The same with directory and root.
    #[must_use]
    pub(crate) fn with_directory(mut self, process: &Process) -> Self {
        self.root = PathBuf::from(std::ffi::OsString::from_vec(process.root_path().unwrap_or_default()));
        let directory = undeleted(process.working_directory().unwrap_or_default()).0;
        // Both links are told from the namespace's root.
        self.directory = match directory.strip_prefix(&self.root) {
            Ok(below) if self.root != Path::new("/") => Path::new("/").join(below),
            _ => directory,
        };
        self
    }

    /// From its parts, as a test has them.
    #[cfg(test)]
    pub(crate) fn test(program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let variables = variables.iter().flat_map(|(name, value)| format!("{name}={value}\0").into_bytes());
        Self {
            program: program.into(),
            arguments: arguments.iter().map(|a| a.as_bytes().to_vec()).collect(),
            directory: "/".into(),
            root: "/".into(),
            environment: variables.collect(),
            ..Self::default()
        }
    }

    /// The name of the program's file.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        self.program.file_name().map_or(&[], OsStr::as_bytes)
    }

    /// A variable's value.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&[u8]> {
        self.environment
            .split(|b| *b == 0)
            .find_map(|entry| entry.strip_prefix(name.as_bytes())?.strip_prefix(b"="))
    }

    /// The value of the last option of these names: `-c value`, `-cvalue` (one letter only), `--config value`,
    /// `--config=value`.
    #[must_use]
    pub fn option(&self, names: &[&str]) -> Option<&OsStr> {
        self.options(names).pop()
    }

    /// The values of all options of these names, in their order.
    #[must_use]
    pub fn options(&self, names: &[&str]) -> Vec<&OsStr> {
        let mut found = Vec::new();
        let mut left = self.arguments.iter().skip(1).peekable();
        while let Some(argument) = left.next() {
            if argument == b"--" {
                break;
            }
            for name in names {
                let Some(rest) = argument.strip_prefix(name.as_bytes()) else { continue };
                let short = name.len() == 2 && !name.starts_with("--");
                match rest {
                    [] => found.extend(left.peek().map(|next| OsStr::from_bytes(next))),
                    [b'=', value @ ..] if !short => found.push(OsStr::from_bytes(value)),
                    value if short => found.push(OsStr::from_bytes(value)),
                    _ => continue,
                }
                break;
            }
        }
        found
    }

    /// Whether an argument is exactly this.
    #[must_use]
    pub fn has(&self, argument: &str) -> bool {
        self.arguments.iter().skip(1).any(|a| a == argument.as_bytes())
    }

    /// A path as the process means it: a relative one begins at its working directory.
    #[must_use]
    pub fn resolve(&self, path: impl AsRef<Path>) -> PathBuf {
        self.directory.join(path)
    }
}

/// A link of `/proc` without what the kernel adds to it.
fn undeleted(mut link: Vec<u8>) -> (PathBuf, bool) {
    let kept = link.strip_suffix(b" (deleted)").map(<[u8]>::len);
    if let Some(length) = kept {
        link.truncate(length);
    }
    (PathBuf::from(std::ffi::OsString::from_vec(link)), kept.is_some())
}

/// A command line's arguments. What a process wrote over them is one text padded with NUL or blanks.
fn arguments(line: &[u8]) -> Vec<Vec<u8>> {
    let end = line.iter().rposition(|b| *b != 0).map_or(0, |at| at.saturating_add(1));
    let line = line.get(..end).unwrap_or(&[]);
    if line.is_empty() {
        return Vec::new();
    }
    line.split(|b| *b == 0).map(<[u8]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_in_all_their_forms() {
        let launch =
            Launch::test("/usr/sbin/x", &["x", "-c", "a", "-cb", "--config=c", "--config", "d", "-v"], &[]);
        assert_eq!(launch.options(&["-c", "--config"]), ["a", "b", "c", "d"]);
        assert_eq!(launch.option(&["-v"]), None);
        assert_eq!(launch.option(&["--conf"]), None);
        assert!(launch.has("-v") && !launch.has("x"));
    }

    #[test]
    fn variables_are_found_by_their_whole_name() {
        let launch = Launch::test("/x", &[], &[("PGDATA2", "no"), ("PGDATA", "/d=1")]);
        assert_eq!(launch.variable("PGDATA"), Some(&b"/d=1"[..]));
        assert_eq!(launch.variable("PG"), None);
        assert!(!format!("{launch:?}").contains("/d=1"));
    }

    #[test]
    fn rewritten_command_lines_keep_what_they_say() {
        assert_eq!(arguments(b"nginx: worker process\0\0\0\0"), [b"nginx: worker process"]);
        assert_eq!(arguments(b"a\0\0b\0"), [&b"a"[..], b"", b"b"]);
        assert!(arguments(b"\0\0").is_empty());
    }

    #[test]
    fn what_the_kernel_adds_to_a_link_is_no_part_of_the_path() {
        assert_eq!(
            undeleted(b"/usr/sbin/nginx (deleted)".to_vec()),
            (PathBuf::from("/usr/sbin/nginx"), true)
        );
        assert_eq!(undeleted(b"/usr/sbin/nginx".to_vec()), (PathBuf::from("/usr/sbin/nginx"), false));
    }
}
