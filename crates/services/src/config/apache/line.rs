//! Lines of a configuration, and words in them, as the server cuts them.

use std::sync::Arc;

/// A line that says something, or may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// The last line of the file that is part of it, by which the server itself names it.
    pub(super) number: u32,
    /// Without blanks around it.
    pub(super) text: Vec<u8>,
}

/// The lines of a file. A backslash at the very end joins a line with the next, in comments too.
#[derive(Debug)]
pub(super) struct Lines {
    bytes: Arc<[u8]>,
    at: usize,
    number: u32,
}

impl Lines {
    pub(super) fn of(bytes: Arc<[u8]>) -> Self {
        Self { bytes, at: 0, number: 0 }
    }
}

impl Iterator for Lines {
    type Item = Line;

    fn next(&mut self) -> Option<Line> {
        let mut text = Vec::new();
        let mut any = false;
        while let Some(rest) = self.bytes.get(self.at..).filter(|rest| !rest.is_empty()) {
            any = true;
            let length = rest.iter().position(|b| *b == b'\n').map_or(rest.len(), |at| at.saturating_add(1));
            let line = rest.get(..length).unwrap_or(rest);
            self.at = self.at.saturating_add(length);
            self.number = self.number.saturating_add(1);
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            match line.strip_suffix(b"\\") {
                Some(joined) => text.extend_from_slice(joined),
                None => {
                    text.extend_from_slice(line);
                    break;
                }
            }
        }
        any.then(|| Line { number: self.number, text: trimmed(&text).to_vec() })
    }
}

/// The next word: between quotes of either kind, or up to a blank. A backslash counts before itself and, between
/// quotes, before the quote.
pub(super) fn word(rest: &mut &[u8]) -> Vec<u8> {
    let text = trimmed_start(rest);
    let quote = text.first().copied().filter(|b| matches!(b, b'"' | b'\''));
    let mut word = Vec::new();
    let mut left = text.iter().copied().enumerate().skip(usize::from(quote.is_some())).peekable();
    let mut end = text.len();
    while let Some((at, byte)) = left.next() {
        if quote.map_or_else(|| is_blank(byte), |quote| byte == quote) {
            end = if quote.is_some() { at.saturating_add(1) } else { at };
            break;
        }
        let escapes = |next: u8| next == b'\\' || quote == Some(next);
        match left.peek() {
            Some((_, next)) if byte == b'\\' && escapes(*next) => {
                word.push(*next);
                left.next();
            }
            _ => word.push(byte),
        }
    }
    *rest = trimmed_start(text.get(end..).unwrap_or(&[]));
    word
}

/// So many words of a line are taken.
const MOST_WORDS: usize = 1000;

/// All words that are left.
pub(super) fn words(mut rest: &[u8]) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    rest = trimmed_start(rest);
    while !rest.is_empty() && words.len() < MOST_WORDS {
        words.push(word(&mut rest));
    }
    words
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c)
}

fn trimmed_start(text: &[u8]) -> &[u8] {
    let start = text.iter().position(|b| !is_blank(*b)).unwrap_or(text.len());
    text.get(start..).unwrap_or(&[])
}

fn trimmed(text: &[u8]) -> &[u8] {
    let text = trimmed_start(text);
    let end = text.iter().rposition(|b| !is_blank(*b)).map_or(0, |at| at.saturating_add(1));
    text.get(..end).unwrap_or(&[])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_joined_and_numbered_by_their_last() {
        let text = b"a \\\n  b\r\n# c \\\nd\n\\ \ne\\\r\nf\\";
        let lines: Vec<(u32, String)> = Lines::of(Arc::from(&text[..]))
            .map(|line| (line.number, String::from_utf8(line.text).unwrap()))
            .collect();
        let told = [(2, "a   b"), (4, "# c d"), (5, "\\"), (7, "ef")];
        assert_eq!(lines, told.map(|(number, text)| (number, text.to_owned())));
    }

    #[test]
    fn words_with_quotes_and_backslashes() {
        let all = |text: &str| -> Vec<String> {
            words(text.as_bytes()).into_iter().map(|word| String::from_utf8(word).unwrap()).collect()
        };
        assert_eq!(all(r#"a "b c"  'd "e"' "#), ["a", "b c", "d \"e\""]);
        assert_eq!(all(r#""%h \"%r\" \\ \n" x\\y\z"#), ["%h \"%r\" \\ \\n", "x\\y\\z"]);
        assert_eq!(all(r#"a"b c" "open"#), ["a\"b", "c\"", "open"]);
        assert_eq!(all(r#""" ''"#), ["", ""]);
        assert_eq!(all(r#""a"b"#), ["a", "b"]);
    }
}
