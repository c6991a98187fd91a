//! Looking for texts in a file: only what is around them is sent.
//!
//! The file is read in pieces into one window, which keeps of what was seen as much as a place may have before its text.

use std::os::fd::{AsFd as _, OwnedFd};

use portolan_wire::code::Stage;
use portolan_wire::frame::{Place, Stat};
use portolan_wire::request::Find;

use crate::answer::{Answer, Fault, Whole};
use crate::enter::Inside;
use crate::{open, sys};

/// As much is read at once.
const PIECE: usize = 32 * 1024;

pub(crate) fn places(inside: &Inside, path: &[u8], find: &Find, answer: &mut Answer) -> Result<Whole, Fault> {
    let (file, stat) = open::regular(inside, path)?;
    let result = search(&file, stat, find, answer);
    answer.hold(file);
    result
}

fn search(file: &OwnedFd, stat: Stat, find: &Find, answer: &mut Answer) -> Result<Whole, Fault> {
    answer.stat(Stat { offset: find.offset, ..stat })?;
    let probes = Probe::of(&find.texts);
    let (before, after) = (length(find.before), length(find.after));
    // A newline before a text is looked at, whether it is sent or not.
    let kept_before = before.max(1);
    let room = PIECE.saturating_add(kept_before).saturating_add(after);
    let expected = usize::try_from(stat.size.saturating_sub(find.offset).saturating_add(1)).unwrap_or(room);
    let mut window = vec![0_u8; if stat.size == 0 { room } else { expected.clamp(2, room) }];
    let end = find.offset.saturating_add(find.max_looked);
    // Where in the file the window begins; how much of it is filled; where in it the search goes on.
    let (mut start, mut filled, mut from) = (find.offset, 0_usize, 0_usize);
    let mut left = find.max_places.min(answer.entries_left());
    let whole = |truncated| Whole { size: stat.size, truncated };
    loop {
        answer.in_time(Stage::Read)?;
        let at = start.saturating_add(long(filled));
        let allowed = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
        let into = window.get_mut(filled..).unwrap_or(&mut []);
        let wanted = into.len().min(allowed);
        let got = match sys::read_at(file.as_fd(), into.get_mut(..wanted).unwrap_or(&mut []), at) {
            // A file that knows no positions is read from where it stands.
            Err(sys::Errno(libc::ESPIPE)) => {
                sys::read(file.as_fd(), into.get_mut(..wanted).unwrap_or(&mut []))
            }
            other => other,
        };
        let got = got.map_err(|errno| Fault::of_errno(Stage::Read, errno))?;
        filled = filled.saturating_add(got);
        let now = start.saturating_add(long(filled));
        // A regular file gives all that it has, so that a short read is its end.
        let ended = got == 0 || (got < wanted && stat.size > 0 && now >= stat.size) || now >= end;
        let seen = window.get(..filled).unwrap_or(&[]);
        // A text further on may have its end, or what is sent with it, in the next piece.
        let until = if ended { filled } else { filled.saturating_sub(after) };
        let mut hits = Hits { probes: &probes, texts: &find.texts, next: vec![Some(from); probes.len()] };
        while let Some((at, text)) = hits.next(seen, until, |at| {
            let first = at == 0 && start == 0;
            !find.at_lines || first || at.checked_sub(1).is_some_and(|at| seen.get(at) == Some(&b'\n'))
        }) {
            let first = at.saturating_sub(before);
            let last = at.saturating_add(after).min(filled);
            let bytes = seen.get(first..last).unwrap_or(&[]);
            let budget = find.max_bytes.saturating_sub(answer.bytes_of_operation()).min(answer.bytes_left());
            if left == 0 || long(bytes.len()) > budget {
                return Ok(whole(true));
            }
            left = left.saturating_sub(1);
            let offset = start.saturating_add(long(first));
            let (at, text) = (at.saturating_sub(first), u16::try_from(text).unwrap_or(u16::MAX));
            answer.place(Place { offset, at: u32::try_from(at).unwrap_or(0), text, bytes })?;
            // Whoever wants one place wants no more to be read.
            if left == 0 {
                return Ok(whole(true));
            }
        }
        if ended {
            // Of a file that knows no size it is not known whether it goes on.
            let more = stat.size > now || (stat.size == 0 && got == wanted);
            return Ok(whole(now >= end && more));
        }
        let drop = until.saturating_sub(kept_before);
        window.copy_within(drop..filled, 0);
        (start, filled) = (start.saturating_add(long(drop)), filled.saturating_sub(drop));
        from = until.saturating_sub(drop).max(from.saturating_sub(drop));
    }
}

