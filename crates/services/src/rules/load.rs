//! Reads files of rules, and says where in them something is wrong.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use toml::Spanned;

use super::rule::{Condition, Rule};
use crate::recognise::language::Language;
use crate::{Error, Result};

/// A file of rules.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    service: Vec<Spanned<Rule>>,
    #[serde(default)]
    wrappers: Wrappers,
}

/// Programs that start others and then wait for them, and are no services themselves.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Wrappers {
    /// By the names of their files. Patterns.
    pub(crate) program: Vec<String>,
    /// By the names of their scripts. Patterns.
    pub(crate) script: Vec<String>,
}

/// No file of rules is longer.
const LONGEST: u64 = 4 << 20;

/// What is in the text of a file.
pub(super) fn parse(path: &Path, text: &str) -> Result<(Vec<Arc<Rule>>, Wrappers)> {
    let wrong = |span: Option<std::ops::Range<usize>>, message: &str| {
        Error::rule(path, span.map(|span| line(text, span.start)), message)
    };
    let file: File = toml::from_str(text).map_err(|error| wrong(error.span(), error.message()))?;
    let mut rules = Vec::new();
    for rule in file.service {
        let span = rule.span();
        let mut rule = rule.into_inner();
        judge(&rule).map_err(|message| wrong(Some(span), &message))?;
        if rule.title.is_empty() {
            rule.title.clone_from(&rule.kind);
        }
        rules.push(Arc::new(rule));
    }
    Ok((rules, file.wrappers))
}

/// What is in a file.
pub(super) fn read(path: &Path) -> Result<(Vec<Arc<Rule>>, Wrappers)> {
    let failed = |error| Error::rules(path, error);
    let data = std::fs::metadata(path).map_err(failed)?;
    // A FIFO would be waited for.
    if !data.is_file() {
        return Err(Error::rule(path, None, "it is no regular file"));
    }
    if data.len() > LONGEST {
        return Err(Error::rule(path, None, "it has more than 4 MiB"));
    }
    parse(path, &std::fs::read_to_string(path).map_err(failed)?)
}

/// The number of the line that an offset is in, from 1.
fn line(text: &str, offset: usize) -> usize {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    before.iter().filter(|b| **b == b'\n').count().saturating_add(1)
}

/// What the grammar does not say.
fn judge(rule: &Rule) -> std::result::Result<(), String> {
    let kind = &rule.kind;
    let plain =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.' | b'+');
    for name in std::iter::once(kind).chain(&rule.aliases) {
        if name.is_empty() || !name.bytes().all(plain) {
            return Err(format!("{name:?} is no kind: lower case letters, digits and -_.+ make one"));
        }
    }
    if kind == "unknown" {
        return Err("unknown is what no rule knows".to_owned());
    }
    if rule.disabled {
        return Ok(());
    }
    if rule.when.is_empty() {
        return Err(format!("{kind} has no [[service.when]], so nothing would ever be one"));
    }
    for condition in &rule.when {
        judge_condition(condition).map_err(|message| format!("a condition of {kind} {message}"))?;
    }
    if rule.unless.iter().any(Condition::is_empty) {
        return Err(format!("a [[service.unless]] of {kind} is empty, so that it would always hold"));
    }
    Ok(())
}

fn judge_condition(condition: &Condition) -> std::result::Result<(), String> {
    if !condition.decides() {
        return Err(
            "decides nothing: it needs program, path, language, script, module, class or jar".to_owned()
        );
    }
    if !condition.title.is_empty() && condition.language.is_empty() {
        return Err("has a title, which needs a language beside it".to_owned());
    }
    let kernels = [&condition.program, &condition.path, &condition.language];
    if !condition.called.is_empty() && kernels.iter().all(|patterns| patterns.is_empty()) {
        return Err(
            "says how the program is called, which needs program, path or language beside it".to_owned()
        );
    }
    if let Some(language) = condition.language.iter().find(|name| Language::named(name).is_none()) {
        return Err(format!("names a language {language:?}; there are {}", Language::names().join(", ")));
    }
    for (field, patterns) in condition.patterns() {
        if patterns.iter().any(|pattern| pattern.bytes().all(|b| matches!(b, b'*' | b'?'))) {
            return Err(format!("has a pattern in {field} that everything fits"));
        }
    }
    Ok(())
}

impl Wrappers {
    /// And these.
    pub(super) fn add(&mut self, more: Self) {
        self.program.extend(more.program);
        self.script.extend(more.script);
    }
}
