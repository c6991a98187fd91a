//! Records as the runtimes wrote them, and what becomes of them when they are not.

use super::*;

/// A container of Docker that wrote `out`, `err` to the other stream, control characters, and `end` without a newline.
const JSON: &[u8] = br#"{"log":"out\n","stream":"stdout","attrs":{"a":"b","tag":"t"},"time":"2026-11-21T10:48:20.59726346Z"}
{"log":"err\n","stream":"stderr","attrs":{"a":"b","tag":"t"},"time":"2026-11-21T10:48:20.697836731Z"}
{"log":"a\u0000\u0001\ufffd\u001b[31m\n","stream":"stdout","attrs":{"a":"b","tag":"t"},"time":"2026-11-21T10:48:20.798608999Z"}
{"log":"end","stream":"stdout","attrs":{"a":"b","tag":"t"},"time":"2026-11-21T10:48:20.916453626Z"}
"#;
const TERMINAL: &[u8] = br#"{"log":"out\r\n","stream":"stdout","time":"2026-11-21T10:48:21.923004103Z"}
"#;
/// The same container with the driver `local`.
const LOCAL: &[u8] = b"\x00\x00\x00\x17\x0a\x06stdout\x10\x89\xda\xeb\x85\xb4\xb7\x82\xf5\x18\x1a\x03out\x00\x00\x00\x17\
\x00\x00\x00\x17\x0a\x06stderr\x10\xdb\xb8\x89\xb5\xb4\xb7\x82\xf5\x18\x1a\x03err\x00\x00\x00\x17\
\x00\x00\x00\x1d\x0a\x06stdout\x10\x80\xdd\x8f\xe5\xb4\xb7\x82\xf5\x18\x1a\x09a\x00\x01\xff\x1b[31m\x00\x00\x00\x1d\
\x00\x00\x00\x5f\x0a\x06stdout\x10\x92\x98\xf0\x9c\xb5\xb7\x82\xf5\x18\x1a\x03end \x01*D\x12@\
a8286d90a7fb31be4b2f8f4f342ee5128a948ad9255c979f10779d67be9df55c\x18\x01\x00\x00\x00\x5f";
/// A container of Podman; the middle of a line came later than its start.
const CRI: &[u8] = b"2026-11-21T10:45:49.795247249+00:00 stdout F out\n\
2026-11-21T10:45:49.795247249+00:00 stdout P noeol\n\
2026-11-21T10:45:49.795297861+00:00 stderr F err\n\
2026-11-21T10:45:49.995830749+00:00 stdout F \x00\x01\xffx\x1b[31m\n";
const EXPORT: &[u8] = b"__CURSOR=s=1;i=2\n__REALTIME_TIMESTAMP=1795257949795247\n_COMM=dockerd\nPRIORITY=3\n\
MESSAGE\n\x05\x00\x00\x00\x00\x00\x00\x00a\n=\xff\n\nCONTAINER_ID_FULL=abc\n\n\
__REALTIME_TIMESTAMP=1795257949795248\nPRIORITY=6\nMESSAGE=one \nCONTAINER_PARTIAL_MESSAGE=true\nCONTAINER_ID_FULL=abc\n\
CONTAINER_PARTIAL_LAST=false\n\n\
__REALTIME_TIMESTAMP=1795257949795249\nPRIORITY=6\nMESSAGE=line\nCONTAINER_PARTIAL_MESSAGE=true\n\
CONTAINER_PARTIAL_LAST=true\nCONTAINER_ID_FULL=abc\n\n";

fn all(format: Format, bytes: &[u8]) -> Vec<Entry> {
    decoded(&Decoder::new(format, LONGEST), bytes)
}

/// In one piece, byte by byte, and in pieces between: it makes no difference.
fn decoded(decoder: &Decoder, bytes: &[u8]) -> Vec<Entry> {
    let by = |size: usize| {
        let mut decoder = decoder.clone();
        let mut entries: Vec<Entry> = bytes.chunks(size).flat_map(|chunk| decoder.push(chunk)).collect();
        entries.extend(decoder.finish());
        entries
    };
    let whole = by(bytes.len().max(1));
    if bytes.len() < 8192 {
        assert_eq!(by(1), whole);
    }
    assert_eq!(by(4097), whole);
    whole
}

fn lines(entries: &[Entry]) -> Vec<(Stream, &[u8])> {
    entries.iter().map(|entry| (entry.stream, entry.bytes.as_slice())).collect()
}

use Stream::{Stderr as E, Stdout as O, Unknown as U};

