//! HAProxy's files as sections of lines, each line in words.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use portolan_linux::ErrorKind;
use portolan_linux::error::Limit;

use super::condition;
use super::words::{Here, Variables, split};
use crate::configuration::Configuration;

/// A section: its first line, and those up to the next section.
#[derive(Debug)]
pub(super) struct Section {
    /// `frontend`, `global`.
    pub(super) kind: Vec<u8>,
    pub(super) name: Vec<u8>,
    pub(super) lines: Vec<Line>,
    /// The section `defaults` that it begins with, by its place among all sections.
    pub(super) defaults: Option<usize>,
}

/// A line that is not empty. Its first word is there.
#[derive(Debug)]
pub(super) struct Line {
    pub(super) words: Vec<Vec<u8>>,
    pub(super) file: Arc<Path>,
    pub(super) number: u32,
}

impl Line {
    pub(super) fn word(&self, place: usize) -> &[u8] {
        self.words.get(place).map_or(&[], Vec::as_slice)
    }

    /// Whether it begins with these words.
    pub(super) fn is(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(place, word)| self.word(place) == word.as_bytes())
    }

    /// Whether a word is anywhere in it.
    pub(super) fn has(&self, word: &str) -> bool {
        self.words.iter().any(|known| known == word.as_bytes())
    }

    /// The word after this one.
    pub(super) fn after(&self, word: &str) -> Option<&[u8]> {
        let at = self.words.iter().position(|known| known == word.as_bytes())?;
        self.words.get(at.saturating_add(1)).map(Vec::as_slice)
    }
}

const KINDS: &[&str] = &[
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "peers",
    "userlist",
    "resolvers",
    "mailers",
    "cache",
    "program",
    "http-errors",
    "ring",
    "fcgi-app",
    "log-forward",
    "log-profile",
    "crt-store",
    "traces",
    "acme",
];

/// Lines that are kept.
const MOST_LINES: usize = 200_000;
/// `.if` within each other; HAProxy itself allows 32.
const DEEPEST: usize = 32;

/// Whether the lines of a branch count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Branch {
    Taken,
    /// Not this one; the next may be.
    Waiting,
    /// Neither this one nor any that follows.
    Done,
    /// It cannot be known: all branches count from here on.
    Unknown,
}

/// Reads files into sections.
pub(super) struct Reading<'a> {
    pub(super) variables: Variables<'a>,
    pub(super) sections: Vec<Section>,
    /// The argument `-L`.
    pub(super) local_peer: Option<Vec<u8>>,
    named: BTreeMap<Vec<u8>, usize>,
    last_defaults: Option<usize>,
    kept: usize,
}

impl<'a> Reading<'a> {
    pub(super) fn new(variables: Variables<'a>, local_peer: Option<Vec<u8>>) -> Self {
        Self {
            variables,
            sections: Vec::new(),
            local_peer,
            named: BTreeMap::new(),
            last_defaults: None,
            kept: 0,
        }
    }

    /// Reads one file; a section ends with it.
    pub(super) fn file(&mut self, path: &Path, text: &[u8], configuration: &mut Configuration) {
        let shared: Arc<Path> = Arc::from(path);
        let mut branches: Vec<Branch> = Vec::new();
        let mut section = None;
        let mut number = 0_u32;
        for line in text.split(|byte| *byte == b'\n') {
            number = number.saturating_add(1);
            let mut fault = |kind, why: &str| configuration.add_fault(kind, Some(path), Some(number), why);
            if line.contains(&0) {
                fault(ErrorKind::InvalidInput, "it is no text");
                return;
            }
            let counts = branches.iter().all(|branch| matches!(branch, Branch::Taken | Branch::Unknown));
            let begun = section.and_then(|place: usize| self.sections.get(place));
            let kind = begun.map_or(&b""[..], |section| &section.kind);
            let here = Here { file: path.as_os_str().as_bytes(), line: number, section: kind };
            let trimmed = line.trim_ascii_start();
            // What is not read is not looked at either, its quotes included.
            if !counts && !trimmed.starts_with(b".") {
                continue;
            }
            let words = match split(line, &self.variables, here) {
                Ok(words) => words,
                Err(why) => {
                    fault(ErrorKind::InvalidInput, why);
                    continue;
                }
            };
            let Some(first) = words.first() else { continue };
            if first.starts_with(b".") {
                if let Err((kind, why)) = branch(&mut branches, &words, counts, &self.variables) {
                    fault(kind, why);
                }
                continue;
            }
            if !counts {
                continue;
            }
            if self.kept >= MOST_LINES {
                fault(ErrorKind::Limit(Limit::Entries), "what follows is left out: over 200000 lines");
                return;
            }
            self.kept = self.kept.saturating_add(1);
            if KINDS.iter().any(|kind| first == kind.as_bytes()) {
                section = Some(self.begin(&words));
                continue;
            }
            let Some(open) = section.and_then(|place| self.sections.get_mut(place)) else {
                fault(ErrorKind::InvalidInput, "a line before any section");
                continue;
            };
            if open.kind == b"global" {
                environment(&mut self.variables, &words);
            }
            open.lines.push(Line { words, file: shared.clone(), number });
        }
        if !branches.is_empty() {
            configuration.add_fault(ErrorKind::InvalidInput, Some(path), None, "an .if without an .endif");
        }
    }

