//! A rule, as it is written.

use serde::Deserialize;

/// What makes a process a service of one kind.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Rule {
    /// Its name, in lower case: `postgresql`.
    pub kind: String,
    /// Its name as people write it: `PostgreSQL`.
    #[serde(default)]
    pub title: String,
    /// What sort of service it is: `database`, `cache`, `queue`, `web server`.
    #[serde(default)]
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
    /// Where its configuration is unless its arguments name another; for kinds that no reader knows.
    #[serde(default)]
    pub configs: Vec<String>,
    /// Names of images that it comes in, without registry and tag. A hint, which decides nothing.
    #[serde(default)]
    pub images: Vec<String>,
    /// Which reader knows its configuration; by default the one of the kind's name.
    #[serde(default)]
    pub reader: Option<String>,
    /// Other programs, scripts and classes that are part of it where they descend from it, or where it descends from
    /// them: Postfix's `smtpd`, MariaDB's `mysqld_safe`. Patterns.
    #[serde(default)]
    pub parts: Vec<String>,
    /// Whether it says only how a program is run (`python`, `java`), so that each program is a service of its own name,
    /// if it listens or its container is there for it.
    #[serde(default)]
    pub runtime: bool,
    /// Whether what it starts are services by their own right, though they do not listen: `supervisord`.
    #[serde(default)]
    pub supervisor: bool,
    /// In an agent's own file: takes away the rules of this kind that were there before, and says nothing else.
    #[serde(default)]
    pub disabled: bool,
    /// Each of them is enough.
    #[serde(default)]
    pub when: Vec<Condition>,
    /// None of them may hold.
    #[serde(default)]
    pub unless: Vec<Condition>,
}

/// All that is named in it must hold; of a list, one is enough. Names are patterns with `*` and `?`, and case counts.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Condition {
    /// The name of the program's file, as the kernel says it. Decides.
    pub program: Vec<String>,
    /// The whole path of the program's file, as the kernel says it. Decides.
    pub path: Vec<String>,
    /// The language that the program is an interpreter of: `python`, `java`. Decides that a runtime runs.
    pub language: Vec<String>,
    /// The name of the script that an interpreter runs; of its whole path if there is a slash in the pattern. Also what
    /// an Erlang release boots from. Decides.
    pub script: Vec<String>,
    /// The module that an interpreter runs: `python -m`, `erl -s`. Decides.
    pub module: Vec<String>,
    /// The Java main class, with its package. Decides.
    pub class: Vec<String>,
    /// The name of the Java archive that is run. Decides.
    pub jar: Vec<String>,
    /// The name by which the program was called (the file name of `argv[0]`'s first word); of a program of many, such
    /// as `busybox`, the applet. It needs `program`, `path` or `language` beside it.
    pub called: Vec<String>,
    /// The first word of what an interpreter's process wrote over its arguments: `puma`. It needs `language` beside it,
    /// and proves little.
    pub title: Vec<String>,
    /// An argument, except the first one.
    pub argument: Vec<String>,
    /// A port that it listens on. It decides nothing by itself.
    pub port: Vec<u16>,
}

impl Condition {
    /// The lists of patterns, by their names.
    pub(crate) fn patterns(&self) -> [(&'static str, &[String]); 10] {
        [
            ("program", &self.program),
            ("path", &self.path),
            ("language", &self.language),
            ("script", &self.script),
            ("module", &self.module),
            ("class", &self.class),
            ("jar", &self.jar),
            ("called", &self.called),
            ("title", &self.title),
            ("argument", &self.argument),
        ]
    }

    /// Whether anything in it can decide.
    pub(crate) fn decides(&self) -> bool {
        self.patterns().iter().take(7).any(|(_, patterns)| !patterns.is_empty())
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.port.is_empty() && self.patterns().iter().all(|(_, patterns)| patterns.is_empty())
    }
}
