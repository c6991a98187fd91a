//! Glob patterns: parsing and matching, without a file system.
//!
//! The syntax is that of `glob(7)`, which nginx, Apache and HAProxy use for their includes, with two common
//! additions. Names are matched as bytes; where they are valid UTF-8, `?` and ranges mean whole characters.
//!
//! | pattern | matches |
//! |---|---|
//! | `*` | any run of characters in one name, not a leading dot |
//! | `?` | one character, not a leading dot |
//! | `[a-z_]`, `[!0-9]`, `[[:digit:]]` | one character of a set, or not of it |
//! | `\*` | the character itself |
//! | `**` as a whole name | any number of directories, none included; symbolic links and hidden ones are not entered |
//! | `{a,b}` | either; may be nested, may stand for at most 64 patterns |
//! | a trailing `/` | directories only |
//!
//! ```
//! use portolan_wire::pattern::Pattern;
//! let pattern = Pattern::parse(b"/etc/nginx/{conf.d,sites}/*.conf")?;
//! assert!(pattern.matches(b"/etc/nginx/conf.d/a.conf"));
//! assert!(!pattern.matches(b"/etc/nginx/conf.d/.hidden.conf"));
//! # Ok::<(), portolan_wire::pattern::PatternError>(())
//! ```

mod name;
mod parse;

use alloc::vec::Vec;
use core::fmt;

pub use name::Name;

/// One segment of a pattern, between two slashes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Segment {
    /// A name without wildcards.
    Literal(Vec<u8>),
    /// A name with wildcards.
    Wild(Name),
    /// `**`: any number of directories.
    Recursive,
}

/// A pattern without braces: the segments from the root on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alternative {
    /// From the root on; never empty unless the pattern is `/`.
    pub segments: Vec<Segment>,
    /// Whether the pattern ended with a slash, and so wants directories only.
    pub directories_only: bool,
}

/// A pattern, its braces expanded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    alternatives: Vec<Alternative>,
}

/// What is wrong with a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PatternError {
    /// It does not begin with a slash.
    NotAbsolute,
    /// It is longer than [`MAX_PATH`](crate::limits::MAX_PATH) bytes.
    TooLong,
    /// It holds a NUL byte, which no path can.
    Nul,
    /// A `[` without its `]`.
    OpenBracket,
    /// A `{` without its `}`, or a `}` without its `{`.
    OpenBrace,
    /// A backslash with nothing after it.
    TrailingBackslash,
    /// A range whose end lies before its start, or a class such as `[[:x:]]` that does not exist.
    BadRange,
    /// Its braces stand for more than [`MAX_ALTERNATIVES`](crate::limits::MAX_ALTERNATIVES) patterns.
    TooManyAlternatives,
    /// It has more segments than [`MAX_DEPTH`](crate::limits::MAX_DEPTH).
    TooDeep,
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAbsolute => "it must begin with a slash",
            Self::TooLong => "it is longer than 4095 bytes",
            Self::Nul => "it holds a NUL byte",
            Self::OpenBracket => "a '[' has no ']'",
            Self::OpenBrace => "a brace has no partner",
            Self::TrailingBackslash => "it ends with a backslash",
            Self::BadRange => "a range or class in brackets is not valid",
            Self::TooManyAlternatives => "its braces stand for more than 64 patterns",
            Self::TooDeep => "it has more than 64 segments",
        })
    }
}

impl core::error::Error for PatternError {}

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// A [`PatternError`] that says what is wrong. Unlike `glob(7)`, which takes an open bracket for itself,
    /// a malformed pattern is an error here: silence would look like "no such files".
    pub fn parse(pattern: &[u8]) -> Result<Self, PatternError> {
        parse::pattern(pattern).map(|alternatives| Self { alternatives })
    }

    /// The patterns that the braces stand for, in the order in which they were written.
    #[must_use]
    pub fn alternatives(&self) -> &[Alternative] {
        &self.alternatives
    }

    /// Whether an absolute path would match, by its text alone. A path with a trailing slash is a directory.
    #[must_use]
    pub fn matches(&self, path: &[u8]) -> bool {
        let names: Vec<&[u8]> = path.split(|b| *b == b'/').filter(|name| !name.is_empty()).collect();
        let directory = path.ends_with(b"/");
        self.alternatives
            .iter()
            .any(|a| (directory || !a.directories_only) && segments_match(&a.segments, &names))
    }
}

/// Matches segments to names; the cost is bounded by (number of segments) x (number of names) at each `**`.
fn segments_match(segments: &[Segment], names: &[&[u8]]) -> bool {
    // `reached` holds, for the segments so far, which prefixes of the names they can match.
    let mut reached: Vec<bool> = Vec::new();
    reached.resize(names.len().saturating_add(1), false);
    if let Some(first) = reached.first_mut() {
        *first = true;
    }
    for segment in segments {
        let mut next: Vec<bool> = Vec::new();
        next.resize(reached.len(), false);
        let mut open = false;
        for (at, was) in reached.iter().enumerate() {
            match segment {
                Segment::Recursive => {
                    // A directory on the way may not be hidden.
                    let hidden =
                        at.checked_sub(1).and_then(|i| names.get(i)).is_some_and(|n| n.starts_with(b"."));
                    open = *was || (open && !hidden);
                    if let Some(slot) = next.get_mut(at) {
                        *slot = open;
                    }
                }
                Segment::Literal(_) | Segment::Wild(_) => {
                    if *was
                        && names.get(at).is_some_and(|name| segment.matches(name))
                        && let Some(slot) = next.get_mut(at.saturating_add(1))
                    {
                        *slot = true;
                    }
                }
            }
        }
        reached = next;
    }
    reached.last().copied().unwrap_or(false)
}

impl Segment {
    /// Whether one name matches this segment; `**` matches every name that is not hidden.
    #[must_use]
    pub fn matches(&self, name: &[u8]) -> bool {
        match self {
            Self::Literal(literal) => literal == name,
            Self::Wild(wild) => wild.matches(name),
            Self::Recursive => !name.starts_with(b"."),
        }
    }
}
