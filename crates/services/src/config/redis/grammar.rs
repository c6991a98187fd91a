//! `redis.conf`: a directive a line, its words quoted as on a shell's command line.

/// A directive, in lower case, with its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Directive {
    pub(super) name: String,
    pub(super) words: Vec<Vec<u8>>,
}

impl Directive {
    /// From its words; nothing from none.
    pub(super) fn of(mut words: Vec<Vec<u8>>) -> Option<Self> {
        if words.is_empty() {
            return None;
        }
        let name = words.remove(0);
        Some(Self { name: String::from_utf8_lossy(&name).to_ascii_lowercase(), words })
    }

    /// Its first word, or nothing.
    pub(super) fn value(&self) -> &[u8] {
        self.words.first().map_or(&[], Vec::as_slice)
    }
}

/// The words of a line; nothing when a quote is not closed, or is followed by more of a word.
pub(super) fn words(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line.trim_ascii();
    while !rest.is_empty() {
        let mut word = Vec::new();
        while let [byte, after @ ..] = rest {
            match byte {
                b'"' | b'\'' => {
                    rest = quoted(*byte, after, &mut word)?;
                    if !rest.first().is_none_or(u8::is_ascii_whitespace) {
                        return None;
                    }
                }
                byte if byte.is_ascii_whitespace() => break,
                byte => {
                    word.push(*byte);
                    rest = after;
                }
            }
        }
        words.push(word);
        rest = rest.trim_ascii_start();
    }
    Some(words)
}

/// Adds what is between quotes to a word, and gives what follows. Only double quotes know escapes.
fn quoted<'a>(quote: u8, mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [byte, after @ ..] if *byte == quote => return Some(after),
            [b'\\', b'x', high, low, after @ ..]
                if quote == b'"' && high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                let digits = [*high, *low];
                let text = std::str::from_utf8(&digits).ok()?;
                word.push(u8::from_str_radix(text, 16).ok()?);
                rest = after;
            }
            [b'\\', escaped, after @ ..] if quote == b'"' => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'a' => 7,
                    other => *other,
                });
                rest = after;
            }
            [b'\\', b'\'', after @ ..] => {
                word.push(b'\'');
                rest = after;
            }
            [byte, after @ ..] => {
                word.push(*byte);
                rest = after;
            }
            [] => return None,
        }
    }
}
