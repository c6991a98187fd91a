//! What is asked of the helper: the operations of one entry into a container, under one budget.
//!
//! The form in bytes is in `docs/protocol.md`. The helper reads it from whoever started it, and still believes
//! nothing: a length past the end, a count too large or a byte left over is an error.

use alloc::vec::Vec;

use crate::frame::Fields;
use crate::ids::Ids;
use crate::limits::{DEFAULT_MAX_BYTES, DEFAULT_MAX_ENTRIES, DEFAULT_TIMEOUT_MS};
use crate::limits::{MAX_AROUND, MAX_OPERATIONS, MAX_PATH, MAX_RANGES, MAX_REQUEST, MAX_TEXT, MAX_TEXTS};
use crate::{VERSION, WireError};

/// How a request begins.
pub const MAGIC: [u8; 4] = *b"PREQ";
const ANY_FILE_SYSTEM: u16 = 1;
const WITH_IDS: u16 = 1 << 1;
const PREFIX: u8 = 1;
const LINES: u8 = 1 << 1;

/// One entry into a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The caller's number for it, given back when a helper dies over it.
    pub id: u64,
    /// Give up after so many milliseconds.
    pub timeout_ms: u32,
    /// Bytes of all operations together.
    pub max_bytes: u64,
    /// Entries of all operations together.
    pub max_entries: u64,
    /// Read on FUSE and network file systems too, whose server may never answer.
    pub any_file_system: bool,
    /// What must be given up before anything is read.
    pub demand: Demand,
    /// The ids that belong to the container; `None` for all.
    pub ids: Option<Ids>,
    /// At most [`MAX_OPERATIONS`].
    pub operations: Vec<Operation>,
}

/// What the helper must have given up, or it refuses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Demand {
    /// Bits of [`crate::frame::posture`].
    pub posture: u16,
    /// The `seccomp(2)` mode: 0 or 2.
    pub seccomp: u8,
    /// The least Landlock ABI.
    pub landlock: u8,
}

/// One thing to do inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation {
    /// What.
    pub action: Action,
    /// A path or a pattern: bytes, beginning with a slash.
    pub path: Vec<u8>,
}

/// What is done with a path.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// Say what it is.
    Stat,
    /// Read it.
    Read(Read),
    /// Read its last lines.
    Lines {
        /// How many.
        lines: u64,
        /// At most so many bytes, from the end.
        max_bytes: u64,
    },
    /// Read the file of this inode, which is in the same directory as the path (it was renamed).
    Renamed {
        /// As in [`crate::frame::Stat`].
        device: u64,
        /// The inode number.
        inode: u64,
        /// Begin at this byte.
        offset: u64,
        /// At most so many bytes.
        max_bytes: u64,
    },
    /// Expand a pattern.
    Glob {
        /// At most so many paths.
        max_entries: u64,
    },
    /// Expand a pattern and read the regular files that match.
    Include {
        /// At most so many paths.
        max_entries: u64,
        /// At most so many bytes of each file.
        max_bytes: u64,
        /// Give the first bytes of a larger file instead of refusing it.
        prefix: bool,
    },
    /// Look for texts in a file, and send only what is around them.
    Find(Find),
}

/// What is looked for in a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Find {
    /// Any of these: 1 to [`MAX_TEXTS`], of 1 to [`MAX_TEXT`] bytes each.
    pub texts: Vec<Vec<u8>>,
    /// Only where a line begins.
    pub at_lines: bool,
    /// So many bytes before a text are sent with it ...
    pub before: u32,
    /// ... and so many from where it begins: no fewer than the longest text has. Both together are at most
    /// [`MAX_AROUND`].
    pub after: u32,
    /// Begin at this byte.
    pub offset: u64,
    /// Look through at most so many bytes.
    pub max_looked: u64,
    /// At most so many places.
    pub max_places: u64,
    /// At most so many bytes are sent.
    pub max_bytes: u64,
}

