//! A helper that was taken over writes what it likes: the decoder must refuse it, soon, and hold little.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use portolan_wire::WireError::{self, BadCount, BadLength, BadMagic, BadVersion, OutOfOrder};
use portolan_wire::code::{ErrorCode, FileKind, LimitKind, Stage};
use portolan_wire::decoder::Decoder;
use portolan_wire::frame::{End, Entry, Failure, Frame, Hello, Place, Writer};
use portolan_wire::limits::Limits;
use portolan_wire::{frame, request};

fn stream(frames: &[Frame<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::default();
    for frame in frames {
        writer.frame(&mut bytes, frame).unwrap();
    }
    bytes
}

fn outcome_of(bytes: &[u8], limits: Limits, operations: u16) -> Result<bool, WireError> {
    let mut decoder = Decoder::with_operations(limits, operations);
    for piece in bytes.chunks(1000) {
        decoder.push(piece)?;
        while decoder.next_frame()?.is_some() {}
    }
    Ok(decoder.is_complete())
}

fn outcome(bytes: &[u8], limits: Limits) -> Result<bool, WireError> {
    outcome_of(bytes, limits, 1)
}

/// Of frames, with the usual limits.
fn verdict(frames: &[Frame<'_>], operations: u16) -> Result<bool, WireError> {
    outcome_of(&stream(frames), Limits::default(), operations)
}

const HELLO: Frame<'static> = Frame::Hello(Hello {
    posture: 0,
    seccomp: 0,
    landlock: 0,
    effective: 0,
    bounding: 0,
    mount_namespace: 0,
});
const STAT: Frame<'static> = Frame::Stat(frame::Stat {
    kind: FileKind::Regular,
    mode: 0,
    user: 0,
    group: 0,
    size: 0,
    device: 0,
    inode: 0,
    modified: 0,
    modified_nanos: 0,
    links: 0,
    created: 0,
    offset: 0,
});
const FAILURE: Failure =
    Failure { code: ErrorCode::Io, stage: Stage::Read, errno: 5, limit: LimitKind::None, detail: 0 };
const DATA: Frame<'static> = Frame::Data(b"x");
const ENTRY: Frame<'static> = Frame::Entry(Entry { kind: FileKind::Regular, path: b"/x" });

const fn counts(bytes: u64, entries: u64) -> End {
    End { bytes, entries, size: 0, truncated: false, skipped: 0 }
}

const fn end(bytes: u64, entries: u64) -> Frame<'static> {
    Frame::End(counts(bytes, entries))
}

const fn file_end(bytes: u64, entries: u64) -> Frame<'static> {
    Frame::FileEnd(counts(bytes, entries))
}

#[test]
fn order_is_kept() {
    assert_eq!(verdict(&[end(0, 0)], 1), Err(BadMagic));
    assert_eq!(verdict(&[HELLO, HELLO], 1), Err(OutOfOrder));
    assert_eq!(verdict(&[HELLO, end(0, 0), end(0, 0)], 1), Err(OutOfOrder));
    assert_eq!(verdict(&[HELLO, STAT, DATA, end(2, 0)], 1), Err(BadCount));
    assert_eq!(verdict(&[HELLO, STAT, DATA], 1), Ok(false), "no end: not complete");
    assert_eq!(verdict(&[HELLO, STAT, DATA, end(1, 0)], 1), Ok(true));
    assert_eq!(verdict(&[HELLO, STAT, DATA, Frame::Error(FAILURE)], 1), Ok(true));
    let mut doubled = stream(&[HELLO, DATA]);
    doubled.extend_from_within(52..);
    assert_eq!(outcome(&doubled, Limits::default()), Err(OutOfOrder), "the sequence number tells");
}

