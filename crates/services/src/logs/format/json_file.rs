//! Docker's `json-file`: `{"log":"text\n","stream":"stdout","attrs":{...},"time":"..."}`, one on a line.

use std::borrow::Cow;

use serde_json::Value;

use super::{BUFFER, Piece, Stream, time};

/// Longer texts are no times.
const MAX_STAMP: usize = 64;

pub(super) fn read(line: &[u8]) -> Option<Piece<'static>> {
    let Value::Object(mut object) = serde_json::from_slice(line).ok()? else { return None };
    let Some(Value::String(text)) = object.remove("log") else { return None };
    let stream = match object.get("stream").and_then(Value::as_str) {
        Some("stdout") => Stream::Stdout,
        Some("stderr") => Stream::Stderr,
        _ => Stream::Unknown,
    };
    let stamp = object.get("time").and_then(Value::as_str).unwrap_or_default();
    let time = time::parse(stamp);
    let plain = stamp.len() <= MAX_STAMP && stamp.bytes().all(|b| b.is_ascii_graphic());
    let stamp = if plain { stamp.to_owned() } else { String::new() };
    let mut text = text.into_bytes();
    let newline = text.last() == Some(&b'\n');
    // Bytes that are not UTF-8 became longer: a whole buffer is never shorter than itself.
    let ends = newline || text.len() < BUFFER;
    if newline {
        text.pop();
    }
    Some(Piece { time, stamp, stream, text: Cow::Owned(text), ends })
}
