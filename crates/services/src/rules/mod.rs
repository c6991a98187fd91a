//! Rules: what makes a process a service of some kind. They are data: TOML files built in, and those of the agent's own.
//!
//! ```toml
//! [[service]]
//! kind = "redis"
//! title = "Redis"
//! category = "database"
//! ports = [6379]
//! packages = ["redis-server"]
//! images = ["redis"]
//!
//! [[service.when]]
//! program = ["redis-server"]
//!
//! [[service.unless]]
//! argument = ["--sentinel"]
//! ```
//!
//! A rule is a [`Rule`], with one [`Condition`] for each way in which its kind is met. What decides is what the kernel
//! says that a process executes (`program`, `path`), and where that is an interpreter (`language`), what the
//! interpreter was told to run (`script`, `module`, `class`, `jar`): that is found by the grammar of the interpreter's
//! own options. Ports and images only agree.
//!
//! Of several rules that fit a process, the one is taken that says most: a rule of a runtime gives way to all others,
//! what an interpreter runs counts more than a path, a path more than a name, a name more than a pattern, and more
//! conditions more than fewer; then the agent's own before the built-in ones, and then the order of the files.
//!
//! A file may also have `[wrappers]` with `program` and `script`: what starts others and is no service itself.
//!
//! `docs/rules.md` tells agents how to write their own.
//!
//! - `rule`: a rule, as it is written; `load`: files of them, and what is wrong in these
//! - `wild`: the patterns of names
//! - `builtin/`: the rules that come with this crate, a file for each sort of services

pub(crate) mod load;
mod rule;
pub(crate) mod wild;

use std::path::Path;
use std::sync::Arc;

pub use rule::{Condition, Rule};

use load::Wrappers;

use crate::{Error, Result};

/// The rules that a survey goes by.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Those that go first come first.
    rules: Vec<Arc<Rule>>,
    wrappers: Wrappers,
}

macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("builtin/", $name, ".toml")))),*]
    };
}

const BUILT_IN: &[(&str, &str)] = built_in![
    "application",
    "cache",
    "coordination",
    "database",
    "directory",
    "dns",
    "files",
    "kubernetes",
    "mail",
    "monitoring",
    "queue",
    "runtime",
    "search",
    "system",
    "web",
    "wrappers",
];

impl Rules {
    /// The rules that come with this crate.
    #[must_use]
    pub fn built_in() -> Self {
        let mut all = Self { rules: Vec::new(), wrappers: Wrappers::default() };
        for (name, text) in BUILT_IN {
            // A test holds that all of them can be read.
            if let Ok((rules, wrappers)) = load::parse(Path::new(name), text) {
                all.rules.extend(rules);
                all.wrappers.add(wrappers);
            }
        }
        all
    }

    /// The same, and those of all `*.toml` files of a directory, in the order of their names.
    ///
    /// They go before those that are there already, and a kind can have rules of both; one with `disabled = true` takes
    /// away those of its kind that were there.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) without the directory, and
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) with the file and the line that cannot be understood, and with
    /// the fields that there are. A file of more than 4 MiB is refused.
    pub fn with_directory(mut self, directory: &Path) -> Result<Self> {
        let failed = |error| Error::rules(directory, error);
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(directory).map_err(failed)? {
            paths.push(entry.map_err(failed)?.path());
        }
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
        paths.sort();
        let mut own = Vec::new();
        for path in &paths {
            let (rules, wrappers) = load::read(path)?;
            own.extend(rules);
            self.wrappers.add(wrappers);
        }
        let (off, own): (Vec<Arc<Rule>>, Vec<_>) = own.into_iter().partition(|rule| rule.disabled);
        self.rules.retain(|rule| off.iter().all(|off| off.kind != rule.kind));
        self.rules.splice(0..0, own);
        Ok(self)
    }

    /// The rules, those first that go first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.rules.iter()
    }

    /// What starts others and is no service itself.
    pub(crate) fn wrappers(&self) -> &Wrappers {
        &self.wrappers
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::built_in()
    }
}

#[cfg(test)]
mod tests;
