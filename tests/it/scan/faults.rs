//! What a scan does when the kernel refuses: it says so, with the namespace or the process, and charts the rest.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use portolan::{ErrorKind, Protocol, SourceChoice};
use portolan_scan::{ScanOptions, Scanner};
use portolan_world::need::Need;
use portolan_world::{World, require};
use serde_json::Value;

use crate::command::{binary, run};
use crate::inside::Inside;
use crate::scratch::Scratch;
use crate::{oracle, servers};

/// Executes a program for which calls of a number fail, where an argument has a value, with an errno; each is given
/// as `NUMBER:ARGUMENT:VALUE:ERRNO`, and without an argument to look at as `NUMBER:::ERRNO`.
const REFUSING: &str = r#"
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>
int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (!strchr(argv[i], ':')) { execv(argv[i], argv + i); return 127; }
        char *field = argv[i];
        unsigned number = strtoul(strsep(&field, ":"), 0, 10);
        char *argument = strsep(&field, ":");
        unsigned value = strtoul(strsep(&field, ":"), 0, 10);
        unsigned error = strtoul(field, 0, 10);
        unsigned at = offsetof(struct seccomp_data, nr);
        unsigned wanted = number;
        if (*argument) {
            at = offsetof(struct seccomp_data, args) + 8 * atoi(argument);
            wanted = value;
        }
        struct sock_filter steps[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 3),
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, at),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, wanted, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = {6, steps};
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) return 126;
    }
    return 125;
}
"#;

/// `sendto`, `setns`, `socket` by their numbers; `pidfd_open` has the same everywhere.
#[cfg(target_arch = "x86_64")]
const CALLS: (i64, i64, i64) = (44, 308, 41);
#[cfg(not(target_arch = "x86_64"))]
const CALLS: (i64, i64, i64) = (206, 268, 198);
const PIDFD_OPEN: i64 = 434;
const EPERM: i32 = 1;
const ENOMEM: i32 = 12;
const EMFILE: i32 = 24;
const EPROTONOSUPPORT: i32 = 93;

/// What is refused here is what system calls take.
const SCAN: [&str; 4] = ["scan", "--json", "--source", "syscalls"];

struct Refusing {
    _scratch: Scratch,
    program: PathBuf,
}

impl Refusing {
    fn new() -> Self {
        let scratch = Scratch::new();
        scratch.file("refusing.c", REFUSING);
        let mut cc = Command::new("cc");
        run(cc.current_dir(scratch.path()).args(["-D_GNU_SOURCE", "-o", "refusing", "refusing.c"]), b"")
            .done();
        Self { program: scratch.join("refusing"), _scratch: scratch }
    }

    /// The chart of a scan for which these calls fail.
    #[track_caller]
    fn scan(&self, refused: &[String]) -> Value {
        let mut command = Command::new(&self.program);
        chart(command.args(refused).arg(binary()).args(SCAN))
    }
}

#[track_caller]
fn chart(command: &mut Command) -> Value {
    let ran = run(command, b"");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    serde_json::from_slice(&ran.stdout).unwrap()
}

/// A container that listens by all protocols.
fn listening(name: &str) -> Inside {
    let text = r"
import socket, time
tcp = socket.socket(); tcp.bind(('127.0.0.1', 8400)); tcp.listen(1)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.bind(('127.0.0.1', 8400))
unix = socket.socket(socket.AF_UNIX); unix.bind('\0eighty-four'); unix.listen(1)
print('ready', flush=True)
time.sleep(1000)";
    let c = Inside::start(&servers::python(World::new(name), text));
    c.wait_log("ready");
    c
}

/// The protocols that are charted of a container's namespace; the container itself is there in any case.
#[track_caller]
fn protocols(chart: &Value, c: &Inside) -> Vec<String> {
    let containers = chart["containers"].as_array().unwrap();
    let found = containers.iter().filter(|found| found["init"]["pid"] == c.pid()).count();
    assert_eq!(found, 1, "{} containers of {}, faults {}", found, c.pid(), chart["faults"]);
    let netns = oracle::namespace(c.pid(), "net");
    let listeners = chart["listeners"].as_array().unwrap().iter().filter(|l| l["netns"] == netns);
    let mut all: Vec<String> = listeners
        .inspect(|l| assert_eq!(l["pid"], c.pid(), "{l}"))
        .map(|l| l["protocol"].as_str().unwrap().to_owned())
        .collect();
    all.sort_unstable();
    all
}

