//! Recognises what a process is.
//!
//! The kernel's word (the program's file) decides where it can; what a process says of itself (its arguments, which it
//! can rewrite) tells only what a program does that does many things: interpreters, and one program with two names.
//!
//! - `language`, `grammar`, `java`, `erlang`: interpreters, and what each was told to run
//! - `running`: what a process executes, of both
//! - `index`, `holds`: which conditions could hold, and which do
//! - `name`: what to call a program that no rule knows
//! - `group`: processes into services

mod erlang;
mod grammar;
pub(crate) mod group;
mod holds;
mod index;
mod java;
pub(crate) mod language;
mod name;
mod running;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::Arc;

use portolan_linux::error::Escaped;

use crate::launch::Launch;
use crate::rules::{Rule, Rules, wild};
use crate::service::Confidence;
use grammar::What;
use holds::{Held, Weight, holds};
use index::{Index, Names};
use language::Language;
use running::Running;

/// What is known of a process when it is judged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Facts<'a> {
    pub(crate) launch: &'a Launch,
    /// The ports of the TCP and UDP sockets that it listens on.
    pub(crate) ports: &'a [u16],
}

/// What a process was judged to be.
#[derive(Debug, Clone)]
pub(crate) struct Verdict {
    pub(crate) rule: Arc<Rule>,
    /// The kind, or the program that a runtime runs.
    pub(crate) name: String,
    /// Clauses, the strongest first.
    pub(crate) evidence: Vec<String>,
    pub(crate) confidence: Confidence,
}

/// A program with a longer name is told as unknown.
const LONGEST_KIND: usize = 64;

/// Judges processes by rules.
#[derive(Debug)]
pub(crate) struct Recogniser {
    rules: Vec<Arc<Rule>>,
    index: Index,
    wrappers: Names,
    wrapping_scripts: Names,
    unknown: Arc<Rule>,
    /// The kinds of all rules, and their other names.
    kinds: HashSet<String>,
}

/// A rule that holds.
struct Fit<'a> {
    /// What a runtime's rule says is the last resort; then what says more, then the rule that comes first.
    order: (bool, Weight, std::cmp::Reverse<usize>),
    rule: &'a Arc<Rule>,
    /// Of the condition that holds.
    place: usize,
}

impl Recogniser {
    pub(crate) fn new(rules: &Rules) -> Self {
        let unknown = Rule {
            kind: "unknown".to_owned(),
            title: "unknown".to_owned(),
            category: String::new(),
            aliases: Vec::new(),
            ports: Vec::new(),
            packages: Vec::new(),
            images: Vec::new(),
            configs: Vec::new(),
            reader: None,
            parts: Vec::new(),
            runtime: true,
            supervisor: false,
            disabled: false,
            when: Vec::new(),
            unless: Vec::new(),
        };
        let wrappers = rules.wrappers();
        let rules: Vec<_> = rules.iter().filter(|rule| !rule.disabled).cloned().collect();
        Self {
            index: Index::of(&rules),
            wrappers: Names::of(&wrappers.program),
            wrapping_scripts: Names::of(&wrappers.script),
            kinds: rules.iter().flat_map(|rule| rule.aliases.iter().chain([&rule.kind])).cloned().collect(),
            rules,
            unknown: Arc::new(unknown),
        }
    }

    /// What a process is, if a rule knows.
    pub(crate) fn judge(&self, facts: &Facts<'_>) -> Option<Verdict> {
        let running = Running::of(facts.launch);
        let fits = self.fits(&running, facts.ports);
        let best = fits.iter().max_by_key(|fit| fit.order)?;
        if best.rule.runtime && self.wraps(&running) {
            return None;
        }
        let name = match &running.task {
            Some(task) if best.rule.runtime => name::of(task, facts.launch.directory.as_os_str().as_bytes())
                .map_or_else(|| best.rule.kind.clone(), |name| Escaped(&name).to_string()),
            _ => best.rule.kind.clone(),
        };
        let when = best.rule.when.get(best.place)?;
        let Held { mut evidence, confidence, .. } = holds(when, &running, facts.ports, true)?;
        if best.rule.runtime {
            let shown = running.names().next().filter(|_| running.told_by_kernel);
            evidence.extend(shown.map(|what| format!("it runs {}", Escaped(what))));
        }
        // The next best, which the reader might have taken it for.
        let others = fits.iter().filter(|fit| !fit.rule.runtime && fit.rule.kind != best.rule.kind);
        if let Some(other) = others.max_by_key(|fit| fit.order) {
            evidence.push(format!("{} would fit as well, but says less", other.rule.title));
        }
        Some(Verdict { rule: Arc::clone(best.rule), name, evidence, confidence })
    }

