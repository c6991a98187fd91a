//! Pieces of lines into lines: each stream has one line at a time.

use super::{Entry, Piece, Stream};

#[derive(Debug, Clone)]
pub(super) struct Joiner {
    longest: usize,
    /// The line that has no end yet, of each stream.
    waiting: [Option<Entry>; 3],
}

impl Joiner {
    pub(super) fn new(longest: usize) -> Self {
        Self { longest, waiting: [const { None }; 3] }
    }

    pub(super) fn add(&mut self, piece: Piece<'_>, entries: &mut Vec<Entry>) {
        let Piece { time, stamp, stream, text, ends } = piece;
        let longest = self.longest;
        let place = self.place(stream);
        let mut entry = place.take().unwrap_or(Entry {
            time,
            stamp,
            stream,
            bytes: Vec::new(),
            truncated: false,
            malformed: false,
        });
        let room = longest.saturating_sub(entry.bytes.len());
        entry.truncated |= text.len() > room;
        if entry.bytes.is_empty() && text.len() <= room {
            entry.bytes = text.into_owned();
        } else {
            entry.bytes.extend_from_slice(text.get(..room).unwrap_or(&text));
        }
        if ends {
            entries.push(entry);
        } else {
            *place = Some(entry);
        }
    }

    /// A line of which only the start was kept.
    pub(super) fn cut(&mut self, start: &[u8], entries: &mut Vec<Entry>) {
        let piece = Piece {
            time: None,
            stamp: String::new(),
            stream: Stream::Unknown,
            text: start.into(),
            ends: true,
        };
        self.add(piece, entries);
        if let Some(entry) = entries.last_mut() {
            entry.truncated = true;
        }
    }

    /// Whatever waits for its end.
    pub(super) fn finish(&mut self, entries: &mut Vec<Entry>) {
        entries.extend(self.waiting.iter_mut().filter_map(Option::take));
    }

    fn place(&mut self, stream: Stream) -> &mut Option<Entry> {
        let [stdout, stderr, unknown] = &mut self.waiting;
        match stream {
            Stream::Stdout => stdout,
            Stream::Stderr => stderr,
            Stream::Unknown => unknown,
        }
    }
}