fn length(n: u32) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

fn long(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

/// Texts that begin alike, and the byte by which they are searched for.
struct Probe {
    /// What all of them begin with.
    begin: Vec<u8>,
    /// The byte of that which is the rarest in most files, and where it is.
    rare: u8,
    at: usize,
    /// The texts' numbers, the longest first.
    texts: Vec<usize>,
    /// Which bytes may follow what all begin with; all may when one of the texts is just that.
    follows: Option<[bool; 256]>,
}

impl Probe {
    /// One for all texts when they begin alike, otherwise one for each.
    fn of(texts: &[Vec<u8>]) -> Vec<Self> {
        let mut begin = texts.first().map(Vec::as_slice).unwrap_or_default();
        for text in texts {
            let alike = begin.iter().zip(text).take_while(|(a, b)| a == b).count();
            begin = begin.get(..alike).unwrap_or(&[]);
        }
        let all = (0..texts.len()).collect::<Vec<_>>();
        if begin.is_empty() {
            let each = texts.iter().zip(all);
            each.map(|(text, number)| Self::new(text, vec![number], texts)).collect()
        } else {
            let mut longest_first = all;
            longest_first.sort_by_key(|number| std::cmp::Reverse(texts.get(*number).map_or(0, Vec::len)));
            vec![Self::new(begin, longest_first, texts)]
        }
    }

    fn new(begin: &[u8], texts: Vec<usize>, all: &[Vec<u8>]) -> Self {
        let rarest = begin.iter().copied().enumerate().min_by_key(|(_, b)| frequency(*b));
        let (at, rare) = rarest.unwrap_or((0, 0));
        let mut follows = Some([false; 256]);
        for number in &texts {
            let next = all.get(*number).and_then(|text| text.get(begin.len()));
            match (next, &mut follows) {
                (Some(next), Some(set)) => {
                    if let Some(slot) = set.get_mut(usize::from(*next)) {
                        *slot = true;
                    }
                }
                _ => follows = None,
            }
        }
        Self { begin: begin.to_vec(), rare, at, texts, follows }
    }

    /// Whether one of the texts may be here: quickly, because it is asked of each rare byte.
    fn may_be(&self, rest: &[u8]) -> bool {
        if rest.first() != self.begin.first() || rest.get(1) != self.begin.get(1).or(rest.get(1)) {
            return false;
        }
        let next = || rest.get(self.begin.len()).map_or(0, |next| usize::from(*next));
        self.follows.as_ref().is_none_or(|set| set.get(next()) == Some(&true))
            && rest.starts_with(&self.begin)
    }
}

/// How often a byte comes, roughly, in texts and in programs: only time depends on it.
fn frequency(byte: u8) -> u8 {
    match byte {
        b'A' | b'D' | b'E' | b'H' | b'L' => 4,
        b'A'..=b'Z' | b'@'..=b'~' if !byte.is_ascii_lowercase() => 0,
        b'!'..=b'/' | b':'..=b'?' => 1,
        b'j' | b'k' | b'q' | b'v' | b'w' | b'x' | b'y' | b'z' => 2,
        b'0'..=b'9' => 3,
        b'a'..=b'z' => 5,
        0 | 0xff | b' ' | b'\n' => 7,
        _ => 6,
    }
}

/// The places in a window, in their order.
struct Hits<'a> {
    probes: &'a [Probe],
    texts: &'a [Vec<u8>],
    /// For each probe, where its search goes on; `None` once it has found all.
    next: Vec<Option<usize>>,
}

