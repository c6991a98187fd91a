//! Docker's `local`: each record is a message of protobuf, its length before and after it.
//!
//! | field | type | what |
//! |---|---|---|
//! | 1 | text | the stream |
//! | 2 | number | nanoseconds since 1970 |
//! | 3 | bytes | the text, without its newline |
//! | 4 | number | 1 for a piece of a line |
//! | 5 | message | of a piece: 1 whether it is the last, 2 the line's id, 3 the piece's number |

use super::time::{format, of_nanoseconds};
use super::{BUFFER, Piece, Stream};

pub(super) fn read(record: &[u8]) -> Option<Piece<'_>> {
    let (mut stream, mut time, mut text, mut partial, mut last) =
        (Stream::Unknown, None, &[][..], false, None);
    let mut rest = record;
    while !rest.is_empty() {
        let (key, after) = varint(rest)?;
        rest = match (key >> 3, key & 7) {
            (2, 0) => {
                let (number, after) = varint(after)?;
                time = of_nanoseconds(number);
                after
            }
            (4, 0) => {
                let (number, after) = varint(after)?;
                partial = number != 0;
                after
            }
            (1, 2) => {
                let (name, after) = bytes(after)?;
                stream = match name {
                    b"stdout" => Stream::Stdout,
                    b"stderr" => Stream::Stderr,
                    _ => Stream::Unknown,
                };
                after
            }
            (3, 2) => {
                let (line, after) = bytes(after)?;
                text = line;
                after
            }
            (5, 2) => {
                let (message, after) = bytes(after)?;
                last = Some(is_last(message)?);
                after
            }
            (_, 0) => varint(after)?.1,
            (_, 1) => after.get(8..)?,
            (_, 2) => bytes(after)?.1,
            (_, 5) => after.get(4..)?,
            _ => return None,
        };
    }
    let stamp = time.map(format).unwrap_or_default();
    let ends = last.unwrap_or(!partial) || text.len() < BUFFER;
    Some(Piece { time, stamp, stream, text: text.into(), ends })
}

fn is_last(mut message: &[u8]) -> Option<bool> {
    while !message.is_empty() {
        let (key, after) = varint(message)?;
        message = match (key >> 3, key & 7) {
            (1, 0) => return varint(after).map(|(number, _)| number != 0),
            (_, 0) => varint(after)?.1,
            (_, 2) => bytes(after)?.1,
            _ => return None,
        };
    }
    // What is not written is zero.
    Some(false)
}

/// A number of at most 64 bits, seven in a byte, the lowest first.
fn varint(text: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0_u64;
    for (place, byte) in text.iter().enumerate().take(10) {
        let shift = u32::try_from(place).ok()?.checked_mul(7)?;
        number |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some((number, text.get(place.checked_add(1)?..)?));
        }
    }
    None
}

fn bytes(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = varint(text)?;
    rest.split_at_checked(usize::try_from(length).ok()?)
}
