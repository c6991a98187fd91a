//! Every limit of the protocol in one place.
//!
//! The helper obeys them; the reader enforces them, because the helper may have been taken over.

/// The longest payload of one frame, in bytes.
pub const MAX_PAYLOAD: u32 = 64 * 1024;
/// The longest path or pattern, in bytes: `PATH_MAX` less the final NUL (see `path_resolution(7)`).
pub const MAX_PATH: usize = 4095;
/// A file is read up to this many bytes unless the caller says otherwise: 200 KiB.
pub const DEFAULT_MAX_BYTES: u64 = 200 * 1024;
/// A glob gives up to this many paths unless the caller says otherwise.
pub const DEFAULT_MAX_ENTRIES: u64 = 10_000;
/// How deep a pattern, `**` included, may descend.
pub const MAX_DEPTH: usize = 64;
/// How many patterns the braces of one pattern may stand for.
pub const MAX_ALTERNATIVES: usize = 64;
/// A request is answered within this many milliseconds unless the caller says otherwise.
pub const DEFAULT_TIMEOUT_MS: u64 = 2000;

/// The longest request in bytes: one message on the helper's socket.
pub const MAX_REQUEST: usize = 128 * 1024;
/// The most operations of one request.
pub const MAX_OPERATIONS: usize = 1024;
/// The most lines of a `uid_map` (see `user_namespaces(7)`).
pub const MAX_RANGES: usize = 340;
/// The most texts of one `find`.
pub const MAX_TEXTS: usize = 64;
/// The longest of them, in bytes.
pub const MAX_TEXT: usize = 255;
/// The most bytes that are sent of one place where a text was found.
pub const MAX_AROUND: u32 = 32 * 1024;

/// What a reader accepts of one answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes in all data frames together.
    pub max_bytes: u64,
    /// Entry frames.
    pub max_entries: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bytes: DEFAULT_MAX_BYTES, max_entries: DEFAULT_MAX_ENTRIES }
    }
}

impl Limits {
    /// Frames of any kind: three for each entry (a file that was included has two more, and its data), twice as
    /// many data frames as full ones would need (a file that is written while it is read comes in small pieces),
    /// four for each operation, and a few for the rest.
    #[must_use]
    pub fn max_frames(&self, operations: u16) -> u64 {
        (self.max_bytes / 2048)
            .saturating_add(self.max_entries.saturating_mul(4))
            .saturating_add(u64::from(operations).saturating_mul(4))
            .saturating_add(64)
    }
}
