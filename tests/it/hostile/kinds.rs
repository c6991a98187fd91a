//! S10 to S24: what a path leads to.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::Duration;

use portolan::{ErrorKind, FileKind};
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::scene::{Ask, Scene};
use crate::inside::SOON;
use crate::scratch::Scratch;
use crate::servers;

/// What is refused without being opened takes no longer, on a quiet machine: the best of a few counts.
const AT_ONCE: Duration = Duration::from_millis(10);

#[track_caller]
fn at_once(scene: &Scene, path: &str, kind: ErrorKind) {
    let best = (0..10).map(|_| {
        let told = scene.ask(&Ask::read(path));
        told.refused(kind);
        told.took()
    });
    let best = best.min().unwrap();
    assert!(best < AT_ONCE, "{path} takes {best:?}");
}

#[test]
fn s10_a_fifo_is_refused_and_whoever_waits_at_it_is_not_woken() {
    require!(Need::Root, Need::Overlay, Need::Program("python3"));
    let text = "
import os, time
print('opening', flush=True)
os.open('/app/fifo', os.O_WRONLY)
open('/app/woken', 'w')
time.sleep(1000)";
    let world = World::new("s10").prepare("mkdir /app; mkfifo /app/fifo");
    let scene = Scene::start(&servers::python(world, text));
    scene.c.wait_log("opening");
    at_once(&scene, "/app/fifo", ErrorKind::NotRegular(FileKind::Fifo));
    scene.ask(&Ask::read("/app/woken")).refused(ErrorKind::NotFound);
    // It was waiting all the time: a true reader wakes it.
    scene.c.shell("cat /app/fifo & sleep 0.1; kill $! || true");
    scene.c.container.wait_file("/app/woken", SOON).unwrap();
}

#[test]
fn s11_a_device_that_the_container_may_make_but_not_open_is_not_opened_for_it() {
    require!(Need::Root, Need::Overlay);
    // The kernel's log. Whether a control group forbids to open it makes no difference: nobody tries.
    let scene = Scene::start(&World::new("s11").prepare("mkdir /app; mknod /app/kmsg c 1 11"));
    at_once(&scene, "/app/kmsg", ErrorKind::NotRegular(FileKind::CharDevice));
}

#[test]
fn s12_devices_sockets_and_directories_are_refused_by_their_kind() {
    require!(Need::Root, Need::Overlay, Need::Program("python3"));
    let make = "mkdir /app; cd /app; mknod block b 7 0; mknod tty c 4 64; mknod ptmx c 5 2
                python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"/app/socket\")'";
    let scene = Scene::start(&World::new("s12").prepare(make));
    for (path, kind) in [
        ("/app/block", FileKind::BlockDevice),
        ("/app/tty", FileKind::CharDevice),
        ("/app/ptmx", FileKind::CharDevice),
        ("/dev/zero", FileKind::CharDevice),
        ("/app/socket", FileKind::Socket),
        ("/app", FileKind::Directory),
    ] {
        scene.ask(&Ask::read(path)).refused(ErrorKind::NotRegular(kind));
    }
}

#[test]
fn s13_a_write_lease_is_told_at_once() {
    require!(Need::Root, Need::Overlay, Need::Program("python3"));
    let text = "
import fcntl, os, signal, time
signal.signal(signal.SIGIO, signal.SIG_IGN)
file = os.open('/vol/l.txt', os.O_RDWR)
fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
print('leased', flush=True)
time.sleep(1000)";
    let world = World::new("s13").tmpfs("/vol").file("/vol/l.txt", "leased");
    let scene = Scene::start(&servers::python(world, text));
    scene.c.wait_log("leased");
    let told = scene.ask(&Ask::read("/vol/l.txt"));
    told.refused(ErrorKind::Busy);
    assert!(told.took() < Duration::from_secs(1), "{:?}", told.took());
}

#[test]
fn s14_a_sparse_file_of_a_tebibyte_is_read_to_the_cap() {
    require!(Need::Root, Need::Overlay);
    const CAP: u64 = 1 << 20;
    let scene = Scene::start(&World::new("s14").tmpfs("/vol").prepare("truncate -s 1T /vol/sparse"));
    let told = scene.ask(&Ask::read("/vol/sparse").prefix(CAP));
    assert!(told.bytes() == vec![0; 1 << 20]);
    assert_eq!((told.field("truncated"), told.field("size")), (&true.into(), &(1_u64 << 40).into()));
}

