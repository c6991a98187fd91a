//! The kubelet's format: `TIME STREAM TAG TEXT`, the tag `P` for a piece and `F` for the last one. conmon writes it
//! for Podman and CRI-O, containerd itself.

use super::{Piece, Stream, time};

/// Longer texts are no times.
const MAX_STAMP: usize = 64;

pub(super) fn read(line: &[u8]) -> Option<Piece<'_>> {
    let mut fields = line.splitn(4, |b| *b == b' ');
    let stamp = fields.next().filter(|stamp| stamp.len() <= MAX_STAMP)?;
    let stamp = std::str::from_utf8(stamp).ok()?;
    // What does not begin with a time is not of this format, whatever follows.
    let time = time::parse(stamp)?;
    let stream = match fields.next()? {
        b"stdout" => Stream::Stdout,
        b"stderr" => Stream::Stderr,
        _ => return None,
    };
    // More tags may follow after a colon; the first is this one.
    let ends = match fields.next()?.split(|b| *b == b':').next()? {
        b"F" => true,
        b"P" => false,
        _ => return None,
    };
    let text = fields.next().unwrap_or_default();
    Some(Piece { time: Some(time), stamp: stamp.to_owned(), stream, text: text.into(), ends })
}
