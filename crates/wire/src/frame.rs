//! The header and the ten kinds of frame.
//!
//! Every frame is a header of twelve bytes and a payload, all numbers little-endian:
//!
//! | offset | size | what |
//! |---|---|---|
//! | 0 | 4 | length of the payload, at most [`MAX_PAYLOAD`] |
//! | 4 | 1 | kind: 1 hello, 2 data, 3 entry, 4 end, 5 error, 6 stat, 7 file end, 8 file error, 9 refused, 10 place |
//! | 5 | 1 | flags, zero |
//! | 6 | 2 | which operation of the request, zero for the first |
//! | 8 | 4 | sequence number, from zero |

use alloc::vec::Vec;

use crate::code::{ErrorCode, FileKind, LimitKind, Stage};
use crate::limits::{MAX_PATH, MAX_PAYLOAD};
use crate::{VERSION, WireError};

/// The length of a frame's header in bytes.
pub const HEADER: usize = 12;
/// How the hello frame begins.
pub const MAGIC: [u8; 8] = *b"PORTOLAN";

/// What the helper had given up, and where it stood, when it began to work.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hello {
    /// Bits of [`posture`].
    pub posture: u16,
    /// `seccomp(2)` mode: 0 none, 2 filter.
    pub seccomp: u8,
    /// The Landlock ABI that was used, 0 for none (see `landlock(7)`).
    pub landlock: u8,
    /// The effective capabilities left, a bit each (see `capabilities(7)`).
    pub effective: u64,
    /// The capability bounding set left.
    pub bounding: u64,
    /// The inode number of the mount namespace that the helper stands in.
    pub mount_namespace: u64,
}

/// The bits of [`Hello::posture`].
pub mod posture {
    /// `PR_SET_DUMPABLE` is 0: no ptrace, no core, `/proc/PID` of the helper is closed to the container.
    pub const NOT_DUMPABLE: u16 = 1;
    /// `PR_SET_NO_NEW_PRIVS` is set.
    pub const NO_NEW_PRIVS: u16 = 1 << 1;
    /// Files are reopened through a procfs of the helper's own, with nothing in it but processes.
    pub const PRIVATE_PROCFS: u16 = 1 << 2;
    /// The helper joined the container's pid namespace, because it was asked to.
    pub const PID_NAMESPACE: u16 = 1 << 3;
    /// The helper's executable is a sealed memfd, which nobody can change.
    pub const SEALED: u16 = 1 << 4;
    /// Limits on resources are set (`setrlimit(2)`).
    pub const LIMITED: u16 = 1 << 5;
    /// It dies with whoever started it (`PR_SET_PDEATHSIG`), set again after it gave up its capabilities.
    pub const DEATH_SIGNAL: u16 = 1 << 6;
    /// All bits of this version.
    pub const ALL: u16 = (1 << 7) - 1;
}

/// The last frame of an operation, or of an included file, that is whole.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct End {
    /// Bytes of the file in the data and place frames.
    pub bytes: u64,
    /// Entry and place frames.
    pub entries: u64,
    /// The size of the file by `fstat(2)`; 0 for files of `/proc` and `/sys`, whose size is not known.
    pub size: u64,
    /// Whether the file goes on after the last byte that was sent.
    pub truncated: bool,
    /// Directories that a glob wanted to look into but was not permitted to read.
    pub skipped: u32,
}

/// The last frame of an operation, an included file, or a request that is not whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub code: ErrorCode,
    /// What the helper was doing.
    pub stage: Stage,
    /// The kernel's errno, 0 when the kernel did not complain.
    pub errno: u16,
    /// Which limit, when the code is [`ErrorCode::Limit`].
    pub limit: LimitKind,
    /// A number that goes with the code: a capability, a [`FileKind`], a size.
    pub detail: u64,
}

/// One path that matches a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// What the path itself is; a symbolic link is not followed.
    pub kind: FileKind,
    /// The path inside the container: bytes, not text.
    pub path: &'a [u8],
}

/// One place where a text was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// Where in the file the bytes begin.
    pub offset: u64,
    /// Where in the bytes the text begins.
    pub at: u32,
    /// Which text of the request it is, zero for the first.
    pub text: u16,
    /// The text, and what is around it.
    pub bytes: &'a [u8],
}

