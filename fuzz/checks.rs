//! What must hold for any input whatsoever. The fuzz targets call these with inputs of their own making, and
//! `crates/wire/tests/seeds.rs` with the files in `seeds` and `regressions`. A check panics when it fails.
#![allow(dead_code)] // each fuzz target calls one of them

mod reference;
mod stream;

use portolan_wire::code::FileSystem;
use portolan_wire::decoder::Decoder;
use portolan_wire::frame::{Frame, Writer};
use portolan_wire::ids::Ids;
use portolan_wire::limits::{
    Limits, MAX_ALTERNATIVES, MAX_DEPTH, MAX_OPERATIONS, MAX_PATH, MAX_RANGES, MAX_REQUEST,
};
use portolan_wire::pattern::Pattern;
use portolan_wire::request::Request;
use portolan_wire::{WireError, mountinfo};

/// Five bytes: how many operations, bytes by 64, entries, how to cut the stream into pieces, and whether the rest is
/// the stream itself (0) or a script that makes one.
pub(crate) fn decoder(input: &[u8]) {
    let [operations, bytes, max_entries, cuts, made, rest @ ..] = input else { return };
    let limits = Limits { max_bytes: u64::from(*bytes) * 64, max_entries: u64::from(*max_entries) };
    let operations = u16::from(*operations);
    let stream = if *made == 0 { rest.to_vec() } else { stream::from_script(rest) };
    let whole = decoded(&stream, limits, operations, 0);
    assert_eq!(whole, decoded(&stream, limits, operations, *cuts), "pieces make a difference");
}

/// Decodes a stream in pieces (in one, when `cuts` is 0); gives the bytes of the frames that came, and how it ended.
fn decoded(stream: &[u8], limits: Limits, operations: u16, cuts: u8) -> (Vec<u8>, Result<bool, WireError>) {
    let mut decoder = Decoder::with_operations(limits, operations);
    let mut seen = Seen::default();
    let mut rest = stream;
    let mut random = u32::from(cuts);
    let ended = loop {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let size = if cuts == 0 { rest.len() } else { (random >> 24) as usize % (1 + usize::from(cuts)) };
        let (piece, after) = rest.split_at(size.min(rest.len()));
        rest = after;
        let took = decoder.push(piece).and_then(|()| {
            while let Some(frame) = decoder.next_frame()? {
                seen.frame(&frame, limits, operations);
            }
            Ok(decoder.is_complete())
        });
        if took.is_err() || rest.is_empty() {
            break took;
        }
    };
    assert!(stream.starts_with(&seen.bytes), "the frames are not those that came");
    match ended {
        Err(error) => {
            for _ in 0..2 {
                assert_eq!(decoder.next_frame(), Err(error));
                assert_eq!(decoder.push(b"x"), Err(error));
            }
            assert!(!decoder.is_complete());
        }
        Ok(complete) => {
            assert_eq!(
                complete,
                seen.is_last(operations),
                "complete when the last frame came, and only then"
            );
            assert!(!complete || seen.bytes == stream);
            if complete {
                assert_eq!((decoder.push(b""), decoder.next_frame()), (Ok(()), Ok(None)));
                assert!(decoder.is_complete() && decoder.push(b"x").is_err() && !decoder.is_complete());
            }
        }
    }
    (seen.bytes, ended)
}

/// The frames that a decoder gave out, told again.
#[derive(Default)]
struct Seen {
    writer: Writer,
    bytes: Vec<u8>,
    frames: u64,
    data: u64,
    entries: u64,
    /// Bytes and entries of the operation under way, and bytes of the file.
    operation: (u64, u64),
    file: u64,
    answered: u16,
    refused: bool,
}

impl Seen {
    fn frame(&mut self, frame: &Frame<'_>, limits: Limits, operations: u16) {
        assert!(!self.is_last(operations), "{frame:?} after the last frame");
        assert_eq!(matches!(frame, Frame::Hello(_)), self.frames == 0);
        match frame {
            Frame::Data(data) => {
                for sum in [&mut self.data, &mut self.operation.0, &mut self.file] {
                    *sum += data.len() as u64;
                }
            }
            Frame::Entry(entry) => {
                assert!(!entry.path.is_empty() && entry.path.len() <= MAX_PATH && !entry.path.contains(&0));
                self.entries += 1;
                self.operation.1 += 1;
            }
            Frame::End(end) => assert_eq!((end.bytes, end.entries), self.operation),
            Frame::FileEnd(end) => assert_eq!((end.bytes, end.entries), (self.file, 0)),
            Frame::Refused(_) => {
                assert_eq!(self.frames, 1);
                self.refused = true;
            }
            _ => {}
        }
        if !matches!(frame, Frame::Data(_) | Frame::Entry(_)) {
            self.file = 0;
        }
        if matches!(frame, Frame::End(_) | Frame::Error(_)) {
            (self.answered, self.operation) = (self.answered + 1, (0, 0));
        }
        self.frames += 1;
        assert!(self.data <= limits.max_bytes && self.entries <= limits.max_entries);
        assert!(self.frames <= limits.max_frames(operations));
        assert_eq!(self.writer.frame(&mut self.bytes, frame), Ok(()));
    }

