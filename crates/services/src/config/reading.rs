//! A configuration while it is read: where files come from, what was found, and how deep the reader is.

use std::collections::HashSet;
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portolan_linux::ErrorKind;
use portolan_linux::error::{Escaped, FileKind, Limit};
use secrecy::SecretString;

use super::includes::Includes;
use crate::configuration::{
    ConfigFault, ConfigFile, Configuration, ConfiguredLog, Credential, ListenAddress, LogFormat, LogPurpose,
    Purpose,
};
use crate::launch::Launch;
use crate::source::{Source, Unread};

/// One reader's work on one service.
pub(crate) struct Reading<'a> {
    pub(crate) launch: &'a Launch,
    pub(crate) source: &'a mut dyn Source,
    pub(crate) found: Configuration,
    includes: Includes,
    /// The bytes of all files that were given out, each time that they were.
    given: usize,
    /// The files that were noted.
    known: HashSet<PathBuf>,
}

/// Where something was said: a file and a line, or neither for arguments and variables.
pub(crate) type Place<'a> = Option<(&'a Path, u32)>;

impl<'a> Reading<'a> {
    pub(crate) fn new(launch: &'a Launch, source: &'a mut dyn Source, deepest: usize) -> Self {
        Self {
            launch,
            source,
            found: Configuration::default(),
            includes: Includes::to_depth(deepest),
            given: 0,
            known: HashSet::new(),
        }
    }

    /// A file that is part of the configuration. A fault is told at the place that names it.
    pub(crate) fn file(&mut self, path: &Path, by: &'static str, place: Place<'_>) -> Option<Arc<[u8]>> {
        match self.source.read(path) {
            Ok(text) => {
                self.note(path, by);
                self.afford(&text, path, place).then_some(text)
            }
            Err(unread) => {
                if !unread.is_missing() {
                    self.note(path, by);
                }
                self.unread(&unread, place.or(Some((path, 0))));
                None
            }
        }
    }

    /// Notes a file, once.
    pub(crate) fn note(&mut self, path: &Path, by: &'static str) {
        if self.known.len() < MOST_FILES && self.known.insert(path.to_owned()) {
            self.found.files.push(ConfigFile { path: path.to_owned(), by });
        }
    }

    /// A file that need not be there.
    pub(crate) fn file_if_there(&mut self, path: &Path, by: &'static str) -> Option<Arc<[u8]>> {
        match self.source.read(path) {
            Err(unread) if unread.is_missing() => None,
            _ => self.file(path, by, None),
        }
    }

    /// A file that the service reads, and this reader does not.
    pub(crate) fn mention(&mut self, path: &Path, by: &'static str) {
        match self.source.kind(path) {
            Ok(FileKind::Directory) => {}
            Err(unread) if unread.is_missing() => {}
            _ => self.note(path, by),
        }
    }

    /// The files of a pattern that can be read, each with its text. What is no regular file is passed over; what
    /// cannot be read is a fault.
    pub(crate) fn matches(
        &mut self,
        pattern: &Path,
        by: &'static str,
        place: Place<'_>,
    ) -> Vec<(PathBuf, Arc<[u8]>)> {
        let included = self.source.include(pattern);
        if let Some(unread) = &included.incomplete {
            self.unread(unread, place);
        }
        let mut files = Vec::new();
        for (path, content) in included.files {
            match content {
                Ok(text) => {
                    self.note(&path, by);
                    if self.afford(&text, &path, place) {
                        files.push((path, text));
                    }
                }
                Err(unread) if matches!(unread.kind, ErrorKind::NotRegular(_)) => {}
                Err(unread) => self.unread(&unread, place),
            }
        }
        files
    }

    /// Whether a file is still to be taken in. Files are fetched once, but may be included again and again.
    fn afford(&mut self, text: &[u8], path: &Path, place: Place<'_>) -> bool {
        // An empty file costs something, too.
        self.given = self.given.saturating_add(text.len()).saturating_add(1024);
        if self.given <= MOST_BYTES {
            return true;
        }
        let (at, line) = place.unwrap_or((path, 0));
        let limit = ErrorKind::Limit(Limit::Bytes { size: u64::try_from(MOST_BYTES).unwrap_or(u64::MAX) });
        self.push(limit, Some(at), line, "more than 16 MiB are included in all".to_owned());
        false
    }

