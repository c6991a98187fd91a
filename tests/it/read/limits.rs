//! Byte cap, prefix, offset, and files whose size is not what it seems.

use std::time::{Duration, Instant};

use portolan::{ErrorKind, Limit, ReadOptions};
use portolan_world::World;
use portolan_world::need::Need;
use portolan_world::require;

use crate::inside::{Inside, SOON};
use crate::servers;

const CAP: usize = 204_800;

fn too_large(size: u64) -> ErrorKind {
    ErrorKind::Limit(Limit::Bytes { size })
}

#[test]
fn the_cap_itself_is_read_and_one_byte_more_is_refused_with_its_size() {
    require!(Need::Root, Need::Overlay);
    let (fits, over) = (vec![b'x'; CAP], vec![b'y'; CAP + 1]);
    let c = Inside::start(&World::new("cap").file("/app/fits", &fits).file("/app/over", &over));
    c.gives("/app/fits", &fits);
    let line = c.refuses("/app/over", too_large(204_801));
    assert!(line.contains("204801") && line.contains("/app/over"), "{line}");

    // A cap of the caller's own.
    let most = u64::MAX.to_string();
    assert_eq!(c.cat("/app/over", &["--max-bytes", &most]).done(), over);
    let how = ReadOptions::default().max_bytes(204_801);
    assert_eq!(c.read("/app/over", &how).unwrap().bytes, over);
    assert_eq!(c.cat("/app/over", &["--max-bytes", "204801"]).done(), over);
    assert_eq!(c.read("/app/fits", &ReadOptions::default().max_bytes(0)).map(drop), Err(too_large(204_800)));
}

#[test]
fn a_prefix_gives_the_first_bytes_and_says_so() {
    require!(Need::Root, Need::Overlay);
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    let c = Inside::start(&World::new("prefix").file("/app/long", &bytes).file("/app/short", "short"));
    let content = c.read("/app/long", &ReadOptions::default().prefix()).unwrap();
    assert_eq!((content.size, content.truncated), (300_000, true));
    assert_eq!(content.bytes, bytes[..CAP]);

    let ran = c.cat("/app/long", &["--prefix"]);
    assert_eq!((ran.code, ran.stdout.as_slice()), (Some(0), &bytes[..CAP]));
    assert!(ran.line().contains("204800") && ran.line().contains("300000"), "{ran:?}");

    let ran = c.cat("/app/long", &["--prefix", "--max-bytes", "7"]);
    assert_eq!((ran.code, ran.stdout.as_slice()), (Some(0), &bytes[..7]));
    // Whole files are not remarked upon.
    assert_eq!(c.cat("/app/short", &["--prefix"]).done(), b"short");
    assert_eq!(c.cat("/app/short", &["--prefix", "--max-bytes", "5"]).done(), b"short");
}

#[test]
fn an_offset_begins_there_and_past_the_end_gives_nothing() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("offset").file("/app/file", "0123456789"));
    assert_eq!(c.cat("/app/file", &["--offset", "4"]).done(), b"456789");
    assert_eq!(c.cat("/app/file", &["--offset", "10"]).done(), b"");
    assert_eq!(c.cat("/app/file", &["--offset", "9999999999"]).done(), b"");
    let how = ReadOptions::default().offset(u64::try_from(i64::MAX).unwrap());
    assert_eq!(c.read("/app/file", &how).unwrap().bytes, b"");

    // The cap counts from the offset on.
    assert_eq!(c.cat("/app/file", &["--offset", "6", "--max-bytes", "4"]).done(), b"6789");
    let ran = c.cat("/app/file", &["--offset", "5", "--max-bytes", "4"]);
    assert!(ran.failed(1).contains("10 bytes"), "its true size: {ran:?}");
    let content = c.read("/app/file", &ReadOptions::default().offset(2).max_bytes(3).prefix()).unwrap();
    assert_eq!((content.bytes.as_slice(), content.truncated, content.size), (&b"234"[..], true, 10));
}

#[test]
fn a_sparse_file_of_a_tebibyte_costs_no_more_than_its_prefix() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("sparse").tmpfs("/vol").prepare("truncate -s 1T /vol/sparse"));
    let start = Instant::now();
    let content = c.read("/vol/sparse", &ReadOptions::default().prefix().max_bytes(4096)).unwrap();
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    assert_eq!((content.size, content.truncated), (1 << 40, true));
    assert_eq!(content.bytes, [0; 4096]);
    let line = c.refuses("/vol/sparse", too_large(1 << 40));
    assert!(line.contains("1099511627776"), "{line}");
    let end = (1_u64 << 40) - 3;
    assert_eq!(c.cat("/vol/sparse", &["--offset", &end.to_string()]).done(), [0; 3]);
}

#[test]
fn a_file_that_grows_while_it_is_read_ends_at_the_cap() {
    require!(Need::Root, Need::Overlay);
    let world = World::new("growing").tmpfs("/vol");
    let text = "
import os
log = os.open('/vol/log', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
print('writing', flush=True)
while os.fstat(log).st_size < 200000000:
    os.write(log, b'x' * 512)
import time
time.sleep(1000)";
    let c = Inside::start(&servers::python(world, text));
    c.wait_log("writing");
    let mut outcomes = [0, 0];
    for _ in 0..20 {
        // Whatever the race gives, it is whole or refused, and never over the cap.
        match c.read("/vol/log", &ReadOptions::default()) {
            Ok(content) => {
                assert!(content.bytes.len() <= CAP && !content.truncated);
                outcomes[0] += 1;
            }
            Err(ErrorKind::Limit(Limit::Bytes { size })) => {
                assert!(size > 204_800, "{size}");
                outcomes[1] += 1;
            }
            Err(other) => panic!("{other:?}"),
        }
        let content = c.read("/vol/log", &ReadOptions::default().prefix()).unwrap();
        assert!(content.bytes.iter().all(|byte| *byte == b'x') && content.bytes.len() <= CAP);
    }
    assert!(outcomes[1] > 0, "it grew too slowly to show anything: {outcomes:?}");
}

#[test]
fn a_write_lease_is_told_as_busy_at_once_and_not_waited_for() {
    require!(Need::Root, Need::Overlay);
    let world = World::new("lease").tmpfs("/vol").file("/vol/file", "leased");
    // The kernel tells the holder that somebody wants the file; the default would be its death.
    let text = "
import fcntl, os, signal, time
signal.signal(signal.SIGIO, signal.SIG_IGN)
file = os.open('/vol/file', os.O_RDWR)
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print('leased', flush=True)
time.sleep(1000)";
    let c = Inside::start(&servers::python(world, text));
    c.wait_log("leased");
    c.refuses("/vol/file", ErrorKind::Busy);
}

#[test]
fn a_deadline_that_nothing_can_keep_is_told_as_timeout_or_kept() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("deadline").file("/app/file", "x"));
    let start = Instant::now();
    for millis in [1, 2, 5] {
        match c.read("/app/file", &ReadOptions::default().timeout(Duration::from_millis(millis))) {
            Ok(content) => assert_eq!(content.bytes, b"x"),
            Err(kind) => assert_eq!(kind, ErrorKind::Timeout),
        }
    }
    assert!(start.elapsed() < SOON);
}
