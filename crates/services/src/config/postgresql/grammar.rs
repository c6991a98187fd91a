//! `postgresql.conf`: `name = value` lines, and lists within values.

/// One setting, with the line that it is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    /// In lower case.
    pub(super) name: String,
    pub(super) value: Vec<u8>,
    pub(super) line: u32,
}

/// Takes a file apart: its settings in their order, and the lines that are none.
///
/// The server refuses a whole file for one bad line when it starts; what runs was started, so that the line was changed
/// later, and the others are likely to hold.
pub(super) fn parse(text: &[u8]) -> (Vec<Setting>, Vec<u32>) {
    let (mut settings, mut bad) = (Vec::new(), Vec::new());
    for (line, rest) in crate::config::reading::lines(text) {
        match statement(rest) {
            Some(Some((name, value))) => settings.push(Setting { name, value, line }),
            Some(None) => {}
            None => bad.push(line),
        }
    }
    (settings, bad)
}

/// A line's name and value; nothing within of an empty line, nothing at all of a bad one.
fn statement(line: &[u8]) -> Option<Option<(String, Vec<u8>)>> {
    let line = line.trim_ascii_start();
    if line.is_empty() || line.starts_with(b"#") {
        return Some(None);
    }
    let letter = |b: u8| b.is_ascii_alphabetic() || b == b'_' || b >= 0x80;
    let end = line.iter().position(|b| !(letter(*b) || b.is_ascii_digit() || b"$.".contains(b)));
    let (name, rest) = line.split_at(end.unwrap_or(line.len()));
    if !name.first().is_some_and(|b| letter(*b)) {
        return None;
    }
    let rest = rest.trim_ascii_start();
    let rest = rest.strip_prefix(b"=").unwrap_or(rest).trim_ascii_start();
    let (value, rest) = match rest.strip_prefix(b"'") {
        Some(quoted) => unquote(quoted)?,
        None => {
            let end = rest.iter().position(|b| b.is_ascii_whitespace() || b"#'=".contains(b));
            let (value, rest) = rest.split_at(end.unwrap_or(rest.len()));
            (value.to_vec(), rest)
        }
    };
    let rest = rest.trim_ascii_start();
    let quoted_nothing = line.contains(&b'\'');
    if !(rest.is_empty() || rest.starts_with(b"#")) || value.is_empty() && !quoted_nothing {
        return None;
    }
    Some(Some((String::from_utf8_lossy(name).to_ascii_lowercase(), value)))
}

/// What is between quotes, and what follows them: `''` is a quote, a backslash escapes.
fn unquote(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut value = Vec::new();
    let mut rest = text;
    loop {
        match rest {
            [b'\'', b'\'', after @ ..] => {
                value.push(b'\'');
                rest = after;
            }
            [b'\'', after @ ..] => return Some((value, after)),
            [b'\\', digit @ b'0'..=b'7', ..] => {
                let digits = rest.iter().skip(1).take(3).take_while(|b| (b'0'..=b'7').contains(b)).count();
                let octal = rest.get(1..=digits).unwrap_or(std::slice::from_ref(digit));
                let code = octal
                    .iter()
                    .fold(0_u8, |code, digit| code.wrapping_mul(8).wrapping_add(digit.saturating_sub(b'0')));
                value.push(code);
                rest = rest.get(digits.saturating_add(1)..).unwrap_or(&[]);
            }
            [b'\\', escaped, after @ ..] => {
                value.push(match escaped {
                    b'b' => 8,
                    b'f' => 12,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    other => *other,
                });
                rest = after;
            }
            [byte, after @ ..] => {
                value.push(*byte);
                rest = after;
            }
            [] => return None,
        }
    }
}

/// A list within a value: commas between, blanks around, `""` within quotes.
pub(super) fn list(value: &[u8]) -> Vec<Vec<u8>> {
    let mut items = Vec::new();
    let mut rest = value.trim_ascii();
    while !rest.is_empty() {
        let mut item = Vec::new();
        if let Some(mut quoted) = rest.strip_prefix(b"\"") {
            loop {
                match quoted {
                    [b'"', b'"', after @ ..] => {
                        item.push(b'"');
                        quoted = after;
                    }
                    [byte, after @ ..] if *byte != b'"' => {
                        item.push(*byte);
                        quoted = after;
                    }
                    _ => break,
                }
            }
            rest = quoted;
        }
        let end = rest.iter().position(|b| *b == b',').unwrap_or(rest.len());
        let (plain, after) = rest.split_at(end);
        if item.is_empty() {
            item = plain.trim_ascii().to_vec();
        }
        rest = after.strip_prefix(b",").unwrap_or(after).trim_ascii_start();
        if !item.is_empty() {
            items.push(item);
        }
    }
    items
}

/// A truth as the server writes it, or its beginning where that can be nothing else.
pub(super) fn truth(value: &[u8]) -> Option<bool> {
    let value = value.trim_ascii().to_ascii_lowercase();
    let begins = |word: &[u8], least: usize| value.len() >= least && word.starts_with(&value);
    if value == b"1" || begins(b"true", 1) || begins(b"yes", 1) || begins(b"on", 2) {
        Some(true)
    } else if value == b"0" || begins(b"false", 1) || begins(b"no", 1) || begins(b"off", 2) {
        Some(false)
    } else {
        None
    }
}
