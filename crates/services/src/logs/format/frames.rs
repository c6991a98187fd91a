//! Records out of a stream of bytes, by what separates them.

use super::{Format, export};

/// JSON can take six bytes for one, and a record has more in it than its text.
const BLOW_UP: usize = 6;
const MORE: usize = 64 * 1024;

#[derive(Debug, Clone, Copy)]
pub(super) enum Frame<'a> {
    /// A record.
    Record(&'a [u8]),
    /// The start of a record that is too long to keep; its rest is passed over.
    Cut(&'a [u8]),
    /// What is not of the format.
    Garbage(&'a [u8]),
}

#[derive(Debug, Clone)]
pub(super) struct Frames {
    format: Format,
    /// The longest record, in bytes.
    longest: usize,
    waiting: Vec<u8>,
    /// The rest of a record is passed over.
    passing: bool,
}

impl Frames {
    pub(super) fn new(format: Format, longest: usize) -> Self {
        let longest = match format {
            Format::Raw => longest,
            _ => longest.saturating_mul(BLOW_UP).saturating_add(MORE),
        };
        Self { format, longest, waiting: Vec::new(), passing: false }
    }

    pub(super) fn push(&mut self, bytes: &[u8], each: impl FnMut(Frame<'_>)) {
        match self.format {
            Format::Local => self.records(bytes, false, each),
            Format::Journal => self.entries(bytes, each),
            Format::JsonFile | Format::Cri | Format::Raw => self.lines(bytes, each),
        }
    }

    /// What waits for its end, which does not come. A length that is wrong can have kept whole records waiting.
    pub(super) fn finish(&mut self, mut each: impl FnMut(Frame<'_>)) {
        match self.format {
            Format::Local => self.records(&[], true, each),
            // Whoever wrote bytes without a newline meant them.
            Format::Raw if !self.waiting.is_empty() => each(Frame::Record(&self.waiting)),
            _ if !self.waiting.is_empty() => each(Frame::Garbage(&self.waiting)),
            _ => {}
        }
        self.clear();
    }

    /// How much waits, in bytes.
    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.waiting.len()
    }

    pub(super) fn clear(&mut self) {
        self.waiting.clear();
        self.passing = false;
    }

    fn lines(&mut self, bytes: &[u8], mut each: impl FnMut(Frame<'_>)) {
        for part in bytes.split_inclusive(|b| *b == b'\n') {
            let (text, ends) = part.strip_suffix(b"\n").map_or((part, false), |text| (text, true));
            if !self.passing {
                let room = self.longest.saturating_sub(self.waiting.len());
                if text.len() > room {
                    self.waiting.extend_from_slice(text.get(..room).unwrap_or(text));
                    each(Frame::Cut(&self.waiting));
                    self.passing = true;
                } else if !ends {
                    self.waiting.extend_from_slice(text);
                } else if self.waiting.is_empty() {
                    each(Frame::Record(text));
                } else {
                    self.waiting.extend_from_slice(text);
                    each(Frame::Record(&self.waiting));
                }
            }
            if ends {
                self.passing = false;
            }
            if ends || self.passing {
                self.waiting.clear();
            }
        }
    }

    /// Length, record, and the length again. Where they do not fit, the next place is looked for where they do.
    fn records(&mut self, bytes: &[u8], last: bool, mut each: impl FnMut(Frame<'_>)) {
        self.waiting.extend_from_slice(bytes);
        let waiting = std::mem::take(&mut self.waiting);
        let (mut at, mut garbage) = (0_usize, if self.passing { Some(0_usize) } else { None });
        while let Some(rest) = waiting.get(at..) {
            match record(rest, self.longest) {
                Found::Record(record, whole) => {
                    // Said once, however long it is and in however many pieces it comes.
                    if let Some(start) = garbage.take().filter(|_| !self.passing) {
                        each(Frame::Garbage(waiting.get(start..at).unwrap_or(&[])));
                    }
                    self.passing = false;
                    each(Frame::Record(record));
                    at = at.saturating_add(whole);
                }
                Found::Incomplete if !last || rest.is_empty() => break,
                Found::Garbage | Found::Incomplete => {
                    garbage = garbage.or(Some(at));
                    at = at.saturating_add(1);
                }
            }
        }
        if let Some(start) = garbage.filter(|start| *start < at && !self.passing) {
            each(Frame::Garbage(waiting.get(start..at).unwrap_or(&[])));
            self.passing = true;
        }
        self.waiting = waiting.get(at..).unwrap_or(&[]).to_vec();
    }

    fn entries(&mut self, bytes: &[u8], mut each: impl FnMut(Frame<'_>)) {
        self.waiting.extend_from_slice(bytes);
        let waiting = std::mem::take(&mut self.waiting);
        let mut at = 0_usize;
        while let Some(length) = waiting.get(at..).and_then(export::end) {
            let to = at.saturating_add(length);
            each(Frame::Record(waiting.get(at..to).unwrap_or(&[])));
            at = to;
        }
        let rest = waiting.get(at..).unwrap_or(&[]);
        if rest.len() > self.longest {
            each(Frame::Cut(rest.get(..self.longest).unwrap_or(rest)));
        } else {
            self.waiting = rest.to_vec();
        }
    }
}

enum Found<'a> {
    Record(&'a [u8], usize),
    Garbage,
    Incomplete,
}

fn record(bytes: &[u8], longest: usize) -> Found<'_> {
    let Some(length) = bytes.first_chunk::<4>() else { return Found::Incomplete };
    let number = u32::from_be_bytes(*length);
    let Some(size) = usize::try_from(number).ok().filter(|size| (1..=longest).contains(size)) else {
        return Found::Garbage;
    };
    let rest = bytes.get(4..).unwrap_or(&[]);
    let Some((record, after)) = rest.split_at_checked(size) else { return Found::Incomplete };
    match after.first_chunk::<4>() {
        Some(again) if again == length => Found::Record(record, size.saturating_add(8)),
        Some(_) => Found::Garbage,
        None => Found::Incomplete,
    }
}
