//! File systems that do not answer: a server inside decides whether a request ever ends.

use std::thread;
use std::time::{Duration, Instant};

use portolan::{ErrorKind, Files, GlobOptions, ReadOptions};
use portolan_world::need::Need;
use portolan_world::{World, require};

use crate::command::helper;
use crate::inside::{Inside, SOON};
use crate::servers;

const TIMEOUT: Duration = Duration::from_millis(300);
const LATE: Duration = Duration::from_millis(250);

/// Mounts FUSE over `/hang`. With `mute` not even the first message is answered; else the first is, and no other:
/// then whoever asks cannot be killed any more (`request_wait_answer` in the kernel).
const SERVER: &str = "
import ctypes, os, struct, sys, time
fuse = os.open('/hang-device', os.O_RDWR)
options = b'fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other' % fuse
assert ctypes.CDLL(None).mount(b'none', b'/hang', b'fuse', 0, options) == 0
print('mounted', flush=True)
if sys.argv[1] == 'deaf':
    request = os.read(fuse, 1 << 20)
    unique = struct.unpack_from('<IIQ', request)[2]
    os.write(fuse, struct.pack('<IiQIIIIHHIIHHI7I', 80, 0, unique, 7, 31, 0, 0, 64, 48, 4096, 1, 0, 0, 0, *[0] * 7))
    print('answered', flush=True)
    while True: os.read(fuse, 1 << 20)
time.sleep(1000)";

fn container(name: &str, how: &str) -> Inside {
    let world = World::new(name).prepare("mkdir /hang; mknod /hang-device c 10 229");
    let c = Inside::start(&world.file("/app/file", "read").command(["python3", "-c", SERVER, how]));
    c.wait_log(if how == "deaf" { "answered" } else { "mounted" });
    c
}

#[test]
fn a_file_system_that_never_answers_is_given_up_at_the_deadline() {
    require!(Need::Root, Need::Overlay, Need::File("/dev/fuse"));
    let c = container("mute", "mute");
    let options = ReadOptions::default().timeout(TIMEOUT);
    for path in ["/hang/file", "/hang"] {
        let start = Instant::now();
        let outcome = c.read(path, &options).map(|content| content.bytes);
        let took = start.elapsed();
        assert_eq!(outcome, Err(ErrorKind::Timeout), "{path}");
        assert!(took < TIMEOUT + LATE, "{path} took {took:?}");
    }
    let start = Instant::now();
    let glob = c.expand("/hang/*", &GlobOptions::default().timeout(TIMEOUT));
    let kind = glob.map_or_else(Some, |matches| matches.incomplete.map(|error| error.kind()));
    assert_eq!(kind, Some(ErrorKind::Timeout));
    assert!(start.elapsed() < TIMEOUT + LATE, "{:?}", start.elapsed());
    let ran = c.cat("/hang/file", &["--timeout-ms", "300"]);
    assert!(ran.failed(1).contains("deadline") && ran.took < TIMEOUT + LATE, "{ran:?}");
    // Only this file system is dead.
    c.gives("/app/file", b"read");
}

#[test]
fn helpers_that_cannot_be_killed_are_left_behind_counted_and_not_let_grow() {
    require!(Need::Root, Need::Overlay, Need::File("/dev/fuse"));
    let c = container("deaf", "deaf");
    let files = Files::with_helper(&helper()).unwrap();
    let read = |path| {
        let start = Instant::now();
        let outcome = files.read(&c.process, path, &ReadOptions::default().timeout(TIMEOUT));
        let took = start.elapsed();
        assert!(took < TIMEOUT + LATE, "{path} took {took:?}");
        outcome.map(|content| content.bytes).map_err(|error| error.kind())
    };
    assert_eq!(read("/hang/file"), Err(ErrorKind::Timeout));
    assert_eq!(files.stuck(), 1, "or this kernel lets it be killed, and there is nothing to see here");
    assert_eq!(read("/app/file").as_deref(), Ok(&b"read"[..]));

    thread::scope(|scope| {
        let hanging = (0..15).map(|number| {
            let path = format!("/hang/{number}");
            let (files, c) = (&files, &c);
            scope.spawn(move || {
                files.read(&c.process, path, &ReadOptions::default().timeout(TIMEOUT)).is_err()
            })
        });
        for one in hanging.collect::<Vec<_>>() {
            assert!(one.join().unwrap());
        }
    });
    assert_eq!(files.stuck(), 16);
    assert_eq!(read("/app/file"), Err(ErrorKind::Busy), "no more of them are risked");

    // When the server ends, the kernel lets them go, and they are collected.
    c.container.kill();
    let start = Instant::now();
    while files.stuck() > 0 {
        assert!(start.elapsed() < SOON, "{} are still there", files.stuck());
        thread::sleep(Duration::from_millis(5));
    }
    let other = Inside::start(&servers::banner(World::new("afterwards"), "", &[]));
    assert!(files.read(&other.process, "/etc/hostname", &ReadOptions::default()).is_ok());
}