    /// Another attempt at the same service, with nothing found yet, that is allowed what this one has left.
    pub(crate) fn attempt(&mut self) -> Reading<'_> {
        let mut attempt = Reading::new(self.launch, &mut *self.source, self.includes.deepest());
        attempt.given = self.given;
        attempt
    }

    /// Ends an attempt: what it found, and what it took in.
    pub(crate) fn into_parts(self) -> (Configuration, usize) {
        (self.found, self.given)
    }

    /// Counts what an attempt took in.
    pub(crate) fn spent(&mut self, given: usize) {
        self.given = given;
    }

    /// Begins a file, unless that would be a circle or too deep; [`leave`](Self::leave) ends it.
    pub(crate) fn enter(&mut self, path: &Path, place: Place<'_>) -> bool {
        match self.includes.enter(path) {
            Ok(()) => true,
            Err((kind, message)) => {
                let (at, line) = place.unwrap_or((path, 0));
                let message = format!("{}: {message}", Escaped(path.as_os_str().as_bytes()));
                self.push(kind, Some(at), line, message);
                false
            }
        }
    }

    pub(crate) fn leave(&mut self) {
        self.includes.leave();
    }

    /// What is wrong at a place.
    pub(crate) fn fault(&mut self, place: Place<'_>, message: impl std::fmt::Display) {
        let line = place.map(|(_, line)| line).filter(|line| *line > 0);
        self.found.add_fault(ErrorKind::InvalidInput, place.map(|(path, _)| path), line, message);
    }

    pub(crate) fn unread(&mut self, unread: &Unread, place: Place<'_>) {
        let (path, line) = place.map_or((None, 0), |(path, line)| (Some(path), line));
        self.push(unread.kind, path, line, unread.message.clone());
    }

    /// A message that holds nothing unescaped.
    fn push(&mut self, kind: ErrorKind, path: Option<&Path>, line: u32, message: String) {
        let line = Some(line).filter(|line| *line > 0);
        let before = self.found.faults.len();
        self.found.add_fault(kind, path, line, "");
        if let Some(fault) = self.found.faults.get_mut(before) {
            *fault = ConfigFault { message, ..fault.clone() };
        }
    }

    pub(crate) fn listen(&mut self, address: ListenAddress, tls: Option<bool>, purpose: Purpose) {
        self.found.add_listen(address, tls, purpose);
    }

    /// A setting as it is shown: escaped, and without one that is absurdly long.
    pub(crate) fn set(&mut self, name: &str, value: &[u8]) {
        let value = value.get(..LONGEST_SETTING).unwrap_or(value);
        self.found.settings.insert(name.to_owned(), Escaped(value).to_string());
    }

    /// What the service would accept; nothing that is empty, or no text.
    pub(crate) fn secret(&mut self, source: impl Into<String>, user: Option<&[u8]>, secret: &[u8]) {
        let Ok(secret) = std::str::from_utf8(secret) else { return };
        if secret.is_empty() || self.found.credentials.len() >= MOST_CREDENTIALS {
            return;
        }
        let user = user.map(|user| String::from_utf8_lossy(user).into_owned());
        let secret = SecretString::from(secret.to_owned());
        self.found.credentials.push(Credential { source: source.into(), user, secret });
    }

    /// A password that a variable holds, or that is in the file which another variable names.
    pub(crate) fn secret_variable(&mut self, name: &str, user: Option<&[u8]>) {
        let launch = self.launch;
        if let Some(secret) = launch.variable(name) {
            self.secret(format!("variable {name}"), user, secret);
            return;
        }
        let file = format!("{name}_FILE");
        if let Some(path) = launch.variable(&file).filter(|path| path.starts_with(b"/"))
            && let Ok(text) = self.source.read(&path_of(path))
        {
            self.secret(format!("variable {file}"), user, text.trim_ascii_end());
        }
    }

    /// A log whose path may be a glob.
    pub(crate) fn log(
        &mut self,
        path: PathBuf,
        purpose: LogPurpose,
        format: Option<LogFormat>,
        pattern: bool,
    ) {
        if self.found.logs.len() < MOST_LOGS
            && !self.found.logs.iter().any(|log| log.path == path && log.purpose == purpose)
        {
            self.found.logs.push(ConfiguredLog { path, purpose, format, pattern });
        }
    }
}

