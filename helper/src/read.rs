//! Reading a regular file: from an offset, its last lines, or after it was renamed.

use std::os::fd::{AsFd as _, OwnedFd};

use portolan_wire::code::{ErrorCode, FileKind, LimitKind, Stage};
use portolan_wire::frame::Stat;
use portolan_wire::request::Read;

use crate::answer::{Answer, Fault, Whole};
use crate::enter::Inside;
use crate::open;
use crate::sys::{self, Errno, RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_XDEV};

/// One frame's worth; two of them and the pipe is full, so that the reader can work while we fill the other.
const PIECE: usize = 32 * 1024;

pub(crate) fn file(inside: &Inside, path: &[u8], options: Read, answer: &mut Answer) -> Result<Whole, Fault> {
    let (file, stat) = open::regular(inside, path)?;
    opened(file, stat, options, answer)
}

/// Sends what a file is, and then its bytes.
pub(crate) fn opened(file: OwnedFd, stat: Stat, options: Read, answer: &mut Answer) -> Result<Whole, Fault> {
    let result = send(&file, stat, options, answer);
    answer.hold(file);
    result
}

fn send(file: &OwnedFd, stat: Stat, options: Read, answer: &mut Answer) -> Result<Whole, Fault> {
    let Read { max_bytes, offset, prefix } = options;
    let allowed = max_bytes.min(answer.bytes_left());
    // Refused before a byte is read: a caller that wanted a configuration does not want the start of a database.
    if !prefix && stat.size.saturating_sub(offset) > allowed {
        return Err(Fault::limit(Stage::Open, LimitKind::Bytes, stat.size));
    }
    answer.stat(Stat { offset, ..stat })?;
    let whole = Whole { size: stat.size, truncated: false };
    // Far beyond the end, where no file system's files reach, even reading is an error.
    if stat.size > 0 && offset >= stat.size {
        return Ok(whole);
    }
    match copy(file, offset, allowed, stat.size, answer)? {
        false => Ok(whole),
        true if prefix => Ok(Whole { truncated: true, ..whole }),
        true => {
            let size = sys::look(file.as_fd(), true).map_or(0, |now| now.stat.size);
            Err(Fault::limit(Stage::Read, LimitKind::Bytes, if size > allowed { size } else { 0 }))
        }
    }
}

/// Sends at most so many bytes from an offset on; says whether there are more.
fn copy(file: &OwnedFd, offset: u64, allowed: u64, size: u64, answer: &mut Answer) -> Result<bool, Fault> {
    let fault = |errno| Fault::of_errno(Stage::Read, errno);
    // No more room than a small file needs: each page of it has to be made by the kernel.
    let expected = usize::try_from(size.saturating_sub(offset).saturating_add(1)).unwrap_or(PIECE);
    let mut piece = vec![0_u8; if size == 0 { PIECE } else { expected.min(PIECE) }];
    let (mut at, mut left) = (offset, allowed);
    loop {
        answer.in_time(Stage::Read)?;
        // One byte more than is allowed tells whether the file goes on: its size may be a lie, or may have grown.
        let wanted = usize::try_from(left.saturating_add(1)).unwrap_or(usize::MAX).min(piece.len());
        let into = piece.get_mut(..wanted).unwrap_or(&mut []);
        // A file that knows no positions (some of procfs and sysfs) is read from where it stands.
        let got = match sys::read_at(file.as_fd(), into, at) {
            Err(Errno(libc::ESPIPE)) => sys::read(file.as_fd(), into),
            other => other,
        };
        let got = got.map_err(fault)?;
        if got == 0 {
            return Ok(false);
        }
        let sent = got.min(usize::try_from(left).unwrap_or(usize::MAX));
        if sent > 0 {
            answer.data(piece.get(..sent).unwrap_or(&[]))?;
            let sent = u64::try_from(sent).unwrap_or(u64::MAX);
            (at, left) = (at.saturating_add(sent), left.saturating_sub(sent));
        }
        if got > sent {
            return Ok(true);
        }
        // A regular file gives all that it has, so this was its end (`read(2)`); procfs and sysfs know no sizes.
        if got < wanted && size > 0 && at >= size {
            return Ok(false);
        }
    }
}

