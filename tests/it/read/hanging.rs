//! File systems that do not answer: a server inside decides whether a request ever ends.

use std::thread;
use std::time::{Duration, Instant};

use portolan::{ErrorKind, FileKind, Files, GlobOptions, Process, ReadOptions};
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

/// How long a request may take, and that it may take it.
fn any() -> ReadOptions {
    ReadOptions::default().timeout(TIMEOUT).any_file_system()
}

#[test]
fn a_fuse_file_system_is_refused_at_once() {
    require!(Need::Root, Need::Overlay, Need::File("/dev/fuse"));
    for how in ["mute", "deaf"] {
        let c = container(how, how);
        for path in ["/hang/file", "/hang", "/hang/../hang/file", "/app/../hang/x/y"] {
            let line = c.refuses(path, ErrorKind::UnsupportedFs);
            assert!(line.contains("FUSE"), "{line}");
        }
        let matches = c.expand("/{hang,app}/*", &GlobOptions::default()).unwrap();
        let paths: Vec<_> = matches.entries.iter().map(|entry| entry.path.to_str().unwrap()).collect();
        assert_eq!((paths, matches.skipped), (vec!["/app/file"], 1));
        c.gives("/app/file", b"read");
    }
}

#[test]
fn a_file_system_that_never_answers_is_given_up_at_the_deadline() {
    require!(Need::Root, Need::Overlay, Need::File("/dev/fuse"));
    let c = container("mute", "mute");
    for path in ["/hang/file", "/hang/a/b"] {
        let start = Instant::now();
        let outcome = c.read(path, &any()).map(|content| content.bytes);
        let took = start.elapsed();
        assert_eq!(outcome, Err(ErrorKind::Timeout), "{path}");
        assert!(took < TIMEOUT + LATE, "{path} took {took:?}");
    }
    let start = Instant::now();
    let glob = c.expand("/hang/*", &GlobOptions::default().timeout(TIMEOUT).any_file_system());
    let kind = glob.map_or_else(Some, |matches| matches.incomplete.map(|error| error.kind()));
    assert_eq!(kind, Some(ErrorKind::Timeout));
    assert!(start.elapsed() < TIMEOUT + LATE, "{:?}", start.elapsed());
    let ran = c.cat("/hang/file", &["--timeout-ms", "300", "--any-file-system"]);
    assert!(ran.failed(1).contains("deadline") && ran.took < TIMEOUT + LATE, "{ran:?}");
    // What the kernel knows by itself needs no answer; and only this file system is dead.
    assert_eq!(c.read("/hang", &any()).map(drop), Err(ErrorKind::NotRegular(FileKind::Directory)));
    c.gives("/app/file", b"read");
}

