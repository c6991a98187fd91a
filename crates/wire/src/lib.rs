//! The frames that portolan and its helper speak, and the glob patterns that both must read alike.
//!
//! The helper (`portolan-helper`) runs inside a hostile mount tree and answers on a pipe. This crate is the
//! whole of what the two sides share: it does no I/O, has no `unsafe`, needs no `std`, and treats every byte
//! as hostile. The format is described, with golden bytes, in `docs/protocol.md`.
//!
//! # What it does not do
//! It never allocates by a length that it was told, never skips what it does not know, and never repairs:
//! an unknown frame, a wrong sequence number or a byte after the end is an error.
//!
//! # Layout
//! - [`frame`]: the header and the ten kinds of frame, and how each is written
//! - [`request`]: what is asked: the operations of one entry into a container
//! - [`ids`]: whose files they are: the ids that a user namespace maps
//! - [`decoder`]: bytes to frames, with limits and the order that frames must have
//! - [`code`]: error codes, stages and file kinds, the numbers on the wire
//! - [`mountinfo`]: which file system a mount is of
//! - [`pattern`]: glob patterns: parsing and matching, without a file system
//! - [`limits`]: every limit in one place
//!
//! # Example
//! ```
//! use portolan_wire::{decoder::Decoder, frame::{End, Frame, Hello}, limits::Limits};
//!
//! let mut bytes = Vec::new();
//! let mut writer = portolan_wire::frame::Writer::default();
//! writer.frame(&mut bytes, &Frame::Hello(Hello::default()))?;
//! writer.frame(&mut bytes, &Frame::Data(b"listen 8080;"))?;
//! writer.frame(&mut bytes, &Frame::End(End { bytes: 12, size: 12, ..End::default() }))?;
//!
//! let mut decoder = Decoder::new(Limits::default());
//! decoder.push(&bytes)?;
//! let mut seen = Vec::new();
//! while let Some(frame) = decoder.next_frame()? {
//!     if let Frame::Data(data) = frame { seen.extend_from_slice(data); }
//! }
//! assert_eq!(seen, b"listen 8080;");
//! assert!(decoder.is_complete());
//! # Ok::<(), portolan_wire::WireError>(())
//! ```
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod code;
pub mod decoder;
pub mod frame;
pub mod ids;
pub mod limits;
pub mod mountinfo;
pub mod pattern;
pub mod request;

use core::fmt;

/// The version of the protocol that this crate speaks; the hello frame carries it.
pub const VERSION: u16 = 3;

/// What is wrong with a stream of frames, or with a frame that was to be written.
///
/// Whoever reads one of these must give the stream up: nothing after it can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum WireError {
    /// The payload is longer than [`limits::MAX_PAYLOAD`].
    FrameTooLong(u32),
    /// A kind, code or flag that this version does not know.
    Unknown(u8),
    /// A payload is shorter or longer than its kind says.
    BadLength,
    /// The hello frame does not begin with the magic bytes.
    BadMagic,
    /// The helper speaks another version.
    BadVersion(u16),
    /// Frames are missing, doubled or not in their order.
    OutOfOrder,
    /// The counts in the end frame are not those of the frames that came.
    BadCount,
    /// More data than was asked for.
    TooManyBytes,
    /// More entries than were asked for.
    TooManyEntries,
    /// More frames than a sane answer has.
    TooManyFrames,
}

impl fmt::Display for WireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FrameTooLong(n) => write!(f, "a frame of {n} bytes is over the limit"),
            Self::Unknown(n) => write!(f, "unknown kind or code {n}"),
            Self::BadLength => f.write_str("a frame's payload has a wrong length"),
            Self::BadMagic => f.write_str("the answer does not begin with a hello frame"),
            Self::BadVersion(v) => write!(f, "the helper speaks version {v}, this library {VERSION}"),
            Self::OutOfOrder => f.write_str("a frame is missing, doubled or out of order"),
            Self::BadCount => f.write_str("the end frame's counts are not those of the frames"),
            Self::TooManyBytes => f.write_str("more data than was asked for"),
            Self::TooManyEntries => f.write_str("more entries than were asked for"),
            Self::TooManyFrames => f.write_str("more frames than an answer can have"),
        }
    }
}

impl core::error::Error for WireError {}