#[test]
fn s15_a_file_that_grows_and_shrinks_is_read_to_the_cap_or_less() {
    require!(Need::Root, Need::Overlay, Need::Program("python3"));
    let text = "
import os, threading, time
log = os.open('/vol/log', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
def shrink():
    while True:
        os.truncate('/vol/log', 0)
        time.sleep(0.003)
threading.Thread(target=shrink, daemon=True).start()
print('writing', flush=True)
while True:
    os.write(log, b'x' * 100000)
    time.sleep(0.0001)";
    let scene = Scene::start(&servers::python(World::new("s15").tmpfs("/vol"), text));
    scene.c.wait_log("writing");
    let tally = scene.repeat(&Ask::read("/vol/log").prefix(50_000), Duration::from_millis(700));
    tally.only(&["ok:", &format!("ok:{}", "x".repeat(24))]);
    assert!(tally.longest <= 50_000, "{tally:?}");
    let tally = scene.repeat(&Ask::read("/vol/log"), Duration::from_millis(700));
    assert!(tally.longest <= 204_800, "{tally:?}");
    let others =
        tally.outcomes.keys().filter(|kind| !kind.starts_with("ok:") && !kind.starts_with("Limit(Bytes"));
    assert_eq!(others.count(), 0, "{tally:?}");
}

#[test]
fn s16_files_without_a_size_are_read_to_their_end() {
    require!(Need::Root, Need::Overlay);
    let scene = Scene::start(&World::new("s16"));
    let status = scene.ask(&Ask::read("/proc/1/status")).bytes();
    assert!(status.starts_with(b"Name:\tsleep\n") && status.ends_with(b"\n"));
    scene.ask(&Ask::read("/sys/class/net/lo/mtu")).gives(b"65536\n");
}

#[test]
fn s17_a_link_to_a_file_of_the_kernel_takes_nothing_from_it() {
    require!(Need::Root, Need::Overlay, Need::Program("python3"));
    let unread = || -> i64 {
        // SYSLOG_ACTION_SIZE_UNREAD: what a reader of /proc/kmsg would get.
        let text = "import ctypes; print(ctypes.CDLL(None).klogctl(9, None, 0))";
        let output = Command::new("python3").args(["-c", text]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
    };
    let scene = Scene::start(
        &World::new("s17")
            .link("/app/log", "/proc/kmsg")
            .link("/app/core", "/proc/kcore")
            .link("/app/trace", "/sys/kernel/tracing/trace_pipe")
            .link("/app/status", "/proc/1/status"),
    );
    let before = unread();
    for path in ["/app/log", "/app/status"] {
        scene.ask(&Ask::read(path)).refused_as(&[ErrorKind::UnsupportedFs, ErrorKind::PermissionDenied]);
    }
    // These two not every kernel has.
    for path in ["/app/core", "/app/trace"] {
        let kinds = [ErrorKind::UnsupportedFs, ErrorKind::PermissionDenied, ErrorKind::NotFound];
        scene.ask(&Ask::read(path)).refused_as(&kinds);
    }
    // By its own name it is tried, without the capability that it takes.
    for path in ["/proc/kmsg", "/proc/kcore"] {
        let told = scene.ask(&Ask::read(path));
        assert!(told.kind().is_some(), "{path}: {}", told.shown());
    }
    assert!(unread() >= before, "somebody has read the kernel's log");
}

#[test]
fn s18_a_file_of_the_hosts_root_is_closed_for_a_container_with_users_of_its_own() {
    require!(Need::Root, Need::Overlay, Need::UserNamespaces);
    let host = Scratch::new();
    let closed = host.file("closed", "the host's");
    std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o600)).unwrap();
    let scene = Scene::start(
        &World::new("s18").user_namespace().bind(&closed, "/app/closed").link("/app/link", "closed"),
    );
    for path in ["/app/closed", "/app/link"] {
        scene.ask(&Ask::read(path)).refused(ErrorKind::PermissionDenied);
        scene.ask(&Ask::read(path).pid_namespace()).refused(ErrorKind::PermissionDenied);
    }
}

#[test]
fn s19_a_container_without_proc_is_read() {
    require!(Need::Root, Need::Overlay);
    let world = World::new("s19").file("/app/file", "read");
    let scene = Scene::start(&world.prepare("umount -l /proc; rmdir /proc 2>/dev/null || true"));
    scene.ask(&Ask::read("/app/file")).gives(b"read");
    assert_eq!(scene.ask(&Ask::glob("/app/*")).entries(), [b"/app/file"]);
}