/// Of all files, each time that it is included.
const MOST_BYTES: usize = 16 * 1024 * 1024;
const MOST_FILES: usize = 2000;
const LONGEST_SETTING: usize = 4096;
const MOST_CREDENTIALS: usize = 256;
const MOST_LOGS: usize = 256;

/// Lines with their numbers, without what ends them.
pub(crate) fn lines(text: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    let mut rest = Some(text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text));
    let lines = std::iter::from_fn(move || {
        let text = rest?;
        // Most of a configuration is comments, of which the ends are all that counts.
        let (line, after) = match memchr::memchr(b'\n', text) {
            Some(end) => (text.get(..end)?, text.get(end.saturating_add(1)..)),
            None => (text, None),
        };
        rest = after;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    });
    (1_u32..).zip(lines)
}

/// A path that need not be UTF-8.
pub(crate) fn path_of(bytes: &[u8]) -> PathBuf {
    PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
}

/// A number as text has it.
pub(crate) fn number<T: std::str::FromStr>(bytes: &[u8]) -> Option<T> {
    std::str::from_utf8(bytes.trim_ascii()).ok()?.parse().ok()
}

/// What a host means to `bind(2)`: an address, a name, or all addresses (`*`, nothing).
pub(crate) fn host(host: &[u8], port: u16) -> ListenAddress {
    let host = host.trim_ascii();
    let host = host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]")).unwrap_or(host);
    if host.is_empty() || host == b"*" {
        return ListenAddress::Inet(None, port);
    }
    let text = String::from_utf8_lossy(host);
    // A zone (`fe80::1%eth0`) says which interface, not which address.
    let address = text.split_once('%').map_or(&*text, |(address, _)| address);
    match address.parse::<IpAddr>() {
        Ok(address) => ListenAddress::Inet(Some(address), port),
        Err(_) => ListenAddress::Name(text.into_owned(), port),
    }
}

/// `HOST:PORT`, `[HOST]:PORT`, `:PORT` or `PORT`.
pub(crate) fn host_port(text: &[u8]) -> Option<ListenAddress> {
    let text = text.trim_ascii();
    let (name, port) = match text.iter().rposition(|b| *b == b':') {
        Some(at) => (text.get(..at)?, text.get(at.saturating_add(1)..)?),
        None => (&b""[..], text),
    };
    Some(host(name, number(port)?))
}

/// A path as a pattern that only it matches.
pub(crate) fn literal(path: &Path) -> PathBuf {
    let mut escaped = Vec::new();
    for byte in path.as_os_str().as_bytes() {
        if b"*?[]\\{}".contains(byte) {
            escaped.push(b'\\');
        }
        escaped.push(*byte);
    }
    path_of(&escaped)
}

/// The directory of a file.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("/"))
}

/// Where a process was when it read its arguments, as its shell told it: for services that change their directory
/// later. Where others are, the kernel knows better.
pub(crate) fn started_in(launch: &Launch) -> PathBuf {
    launch
        .variable("PWD")
        .filter(|directory| directory.starts_with(b"/"))
        .map_or_else(|| launch.directory.clone(), path_of)
}

#[cfg(test)]
mod tests {
    use super::lines;

    #[test]
    fn lines_are_numbered_and_lose_their_ends() {
        let all: Vec<_> = lines(b"\xef\xbb\xbfa\r\n\nb").collect();
        assert_eq!(all, [(1, &b"a"[..]), (2, b""), (3, b"b")]);
        assert_eq!(lines(b"").collect::<Vec<_>>(), [(1, &b""[..])]);
        assert_eq!(lines(b"a\n").count(), 2);
    }
}
