//! What the helper has given up when it works inside: by its own words, and by the kernel's.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use portolan::{GlobOptions, ReadOptions};
use portolan_wire::decoder::Decoder;
use portolan_wire::frame::posture::{
    DEATH_SIGNAL, LIMITED, NO_NEW_PRIVS, NOT_DUMPABLE, PID_NAMESPACE, PRIVATE_PROCFS, SEALED,
};
use portolan_wire::frame::{Frame, Hello};
use portolan_wire::limits::Limits;
use portolan_world::need::Need;
use portolan_world::{World, require};

use crate::command::{helper, run};
use crate::inside::{Inside, SOON};
use crate::oracle;

/// The number of `CAP_DAC_READ_SEARCH` in `linux/capability.h` is 2.
const ONLY_READ_SEARCH: u64 = 1 << 2;
const ALWAYS: u16 = NOT_DUMPABLE | NO_NEW_PRIVS | PRIVATE_PROCFS | LIMITED | DEATH_SIGNAL;

#[track_caller]
fn given_up(hello: &Hello, posture: u16, c: &Inside) {
    assert_eq!(hello.posture, posture, "{hello:?}");
    assert_eq!((hello.effective, hello.bounding), (ONLY_READ_SEARCH, 0), "{hello:?}");
    assert_eq!((hello.seccomp, i64::from(hello.landlock)), (2, oracle::landlock()), "{hello:?}");
    assert_eq!(hello.mount_namespace, oracle::namespace(c.pid(), "mnt"));
}

#[test]
fn started_by_the_library_it_is_sealed_and_says_what_it_gave_up() {
    require!(Need::Root, Need::Overlay);
    for world in [World::new("posture"), World::new("posture-pid").share_pid()] {
        let c = Inside::start(&world);
        let read = c.read("/etc/hostname", &ReadOptions::default()).unwrap();
        given_up(&read.helper, ALWAYS | SEALED, &c);
        let read = c.read("/etc/hostname", &ReadOptions::default().pid_namespace()).unwrap();
        given_up(&read.helper, ALWAYS | SEALED | PID_NAMESPACE, &c);
        let glob = c.expand("/etc/*", &GlobOptions::default()).unwrap();
        given_up(&glob.helper, ALWAYS | SEALED, &c);
    }
}

#[test]
fn started_from_its_file_it_seals_itself_where_the_container_could_see_it() {
    require!(Need::Root, Need::Overlay);
    let apart = Inside::start(&World::new("apart"));
    given_up(&by_hand(&apart, &[]), ALWAYS, &apart);
    given_up(&by_hand(&apart, &["--pid-namespace"]), ALWAYS | SEALED | PID_NAMESPACE, &apart);
    let visible = Inside::start(&World::new("visible").share_pid());
    given_up(&by_hand(&visible, &[]), ALWAYS | SEALED, &visible);
}

fn by_hand(c: &Inside, options: &[&str]) -> Hello {
    let mut read = Command::new(helper());
    let read = read.args(["read", "--pid", &c.pid().to_string()]).args(options).args(["--", "/etc/hostname"]);
    let answer = run(read, b"").done();
    let mut decoder = Decoder::new(Limits::default());
    decoder.push(&answer).unwrap();
    match decoder.next_frame().unwrap() {
        Some(Frame::Hello(hello)) => hello,
        other => panic!("{other:?}"),
    }
}

/// A helper that has more to say than its pipe holds, and so stands still where it can be looked at.
struct Standing(Child);

impl Standing {
    fn inside(c: &Inside) -> Self {
        // It inherits two descriptors, one of them a directory of the host, and a secret in its environment.
        let script = "exec \"$@\" 7</etc/passwd 9</root";
        let mut shell = Command::new("sh");
        shell.args(["-c", script, "sh"]).arg(helper()).args(["read", "--pid", &c.pid().to_string()]);
        shell.args(["--timeout-ms", "20000", "--max-bytes", "4000000", "--", "/app/large"]);
        let child = shell.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let standing = Self(child);
        let start = Instant::now();
        while standing.status()["CapBnd"] != "0000000000000000"
            || standing.status()["State"] != "S (sleeping)"
        {
            assert!(start.elapsed() < SOON, "{:?}", standing.status());
            std::thread::yield_now();
        }
        standing
    }

    fn status(&self) -> BTreeMap<String, String> {
        let text = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        text.lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
            .collect()
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn what_it_says_of_itself_is_what_the_kernel_says() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("standing").file("/app/large", vec![1; 3_000_000]));
    let standing = Standing::inside(&c);
    let (status, pid) = (standing.status(), standing.0.id());
    for (field, value) in [
        ("CapEff", "0000000000000004"),
        ("CapPrm", "0000000000000004"),
        ("CapInh", "0000000000000000"),
        ("CapAmb", "0000000000000000"),
        ("CapBnd", "0000000000000000"),
        ("NoNewPrivs", "1"),
        ("Threads", "1"),
    ] {
        assert_eq!(status[field], value, "{field}");
    }
    assert_eq!(oracle::namespace(pid, "mnt"), oracle::namespace(c.pid(), "mnt"));
    for kind in ["pid", "net", "user", "uts", "ipc"] {
        assert_eq!(oracle::namespace(pid, kind), oracle::namespace("self", kind), "it stays outside: {kind}");
    }
    let inside = fs::read_to_string(format!("/proc/{pid}/root/etc/hostname")).unwrap();
    assert_eq!(inside, c.shell("cat /etc/hostname") + "\n", "its root is the container's");
}

#[test]
fn it_keeps_no_descriptor_that_it_inherited() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("descriptors").file("/app/large", vec![1; 3_000_000]));
    let standing = Standing::inside(&c);
    let fds = fs::read_dir(format!("/proc/{}/fd", standing.0.id())).unwrap();
    let links: Vec<String> =
        fds.map(|fd| fs::read_link(fd.unwrap().path()).unwrap().display().to_string()).collect();
    assert!(!links.iter().any(|link| link == "/etc/passwd" || link == "/root"), "{links:?}");
    // Standard three, pidfd, root and a copy of it, procfs, the file as a path and opened.
    assert!(links.len() <= 10, "{links:?}");
    assert!(links.iter().any(|link| link == "/app/large"), "{links:?}");
}

#[test]
fn it_dies_with_whoever_started_it() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("orphan").file("/app/large", vec![1; 3_000_000]));
    // The shell in between is its parent, and is killed; its output is open as long as this test is.
    let script = "\"$0\" read --pid \"$1\" --timeout-ms 20000 --max-bytes 4000000 -- /app/large & wait";
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(helper()).arg(c.pid().to_string());
    let mut shell = shell.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let _output = shell.stdout.take();
    let inside = || {
        let mnt = oracle::namespace(c.pid(), "mnt");
        let all =
            fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        all.filter(|pid| pid.parse::<i32>().is_ok_and(|pid| pid != c.pid()))
            .filter(|pid| {
                let link = fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
                link.and_then(|link| oracle::number_of_link(link.to_str()?)) == Some(mnt)
            })
            .count()
    };
    let start = Instant::now();
    while inside() == 0 {
        assert!(start.elapsed() < SOON, "no helper");
    }
    shell.kill().unwrap();
    shell.wait().unwrap();
    while inside() > 0 {
        assert!(start.elapsed() < SOON, "it lives on");
        std::thread::yield_now();
    }
}
