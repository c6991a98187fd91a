//! What an interpreter was told to run, by the grammar of its own options.
//!
//! Each interpreter's manual says which of its options take a word of their own: without that, the value of an option
//! would pass for the script. What comes after the script is the script's.

use super::language::Language;

/// What an interpreter runs. Paths and names are as the process says them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What<'a> {
    /// A script's path; a program's (`mono app.exe`, `dotnet app.dll`); what an Erlang release boots from.
    Script(&'a [u8]),
    /// A module: `python -m`, `erl -s`.
    Module(&'a [u8]),
    /// A Java main class.
    Class(&'a [u8]),
    /// A Java archive that says itself which class is run.
    Jar(&'a [u8]),
    /// Text on the command line.
    Text,
}

/// What an interpreter runs, and with what.
#[derive(Debug, Clone)]
pub(crate) struct Task<'a> {
    pub(crate) language: Language,
    /// Nothing where it reads its standard input, or where the process has written over its arguments.
    pub(crate) what: Vec<What<'a>>,
    /// What follows what is run, in the command line.
    pub(crate) rest: &'a [Vec<u8>],
}

/// The options of an interpreter. Letters may be joined (`-wT`); one that takes a value has the rest of its word, or
/// where there is none the next word.
#[derive(Debug, Clone, Copy)]
struct Grammar {
    /// Letters that take a value.
    valued: &'static [u8],
    /// Letters that take what is left of their word, if anything, and never the next one.
    attached: &'static [u8],
    /// Letters whose value is the program's text.
    text: &'static [u8],
    /// Letters whose value is a module to run.
    module: &'static [u8],
    /// Letters whose value is the script.
    script: &'static [u8],
    /// Whole options that take the next word.
    long: &'static [&'static str],
    /// First words that are commands of the interpreter itself.
    commands: &'static [&'static str],
}

const PLAIN: Grammar =
    Grammar { valued: b"", attached: b"", text: b"", module: b"", script: b"", long: &[], commands: &[] };

const PYTHON: Grammar =
    Grammar { valued: b"WXQ", text: b"c", module: b"m", long: &["--check-hash-based-pycs"], ..PLAIN };
const PERL: Grammar = Grammar { valued: b"I", attached: b"MmilCDFx0dV", text: b"eE", ..PLAIN };
const RUBY: Grammar = Grammar {
    valued: b"rICE",
    attached: b"KTWxFi0",
    text: b"e",
    long: &["--encoding", "--external-encoding", "--internal-encoding", "--require"],
    ..PLAIN
};
const NODE: Grammar = Grammar {
    valued: b"rC",
    text: b"ep",
    long: &[
        "--conditions",
        "--experimental-loader",
        "--icu-data-dir",
        "--import",
        "--loader",
        "--openssl-config",
        "--require",
        "--title",
        "--config",
        "--import-map",
    ],
    commands: &["run", "serve", "start", "x"],
    ..PLAIN
};
const PHP: Grammar =
    Grammar { valued: b"cdStz", text: b"rBRE", script: b"fF", long: &["--php-ini", "--define"], ..PLAIN };
const SHELL: Grammar = Grammar { valued: b"oO", text: b"c", long: &["--rcfile", "--init-file"], ..PLAIN };
const LUA: Grammar = Grammar { valued: b"le", ..PLAIN };
const TCL: Grammar = Grammar { valued: b"cD", script: b"f", long: &["-encoding"], ..PLAIN };
const GUILE: Grammar = Grammar {
    valued: b"lLCex",
    text: b"c",
    script: b"s",
    long: &["--language", "--listen", "--r6rs"],
    ..PLAIN
};
const R: Grammar = Grammar { text: b"e", script: b"f", ..PLAIN };
const MONO: Grammar = Grammar { long: &["--config", "--runtime", "--server"], ..PLAIN };
const DOTNET: Grammar = Grammar {
    long: &[
        "--additionalprobingpath",
        "--additional-deps",
        "--depsfile",
        "--fx-version",
        "--roll-forward",
        "--runtimeconfig",
    ],
    commands: &["exec"],
    ..PLAIN
};