/// How a file is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Read {
    /// At most so many bytes.
    pub max_bytes: u64,
    /// Begin at this byte.
    pub offset: u64,
    /// Give the first bytes of a larger file instead of refusing it.
    pub prefix: bool,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            id: 0,
            timeout_ms: u32::try_from(DEFAULT_TIMEOUT_MS).unwrap_or(u32::MAX),
            max_bytes: DEFAULT_MAX_BYTES,
            max_entries: DEFAULT_MAX_ENTRIES,
            any_file_system: false,
            demand: Demand::default(),
            ids: None,
            operations: Vec::new(),
        }
    }
}

impl Request {
    /// Its bytes.
    ///
    /// # Errors
    /// [`WireError::FrameTooLong`] over [`MAX_REQUEST`], [`WireError::TooManyEntries`] over [`MAX_OPERATIONS`],
    /// [`WireError::BadLength`] for a path that is empty, relative, too long or holds a NUL, too many ranges, or texts
    /// to find over the limits of [`Find`].
    ///
    /// # Example
    /// ```
    /// use portolan_wire::request::{Action, Operation, Request};
    ///
    /// let stat = Operation { action: Action::Stat, path: b"/etc/passwd".to_vec() };
    /// let request = Request { operations: vec![stat], ..Request::default() };
    /// assert_eq!(Request::parse(&request.to_bytes()?)?, request);
    /// # Ok::<(), portolan_wire::WireError>(())
    /// ```
    pub fn to_bytes(&self) -> Result<Vec<u8>, WireError> {
        if self.operations.len() > MAX_OPERATIONS {
            return Err(WireError::TooManyEntries);
        }
        let none = Ids::default();
        let ids = self.ids.as_ref().unwrap_or(&none);
        if ids.users.len() > MAX_RANGES || ids.groups.len() > MAX_RANGES {
            return Err(WireError::BadLength);
        }
        let count = |length: usize| u16::try_from(length).unwrap_or(u16::MAX).to_le_bytes();
        let flags = if self.any_file_system { ANY_FILE_SYSTEM } else { 0 }
            | if self.ids.is_some() { WITH_IDS } else { 0 };
        let mut out = Vec::with_capacity(256);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&flags.to_le_bytes());
        out.extend_from_slice(&self.id.to_le_bytes());
        out.extend_from_slice(&self.timeout_ms.to_le_bytes());
        out.extend_from_slice(&count(ids.users.len()));
        out.extend_from_slice(&count(ids.groups.len()));
        out.extend_from_slice(&self.max_bytes.to_le_bytes());
        out.extend_from_slice(&self.max_entries.to_le_bytes());
        out.extend_from_slice(&count(self.operations.len()));
        out.extend_from_slice(&self.demand.posture.to_le_bytes());
        out.extend_from_slice(&[self.demand.seccomp, self.demand.landlock, 0, 0]);
        for (first, many) in ids.users.iter().chain(&ids.groups) {
            out.extend_from_slice(&first.to_le_bytes());
            out.extend_from_slice(&many.to_le_bytes());
        }
        for operation in &self.operations {
            operation.write(&mut out)?;
        }
        if out.len() > MAX_REQUEST {
            return Err(WireError::FrameTooLong(u32::try_from(out.len()).unwrap_or(u32::MAX)));
        }
        Ok(out)
    }

    /// From bytes; all of them, and nothing left over.
    ///
    /// # Errors
    /// Any [`WireError`] of reading.
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        if bytes.len() > MAX_REQUEST {
            return Err(WireError::FrameTooLong(u32::try_from(bytes.len()).unwrap_or(u32::MAX)));
        }
        let mut fields = Fields(bytes);
        if fields.take::<4>()? != MAGIC {
            return Err(WireError::BadMagic);
        }
        let version = u16::from_le_bytes(fields.take()?);
        if version != VERSION {
            return Err(WireError::BadVersion(version));
        }
        let flags = u16::from_le_bytes(fields.take()?);
        if flags & !(ANY_FILE_SYSTEM | WITH_IDS) != 0 {
            return Err(WireError::Unknown(u8::MAX));
        }
        let id = u64::from_le_bytes(fields.take()?);
        let timeout_ms = u32::from_le_bytes(fields.take()?);
        let users = usize::from(u16::from_le_bytes(fields.take()?));
        let groups = usize::from(u16::from_le_bytes(fields.take()?));
        let max_bytes = u64::from_le_bytes(fields.take()?);
        let max_entries = u64::from_le_bytes(fields.take()?);
        let count = usize::from(u16::from_le_bytes(fields.take()?));
        let posture = u16::from_le_bytes(fields.take()?);
        let [seccomp, landlock, 0, 0] = fields.take::<4>()? else {
            return Err(WireError::Unknown(u8::MAX));
        };
        let with_ids = flags & WITH_IDS != 0;
        if users > MAX_RANGES || groups > MAX_RANGES || (!with_ids && users.saturating_add(groups) > 0) {
            return Err(WireError::BadLength);
        }
        if count > MAX_OPERATIONS {
            return Err(WireError::TooManyEntries);
        }
        let ids = Ids { users: ranges(&mut fields, users)?, groups: ranges(&mut fields, groups)? };
        let mut operations = Vec::new();
        for _ in 0..count {
            operations.push(Operation::read(&mut fields)?);
        }
        let demand = Demand { posture, seccomp, landlock };
        let (any_file_system, ids) = (flags & ANY_FILE_SYSTEM != 0, with_ids.then_some(ids));
        let request = fields.end(Self {
            id,
            timeout_ms,
            max_bytes,
            max_entries,
            any_file_system,
            demand,
            ids,
            operations,
        })?;
        // One form only: a field that is set but means nothing here was meant for another version.
        if request.to_bytes()? == bytes { Ok(request) } else { Err(WireError::Unknown(u8::MAX)) }
    }
}

