//! `pg_hba.conf`: who may connect from where, and with what proof. The first line that fits decides.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use super::canonical;
use crate::config::reading::{Reading, lines, literal, number, parent, path_of};

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) kind: Kind,
    /// Whether it is for every database and every user.
    pub(super) for_all: bool,
    /// Whether it is for clients at 127.0.0.1.
    pub(super) loopback: bool,
    pub(super) method: String,
}

/// By what it is connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Local,
    /// TCP, with TLS, without, or either.
    Host(Option<bool>),
}

/// What the lines ask of a user whom none of them names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Proof<'a> {
    /// Over the Unix socket.
    pub(super) local: Option<&'a str>,
    /// From 127.0.0.1, and whether only with TLS.
    pub(super) loopback: Option<(&'a str, bool)>,
}

/// Files as deep as the server's own.
const DEEPEST: usize = 10;

/// Reads a file and what it includes.
pub(super) fn read(reading: &mut Reading<'_>, path: &Path) -> Vec<Line> {
    let mut found = Vec::new();
    if let Some(text) = reading.file(path, "hba_file", None) {
        take(reading, path, &text, &mut found, 0);
    }
    found
}

fn take(reading: &mut Reading<'_>, path: &Path, text: &[u8], found: &mut Vec<Line>, depth: usize) {
    if depth >= DEEPEST {
        reading.fault(Some((path, 0)), "files are included too deep here");
        return;
    }
    if !reading.enter(path, None) {
        return;
    }
    for (number, text) in joined(text) {
        let place = Some((path, number));
        let mut columns = columns(&text).into_iter();
        let Some(first) = columns.next() else { continue };
        let deeper = depth.saturating_add(1);
        let name = first.first().map(|word| word.text.clone()).unwrap_or_default();
        match &*name {
            b"include" | b"include_if_exists" => {
                let Some(other) = columns.next().and_then(|words| words.into_iter().next()) else { continue };
                let other = canonical(&parent(path).join(path_of(&other.text)));
                let text = if name == b"include" {
                    reading.file(&other, "included", place)
                } else {
                    reading.file_if_there(&other, "included")
                };
                if let Some(text) = text {
                    take(reading, &other, &text, found, deeper);
                }
            }
            b"include_dir" => {
                let Some(other) = columns.next().and_then(|words| words.into_iter().next()) else { continue };
                let pattern = literal(&canonical(&parent(path).join(path_of(&other.text)))).join("*.conf");
                for (other, text) in reading.matches(&pattern, "included", place) {
                    take(reading, &other, &text, found, deeper);
                }
            }
            _ => match line(reading, path, &name, columns) {
                Some(line) => found.push(line),
                None => reading.fault(place, "no line of pg_hba.conf"),
            },
        }
    }
    reading.leave();
}

fn line(
    reading: &mut Reading<'_>,
    path: &Path,
    kind: &[u8],
    mut columns: impl Iterator<Item = Vec<Word>>,
) -> Option<Line> {
    let kind = match kind {
        b"local" => Kind::Local,
        b"host" | b"hostgssenc" | b"hostnogssenc" => Kind::Host(None),
        b"hostssl" => Kind::Host(Some(true)),
        b"hostnossl" => Kind::Host(Some(false)),
        _ => return None,
    };
    let databases = columns.next()?;
    let users = columns.next()?;
    // Both, so that both name their files.
    let for_all = [&databases, &users].map(|words| all(reading, path, words, 0)) == [true, true];
    let mut loopback = false;
    if kind != Kind::Local {
        let address = columns.next()?.into_iter().next()?;
        loopback = match &*address.text {
            b"all" | b"samehost" | b"samenet" if !address.quoted => true,
            b"localhost" => true,
            text => match network(text) {
                Some((address, Some(bits))) => within(address, bits),
                Some((address, None)) => {
                    let mask = columns.next()?.into_iter().next()?;
                    let (mask, _) = network(&mask.text)?;
                    match (address, mask) {
                        (IpAddr::V4(address), IpAddr::V4(mask)) => {
                            address.to_bits() & mask.to_bits()
                                == Ipv4Addr::LOCALHOST.to_bits() & mask.to_bits()
                        }
                        _ => false,
                    }
                }
                // Which addresses a name has, only its resolver knows.
                None => false,
            },
        };
    }
    let method = columns.next()?.into_iter().next()?;
    Some(Line { kind, for_all, loopback, method: String::from_utf8_lossy(&method.text).into_owned() })
}

