//! S25 to S32: file systems that do not answer.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use portolan::ErrorKind;
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::programs::{FUSE_FILE, fuse, fuse_on, wait_fuse};
use super::scene::{Ask, Scene};
use crate::servers;

const TIMEOUT: Duration = Duration::from_millis(300);
const AT_ONCE: Duration = Duration::from_millis(10);

/// A container whose FUSE server never answers these requests.
fn scene(name: &str, hanging: &str) -> Scene {
    let scene = Scene::start(&fuse(name, hanging));
    wait_fuse(&scene.c, hanging);
    scene
}

/// Read, although it may hang.
fn any(path: &str) -> Ask {
    Ask::read(path).any_file_system().timeout(TIMEOUT)
}

#[track_caller]
fn came(scene: &Scene, request: &str) -> bool {
    scene.c.container.log().lines().any(|line| line == format!("request {request}"))
}

#[test]
fn s25_a_file_system_of_a_server_is_refused_and_the_server_not_asked() {
    require!(Need::Root, Need::Overlay, Need::File("/dev/fuse"), Need::Program("python3"));
    let scene = scene("s25", "LOOKUP,GETATTR,STATX,OPEN,OPENDIR,STATFS");
    let mut best = TIMEOUT;
    for path in
        ["/hang/file", "/hang", "/app/../hang/../hang/file", "/hang/file", "/hang/none/../../app/file"]
    {
        let told = scene.ask(&Ask::read(path));
        told.refused(ErrorKind::UnsupportedFs);
        best = best.min(told.took());
    }
    assert!(best < AT_ONCE, "{best:?}");
    assert!(scene.ask(&Ask::glob("/hang/*")).entries().is_empty());
    assert_eq!(scene.ask(&Ask::glob("/{app,hang}/file")).entries(), [b"/app/file"]);
    scene.ask(&Ask::glob("/hang/**/file"));
    for request in ["LOOKUP", "GETATTR", "STATX", "OPEN", "OPENDIR", "READDIR", "STATFS"] {
        assert!(!came(&scene, request), "{}", scene.c.container.log());
    }
}

/// Two requests hang for good, the third is not risked; and all is well when the server has ended.
#[track_caller]
fn two_hang_and_the_third_is_refused(hanging: &str, ask: &Ask) {
    let scene = scene("s26", hanging);
    scene.ask(&ask.clone().leaves(1)).refused(ErrorKind::Timeout);
    assert!(came(&scene, hanging), "{}", scene.c.container.log());
    scene.ask(&ask.clone().leaves(2)).refused(ErrorKind::Timeout);
    let third = scene.ask(&ask.clone().leaves(2));
    third.refused(ErrorKind::Busy);
    assert!(third.took() < TIMEOUT, "{:?}", third.took());
    // Other containers are read, and this one again when nothing hangs any more.
    scene.c.container.kill();
    scene.wait_free();
    scene.ask(ask).refused(ErrorKind::TargetGone);
}

#[test]
fn s26_a_lookup_that_is_never_answered_ends_at_the_deadline() {
    require!(Need::Root, Need::Overlay, Need::File("/dev/fuse"), Need::Program("python3"));
    two_hang_and_the_third_is_refused("LOOKUP", &any("/hang/file"));
}

#[test]
fn s26_an_open_that_is_never_answered_ends_at_the_deadline() {
    require!(Need::Root, Need::Overlay, Need::File("/dev/fuse"), Need::Program("python3"));
    two_hang_and_the_third_is_refused("OPEN", &any("/hang/file"));
}

#[test]
fn s26_a_read_that_is_never_answered_ends_at_the_deadline() {
    require!(Need::Root, Need::Overlay, Need::File("/dev/fuse"), Need::Program("python3"));
    two_hang_and_the_third_is_refused("READ", &any("/hang/file"));
}

#[test]
fn s26_attributes_that_are_never_told_end_at_the_deadline() {
    require!(Need::Root, Need::Overlay, Need::File("/dev/fuse"), Need::Program("python3"));
    two_hang_and_the_third_is_refused("GETATTR", &any("/hang/file"));
}

#[test]
fn s26_a_directory_that_is_never_listed_ends_at_the_deadline() {
    require!(Need::Root, Need::Overlay, Need::File("/dev/fuse"), Need::Program("python3"));
    let glob = Ask::glob("/hang/*").any_file_system().timeout(TIMEOUT);
    two_hang_and_the_third_is_refused("READDIR", &glob);
}

#[test]
fn s26_the_type_of_a_file_system_is_not_asked_of_its_server() {
    require!(Need::Root, Need::Overlay, Need::File("/dev/fuse"), Need::Program("python3"));
    let scene = scene("s26-statfs", "STATFS");
    scene.ask(&any("/hang/file")).gives(FUSE_FILE);
    assert_eq!(
        scene.ask(&Ask::glob("/hang/*").any_file_system()).entries(),
        [&b"/hang/file"[..], b"/hang/other"]
    );
    assert!(!came(&scene, "STATFS"));
}

#[test]
fn s27_a_whole_answer_counts_although_its_helper_cannot_end() {
    require!(Need::Root, Need::Overlay, Need::File("/dev/fuse"), Need::Program("python3"));
    let scene = scene("s27", "FLUSH");
    let told = scene.ask(&any("/hang/file").leaves(1));
    told.gives(FUSE_FILE);
    assert!(told.took() < TIMEOUT, "{:?}", told.took());
    assert!(came(&scene, "FLUSH"), "{}", scene.c.container.log());
}

