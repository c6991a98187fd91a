//! A helper that was taken over writes what it likes: the decoder must refuse it, soon, and hold little.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use portolan_wire::WireError;
use portolan_wire::code::FileKind;
use portolan_wire::decoder::Decoder;
use portolan_wire::frame::{End, Entry, Frame, Hello, Writer};
use portolan_wire::limits::Limits;

fn stream(frames: &[Frame<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = Writer::default();
    for frame in frames {
        writer.frame(&mut bytes, frame).unwrap();
    }
    bytes
}

fn outcome(bytes: &[u8], limits: Limits) -> Result<bool, WireError> {
    let mut decoder = Decoder::new(limits);
    for piece in bytes.chunks(1000) {
        decoder.push(piece)?;
        while decoder.next_frame()?.is_some() {}
    }
    Ok(decoder.is_complete())
}

const HELLO: Frame<'static> = Frame::Hello(Hello {
    posture: 0,
    seccomp: 0,
    landlock: 0,
    effective: 0,
    bounding: 0,
    mount_namespace: 0,
});

fn end(bytes: u64, entries: u64) -> Frame<'static> {
    Frame::End(End { bytes, entries, size: 0, truncated: false, skipped: 0 })
}

#[test]
fn order_is_kept() {
    let ok = Limits::default();
    assert_eq!(outcome(&stream(&[end(0, 0)]), ok), Err(WireError::BadMagic));
    assert_eq!(outcome(&stream(&[HELLO, HELLO]), ok), Err(WireError::OutOfOrder));
    assert_eq!(outcome(&stream(&[HELLO, end(0, 0), end(0, 0)]), ok), Err(WireError::OutOfOrder));
    assert_eq!(outcome(&stream(&[HELLO, Frame::Data(b"x"), end(2, 0)]), ok), Err(WireError::BadCount));
    assert_eq!(outcome(&stream(&[HELLO, Frame::Data(b"x")]), ok), Ok(false), "no end: not complete");
    assert_eq!(outcome(&stream(&[HELLO, Frame::Data(b"x"), end(1, 0)]), ok), Ok(true));
    let mut doubled = stream(&[HELLO, Frame::Data(b"x")]);
    doubled.extend_from_within(52..);
    assert_eq!(outcome(&doubled, ok), Err(WireError::OutOfOrder), "the sequence number tells");
}

#[test]
fn forged_lengths_cost_nothing() {
    let mut bytes = stream(&[HELLO]);
    bytes.extend_from_slice(&u32::MAX.to_le_bytes());
    bytes.extend_from_slice(&[2, 0, 0, 0, 1, 0, 0, 0]);
    assert_eq!(outcome(&bytes, Limits::default()), Err(WireError::FrameTooLong(u32::MAX)));
}

#[test]
fn limits_hold() {
    let limits = Limits { max_bytes: 3, max_entries: 1 };
    let entry = Frame::Entry(Entry { kind: FileKind::Regular, path: b"/x" });
    assert_eq!(outcome(&stream(&[HELLO, Frame::Data(b"1234")]), limits), Err(WireError::TooManyBytes));
    assert_eq!(outcome(&stream(&[HELLO, entry, entry]), limits), Err(WireError::TooManyEntries));
    // Empty data frames for ever are a flood too.
    let flood: Vec<Frame<'_>> = std::iter::once(HELLO).chain((0..100).map(|_| Frame::Data(b""))).collect();
    assert_eq!(outcome(&stream(&flood), limits), Err(WireError::TooManyFrames));
}

#[test]
fn unknown_things_are_errors() {
    let whole = stream(&[HELLO, end(0, 0)]);
    for at in 0..whole.len() {
        for value in [0_u8, 1, 7, 0x80, 0xff] {
            let mut bytes = whole.clone();
            if bytes[at] == value {
                continue;
            }
            bytes[at] = value;
            let got = outcome(&bytes, Limits::default());
            // Payload fields that are free may take any value; nothing else may pass.
            let free = matches!(at, 22 | 24 | 25 | 28..52 | 80..=88 | 92..96);
            assert!(free || got != Ok(true), "byte {at} = {value:#x} was taken");
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
    assert_eq!(outcome(&stream(&[HELLO, entry(b"/a\n\xff\x1b"), end(0, 1)]), Limits::default()), Ok(true));
    assert_eq!(outcome(&stream(&[HELLO, entry(b"")]), Limits::default()), Err(WireError::BadLength));
    assert_eq!(outcome(&stream(&[HELLO, entry(b"/a\0b")]), Limits::default()), Err(WireError::BadLength));
    let long = vec![b'a'; 5000];
    assert!(Writer::default().frame(&mut Vec::new(), &entry(&long)).is_err());
}