#[test]
fn helpers_that_cannot_be_killed_are_left_behind_counted_and_not_let_grow() {
    require!(Need::Root, Need::Overlay, Need::File("/dev/fuse"));
    let files = Files::with_helper(&helper()).unwrap();
    let read = |c: &Inside, path: &str, options: &ReadOptions| {
        let start = Instant::now();
        let outcome = files.read(&c.process, path, options);
        let took = start.elapsed();
        assert!(took < TIMEOUT + LATE, "{path} took {took:?}");
        outcome.map(|content| content.bytes).map_err(|error| error.kind())
    };
    let good = Inside::start(&servers::banner(World::new("good"), "", &[]).file("/app/file", "read"));
    let mut deaf: Vec<Inside> = (0..8).map(|number| container(&format!("deaf-{number}"), "deaf")).collect();
    let first = deaf.remove(0);
    assert_eq!(read(&first, "/hang/file", &any()), Err(ErrorKind::Timeout));
    assert_eq!(files.stuck(), 1, "or this kernel lets it be killed, and there is nothing to see here");
    assert_eq!(read(&first, "/app/file", &any()).as_deref(), Ok(&b"read"[..]));
    assert_eq!(read(&first, "/hang/other", &any()), Err(ErrorKind::Timeout));
    assert_eq!((read(&first, "/app/file", &any()), files.stuck()), (Err(ErrorKind::Busy), 2));
    assert_eq!(read(&good, "/app/file", &any()).as_deref(), Ok(&b"read"[..]));

    thread::scope(|scope| {
        for c in &deaf {
            for path in ["/hang/one", "/hang/two"] {
                scope.spawn(|| assert_eq!(read(c, path, &any()), Err(ErrorKind::Timeout)));
            }
        }
    });
    assert_eq!(files.stuck(), 16);
    assert_eq!(read(&good, "/app/file", &any()), Err(ErrorKind::Busy), "no more of them are risked");

    // When the servers end, the kernel lets them go, and they are collected.
    deaf.push(first);
    for c in &deaf {
        c.container.kill();
    }
    let start = Instant::now();
    while files.stuck() > 0 {
        assert!(start.elapsed() < SOON, "{} are still there", files.stuck());
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(read(&good, "/app/file", &any()).as_deref(), Ok(&b"read"[..]));
}

#[test]
fn helpers_in_the_pid_namespace_are_counted_too() {
    require!(Need::Root, Need::Overlay, Need::File("/dev/fuse"));
    let c = container("mute-glob", "deaf");
    // Through the pid namespace: another way to start the helper, the same limits.
    let files = Files::with_helper(&helper()).unwrap();
    let options = any().pid_namespace();
    for stuck in 1..=2 {
        let start = Instant::now();
        let outcome = files.read(&c.process, "/hang/file", &options).map(drop).map_err(|error| error.kind());
        assert_eq!((outcome, files.stuck()), (Err(ErrorKind::Timeout), stuck));
        assert!(start.elapsed() < TIMEOUT + LATE, "{:?}", start.elapsed());
    }
    let refused = files.read(&c.process, "/app/file", &options).map_err(|error| error.kind());
    assert_eq!(refused.map(|content| content.bytes), Err(ErrorKind::Busy));
}

/// As above, and a child that makes the mount its root, which the server permits; after that it says nothing.
const ROOTED: &str = "
import ctypes, os, struct, sys, time
fuse = os.open('/hang-device', os.O_RDWR)
options = b'fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other' % fuse
assert ctypes.CDLL(None).mount(b'none', b'/hang', b'fuse', 0, options) == 0
def answer(request, body=b''):
    unique = struct.unpack_from('<IIQ', request)[2]
    os.write(fuse, struct.pack('<IiQ', 16 + len(body), 0, unique) + body)
answer(os.read(fuse, 1 << 20), struct.pack('<IIIIHHIIHHI7I', 7, 31, 0, 0, 64, 48, 4096, 1, 0, 0, 0, *[0] * 7))
if os.fork() == 0:
    os.close(fuse)
    os.chroot('/hang')
    print('rooted', flush=True)
    time.sleep(1000)
while True:
    request = os.read(fuse, 1 << 20)
    opcode = struct.unpack_from('<II', request)[1]
    # ACCESS and GETATTR, of whoever asks until the child is there.
    if opcode == 34 and not os.path.exists('/tmp/quiet'): answer(request)
    elif opcode == 3 and not os.path.exists('/tmp/quiet'): answer(request, struct.pack('<QII6Q10I', 9, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0o40755, 2, 0, 0, 0, 4096, 0))
    else: print('asked', opcode, flush=True)";

#[test]
fn a_process_whose_root_is_on_fuse_is_refused_and_its_server_is_not_asked() {
    require!(Need::Root, Need::Overlay, Need::File("/dev/fuse"));
    let world = World::new("rooted").prepare("mkdir /hang; mknod /hang-device c 10 229");
    let c = Inside::start(&world.command(["python3", "-c", ROOTED]));
    c.wait_log("rooted");
    c.shell("touch /tmp/quiet");
    let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", c.pid())).unwrap();
    let child = Process::open(children.trim().parse().unwrap()).unwrap();
    let files = Files::with_helper(&helper()).unwrap();
    for path in ["/etc/passwd", "/", "/proc/1/comm"] {
        let start = Instant::now();
        let outcome = files.read(&child, path, &ReadOptions::default());
        assert_eq!(outcome.map(drop).map_err(|error| error.kind()), Err(ErrorKind::UnsupportedFs), "{path}");
        assert!(start.elapsed() < LATE, "{path} took {:?}", start.elapsed());
    }
    assert!(!c.container.log().contains("asked"), "{}", c.container.log());
    // Asked for, it hangs until the deadline.
    let outcome = files.read(&child, "/etc/passwd", &any());
    assert_eq!(outcome.map(drop).map_err(|error| error.kind()), Err(ErrorKind::Timeout));
}
