//! Bytes to frames, with limits and the order that frames must have.
//!
//! The order: one hello; then for each operation of the request any number of data, entry, stat, file end and file
//! error frames, and one end or one error; nothing more. Or one hello and one refused.

use alloc::vec::Vec;

use crate::frame::{End, Entry, Failure, Frame, HEADER, Hello, Place, Stat};
use crate::limits::{Limits, MAX_PAYLOAD};
use crate::{VERSION, WireError};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Body,
    Complete,
}

/// Reads one answer of the helper. It holds at most one frame and one push at a time.
///
/// Any error is final: the decoder gives the same error from then on.
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    buffer: Vec<u8>,
    /// How much of the buffer's front belongs to frames that were given out.
    used: usize,
    state: State,
    sequence: u32,
    /// How many operations the request has, and how many of them are answered.
    operations: u16,
    operation: u16,
    /// In the operation under way, and in those before.
    bytes: u64,
    entries: u64,
    bytes_before: u64,
    entries_before: u64,
    /// In the included file under way.
    file_bytes: u64,
    frames: u64,
    failed: Option<WireError>,
}

impl Decoder {
    /// A decoder for the answer to one operation.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self::with_operations(limits, 1)
    }

    /// A decoder for the answer to a request of so many operations. The limits are for all of them together.
    #[must_use]
    pub fn with_operations(limits: Limits, operations: u16) -> Self {
        Self {
            limits,
            buffer: Vec::new(),
            used: 0,
            state: State::Start,
            sequence: 0,
            operations,
            operation: 0,
            bytes: 0,
            entries: 0,
            bytes_before: 0,
            entries_before: 0,
            file_bytes: 0,
            frames: 0,
            failed: None,
        }
    }

    /// Takes in what came. Call [`next_frame`](Self::next_frame) until it gives `None` before the next push:
    /// then the buffer never holds more than one frame and one push.
    ///
    /// # Errors
    /// The error that the stream failed with before, or [`WireError::OutOfOrder`] when the answer was complete.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), WireError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        if self.state == State::Complete && !bytes.is_empty() {
            return Err(self.fail(WireError::OutOfOrder));
        }
        self.buffer.drain(..self.used.min(self.buffer.len()));
        self.used = 0;
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// The next whole frame, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// Any [`WireError`] but those of writing; the stream is to be given up.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, WireError> {
        match self.advance() {
            Ok(None) => Ok(None),
            Ok(Some(range)) => {
                let (kind, payload) = range;
                let payload = self.buffer.get(payload).unwrap_or(&[]);
                // It was read once by `advance`, so this cannot fail.
                parse(kind, payload).map(Some)
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    /// Whether the end or error frame has come and nothing is left over. Data without it must not be used.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failed.is_none() && self.state == State::Complete && self.buffer.len() == self.used
    }

    fn fail(&mut self, error: WireError) -> WireError {
        self.failed = Some(error);
        error
    }

    fn advance(&mut self) -> Result<Option<(u8, core::ops::Range<usize>)>, WireError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let waiting = self.buffer.get(self.used..).unwrap_or(&[]);
        if self.state == State::Complete {
            return if waiting.is_empty() { Ok(None) } else { Err(WireError::OutOfOrder) };
        }
        let Some((header, rest)) = waiting.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let [l0, l1, l2, l3, kind, flags, op0, op1, s0, s1, s2, s3] = *header;
        let length = u32::from_le_bytes([l0, l1, l2, l3]);
        // The header is judged before its payload is waited for: a forged length costs nothing.
        if length > MAX_PAYLOAD {
            return Err(WireError::FrameTooLong(length));
        }
        if flags != 0 {
            return Err(WireError::Unknown(flags));
        }
        if u16::from_le_bytes([op0, op1]) != self.operation {
            return Err(WireError::OutOfOrder);
        }
        if u32::from_le_bytes([s0, s1, s2, s3]) != self.sequence {
            return Err(WireError::OutOfOrder);
        }
        if (self.state == State::Start) != (kind == 1) {
            return Err(if self.state == State::Start { WireError::BadMagic } else { WireError::OutOfOrder });
        }
        // A request of no operations can only be refused.
        if self.operations == 0 && !matches!(kind, 1 | 9) {
            return Err(WireError::OutOfOrder);
        }
        let length = usize::try_from(length).map_err(|_| WireError::FrameTooLong(length))?;
        let Some(payload) = rest.get(..length) else {
            return Ok(None);
        };
        match parse(kind, payload)? {
            Frame::Hello(_) => self.state = State::Body,
            Frame::Data(data) => {
                let length = u64::try_from(data.len()).unwrap_or(u64::MAX);
                self.bytes = self.bytes.saturating_add(length);
                self.file_bytes = self.file_bytes.saturating_add(length);
                if self.bytes.saturating_add(self.bytes_before) > self.limits.max_bytes {
                    return Err(WireError::TooManyBytes);
                }
            }
            Frame::Entry(_) => {
                self.entries = self.entries.saturating_add(1);
                if self.entries.saturating_add(self.entries_before) > self.limits.max_entries {
                    return Err(WireError::TooManyEntries);
                }
            }
            Frame::Place(place) => {
                let length = u64::try_from(place.bytes.len()).unwrap_or(u64::MAX);
                self.bytes = self.bytes.saturating_add(length);
                self.entries = self.entries.saturating_add(1);
                if self.bytes.saturating_add(self.bytes_before) > self.limits.max_bytes {
                    return Err(WireError::TooManyBytes);
                }
                if self.entries.saturating_add(self.entries_before) > self.limits.max_entries {
                    return Err(WireError::TooManyEntries);
                }
            }
            Frame::End(end) => {
                if end.bytes != self.bytes || end.entries != self.entries {
                    return Err(WireError::BadCount);
                }
                self.answered();
            }
            Frame::Error(_) => self.answered(),
            Frame::Stat(_) => self.file_bytes = 0,
            Frame::FileEnd(end) => {
                if end.bytes != self.file_bytes || end.entries != 0 {
                    return Err(WireError::BadCount);
                }
                self.file_bytes = 0;
            }
            Frame::FileError(_) => self.file_bytes = 0,
            // Only before anything else: what is half done is answered for by its own operation.
            Frame::Refused(_) if self.sequence == 1 => self.state = State::Complete,
            Frame::Refused(_) => return Err(WireError::OutOfOrder),
        }
        self.frames = self.frames.saturating_add(1);
        if self.frames > self.limits.max_frames(self.operations) {
            return Err(WireError::TooManyFrames);
        }
        self.sequence = self.sequence.wrapping_add(1);
        let start = self.used.saturating_add(HEADER);
        let end = start.saturating_add(length);
        self.used = end;
        Ok(Some((kind, start..end)))
    }
}

impl Decoder {
    /// One operation has its last frame.
    fn answered(&mut self) {
        self.operation = self.operation.saturating_add(1);
        if self.operation >= self.operations {
            self.state = State::Complete;
        }
        self.bytes_before = self.bytes_before.saturating_add(core::mem::take(&mut self.bytes));
        self.entries_before = self.entries_before.saturating_add(core::mem::take(&mut self.entries));
        self.file_bytes = 0;
    }
}

fn parse(kind: u8, payload: &[u8]) -> Result<Frame<'_>, WireError> {
    const { assert!(VERSION == 3, "a new version needs its own table here") };
    Ok(match kind {
        1 => Frame::Hello(Hello::read(payload)?),
        2 => Frame::Data(payload),
        3 => Frame::Entry(Entry::read(payload)?),
        4 => Frame::End(End::read(payload)?),
        5 => Frame::Error(Failure::read(payload)?),
        6 => Frame::Stat(Stat::read(payload)?),
        7 => Frame::FileEnd(End::read(payload)?),
        8 => Frame::FileError(Failure::read(payload)?),
        9 => Frame::Refused(Failure::read(payload)?),
        10 => Frame::Place(Place::read(payload)?),
        other => return Err(WireError::Unknown(other)),
    })
}
