//! Java's `.properties`: `key=value`, `key: value`, `key value`; lines go on after a backslash.

/// A property, with the line that it begins on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Property {
    pub(crate) key: String,
    /// Without blanks around it.
    pub(crate) value: Vec<u8>,
    pub(crate) line: u32,
}

/// All properties in their order.
pub(crate) fn parse(text: &[u8]) -> Vec<Property> {
    let mut found = Vec::new();
    let mut whole: Option<(u32, Vec<u8>)> = None;
    for (number, line) in super::reading::lines(text) {
        let line = line.trim_ascii_start();
        if whole.is_none() && (line.is_empty() || line.starts_with(b"#") || line.starts_with(b"!")) {
            continue;
        }
        let backslashes = line.iter().rev().take_while(|b| **b == b'\\').count();
        let goes_on = backslashes % 2 == 1;
        let end = line.len().saturating_sub(usize::from(goes_on));
        let (_, text) = whole.get_or_insert_with(|| (number, Vec::new()));
        text.extend_from_slice(line.get(..end).unwrap_or(line));
        if !goes_on && let Some((line, text)) = whole.take() {
            found.extend(property(&text, line));
        }
    }
    found.extend(whole.and_then(|(line, text)| property(&text, line)));
    found
}

/// The last value of a key.
pub(crate) fn last<'a>(properties: &'a [Property], key: &str) -> Option<&'a [u8]> {
    properties.iter().rev().find(|property| property.key == key).map(|property| property.value.as_slice())
}

fn property(text: &[u8], line: u32) -> Option<Property> {
    let mut escaped = false;
    let ends = |byte: &u8| {
        let end = !escaped && (b"=:".contains(byte) || byte.is_ascii_whitespace());
        escaped = !escaped && *byte == b'\\';
        end
    };
    let end = text.iter().position(ends).unwrap_or(text.len());
    let (key, rest) = text.split_at(end);
    let rest = rest.trim_ascii_start();
    let rest = rest.strip_prefix(b"=").or_else(|| rest.strip_prefix(b":")).unwrap_or(rest);
    let key = String::from_utf8_lossy(&unescape(key)).into_owned();
    (!key.is_empty()).then(|| Property {
        key,
        value: unescape(rest.trim_ascii()).trim_ascii().to_vec(),
        line,
    })
}

fn unescape(text: &[u8]) -> Vec<u8> {
    let mut found = Vec::new();
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte != b'\\' {
            found.push(*byte);
            continue;
        }
        let [letter, after @ ..] = rest else { break };
        rest = after;
        match letter {
            b't' => found.push(b'\t'),
            b'n' => found.push(b'\n'),
            b'r' => found.push(b'\r'),
            b'f' => found.push(12),
            b'u' => {
                let code = rest.get(..4).and_then(|digits| std::str::from_utf8(digits).ok());
                let code =
                    code.and_then(|digits| u32::from_str_radix(digits, 16).ok()).and_then(char::from_u32);
                if let Some(code) = code {
                    found.extend_from_slice(code.encode_utf8(&mut [0; 4]).as_bytes());
                    rest = rest.get(4..).unwrap_or(&[]);
                }
            }
            other => found.push(*other),
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_escapes_and_lines_that_go_on() {
        let text = b"# c\n! c\n a = b \nc:d\ne f g\nh\\ i\\=\\u0041=\\tj\nk = 1,\\\n    2,\\\r\n 3\nempty\n\\\n=x\nl=m\\\\\nn=o\\";
        let found = parse(text);
        let found: Vec<_> =
            found.iter().map(|p| (p.key.as_str(), std::str::from_utf8(&p.value).unwrap(), p.line)).collect();
        assert_eq!(
            found,
            [
                ("a", "b", 3),
                ("c", "d", 4),
                ("e", "f g", 5),
                ("h i=A", "j", 6),
                ("k", "1,2,3", 7),
                ("empty", "", 10),
                ("l", "m\\", 13),
                ("n", "o", 14)
            ]
        );
    }
}