/// Whether a list of databases or users is all of them; a list may be in a file.
fn all(reading: &mut Reading<'_>, path: &Path, words: &[Word], depth: usize) -> bool {
    let is_all = |word: &Word| match word.text.strip_prefix(b"@") {
        Some(name) if !word.quoted && !name.is_empty() && depth < DEEPEST => {
            let file: PathBuf = canonical(&parent(path).join(path_of(name)));
            let Some(text) = reading.file(&file, "list of pg_hba.conf", None) else { return false };
            let words: Vec<Word> =
                joined(&text).iter().flat_map(|(_, text)| columns(text)).flatten().collect();
            all(reading, &file, &words, depth.saturating_add(1))
        }
        _ => !word.quoted && word.text == b"all",
    };
    words.iter().map(is_all).fold(false, |any, this| any | this)
}

fn network(text: &[u8]) -> Option<(IpAddr, Option<u32>)> {
    let mut parts = text.splitn(2, |b| *b == b'/');
    let address = number(parts.next()?)?;
    match parts.next() {
        Some(bits) => Some((address, Some(number(bits)?))),
        None => Some((address, None)),
    }
}

fn within(network: IpAddr, bits: u32) -> bool {
    let IpAddr::V4(network) = network else { return false };
    let mask = u32::MAX.checked_shl(32_u32.saturating_sub(bits)).unwrap_or(0);
    bits <= 32 && network.to_bits() & mask == Ipv4Addr::LOCALHOST.to_bits() & mask
}

/// What the lines ask for.
pub(super) fn proof(lines: &[Line], ssl: bool) -> Proof<'_> {
    let of_all = || lines.iter().filter(|line| line.for_all);
    let plain = of_all().find(|l| l.loopback && matches!(l.kind, Kind::Host(None | Some(false))));
    let with_tls = of_all().find(|l| ssl && l.loopback && matches!(l.kind, Kind::Host(None | Some(true))));
    let refused = |line: &Line| line.method == "reject";
    let loopback = match (plain.filter(|line| !refused(line)), with_tls.filter(|line| !refused(line))) {
        (Some(line), _) => Some((&*line.method, false)),
        (None, Some(line)) => Some((&*line.method, true)),
        (None, None) => plain.or(with_tls).map(|line| (&*line.method, false)),
    };
    Proof { local: of_all().find(|line| line.kind == Kind::Local).map(|line| &*line.method), loopback }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Word {
    text: Vec<u8>,
    quoted: bool,
}

/// Lines, those joined that end with a backslash.
fn joined(text: &[u8]) -> Vec<(u32, Vec<u8>)> {
    let mut found: Vec<(u32, Vec<u8>)> = Vec::new();
    let mut goes_on = false;
    for (number, line) in lines(text) {
        let continued = line.ends_with(b"\\");
        let line = line.strip_suffix(b"\\").unwrap_or(line);
        match found.last_mut().filter(|_| goes_on) {
            Some((_, before)) => before.extend_from_slice(line),
            None => found.push((number, line.to_vec())),
        }
        goes_on = continued;
    }
    found
}

/// Columns, each a list of words with commas between.
fn columns(line: &[u8]) -> Vec<Vec<Word>> {
    let mut found: Vec<Vec<Word>> = Vec::new();
    let mut rest = line;
    let mut goes_on = false;
    loop {
        rest = rest.trim_ascii_start();
        if let Some(after) = rest.strip_prefix(b",") {
            rest = after;
            goes_on = true;
            continue;
        }
        if rest.is_empty() || rest.starts_with(b"#") {
            return found;
        }
        let (mut text, mut quoted, mut inside) = (Vec::new(), false, false);
        while let [byte, after @ ..] = rest {
            match byte {
                b'"' => {
                    // Within quotes, a doubled quote is one; the outer pair is not part of the word.
                    if inside && after.starts_with(b"\"") {
                        text.push(b'"');
                        rest = after.get(1..).unwrap_or(&[]);
                        continue;
                    }
                    (quoted, inside) = (true, !inside);
                }
                b',' | b'#' if !inside => break,
                byte if byte.is_ascii_whitespace() && !inside => break,
                byte => text.push(*byte),
            }
            rest = after;
        }
        let word = Word { text, quoted };
        match found.last_mut().filter(|_| goes_on) {
            Some(words) => words.push(word),
            None => found.push(vec![word]),
        }
        goes_on = false;
    }
}
