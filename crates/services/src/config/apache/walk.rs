//! What is done while the files are read: includes, conditions, definitions and macros.

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portolan_linux::ErrorKind;
use portolan_linux::error::{Escaped, FileKind, Limit};

use super::blocks::Macro;
use super::line::{Line, Lines, word, words};
use super::modules::{Holds, Modules, version};
use super::paths::{directories, is_pattern, order, pattern, relative, within};
use super::server::{Context, Told};
use super::start::{Begun, Start};
use super::variables::Variables;
use crate::config::includes::Includes;
use crate::configuration::Configuration;
use crate::launch::Launch;
use crate::source::{IncludedFile, Source, Unread};

/// A configuration as it is read.
pub(super) struct Walk<'a> {
    source: &'a mut dyn Source,
    root: PathBuf,
    variables: Variables<'a>,
    modules: Modules,
    told: Told,
    configuration: Configuration,
    read: bool,
    includes: Includes,
    macros: BTreeMap<Vec<u8>, Macro>,
    /// The sections that are open, the innermost last.
    sections: Vec<Section>,
    /// What may still be read, in lines and bytes: macros and files can be used again and again.
    lines_left: usize,
    bytes_left: usize,
    /// What may still be asked of the files, each question taking its time.
    questions_left: usize,
}

/// What is left when all is read.
pub(super) struct Walked {
    /// Whether there was anything: of a server whose file cannot be read, its defaults are not known either.
    pub(super) read: bool,
    pub(super) root: PathBuf,
    pub(super) modules: Modules,
    pub(super) told: Told,
    pub(super) configuration: Configuration,
}

/// A section that is open: its name in lower case, and what it is.
struct Section {
    name: Vec<u8>,
    sort: Sort,
}

enum Sort {
    /// A condition that holds; it changes nothing.
    Condition,
    Host(usize),
    Location(usize),
    /// `<Proxy balancer://name>`.
    Balancer(Vec<u8>),
    /// Of some requests or files only.
    Narrow,
}

/// Where lines come from: a file, or a macro within it.
enum Feed {
    File(Lines),
    Macro(Vec<u8>, std::vec::IntoIter<Line>),
}

/// A line's place.
#[derive(Clone, Copy)]
struct At<'a> {
    file: Option<&'a Path>,
    line: u32,
}

const MOST_LINES: usize = 400_000;
const MOST_QUESTIONS: usize = 2000;
const MOST_BYTES: usize = 32 * 1024 * 1024;
/// The server's own limits.
const DEEPEST_FILES: usize = 128;
const DEEPEST_DIRECTORIES: usize = 20;
/// Of sections, and of macros in macros.
const DEEPEST: usize = 100;

impl<'a> Walk<'a> {
    pub(super) fn new(launch: &'a Launch, source: &'a mut dyn Source, start: &Start, begun: &Begun) -> Self {
        let mut variables = Variables::new(launch, start.names.clone());
        if !begun.build.modules.is_empty()
            && let Ok(file) = source.read(&begun.build.root.join("envvars"))
        {
            variables.export(file, &begun.build.root);
        }
        Self {
            source,
            root: begun.build.root.clone(),
            variables,
            modules: Modules::new(begun.build.modules),
            told: Told::new(),
            configuration: Configuration::default(),
            read: false,
            includes: Includes::to_depth(DEEPEST_FILES),
            macros: BTreeMap::new(),
            sections: Vec::new(),
            lines_left: MOST_LINES,
            bytes_left: MOST_BYTES,
            questions_left: MOST_QUESTIONS,
        }
    }

    pub(super) fn end(self) -> Walked {
        let Self { root, modules, told, configuration, read, .. } = self;
        Walked { read, root, modules, told, configuration }
    }

    /// The main file.
    pub(super) fn main(&mut self, begun: &Begun) {
        let at = At { file: None, line: 0 };
        if let Err(unread) = &begun.content
            && unread.is_missing()
        {
            self.configuration.add_fault(unread.kind, Some(&begun.path), None, unread);
            return;
        }
        self.read = begun.content.is_ok();
        self.file(&begun.path, begun.content.clone(), begun.by, at, 0);
    }

    /// Lines of the command line.
    pub(super) fn directives(&mut self, option: &str, lines: &[Vec<u8>]) {
        let text = lines.join(&b'\n');
        self.run(Path::new(option), Arc::from(text));
    }

    fn fault(&mut self, kind: ErrorKind, at: At<'_>, message: impl fmt::Display) {
        let line = (at.line > 0).then_some(at.line);
        self.configuration.add_fault(kind, at.file, line, message);
    }

