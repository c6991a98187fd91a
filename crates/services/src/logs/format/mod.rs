//! What is in a log, by the format that its runtime writes: bytes in, entries out, whatever the bytes are.
//!
//! A runtime cuts long lines into pieces; a [`Decoder`] joins them again. What is not of the format is an entry too,
//! and marked, so that nothing is lost silently. All memory that a decoder takes is bounded by the longest line that
//! it was told to keep, whatever a container writes.
//!
//! - [`time`](mod@time): the times that runtimes write
//! - `frames`: lines and records out of a stream
//! - `join`: pieces into lines
//! - `json_file`, `local` (Docker), `cri` (Kubernetes, Podman), `export` (the journal): one format each

mod cri;
mod export;
mod frames;
mod join;
mod json_file;
mod local;
#[cfg(test)]
mod tests;
pub mod time;

use std::fmt;
use std::time::SystemTime;

use frames::{Frame, Frames};
use join::Joiner;

/// The longest line that is kept unless another is asked for, in bytes.
pub const LONGEST: usize = 1024 * 1024;

/// Docker cuts lines where its buffer of so many bytes is full. A shorter piece without an end was the last that its
/// writer wrote before it ended.
const BUFFER: usize = 16 * 1024;

/// Which of its two streams a process wrote to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Stream {
    /// Standard output; or both, from a terminal.
    Stdout,
    /// Standard error.
    Stderr,
    /// The log does not tell.
    Unknown,
}

impl fmt::Display for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
            Self::Unknown => "unknown",
        })
    }
}

/// One line of a container's output, its pieces joined.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Entry {
    /// When the runtime read it, or its first piece.
    pub time: Option<SystemTime>,
    /// The same as the log has it: text of at most 64 bytes, printable ASCII. Empty when the log has none; written in
    /// RFC 3339's form, in UTC, when the log has a number.
    pub stamp: String,
    /// Where it was written to.
    pub stream: Stream,
    /// The line without its newline: a container's bytes, of which nothing is promised.
    pub bytes: Vec<u8>,
    /// Whether the end of it was cut off, because it is longer than the longest line that was asked for.
    pub truncated: bool,
    /// Whether it is not of the log's format: it is given as it stands there.
    pub malformed: bool,
}

/// How a log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// Docker's `json-file`, which nerdctl writes too: an object of JSON on a line.
    JsonFile,
    /// Docker's `local`: records of protobuf between lengths.
    Local,
    /// The kubelet's format, of containerd, CRI-O and Podman: time, stream, `P` or `F` for a piece or the last one, text.
    Cri,
    /// Bytes as they were written, without times.
    Raw,
    /// `journalctl --output=export`.
    Journal,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::JsonFile => "json-file",
            Self::Local => "local",
            Self::Cri => "cri",
            Self::Raw => "raw",
            Self::Journal => "journal",
        })
    }
}

/// Part of a line, as a record of the log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    time: Option<SystemTime>,
    stamp: String,
    stream: Stream,
    text: std::borrow::Cow<'a, [u8]>,
    /// Whether the line ends with it.
    ends: bool,
}

/// Turns the bytes of a log into entries.
///
/// # Example
/// ```
/// use portolan_services::logs::format::{Decoder, Format, LONGEST, Stream};
///
/// let mut decoder = Decoder::new(Format::Cri, LONGEST);
/// let mut entries = decoder.push(b"2024-05-01T10:00:00.5Z stderr P half a line");
/// assert!(entries.is_empty());
/// entries = decoder.push(b",\n2024-05-01T10:00:00.6Z stderr F and the rest\n");
/// assert_eq!((entries[0].stream, entries[0].bytes.as_slice()), (Stream::Stderr, &b"half a line,and the rest"[..]));
/// ```
#[derive(Debug, Clone)]
pub struct Decoder {
    format: Format,
    longest: usize,
    terminal: bool,
    frames: Frames,
    joiner: Joiner,
}

impl Decoder {
    /// Lines of at most `longest` bytes; longer ones are cut and marked.
    #[must_use]
    pub fn new(format: Format, longest: usize) -> Self {
        let longest = longest.max(1);
        Self {
            format,
            longest,
            terminal: format == Format::Raw,
            frames: Frames::new(format, longest),
            joiner: Joiner::new(longest),
        }
    }

    /// Of a container that writes to a terminal, which ends lines in `\r\n`: the `\r` is no part of them.
    #[must_use]
    pub fn with_terminal(self, terminal: bool) -> Self {
        Self { terminal: self.terminal || terminal, ..self }
    }

    /// The format that it reads.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Takes these bytes in, and gives the lines that are whole.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Entry> {
        let mut entries = Vec::new();
        let Self { format, longest, terminal, frames, joiner } = self;
        frames.push(bytes, |frame| take(*format, *longest, *terminal, frame, joiner, &mut entries));
        entries
    }

    /// What came last and has no end: the log is not read further, or was cut.
    pub fn finish(&mut self) -> Vec<Entry> {
        let mut entries = Vec::new();
        let Self { format, longest, terminal, frames, joiner } = self;
        frames.finish(|frame| take(*format, *longest, *terminal, frame, joiner, &mut entries));
        joiner.finish(&mut entries);
        entries
    }

    /// A decoder for what is still written to a file that was renamed; this one goes on with the next file, and with
    /// the lines whose pieces are in both.
    pub(crate) fn split(&mut self) -> Self {
        let old = Self { joiner: Joiner::new(self.longest), ..self.clone() };
        self.frames.clear();
        old
    }
}

fn take(
    format: Format,
    longest: usize,
    terminal: bool,
    frame: Frame<'_>,
    joiner: &mut Joiner,
    entries: &mut Vec<Entry>,
) {
    let before = entries.len();
    match frame {
        Frame::Record(record) => match piece(format, record) {
            Read::Piece(piece) => joiner.add(piece, entries),
            Read::Nothing => {}
            Read::Malformed => entries.push(malformed(record, longest, false)),
        },
        Frame::Cut(start) if format == Format::Raw => joiner.cut(start, entries),
        Frame::Cut(start) => entries.push(malformed(start, longest, true)),
        Frame::Garbage(bytes) => entries.push(malformed(bytes, longest, false)),
    }
    if terminal {
        for entry in entries.iter_mut().skip(before).filter(|entry| entry.bytes.last() == Some(&b'\r')) {
            entry.bytes.pop();
        }
    }
}

/// What a record of a log is.
enum Read<'a> {
    Piece(Piece<'a>),
    /// Of the format, and without a line in it.
    Nothing,
    Malformed,
}

fn piece(format: Format, record: &[u8]) -> Read<'_> {
    let piece = match format {
        Format::JsonFile if record.trim_ascii().is_empty() => return Read::Nothing,
        Format::JsonFile => json_file::read(record),
        Format::Local => local::read(record),
        Format::Cri => cri::read(record),
        Format::Journal => return export::read(record).map_or(Read::Nothing, Read::Piece),
        Format::Raw => Some(Piece {
            time: None,
            stamp: String::new(),
            stream: Stream::Unknown,
            text: record.into(),
            ends: true,
        }),
    };
    piece.map_or(Read::Malformed, Read::Piece)
}

fn malformed(bytes: &[u8], longest: usize, cut: bool) -> Entry {
    Entry {
        time: None,
        stamp: String::new(),
        stream: Stream::Unknown,
        bytes: bytes.get(..longest).unwrap_or(bytes).to_vec(),
        truncated: cut || bytes.len() > longest,
        malformed: true,
    }
}
