//! The statements of a whole nginx configuration, each file's in the place of its `include`.

use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portolan_linux::ErrorKind;
use portolan_linux::error::{Escaped, Limit};

use super::lexer::{Broken, Lexer, Token};
use crate::config::includes::Includes;
use crate::configuration::Configuration;
use crate::source::{Source, Unread};

/// A statement.
#[derive(Debug)]
pub(super) struct Statement {
    pub(super) name: Vec<u8>,
    pub(super) arguments: Vec<Vec<u8>>,
    /// What is in its block, if it has one.
    pub(super) block: Vec<Statement>,
    /// The text of its block, where that is Lua.
    pub(super) lua: Vec<u8>,
    /// The file that it is in; `None` for an argument of the command line.
    pub(super) file: Option<Arc<Path>>,
    pub(super) line: u32,
}

/// Blocks and includes within each other.
const DEEPEST: usize = 100;
/// Statements that are kept.
const MOST_STATEMENTS: usize = 200_000;
/// Bytes that are read, those of a file that is included twice twice.
const MOST_BYTES: usize = 16 * 1024 * 1024;
/// Statements `include` that are followed.
const MOST_INCLUDES: usize = 4000;
/// After so many that took until the deadline, no more are followed.
const MOST_UNANSWERED: usize = 2;

impl Statement {
    /// Its name, where that is text.
    pub(super) fn is(&self, name: &str) -> bool {
        self.name == name.as_bytes()
    }

    pub(super) fn argument(&self, place: usize) -> Option<&[u8]> {
        self.arguments.get(place).map(Vec::as_slice)
    }

    pub(super) fn has(&self, argument: &str) -> bool {
        self.arguments.iter().any(|known| known == argument.as_bytes())
    }
}

/// The statements of these names.
pub(super) fn named<'a>(block: &'a [Statement], name: &'a str) -> impl Iterator<Item = &'a Statement> {
    block.iter().filter(move |statement| statement.is(name))
}

/// Reads files into statements.
pub(super) struct Reading<'a> {
    pub(super) source: &'a mut dyn Source,
    pub(super) configuration: &'a mut Configuration,
    /// What relative includes are relative to: the main file's directory.
    pub(super) base: PathBuf,
    includes: Includes,
    kept: usize,
    bytes: usize,
    /// Includes so far, those of nothing too: each can take a request.
    asked: usize,
    /// Those that the file system or the helper gave no answer to.
    unanswered: usize,
}

impl<'a> Reading<'a> {
    pub(super) fn new(
        source: &'a mut dyn Source,
        configuration: &'a mut Configuration,
        base: PathBuf,
    ) -> Self {
        Self {
            source,
            configuration,
            base,
            includes: Includes::default(),
            kept: 0,
            bytes: 0,
            asked: 0,
            unanswered: 0,
        }
    }

    /// The statements of the option `-g`.
    pub(super) fn directives(&mut self, text: &[u8]) -> Vec<Statement> {
        let mut statements = Vec::new();
        let mut lexer = Lexer::new(text);
        if let Err(broken) = self.level(&mut lexer, None, 0, true, false, &mut statements) {
            let message = format!("in the argument -g: {}", broken.why);
            self.configuration.add_fault(ErrorKind::InvalidInput, None, None, message);
        }
        statements
    }

    /// The statements of the main file.
    pub(super) fn main(&mut self, path: &Path, by: &'static str) -> Vec<Statement> {
        let mut statements = Vec::new();
        let content = self.source.read(path);
        self.file(path, content, by, 0, true, &mut statements);
        statements
    }

    fn file(
        &mut self,
        path: &Path,
        content: Result<Arc<[u8]>, Unread>,
        by: &'static str,
        depth: usize,
        keep: bool,
        into: &mut Vec<Statement>,
    ) {
        if let Err((kind, why)) = self.includes.enter(path) {
            self.configuration.add_fault(kind, Some(path), None, why);
            return;
        }
        match content {
            Ok(text) => self.text(path, &text, by, depth, keep, into),
            Err(unread) => {
                // What is there and cannot be read is part of the configuration all the same.
                if !unread.is_missing() && !matches!(unread.kind, ErrorKind::NotRegular(_)) {
                    self.configuration.add_file(path, by);
                }
                self.configuration.add_fault(unread.kind, Some(path), None, &unread);
            }
        }
        self.includes.leave();
    }

    fn text(
        &mut self,
        path: &Path,
        text: &[u8],
        by: &'static str,
        depth: usize,
        keep: bool,
        into: &mut Vec<Statement>,
    ) {
        self.configuration.add_file(path, by);
        self.bytes = self.bytes.saturating_add(text.len());
        if self.bytes > MOST_BYTES {
            let kind = ErrorKind::Limit(Limit::Bytes { size: u64::try_from(self.bytes).unwrap_or(u64::MAX) });
            self.configuration.add_fault(
                kind,
                Some(path),
                None,
                "it is not read: all includes exceed 16 MiB",
            );
        } else if let Some(at) = text.iter().position(|byte| *byte == 0) {
            let line = text.iter().take(at).filter(|byte| **byte == b'\n').count().saturating_add(1);
            let line = u32::try_from(line).ok();
            self.configuration.add_fault(ErrorKind::InvalidInput, Some(path), line, "it is no text");
        } else {
            let shared: Arc<Path> = Arc::from(path);
            if let Err(broken) = self.level(&mut Lexer::new(text), Some(&shared), depth, keep, false, into) {
                let line = Some(broken.line);
                self.configuration.add_fault(ErrorKind::InvalidInput, Some(path), line, broken.why);
            }
        }
    }