    /// Reads a file, or all files of a directory.
    fn file(
        &mut self,
        path: &Path,
        content: Result<Arc<[u8]>, Unread>,
        by: &'static str,
        at: At<'_>,
        deep: usize,
    ) {
        match content {
            Ok(content) => {
                self.configuration.add_file(path, by);
                if let Err((kind, why)) = self.includes.enter(path) {
                    let path = Escaped(path.as_os_str().as_bytes());
                    self.fault(kind, at, format_args!("{path} is not read: {why}"));
                    return;
                }
                self.run(path, content);
                self.includes.leave();
            }
            Err(unread) if unread.kind == ErrorKind::NotRegular(FileKind::Directory) => {
                if deep >= DEEPEST_DIRECTORIES {
                    self.fault(ErrorKind::Limit(Limit::Depth), at, "directories are included too deep here");
                    return;
                }
                let mut found = Vec::new();
                for names in ["*", ".*"] {
                    found.extend(self.matching(&within(path, names), at));
                }
                found.retain(|(path, _)| {
                    !matches!(path.as_os_str().as_bytes(), [.., b'/', b'.'] | [.., b'/', b'.', b'.'])
                });
                found.sort_by(|(a, _), (b, _)| a.cmp(b));
                for (path, content) in found {
                    self.file(&path, content, by, at, deep.saturating_add(1));
                }
            }
            Err(unread) => {
                if !unread.is_missing() {
                    self.configuration.add_file(path, by);
                }
                self.fault(unread.kind, at, unread);
            }
        }
    }

    fn matching(&mut self, pattern: &Path, at: At<'_>) -> Vec<IncludedFile> {
        let mut found = self.source.include(pattern);
        if let Some(unread) = found.incomplete {
            self.fault(unread.kind, at, unread);
        }
        found.files.sort_by_cached_key(|(path, _)| order(path));
        found.files
    }

    fn include(&mut self, argument: &[u8], optional: bool, at: At<'_>) {
        if self.lines_left == 0 || !self.may_ask(at) {
            return;
        }
        let path = relative(&self.root, argument);
        if is_pattern(&path) {
            let pattern = pattern(&path);
            let mut found = self.matching(&pattern, at);
            // The server enters a directory that a wildcard names only if it is no link.
            for directories in directories(&pattern) {
                let links = self.source.links(&directories);
                found.retain(|(path, _)| {
                    !path.ancestors().skip(1).any(|above| links.iter().any(|link| link == above))
                });
            }
            if found.is_empty() && !optional {
                let path = Escaped(path.as_os_str().as_bytes());
                self.fault(ErrorKind::NotFound, at, format_args!("no file matches {path}"));
            }
            for (path, content) in found {
                if !(optional && content.as_ref().is_err_and(Unread::is_missing)) {
                    self.file(&path, content, "included", at, 0);
                }
            }
            return;
        }
        let content = self.source.read(&path);
        if !(optional && content.as_ref().is_err_and(Unread::is_missing)) {
            self.file(&path, content, "included", at, 0);
        }
    }

    fn may_ask(&mut self, at: At<'_>) -> bool {
        if self.questions_left == 0 {
            let message = "it asks for too many files; this one is not looked at";
            self.fault(ErrorKind::Limit(Limit::Entries), at, message);
            return false;
        }
        self.questions_left = self.questions_left.saturating_sub(1);
        true
    }

    fn run(&mut self, file: &Path, content: Arc<[u8]>) {
        let mut feeds = vec![Feed::File(Lines::of(content))];
        let open = self.sections.len();
        while let Some(line) = self.next(&mut feeds, file) {
            self.line(&line, file, &mut feeds);
        }
        if self.sections.len() > open && self.lines_left > 0 {
            let at = At { file: Some(file), line: 0 };
            self.fault(ErrorKind::InvalidInput, at, "a section of it is not closed");
        }
        self.sections.truncate(open);
    }

    /// The next line, of the macro that is used or else of the file; none when all is spent.
    fn next(&mut self, feeds: &mut Vec<Feed>, file: &Path) -> Option<Line> {
        if self.lines_left == 0 {
            return None;
        }
        let line = loop {
            let line = match feeds.last_mut()? {
                Feed::File(lines) => lines.next(),
                Feed::Macro(_, lines) => lines.next(),
            };
            match line {
                Some(line) => break line,
                None => drop(feeds.pop()),
            }
        };
        self.lines_left = self.lines_left.saturating_sub(1);
        self.bytes_left = self.bytes_left.saturating_sub(line.text.len());
        if self.lines_left == 0 || self.bytes_left == 0 {
            self.lines_left = 0;
            let at = At { file: Some(file), line: line.number };
            let limit = ErrorKind::Limit(Limit::Entries);
            self.fault(
                limit,
                at,
                "the configuration is too long with all that it includes; the rest is not read",
            );
            return None;
        }
        Some(line)
    }

