//! S33 to S39: trees, patterns and processes that were made to keep whoever looks at them busy.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use portolan::ErrorKind;
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::programs::{fuse, wait_fuse};
use super::scene::{Ask, Scene, oracle_status};
use crate::command::{command, helper, portolan, run};
use crate::inside::SOON;
use crate::servers;

/// Memory that a helper may have for a flood of names, in KiB.
const MEMORY: u64 = 64 * 1024;

#[test]
fn s33_a_directory_of_300_000_files_is_a_limit_and_fits_in_little_memory() {
    require!(Need::Root, Need::Overlay, Need::Program("python3"));
    let text = "
import os, time
directory = os.open('/big', os.O_RDONLY)
for number in range(300000): os.mknod('%06d' % number, dir_fd=directory)
print('full', flush=True)
time.sleep(1000)";
    let scene = Scene::start(&servers::python(World::new("s33").tmpfs("/big"), text));
    scene.c.wait_log("full");
    let told = scene.ask(&Ask::glob("/big/*"));
    assert_eq!(told.incomplete(), Some("Limit(Entries)"), "{}", told.shown());
    assert_eq!(told.entries().len(), 10_000);
    let told = scene.ask(&Ask::glob("/big/29999?"));
    assert_eq!((told.entries().len(), told.incomplete()), (10, None));

    // A helper whose answer nobody reads stands still when it has found everything, and can be looked at.
    let mut glob = Command::new(helper());
    glob.args(["glob", "--pid", &scene.c.pid().to_string(), "--timeout-ms", "20000", "--", "/big/*"]);
    let mut glob = glob.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut most, mut same, start) = (0, 0, Instant::now());
    while same < 20 && start.elapsed() < SOON {
        std::thread::sleep(Duration::from_millis(20));
        let now =
            oracle_status(glob.id(), "VmHWM:").map_or(0, |kib| kib.trim_end_matches(" kB").parse().unwrap());
        same = if now == most { same + 1 } else { 0 };
        most = most.max(now);
    }
    glob.kill().unwrap();
    glob.wait().unwrap();
    assert!(most > 0 && most < MEMORY, "{most} KiB");
}

#[test]
fn s34_a_tree_of_10_000_directories_one_in_another_is_a_limit() {
    require!(Need::Root, Need::Overlay, Need::Program("python3"));
    let text = "
import os, time
os.chdir('/deep')
for number in range(10000):
    os.mkdir('d')
    os.chdir('d')
print('deep', flush=True)
time.sleep(1000)";
    let scene = Scene::start(&servers::python(World::new("s34").tmpfs("/deep"), text));
    scene.c.wait_log("deep");
    let told = scene.ask(&Ask::glob("/deep/**/d"));
    assert_eq!(told.incomplete(), Some("Limit(Depth)"), "{}", told.shown());
    assert!(told.entries().contains(&b"/deep/d/d/d".to_vec()));
    // As deep as a path reaches.
    let told = scene.ask(&Ask::glob(format!("/deep{}/*", "/d".repeat(2040))));
    told.refused_as(&[ErrorKind::InvalidInput, ErrorKind::NameTooLong]);
}

#[test]
fn s35_directories_that_contain_themselves_are_walked_to_an_end() {
    require!(Need::Root, Need::Overlay);
    let script = "
        mount -t tmpfs none /app/many; mkdir /app/x/inner; mount --bind /app /app/x/inner; mount --rbind /app /app/y
        cd /app/many; for n in $(seq 500); do mkdir $n; mount --bind /app/x $n; done";
    let world = World::new("s35")
        .file("/app/x/file", "")
        .link("/app/loop", "..")
        .link("/app/x/self", ".")
        .directory("/app/y")
        .directory("/app/many");
    for world in [world.clone(), world.user_namespace()] {
        let scene = Scene::start(&world.prepare(script));
        for pattern in
            ["/app/**/file", "/app/**/x/**/file", "/app/{many,x,y,loop}/**/file", "/**/app/**/file"]
        {
            let told = scene.ask(&Ask::glob(pattern).timeout(Duration::from_millis(700)));
            let end = told.incomplete().or(told.kind());
            let fits = end.is_none_or(|end| end.starts_with("Limit") || end == "Timeout");
            assert!(fits, "{pattern}: {}", told.shown());
        }
        // What links and mounts lead to is there by name.
        scene.ask(&Ask::read("/app/loop/app/x/self/inner/x/file")).gives(b"");
    }
}