#[test]
fn of_docker() {
    let json = all(Format::JsonFile, JSON);
    assert_eq!(
        lines(&json),
        [(O, &b"out"[..]), (E, b"err"), (O, b"a\0\x01\xef\xbf\xbd\x1b[31m"), (O, b"end")]
    );
    assert_eq!(json[0].stamp, "2026-11-21T10:48:20.59726346Z");
    assert_eq!(json[0].time, time::parse("2026-11-21T10:48:20.597263460Z"));
    assert!(json.iter().all(|entry| !entry.truncated && !entry.malformed && entry.time.is_some()));
    let local = all(Format::Local, LOCAL);
    assert_eq!(lines(&local), [(O, &b"out"[..]), (E, b"err"), (O, b"a\0\x01\xff\x1b[31m"), (O, b"end")]);
    assert!(local[0].stamp.starts_with("2026-11-21T10:48:2") && local[0].stamp.ends_with('Z'));
    assert!(local.iter().all(|entry| entry.time.is_some()));
    assert_eq!(lines(&all(Format::JsonFile, TERMINAL)), [(O, &b"out\r"[..])]);
    let terminal = Decoder::new(Format::JsonFile, LONGEST).with_terminal(true);
    assert_eq!(lines(&decoded(&terminal, TERMINAL)), [(O, &b"out"[..])]);
}

#[test]
fn of_podman_and_kubernetes() {
    let cri = all(Format::Cri, CRI);
    assert_eq!(lines(&cri), [(O, &b"out"[..]), (E, b"err"), (O, b"noeol\0\x01\xffx\x1b[31m")]);
    assert_eq!(cri[2].stamp, "2026-11-21T10:45:49.795247249+00:00", "of its first piece");
    let tagged =
        all(Format::Cri, b"2026-11-21T10:45:49Z stdout P:x a\n2026-11-21T10:45:49Z stdout F:y b c\n");
    assert_eq!(lines(&tagged), [(O, &b"ab c"[..])]);
    let empty = all(Format::Cri, b"2026-11-21T10:45:49Z stdout F \n2026-11-21T10:45:49Z stderr F\n");
    assert_eq!(lines(&empty), [(O, &b""[..]), (E, b"")]);
    let open = all(Format::Cri, b"2026-11-21T10:45:49Z stdout P never ended\n");
    assert_eq!(lines(&open), [(O, &b"never ended"[..])]);
}

#[test]
fn of_the_journal() {
    let entries = all(Format::Journal, EXPORT);
    assert_eq!(lines(&entries), [(E, &b"a\n=\xff"[..]), (O, b"one line")]);
    assert_eq!(entries[0].stamp, "2026-11-21T10:45:49.795247000Z");
    // A service's own priority does not tell a stream; conmon leaves the newline.
    let own =
        all(Format::Journal, b"PRIORITY=6\nMESSAGE\n\x02\x00\x00\x00\x00\x00\x00\x00a\n\n\n\nPRIORITY=3\n\n");
    assert_eq!(lines(&own), [(U, &b"a"[..])]);
}

#[test]
fn of_a_console() {
    assert_eq!(
        lines(&all(Format::Raw, b"one\r\n\ntwo\r\r\nthree")),
        [(U, &b"one"[..]), (U, b""), (U, b"two\r"), (U, b"three")]
    );
}