#[test]
fn s20_a_container_where_nothing_is_written_or_executed_is_read() {
    require!(Need::Root, Need::Overlay, Need::Program("perl"));
    let text = "system('mount', '-o', 'remount,bind,ro,noexec,nosuid,nodev', '/') == 0 or die; $| = 1;
                print \"closed\\n\"; sleep 1000";
    let world = World::new("s20").file("/app/file", "read").command(["perl", "-e", text]);
    let scene = Scene::start(&world);
    scene.c.wait_log("closed");
    scene.ask(&Ask::read("/app/file")).gives(b"read");
    scene.ask(&Ask::read("/app/file").pid_namespace()).gives(b"read");
}

#[test]
fn s21_what_is_mounted_over_another_is_what_is_read_even_over_proc() {
    require!(Need::Root, Need::Overlay);
    let script = "
        mount -t tmpfs none /app/over; printf new >/app/over/file
        printf above >/app/above; mount --bind /app/above /app/below
        mount -t tmpfs none /proc; mkdir -p /proc/self/fd /proc/1
        for fd in 0 1 2 3 4 5 6 7 8 9 10 11 12; do printf forged >/proc/self/fd/$fd; done
        printf 'no mounts' >/proc/self/mountinfo; printf fake >/proc/1/status";
    let world = World::new("s21").file("/app/over/file", "old").file("/app/below", "below");
    for world in [world.clone(), world.user_namespace()] {
        let scene = Scene::start(&world.prepare(script));
        scene.ask(&Ask::read("/app/over/file")).gives(b"new");
        scene.ask(&Ask::read("/app/below")).gives(b"above");
        scene.ask(&Ask::read("/proc/1/status")).gives(b"fake");
        assert_eq!(scene.ask(&Ask::glob("/app/over/*")).entries(), [b"/app/over/file"]);
    }
}

#[test]
fn s23_a_path_that_is_none_is_refused_before_a_helper_is_started() {
    require!(Need::Root, Need::Overlay);
    let scene = Scene::start(&World::new("s23"));
    let too_long = format!("/{}", "n/".repeat(2048));
    for path in ["/etc/pass\0wd", "", "etc/passwd", "../etc/passwd", &too_long] {
        // Through helpers of their own: then those that were started can be counted.
        let answer = scene.ask_all(&Ask::read(path).helper(&crate::command::helper()));
        assert_eq!(answer["told"][0]["kind"], "InvalidInput", "{path:?}: {}", answer["told"]);
        assert_eq!(answer["children"], 1, "only the agent's own server runs");
    }
    scene.ask(&Ask::read(format!("/{}", "n".repeat(256)))).refused(ErrorKind::NameTooLong);
    scene.ask(&Ask::read(format!("/{}", "n/".repeat(2047)))).refused(ErrorKind::NotFound);
}

/// The host's setting as it was, afterwards.
struct Protected(String);

const PROTECTED: &str = "/proc/sys/fs/protected_symlinks";

impl Protected {
    fn set() -> Self {
        let before = std::fs::read_to_string(PROTECTED).unwrap();
        std::fs::write(PROTECTED, "1").unwrap();
        Self(before)
    }
}

impl Drop for Protected {
    fn drop(&mut self) {
        let _ = std::fs::write(PROTECTED, self.0.trim());
    }
}

#[test]
fn s24_a_link_of_another_owner_in_a_sticky_directory_is_not_followed() {
    require!(Need::Root, Need::Overlay, Need::File(PROTECTED));
    let script = "
        mkdir -p /app/sticky; chmod 1777 /app/sticky; printf x >/app/file
        ln -s /app/file /app/sticky/link; ln -s /app/file /tmp/link
        chown -h 1234 /app/sticky/link /tmp/link";
    let _protected = Protected::set();
    let scene = Scene::start(&World::new("s24").prepare(script));
    for path in ["/app/sticky/link", "/tmp/link"] {
        // The oracle: nobody but the link's owner follows it.
        assert!(!scene.c.container.exec(["cat", path]).unwrap().status.success(), "{path}");
        let told = scene.ask(&Ask::read(path));
        assert_eq!(told.kind(), Some("PermissionDenied"), "{path}: {}", told.shown());
    }
}