    fn line(&mut self, line: &Line, file: &Path, feeds: &mut Vec<Feed>) {
        if line.text.is_empty() || line.text.starts_with(b"#") {
            return;
        }
        let at = At { file: Some(file), line: line.number };
        let Some(text) = self.variables.resolve(&line.text) else {
            self.fault(ErrorKind::Limit(Limit::Entries), at, "the line is too long with its variables");
            return;
        };
        self.bytes_left = self.bytes_left.saturating_sub(text.len());
        let mut rest = text.as_slice();
        let name = word(&mut rest).to_ascii_lowercase();
        if let Some(closed) = name.strip_prefix(b"</") {
            let closed = closed.strip_suffix(b">").unwrap_or(closed);
            // What the server does not accept at all is not sorted out here; the innermost of that name is meant.
            match self.sections.iter().rposition(|section| section.name == closed) {
                Some(place) => self.sections.truncate(place),
                None => self.fault(ErrorKind::InvalidInput, at, "a section is closed that is not open"),
            }
        } else if let Some(name) = name.strip_prefix(b"<") {
            let (name, argument) = match name.strip_suffix(b">") {
                Some(name) => (name, &[][..]),
                None => (
                    name,
                    rest.iter().rposition(|b| *b == b'>').and_then(|end| rest.get(..end)).unwrap_or(rest),
                ),
            };
            self.section(name, argument, at, feeds);
        } else {
            self.directive(&name, rest, at, feeds);
        }
    }

    fn section(&mut self, name: &[u8], argument: &[u8], at: At<'_>, feeds: &mut Vec<Feed>) {
        if let Some(holds) = self.condition(name, argument, at) {
            if let Holds::Perhaps(assumed) = holds {
                let message = format!(
                    "whether <{} {}> holds is not known; it is taken {}",
                    Escaped(name),
                    Escaped(argument),
                    if assumed { "to hold" } else { "not to hold" }
                );
                self.fault(ErrorKind::InvalidInput, at, message);
            }
            if holds.assumed() {
                self.open(name, Sort::Condition, at);
            } else {
                self.skip(name, feeds, at, None);
            }
            return;
        }
        let mut rest = argument;
        match name {
            b"macro" => {
                let known = word(&mut rest).to_ascii_lowercase();
                let mut lines = Vec::new();
                self.skip(name, feeds, at, Some(&mut lines));
                self.macros.insert(known, Macro::new(rest, lines));
            }
            // A program, whose lines are its own.
            b"perl" => self.skip(name, feeds, at, Some(&mut Vec::new())),
            b"proxy" => {
                let name = word(&mut rest);
                let sort = if name.starts_with(b"balancer:") { Sort::Balancer(name) } else { Sort::Narrow };
                self.open(b"proxy", sort, at);
            }
            b"virtualhost" => {
                let place = (at.file.unwrap_or(Path::new("")).to_owned(), at.line);
                let host = self.told.begin_host(words(argument), place);
                self.open(name, Sort::Host(host), at);
            }
            b"location" | b"locationmatch" => {
                let path = word(&mut rest);
                let path = if path == b"~" { word(&mut rest) } else { path };
                // Of a regular expression, the anchors are all that is understood.
                let path = path.strip_prefix(b"^").unwrap_or(&path);
                let path = path.strip_suffix(b"$").unwrap_or(path).to_vec();
                let host = self.context().host;
                let location = self.told.begin_location(host, path);
                self.open(name, Sort::Location(location), at);
            }
            // What asks of those who come, within a location.
            b"requireany" | b"requireall" | b"requirenone" => {
                let sort = Sort::Condition;
                self.open(name, sort, at);
            }
            _ => self.open(name, Sort::Narrow, at),
        }
    }

    fn open(&mut self, name: &[u8], sort: Sort, at: At<'_>) {
        if self.sections.len() < DEEPEST {
            self.sections.push(Section { name: name.to_vec(), sort });
        } else {
            self.fault(ErrorKind::Limit(Limit::Depth), at, "sections are nested too deep here");
        }
    }