#[test]
fn long_lines_are_joined_and_cut() {
    let piece = "x".repeat(BUFFER);
    let record =
        |text: &str| format!(r#"{{"log":"{text}","stream":"stdout","time":"2026-11-21T10:48:20Z"}}"#) + "\n";
    let mut json = record(&piece).repeat(100);
    json.push_str(&record("end\\n"));
    json.push_str(&record("next\\n"));
    let joined = all(Format::JsonFile, json.as_bytes());
    assert_eq!(joined.iter().map(|entry| entry.bytes.len()).collect::<Vec<_>>(), [LONGEST, 4]);
    assert_eq!((joined[0].truncated, joined[1].truncated), (true, false));
    let whole = decoded(&Decoder::new(Format::JsonFile, 100 * BUFFER + 3), json.as_bytes());
    assert_eq!((whole[0].bytes.len(), whole[0].truncated), (100 * BUFFER + 3, false));
    assert!(whole[0].bytes.ends_with(b"xend"));
    let raw = decoded(&Decoder::new(Format::Raw, 5), b"12345\n1234567\nab\n123456");
    let cut: Vec<_> = raw.iter().map(|entry| (entry.bytes.as_slice(), entry.truncated)).collect();
    assert_eq!(cut, [(&b"12345"[..], false), (b"12345", true), (b"ab", false), (b"12345", true)]);
    // Two streams at once.
    let cri = b"2026-11-21T10:45:49Z stdout P 1\n2026-11-21T10:45:49Z stderr P 2\n2026-11-21T10:45:49Z stdout F 3\n\
        2026-11-21T10:45:49Z stderr F 4\n";
    assert_eq!(lines(&all(Format::Cri, cri)), [(O, &b"13"[..]), (E, b"24")]);
}

#[test]
fn a_line_without_an_end_takes_no_more_than_its_share() {
    for format in [Format::JsonFile, Format::Cri, Format::Raw, Format::Local, Format::Journal] {
        let mut decoder = Decoder::new(format, 1000);
        let mut entries = Vec::new();
        for _ in 0..200 {
            entries.extend(decoder.push(&[b'a'; 8192]));
            assert!(decoder.frames.size() <= 1000 * 6 + 64 * 1024 + 8192, "{format}");
        }
        entries.extend(decoder.finish());
        assert!(!entries.is_empty() && entries.len() < 100, "{format}: {}", entries.len());
        assert!(entries.iter().all(|entry| entry.bytes.len() <= 1000 && entry.truncated), "{format}");
    }
    // Pieces that never end.
    let mut decoder = Decoder::new(Format::Cri, 1000);
    for _ in 0..10_000 {
        assert!(decoder.push(b"2026-11-21T10:45:49Z stdout P 0123456789\n").is_empty());
    }
    let end = decoder.finish();
    assert_eq!((end.len(), end[0].bytes.len(), end[0].truncated), (1, 1000, true));
}

#[test]
fn garbage_is_told_and_passed_over() {
    let mixed =
        [b"not json\n".as_slice(), &JSON[..101], b"\0\0\0\n{\"log\":1}\n[]\n\n{\"log\":\"last\\n\"}\n{\"lo"]
            .concat();
    let entries = all(Format::JsonFile, &mixed);
    let told: Vec<_> = entries.iter().map(|entry| (entry.malformed, entry.bytes.as_slice())).collect();
    assert_eq!(
        told,
        [
            (true, &b"not json"[..]),
            (false, b"out"),
            (true, b"\0\0\0"),
            (true, b"{\"log\":1}"),
            (true, b"[]"),
            (false, b"last"),
            (true, b"{\"lo"),
        ]
    );
    for bad in [
        &b"yesterday stdout F x"[..],
        b"2026-11-21T10:45:49Z stdin F x",
        b"2026-11-21T10:45:49Z stdout X x",
        b"x",
    ] {
        let entries = all(Format::Cri, bad);
        assert_eq!(entries.iter().map(|entry| entry.malformed).collect::<Vec<_>>(), [true]);
    }
    let deep = "[".repeat(100_000);
    assert!(all(Format::JsonFile, deep.as_bytes())[0].malformed);
}

#[test]
fn records_are_found_again_behind_garbage() {
    let found = |bytes: &[u8]| {
        let mut decoder = Decoder::new(Format::Local, LONGEST);
        let mut entries = decoder.push(bytes);
        entries.extend(decoder.finish());
        let good: Vec<_> = entries.iter().filter(|e| !e.malformed).map(|e| e.bytes.clone()).collect();
        (good, entries.iter().filter(|entry| entry.malformed).count())
    };
    let whole = [b"out".to_vec(), b"err".to_vec(), b"a\0\x01\xff\x1b[31m".to_vec(), b"end".to_vec()];
    // From the middle of a record.
    assert_eq!(found(&LOCAL[9..]), (whole[1..].to_vec(), 1));
    assert_eq!(found(&[b"\xff\xff\xff\xff garbage".as_slice(), LOCAL].concat()), (whole.to_vec(), 1));
    // A length that promises more than there is.
    assert_eq!(found(&[b"\x00\x01\x00\x00".as_slice(), LOCAL].concat()), (whole.to_vec(), 1));
    // Cut off.
    assert_eq!(found(&LOCAL[..LOCAL.len() - 9]), (whole[..3].to_vec(), 1));
    for end in 0..LOCAL.len() {
        let _ = found(&LOCAL[..end]);
        let mut broken = LOCAL.to_vec();
        broken[end] ^= 0xff;
        assert!(found(&broken).0.len() >= 2, "{end}");
    }
}

#[test]
fn nothing_makes_a_decoder_fail() {
    // A cheap generator: what matters is that it is the same every time.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for round in 0..400 {
        let samples = [JSON, LOCAL, CRI, EXPORT];
        let mut bytes = samples[round % 4].repeat(2);
        for _ in 0..next() % 8 {
            let at = usize::try_from(next()).unwrap() % bytes.len();
            bytes[at] = next().to_le_bytes()[0];
        }
        for format in [Format::JsonFile, Format::Local, Format::Cri, Format::Raw, Format::Journal] {
            let mut decoder = Decoder::new(format, 64);
            let mut entries: Vec<Entry> = bytes.chunks(7).flat_map(|chunk| decoder.push(chunk)).collect();
            entries.extend(decoder.finish());
            assert!(entries.iter().all(|entry| entry.bytes.len() <= 64));
            assert!(entries.iter().all(|entry| entry.stamp.bytes().all(|b| b.is_ascii_graphic())));
        }
    }
}
