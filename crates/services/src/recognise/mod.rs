//! Recognises what a process is.
//!
//! The kernel's word (the program's file) decides where it can; what a process says of itself (its arguments, which it
//! can rewrite) tells only what a program does that does many things: interpreters, and one program with two names.

pub(crate) mod group;

use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;

use portolan_linux::error::Escaped;

use crate::launch::Launch;
use crate::rules::{Condition, Rule, Rules, wild};
use crate::service::Confidence;

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

/// Judges processes by rules.
#[derive(Debug)]
pub(crate) struct Recogniser {
    rules: Vec<Arc<Rule>>,
    unknown: Arc<Rule>,
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
            runtime: true,
            when: Vec::new(),
            unless: Vec::new(),
        };
        Self { rules: rules.iter().cloned().collect(), unknown: Arc::new(unknown) }
    }

    /// What a process is, if a rule knows.
    pub(crate) fn judge(&self, facts: &Facts<'_>) -> Option<Verdict> {
        for rule in &self.rules {
            for condition in &rule.when {
                if let Some(evidence) = holds(condition, facts) {
                    return Some(Verdict {
                        rule: Arc::clone(rule),
                        name: rule.kind.clone(),
                        evidence,
                        confidence: Confidence::Medium,
                    });
                }
            }
        }
        None
    }

    /// What a process is that listens, and that no rule knows.
    pub(crate) fn unknown(&self, facts: &Facts<'_>) -> Verdict {
        let program = Escaped(facts.launch.name()).to_string();
        Verdict {
            rule: Arc::clone(&self.unknown),
            evidence: vec![format!(
                "its program is {}",
                Escaped(facts.launch.program.as_os_str().as_bytes())
            )],
            name: program,
            confidence: Confidence::Low,
        }
    }
}

fn holds(condition: &Condition, facts: &Facts<'_>) -> Option<Vec<String>> {
    let name = facts.launch.name();
    let fits = condition.program.iter().any(|wanted| wild::matches(wanted.as_bytes(), name));
    fits.then(|| vec![format!("its program is {}", Escaped(facts.launch.program.as_os_str().as_bytes()))])
}