    fn is_last(&self, operations: u16) -> bool {
        self.refused || (self.answered == operations && operations > 0)
    }
}

/// A request: it has one form only.
pub(crate) fn request(input: &[u8]) {
    let Ok(request) = Request::parse(input) else { return };
    assert!(input.len() <= MAX_REQUEST && request.operations.len() <= MAX_OPERATIONS);
    for operation in &request.operations {
        let path = &operation.path;
        assert!(path.starts_with(b"/") && path.len() <= MAX_PATH && !path.contains(&0));
    }
    if let Some(ids) = &request.ids {
        assert!(ids.users.len() <= MAX_RANGES && ids.groups.len() <= MAX_RANGES);
    }
    let again = request.to_bytes();
    assert_eq!(again.as_deref(), Ok(input));
    assert!(Request::parse(&[input, b"\0"].concat()).is_err());
    // Quadratic, so for short ones.
    for end in 0..input.len().min(256) {
        assert!(Request::parse(&input[..end]).is_err(), "cut off at {end}");
    }
}

/// A byte for the number of a mount, then the text.
pub(crate) fn mountinfo(input: &[u8]) {
    let Some((mount, text)) = input.split_first() else { return };
    let mount = u64::from(*mount);
    let found = mountinfo::type_of(text, mount);
    let expected = match found.map(FileSystem::of_type) {
        None => Err(FileSystem::Unknown),
        Some(kind) => kind.map_or(Ok(()), Err),
    };
    assert_eq!(mountinfo::verdict(text, mount), expected);
    let Some(found) = found else { return };
    let says = |line: &[u8]| {
        let words: Vec<&[u8]> = line.split(|b| *b == b' ').collect();
        let number = std::str::from_utf8(words[0]).ok().and_then(|n| n.parse().ok());
        let dash = (6..words.len()).find(|at| words[*at] == b"-");
        number == Some(mount) && dash.and_then(|at| words.get(at + 1)) == Some(&found)
    };
    assert!(text.split(|b| *b == b'\n').any(says), "no line of mount {mount} says so");
    assert!(!found.is_empty() && !found.iter().any(|b| b" \n".contains(b)));
}

/// A pattern, then paths, each after a NUL. That no pattern takes long is for the fuzzer's own clock to see.
pub(crate) fn pattern(input: &[u8]) {
    assert!(!input.contains(&0) || Pattern::parse(input).is_err());
    let mut parts = input.split(|b| *b == 0);
    let text = parts.next().unwrap_or_default();
    let parsed = Pattern::parse(text);
    if let Ok(pattern) = &parsed {
        assert!((1..=MAX_ALTERNATIVES).contains(&pattern.alternatives().len()));
        assert!(pattern.alternatives().iter().all(|a| a.segments.len() <= MAX_DEPTH));
    }
    for path in parts.take(4) {
        if let Ok(pattern) = &parsed {
            let matches = pattern.matches(path);
            if let Some(expected) = (text.len() <= 128).then(|| reference::matches(text, path)).flatten() {
                assert_eq!(matches, expected, "{} on {}", text.escape_ascii(), path.escape_ascii());
            }
        }
        // A path whose wildcards are escaped matches itself.
        let special = |b: &u8| b"\\*?[]{}".contains(b);
        let plain: Vec<u8> =
            path.iter().flat_map(|b| special(b).then_some(b'\\').into_iter().chain([*b])).collect();
        if path.starts_with(b"/")
            && plain.len() <= MAX_PATH
            && path.split(|b| *b == b'/').count() <= MAX_DEPTH
        {
            let matches = Pattern::parse(&plain).map(|plain| plain.matches(path));
            assert_eq!(matches, Ok(true), "{}", path.escape_ascii());
        }
    }
}

/// The map of users, then that of groups after a NUL.
pub(crate) fn ids(input: &[u8]) {
    let at = input.iter().position(|b| *b == 0).unwrap_or(input.len());
    let (users, groups) = (&input[..at], input.get(at + 1..).unwrap_or_default());
    let Ok(ids) = Ids::parse(users, groups) else { return };
    for (ranges, text) in [(&ids.users, users), (&ids.groups, groups)] {
        let lines = String::from_utf8_lossy(text).lines().count();
        assert!(ranges.len() == lines && lines <= MAX_RANGES);
    }
    let within = |ranges: &[(u32, u32)], id: u32| {
        let id = u64::from(id);
        ranges
            .iter()
            .any(|(first, count)| (u64::from(*first)..u64::from(*first) + u64::from(*count)).contains(&id))
    };
    let edges = ids.users.iter().chain(&ids.groups).take(16).flat_map(|(first, count)| {
        let past = first.wrapping_add(*count);
        [first.wrapping_sub(1), *first, past.wrapping_sub(1), past]
    });
    let probes: Vec<u32> = edges.chain([0, u32::MAX]).collect();
    for user in &probes {
        for group in &probes {
            let both = within(&ids.users, *user) && within(&ids.groups, *group);
            assert_eq!(ids.holds(*user, *group), both, "{user} {group}");
            // The last number is no id (`chown(2)` takes it for none).
            assert!(!ids.holds_all() || both || [*user, *group].contains(&u32::MAX));
        }
    }
}
