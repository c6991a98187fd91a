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
//! ```
//!
//! - `wild`: the patterns of names
//! - `builtin/`: the rules that come with this crate

pub(crate) mod wild;

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;

use crate::{Error, Result};

/// What makes a process a service of one kind.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Rule {
    /// Its name, in lower case: `postgresql`.
    pub kind: String,
    /// Its name as people write it: `PostgreSQL`.
    pub title: String,
    /// What sort of service it is: `database`, `cache`, `queue`, `web server`.
    pub category: String,
    /// Other names by which it may be asked for.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// The ports on which it listens unless told otherwise, the one that its clients use first. A port never decides.
    #[serde(default)]
    pub ports: Vec<u16>,
    /// The packages that have its program, in the distributions' names; `*` is allowed.
    #[serde(default)]
    pub packages: Vec<String>,
    /// Names of images that it comes in, without registry and tag. A hint, which decides nothing.
    #[serde(default)]
    pub images: Vec<String>,
    /// Where its configuration is unless its arguments name another; for kinds that no reader knows.
    #[serde(default)]
    pub configs: Vec<String>,
    /// Which reader knows its configuration; by default the one of the kind's name.
    #[serde(default)]
    pub reader: Option<String>,
    /// Whether it says only how a program is run (`python`, `java`), so that each program is a service of its own name.
    #[serde(default)]
    pub runtime: bool,
    /// Each of them is enough.
    pub when: Vec<Condition>,
    /// None of them may hold.
    #[serde(default)]
    pub unless: Vec<Condition>,
}

/// All that is named in it must hold; of a list, one is enough. Names are patterns with `*` and `?`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Condition {
    /// The name of the program's file.
    pub program: Vec<String>,
    /// The whole path of the program's file.
    pub path: Vec<String>,
    /// The name of the script, the module (`python -m`), or the main class or archive (`java`) that an interpreter runs.
    pub script: Vec<String>,
    /// An argument.
    pub argument: Vec<String>,
    /// The first word of what the process calls itself (`argv[0]`, as rewritten). It proves nothing by itself.
    pub title: Vec<String>,
    /// A port that it listens on. It proves nothing by itself.
    pub port: Vec<u16>,
}

/// The rules that a survey goes by.
#[derive(Debug, Clone)]
pub struct Rules {
    rules: Vec<Arc<Rule>>,
}

/// A file of rules.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    service: Vec<Rule>,
}

const BUILT_IN: &[(&str, &str)] = &[("web", include_str!("builtin/web.toml"))];

impl Rules {
    /// The rules that come with this crate.
    #[must_use]
    pub fn built_in() -> Self {
        let mut rules = Self { rules: Vec::new() };
        for (_, text) in BUILT_IN {
            // A test holds that all of them can be read.
            if let Ok(file) = toml::from_str::<File>(text) {
                rules.rules.extend(file.service.into_iter().map(Arc::new));
            }
        }
        rules
    }

    /// The same, and those of all `*.toml` files of a directory, which go before others of the same kind.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound), and [`InvalidInput`](crate::ErrorKind::InvalidInput) with the file and
    /// the line that cannot be understood.
    pub fn with_directory(mut self, directory: &Path) -> Result<Self> {
        let failed = |error| Error::rules(directory, error);
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(directory).map_err(failed)? {
            paths.push(entry.map_err(failed)?.path());
        }
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
        paths.sort();
        for path in paths.iter().rev() {
            let text = std::fs::read_to_string(path).map_err(|error| Error::rules(path, error))?;
            let file: File = toml::from_str(&text).map_err(|error| Error::rule(path, &error))?;
            self.rules.splice(0..0, file.service.into_iter().map(Arc::new));
        }
        Ok(self)
    }

    /// The rules.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.rules.iter()
    }
}

impl Default for Rules {
    fn default() -> Self {
        Self::built_in()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_built_in_files_can_be_read() {
        for (name, text) in BUILT_IN {
            if let Err(error) = toml::from_str::<File>(text) {
                panic!("{name}: {error}");
            }
        }
    }
}
