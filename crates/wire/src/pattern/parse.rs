//! Text to segments: braces first, then slashes, then the wildcards of each name.

use alloc::vec::Vec;

use super::name::{Char, Name, Token, next_char};
use super::{Alternative, PatternError, Segment};
use crate::limits::{MAX_ALTERNATIVES, MAX_DEPTH, MAX_PATH};

pub(super) fn pattern(text: &[u8]) -> Result<Vec<Alternative>, PatternError> {
    if text.len() > MAX_PATH {
        return Err(PatternError::TooLong);
    }
    if text.contains(&0) {
        return Err(PatternError::Nul);
    }
    expand(text)?.iter().map(|plain| alternative(plain)).collect()
}

/// Writes out the braces, leftmost first: `a{b,c}` gives `ab`, `ac`.
fn expand(text: &[u8]) -> Result<Vec<Vec<u8>>, PatternError> {
    let mut done = Vec::new();
    let mut waiting = Vec::new();
    let mut pairs = 0_usize;
    waiting.push(text.to_vec());
    while let Some(text) = waiting.pop() {
        let Some(braces) = find_braces(&text)? else {
            done.push(text);
            if done.len() > MAX_ALTERNATIVES {
                return Err(PatternError::TooManyAlternatives);
            }
            continue;
        };
        // Last first, because the stack gives them back in reverse.
        for choice in braces.choices.iter().rev() {
            let mut one = braces.before.to_vec();
            one.extend_from_slice(choice);
            one.extend_from_slice(braces.after);
            waiting.push(one);
        }
        // A pair with one choice stands for no more patterns, but writing it out costs as much.
        pairs = pairs.saturating_add(1);
        let written = waiting.len().saturating_add(done.len());
        if written > MAX_ALTERNATIVES || pairs > MAX_ALTERNATIVES.saturating_mul(4) {
            return Err(PatternError::TooManyAlternatives);
        }
    }
    Ok(done)
}

struct Braces<'a> {
    before: &'a [u8],
    choices: Vec<&'a [u8]>,
    after: &'a [u8],
}

/// The outermost pair of braces that opens first; those in brackets and after a backslash mean themselves.
fn find_braces(text: &[u8]) -> Result<Option<Braces<'_>>, PatternError> {
    let mut depth = 0_usize;
    let mut opened = 0_usize;
    let mut choice_start = 0_usize;
    let mut choices = Vec::new();
    let mut at = 0_usize;
    while let Some(byte) = text.get(at) {
        let next = at.saturating_add(1);
        match byte {
            b'\\' => at = next,
            // Skipping a set: its end is found by the same rule that reads it.
            b'[' => at = at.saturating_add(set(text.get(next..).unwrap_or(&[]))?.1),
            b'{' => {
                if depth == 0 {
                    (opened, choice_start) = (at, next);
                }
                depth = depth.saturating_add(1);
            }
            b',' if depth == 1 => {
                choices.push(text.get(choice_start..at).unwrap_or(&[]));
                choice_start = next;
            }
            b'}' => {
                depth = depth.checked_sub(1).ok_or(PatternError::OpenBrace)?;
                if depth == 0 {
                    choices.push(text.get(choice_start..at).unwrap_or(&[]));
                    let before = text.get(..opened).unwrap_or(&[]);
                    return Ok(Some(Braces { before, choices, after: text.get(next..).unwrap_or(&[]) }));
                }
            }
            _ => {}
        }
        at = at.saturating_add(1);
    }
    if depth == 0 { Ok(None) } else { Err(PatternError::OpenBrace) }
}

fn alternative(text: &[u8]) -> Result<Alternative, PatternError> {
    if text.first() != Some(&b'/') {
        return Err(PatternError::NotAbsolute);
    }
    if text.len() > MAX_PATH {
        return Err(PatternError::TooLong);
    }
    let mut segments =
        names(text)?.into_iter().filter(|n| !n.is_empty()).map(segment).collect::<Result<Vec<_>, _>>()?;
    // Several `**` in a row mean what one does.
    segments.dedup_by(|one, other| *one == Segment::Recursive && *other == Segment::Recursive);
    if segments.len() > MAX_DEPTH {
        return Err(PatternError::TooDeep);
    }
    Ok(Alternative { directories_only: text.ends_with(b"/") && !segments.is_empty(), segments })
}

/// Splits at the slashes that are not in a set.
fn names(text: &[u8]) -> Result<Vec<&[u8]>, PatternError> {
    let mut names = Vec::new();
    let (mut start, mut at) = (0_usize, 0_usize);
    while let Some(byte) = text.get(at) {
        match byte {
            b'\\' => at = at.saturating_add(1),
            b'[' => at = at.saturating_add(set(text.get(at.saturating_add(1)..).unwrap_or(&[]))?.1),
            b'/' => {
                names.push(text.get(start..at).unwrap_or(&[]));
                start = at.saturating_add(1);
            }
            _ => {}
        }
        at = at.saturating_add(1);
    }
    names.push(text.get(start..).unwrap_or(&[]));
    Ok(names)
}