/// The host's device of FUSE, open to everybody as on many hosts, on a path of its own.
struct Device(std::path::PathBuf);

impl Device {
    fn new() -> Self {
        let path = std::path::PathBuf::from(format!("/dev/portolan-fuse-{}", std::process::id()));
        let made = std::process::Command::new("mknod")
            .args(["-m", "666"])
            .arg(&path)
            .args(["c", "10", "229"])
            .status();
        assert!(made.unwrap().success());
        Self(path)
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn s28_a_file_system_that_users_inside_mounted_is_closed_to_the_helper() {
    require!(
        Need::Root,
        Need::Overlay,
        Need::UserNamespaces,
        Need::File("/dev/fuse"),
        Need::Program("python3")
    );
    let device = Device::new();
    let world = World::new("s28").user_namespace().directory("/hang").bind(&device.0, "/hang-device");
    let scene = Scene::start(&fuse_on(world, "LOOKUP"));
    wait_fuse(&scene.c, "LOOKUP");
    let told = scene.ask(&Ask::read("/hang/file"));
    told.refused_as(&[ErrorKind::UnsupportedFs, ErrorKind::PermissionDenied]);
    let told = scene.ask(&any("/hang/file"));
    told.refused(ErrorKind::PermissionDenied);
    assert!(told.took() < TIMEOUT, "{:?}", told.took());
    assert!(!came(&scene, "LOOKUP"), "{}", scene.c.container.log());
}

#[test]
fn s29_a_server_that_does_not_even_read_lets_the_helper_go() {
    require!(Need::Root, Need::Overlay, Need::File("/dev/fuse"), Need::Program("python3"));
    let scene = scene("s29", "INIT");
    for _ in 0..3 {
        scene.ask(&any("/hang/file")).refused(ErrorKind::Timeout);
    }
}

#[test]
fn s30_a_server_that_is_frozen_is_waited_for_until_the_deadline_and_works_again() {
    require!(Need::Root, Need::Overlay, Need::File("/dev/fuse"), Need::Program("python3"));
    let scene = scene("s30", "");
    let server = Pid::from_raw(scene.c.pid());
    scene.ask(&any("/hang/file")).gives(FUSE_FILE);
    kill(server, Signal::SIGSTOP).unwrap();
    scene.ask(&any("/hang/file")).refused(ErrorKind::Timeout);
    scene.ask(&Ask::read("/app/file")).gives(b"not hanging");
    kill(server, Signal::SIGCONT).unwrap();
    scene.ask(&any("/hang/file")).gives(FUSE_FILE);
}

#[test]
fn s31_an_automounter_is_not_woken() {
    require!(Need::Root, Need::Overlay, Need::File("/dev/autofs"), Need::Program("python3"));
    // Its daemon keeps the pipe open and never answers. A direct mount is a trigger itself.
    let text = "
import ctypes, os, time
ours, theirs = os.pipe()
for kind in ('direct', 'indirect'):
    os.mkdir('/' + kind)
    options = 'fd=%d,pgrp=%d,minproto=5,maxproto=5,%s' % (theirs, os.getpgrp(), kind)
    libc = ctypes.CDLL(None, use_errno=True)
    done = libc.mount(b'none', b'/' + kind.encode(), b'autofs', 0, options.encode())
    assert done == 0, os.strerror(ctypes.get_errno())
print('mounted', flush=True)
os.set_blocking(ours, False)
while True:
    try: print('woken', len(os.read(ours, 4096)), flush=True)
    except BlockingIOError: time.sleep(0.01)";
    let world = World::new("s31").link("/app/link", "/indirect/home/file");
    let scene = Scene::start(&servers::python(world, text));
    scene.c.wait_log("mounted");
    for path in ["/indirect/home/file", "/indirect", "/direct", "/direct/file", "/app/link"] {
        scene.ask(&Ask::read(path)).refused(ErrorKind::UnsupportedFs);
    }
    assert!(scene.ask(&Ask::glob("/{in,}direct/*")).entries().is_empty());
    assert_eq!(scene.c.container.log(), "mounted\n");
}

#[test]
fn s32_a_file_system_that_is_mounted_meanwhile_is_not_walked_into() {
    require!(Need::Root, Need::Overlay, Need::File("/dev/fuse"), Need::Program("python3"));
    let text = "
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
while True:
    fuse = os.open('/hang-device', os.O_RDWR)
    options = b'fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other' % fuse
    assert libc.mount(b'none', b'/app/m', b'fuse', 0, options) == 0, ctypes.get_errno()
    if not os.path.exists('/tmp/first'): open('/tmp/first', 'w'); print('mounting', flush=True)
    # Somebody who asked it would wait for the answer to its first message.
    for _ in range(2000): pass
    libc.umount2(b'/app/m', 2)
    os.close(fuse)";
    let world = World::new("s32").file("/app/m/file", "below").prepare("mknod /hang-device c 10 229");
    let scene = Scene::start(&servers::python(world, text));
    scene.c.wait_log("mounting");
    let tally = scene.repeat(&Ask::read("/app/m/file").timeout(TIMEOUT), Duration::from_secs(1));
    tally.only(&["ok:below", "UnsupportedFs"]);
    assert!(tally.count("UnsupportedFs") > 0, "no race: {tally:?}");
}