fn ranges(fields: &mut Fields<'_>, count: usize) -> Result<Vec<(u32, u32)>, WireError> {
    let mut ranges = Vec::new();
    for _ in 0..count {
        ranges.push((u32::from_le_bytes(fields.take()?), u32::from_le_bytes(fields.take()?)));
    }
    Ok(ranges)
}

/// The fields that every operation has, whether its action uses them or not.
#[derive(Default)]
struct Numbers {
    action: u8,
    flags: u8,
    lines: u64,
    max_bytes: u64,
    offset: u64,
    max_entries: u64,
    device: u64,
    inode: u64,
}

impl Operation {
    fn write(&self, out: &mut Vec<u8>) -> Result<(), WireError> {
        let path = self.path.as_slice();
        check(path)?;
        let flag = |prefix: bool| if prefix { PREFIX } else { 0 };
        let texts = match &self.action {
            Action::Find(find) => find.texts()?,
            _ => Vec::new(),
        };
        let n = match self.action {
            Action::Stat => Numbers { action: 1, ..Numbers::default() },
            Action::Read(Read { max_bytes, offset, prefix }) => {
                Numbers { action: 2, flags: flag(prefix), max_bytes, offset, ..Numbers::default() }
            }
            Action::Lines { lines, max_bytes } => {
                Numbers { action: 3, lines, max_bytes, ..Numbers::default() }
            }
            Action::Renamed { device, inode, offset, max_bytes } => {
                Numbers { action: 4, device, inode, offset, max_bytes, ..Numbers::default() }
            }
            Action::Glob { max_entries } => Numbers { action: 5, max_entries, ..Numbers::default() },
            Action::Include { max_entries, max_bytes, prefix } => {
                Numbers { action: 6, flags: flag(prefix), max_entries, max_bytes, ..Numbers::default() }
            }
            Action::Find(Find {
                at_lines, before, after, offset, max_looked, max_places, max_bytes, ..
            }) => {
                let flags = if at_lines { LINES } else { 0 };
                let around = u64::from(after) << 32 | u64::from(before);
                let (max_entries, device, inode) = (max_places, max_looked, around);
                Numbers {
                    action: 7,
                    flags,
                    max_bytes,
                    offset,
                    max_entries,
                    device,
                    inode,
                    ..Numbers::default()
                }
            }
        };
        let length = |bytes: &[u8]| u16::try_from(bytes.len()).map_err(|_| WireError::BadLength);
        out.extend_from_slice(&[n.action, n.flags]);
        out.extend_from_slice(&length(path)?.to_le_bytes());
        out.extend_from_slice(&length(&texts)?.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
        for number in [n.lines, n.max_bytes, n.offset, n.max_entries, n.device, n.inode] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(path);
        out.extend_from_slice(&texts);
        Ok(())
    }

    fn read(fields: &mut Fields<'_>) -> Result<Self, WireError> {
        let [action, flags] = fields.take::<2>()?;
        let length = usize::from(u16::from_le_bytes(fields.take()?));
        let texts = usize::from(u16::from_le_bytes(fields.take()?));
        if fields.take::<2>()? != [0; 2] || flags & !(PREFIX | LINES) != 0 {
            return Err(WireError::Unknown(u8::MAX));
        }
        let mut number = || fields.take().map(u64::from_le_bytes);
        let (lines, max_bytes, offset) = (number()?, number()?, number()?);
        let (max_entries, device, inode) = (number()?, number()?, number()?);
        let prefix = flags & PREFIX != 0;
        if offset > i64::MAX.unsigned_abs() {
            return Err(WireError::BadLength);
        }
        let path = fields.bytes(length)?;
        check(path)?;
        let mut texts = Fields(fields.bytes(texts)?);
        let action = match action {
            1 => Action::Stat,
            2 => Action::Read(Read { max_bytes, offset, prefix }),
            3 => Action::Lines { lines, max_bytes },
            4 => Action::Renamed { device, inode, offset, max_bytes },
            5 => Action::Glob { max_entries },
            6 => Action::Include { max_entries, max_bytes, prefix },
            7 => {
                let [b0, b1, b2, b3, a0, a1, a2, a3] = inode.to_le_bytes();
                let mut find = Find {
                    texts: Vec::new(),
                    at_lines: flags & LINES != 0,
                    before: u32::from_le_bytes([b0, b1, b2, b3]),
                    after: u32::from_le_bytes([a0, a1, a2, a3]),
                    offset,
                    max_looked: device,
                    max_places: max_entries,
                    max_bytes,
                };
                while !texts.0.is_empty() && find.texts.len() < MAX_TEXTS {
                    let [length] = texts.take()?;
                    find.texts.push(texts.bytes(length.into())?.to_vec());
                }
                // Counts and sums, before anybody goes by them.
                find.texts()?;
                Action::Find(find)
            }
            other => return Err(WireError::Unknown(other)),
        };
        texts.end(())?;
        Ok(Self { action, path: path.to_vec() })
    }
}

impl Find {
    /// The most texts: [`MAX_TEXTS`].
    pub const MOST_TEXTS: usize = MAX_TEXTS;
    /// The longest text in bytes: [`MAX_TEXT`].
    pub const LONGEST_TEXT: usize = MAX_TEXT;