fn segment(name: &[u8]) -> Result<Segment, PatternError> {
    if name == b"**" {
        return Ok(Segment::Recursive);
    }
    let mut tokens = Vec::new();
    let mut literal = Vec::new();
    let mut rest = name;
    while let Some((c, after)) = next_char(rest) {
        let here = rest;
        rest = after;
        match u8::try_from(c).ok() {
            Some(b'*') => {
                // Two runs in a row match what one does.
                if tokens.last() != Some(&Token::Run) {
                    tokens.push(Token::Run);
                }
            }
            Some(b'?') => tokens.push(Token::Any),
            Some(b'[') => {
                let (token, length) = set(after)?;
                tokens.push(token);
                rest = after.get(length..).unwrap_or(&[]);
            }
            Some(b'\\') => {
                let (escaped, after_escaped) = next_char(after).ok_or(PatternError::TrailingBackslash)?;
                literal.extend_from_slice(taken(after, after_escaped));
                tokens.push(Token::One(escaped));
                rest = after_escaped;
            }
            _ => {
                literal.extend_from_slice(taken(here, after));
                tokens.push(Token::One(c));
            }
        }
    }
    let wild = tokens.iter().any(|t| !matches!(t, Token::One(_)));
    Ok(if wild { Segment::Wild(Name { tokens }) } else { Segment::Literal(literal) })
}

/// The bytes between two places in the same text.
fn taken<'a>(from: &'a [u8], to: &[u8]) -> &'a [u8] {
    from.get(..from.len().saturating_sub(to.len())).unwrap_or(&[])
}

/// Reads a set, the text after its `[`; gives the bytes that it takes, the `]` included.
///
/// A `]` or a slash directly after the bracket (and the `!`) is taken for itself, as POSIX has it for the first;
/// elsewhere a slash ends the name before the set was closed, which is an error.
fn set(text: &[u8]) -> Result<(Token, usize), PatternError> {
    let (negated, mut rest) = match text.split_first() {
        Some((b'!' | b'^', rest)) => (true, rest),
        _ => (false, text),
    };
    let mut ranges = Vec::new();
    let mut first = true;
    loop {
        let (c, after) = match next_char(rest) {
            None => return Err(PatternError::OpenBracket),
            Some((c, after)) if c == Char::from(b']') && !first => {
                return Ok((Token::Set { negated, ranges }, text.len().saturating_sub(after.len())));
            }
            Some((c, _)) if c == Char::from(b'/') => return Err(PatternError::OpenBracket),
            Some((c, _)) if c == Char::from(b'[') && rest.starts_with(b"[:") => {
                rest = class(rest, &mut ranges)?;
                first = false;
                continue;
            }
            Some((c, after)) if c == Char::from(b'\\') => {
                next_char(after).ok_or(PatternError::OpenBracket)?
            }
            Some(one) => one,
        };
        first = false;
        rest = after;
        let range = match rest {
            [b'-', end @ ..] if end.first() != Some(&b']') => {
                let (mut high, mut after) = next_char(end).ok_or(PatternError::OpenBracket)?;
                if high == Char::from(b'\\') {
                    (high, after) = next_char(after).ok_or(PatternError::OpenBracket)?;
                }
                rest = after;
                (c, high)
            }
            _ => (c, c),
        };
        if range.0 > range.1 {
            return Err(PatternError::BadRange);
        }
        ranges.push(range);
    }
}

type Ranges = &'static [(u8, u8)];

/// Reads `[:digit:]` and its like (the ASCII members, as in the C locale); gives what is left.
fn class<'a>(text: &'a [u8], ranges: &mut Vec<(Char, Char)>) -> Result<&'a [u8], PatternError> {
    const CLASSES: &[(&[u8], Ranges)] = &[
        (b"[:digit:]", &[(b'0', b'9')]),
        (b"[:lower:]", &[(b'a', b'z')]),
        (b"[:upper:]", &[(b'A', b'Z')]),
        (b"[:alpha:]", &[(b'a', b'z'), (b'A', b'Z')]),
        (b"[:alnum:]", &[(b'a', b'z'), (b'A', b'Z'), (b'0', b'9')]),
        (b"[:xdigit:]", &[(b'0', b'9'), (b'a', b'f'), (b'A', b'F')]),
        (b"[:blank:]", &[(b' ', b' '), (b'\t', b'\t')]),
        (b"[:space:]", &[(b' ', b' '), (b'\t', b'\r')]),
        (b"[:punct:]", &[(b'!', b'/'), (b':', b'@'), (b'[', b'`'), (b'{', b'~')]),
        (b"[:graph:]", &[(b'!', b'~')]),
        (b"[:print:]", &[(b' ', b'~')]),
        (b"[:cntrl:]", &[(0, 31), (127, 127)]),
    ];
    for (name, members) in CLASSES {
        if let Some(rest) = text.strip_prefix(*name) {
            ranges.extend(members.iter().map(|(low, high)| (Char::from(*low), Char::from(*high))));
            return Ok(rest);
        }
    }
    Err(PatternError::BadRange)
}
