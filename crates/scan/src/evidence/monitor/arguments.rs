//! The arguments of a command line, read as the program would read them.

/// A command line of `/proc/PID/cmdline`: arguments that NUL ends.
#[derive(Debug, Clone)]
pub(super) struct Arguments<'a> {
    rest: Option<&'a [u8]>,
}

/// One option or word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Argument<'a> {
    /// An option without its dashes, and its value if it has one.
    Option(&'a [u8], &'a [u8]),
    /// What is no option.
    Word(&'a [u8]),
}

impl<'a> Arguments<'a> {
    /// Of the whole text; the program's own name comes first.
    pub(super) fn of(command_line: &'a [u8]) -> Self {
        let text = command_line.strip_suffix(b"\0").unwrap_or(command_line);
        Self { rest: (!text.is_empty()).then_some(text) }
    }

    /// The next argument as it is.
    pub(super) fn word(&mut self) -> Option<&'a [u8]> {
        let text = self.rest?;
        match text.iter().position(|b| *b == 0) {
            Some(end) => {
                let (word, after) = text.split_at_checked(end)?;
                self.rest = after.get(1..);
                Some(word)
            }
            None => self.rest.take(),
        }
    }

    /// The next argument: `--name value`, `--name=value`, `-name value` or a word; `valued` says which options
    /// take a value. Nothing after `--`, which ends the options.
    pub(super) fn argument(&mut self, valued: impl Fn(&[u8]) -> bool) -> Option<Argument<'a>> {
        let word = self.word()?;
        if word == b"--" {
            self.rest = None;
            return None;
        }
        let Some(option) = word.strip_prefix(b"-").filter(|o| !o.is_empty()) else {
            return Some(Argument::Word(word));
        };
        let option = option.strip_prefix(b"-").unwrap_or(option);
        if let Some(at) = option.iter().position(|b| *b == b'=') {
            let (name, value) = option.split_at_checked(at)?;
            return Some(Argument::Option(name, value.get(1..).unwrap_or_default()));
        }
        let value = if valued(option) { self.word()? } else { b"" };
        Some(Argument::Option(option, value))
    }

    /// The last argument.
    pub(super) fn last(mut self) -> Option<&'a [u8]> {
        let mut last = None;
        while let Some(word) = self.word() {
            last = Some(word);
        }
        last
    }
}

/// The file name of a path.
pub(super) fn base(path: &[u8]) -> &[u8] {
    path.rsplit(|b| *b == b'/').next().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_and_words() {
        let mut arguments = Arguments::of(b"/bin/x\0-id\0a\0--b=c=d\0-v\0w\0\0-\0--\0-z\0");
        let valued = |o: &[u8]| o == b"id";
        assert_eq!(arguments.clone().last(), Some(&b"-z"[..]));
        assert_eq!(base(arguments.word().unwrap()), b"x");
        let mut next = || arguments.argument(valued);
        assert_eq!(next(), Some(Argument::Option(b"id", b"a")));
        assert_eq!(next(), Some(Argument::Option(b"b", b"c=d")));
        assert_eq!(next(), Some(Argument::Option(b"v", b"")));
        assert_eq!(next(), Some(Argument::Word(b"w")));
        assert_eq!(next(), Some(Argument::Word(b"")));
        assert_eq!(next(), Some(Argument::Word(b"-")));
        assert_eq!(next(), None);
        assert_eq!(next(), None);
    }

    #[test]
    fn cut_short() {
        let mut arguments = Arguments::of(b"x\0-id");
        arguments.word();
        assert_eq!(arguments.argument(|_| true), None, "its value is missing");
        assert_eq!(Arguments::of(b"").word(), None);
        assert_eq!(Arguments::of(b"\0").word(), None);
        assert_eq!(Arguments::of(b"a").last(), Some(&b"a"[..]));
    }
}
