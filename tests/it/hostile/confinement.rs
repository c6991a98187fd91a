//! S46 to S56: what the helper loads, keeps, and leaves; and how it ends.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use portolan::ErrorKind;
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::programs::{fuse, wait_fuse};
use super::scene::{Ask, Scene, oracle_status};
use crate::command::{helper, run};
use crate::inside::SOON;
use crate::oracle;
use crate::scratch::Scratch;

fn waiting_ask() -> Ask {
    Ask::read("/hang/file").any_file_system().timeout(Duration::from_secs(2))
}

/// A container in which a request waits until it is killed or its time is over.
fn waiting_with(name: &str, variables: &[(&str, &str)]) -> (Scene, Ask, u32) {
    let scene = Scene::start_with(&fuse(name, "INIT"), variables);
    wait_fuse(&scene.c, "INIT");
    let ask = waiting_ask();
    scene.begin(&ask);
    let pid = scene.helper_that_waits();
    (scene, ask, pid)
}

fn waiting(name: &str) -> (Scene, Ask, u32) {
    waiting_with(name, &[])
}

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), signal).unwrap();
}

#[test]
fn s22_a_helper_that_aborts_looks_at_nothing_inside() {
    require!(Need::Root, Need::Overlay);
    // What a panic would read for its backtrace is a FIFO here, and would hold it.
    let script = "mount -t tmpfs none /proc; mkdir /proc/self; mkfifo /proc/self/maps /proc/self/exe";
    let scene = Scene::start_with(&wide("s22").prepare(script), &[("RUST_BACKTRACE", "full")]);
    scene.begin(&endless());
    signal(scene.helper_that_waits(), Signal::SIGABRT);
    let told = scene.finish(&endless());
    told.refused(ErrorKind::HelperDied);
    assert!(told.took() < Duration::from_secs(1), "{:?}", told.took());
    assert!(told.shown().contains("signal: 6"), "{}", told.shown());
}

/// A tree that nobody has walked before the deadline, without waiting for anything.
fn wide(name: &str) -> World {
    let script = "cd /wide; for a in 1 2 3 4 5 6 7 8; do mkdir $a; ln -s .. $a/up; : >$a/f; done";
    World::new(name).tmpfs("/wide").prepare(script)
}

fn endless() -> Ask {
    Ask::glob(format!("/wide/{}*/none", "*/up/".repeat(12)))
}

#[test]
fn s46_inside_nothing_is_opened_but_what_was_asked_for() {
    require!(Need::Root, Need::Overlay, Need::Program("strace"));
    // Whatever looks names, locales, times or symbols up would be led to these.
    let world = World::new("s46")
        .file("/etc/nsswitch.conf", "passwd: evil\nhosts: evil\n")
        .file("/etc/ld.so.preload", "/lib/evil.so\n")
        .file("/app/asked", "for");
    let scene = Scene::start(&world);
    for (operation, path) in [
        ("read", "/app/asked"),
        ("glob", "/app/*"),
        ("include", "/app/*"),
        ("stat", "/app/asked"),
        ("read", "/proc/1/comm"),
    ] {
        let mut strace = Command::new("strace");
        strace
            .args(["-f", "-s", "200", "-e", "trace=%file,%network,openat2,setns,fork,vfork,clone,clone3"])
            .arg(helper());
        let ran = run(strace.args([operation, "--pid", &scene.c.pid().to_string(), "--", path]), b"");
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let inside: Vec<&str> =
            ran.stderr.lines().skip_while(|line| !line.contains("setns(")).skip(1).collect();
        assert!(!inside.is_empty(), "{}", ran.stderr);
        for line in inside {
            assert!(
                !line.contains("exec") && !line.contains("connect(") && !line.contains("clone"),
                "{line}"
            );
            let named: Vec<&str> = line.split('"').skip(1).step_by(2).collect();
            for name in named.iter().filter(|_| line.contains("open")) {
                let parts = path.trim_start_matches('/').split('/');
                let asked = *name == path || parts.into_iter().any(|part| part == *name);
                let known =
                    [".", "/", "/app", "asked", "/app/asked"].contains(name) || name.starts_with("self/");
                assert!(asked || known, "{operation} {path}: {line}");
            }
        }
    }
}

