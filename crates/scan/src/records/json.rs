//! Strings out of JSON, bounded and escaped; and elements of a long array, one at a time.

use serde_json::Value;

use crate::evidence::label;

/// A string of an object, by its key; keys may have dots.
pub(super) fn text(object: &Value, key: &str) -> Option<String> {
    label::name(object.get(key)?.as_str()?.as_bytes())
}

/// The elements of an array of objects, as texts that are not yet parsed: an engine keeps all its containers in one
/// array, and parsing them all at once takes many times the memory of the one that is asked for.
///
/// A text that is no such array gives what looks like objects in it: each is parsed anyway.
pub(super) fn objects(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut at = 0_usize;
    std::iter::from_fn(move || {
        let (mut depth, mut start, mut quoted, mut escaped) = (0_usize, None, false, false);
        for (place, byte) in text.iter().enumerate().skip(at) {
            match byte {
                _ if escaped => escaped = false,
                b'\\' if quoted => escaped = true,
                b'"' => quoted = !quoted,
                _ if quoted => {}
                b'{' => {
                    start = start.or(Some(place));
                    depth = depth.saturating_add(1);
                }
                b'}' => {
                    depth = depth.saturating_sub(1);
                    if let (0, Some(start)) = (depth, start) {
                        at = place.saturating_add(1);
                        return text.get(start..at);
                    }
                }
                _ => {}
            }
        }
        at = text.len();
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_an_array() {
        let text = br#"[{"a":"}\"{"},{"b":{"c":[{}]}} , {}]"#;
        let all: Vec<_> = objects(text).collect();
        assert_eq!(all, [&br#"{"a":"}\"{"}"#[..], br#"{"b":{"c":[{}]}}"#, b"{}"]);
        for broken in [&b""[..], b"[", b"[{", b"}}}", b"\"{}", b"[{\"a\":\"\\"] {
            assert_eq!(objects(broken).count(), 0);
        }
    }

    #[test]
    fn strings() {
        let object: Value = serde_json::from_str(r#"{"a.b":"x\ny","n":1,"long":""}"#).unwrap();
        assert_eq!(text(&object, "a.b").as_deref(), Some(r"x\x0ay"));
        assert_eq!(text(&object, "n"), None);
        assert_eq!(text(&object, "long"), None);
    }
}