    /// The rules that hold, each by the best of its conditions.
    fn fits(&self, running: &Running<'_>, ports: &[u16]) -> Vec<Fit<'_>> {
        let mut fits: Vec<Fit<'_>> = Vec::new();
        for (at, place) in self.index.candidates(running) {
            let Some(rule) = self.rules.get(at) else { continue };
            let Some(held) = rule.when.get(place).and_then(|when| holds(when, running, ports, false)) else {
                continue;
            };
            if rule.unless.iter().any(|unless| holds(unless, running, ports, false).is_some()) {
                continue;
            }
            fits.push(Fit { order: (!rule.runtime, held.weight, std::cmp::Reverse(at)), rule, place });
        }
        fits
    }

    /// What a process is that listens, and that no rule knows.
    pub(crate) fn unknown(&self, facts: &Facts<'_>) -> Verdict {
        let running = Running::of(facts.launch);
        let name = if running.program.is_empty() { running.called } else { running.program };
        let evidence = match running.told_by_kernel {
            true => format!("its program is {}", Escaped(running.path)),
            false => "its program cannot be read".to_owned(),
        };
        let named = if running.told_by_kernel { self.named_after(name) } else { None };
        Verdict {
            rule: named.map_or_else(|| Arc::clone(&self.unknown), Arc::new),
            evidence: vec![evidence, "no rule knows it".to_owned()],
            name: if name.is_empty() { "unknown".to_owned() } else { Escaped(name).to_string() },
            confidence: Confidence::Low,
        }
    }

    /// A kind for a program of this name, unless that could be taken for one that a rule has.
    fn named_after(&self, name: &[u8]) -> Option<Rule> {
        let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._+-".contains(byte);
        if name.is_empty() || name.len() > LONGEST_KIND || !name.iter().all(plain) {
            return None;
        }
        let kind = String::from_utf8_lossy(name).to_ascii_lowercase();
        (!self.kinds.contains(&kind)).then(|| Rule { kind, ..Rule::clone(&self.unknown) })
    }

    /// Whether a process only starts others, and waits for them: `tini`, `sh -c`, a container's start script.
    pub(crate) fn is_wrapper(&self, launch: &Launch) -> bool {
        self.wraps(&Running::of(launch))
    }

    fn wraps(&self, running: &Running<'_>) -> bool {
        if self.wrappers.has(running.program) || running.names().any(|name| self.wrapping_scripts.has(name)) {
            return true;
        }
        // A shell that was told nothing is somebody's.
        running.task.as_ref().is_some_and(|task| task.language == Language::Shell && !task.what.is_empty())
    }

    /// Whether it takes the working directory to name a process.
    pub(crate) fn is_relative(launch: &Launch) -> bool {
        let running = Running::of(launch);
        let relative =
            |what: &What<'_>| matches!(what, What::Script(p) | What::Jar(p) if !p.starts_with(b"/"));
        running.task.is_some_and(|task| task.language != Language::Shell && task.what.iter().any(relative))
    }
}

/// Whether a process is a part of a service of this rule, where one descends from the other.
pub(crate) fn is_part(rule: &Rule, launch: &Launch) -> bool {
    if rule.parts.is_empty() {
        return false;
    }
    let running = Running::of(launch);
    let is = |name: &[u8]| rule.parts.iter().any(|part| wild::matches(part.as_bytes(), name));
    (running.told_by_kernel && running.task.is_none() && is(running.program)) || running.names().any(is)
}

impl Verdict {
    /// What agrees with it, as clauses with those that it had, and how sure that makes it.
    ///
    /// `configuration` is a file of its configuration, if what that says is where the service listens.
    pub(crate) fn supported(
        &self,
        ports: &[u16],
        image: Option<&str>,
        configuration: Option<&Path>,
    ) -> (Vec<String>, Confidence) {
        let mut evidence = self.evidence.clone();
        let before = evidence.len();
        if let Some(port) = self.rule.ports.iter().find(|port| ports.contains(port)) {
            evidence.push(format!("it listens on {port}, as {} does", self.rule.title));
        }
        if let Some(path) = configuration {
            let path = Escaped(path.as_os_str().as_bytes());
            evidence.push(format!("it listens where its configuration {path} says"));
        }
        // An image can hold many programs, and listens to nothing: it agrees only with what listens.
        if let Some(image) = image.filter(|_| !ports.is_empty()).map(image_name)
            && self.rule.images.iter().any(|known| wild::matches(known.as_bytes(), image.as_bytes()))
        {
            evidence.push(format!("its image is {}", Escaped(image.as_bytes())));
        }
        // What proves nothing by itself does not become certain by it.
        let agrees = evidence.len() > before && self.confidence == Confidence::Medium;
        (evidence, if agrees { Confidence::High } else { self.confidence })
    }
}

/// An image's name without registry, tag and digest: `docker.io/library/redis:7@sha256:…` is `redis`.
fn image_name(image: &str) -> &str {
    let image = image.split('@').next().unwrap_or(image);
    let name = image.rsplit('/').next().unwrap_or(image);
    name.split(':').next().unwrap_or(name)
}