#[test]
fn operations_are_answered_in_their_order() {
    let two = [HELLO, STAT, DATA, end(1, 0), ENTRY, end(0, 1)];
    assert_eq!(verdict(&two, 2), Ok(true));
    assert_eq!(verdict(&two, 1), Err(OutOfOrder), "more were answered than were asked for");
    assert_eq!(verdict(&two, 3), Ok(false), "the third is missing");
    assert_eq!(
        verdict(&[HELLO, Frame::Error(FAILURE), end(0, 0)], 2),
        Ok(true),
        "one may fail, and the next not"
    );
    assert_eq!(verdict(&[HELLO, DATA, end(1, 0), end(1, 0)], 2), Err(BadCount), "each counts its own");
    assert_eq!(verdict(&[HELLO, ENTRY, Frame::Error(FAILURE), end(0, 1)], 2), Err(BadCount));
    // The operation's number, in the frame that ends the second: another's, or one that nobody asked for.
    let good = stream(&two);
    let last = good.len() - 44;
    assert_eq!(good[last + 4..last + 8], [4, 0, 1, 0]);
    for wrong in [[0, 0], [2, 0], [1, 1], [0xff, 0xff]] {
        let mut bytes = good.clone();
        bytes[last + 6..last + 8].copy_from_slice(&wrong);
        assert_eq!(outcome_of(&bytes, Limits::default(), 2), Err(OutOfOrder), "{wrong:?}");
    }
    // A hello of another operation is none.
    let mut bytes = good;
    bytes[6] = 1;
    assert_eq!(outcome_of(&bytes, Limits::default(), 2), Err(OutOfOrder));
}

#[test]
fn a_refusal_comes_at_once_or_never() {
    let refused = Frame::Refused(FAILURE);
    assert_eq!(verdict(&[HELLO, refused], 1), Ok(true));
    assert_eq!(verdict(&[HELLO, refused], 500), Ok(true), "it stands for all operations");
    assert_eq!(verdict(&[refused], 1), Err(BadMagic));
    assert_eq!(verdict(&[HELLO, refused], 0), Ok(true));
    assert_eq!(verdict(&[HELLO, end(0, 0)], 0), Err(OutOfOrder), "nothing was asked");
    for before in [STAT, DATA, ENTRY, end(0, 0), Frame::Error(FAILURE), Frame::FileError(FAILURE)] {
        assert_eq!(verdict(&[HELLO, before, refused], 2), Err(OutOfOrder), "{before:?}");
    }
    for after in [DATA, refused, end(0, 0), Frame::Error(FAILURE)] {
        assert_eq!(verdict(&[HELLO, refused, after], 2), Err(OutOfOrder), "{after:?}");
    }
}

