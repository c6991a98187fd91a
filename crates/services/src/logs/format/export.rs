//! Entries of `journalctl --output=export`: fields of a line each, or of a line with a name, a length and bytes; an
//! empty line ends an entry.
//!
//! Docker's driver marks each piece of a line and the last one; conmon marks all but the last, and leaves the newline
//! at the end of a text.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use super::time::format;
use super::{Piece, Stream};

/// Where an entry ends that begins with these bytes; `None` when it is not all there.
///
/// What `journalctl` writes is trusted to have this form; what is not of it ends up in fields that nobody asks for.
pub(super) fn end(bytes: &[u8]) -> Option<usize> {
    let mut at = 0_usize;
    while let Some(field) = next(bytes, at) {
        at = field.after;
        if field.name.is_empty() && field.value.is_empty() {
            return Some(at);
        }
    }
    None
}

struct Field<'a> {
    name: &'a [u8],
    value: &'a [u8],
    after: usize,
}

fn next(bytes: &[u8], at: usize) -> Option<Field<'_>> {
    let rest = bytes.get(at..)?;
    let newline = rest.iter().position(|b| *b == b'\n')?;
    let (line, _) = rest.split_at_checked(newline)?;
    let after = at.checked_add(newline)?.checked_add(1)?;
    if line.is_empty() {
        return Some(Field { name: b"", value: b"", after });
    }
    if let Some(equals) = line.iter().position(|b| *b == b'=') {
        return Some(Field { name: line.get(..equals)?, value: line.get(equals.checked_add(1)?..)?, after });
    }
    let length: [u8; 8] = bytes.get(after..after.checked_add(8)?)?.try_into().ok()?;
    let start = after.checked_add(8)?;
    let stop = start.checked_add(usize::try_from(u64::from_le_bytes(length)).ok()?)?;
    let value = bytes.get(start..stop)?;
    // A newline follows the bytes.
    (*bytes.get(stop)? == b'\n').then_some(())?;
    Some(Field { name: line, value, after: stop.checked_add(1)? })
}

/// The line of an entry; `None` when it has no message.
pub(super) fn read(record: &[u8]) -> Option<Piece<'_>> {
    let (mut text, mut time, mut stream) = (None, None, Stream::Unknown);
    let (mut partial, mut last) = (false, false);
    let (mut at, mut names) = (0, false);
    while let Some(field) = next(record, at) {
        at = field.after;
        match field.name {
            b"MESSAGE" => text = Some(field.value),
            b"__REALTIME_TIMESTAMP" => time = microseconds(field.value),
            b"PRIORITY" => stream = priority(field.value),
            b"CONTAINER_ID_FULL" => names = true,
            b"CONTAINER_PARTIAL_MESSAGE" => partial = field.value == b"true",
            b"CONTAINER_PARTIAL_LAST" => last = field.value == b"true",
            _ => {}
        }
    }
    let text = text?;
    // Who writes for a container says by the priority which stream it was; a service's own says something else.
    let stream = if names { stream } else { Stream::Unknown };
    let stamp = time.map(format).unwrap_or_default();
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    Some(Piece { time, stamp, stream, text: Cow::Borrowed(text), ends: !partial || last })
}

fn priority(value: &[u8]) -> Stream {
    match value {
        b"6" => Stream::Stdout,
        b"3" => Stream::Stderr,
        _ => Stream::Unknown,
    }
}

fn microseconds(value: &[u8]) -> Option<SystemTime> {
    let number = std::str::from_utf8(value).ok()?.parse().ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_micros(number))
}
