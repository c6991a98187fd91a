//! Words of a line of HAProxy's language.
//!
//! Words stand between blanks. Quotes of both kinds may begin and end anywhere in them. Variables mean something between
//! double quotes only, backslashes everywhere but between single ones. A `#` ends the line.

use std::collections::BTreeMap;

use crate::launch::Launch;

/// Variables as HAProxy sees them: those that it was started with, and what the section `global` changes.
#[derive(Debug)]
pub(super) struct Variables<'a> {
    launch: &'a Launch,
    /// `None`: unset.
    changed: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    /// Whether only those of `changed` are left.
    cleared: bool,
}

impl<'a> Variables<'a> {
    pub(super) fn of(launch: &'a Launch) -> Self {
        Self { launch, changed: BTreeMap::new(), cleared: false }
    }

    pub(super) fn get(&self, name: &[u8]) -> Option<&[u8]> {
        match self.changed.get(name) {
            Some(changed) => changed.as_deref(),
            None if self.cleared => None,
            None => self.launch.variable(std::str::from_utf8(name).ok()?),
        }
    }

    pub(super) fn set(&mut self, name: &[u8], value: &[u8]) {
        if self.changed.len() < MOST_VARIABLES {
            self.changed.insert(name.to_vec(), Some(value.to_vec()));
        }
    }

    pub(super) fn unset(&mut self, name: &[u8]) {
        if self.changed.len() < MOST_VARIABLES {
            self.changed.insert(name.to_vec(), None);
        }
    }

    /// `resetenv`: keeps but these.
    pub(super) fn keep(&mut self, names: &[Vec<u8>]) {
        let kept: Vec<_> =
            names.iter().map(|name| (name.clone(), self.get(name).map(<[u8]>::to_vec))).collect();
        self.changed = kept.into_iter().collect();
        self.cleared = true;
    }

    /// An address with its variables, which need no quotes there.
    pub(super) fn expand(&self, text: &[u8]) -> Vec<u8> {
        let mut expanded = Vec::with_capacity(text.len());
        let mut left = text;
        while let Some((byte, rest)) = left.split_first() {
            left = rest;
            let braced = rest.first() == Some(&b'{');
            let name = rest.get(usize::from(braced)..).unwrap_or(&[]);
            let length = name.iter().take_while(|byte| is_name(**byte)).count();
            if *byte != b'$' || length == 0 || expanded.len() > MOST_BYTES {
                expanded.push(*byte);
                continue;
            }
            expanded.extend(self.get(name.get(..length).unwrap_or(&[])).unwrap_or(&[]));
            left = name.get(length..).unwrap_or(&[]);
            if braced {
                left = left.strip_prefix(b"}").unwrap_or(left);
            }
        }
        expanded
    }
}

/// What stands where, for the variables `.FILE`, `.LINE` and `.SECTION`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Here<'a> {
    pub(super) file: &'a [u8],
    pub(super) line: u32,
    pub(super) section: &'a [u8],
}

/// A line with its variables written out is no longer than this.
const MOST_BYTES: usize = 256 * 1024;
const MOST_VARIABLES: usize = 10_000;

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The words of a line, without comment.
///
/// # Errors
/// What is wrong with it. HAProxy would not start with such a line.
pub(super) fn split(
    line: &[u8],
    variables: &Variables<'_>,
    here: Here<'_>,
) -> Result<Vec<Vec<u8>>, &'static str> {
    let mut words = Words::default();
    let mut quote = None;
    let mut left = line;
    let mut written = 0_usize;
    while let Some((byte, rest)) = left.split_first() {
        left = rest;
        match (byte, quote) {
            (b'\'' | b'"', None) => {
                quote = Some(*byte);
                words.open = true;
            }
            (byte, Some(open)) if *byte == open => quote = None,
            (b'#', None) => break,
            (byte, None) if byte.is_ascii_whitespace() || *byte == 0x0b => words.end(),
            (b'\\', None | Some(b'"')) => left = words.escape(rest, quote.is_some())?,
            (b'$', Some(b'"')) => {
                let (value, split, after) = variable(rest, variables, here)?;
                left = after;
                written = written.saturating_add(value.len());
                if written > MOST_BYTES {
                    return Err("the line is too long with its variables written out");
                }
                for byte in value {
                    if split && byte.is_ascii_whitespace() { words.end() } else { words.push(byte) }
                }
            }
            (byte, _) => words.push(*byte),
        }
    }
    words.end();
    if quote.is_some() { Err("a quote is not closed") } else { Ok(words.done) }
}

#[derive(Default)]
struct Words {
    done: Vec<Vec<u8>>,
    word: Vec<u8>,
    /// Whether there is a word: it can be empty, between quotes.
    open: bool,
}

impl Words {
    fn push(&mut self, byte: u8) {
        self.word.push(byte);
        self.open = true;
    }

    fn end(&mut self) {
        if std::mem::take(&mut self.open) {
            self.done.push(std::mem::take(&mut self.word));
        }
    }