/// What the helper saw of a file before it read it (`statx(2)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: FileKind,
    /// `st_mode`, with the bits of the kind.
    pub mode: u32,
    /// The owner's number, as the helper's user namespace has it.
    pub user: u32,
    /// The group's number.
    pub group: u32,
    /// Bytes; 0 for files of `/proc` and `/sys`.
    pub size: u64,
    /// The device that it lies on: major number in the upper half, minor in the lower.
    pub device: u64,
    /// The inode number.
    pub inode: u64,
    /// The last change of its content: seconds since 1970.
    pub modified: i64,
    /// The nanoseconds of that.
    pub modified_nanos: u32,
    /// Hard links.
    pub links: u32,
    /// When it was made, in nanoseconds since 1970; 0 when the file system does not say.
    pub created: u64,
    /// Where the data that follow begin.
    pub offset: u64,
}

/// One frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Frame<'a> {
    /// The first frame.
    Hello(Hello),
    /// Bytes of a file.
    Data(&'a [u8]),
    /// One match of a glob.
    Entry(Entry<'a>),
    /// The operation's answer is whole.
    End(End),
    /// The operation's answer is not whole.
    Error(Failure),
    /// What a file is; data may follow.
    Stat(Stat),
    /// A file that an `include` found is whole; `entries` is 0.
    FileEnd(End),
    /// A file that an `include` found could not be read, or not in full.
    FileError(Failure),
    /// No operation could be begun.
    Refused(Failure),
    /// One place of a find.
    Place(Place<'a>),
}

impl Frame<'_> {
    const fn kind(&self) -> u8 {
        match self {
            Frame::Hello(_) => 1,
            Frame::Data(_) => 2,
            Frame::Entry(_) => 3,
            Frame::End(_) => 4,
            Frame::Error(_) => 5,
            Frame::Stat(_) => 6,
            Frame::FileEnd(_) => 7,
            Frame::FileError(_) => 8,
            Frame::Refused(_) => 9,
            Frame::Place(_) => 10,
        }
    }
}

/// Writes frames, counting their sequence numbers and the operations that they end.
#[derive(Debug, Default)]
pub struct Writer {
    sequence: u32,
    operation: u16,
}

impl Writer {
    /// Appends one frame to `out`.
    ///
    /// # Errors
    /// [`WireError::FrameTooLong`] when the payload is over [`MAX_PAYLOAD`] or a path over [`MAX_PATH`];
    /// nothing is appended then.
    pub fn frame(&mut self, out: &mut Vec<u8>, frame: &Frame<'_>) -> Result<(), WireError> {
        let mut fixed = [0_u8; FIXED];
        let (head, tail): (&[u8], &[u8]) = match frame {
            Frame::Hello(hello) => (hello.write(&mut fixed), &[]),
            Frame::Data(data) => (&[], data),
            Frame::Entry(entry) => {
                if entry.path.len() > MAX_PATH {
                    return Err(WireError::FrameTooLong(u32::try_from(entry.path.len()).unwrap_or(u32::MAX)));
                }
                (fill(&mut fixed, &[&[entry.kind.number()]]), entry.path)
            }
            Frame::End(end) | Frame::FileEnd(end) => (end.write(&mut fixed), &[]),
            Frame::Error(failure) | Frame::FileError(failure) | Frame::Refused(failure) => {
                (failure.write(&mut fixed), &[])
            }
            Frame::Stat(stat) => (stat.write(&mut fixed), &[]),
            Frame::Place(place) => (place.write(&mut fixed), place.bytes),
        };
        let length = u32::try_from(head.len().saturating_add(tail.len())).unwrap_or(u32::MAX);
        if length > MAX_PAYLOAD {
            return Err(WireError::FrameTooLong(length));
        }
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&[frame.kind(), 0]);
        out.extend_from_slice(&self.operation.to_le_bytes());
        out.extend_from_slice(&self.sequence.to_le_bytes());
        out.extend_from_slice(head);
        out.extend_from_slice(tail);
        self.sequence = self.sequence.wrapping_add(1);
        if matches!(frame, Frame::End(_) | Frame::Error(_)) {
            self.operation = self.operation.wrapping_add(1);
        }
        Ok(())
    }
}

