//! The golden bytes of `docs/protocol.md`: if one of these fails, the protocol has changed and its version must.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use portolan_wire::code::{ErrorCode, FileKind, LimitKind, Stage};
use portolan_wire::decoder::Decoder;
use portolan_wire::frame::{End, Entry, Failure, Frame, Hello, Place, Stat, Writer, posture};
use portolan_wire::limits::Limits;
use portolan_wire::request::{Action, Demand, Find, Operation, Read, Request};

type Golden = Vec<(Frame<'static>, &'static str)>;

const HELLO: (Frame<'static>, &str) = (
    Frame::Hello(Hello {
        posture: posture::NOT_DUMPABLE | posture::NO_NEW_PRIVS | posture::PRIVATE_PROCFS | posture::LIMITED,
        seccomp: 2,
        landlock: 4,
        effective: 4,
        bounding: 0,
        mount_namespace: 4_026_532_571,
    }),
    "28000000 01 00 0000 00000000 504f52544f4c414e 0300 2700 02 04 0000 0400000000000000 \
     0000000000000000 db0200f0 00000000",
);

const STAT: Frame<'static> = Frame::Stat(Stat {
    kind: FileKind::Regular,
    mode: 0o100_644,
    user: 100_000,
    group: 100_001,
    size: 10,
    device: 8 << 32 | 1,
    inode: 1234,
    modified: 1_700_000_000,
    modified_nanos: 5,
    links: 1,
    created: 1_600_000_000_000_000_000,
    offset: 0,
});

const DATA: Frame<'static> = Frame::Data(b"port 6379\n");