impl Hits<'_> {
    /// The next place that begins before `until` and that counts, and which text is there.
    fn next(&mut self, seen: &[u8], until: usize, counts: impl Fn(usize) -> bool) -> Option<(usize, usize)> {
        let mut best: Option<(usize, usize, usize)> = None;
        for (which, (probe, next)) in self.probes.iter().zip(&mut self.next).enumerate() {
            let Some(from) = *next else { continue };
            let found = probe.find(seen, from, until, self.texts, &counts);
            // It is looked for again from there, unless it is the one that is told.
            *next = found.map(|(at, _)| at);
            if let Some((at, text)) = found
                && best.is_none_or(|(nearest, ..)| at < nearest)
            {
                best = Some((at, text, which));
            }
        }
        let (at, text, which) = best?;
        if let Some(next) = self.next.get_mut(which) {
            *next = Some(at.saturating_add(1));
        }
        Some((at, text))
    }
}

impl Probe {
    fn find(
        &self,
        seen: &[u8],
        from: usize,
        until: usize,
        texts: &[Vec<u8>],
        counts: &impl Fn(usize) -> bool,
    ) -> Option<(usize, usize)> {
        let end = until.saturating_add(self.at).min(seen.len());
        let mut from = from.saturating_add(self.at);
        loop {
            let hit = from.saturating_add(sys::byte_in(seen.get(from..end)?, self.rare)?);
            from = hit.saturating_add(1);
            let at = hit.saturating_sub(self.at);
            let rest = seen.get(at..).unwrap_or(&[]);
            if !self.may_be(rest) || !counts(at) {
                continue;
            }
            let fits = |number: &&usize| texts.get(**number).is_some_and(|text| rest.starts_with(text));
            if let Some(number) = self.texts.iter().find(fits) {
                return Some((at, *number));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8], texts: &[&[u8]], lines: bool) -> Vec<(usize, usize)> {
        let texts: Vec<Vec<u8>> = texts.iter().map(|text| text.to_vec()).collect();
        let probes = Probe::of(&texts);
        let mut hits = Hits { probes: &probes, texts: &texts, next: vec![Some(0); probes.len()] };
        let counts = |at: usize| !lines || at.checked_sub(1).is_none_or(|at| bytes[at] == b'\n');
        std::iter::from_fn(|| hits.next(bytes, bytes.len(), counts)).collect()
    }

    /// What the search is to give, without any cleverness.
    fn plainly(bytes: &[u8], texts: &[&[u8]], lines: bool) -> Vec<(usize, usize)> {
        let longest = |at: usize| {
            let fits = texts.iter().enumerate().filter(|(_, text)| bytes[at..].starts_with(text));
            // Of two that are equal the first.
            fits.max_by_key(|(number, text)| (text.len(), std::cmp::Reverse(*number)))
                .map(|(number, _)| number)
        };
        let counts = |at: &usize| !lines || at.checked_sub(1).is_none_or(|at| bytes[at] == b'\n');
        (0..bytes.len()).filter(counts).filter_map(|at| longest(at).map(|text| (at, text))).collect()
    }

    #[test]
    fn places_are_found_as_one_would_by_hand() {
        let file =
            b"Package: a\nVersion: 1\n\nPackage: ab\nDescription: Package: a\n Package: a\n\nPackage: abc";
        let sets: [&[&[u8]]; 6] = [
            &[b"Package: a"],
            &[b"Package: a", b"Package: abc", b"Package: ab"],
            &[b"Version", b"Package: a", b"\n"],
            &[b"a"],
            &[b"aa"],
            &[b"Package: abcd", b"none"],
        ];
        for texts in sets {
            for lines in [false, true] {
                assert_eq!(all(file, texts, lines), plainly(file, texts, lines), "{texts:?} {lines}");
            }
        }
        assert_eq!(all(b"aaaa", &[b"aa"], false), [(0, 0), (1, 0), (2, 0)]);
        assert_eq!(all(b"", &[b"a"], true), []);
    }
}