#[test]
fn an_included_file_counts_its_own_bytes() {
    let file = [ENTRY, STAT, DATA, DATA];
    let answer = |last: &[Frame<'static>]| verdict(&[&[HELLO][..], &file, &file, last].concat(), 1);
    assert_eq!(answer(&[file_end(2, 0), end(4, 2)]), Ok(true));
    assert_eq!(answer(&[file_end(4, 0)]), Err(BadCount), "not those of the files before");
    assert_eq!(answer(&[file_end(1, 0)]), Err(BadCount));
    assert_eq!(answer(&[file_end(2, 1)]), Err(BadCount), "a file has no entries");
    assert_eq!(answer(&[file_end(2, 0), file_end(2, 0)]), Err(BadCount));
    assert_eq!(answer(&[file_end(2, 0), end(2, 2)]), Err(BadCount), "the end counts all");
    assert_eq!(answer(&[file_end(2, 0), end(4, 1)]), Err(BadCount));
    assert_eq!(answer(&[Frame::FileError(FAILURE), end(4, 2)]), Ok(true), "what came of it counts");
    assert_eq!(answer(&[Frame::FileError(FAILURE), file_end(2, 0)]), Err(BadCount));
    assert_eq!(answer(&[Frame::FileError(FAILURE)]), Ok(false), "a file's error ends no operation");
    assert_eq!(answer(&[file_end(2, 0)]), Ok(false), "nor does its end");
}

#[test]
fn places_count_as_bytes_and_as_entries() {
    let place = |at, bytes| Frame::Place(Place { offset: u64::MAX, at, text: 9, bytes });
    assert_eq!(verdict(&[HELLO, STAT, place(0, b"x"), place(1, b"xy"), end(3, 2)], 1), Ok(true));
    assert_eq!(verdict(&[HELLO, STAT, place(0, b"x"), end(1, 0)], 1), Err(BadCount));
    assert_eq!(verdict(&[HELLO, STAT, place(0, b"x"), end(0, 1)], 1), Err(BadCount));
    for (at, bytes) in [(0, &b""[..]), (1, b"x"), (u32::MAX, b"x")] {
        assert_eq!(verdict(&[HELLO, STAT, place(at, bytes)], 1), Err(BadLength), "no text in it");
    }
    let limits = Limits { max_bytes: 3, max_entries: 1 };
    assert_eq!(outcome(&stream(&[HELLO, place(0, b"1234")]), limits), Err(WireError::TooManyBytes));
    assert_eq!(
        outcome(&stream(&[HELLO, place(0, b"1"), place(0, b"2")]), limits),
        Err(WireError::TooManyEntries)
    );
    // The two bytes that must be nothing, and a payload without its fields.
    let good = stream(&[HELLO, place(0, b"x")]);
    for at in [good.len() - 3, good.len() - 2] {
        let mut bytes = good.clone();
        bytes[at] = 1;
        assert_eq!(outcome(&bytes, Limits::default()), Err(WireError::Unknown(255)));
    }
    let mut short = good;
    short[52] = 15;
    assert_eq!(outcome(&short[..52 + 12 + 15], Limits::default()), Err(BadLength));
}

#[test]
fn forged_lengths_cost_nothing() {
    let mut bytes = stream(&[HELLO]);
    bytes.extend_from_slice(&u32::MAX.to_le_bytes());
    bytes.extend_from_slice(&[2, 0, 0, 0, 1, 0, 0, 0]);
    assert_eq!(outcome(&bytes, Limits::default()), Err(WireError::FrameTooLong(u32::MAX)));
    // Each kind but data and entry has one length.
    for frame in [STAT, end(0, 0), file_end(0, 0), Frame::Error(FAILURE), Frame::Refused(FAILURE)] {
        let good = stream(&[HELLO, frame]);
        for change in [-1, 1] {
            let mut bytes = good.clone();
            bytes[52] = bytes[52].wrapping_add_signed(change);
            bytes.push(0);
            assert_eq!(outcome(&bytes, Limits::default()), Err(BadLength), "{frame:?}");
        }
    }
}

#[test]
fn limits_hold() {
    let limits = Limits { max_bytes: 3, max_entries: 1 };
    assert_eq!(outcome(&stream(&[HELLO, Frame::Data(b"1234")]), limits), Err(WireError::TooManyBytes));
    assert_eq!(outcome(&stream(&[HELLO, ENTRY, ENTRY]), limits), Err(WireError::TooManyEntries));
    // Frames of nothing for ever are a flood too.
    for nothing in [Frame::Data(b""), STAT, file_end(0, 0), Frame::FileError(FAILURE)] {
        let flood: Vec<Frame<'_>> = std::iter::once(HELLO).chain((0..100).map(|_| nothing)).collect();
        assert_eq!(outcome(&stream(&flood), limits), Err(WireError::TooManyFrames), "{nothing:?}");
    }
}

#[test]
fn limits_are_for_all_operations_together() {
    let limits = Limits { max_bytes: 3, max_entries: 2 };
    let got = |frames: &[Frame<'_>]| outcome_of(&stream(frames), limits, 3);
    let two = Frame::Data(b"12");
    assert_eq!(got(&[HELLO, two, end(2, 0), DATA, end(1, 0), end(0, 0)]), Ok(true));
    assert_eq!(got(&[HELLO, two, end(2, 0), two]), Err(WireError::TooManyBytes));
    assert_eq!(got(&[HELLO, two, Frame::Error(FAILURE), two]), Err(WireError::TooManyBytes));
    assert_eq!(got(&[HELLO, two, Frame::FileError(FAILURE), two]), Err(WireError::TooManyBytes));
    assert_eq!(got(&[HELLO, ENTRY, end(0, 1), ENTRY, end(0, 1), end(0, 0)]), Ok(true));
    assert_eq!(got(&[HELLO, ENTRY, end(0, 1), ENTRY, ENTRY]), Err(WireError::TooManyEntries));
    assert_eq!(got(&[HELLO, ENTRY, ENTRY, Frame::Error(FAILURE), ENTRY]), Err(WireError::TooManyEntries));
}

#[test]
fn a_sane_answer_of_any_size_is_taken() {
    // As many operations, entries and bytes as one may ask for, in frames as small as a slow writer sends.
    let limits = Limits { max_bytes: 64 * 4096, max_entries: 1024 };
    let mut frames = vec![HELLO];
    frames.extend([STAT, end(0, 0)].repeat(1023));
    frames.extend([ENTRY, STAT, Frame::Data(&[0; 256]), file_end(256, 0)].repeat(1024));
    frames.push(end(1024 * 256, 1024));
    assert_eq!(outcome_of(&stream(&frames), limits, 1024), Ok(true));
}

#[test]
fn unknown_things_are_errors() {
    // Hello 12 + 40, stat 12 + 72, end 12 + 32.
    let whole = stream(&[HELLO, STAT, end(0, 0)]);
    for at in 0..whole.len() {
        for value in [0_u8, 1, 7, 0x80, 0xff] {
            let mut bytes = whole.clone();
            if bytes[at] == value {
                continue;
            }
            bytes[at] = value;
            let got = outcome(&bytes, Limits::default());
            // Payload fields that are free may take any value; nothing else may pass.
            let free = matches!(at, 22 | 24 | 25 | 28..52 | 64 | 68..136 | 164..=172 | 176..180);
            assert!(free || got != Ok(true), "byte {at} = {value:#x} was taken");
        }
    }
    for (version, got) in [([1, 0], 1), ([2, 0], 2), ([3, 1], 259)] {
        let mut bytes = whole.clone();
        bytes[20..22].copy_from_slice(&version);
        assert_eq!(outcome(&bytes, Limits::default()), Err(BadVersion(got)));
    }
    for (kind, posture) in [(11, 0), (0, 0), (4, 0x80)] {
        let mut bytes = whole.clone();
        (bytes[140], bytes[22]) = (kind, posture);
        assert!(matches!(outcome(&bytes, Limits::default()), Err(WireError::Unknown(_))));
    }
}

#[test]
fn codes_that_this_version_does_not_have() {
    let good = stream(&[HELLO, Frame::Error(FAILURE)]);
    for (at, last) in [(64, 17_u8), (65, 8), (68, 3)] {
        for (value, known) in [(last, true), (last + 1, false), (0, at == 68), (0xff, false)] {
            let mut bytes = good.clone();
            bytes[at] = value;
            assert_eq!(outcome(&bytes, Limits::default()) == Ok(true), known, "byte {at} = {value}");
        }
    }
}

#[test]
fn an_error_is_final() {
    let mut decoder = Decoder::new(Limits::default());
    decoder.push(b"not a frame at all").unwrap();
    let first = decoder.next_frame().unwrap_err();
    assert_eq!(decoder.next_frame().unwrap_err(), first);
    assert_eq!(decoder.push(b"x").unwrap_err(), first);
    assert!(!decoder.is_complete());
}

#[test]
fn paths_are_bytes_but_never_empty() {
    let entry = |path| Frame::Entry(Entry { kind: FileKind::Regular, path });
    assert_eq!(verdict(&[HELLO, entry(b"/a\n\xff\x1b"), end(0, 1)], 1), Ok(true));
    assert_eq!(verdict(&[HELLO, entry(b"")], 1), Err(BadLength));
    assert_eq!(verdict(&[HELLO, entry(b"/a\0b")], 1), Err(BadLength));
    let long = vec![b'a'; 5000];
    assert!(Writer::default().frame(&mut Vec::new(), &entry(&long)).is_err());
}

#[test]
fn a_request_has_no_second_form() {
    let stat = request::Operation { action: request::Action::Stat, path: b"/x".to_vec() };
    let asked = request::Request { operations: vec![stat], ..request::Request::default() };
    let good = asked.to_bytes().unwrap();
    // The fixed part is 48 bytes, the operation 56 and its path. What a `stat` has no use for must be zero.
    for at in (0..8).chain(46..104) {
        let mut bytes = good.clone();
        bytes[at] ^= 0x81;
        assert!(request::Request::parse(&bytes).is_err(), "byte {at} was skipped");
    }
}