/// The longest payload of fixed fields.
const FIXED: usize = 72;

/// Puts the parts one after another into `to` and gives the part that was filled.
fn fill<'a>(to: &'a mut [u8; FIXED], parts: &[&[u8]]) -> &'a [u8] {
    let mut filled = 0_usize;
    for (slot, byte) in to.iter_mut().zip(parts.iter().flat_map(|part| part.iter())) {
        *slot = *byte;
        filled = filled.saturating_add(1);
    }
    to.get(..filled).unwrap_or(&[])
}

impl Hello {
    fn write<'a>(&self, to: &'a mut [u8; FIXED]) -> &'a [u8] {
        fill(
            to,
            &[
                &MAGIC,
                &VERSION.to_le_bytes(),
                &self.posture.to_le_bytes(),
                &[self.seccomp, self.landlock, 0, 0],
                &self.effective.to_le_bytes(),
                &self.bounding.to_le_bytes(),
                &self.mount_namespace.to_le_bytes(),
            ],
        )
    }

    pub(crate) fn read(payload: &[u8]) -> Result<Self, WireError> {
        let mut fields = Fields(payload);
        if fields.take::<8>()? != MAGIC {
            return Err(WireError::BadMagic);
        }
        let version = u16::from_le_bytes(fields.take()?);
        if version != VERSION {
            return Err(WireError::BadVersion(version));
        }
        let posture = u16::from_le_bytes(fields.take()?);
        if posture & !posture::ALL != 0 {
            return Err(WireError::Unknown(u8::MAX));
        }
        let [seccomp, landlock, zero, zero_too] = fields.take::<4>()?;
        if zero != 0 || zero_too != 0 {
            return Err(WireError::Unknown(zero.max(zero_too)));
        }
        let hello = Self {
            posture,
            seccomp,
            landlock,
            effective: u64::from_le_bytes(fields.take()?),
            bounding: u64::from_le_bytes(fields.take()?),
            mount_namespace: u64::from_le_bytes(fields.take()?),
        };
        fields.end(hello)
    }
}

impl End {
    fn write<'a>(&self, to: &'a mut [u8; FIXED]) -> &'a [u8] {
        fill(
            to,
            &[
                &self.bytes.to_le_bytes(),
                &self.entries.to_le_bytes(),
                &self.size.to_le_bytes(),
                &[u8::from(self.truncated), 0, 0, 0],
                &self.skipped.to_le_bytes(),
            ],
        )
    }

    pub(crate) fn read(payload: &[u8]) -> Result<Self, WireError> {
        let mut fields = Fields(payload);
        let (bytes, entries) = (u64::from_le_bytes(fields.take()?), u64::from_le_bytes(fields.take()?));
        let size = u64::from_le_bytes(fields.take()?);
        let truncated = match fields.take::<4>()? {
            [0, 0, 0, 0] => false,
            [1, 0, 0, 0] => true,
            [other, ..] => return Err(WireError::Unknown(other)),
        };
        let skipped = u32::from_le_bytes(fields.take()?);
        fields.end(Self { bytes, entries, size, truncated, skipped })
    }
}

impl Failure {
    fn write<'a>(&self, to: &'a mut [u8; FIXED]) -> &'a [u8] {
        fill(
            to,
            &[
                &[self.code.number(), self.stage.number()],
                &self.errno.to_le_bytes(),
                &[self.limit.number(), 0, 0, 0],
                &self.detail.to_le_bytes(),
            ],
        )
    }

    pub(crate) fn read(payload: &[u8]) -> Result<Self, WireError> {
        let mut fields = Fields(payload);
        let [code, stage] = fields.take::<2>()?;
        let errno = u16::from_le_bytes(fields.take()?);
        let [limit, zeros @ ..] = fields.take::<4>()?;
        if zeros != [0; 3] {
            return Err(WireError::Unknown(u8::MAX));
        }
        let failure = Self {
            code: ErrorCode::try_from(code)?,
            stage: Stage::try_from(stage)?,
            errno,
            limit: LimitKind::try_from(limit)?,
            detail: u64::from_le_bytes(fields.take()?),
        };
        fields.end(failure)
    }
}