/// The faults of namespaces: what was tried, the first namespace, how many. That one of another test ended is none.
fn of_namespaces(chart: &Value) -> Vec<(&str, u64, u64)> {
    let gone = |fault: &&Value| fault["message"].as_str().unwrap().contains("the process ");
    let faults = chart["faults"].as_array().unwrap().iter().filter(|fault| fault["subject"] == "netns");
    let faults = faults.filter(|fault| !gone(fault));
    let told = |fault: &Value| (fault["first"].as_u64().unwrap(), fault["count"].as_u64().unwrap());
    faults.map(|fault| (fault["operation"].as_str().unwrap(), told(fault).0, told(fault).1)).collect()
}

#[test]
fn a_dump_that_fails_is_a_fault_of_its_namespaces_and_costs_no_other_dump() {
    require!(Need::Root, Need::Overlay, Need::Program("cc"));
    let (c, refusing) = (listening("one-dump-fails"), Refusing::new());
    let sendto = CALLS.0;
    // The requests are told apart by their lengths: of Unix sockets, and of one family of UDP.
    let unix = refusing.scan(&[format!("{sendto}:2:40:{ENOMEM}")]);
    assert_eq!(protocols(&unix, &c), ["tcp", "udp"]);
    let faults = of_namespaces(&unix);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].0 == "list the Unix listeners" && faults[0].1 > 0 && faults[0].2 >= 1, "{faults:?}");
    let message = unix["faults"][0]["message"].as_str();
    assert!(message.is_some_and(|text| !text.is_empty()));

    let udp = refusing.scan(&[format!("{sendto}:2:72:{EPERM}")]);
    assert_eq!(protocols(&udp, &c), ["tcp", "unix"]);
    assert!(of_namespaces(&udp).iter().any(|(what, ..)| *what == "list the UDP sockets"));

    let all = refusing.scan(&[format!("{sendto}:::{ENOMEM}")]);
    assert_eq!(protocols(&all, &c), Vec::<String>::new());
    let mut tried: Vec<&str> = of_namespaces(&all).iter().map(|(what, ..)| *what).collect();
    tried.dedup();
    for what in ["list the TCP listeners", "list the UDP sockets", "list the Unix listeners"] {
        assert!(tried.contains(&what), "{tried:?}");
    }
    assert_eq!(protocols(&refusing.scan(&[]), &c), ["tcp", "udp", "unix"]);
}

#[test]
fn a_kernel_without_the_dump_of_both_families_is_asked_for_one_after_the_other() {
    require!(Need::Root, Need::Overlay, Need::Ipv6, Need::Program("cc"));
    let world = servers::banner(World::new("families"), "", &[("127.0.0.1", 8401), ("::1", 8402)]);
    let c = Inside::start(&world);
    c.wait_log("listening");
    let refusing = Refusing::new();
    let whole = refusing.scan(&[]);
    assert_eq!(protocols(&whole, &c), ["tcp", "tcp"]);
    let apart = refusing.scan(&[format!("{}:2:76:{}", CALLS.0, 95)]);
    assert_eq!(protocols(&apart, &c), ["tcp", "tcp"]);
    assert_eq!(of_namespaces(&apart), []);
}

#[test]
fn where_no_namespace_can_be_entered_or_no_dump_be_had_the_text_is_read() {
    require!(Need::Root, Need::Overlay, Need::Program("cc"), Need::Program("capsh"));
    let (c, refusing) = (listening("by-text"), Refusing::new());
    let (_, setns, socket) = CALLS;
    let netlink = 16;
    for refused in [format!("{setns}:::{EPERM}"), format!("{socket}:0:{netlink}:{EPROTONOSUPPORT}")] {
        let chart = refusing.scan(std::slice::from_ref(&refused));
        assert_eq!(protocols(&chart, &c), ["tcp", "udp", "unix"], "{refused}");
    }
    let mut capsh = Command::new("capsh");
    capsh.args(["--drop=cap_sys_admin", "--", "-c", "exec \"$0\" \"$@\""]).arg(binary()).args(SCAN);
    assert_eq!(protocols(&chart(&mut capsh), &c), ["tcp", "udp", "unix"]);
}