    /// What a backslash makes of what follows it; one that makes nothing of it is itself.
    fn escape<'a>(&mut self, rest: &'a [u8], quoted: bool) -> Result<&'a [u8], &'static str> {
        let Some((next, after)) = rest.split_first() else {
            self.push(b'\\');
            return Ok(rest);
        };
        let meant = match next {
            b' ' | b'\\' | b'#' | b'"' | b'\'' => *next,
            b'$' if quoted => b'$',
            b'r' => b'\r',
            b'n' => b'\n',
            b't' => b'\t',
            b'x' => {
                let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
                let byte = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
                self.push(byte.ok_or("\\x without two digits")?);
                return Ok(after.get(2..).unwrap_or(&[]));
            }
            _ => {
                self.push(b'\\');
                return Ok(rest);
            }
        };
        self.push(meant);
        Ok(after)
    }
}

/// The value of a variable after its dollar, whether it falls into words, and what follows it.
fn variable<'a>(
    rest: &'a [u8],
    variables: &Variables<'_>,
    here: Here<'_>,
) -> Result<(Vec<u8>, bool, &'a [u8]), &'static str> {
    let braced = rest.first() == Some(&b'{');
    let rest = rest.get(usize::from(braced)..).unwrap_or(&[]);
    let internal = rest.first() == Some(&b'.');
    let start = usize::from(internal);
    let length = rest.iter().skip(start).take_while(|byte| is_name(**byte)).count();
    let name = rest.get(start..start.saturating_add(length)).unwrap_or(&[]);
    if name.first().is_none_or(u8::is_ascii_digit) {
        return Err("a variable without a name");
    }
    let mut after = rest.get(start.saturating_add(length)..).unwrap_or(&[]);
    let mut fallback: &[u8] = &[];
    let mut split = false;
    if braced {
        if let Some(more) = after.strip_prefix(b"[*]") {
            (split, after) = (true, more);
        }
        let end = after.iter().position(|byte| *byte == b'}').ok_or("a brace of a variable is not closed")?;
        fallback = after.get(..end).and_then(|text| text.strip_prefix(b"-")).unwrap_or(&[]);
        after = after.get(end.saturating_add(1)..).unwrap_or(&[]);
    }
    let value = match (internal, name) {
        (true, b"FILE") => here.file.to_vec(),
        (true, b"LINE") => here.line.to_string().into_bytes(),
        (true, b"SECTION") => here.section.to_vec(),
        (true, _) => Vec::new(),
        (false, name) => variables.get(name).unwrap_or(fallback).to_vec(),
    };
    Ok((value, split, after))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Here<'_> = Here { file: b"t.cfg", line: 3, section: b"global" };

    fn words(line: &str) -> Result<Vec<String>, &'static str> {
        let launch = Launch::test("/x", &[], &[("A", "a b"), ("LONG", &"x".repeat(1000))]);
        let words = split(line.as_bytes(), &Variables::of(&launch), HERE)?;
        Ok(words.into_iter().map(|word| String::from_utf8(word).unwrap()).collect())
    }

    #[test]
    fn quotes_backslashes_and_variables() {
        for (line, expected) in [
            (" bind\t:80 # no", &["bind", ":80"][..]),
            ("x\"$A\"y", &["xa by"]),
            (r"k\ z k\#q k\$A k\q", &["k z", "k#q", r"k\$A", r"k\q"]),
            (r#""k\q\$A\"" 'k\q$A\'"#, &[r#"k\q$A""#, r"k\q$A\"]),
            ("k$A k#x", &["k$A", "k"]),
            ("'' \"\" a''", &["", "", "a"]),
            (r#"k"${A}" k"${B-def}" k"${A[*]}" k"$B"c"#, &["ka b", "kdef", "ka", "b", "kc"]),
            (r#"k"a\ b\#" k"${.LINE}" "$.FILE" "${.SECTION}""#, &["ka b#", "k3", "t.cfg", "global"]),
            (r#"k"it's"'q"'"#, &["kit'sq\""]),
            (r"a\x41\x42 \n \", &["aAB", "\n", "\\"]),
        ] {
            let expected: Vec<String> = expected.iter().map(|word| (*word).to_owned()).collect();
            assert_eq!(words(line), Ok(expected), "{line}");
        }
        for wrong in ["\"a", "'a", "\"${A\"", "\"$\"", "\"$1\"", r"\x4", r"\xzz"] {
            assert!(words(wrong).is_err(), "{wrong}");
        }
        assert!(words(&format!("\"{}\"", "$LONG".repeat(300))).is_err());
    }

    #[test]
    fn variables_are_set_and_forgotten() {
        let launch = Launch::test("/x", &[], &[("A", "1"), ("B", "2")]);
        let mut variables = Variables::of(&launch);
        variables.set(b"C", b"3");
        variables.unset(b"A");
        assert_eq!(variables.expand(b"$A-${B}:$C/$D$"), b"-2:3/$".to_vec());
        variables.keep(&[b"C".to_vec()]);
        assert_eq!((variables.get(b"B"), variables.get(b"C")), (None, Some(&b"3"[..])));
    }
}