    fn begin(&mut self, words: &[Vec<u8>]) -> usize {
        let place = self.sections.len();
        let kind = words.first().cloned().unwrap_or_default();
        let from = words.iter().position(|word| word == b"from").filter(|at| *at > 0);
        let name = words.get(1).filter(|_| from != Some(1)).cloned().unwrap_or_default();
        let given = from.and_then(|at| words.get(at.saturating_add(1)));
        let of_proxies = [&b"frontend"[..], b"backend", b"listen"].contains(&kind.as_slice());
        let defaults = match given {
            Some(from) => self.named.get(from).copied(),
            // Each `defaults` begins anew.
            None => self.last_defaults.filter(|_| of_proxies),
        };
        if kind == b"defaults" {
            self.last_defaults = Some(place);
            if !name.is_empty() {
                self.named.insert(name.clone(), place);
            }
        }
        self.sections.push(Section { kind, name, lines: Vec::new(), defaults });
        place
    }
}

/// Follows `.if` and the like; other words with a dot are messages.
fn branch(
    branches: &mut Vec<Branch>,
    words: &[Vec<u8>],
    counts: bool,
    variables: &Variables<'_>,
) -> Result<(), (ErrorKind, &'static str)> {
    let (first, rest) =
        words.split_first().map_or((&[][..], &[][..]), |(first, rest)| (first.as_slice(), rest));
    let unknown = "whether this condition holds is not known: what depends on it is read either way";
    let unknown = (ErrorKind::Ambiguous, unknown);
    let alone = (ErrorKind::InvalidInput, "it has no .if");
    match first {
        b".if" => {
            if branches.len() >= DEEPEST {
                return Err((ErrorKind::Limit(Limit::Depth), ".if is too deep here"));
            }
            let value = if counts { condition::holds(rest, variables) } else { Some(false) };
            branches.push(match value {
                _ if !counts => Branch::Done,
                Some(true) => Branch::Taken,
                Some(false) => Branch::Waiting,
                None => Branch::Unknown,
            });
            if counts && value.is_none() { Err(unknown) } else { Ok(()) }
        }
        b".elif" | b".else" => {
            let last = branches.last_mut().ok_or(alone)?;
            let value = if first == b".else" { Some(true) } else { condition::holds(rest, variables) };
            *last = match (*last, value) {
                (Branch::Taken | Branch::Done, _) => Branch::Done,
                (Branch::Waiting, Some(true)) => Branch::Taken,
                (Branch::Waiting, Some(false)) => Branch::Waiting,
                (Branch::Waiting, None) => {
                    *last = Branch::Unknown;
                    return Err(unknown);
                }
                (Branch::Unknown, _) => Branch::Unknown,
            };
            Ok(())
        }
        b".endif" => branches.pop().map(drop).ok_or(alone),
        _ => Ok(()),
    }
}

/// What `global` does to the variables, from the next line on.
fn environment(variables: &mut Variables<'_>, words: &[Vec<u8>]) {
    match words {
        [first, name, value, ..] if first == b"setenv" => variables.set(name, value),
        [first, name, value, ..] if first == b"presetenv" && variables.get(name).is_none() => {
            variables.set(name, value);
        }
        [first, names @ ..] if first == b"unsetenv" => names.iter().for_each(|name| variables.unset(name)),
        [first, names @ ..] if first == b"resetenv" => variables.keep(names),
        _ => {}
    }
}