#[test]
fn one_process_that_cannot_be_entered_costs_no_other_namespace() {
    require!(Need::Root, Need::Overlay, Need::Program("cc"));
    let (one, other, refusing) = (listening("refused"), listening("not-refused"), Refusing::new());
    let chart = refusing.scan(&[format!("{PIDFD_OPEN}:0:{}:{EMFILE}", one.pid())]);
    assert_eq!(protocols(&chart, &other), ["tcp", "udp", "unix"]);
    // Its listeners are in the text as well, or it is a fault.
    let netns = oracle::namespace(one.pid(), "net");
    let told = of_namespaces(&chart).iter().any(|(_, first, _)| *first == netns);
    assert!(told || protocols(&chart, &one) == ["tcp", "udp", "unix"], "{}", chart["faults"]);
}

#[test]
fn with_few_descriptors_nothing_is_lost_without_a_word() {
    require!(Need::Root, Need::Overlay, Need::Program("prlimit"));
    let c = listening("few-descriptors");
    let netns = oracle::namespace(c.pid(), "net");
    let limits = (3..=16).chain([32, 64]);
    for (limit, source) in limits.flat_map(|limit| [(limit, "auto"), (limit, "syscalls")]) {
        let mut command = Command::new("prlimit");
        command.arg(format!("--nofile={limit}")).arg(binary()).args(["scan", "--json", "--source", source]);
        if limit < 32 {
            // How many descriptors a survey takes depends on what other tests have running.
            command.arg("--no-services");
        }
        let ran = run(&mut command, b"");
        if limit >= 16 {
            assert_eq!(ran.code, Some(0), "{limit}: {ran:?}");
        }
        if ran.code != Some(0) {
            // Or the program cannot even be loaded.
            assert!(ran.stdout.is_empty() && !ran.stderr.is_empty(), "{limit}: {ran:?}");
            continue;
        }
        let chart: Value = serde_json::from_slice(&ran.stdout).unwrap();
        let containers = chart["containers"].as_array().unwrap();
        let found = containers.iter().any(|found| found["init"]["pid"] == c.pid());
        let listeners = chart["listeners"].as_array().unwrap().iter().filter(|l| l["netns"] == netns).count();
        let faults = chart["faults"].as_array().unwrap();
        let none_left = faults
            .iter()
            .any(|fault| fault["message"].as_str().unwrap().ends_with("no file descriptors left"));
        assert!(found && listeners == 3 || none_left, "{limit}: {found} {listeners} {faults:?}");
        if limit >= 16 {
            assert!(found && listeners == 3 && !none_left, "{limit}: {found} {listeners} {faults:?}");
        }
    }
}

#[test]
fn a_namespace_that_does_not_answer_in_time_is_a_fault_and_nothing_of_it_is_gone() {
    require!(Need::Root, Need::Overlay);
    let c = listening("in-no-time");
    let netns = oracle::namespace(c.pid(), "net");
    let before = super::chart();
    assert_eq!(super::in_namespace(&before, netns).len(), 3);
    let mut options = ScanOptions::default();
    (options.namespace_timeout, options.source) = (Duration::ZERO, SourceChoice::SystemCalls);
    let mut scanner = Scanner::new(options);
    for _ in 0..2 {
        let late = scanner.scan().unwrap();
        super::container(&late, c.pid());
        assert!(late.unseen.namespaces.iter().any(|id| id.inode() == netns), "{:?}", late.unseen);
        let timeout = |fault: &&portolan::Fault| fault.subject == "netns" && fault.kind == ErrorKind::Timeout;
        assert!(late.faults.iter().any(|fault| timeout(&fault)), "{:?}", late.faults);
        let diff = late.diff(&before).listeners;
        assert!(diff.removed.iter().all(|l| l.netns.inode() != netns), "{diff}", diff = late.diff(&before));
        let kept = late.keeping(&before);
        let mut protocols: Vec<Protocol> =
            super::in_namespace(&kept, netns).iter().map(|l| l.protocol).collect();
        protocols.sort_unstable();
        assert_eq!(protocols, [Protocol::Tcp, Protocol::Udp, Protocol::Unix]);
    }
}
