//! Option files: `[groups]` of options, as MySQL and MariaDB read them.

use std::path::{Path, PathBuf};

use portolan_linux::ErrorKind;

use crate::config::reading::{Reading, lines, literal, path_of};

/// An option of some group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// The group, as written.
    pub(super) group: Vec<u8>,
    /// As written, with `loose-` and the like.
    pub(super) name: Vec<u8>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) file: PathBuf,
    pub(super) line: u32,
}

/// All options of the files so far.
#[derive(Debug, Default)]
pub(super) struct OptionFiles {
    pub(super) told: Vec<Told>,
    /// Where relative paths of `!include` begin.
    pub(super) directory: PathBuf,
}

/// So many options are more than a server has.
const MOST_OPTIONS: usize = 20_000;
/// The server's own limit of files within files.
pub(super) const DEEPEST: usize = 10;

impl OptionFiles {
    /// Reads a file that may be missing.
    pub(super) fn optional(&mut self, reading: &mut Reading<'_>, path: &Path, by: &'static str) {
        if let Some(text) = reading.file_if_there(path, by) {
            self.take(reading, path, &text);
        }
    }

    /// Reads a file that must be there.
    pub(super) fn required(&mut self, reading: &mut Reading<'_>, path: &Path, by: &'static str) {
        if let Some(text) = reading.file(path, by, None) {
            self.take(reading, path, &text);
        }
    }

    /// Takes the options of a file that is read by other programs, and includes nothing.
    pub(super) fn text(&mut self, text: &[u8], path: &Path) {
        let mut group = Vec::new();
        for (number, line) in lines(text).take(MOST_OPTIONS) {
            let line = line.trim_ascii();
            match line {
                [] | [b'#' | b';' | b'!', ..] => {}
                [b'[', rest @ ..] => group = rest.split(|b| *b == b']').next().unwrap_or(rest).to_vec(),
                line => {
                    let (name, value) = option(line);
                    let (group, file) = (group.clone(), path.to_owned());
                    self.told.push(Told { group, name, value, file, line: number });
                }
            }
        }
    }

    fn take(&mut self, reading: &mut Reading<'_>, path: &Path, text: &[u8]) {
        if !reading.enter(path, None) {
            return;
        }
        let mut group: Option<Vec<u8>> = None;
        for (number, line) in lines(text) {
            let place = Some((path, number));
            let line = line.trim_ascii();
            match line.first() {
                None | Some(b'#' | b';') => {}
                Some(b'!') => self.include(reading, line, (path, number)),
                Some(b'[') => match line.iter().position(|b| *b == b']') {
                    Some(end) => group = line.get(1..end).map(|name| name.trim_ascii_end().to_vec()),
                    None => {
                        reading
                            .fault(place, "a group's name does not end; the server does not start with this");
                        break;
                    }
                },
                Some(_) => {
                    let Some(group) = &group else {
                        reading.fault(place, "an option is in no group; the server does not start with this");
                        break;
                    };
                    if self.told.len() >= MOST_OPTIONS {
                        reading.fault(place, "there are too many options; the rest is not read");
                        break;
                    }
                    let (name, value) = option(line);
                    let (group, file) = (group.clone(), path.to_owned());
                    self.told.push(Told { group, name, value, file, line: number });
                }
            }
        }
        reading.leave();
    }

    /// `!include file`, `!includedir directory`.
    fn include(&mut self, reading: &mut Reading<'_>, line: &[u8], place: (&Path, u32)) {
        let directive = |name: &[u8]| {
            let rest = line.strip_prefix(b"!")?.strip_prefix(name)?;
            rest.first().filter(|b| b.is_ascii_whitespace()).map(|_| rest.trim_ascii())
        };
        if let Some(directory) = directive(b"includedir") {
            let directory = self.directory.join(path_of(directory));
            let mut found = Vec::new();
            for names in ["*.cnf", ".*.cnf"] {
                let included = reading.source.include(&literal(&directory).join(names));
                if let Some(unread) = &included.incomplete {
                    reading.unread(unread, Some(place));
                }
                found.extend(included.files);
            }
            // The server sorts by names alone.
            found.sort_by(|(a, _), (b, _)| a.file_name().cmp(&b.file_name()));
            for (path, content) in found {
                match content {
                    Ok(text) => {
                        reading.found.add_file(&path, "included");
                        self.take(reading, &path, &text);
                    }
                    Err(unread) if matches!(unread.kind, ErrorKind::NotRegular(_)) => {}
                    Err(unread) => reading.unread(&unread, Some(place)),
                }
            }
        } else if let Some(file) = directive(b"include") {
            let file = self.directory.join(path_of(file));
            if let Some(text) = reading.file(&file, "included", Some(place)) {
                self.take(reading, &file, &text);
            }
        } else {
            reading.fault(Some(place), "it is neither !include nor !includedir");
        }
    }
}

/// `name`, `name=value`: without comment, quotes and escapes.
fn option(line: &[u8]) -> (Vec<u8>, Option<Vec<u8>>) {
    let line = uncommented(line);
    let Some(equals) = line.iter().position(|b| *b == b'=') else {
        return (line.trim_ascii().to_vec(), None);
    };
    let (name, value) = line.split_at_checked(equals).unwrap_or((line, b"="));
    let value = value.strip_prefix(b"=").unwrap_or(value).trim_ascii();
    let inner = match value {
        [first @ (b'"' | b'\''), inner @ .., last] if first == last => inner,
        value => value,
    };
    let mut plain = Vec::with_capacity(inner.len());
    let mut left = inner.iter();
    while let Some(byte) = left.next() {
        if *byte != b'\\' {
            plain.push(*byte);
            continue;
        }
        match left.next() {
            Some(b'n') => plain.push(b'\n'),
            Some(b't') => plain.push(b'\t'),
            Some(b'r') => plain.push(b'\r'),
            Some(b'b') => plain.push(0x08),
            Some(b's') => plain.push(b' '),
            Some(known @ (b'"' | b'\'' | b'\\')) => plain.push(*known),
            Some(other) => plain.extend([b'\\', *other]),
            None => plain.push(b'\\'),
        }
    }
    (name.trim_ascii().to_vec(), Some(plain))
}

/// The line up to a `#` that is not between quotes.
fn uncommented(line: &[u8]) -> &[u8] {
    let mut quote = None;
    let mut escaped = false;
    for (at, byte) in line.iter().enumerate() {
        match (*byte, quote) {
            (b'#', None) => return line.get(..at).unwrap_or(line),
            (b'"' | b'\'', None) => quote = Some(*byte),
            (byte, Some(open)) if byte == open && !escaped => quote = None,
            _ => {}
        }
        escaped = quote.is_some() && *byte == b'\\' && !escaped;
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_escapes_and_comments() {
        for (line, name, value) in [
            ("port=3306", "port", Some("3306")),
            ("user = \"a # b\" # c", "user", Some("a # b")),
            ("datadir='x\\sy\\qz'   ", "datadir", Some("x y\\qz")),
            ("socket = a;b", "socket", Some("a;b")),
            ("skip-networking # not", "skip-networking", None),
            ("x =", "x", Some("")),
            ("x = \"", "x", Some("\"")),
            ("x = 'it\\'s' ", "x", Some("it's")),
            ("x=\"a\\", "x", Some("\"a\\")),
        ] {
            let told = option(line.as_bytes());
            assert_eq!(told, (name.as_bytes().to_vec(), value.map(|v| v.as_bytes().to_vec())), "{line}");
        }
    }
}