#[test]
fn s47_the_agents_environment_does_not_reach_the_helper() {
    require!(Need::Root, Need::Overlay, Need::File("/dev/fuse"), Need::Program("python3"));
    let canary = [
        ("LD_PRELOAD", "/no/canary.so"),
        ("LD_LIBRARY_PATH", "/no"),
        ("GCONV_PATH", "/no"),
        ("RUST_BACKTRACE", "full"),
        ("RUST_LOG", "trace"),
        ("AGENT_KEY", "s3cr3t"),
    ];
    let (scene, ask, child) = waiting_with("s47", &canary);
    for pid in [child, scene.helpers()[0]] {
        assert_eq!(fs::read(format!("/proc/{pid}/environ")).unwrap(), b"");
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
        let files = maps
            .lines()
            .filter_map(|line| line.split_whitespace().nth(5))
            .filter(|name| name.starts_with('/'));
        // Memory that the server shares with its children is shown as /dev/zero.
        let own = |name: &&str| name.starts_with("/memfd:") || *name == "/dev/zero";
        let foreign: Vec<&str> = files.filter(|name| !own(name)).collect();
        assert!(foreign.is_empty(), "{foreign:?}");
    }
    scene.finish(&ask).refused(ErrorKind::Timeout);
}

#[test]
fn s48_it_has_given_up_what_it_says_and_the_kernel_agrees() {
    require!(Need::Root, Need::Overlay, Need::File("/dev/fuse"), Need::Program("python3"));
    let (scene, ask, child) = waiting("s48");
    for (field, value) in [
        ("CapEff:", "0000000000000004"),
        ("CapPrm:", "0000000000000004"),
        ("CapInh:", "0000000000000000"),
        ("CapAmb:", "0000000000000000"),
        ("CapBnd:", "0000000000000000"),
        ("NoNewPrivs:", "1"),
        ("Seccomp:", "2"),
        ("Threads:", "1"),
    ] {
        assert_eq!(oracle_status(child, field).as_deref(), Some(value), "{field}");
    }
    let limits = fs::read_to_string(format!("/proc/{child}/limits")).unwrap();
    let limit = |name: &str| {
        let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.split_whitespace().next().unwrap().to_owned()
    };
    for name in ["Max core file size", "Max file size"] {
        assert_eq!(limit(name), "0", "{name}");
    }
    scene.finish(&ask).refused(ErrorKind::Timeout);
    let told = scene.ask(&Ask::read("/app/file"));
    let number = |name: &str| told.field(name).as_i64().unwrap();
    assert_eq!((number("effective"), number("bounding"), number("seccomp")), (4, 0, 2), "{}", told.shown());
    assert_eq!(number("landlock"), oracle::landlock());
    // Not dumpable, no new privileges, private procfs, sealed, limited, dies with its parent.
    assert_eq!(number("posture"), 0b111_0111, "{}", told.shown());
}

#[test]
fn s50_its_procfs_leads_nowhere_else() {
    require!(Need::Root, Need::Overlay, Need::File("/dev/fuse"), Need::Program("python3"));
    let (scene, ask, child) = waiting("s50");
    // Whoever had its descriptors could do no more than root of the host can do by way of them here.
    let fds = fs::read_dir(format!("/proc/{child}/fd")).unwrap().map(|fd| fd.unwrap().path());
    let procfs = fds
        .into_iter()
        .find(|fd| !fs::read_link(fd).unwrap().starts_with("/hang") && fd.join("self").is_symlink());
    let procfs = procfs.expect("it has a procfs");
    for name in
        ["../etc/passwd", "../../etc/passwd", "../proc", "kmsg", "sysrq-trigger", "sys", "kcore", "kallsyms"]
    {
        assert!(!procfs.join(name).exists(), "{name}");
    }
    scene.finish(&ask).refused(ErrorKind::Timeout);
}

#[test]
fn s51_its_memory_is_not_dumped() {
    require!(Need::Root, Need::Overlay);
    let scene = Scene::start(&wide("s51"));
    scene.begin(&endless());
    signal(scene.helper_that_waits(), Signal::SIGSEGV);
    let told = scene.finish(&endless());
    told.refused(ErrorKind::HelperDied);
    assert!(!told.shown().contains("core dumped"), "{}", told.shown());
    assert_eq!(scene.c.shell("ls / | grep core || true"), "");
}

#[test]
fn s52_a_thread_that_asked_may_end() {
    require!(Need::Root, Need::Overlay);
    // The agent's first request, which starts the server, is that of a thread that ends at once.
    let scene = Scene::start(&World::new("s52").file("/app/file", "read"));
    let server = scene.helpers()[0];
    std::thread::sleep(Duration::from_millis(100));
    let ask = Ask::read("/app/file");
    for told in scene.together(&[ask.clone(), ask.clone(), ask.clone()], 3, 0) {
        told.gives(b"read");
    }
    scene.ask(&ask).gives(b"read");
    assert_eq!(scene.helpers()[0], server);
}

