//! JSON as text that moves no cursor.

use serde_json::Value;

/// The text of a value, on one line.
///
/// JSON escapes the control characters of ASCII by itself. Others, and those that reorder a line, are escaped here: they
/// can stand nowhere but in strings, where this changes nothing for a program.
pub(crate) fn text(value: &Value) -> String {
    let text = value.to_string();
    if !text.contains(|c: char| c.is_control() || is_forging(c)) {
        return text;
    }
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_forging(c) {
            safe.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            safe.push(c);
        }
    }
    safe
}

/// What [`portolan::Escaped`] escapes besides control characters.
fn is_forging(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}'
        | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn it_reads_as_what_was_written_and_shows_nothing_that_forges() {
        let value = json!({ "a": "x\u{9b}2J\u{202e}\n\u{7f}é漢" });
        let text = text(&value);
        assert!(!text.contains(char::is_control) && !text.contains('\u{202e}'), "{text}");
        assert!(text.contains("é漢"), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
    }
}