    /// The texts' bytes on the wire, if they and what is around them keep within their limits.
    fn texts(&self) -> Result<Vec<u8>, WireError> {
        let longest = self.texts.iter().map(Vec::len).max().unwrap_or(0);
        let within = (1..=MAX_TEXTS).contains(&self.texts.len())
            && longest <= MAX_TEXT
            && u32::try_from(longest).is_ok_and(|longest| longest <= self.after)
            && self.before.saturating_add(self.after) <= MAX_AROUND
            && self.texts.iter().all(|text| !text.is_empty());
        if !within {
            return Err(WireError::BadLength);
        }
        let mut out = Vec::new();
        for text in &self.texts {
            out.push(u8::try_from(text.len()).map_err(|_| WireError::BadLength)?);
            out.extend_from_slice(text);
        }
        Ok(out)
    }
}

fn check(path: &[u8]) -> Result<(), WireError> {
    if path.first() != Some(&b'/') || path.len() > MAX_PATH || path.contains(&0) {
        return Err(WireError::BadLength);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn find() -> Find {
        Find {
            texts: vec![b"Package: x".to_vec(), b"\0\xff".to_vec()],
            at_lines: true,
            before: 11,
            after: 12,
            offset: 13,
            max_looked: 14,
            max_places: 15,
            max_bytes: 16,
        }
    }

    fn all() -> Request {
        let path = b"/var/log/x".to_vec();
        let actions = [
            Action::Stat,
            Action::Read(Read { max_bytes: 1, offset: 2, prefix: true }),
            Action::Lines { lines: 10, max_bytes: 3 },
            Action::Renamed { device: 4, inode: 5, offset: 6, max_bytes: 7 },
            Action::Glob { max_entries: 8 },
            Action::Include { max_entries: 9, max_bytes: 10, prefix: false },
            Action::Find(find()),
        ];
        Request {
            id: 77,
            any_file_system: true,
            demand: Demand { posture: 3, seccomp: 2, landlock: 1 },
            ids: Some(Ids { users: vec![(100_000, 65536)], groups: vec![(1, 2), (3, 4)] }),
            operations: actions.map(|action| Operation { action, path: path.clone() }).to_vec(),
            ..Request::default()
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let request = all();
        let bytes = request.to_bytes().unwrap_or_default();
        assert_eq!(Request::parse(&bytes), Ok(request));
        assert_eq!(bytes.len(), 48 + 3 * 8 + 7 * (56 + 10) + 11 + 3);
        let plain = Request::default();
        assert_eq!(Request::parse(&plain.to_bytes().unwrap_or_default()), Ok(plain));
    }

    #[test]
    fn what_is_cut_off_or_goes_on_is_refused() {
        let mut bytes = all().to_bytes().unwrap_or_default();
        for end in 0..bytes.len() {
            assert!(Request::parse(bytes.get(..end).unwrap_or(&[])).is_err(), "{end}");
        }
        bytes.push(0);
        assert_eq!(Request::parse(&bytes), Err(WireError::BadLength));
    }

    #[test]
    fn what_is_looked_for_keeps_within_its_limits() {
        let with = |find: Find| {
            let operation = Operation { action: Action::Find(find), path: b"/x".to_vec() };
            Request { operations: vec![operation], ..Request::default() }.to_bytes()
        };
        let most = Find { texts: vec![vec![b'x'; MAX_TEXT]; MAX_TEXTS], after: 255, ..find() };
        assert!(with(most).is_ok_and(|bytes| Request::parse(&bytes).is_ok()));
        for wrong in [
            Find { texts: vec![], ..find() },
            Find { texts: vec![vec![]], ..find() },
            Find { texts: vec![vec![b'x'; MAX_TEXT + 1]], after: 300, ..find() },
            Find { texts: vec![b"x".to_vec(); MAX_TEXTS + 1], ..find() },
            Find { after: 9, ..find() },
            Find { after: MAX_AROUND, before: 1, ..find() },
            Find { after: u32::MAX, before: u32::MAX, ..find() },
        ] {
            assert_eq!(with(wrong.clone()), Err(WireError::BadLength), "{wrong:?}");
        }
        // The same in bytes: lengths of texts that go past their end, are nothing, or leave some over.
        let good = with(find()).unwrap_or_default();
        let at = 48 + 56 + 2;
        for (at, value) in
            [(at, 11), (at, 0), (at, 200), (at + 11, 1), (at + 11, 3), (48 + 4, 13), (48 + 4, 15)]
        {
            let mut bytes = good.clone();
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
            assert!(Request::parse(&bytes).is_err(), "{at} {value}");
        }
        // What other actions have no use for is not there.
        let mut stat = good;
        if let Some(byte) = stat.get_mut(48) {
            *byte = 1;
        }
        assert!(Request::parse(&stat).is_err());
    }

    #[test]
    fn what_cannot_be_meant_is_not_written() {
        let with = |path: &[u8], count: usize| {
            let stat = Operation { action: Action::Stat, path: path.to_vec() };
            Request { operations: vec![stat; count], ..Request::default() }.to_bytes()
        };
        for path in [&b""[..], b"etc", b"/a\0b", &[b'/'; MAX_PATH + 1]] {
            assert_eq!(with(path, 1), Err(WireError::BadLength));
        }
        assert_eq!(with(b"/x", MAX_OPERATIONS + 1), Err(WireError::TooManyEntries));
        assert!(matches!(with(&[b'/'; MAX_PATH], 40), Err(WireError::FrameTooLong(_))));
    }
}
