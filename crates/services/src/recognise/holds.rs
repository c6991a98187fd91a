//! Whether a condition holds for a process, why, and how much that says.

use portolan_linux::error::Escaped;

use super::grammar::What;
use super::running::{Running, file_name};
use crate::rules::{Condition, wild};
use crate::service::Confidence;

/// How much a condition says that holds: the more, the greater.
///
/// In this order: what is known by (what an interpreter runs, a path, a program's name, what it says of itself), how
/// many things agree, whether the name is given letter by letter, and how much of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Weight(u8, usize, bool, usize);

/// A condition that holds.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) weight: Weight,
    pub(super) evidence: Vec<String>,
    pub(super) confidence: Confidence,
}

/// Looks at all that a condition names. Whether it is enough is the rule's affair: see `load`.
///
/// Most conditions that are looked at do not hold, and of those that do one is shown: evidence is written for that alone.
pub(super) fn holds(
    condition: &Condition,
    running: &Running<'_>,
    ports: &[u16],
    explained: bool,
) -> Option<Held> {
    let program = Escaped(running.path);
    let mut look = Look { explained, ..Look::default() };
    let is_program = |wanted: &[u8]| wild::matches(wanted, running.program);
    look.at(&condition.program, 2, is_program, || match running.told_by_kernel {
        true => format!("its program is {program}"),
        false => format!("it calls itself {}, and its program cannot be read", Escaped(running.program)),
    })?;
    look.at(
        &condition.path,
        3,
        |wanted| wild::matches(wanted, running.path),
        || format!("its program is {program}"),
    )?;
    let task = running.task.as_ref();
    look.at(
        &condition.language,
        1,
        |wanted| task.is_some_and(|t| t.language.name().as_bytes() == wanted),
        || format!("{program} runs it"),
    )?;
    let what = |fits: &dyn Fn(&What<'_>) -> bool| task.is_some_and(|task| task.what.iter().any(fits));
    let shown = || {
        let names: Vec<String> = running.names().take(2).map(|name| Escaped(name).to_string()).collect();
        names.join(" and ")
    };
    look.at(
        &condition.script,
        4,
        |wanted| what(&|what| matches!(what, What::Script(path) if fits_path(wanted, path))),
        || format!("{program} runs the script {}", shown()),
    )?;
    look.at(
        &condition.module,
        4,
        |wanted| what(&|what| matches!(what, What::Module(name) if fits_module(wanted, name))),
        || format!("{program} runs the module {}", shown()),
    )?;
    look.at(
        &condition.class,
        4,
        |wanted| what(&|what| matches!(what, What::Class(name) if wild::matches(wanted, name))),
        || format!("{program} runs the class {}", shown()),
    )?;
    look.at(
        &condition.jar,
        4,
        |wanted| what(&|what| matches!(what, What::Jar(path) if fits_path(wanted, path))),
        || format!("{program} runs the archive {}", shown()),
    )?;
    look.at(
        &condition.called,
        2,
        |wanted| wild::matches(wanted, running.called),
        || format!("it was called as {}", Escaped(running.called)),
    )?;
    let rewritten = task.is_some_and(|task| task.what.is_empty());
    look.at(
        &condition.title,
        1,
        |wanted| rewritten && wild::matches(wanted, running.called),
        || format!("it calls itself {}", Escaped(running.called)),
    )?;
    if !condition.argument.is_empty() {
        let found = |wanted: &[u8]| running.words.iter().find(|word| wild::matches(wanted, word));
        let word = condition.argument.iter().find_map(|wanted| found(wanted.as_bytes()))?;
        // An argument may hold a secret; what the rule knows of it may not.
        let known = condition.argument.iter().find(|wanted| wanted.as_bytes() == *word);
        look.agrees(|| match known {
            Some(known) => format!("with the argument {}", Escaped(known.as_bytes())),
            None => "with an argument that it is known by".to_owned(),
        });
    }
    if !condition.port.is_empty() {
        let port = condition.port.iter().find(|port| ports.contains(port))?;
        look.agrees(|| format!("it listens on {port}"));
    }
    let low = !running.told_by_kernel || !condition.title.is_empty();
    let confidence = if low { Confidence::Low } else { Confidence::Medium };
    Some(Held { weight: look.weight(), evidence: look.evidence, confidence })
}

/// What has been looked at.
#[derive(Debug, Default)]
struct Look {
    explained: bool,
    rank: u8,
    agree: usize,
    pattern: bool,
    length: usize,
    evidence: Vec<String>,
}

impl Look {
    /// Nothing, unless one of the patterns fits, or there are none.
    fn at(
        &mut self,
        patterns: &[String],
        rank: u8,
        fits: impl Fn(&[u8]) -> bool,
        clause: impl Fn() -> String,
    ) -> Option<()> {
        if patterns.is_empty() {
            return Some(());
        }
        let fitting = patterns.iter().filter(|pattern| fits(pattern.as_bytes()));
        let literal = |pattern: &String| !pattern.bytes().any(|b| matches!(b, b'*' | b'?'));
        // The one that says most.
        let best = fitting.max_by_key(|pattern| (literal(pattern), pattern.len()))?;
        self.pattern |= !literal(best);
        self.length = self.length.saturating_add(best.len());
        self.rank = self.rank.max(rank);
        self.agrees(clause);
        Some(())
    }

    fn agrees(&mut self, clause: impl Fn() -> String) {
        self.agree = self.agree.saturating_add(1);
        if !self.explained {
            return;
        }
        let clause = clause();
        if !self.evidence.contains(&clause) {
            self.evidence.push(clause);
        }
    }

    fn weight(&self) -> Weight {
        Weight(self.rank, self.agree, !self.pattern, self.length)
    }
}

/// A pattern with a slash is one of the whole path.
fn fits_path(wanted: &[u8], path: &[u8]) -> bool {
    let of_path = wanted.contains(&b'/');
    wild::matches(wanted, if of_path { path } else { file_name(path) })
}

/// `python -m celery` is `celery.__main__`.
fn fits_module(wanted: &[u8], name: &[u8]) -> bool {
    wild::matches(wanted, name.strip_suffix(b".__main__").unwrap_or(name))
}
