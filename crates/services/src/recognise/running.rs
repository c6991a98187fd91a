//! What a process executes: the kernel's word, and where that is an interpreter or a program of many names, what the
//! process was told.

use std::os::unix::ffi::OsStrExt as _;

use super::grammar::{self, Task, What};
use super::language::Language;
use crate::launch::Launch;

/// What a process executes.
#[derive(Debug)]
pub(crate) struct Running<'a> {
    /// The path of its program's file.
    pub(crate) path: &'a [u8],
    /// The name of its program's file; where the kernel would not say, what the process calls itself.
    pub(crate) program: &'a [u8],
    /// Whether the kernel told the program.
    pub(crate) told_by_kernel: bool,
    /// What it calls itself: the file name of the first word of its first argument, or the applet of a program of many.
    pub(crate) called: &'a [u8],
    /// What it was told to run, if its program is an interpreter.
    pub(crate) task: Option<Task<'a>>,
    /// Its arguments but the first; one text with blanks is taken for several.
    pub(crate) words: Vec<&'a [u8]>,
}

/// Programs whose first argument is the applet, where they are called by their own name.
const OF_MANY: &[&str] = &["busybox", "busybox.static", "toybox", "dropbearmulti"];

/// So many words of one text are looked at.
const WORDS: usize = 64;

impl<'a> Running<'a> {
    pub(crate) fn of(launch: &'a Launch) -> Self {
        let path = launch.program.as_os_str().as_bytes();
        let first = launch.arguments.first().map_or(&[][..], |first| first_word(first));
        let mut called = file_name(first);
        let told_by_kernel = !path.is_empty();
        let program = if told_by_kernel { launch.name() } else { called };
        let mut arguments = launch.arguments.as_slice();
        if of_many(program) && of_many(called) {
            arguments = arguments.get(1..).unwrap_or(&[]);
            called = arguments.first().map_or(&[][..], |applet| file_name(applet));
        }
        let language = Language::of(program).or_else(|| of_many(program).then(|| Language::of(called))?);
        let task = language.map(|language| match arguments {
            [one] if one.contains(&b' ') => Task { language, what: Vec::new(), rest: &[] },
            several => grammar::task(language, several),
        });
        let words = match arguments {
            [one] => one.split(|b| *b == b' ').filter(|w| !w.is_empty()).skip(1).take(WORDS).collect(),
            several => several.iter().skip(1).map(Vec::as_slice).collect(),
        };
        Self { path, program, told_by_kernel, called, task, words }
    }

    /// The name of what is run: the file's name of a script or archive, a module, a class.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'a [u8]> {
        let what = self.task.iter().flat_map(|task| task.what.iter());
        what.filter_map(|what| match what {
            What::Script(path) | What::Jar(path) => Some(file_name(path)),
            What::Module(name) | What::Class(name) => Some(*name),
            What::Text => None,
        })
    }
}

fn of_many(name: &[u8]) -> bool {
    OF_MANY.iter().any(|known| known.as_bytes() == name)
}

/// What is before the first blank, without a colon: `nginx: worker process`. A path may have blanks itself, but not
/// where it was written over.
fn first_word(text: &[u8]) -> &[u8] {
    let word = text.split(|b| *b == b' ').next().unwrap_or_default();
    // A login shell's name begins with a dash.
    let word = word.strip_prefix(b"-").unwrap_or(word);
    word.strip_suffix(b":").unwrap_or(word)
}

/// What is after the last slash.
pub(crate) fn file_name(path: &[u8]) -> &[u8] {
    path.rsplit(|b| *b == b'/').next().unwrap_or_default()
}
