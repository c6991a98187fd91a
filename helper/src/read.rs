//! Reading one file, up to a cap, never trusting its size.

use std::os::fd::AsFd as _;

use portolan_wire::code::{LimitKind, Stage};

use crate::answer::{Answer, Fault};
use crate::enter::Inside;
use crate::request::Read;
use crate::{open, sys};

/// Two pieces to a pipe's buffer: the reader empties one while we fill the other.
const PIECE: usize = 32 * 1024;

pub(crate) fn file(inside: &Inside, path: &[u8], options: &Read, answer: &mut Answer) -> Result<(), Fault> {
    let fault = |errno| Fault::of_errno(Stage::Read, errno);
    let (file, stat) = open::regular(inside, path)?;
    // Refused before a byte is read: a caller that wanted a configuration does not want the start of a database.
    if !options.prefix && stat.size.saturating_sub(options.offset) > options.max_bytes {
        return Err(Fault::limit(Stage::Open, LimitKind::Bytes, stat.size));
    }
    if options.offset > 0 {
        // Far beyond the end, where no file system's files reach, even seeking and reading are errors.
        if stat.size > 0 && options.offset >= stat.size {
            return answer.end(stat.size, false, 0);
        }
        sys::seek(file.as_fd(), options.offset).map_err(fault)?;
    }
    let mut piece = vec![0_u8; PIECE];
    let mut left = options.max_bytes;
    loop {
        answer.in_time(Stage::Read)?;
        // One byte more than is allowed tells whether the file goes on: its size may be a lie, or may have grown.
        let wanted = usize::try_from(left.saturating_add(1)).unwrap_or(usize::MAX).min(PIECE);
        let got = sys::read(file.as_fd(), piece.get_mut(..wanted).unwrap_or(&mut [])).map_err(fault)?;
        if got == 0 {
            return answer.end(stat.size, false, 0);
        }
        let sent = got.min(usize::try_from(left).unwrap_or(usize::MAX));
        if sent > 0 {
            answer.data(piece.get(..sent).unwrap_or(&[]))?;
            left = left.saturating_sub(u64::try_from(sent).unwrap_or(u64::MAX));
        }
        if got > sent {
            if options.prefix {
                return answer.end(stat.size, true, 0);
            }
            let size = sys::fstat(file.as_fd()).map_or(0, |now| now.size);
            let known = if size > options.max_bytes { size } else { 0 };
            return Err(Fault::limit(Stage::Read, LimitKind::Bytes, known));
        }
    }
}