    /// Reads up to the end of the text, or within a block, up to the end of that.
    fn level(
        &mut self,
        lexer: &mut Lexer<'_>,
        file: Option<&Arc<Path>>,
        depth: usize,
        keep: bool,
        within: bool,
        into: &mut Vec<Statement>,
    ) -> Result<(), Broken> {
        if depth > DEEPEST {
            return Err(lexer.broken("blocks and includes are too deep here"));
        }
        let deeper = depth.saturating_add(1);
        loop {
            let token = lexer.next()?;
            let line = lexer.began;
            let (words, opens) = match token {
                Token::End if within => return Err(lexer.broken("it ends within a block")),
                Token::Close if !within => return Err(lexer.broken("a } without a block")),
                Token::End | Token::Close => return Ok(()),
                Token::Simple(words) => (words, false),
                Token::Open(words) => (words, true),
            };
            let mut words = words.into_iter();
            let name = words.next().unwrap_or_default();
            let arguments: Vec<Vec<u8>> = words.collect();
            if name == b"include" && !opens {
                if let [pattern] = arguments.as_slice() {
                    self.include(pattern, file, line, deeper, keep, into);
                } else {
                    let path = file.map(|path| &**path);
                    let why = "include takes one path";
                    self.configuration.add_fault(ErrorKind::InvalidInput, path, Some(line), why);
                }
                continue;
            }
            let mut statement =
                Statement { name, arguments, block: Vec::new(), lua: Vec::new(), file: file.cloned(), line };
            let mut result = Ok(());
            if opens && statement.name.ends_with(b"_by_lua_block") {
                statement.lua = lexer.lua()?.to_vec();
            } else if opens {
                // These hold data, and tables of it can be long; but they can include files.
                let data: &[&[u8]] = &[b"types", b"map", b"geo", b"split_clients", b"charset_map"];
                let keep = keep && !data.contains(&statement.name.as_slice());
                result = self.level(lexer, file, deeper, keep, true, &mut statement.block);
            }
            if keep && self.kept < MOST_STATEMENTS {
                self.kept = self.kept.saturating_add(1);
                into.push(statement);
                if self.kept == MOST_STATEMENTS {
                    let (kind, path) = (ErrorKind::Limit(Limit::Entries), file.map(|path| &**path));
                    let why = "what follows is left out, except includes: over 200000 statements";
                    self.configuration.add_fault(kind, path, Some(line), why);
                }
            }
            result?;
        }
    }

    fn include(
        &mut self,
        pattern: &[u8],
        file: Option<&Arc<Path>>,
        line: u32,
        depth: usize,
        keep: bool,
        into: &mut Vec<Statement>,
    ) {
        let here = file.map(|path| &**path);
        if self.asked >= MOST_INCLUDES || self.unanswered >= MOST_UNANSWERED {
            let slow = self.unanswered >= MOST_UNANSWERED;
            let (kind, why) = if slow {
                (ErrorKind::Timeout, "not included: reading takes too long")
            } else {
                (ErrorKind::Limit(Limit::Entries), "not included: over 4000 includes")
            };
            self.configuration.add_fault(kind, here, Some(line), why);
            return;
        }
        self.asked = self.asked.saturating_add(1);
        let pattern = self.base.join(PathBuf::from(std::ffi::OsString::from_vec(pattern.to_vec())));
        // The same bytes that make nginx call glob(3).
        if !pattern.as_os_str().as_bytes().iter().any(|byte| b"*?[".contains(byte)) {
            let content = self.source.read(&pattern);
            if content.as_ref().is_err_and(Unread::is_missing) {
                let missing = Escaped(pattern.as_os_str().as_bytes()).to_string();
                let why = format!("include {missing}: no such file");
                self.configuration.add_fault(ErrorKind::NotFound, here, Some(line), why);
                return;
            }
            self.note(content.as_ref().err());
            self.file(&pattern, content, "included", depth, keep, into);
            return;
        }
        let included = self.source.include(&pattern);
        self.note(included.incomplete.as_ref());
        for (path, content) in included.files {
            self.file(&path, content, "included", depth, keep, into);
        }
        if let Some(unread) = included.incomplete {
            let shown = Escaped(pattern.as_os_str().as_bytes()).to_string();
            let why = format!("include {shown}: {unread}");
            self.configuration.add_fault(unread.kind, here, Some(line), why);
        }
    }

    fn note(&mut self, unread: Option<&Unread>) {
        if unread.is_some_and(|unread| matches!(unread.kind, ErrorKind::Timeout | ErrorKind::HelperDied)) {
            self.unanswered = self.unanswered.saturating_add(1);
        }
    }
}
