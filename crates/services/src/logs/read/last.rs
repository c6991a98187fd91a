//! Where the last lines begin: the end of the newest file is decoded, then more of it, then the files before it, until
//! there are enough.

use std::collections::VecDeque;
use std::io;

use super::Options;
use super::file::Opened;
use crate::logs::format::{Decoder, Entry, Format};

/// So many bytes before the end are tried first.
const WINDOW: u64 = 64 * 1024;
/// Each time so much more.
const GROWTH: u64 = 4;
/// But no more than so many times what may be kept: a line can be as long as its writer likes.
const MOST: u64 = 8;
/// Lines of which we see only the end can be the first of each stream: so many more than are wanted have to be there.
const MARGIN: usize = 2;

/// What to begin with.
#[derive(Debug)]
pub(super) struct Beginning {
    /// The files that are still to be read, the oldest first.
    pub(super) files: VecDeque<Opened>,
    pub(super) decoder: Decoder,
    pub(super) entries: Vec<Entry>,
    /// At most so many lines were asked for and are not kept.
    pub(super) left_out: u64,
    /// Whether there are as many as were asked for.
    pub(super) whole: bool,
}

/// Begins with the last lines of these files, the newest first.
pub(super) fn last(mut files: Vec<Opened>, decoder: &Decoder, options: &Options) -> io::Result<Beginning> {
    let Some(lines) = options.lines else {
        // All of them: they are read like what comes later.
        let (files, decoder) = (files.into_iter().rev().collect(), decoder.clone());
        return Ok(Beginning { files, decoder, entries: Vec::new(), left_out: 0, whole: false });
    };
    let wanted = usize::try_from(lines).unwrap_or(usize::MAX);
    let (mut oldest, mut window) = (0_usize, WINDOW);
    loop {
        let size = files.get(oldest).map_or(0, Opened::size);
        let start = size.saturating_sub(window);
        let mut kept = Kept::new(wanted, options);
        let mut decoder = decoder.clone();
        for (place, file) in files.iter_mut().enumerate().take(oldest.saturating_add(1)).rev() {
            let from = if place == oldest { start } else { 0 };
            decode(file, from, decoder.format(), &mut decoder, &mut kept)?;
        }
        let enough = kept.seen >= wanted.saturating_add(MARGIN);
        let most = u64::try_from(options.max_bytes).unwrap_or(u64::MAX).saturating_mul(MOST);
        if !enough && start > 0 && window < most {
            window = window.saturating_mul(GROWTH);
        } else if !enough && start == 0 && oldest.saturating_add(1) < files.len() {
            (oldest, window) = (oldest.saturating_add(1), WINDOW);
        } else {
            let whole = kept.seen >= wanted;
            // Those before the newest were read to their ends.
            files.truncate(1);
            // Further back nobody looked: all that are missing may be there.
            let there = if enough || start == 0 { kept.seen } else { usize::MAX };
            let (entries, left_out) = kept.into_entries(there);
            return Ok(Beginning { files: files.into(), decoder, entries, left_out, whole });
        }
    }
}

/// Decodes a file from some place to its present end.
fn decode(
    file: &mut Opened,
    from: u64,
    format: Format,
    decoder: &mut Decoder,
    kept: &mut Kept,
) -> io::Result<()> {
    let end = file.size();
    file.seek(from);
    // A record that began before is not whole.
    let mut cut = from > 0 && (format == Format::Local || file.byte_before(from) != Some(b'\n'));
    let mut left = usize::try_from(end.saturating_sub(from)).unwrap_or(usize::MAX);
    while left > 0 {
        let bytes = file.read(left)?;
        if bytes.is_empty() {
            break;
        }
        left = left.saturating_sub(bytes.len());
        let mut bytes = bytes.as_slice();
        if cut && format != Format::Local {
            let Some(newline) = bytes.iter().position(|b| *b == b'\n') else { continue };
            bytes = bytes.get(newline.saturating_add(1)..).unwrap_or(&[]);
            cut = false;
        }
        for entry in decoder.push(bytes) {
            // The decoder finds the next record by itself, and tells what it passed over first.
            if std::mem::take(&mut cut) && entry.malformed {
                continue;
            }
            kept.add(entry);
        }
    }
    Ok(())
}

/// The last entries, as many as were asked for and may be kept.
struct Kept {
    wanted: usize,
    stream: Option<super::Stream>,
    room: usize,
    bytes: usize,
    entries: VecDeque<Entry>,
    seen: usize,
}

impl Kept {
    fn new(wanted: usize, options: &Options) -> Self {
        let room = options.max_bytes.max(options.longest);
        Self { wanted, stream: options.stream, room, bytes: 0, entries: VecDeque::new(), seen: 0 }
    }

    fn add(&mut self, entry: Entry) {
        if self.stream.is_some_and(|stream| stream != entry.stream) {
            return;
        }
        self.seen = self.seen.saturating_add(1);
        self.bytes = self.bytes.saturating_add(cost(&entry));
        self.entries.push_back(entry);
        while self.entries.len() > self.wanted || self.bytes > self.room && self.entries.len() > 1 {
            let Some(first) = self.entries.pop_front() else { break };
            self.bytes = self.bytes.saturating_sub(cost(&first));
        }
    }

    /// With how many are left out of those that were asked for.
    fn into_entries(self, there: usize) -> (Vec<Entry>, u64) {
        let left_out = there.min(self.wanted).saturating_sub(self.entries.len());
        (self.entries.into(), u64::try_from(left_out).unwrap_or(u64::MAX))
    }
}

/// What an entry takes, in bytes.
fn cost(entry: &Entry) -> usize {
    entry.bytes.len().saturating_add(entry.stamp.len()).saturating_add(size_of::<Entry>())
}