    /// Whether a section counts, if it is one that asks.
    fn condition(&mut self, name: &[u8], argument: &[u8], at: At<'_>) -> Option<Holds> {
        // `!` may stand before quotes as well as between them.
        let mut rest = argument.strip_prefix(b"!").unwrap_or(argument);
        let mut negated = rest.len() < argument.len();
        let first = word(&mut rest);
        let asked = match first.strip_prefix(b"!").filter(|_| !negated) {
            Some(asked) => {
                negated = true;
                asked
            }
            None => &first,
        };
        let of = |holds: bool| if holds { Holds::Yes } else { Holds::No };
        let holds = match name {
            b"ifmodule" => self.modules.has(asked),
            b"ifdefine" => of(self.variables.is_defined(asked)),
            b"ifversion" => version(asked, &word(&mut rest)),
            b"iffile" if !self.may_ask(at) => Holds::No,
            b"iffile" => of(self.source.kind(&relative(&self.root, asked)).is_ok()),
            b"ifdirective" => self.modules.has_directive(asked),
            b"ifsection" => self.modules.has_section(asked),
            _ => return None,
        };
        Some(if negated { holds.negated() } else { holds })
    }

    /// Goes over the lines of a section, which are kept for a macro.
    fn skip(&mut self, name: &[u8], feeds: &mut Vec<Feed>, at: At<'_>, mut keep: Option<&mut Vec<Line>>) {
        let mut deep = 1_usize;
        while let Some(line) = self.next(feeds, at.file.unwrap_or(Path::new(""))) {
            let first = word(&mut line.text.as_slice()).to_ascii_lowercase();
            // In what is kept, only sections of its own name are counted: it may close what it does not open.
            let bare = first.strip_suffix(b">").unwrap_or(&first);
            let bare = bare.strip_prefix(b"</").or_else(|| bare.strip_prefix(b"<"));
            let counts = keep.is_none() || bare == Some(name);
            if first.starts_with(b"</") && counts {
                deep = deep.saturating_sub(1);
            } else if first.starts_with(b"<") && counts {
                deep = deep.saturating_add(1);
            }
            if deep == 0 {
                return;
            }
            if let Some(kept) = &mut keep {
                kept.push(line);
            }
        }
        if self.lines_left > 0 {
            self.fault(ErrorKind::InvalidInput, at, "a section is not closed");
        }
    }

    fn context(&self) -> Context {
        let mut context = Context::default();
        for section in &self.sections {
            match &section.sort {
                Sort::Host(host) => context = Context { host: Some(*host), ..Context::default() },
                Sort::Location(location) => {
                    context.location = Some(*location);
                    context.narrowed = true;
                }
                Sort::Balancer(_) | Sort::Narrow => {
                    context.location = None;
                    context.narrowed = true;
                }
                Sort::Condition => {}
            }
        }
        context
    }

    fn directive(&mut self, name: &[u8], mut rest: &[u8], at: At<'_>, feeds: &mut Vec<Feed>) {
        match name {
            b"include" | b"includeoptional" => {
                let argument = word(&mut rest);
                self.include(&argument, name == b"includeoptional", at);
            }
            b"loadmodule" => {
                let (structure, file) = (word(&mut rest), word(&mut rest));
                self.modules.load(&structure, &file);
            }
            b"define" => {
                let name = word(&mut rest);
                let value = (!rest.is_empty()).then(|| word(&mut rest));
                self.variables.define(name, value);
            }
            b"undefine" => self.variables.undefine(&word(&mut rest)),
            b"serverroot" => self.root = relative(&self.root, &word(&mut rest)),
            b"undefmacro" => drop(self.macros.remove(&word(&mut rest).to_ascii_lowercase())),
            b"use" => self.use_macro(rest, at, feeds),
            _ => {
                let balancer = self.sections.iter().rev().find_map(|section| match &section.sort {
                    Sort::Balancer(name) => Some(name.as_slice()),
                    _ => None,
                });
                if self.told.take_of_proxy(name, rest, balancer) {
                    return;
                }
                let context = self.context();
                let place = (at.file.unwrap_or(Path::new("")).to_owned(), at.line);
                self.told.take(name, rest, context, place);
            }
        }
    }

    fn use_macro(&mut self, mut rest: &[u8], at: At<'_>, feeds: &mut Vec<Feed>) {
        let name = word(&mut rest).to_ascii_lowercase();
        let shown = Escaped(&name).to_string();
        let Some(known) = self.macros.get(&name) else {
            self.fault(ErrorKind::InvalidInput, at, format_args!("there is no macro {shown}"));
            return;
        };
        let in_use = feeds.iter().any(|feed| matches!(feed, Feed::Macro(used, _) if *used == name));
        if in_use || feeds.len() > DEEPEST {
            self.fault(ErrorKind::InvalidInput, at, format_args!("the macro {shown} uses itself"));
            return;
        }
        self.bytes_left = self.bytes_left.saturating_sub(known.length);
        match known.used(&words(rest), at.line) {
            Ok(lines) => feeds.push(Feed::Macro(name, lines.into_iter())),
            Err(why) => self.fault(ErrorKind::InvalidInput, at, format_args!("{shown}: {why}")),
        }
    }
}