const fn entry(path: &'static [u8]) -> Frame<'static> {
    Frame::Entry(Entry { kind: FileKind::Regular, path })
}

const fn end(entries: u64, size: u64) -> End {
    End { bytes: 10, entries, size, truncated: false, skipped: 0 }
}

const fn failure(code: ErrorCode, stage: Stage, errno: u16) -> Failure {
    Failure { code, stage, errno, limit: LimitKind::None, detail: 0 }
}

/// What [`request`] asks: a file, and then the same file and another one as a pattern finds them.
fn two_operations() -> Golden {
    let denied = failure(ErrorCode::PermissionDenied, Stage::Open, 13);
    vec![
        HELLO,
        (
            STAT,
            "48000000 06 00 0000 01000000 01 000000 a4810000 a0860100 a1860100 0a00000000000000 \
             0100000008000000 d204000000000000 00f1536500000000 05000000 01000000 0000a0d885573416 0000000000000000",
        ),
        (DATA, "0a000000 02 00 0000 02000000 706f727420363337390a"),
        (
            Frame::End(end(0, 10)),
            "20000000 04 00 0000 03000000 0a00000000000000 0000000000000000 0a00000000000000 00 000000 00000000",
        ),
        (entry(b"/etc/x.conf"), "0c000000 03 00 0100 04000000 01 2f6574632f782e636f6e66"),
        (
            STAT,
            "48000000 06 00 0100 05000000 01 000000 a4810000 a0860100 a1860100 0a00000000000000 \
             0100000008000000 d204000000000000 00f1536500000000 05000000 01000000 0000a0d885573416 0000000000000000",
        ),
        (DATA, "0a000000 02 00 0100 06000000 706f727420363337390a"),
        (
            Frame::FileEnd(end(0, 10)),
            "20000000 07 00 0100 07000000 0a00000000000000 0000000000000000 0a00000000000000 00 000000 00000000",
        ),
        (entry(b"/etc/y.conf"), "0c000000 03 00 0100 08000000 01 2f6574632f792e636f6e66"),
        (Frame::FileError(denied), "10000000 08 00 0100 09000000 02 05 0d00 00 000000 0000000000000000"),
        (
            Frame::End(end(2, 0)),
            "20000000 04 00 0100 0a000000 0a00000000000000 0200000000000000 0000000000000000 00 000000 00000000",
        ),
    ]
}

fn error() -> Golden {
    let mut limit = failure(ErrorCode::Limit, Stage::Open, 0);
    (limit.limit, limit.detail) = (LimitKind::Bytes, 300_000);
    vec![HELLO, (Frame::Error(limit), "10000000 05 00 0000 01000000 09 05 0000 01 000000 e093040000000000")]
}

fn refused() -> Golden {
    let refused = failure(ErrorCode::NotConfined, Stage::Confine, 0);
    vec![
        HELLO,
        (Frame::Refused(refused), "10000000 09 00 0000 01000000 11 04 0000 00 000000 0000000000000000"),
    ]
}

const REQUEST: &str = "50524551 0300 0000 0700000000000000 d0070000 0000 0000 0020030000000000 \
    1027000000000000 0200 2300 02 04 0000 \
    02 00 0b00 00000000 0000000000000000 0020030000000000 0000000000000000 0000000000000000 \
    0000000000000000 0000000000000000 2f6574632f782e636f6e66 \
    06 01 0b00 00000000 0000000000000000 0004000000000000 0000000000000000 6400000000000000 \
    0000000000000000 0000000000000000 2f6574632f2a2e636f6e66";

fn request() -> Request {
    let read = Action::Read(Read { max_bytes: 204_800, offset: 0, prefix: false });
    let include = Action::Include { max_entries: 100, max_bytes: 1024, prefix: true };
    Request {
        id: 7,
        demand: Demand {
            posture: posture::NOT_DUMPABLE | posture::NO_NEW_PRIVS | posture::LIMITED,
            seccomp: 2,
            landlock: 4,
        },
        operations: vec![
            Operation { action: read, path: b"/etc/x.conf".to_vec() },
            Operation { action: include, path: b"/etc/*.conf".to_vec() },
        ],
        ..Request::default()
    }
}

const FINDING: &str = "50524551 0300 0000 0800000000000000 d0070000 0000 0000 0020030000000000 \
    1027000000000000 0100 0000 00 00 0000 \
    07 02 0600 1300 0000 0000000000000000 0010000000000000 0000000000000000 0400000000000000 \
    0000100000000000 00000000 20000000 2f782f646972 0a 5061636b6167653a2061 07 5061636b616765";

fn finding() -> Request {
    let find = Find {
        texts: vec![b"Package: a".to_vec(), b"Package".to_vec()],
        at_lines: true,
        before: 0,
        after: 32,
        offset: 0,
        max_looked: 1 << 20,
        max_places: 4,
        max_bytes: 4096,
    };
    let operations = vec![Operation { action: Action::Find(find), path: b"/x/dir".to_vec() }];
    Request { id: 8, operations, ..Request::default() }
}

fn found() -> Golden {
    let place = Place { offset: 300, at: 0, text: 0, bytes: b"Package: a\nVersion: 1.0-1\n\n" };
    vec![
        HELLO,
        (
            STAT,
            "48000000 06 00 0000 01000000 01 000000 a4810000 a0860100 a1860100 0a00000000000000 \
             0100000008000000 d204000000000000 00f1536500000000 05000000 01000000 0000a0d885573416 0000000000000000",
        ),
        (
            Frame::Place(place),
            "2b000000 0a 00 0000 02000000 2c01000000000000 00000000 0000 0000 \
             5061636b6167653a20610a56657273696f6e3a20312e302d310a0a",
        ),
        (
            Frame::End(End { bytes: 27, entries: 1, size: 840_000, truncated: false, skipped: 0 }),
            "20000000 04 00 0000 03000000 1b00000000000000 0100000000000000 40d10c0000000000 00 000000 00000000",
        ),
    ]
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text
        .bytes()
        .filter(|b| !b.is_ascii_whitespace())
        .map(|b| (b as char).to_digit(16).unwrap() as u8)
        .collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn check(frames: &[(Frame<'_>, &str)], operations: u16) {
    let mut writer = Writer::default();
    let mut stream = Vec::new();
    for (frame, bytes) in frames {
        let before = stream.len();
        writer.frame(&mut stream, frame).unwrap();
        assert_eq!(stream[before..], unhex(bytes), "{frame:?}");
    }
    // Read back in one piece and byte by byte: the same frames.
    for step in [stream.len(), 1] {
        let mut decoder = Decoder::with_operations(Limits::default(), operations);
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
    check(&two_operations(), 2);
    check(&two_operations()[..4], 1);
    check(&error(), 1);
    check(&refused(), 1);
    check(&refused(), 2);
    check(&found(), 1);
}

#[test]
fn a_request_has_its_golden_bytes() {
    assert_eq!(request().to_bytes().unwrap(), unhex(REQUEST));
    assert_eq!(Request::parse(&unhex(REQUEST)).unwrap(), request());
    assert_eq!(finding().to_bytes().unwrap(), unhex(FINDING));
    assert_eq!(Request::parse(&unhex(FINDING)).unwrap(), finding());
}

#[test]
fn the_document_shows_these_bytes() {
    let document = include_str!("../../../docs/protocol.md");
    let digits = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
    let document = digits(document);
    for (frame, bytes) in [two_operations(), error(), refused(), found()].concat() {
        assert!(document.contains(&digits(bytes)), "docs/protocol.md lacks the bytes of {frame:?}: {bytes}");
    }
    for request in [REQUEST, FINDING] {
        assert!(document.contains(&digits(request)), "docs/protocol.md lacks the request: {request}");
    }
}