#[test]
fn s53_with_the_agent_its_helpers_end() {
    require!(Need::Root, Need::Overlay, Need::File("/dev/fuse"), Need::Program("python3"));
    let (scene, _, child) = waiting("s53");
    let helpers = scene.helpers();
    assert!(helpers.contains(&child));
    scene.kill_agent();
    let start = Instant::now();
    let lives = |pid: &u32| {
        let status = oracle_status(*pid, "Name:").zip(oracle_status(*pid, "State:"));
        status.is_some_and(|(name, state)| name == "portolan-helper" && !state.starts_with('Z'))
    };
    while helpers.iter().any(lives) {
        assert!(start.elapsed() < Duration::from_secs(1), "they live on: {helpers:?}");
    }
}

/// A loop device of the host with a file system on it.
struct Volume(String, Scratch);

impl Volume {
    fn new() -> Option<Self> {
        let scratch = Scratch::new();
        let image = scratch.file("image", "");
        let done = |command: &mut Command| {
            command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
        };
        fs::File::options().write(true).open(&image).unwrap().set_len(4 << 20).unwrap();
        assert!(done(Command::new("mkfs.ext4").arg("-q").arg(&image)));
        let output = Command::new("losetup").args(["--find", "--show"]).arg(&image).output().unwrap();
        let device = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        output.status.success().then_some(Self(device, scratch))
    }

    fn name(&self) -> &str {
        self.0.trim_start_matches("/dev/")
    }

    fn is_mounted(&self) -> bool {
        fs::exists(format!("/sys/fs/ext4/{}", self.name())).unwrap()
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        let _ = Command::new("losetup").args(["--detach", &self.0]).status();
        let _ = &self.1;
    }
}

#[test]
fn s55_a_container_that_was_read_does_not_keep_its_volumes() {
    require!(
        Need::Root,
        Need::Overlay,
        Need::Program("mkfs.ext4"),
        Need::File("/dev/loop-control"),
        Need::File("/sys/fs/ext4")
    );
    let volume = Volume::new().expect("a loop device");
    let number = volume.name().trim_start_matches("loop");
    let script =
        format!("mkdir /vol; mknod /disk b 7 {number}; mount -t ext4 /disk /vol; printf kept >/vol/file");
    let scene = Scene::start(&World::new("s55").prepare(script));
    scene.hold(scene.c.pid());
    scene.ask(&Ask::read("/vol/file")).gives(b"kept");
    assert_eq!(scene.ask(&Ask::glob("/vol/f*")).entries(), [b"/vol/file"]);
    assert!(volume.is_mounted());
    scene.c.container.kill();
    let start = Instant::now();
    while volume.is_mounted() {
        assert!(start.elapsed() < Duration::from_millis(500), "somebody holds it");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A control group that can be frozen: of version 1 or 2, whichever this host has.
struct Freezer {
    path: std::path::PathBuf,
    switch: (&'static str, &'static str, &'static str),
}

impl Freezer {
    fn new() -> Option<Self> {
        let name = format!("portolan-hostile-{}", std::process::id());
        let one = ("/sys/fs/cgroup/freezer", ("freezer.state", "FROZEN", "THAWED"));
        let two = ("/sys/fs/cgroup", ("cgroup.freeze", "1", "0"));
        [one, two].into_iter().find_map(|(root, switch)| {
            let path = std::path::Path::new(root).join(&name);
            fs::create_dir(&path).ok()?;
            if path.join(switch.0).exists() {
                return Some(Self { path, switch });
            }
            let _ = fs::remove_dir(&path);
            None
        })
    }

    fn set(&self, frozen: bool) {
        fs::write(self.path.join(self.switch.0), if frozen { self.switch.1 } else { self.switch.2 }).unwrap();
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        self.set(false);
        let start = Instant::now();
        while fs::remove_dir(&self.path).is_err() && start.elapsed() < SOON {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

#[test]
fn s56_a_frozen_container_is_read() {
    require!(Need::Root, Need::Overlay, Need::File("/sys/fs/cgroup"));
    let Some(freezer) = Freezer::new() else {
        panic!("no control group can be made here");
    };
    let scene = Scene::start(&World::new("s56").file("/app/file", "frozen"));
    fs::write(freezer.path.join("cgroup.procs"), scene.c.pid().to_string()).unwrap();
    freezer.set(true);
    scene.ask(&Ask::read("/app/file")).gives(b"frozen");
    assert_eq!(scene.ask(&Ask::glob("/app/*")).entries(), [b"/app/file"]);
    freezer.set(false);
    // It is to be dead before its group can go.
    drop(scene);
}
