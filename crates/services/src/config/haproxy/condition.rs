//! Conditions of HAProxy's `.if`: what is true of the process's variables, and what cannot be known from outside.

use super::words::Variables;

/// Parentheses within each other.
const DEEPEST: usize = 32;

/// Whether a condition holds; `None` where that depends on how HAProxy was built, or on words that are not known here.
pub(super) fn holds(words: &[Vec<u8>], variables: &Variables<'_>) -> Option<bool> {
    let text = words.join(&b' ');
    let mut reading = Reading { left: &text, variables, depth: 0 };
    let value = reading.either()?;
    reading.skip();
    value.filter(|_| reading.left.is_empty())
}

struct Reading<'a> {
    left: &'a [u8],
    variables: &'a Variables<'a>,
    depth: usize,
}

/// The outer is `None` where the text is not understood, the inner where the answer is not known.
type Answer = Option<Option<bool>>;

impl Reading<'_> {
    fn skip(&mut self) {
        let blanks = self.left.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.left = self.left.get(blanks..).unwrap_or(&[]);
    }

    fn take(&mut self, text: &[u8]) -> bool {
        self.skip();
        match self.left.strip_prefix(text) {
            Some(rest) => {
                self.left = rest;
                true
            }
            None => false,
        }
    }

    fn either(&mut self) -> Answer {
        let mut value = self.both()?;
        while self.take(b"||") {
            let other = self.both()?;
            value = match (value, other) {
                (Some(true), _) | (_, Some(true)) => Some(true),
                (Some(false), Some(false)) => Some(false),
                _ => None,
            };
        }
        Some(value)
    }

    fn both(&mut self) -> Answer {
        let mut value = self.term()?;
        while self.take(b"&&") {
            let other = self.term()?;
            value = match (value, other) {
                (Some(false), _) | (_, Some(false)) => Some(false),
                (Some(true), Some(true)) => Some(true),
                _ => None,
            };
        }
        Some(value)
    }

    fn term(&mut self) -> Answer {
        let mut negated = false;
        while self.take(b"!") {
            negated = !negated;
        }
        let value = if self.take(b"(") {
            self.depth = self.depth.saturating_add(1);
            if self.depth > DEEPEST {
                return None;
            }
            let value = self.either()?;
            if !self.take(b")") {
                return None;
            }
            value
        } else {
            self.word()?
        };
        Some(value.map(|value| value != negated))
    }

    fn word(&mut self) -> Answer {
        self.skip();
        let is_word = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_' || **byte == b'-';
        let length = self.left.iter().take_while(is_word).count();
        let word = self.left.get(..length)?;
        self.left = self.left.get(length..)?;
        let Some(rest) = self.left.strip_prefix(b"(") else {
            // Nothing at all is false, as is zero.
            if word.is_empty() {
                return if self.left.is_empty() { Some(Some(false)) } else { None };
            }
            let number: i64 = std::str::from_utf8(word).ok()?.parse().ok()?;
            return Some(Some(number != 0));
        };
        let end = rest.iter().position(|byte| *byte == b')')?;
        let inner = rest.get(..end)?;
        self.left = rest.get(end.saturating_add(1)..)?;
        let mut arguments = inner.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
        let (one, other) = (arguments.next()?, arguments.next().unwrap_or(&[]));
        Some(match word {
            b"defined" => Some(self.variables.get(one).is_some()),
            b"streq" => Some(one == other),
            b"strneq" => Some(one != other),
            b"strstr" => Some(other.is_empty() || one.windows(other.len()).any(|part| part == other)),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::launch::Launch;

    #[test]
    fn what_is_known_is_decided() {
        let launch = Launch::test("/x", &[], &[("A", "1")]);
        let variables = Variables::of(&launch);
        for (text, value) in [
            ("", Some(false)),
            ("0", Some(false)),
            ("12", Some(true)),
            ("!0", Some(true)),
            ("defined(A)", Some(true)),
            ("defined(B) || streq(a,a)", Some(true)),
            ("defined(A) && !strneq(a,a)", Some(true)),
            ("feature(OPENSSL)", None),
            ("feature(OPENSSL) && 0", Some(false)),
            ("feature(OPENSSL) || 1", Some(true)),
            ("!(version_atleast(2.4) || 0)", None),
            ("(1", None),
            ("what", None),
            ("strstr(abc,bc)", Some(true)),
        ] {
            let words: Vec<Vec<u8>> = text.split(' ').map(|word| word.as_bytes().to_vec()).collect();
            assert_eq!(holds(&words, &variables), value, "{text}");
        }
        let deep = vec![b"(".repeat(100_000)];
        assert_eq!(holds(&deep, &variables), None);
        let nots = vec![[&b"!".repeat(100_000)[..], b"1"].concat()];
        assert_eq!(holds(&nots, &variables), Some(true));
    }
}
