//! One name with wildcards, and how it is matched in linear space and no more than quadratic time.

use alloc::vec::Vec;

/// One character of a name: a Unicode scalar, or a byte that is not valid UTF-8 (above the scalars).
pub(super) type Char = u32;

/// Where raw bytes begin: above every Unicode scalar.
const RAW: Char = 0x11_0000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    One(Char),
    Any,
    Run,
    Set { negated: bool, ranges: Vec<(Char, Char)> },
}

/// A name with wildcards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    pub(super) tokens: Vec<Token>,
}

/// Splits the first character off a name.
pub(super) fn next_char(name: &[u8]) -> Option<(Char, &[u8])> {
    let (first, rest) = name.split_first()?;
    if first.is_ascii() {
        return Some((Char::from(*first), rest));
    }
    let head = name.get(..4.min(name.len())).unwrap_or(name);
    let valid = match core::str::from_utf8(head) {
        Ok(text) => text,
        Err(error) => core::str::from_utf8(head.get(..error.valid_up_to()).unwrap_or(&[])).unwrap_or(""),
    };
    match valid.chars().next() {
        Some(c) => Some((Char::from(c), name.get(c.len_utf8()..).unwrap_or(&[]))),
        None => Some((RAW.saturating_add(Char::from(*first)), rest)),
    }
}

impl Name {
    /// Whether a name matches. A wildcard does not match a leading dot (`glob(7)`).
    #[must_use]
    pub fn matches(&self, name: &[u8]) -> bool {
        if name.first() == Some(&b'.') && self.tokens.first() != Some(&Token::One(Char::from(b'.'))) {
            return false;
        }
        // Where to go on when the text after the last `*` does not fit: one character later.
        let mut retry: Option<(usize, &[u8])> = None;
        let (mut at, mut rest) = (0_usize, name);
        loop {
            match (self.tokens.get(at), next_char(rest)) {
                (Some(Token::Run), _) => {
                    at = at.saturating_add(1);
                    retry = Some((at, rest));
                }
                (Some(token), Some((c, after))) if token.matches(c) => {
                    at = at.saturating_add(1);
                    rest = after;
                }
                (None, None) => return true,
                _ => match retry.take().map(|(token, from)| (token, next_char(from))) {
                    Some((token, Some((_, after)))) => {
                        retry = Some((token, after));
                        (at, rest) = (token, after);
                    }
                    _ => return false,
                },
            }
        }
    }
}

impl Token {
    fn matches(&self, c: Char) -> bool {
        match self {
            Self::One(own) => *own == c,
            Self::Any => true,
            Self::Run => false,
            Self::Set { negated, ranges } => {
                *negated != ranges.iter().any(|(low, high)| (*low..=*high).contains(&c))
            }
        }
    }
}