impl Stat {
    fn write<'a>(&self, to: &'a mut [u8; FIXED]) -> &'a [u8] {
        fill(
            to,
            &[
                &[self.kind.number(), 0, 0, 0],
                &self.mode.to_le_bytes(),
                &self.user.to_le_bytes(),
                &self.group.to_le_bytes(),
                &self.size.to_le_bytes(),
                &self.device.to_le_bytes(),
                &self.inode.to_le_bytes(),
                &self.modified.to_le_bytes(),
                &self.modified_nanos.to_le_bytes(),
                &self.links.to_le_bytes(),
                &self.created.to_le_bytes(),
                &self.offset.to_le_bytes(),
            ],
        )
    }

    pub(crate) fn read(payload: &[u8]) -> Result<Self, WireError> {
        let mut fields = Fields(payload);
        let [kind, zeros @ ..] = fields.take::<4>()?;
        if zeros != [0; 3] {
            return Err(WireError::Unknown(u8::MAX));
        }
        let stat = Self {
            kind: FileKind::try_from(kind)?,
            mode: u32::from_le_bytes(fields.take()?),
            user: u32::from_le_bytes(fields.take()?),
            group: u32::from_le_bytes(fields.take()?),
            size: u64::from_le_bytes(fields.take()?),
            device: u64::from_le_bytes(fields.take()?),
            inode: u64::from_le_bytes(fields.take()?),
            modified: i64::from_le_bytes(fields.take()?),
            modified_nanos: u32::from_le_bytes(fields.take()?),
            links: u32::from_le_bytes(fields.take()?),
            created: u64::from_le_bytes(fields.take()?),
            offset: u64::from_le_bytes(fields.take()?),
        };
        fields.end(stat)
    }
}

impl<'a> Entry<'a> {
    pub(crate) fn read(payload: &'a [u8]) -> Result<Self, WireError> {
        let (kind, path) = payload.split_first().ok_or(WireError::BadLength)?;
        // A path has at least its slash, and can hold no NUL.
        if path.is_empty() || path.len() > MAX_PATH || path.contains(&0) {
            return Err(WireError::BadLength);
        }
        Ok(Self { kind: FileKind::try_from(*kind)?, path })
    }
}

impl<'a> Place<'a> {
    fn write<'b>(&self, to: &'b mut [u8; FIXED]) -> &'b [u8] {
        let parts = (self.offset.to_le_bytes(), self.at.to_le_bytes(), self.text.to_le_bytes());
        fill(to, &[&parts.0, &parts.1, &parts.2, &[0, 0]])
    }

    pub(crate) fn read(payload: &'a [u8]) -> Result<Self, WireError> {
        let mut fields = Fields(payload);
        let offset = u64::from_le_bytes(fields.take()?);
        let at = u32::from_le_bytes(fields.take()?);
        let text = u16::from_le_bytes(fields.take()?);
        if fields.take::<2>()? != [0; 2] {
            return Err(WireError::Unknown(u8::MAX));
        }
        let bytes = fields.0;
        // A text has at least one byte.
        if usize::try_from(at).map_or(true, |at| at >= bytes.len()) {
            return Err(WireError::BadLength);
        }
        Ok(Self { offset, at, text, bytes })
    }
}

/// Takes fixed fields off the front of a payload.
pub(crate) struct Fields<'a>(pub(crate) &'a [u8]);

impl<'a> Fields<'a> {
    /// So many bytes as they are.
    pub(crate) fn bytes(&mut self, count: usize) -> Result<&'a [u8], WireError> {
        let (field, rest) = self.0.split_at_checked(count).ok_or(WireError::BadLength)?;
        self.0 = rest;
        Ok(field)
    }

    pub(crate) fn take<const N: usize>(&mut self) -> Result<[u8; N], WireError> {
        let (field, rest) = self.0.split_first_chunk::<N>().ok_or(WireError::BadLength)?;
        self.0 = rest;
        Ok(*field)
    }

    /// Nothing may be left over.
    pub(crate) fn end<T>(self, value: T) -> Result<T, WireError> {
        if self.0.is_empty() { Ok(value) } else { Err(WireError::BadLength) }
    }
}
