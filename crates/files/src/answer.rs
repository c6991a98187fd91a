//! An answer of the helper, put together from its frames.

use std::io::{ErrorKind as IoKind, Read};
use std::os::fd::AsFd;
use std::time::Instant;

use portolan_linux::wait::{Ready, until};
use portolan_wire::WireError;
use portolan_wire::code::FileKind;
use portolan_wire::decoder::Decoder;
use portolan_wire::frame::{End, Failure, Frame, Hello, Stat};
use portolan_wire::limits::Limits;

/// What the helper said.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) hello: Hello,
    /// One for each operation that was begun.
    pub(crate) parts: Vec<Part>,
    /// No operation could be begun.
    pub(crate) refused: Option<Failure>,
}

/// What it said to one operation.
#[derive(Debug, Default)]
pub(crate) struct Part {
    pub(crate) stat: Option<Stat>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) entries: Vec<Found>,
    pub(crate) places: Vec<Place>,
    /// How it ended; `None` when the answer broke off.
    pub(crate) end: Option<Result<End, Failure>>,
}

/// One place where a text was found.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// Where in the file the bytes begin.
    pub offset: u64,
    /// Where in the bytes the text begins; always less than their number.
    pub at: usize,
    /// Which of the texts it is, zero for the first.
    pub text: usize,
    /// The text, and what is around it.
    pub bytes: Vec<u8>,
}

/// One path that matches, and for an include the file.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) path: Vec<u8>,
    pub(crate) kind: FileKind,
    pub(crate) file: Option<FoundFile>,
}

#[derive(Debug)]
pub(crate) struct FoundFile {
    pub(crate) stat: Option<Stat>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) end: Result<End, Failure>,
}

/// Why there is no whole answer.
#[derive(Debug)]
pub(crate) enum Silence {
    TimedOut,
    Broken(WireError),
    /// The pipe's other end was closed.
    Ended,
}

/// Takes bytes in until the last frame.
#[derive(Debug)]
pub(crate) struct Listener {
    decoder: Decoder,
    operations: u16,
    /// What came so far.
    pub(crate) answer: Answer,
    part: Part,
}

impl Listener {
    pub(crate) fn new(limits: Limits, operations: u16) -> Self {
        let decoder = Decoder::with_operations(limits, operations);
        Self { decoder, operations, answer: Answer::default(), part: Part::default() }
    }

    /// Takes these bytes in; says whether the answer is whole.
    pub(crate) fn take(&mut self, bytes: &[u8]) -> Result<bool, WireError> {
        self.decoder.push(bytes)?;
        while let Some(frame) = self.decoder.next_frame()? {
            match frame {
                Frame::Hello(hello) => self.answer.hello = hello,
                Frame::Refused(failure) => self.answer.refused = Some(failure),
                Frame::Data(data) => self.part.bytes.extend_from_slice(data),
                Frame::Stat(stat) => self.part.stat = Some(stat),
                Frame::Entry(entry) => {
                    self.part.entries.push(Found { path: entry.path.to_vec(), kind: entry.kind, file: None });
                }
                Frame::Place(place) => self.part.places.push(Place {
                    offset: place.offset,
                    at: usize::try_from(place.at).map_err(|_| WireError::BadLength)?,
                    text: place.text.into(),
                    bytes: place.bytes.to_vec(),
                }),
                Frame::FileEnd(end) => self.part.file(Ok(end))?,
                Frame::FileError(failure) => self.part.file(Err(failure))?,
                Frame::End(end) => {
                    self.part.end = Some(Ok(end));
                    self.answer.parts.push(std::mem::take(&mut self.part));
                }
                Frame::Error(failure) => {
                    self.part.end = Some(Err(failure));
                    self.answer.parts.push(std::mem::take(&mut self.part));
                }
                _ => return Err(WireError::Unknown(0)),
            }
        }
        Ok(self.decoder.is_complete())
    }

    /// Whether nothing was heard yet.
    pub(crate) fn is_deaf(&self) -> bool {
        self.answer.hello == Hello::default() && self.answer.refused.is_none()
    }

    /// What there is of an answer that broke off: the operations that are whole, and the one under way.
    pub(crate) fn broken_off(mut self) -> Answer {
        if self.answer.refused.is_none() && self.answer.parts.len() < usize::from(self.operations) {
            self.answer.parts.push(self.part);
        }
        self.answer
    }

    /// Reads from a pipe until the last frame, the deadline, or the end.
    pub(crate) fn listen(
        &mut self,
        output: &mut (impl Read + AsFd),
        deadline: Option<Instant>,
    ) -> Result<(), Silence> {
        // Most answers are small; room for a whole pipe is made when one fills this.
        let mut piece = vec![0_u8; 8 * 1024];
        loop {
            match until(&*output, Ready::Read, deadline) {
                Ok(true) => {}
                Ok(false) => return Err(Silence::TimedOut),
                Err(_) => return Err(Silence::Ended),
            }
            let got = match output.read(&mut piece) {
                Ok(0) => return Err(Silence::Ended),
                Ok(got) => got,
                Err(e) if matches!(e.kind(), IoKind::Interrupted | IoKind::WouldBlock) => continue,
                Err(_) => return Err(Silence::Ended),
            };
            let filled = got == piece.len();
            // The last frame is the answer; how the process ends does not matter any more.
            if self.take(piece.get(..got).unwrap_or(&[])).map_err(Silence::Broken)? {
                return Ok(());
            }
            if filled && piece.len() < PIPE {
                piece.resize(PIPE, 0);
            }
        }
    }
}

/// What a pipe holds (`pipe(7)`).
const PIPE: usize = 64 * 1024;

impl Part {
    /// The file that was last found has its end.
    fn file(&mut self, end: Result<End, Failure>) -> Result<(), WireError> {
        let (stat, bytes) = (self.stat.take(), std::mem::take(&mut self.bytes));
        match self.entries.last_mut() {
            Some(found) if found.file.is_none() => {
                found.file = Some(FoundFile { stat, bytes, end });
                Ok(())
            }
            _ => Err(WireError::OutOfOrder),
        }
    }
}