/// What a process runs whose program is the interpreter of a language. The first argument is the interpreter's name.
pub(crate) fn task(language: Language, arguments: &[Vec<u8>]) -> Task<'_> {
    let arguments = arguments.get(1..).unwrap_or(&[]);
    let (what, rest) = match language {
        Language::Java => super::java::runs(arguments),
        Language::Erlang => (super::erlang::runs(arguments), arguments),
        Language::R => file_of_r(arguments).unwrap_or_else(|| by(R, arguments)),
        Language::Python => by(PYTHON, arguments),
        Language::Perl => by(PERL, arguments),
        Language::Ruby => by(RUBY, arguments),
        Language::Node => by(NODE, arguments),
        Language::Php => by(PHP, arguments),
        Language::Shell => by(SHELL, arguments),
        Language::Lua => by(LUA, arguments),
        Language::Tcl => by(TCL, arguments),
        Language::Guile => by(GUILE, arguments),
        Language::Mono => by(MONO, arguments),
        Language::Dotnet => by(DOTNET, arguments),
    };
    Task { language, what, rest }
}

pub(super) type Runs<'a> = (Vec<What<'a>>, &'a [Vec<u8>]);

/// What comes after the first words.
fn after(arguments: &[Vec<u8>], words: usize) -> &[Vec<u8>] {
    arguments.get(words..).unwrap_or(&[])
}

fn by(grammar: Grammar, arguments: &[Vec<u8>]) -> Runs<'_> {
    let mut at = 0_usize;
    while let Some(word) = arguments.get(at) {
        at = at.saturating_add(1);
        match word.as_slice() {
            b"-" => return (Vec::new(), after(arguments, at)),
            b"--" => {
                let script = arguments.get(at).map(|script| What::Script(script));
                return (script.into_iter().collect(), after(arguments, at.saturating_add(1)));
            }
            option if grammar.long.iter().any(|long| long.as_bytes() == option) => at = at.saturating_add(1),
            option if option.starts_with(b"--") => {}
            [b'-' | b'+', letters @ ..] if !letters.is_empty() => match cluster(grammar, letters) {
                Letters::Flags => {}
                Letters::Value(_, Some(_)) => {}
                Letters::Value(Sort::Option, None) => at = at.saturating_add(1),
                Letters::Value(sort, None) => {
                    let what = arguments.get(at).and_then(|value| sort.what(value));
                    return (what.into_iter().collect(), after(arguments, at.saturating_add(1)));
                }
                Letters::Told(what) => return (vec![what], after(arguments, at)),
            },
            word if grammar.commands.iter().any(|command| command.as_bytes() == word) && at == 1 => {}
            script => return (vec![What::Script(script)], after(arguments, at)),
        }
    }
    (Vec::new(), &[])
}

/// What the letters of an option ask for.
enum Letters<'a> {
    Flags,
    /// A value: the rest of the word, or the next word.
    Value(Sort, Option<&'a [u8]>),
    /// What is run, in the same word.
    Told(What<'a>),
}

#[derive(Debug, Clone, Copy)]
enum Sort {
    Option,
    Text,
    Module,
    Script,
}

impl Sort {
    fn what(self, value: &[u8]) -> Option<What<'_>> {
        match self {
            Self::Option => None,
            Self::Text => Some(What::Text),
            Self::Module => Some(What::Module(value)),
            Self::Script => Some(What::Script(value)),
        }
    }
}

fn cluster(grammar: Grammar, letters: &[u8]) -> Letters<'_> {
    for (place, letter) in letters.iter().enumerate() {
        let sort = match letter {
            letter if grammar.valued.contains(letter) => Sort::Option,
            letter if grammar.text.contains(letter) => Sort::Text,
            letter if grammar.module.contains(letter) => Sort::Module,
            letter if grammar.script.contains(letter) => Sort::Script,
            letter if grammar.attached.contains(letter) => return Letters::Flags,
            _ => continue,
        };
        let left = letters.get(place.saturating_add(1)..).filter(|left| !left.is_empty());
        // A shell's `-ce` are flags, and the text is the next word whatever follows.
        return match (sort, left) {
            (Sort::Text, _) => Letters::Told(What::Text),
            (sort, Some(value)) => sort.what(value).map_or(Letters::Value(sort, Some(value)), Letters::Told),
            (sort, None) => Letters::Value(sort, None),
        };
    }
    Letters::Flags
}

/// `R --no-echo --file=script.R --args x`, which is what `Rscript` becomes.
fn file_of_r(arguments: &[Vec<u8>]) -> Option<Runs<'_>> {
    let at = arguments.iter().take_while(|a| *a != b"--args").position(|a| a.starts_with(b"--file="))?;
    let script = arguments.get(at)?.strip_prefix(b"--file=")?;
    Some((vec![What::Script(script)], after(arguments, at.saturating_add(1))))
}