/// The last lines, at most so many bytes of them.
pub(crate) fn lines(
    inside: &Inside,
    path: &[u8],
    lines: u64,
    max_bytes: u64,
    answer: &mut Answer,
) -> Result<Whole, Fault> {
    let (file, stat) = open::regular(inside, path)?;
    let allowed = max_bytes.min(answer.bytes_left());
    let offset = match start_of_lines(&file, stat.size, lines, allowed, answer) {
        Ok(offset) => offset,
        Err(fault) => {
            answer.hold(file);
            return Err(fault);
        }
    };
    opened(file, stat, Read { max_bytes: allowed, offset, prefix: true }, answer)
}

/// Where the last lines begin; a newline at the very end ends the last of them.
fn start_of_lines(
    file: &OwnedFd,
    size: u64,
    lines: u64,
    allowed: u64,
    answer: &Answer,
) -> Result<u64, Fault> {
    let mut piece = vec![0_u8; PIECE];
    let floor = size.saturating_sub(allowed);
    let (mut end, mut seen) = (size, 0_u64);
    if lines == 0 {
        return Ok(size);
    }
    while end > floor {
        answer.in_time(Stage::Read)?;
        let start = end.saturating_sub(u64::try_from(PIECE).unwrap_or(u64::MAX)).max(floor);
        let wanted = usize::try_from(end.saturating_sub(start)).unwrap_or(PIECE);
        let into = piece.get_mut(..wanted).unwrap_or(&mut []);
        let got =
            sys::read_at(file.as_fd(), into, start).map_err(|errno| Fault::of_errno(Stage::Read, errno))?;
        // A file that shrinks under us: what is left is read from here.
        for (at, byte) in piece.get(..got).unwrap_or(&[]).iter().enumerate().rev() {
            let position = start.saturating_add(u64::try_from(at).unwrap_or(0));
            if *byte == b'\n' && position.saturating_add(1) != size {
                seen = seen.saturating_add(1);
                if seen == lines {
                    return Ok(position.saturating_add(1));
                }
            }
        }
        end = start;
    }
    Ok(floor)
}

/// As many entries of a directory are looked at for a file that was renamed.
const NEIGHBOURS: u32 = 100_000;

/// Which file is meant, whatever its name is now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Inode {
    pub(crate) device: u64,
    pub(crate) inode: u64,
}

/// Reads a file by its inode: it was renamed, but lies in the same directory still.
pub(crate) fn renamed(
    inside: &Inside,
    path: &[u8],
    wanted: Inode,
    options: Read,
    answer: &mut Answer,
) -> Result<Whole, Fault> {
    let fault = |errno| Fault::of_errno(Stage::Open, errno);
    let end = path.iter().rposition(|b| *b == b'/').unwrap_or(0);
    let parent = path.get(..end).filter(|parent| !parent.is_empty()).unwrap_or(b"/");
    let directory = open::directory(inside, parent, crate::walk::names_kernel(path));
    let directory = directory.map_err(|miss| miss.fault(Stage::Open))?;
    let mut entries = sys::Entries::new(directory.as_fd());
    let mut count = 0_u32;
    while let Some((name, kind)) = entries.next().map_err(fault)? {
        if !matches!(kind, FileKind::Regular | FileKind::Unknown) {
            continue;
        }
        count = count.saturating_add(1);
        if count.is_multiple_of(256) {
            answer.in_time(Stage::Open)?;
        }
        if count > NEIGHBOURS {
            return Err(Fault::limit(Stage::Open, LimitKind::Entries, 0));
        }
        let resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_XDEV;
        let Ok(found) = sys::openat2(directory.as_fd(), name, libc::O_PATH | libc::O_NOFOLLOW, resolve)
        else {
            continue;
        };
        let Ok(look) = sys::look(found.as_fd(), false) else { continue };
        if (look.stat.device, look.stat.inode) == (wanted.device, wanted.inode) {
            let (file, stat) = open::found_regular(inside, &found)?;
            return opened(file, stat, options, answer);
        }
    }
    Err(Fault::new(Stage::Open, ErrorCode::NotFound))
}