#[test]
fn s36_a_directory_that_changes_meanwhile_gives_every_path_once() {
    require!(Need::Root, Need::Overlay, Need::Program("python3"));
    let text = "
import os
for number in range(300): open('/vol/%03d' % number, 'w')
print('changing', flush=True)
while True:
    for number in range(300):
        os.rename('/vol/%03d' % number, '/vol/new')
        os.rename('/vol/new', '/vol/%03d' % number)
        os.unlink('/vol/%03d' % number)
        os.mkdir('/vol/%03d' % number)
        os.rmdir('/vol/%03d' % number)
        open('/vol/%03d' % number, 'w').close()";
    let scene = Scene::start(&servers::python(World::new("s36").tmpfs("/vol"), text));
    scene.c.wait_log("changing");
    for pattern in ["/vol/*", "/vol/**", "/vol/{0,1,2}*"] {
        scene.repeat(&Ask::glob(pattern), Duration::from_millis(400)).only(&["ok"]);
    }
    assert!(scene.ask(&Ask::glob("/vol/*")).entries().len() > 250);
}

#[test]
fn s37_a_pattern_that_explodes_is_refused_or_matched_at_once() {
    require!(Need::Root, Need::Overlay);
    let scene = Scene::start(&World::new("s37").file(format!("/app/{}", "a".repeat(255)), ""));
    for pattern in
        ["/{a,b}".repeat(7), format!("/{}", "{a,b}".repeat(60)), format!("/{}", "{a,".repeat(1000))]
    {
        let told = scene.ask(&Ask::glob(pattern));
        told.refused(ErrorKind::InvalidInput);
        assert!(told.took() < Duration::from_millis(100), "{:?}", told.took());
    }
    for stars in [5, 100, 1000] {
        let told = scene.ask(&Ask::glob(format!("/app/{}b", "*a".repeat(stars))));
        assert!(told.entries().is_empty());
        assert!(told.took() < Duration::from_millis(100), "{:?}", told.took());
    }
}

#[test]
fn s38_a_process_whose_arguments_hang_does_not_hang_a_scan() {
    require!(Need::Root, Need::Overlay, Need::File("/dev/fuse"), Need::Program("python3"));
    // A page within its arguments, and one within its environment, become ones that only the server could give.
    let text = "
import ctypes, os, signal
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
fields = open('/proc/self/stat').read().rsplit(')', 1)[1].split()
FIXED_AND_PRIVATE, file = 0x12, os.open('/hang/file', os.O_RDONLY)
for begin in (int(fields[45]), int(fields[47])):
    page = (begin + 4096) & ~4095
    size, offset = ctypes.c_size_t(4096), ctypes.c_long(0)
    assert libc.mmap(ctypes.c_void_p(page), size, 1, FIXED_AND_PRIVATE, file, offset) == page
open('/app/pid', 'w').write(str(os.getpid()))
os.rename('/app/pid', '/app/hanging')
signal.pause()";
    let scene = Scene::start(&fuse("s38", "READ").file("/app/hanging.py", text));
    wait_fuse(&scene.c, "READ");
    scene.c.shell(
        "long=$(printf 'x%.0s' $(seq 20000))
         env -i LONG=$long setsid python3 /app/hanging.py $long >/app/why 2>&1 &",
    );
    scene.c.container.wait_file("/app/hanging", SOON).unwrap();
    let inside = scene.c.shell("cat /app/hanging");
    let ran = run(&mut command(["scan", "--json"]), b"");
    assert!(ran.code == Some(0) && ran.took < Duration::from_secs(5), "{:?} {:?}", ran.code, ran.took);
    let ran = portolan(["explain", &scene.c.target()]);
    assert!(ran.code == Some(0) && ran.took < Duration::from_secs(5), "{ran:?}");
    // By its path inside, too, what can be had is had in time.
    for name in ["cmdline", "environ"] {
        let told = scene.ask(&Ask::read(format!("/proc/{inside}/{name}")));
        assert_ne!(told.kind(), Some("Timeout"), "{}", told.shown());
    }
}

#[test]
fn s39_environments_are_not_read_however_large() {
    require!(Need::Root, Need::Overlay);
    let mut world = World::new("s39");
    for number in 0..10 {
        world = world.env(format!("SECRET_{number}"), "s3cr3t".repeat(15_000));
    }
    let scene = Scene::start(&world);
    for ask in [Ask::read("/proc/1/environ"), Ask::read("/proc/1/environ").prefix(1000)] {
        scene.ask(&ask).refused(ErrorKind::PermissionDenied);
        let told = scene.ask(&ask.pid_namespace());
        told.refused(ErrorKind::PermissionDenied);
    }
    for arguments in [
        &["scan", "--json"][..],
        &["explain", &scene.c.target()],
        &["cat", &scene.c.target(), "/proc/1/environ"],
    ] {
        let ran = portolan(arguments);
        let all = [ran.stdout.as_slice(), ran.stderr.as_bytes()].concat();
        assert!(!all.windows(6).any(|six| six == b"s3cr3t"), "{arguments:?}");
    }
}
