//! The languages whose programs are run by an interpreter, which is what the kernel says that such a process executes.

/// A language, told by its interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Language {
    Dotnet,
    Erlang,
    Guile,
    Java,
    Lua,
    Mono,
    Node,
    Perl,
    Php,
    Python,
    R,
    Ruby,
    Shell,
    Tcl,
}

/// The names of interpreters, without their versions.
const INTERPRETERS: &[(&str, Language)] = &[
    ("ash", Language::Shell),
    ("bash", Language::Shell),
    ("beam", Language::Erlang),
    ("beam.smp", Language::Erlang),
    ("bun", Language::Node),
    ("dash", Language::Shell),
    ("deno", Language::Node),
    ("dotnet", Language::Dotnet),
    ("expect", Language::Tcl),
    ("guile", Language::Guile),
    ("java", Language::Java),
    ("jsvc", Language::Java),
    ("jsvc.exec", Language::Java),
    ("ksh", Language::Shell),
    ("lua", Language::Lua),
    ("luajit", Language::Lua),
    ("mksh", Language::Shell),
    ("mono", Language::Mono),
    ("mono-sgen", Language::Mono),
    ("node", Language::Node),
    ("nodejs", Language::Node),
    ("perl", Language::Perl),
    ("php", Language::Php),
    ("php-cgi", Language::Php),
    ("platform-python", Language::Python),
    ("pypy", Language::Python),
    ("python", Language::Python),
    ("R", Language::R),
    ("ruby", Language::Ruby),
    ("sh", Language::Shell),
    ("tclsh", Language::Tcl),
    ("zsh", Language::Shell),
];

impl Language {
    /// The one that a program of this name runs: `python3.11`, `perl5.36.0`, `php-cgi8.2`, `luajit-2.1`.
    pub(crate) fn of(program: &[u8]) -> Option<Self> {
        let versionless = program.iter().rposition(|b| !b.is_ascii_digit() && *b != b'.' && *b != b'-');
        let name = program.get(..versionless?.saturating_add(1))?;
        let known = |name: &[u8]| INTERPRETERS.iter().find(|(known, _)| known.as_bytes() == name);
        known(program).or_else(|| known(name)).map(|(_, language)| *language)
    }

    /// As rules and people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Dotnet => "dotnet",
            Self::Erlang => "erlang",
            Self::Guile => "guile",
            Self::Java => "java",
            Self::Lua => "lua",
            Self::Mono => "mono",
            Self::Node => "node",
            Self::Perl => "perl",
            Self::Php => "php",
            Self::Python => "python",
            Self::R => "r",
            Self::Ruby => "ruby",
            Self::Shell => "shell",
            Self::Tcl => "tcl",
        }
    }

    /// The language of this name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        INTERPRETERS.iter().map(|(_, language)| *language).find(|language| language.name() == name)
    }

    /// The names of all.
    pub(crate) fn names() -> Vec<&'static str> {
        let mut names: Vec<_> = INTERPRETERS.iter().map(|(_, language)| language.name()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::Language;

    #[test]
    fn interpreters_are_known_with_their_versions() {
        for (program, language) in [
            ("python3.11", Some(Language::Python)),
            ("python", Some(Language::Python)),
            ("pypy3", Some(Language::Python)),
            ("perl5.36.0", Some(Language::Perl)),
            ("php8.2", Some(Language::Php)),
            ("php-cgi8.2", Some(Language::Php)),
            ("php-fpm8.2", None),
            ("luajit-2.1.0", Some(Language::Lua)),
            ("beam.smp", Some(Language::Erlang)),
            ("jsvc", Some(Language::Java)),
            ("node", Some(Language::Node)),
            ("node_exporter", None),
            ("rsync", None),
            ("R", Some(Language::R)),
            ("", None),
            ("12", None),
        ] {
            assert_eq!(Language::of(program.as_bytes()), language, "{program}");
        }
    }

    #[test]
    fn languages_are_found_by_their_names() {
        for name in Language::names() {
            assert_eq!(Language::named(name).map(Language::name), Some(name));
        }
        assert_eq!(Language::named("cobol"), None);
    }
}
