//! The golden bytes of `docs/protocol.md`: if one of these fails, the protocol has changed and its version must.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use portolan_wire::code::{ErrorCode, FileKind, LimitKind, Stage};
use portolan_wire::decoder::Decoder;
use portolan_wire::frame::{End, Entry, Failure, Frame, Hello, Writer, posture};
use portolan_wire::limits::Limits;

fn hello() -> Hello {
    Hello {
        posture: posture::NOT_DUMPABLE | posture::NO_NEW_PRIVS | posture::PRIVATE_PROCFS,
        seccomp: 0,
        landlock: 0,
        effective: 4,
        bounding: 0,
        mount_namespace: 4_026_532_571,
    }
}

/// The frames and their bytes, as the document shows them.
fn golden() -> Vec<(Frame<'static>, &'static str)> {
    vec![
        (
            Frame::Hello(hello()),
            "28000000 01 00 0000 00000000 504f52544f4c414e 0100 0700 00 00 0000 0400000000000000 \
             0000000000000000 db0200f0 00000000",
        ),
        (Frame::Data(b"port 6379\n"), "0a000000 02 00 0000 01000000 706f727420363337390a"),
        (
            Frame::Entry(Entry { kind: FileKind::Regular, path: b"/etc/x.conf" }),
            "0c000000 03 00 0000 02000000 01 2f6574632f782e636f6e66",
        ),
        (
            Frame::End(End { bytes: 10, entries: 1, size: 10, truncated: false, skipped: 0 }),
            "20000000 04 00 0000 03000000 0a00000000000000 0100000000000000 0a00000000000000 00000000 00000000",
        ),
    ]
}

fn error_frame() -> (Frame<'static>, &'static str) {
    (
        Frame::Error(Failure {
            code: ErrorCode::Limit,
            stage: Stage::Open,
            errno: 0,
            limit: LimitKind::Bytes,
            detail: 300_000,
        }),
        "10000000 05 00 0000 01000000 09 05 0000 01 000000 e093040000000000",
    )
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|b| !b.is_ascii_whitespace())
        .map(|b| (b as char).to_digit(16).unwrap() as u8)
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn check(frames: &[(Frame<'_>, &str)]) {
    let mut writer = Writer::default();
    let mut stream = Vec::new();
    for (frame, bytes) in frames {
        let before = stream.len();
        writer.frame(&mut stream, frame).unwrap();
        assert_eq!(stream[before..], unhex(bytes), "{frame:?}");
    }
    // Read back in one piece and byte by byte: the same frames.
    for step in [stream.len(), 1] {
        let mut decoder = Decoder::new(Limits::default());
        let mut seen = 0;
        for piece in stream.chunks(step) {
            decoder.push(piece).unwrap();
            while let Some(frame) = decoder.next_frame().unwrap() {
                assert_eq!(frame, frames[seen].0);
                seen += 1;
            }
        }
        assert_eq!(seen, frames.len());
        assert!(decoder.is_complete());
    }
}

#[test]
fn frames_have_their_golden_bytes() {
    check(&golden());
    check(&[golden()[0], error_frame()]);
}

#[test]
fn the_document_shows_these_bytes() {
    let document = include_str!("../../../docs/protocol.md");
    let digits = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    let document = digits(document);
    for (frame, bytes) in golden().iter().chain([&error_frame()]) {
        assert!(document.contains(&digits(bytes)), "docs/protocol.md lacks the bytes of {frame:?}: {bytes}");
    }
}
