//! Which conditions a process could fulfil, without looking at all of them.
//!
//! A host has thousands of processes and there are hundreds of conditions; so each condition is kept under the name
//! that it needs, and under the first or last byte of it where that name is a pattern.

use std::collections::HashMap;
use std::sync::Arc;

use super::grammar::What;
use super::running::{Running, file_name};
use crate::rules::wild;
use crate::rules::{Condition, Rule};

/// What a name is the name of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Sort {
    Program,
    Language,
    Script,
    Module,
    Class,
    Jar,
}

/// A condition, by the places of its rule and of itself.
pub(super) type Place = (usize, usize);

/// Conditions by what they need.
#[derive(Debug, Default)]
pub(super) struct Index {
    exact: HashMap<Sort, HashMap<Vec<u8>, Vec<Place>>>,
    /// Patterns by the byte that they begin with, by the one that they end with, and others.
    first: HashMap<(Sort, u8), Vec<Place>>,
    last: HashMap<(Sort, u8), Vec<Place>>,
    any: HashMap<Sort, Vec<Place>>,
}

impl Index {
    pub(super) fn of(rules: &[Arc<Rule>]) -> Self {
        let mut index = Self::default();
        for (at, rule) in rules.iter().enumerate() {
            for (place, condition) in rule.when.iter().enumerate() {
                let (sort, patterns) = needed(condition);
                for pattern in patterns {
                    index.add(sort, pattern.as_bytes(), (at, place));
                }
            }
        }
        index
    }

    fn add(&mut self, sort: Sort, pattern: &[u8], place: Place) {
        // Of a path, the file's name is looked up.
        let name = if matches!(sort, Sort::Program | Sort::Script | Sort::Jar) {
            file_name(pattern)
        } else {
            pattern
        };
        let wild = |b: &u8| matches!(b, b'*' | b'?');
        let places = match (name.first(), name.last()) {
            _ if !name.iter().any(wild) => {
                self.exact.entry(sort).or_default().entry(name.to_vec()).or_default()
            }
            (Some(first), _) if !wild(first) => self.first.entry((sort, *first)).or_default(),
            (_, Some(last)) if !wild(last) => self.last.entry((sort, *last)).or_default(),
            _ => self.any.entry(sort).or_default(),
        };
        places.push(place);
    }

    /// The conditions that a process could fulfil, in their order.
    pub(super) fn candidates(&self, running: &Running<'_>) -> Vec<Place> {
        let mut places = Vec::new();
        self.look_up(Sort::Program, running.program, &mut places);
        if let Some(task) = &running.task {
            self.look_up(Sort::Language, task.language.name().as_bytes(), &mut places);
            for what in &task.what {
                match what {
                    What::Script(path) => self.look_up(Sort::Script, file_name(path), &mut places),
                    What::Module(name) => self.look_up(Sort::Module, name, &mut places),
                    What::Class(name) => self.look_up(Sort::Class, name, &mut places),
                    What::Jar(path) => self.look_up(Sort::Jar, file_name(path), &mut places),
                    What::Text => {}
                }
            }
        }
        places.sort_unstable();
        places.dedup();
        places
    }

    fn look_up(&self, sort: Sort, name: &[u8], places: &mut Vec<Place>) {
        let [Some(first), Some(last)] = [name.first(), name.last()] else { return };
        let found = [
            self.exact.get(&sort).and_then(|names| names.get(name)),
            self.first.get(&(sort, *first)),
            self.last.get(&(sort, *last)),
            self.any.get(&sort),
        ];
        places.extend(found.into_iter().flatten().flatten());
    }
}

/// The names that a condition cannot do without: the rarest sort of those in it.
fn needed(condition: &Condition) -> (Sort, &[String]) {
    let sorts: [(Sort, &[String]); 7] = [
        (Sort::Script, &condition.script),
        (Sort::Module, &condition.module),
        (Sort::Class, &condition.class),
        (Sort::Jar, &condition.jar),
        (Sort::Program, &condition.path),
        (Sort::Program, &condition.program),
        (Sort::Language, &condition.language),
    ];
    sorts.into_iter().find(|(_, patterns)| !patterns.is_empty()).unwrap_or((Sort::Language, &[]))
}

/// Names, looked up as exact names and as patterns.
#[derive(Debug, Default)]
pub(super) struct Names {
    exact: std::collections::HashSet<Vec<u8>>,
    patterns: Vec<Vec<u8>>,
}

impl Names {
    pub(super) fn of(names: &[String]) -> Self {
        let wild = |name: &&String| name.bytes().any(|b| matches!(b, b'*' | b'?'));
        Self {
            exact: names.iter().filter(|n| !wild(n)).map(|n| n.as_bytes().to_vec()).collect(),
            patterns: names.iter().filter(wild).map(|n| n.as_bytes().to_vec()).collect(),
        }
    }

    pub(super) fn has(&self, name: &[u8]) -> bool {
        self.exact.contains(name) || self.patterns.iter().any(|pattern| wild::matches(pattern, name))
    }
}
