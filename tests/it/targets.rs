//! What a name on the command line stands for, and that a process is never taken for another.

use std::process::{Child, Command};
use std::time::Instant;

use portolan::{Dialer, ErrorKind, Feature, GlobOptions, Host, Process, ProcessId, ReadOptions, Target};
use portolan_world::need::Need;
use portolan_world::{World, require};

use crate::command::{helper, portolan, run};
use crate::inside::{Inside, SOON, exit_code};
use crate::oracle;

/// The name is refused for this reason by the library and by every command that takes one; gives a line of them.
#[track_caller]
fn refused(name: &str, kind: ErrorKind) -> String {
    let found = Host::new().target(name).map(|target| target.process.pid());
    assert_eq!(found.map_err(|error| error.kind()), Err(kind), "{name}");
    let code = exit_code(kind);
    let line = portolan(["cat", name, "/etc/hostname"]).failed(code).to_owned();
    portolan(["glob", name, "/etc/*"]).failed(code);
    portolan(["dial", name, "127.0.0.1:9"]).failed(code);
    line
}

#[test]
fn a_name_that_nothing_has_is_not_found() {
    require!(Need::Root);
    let line = refused("no-such-container", ErrorKind::NotFound);
    assert!(line.contains("'no-such-container'") && line.contains("portolan scan"), "{line}");
    let line = refused("a\nb\x1b", ErrorKind::NotFound);
    assert!(line.contains(r"a\x0ab\x1b"), "{line}");
    refused("", ErrorKind::NotFound);
}

#[test]
fn a_prefix_that_fits_two_containers_is_ambiguous() {
    require!(Need::Root, Need::Overlay);
    let (one, two) = (Inside::start(&World::new("prefix-1")), Inside::start(&World::new("prefix-2")));
    // The ids of containers without a runtime are inode numbers, which all begin with 4.
    let line = refused("ns-4", ErrorKind::Ambiguous);
    assert!(line.contains("'ns-4'") && line.contains("more of the id"), "{line}");
    for c in [one, two] {
        let id = oracle::nameless_id(c.pid(), "pid");
        let target = Host::new().target(&id).unwrap();
        assert_eq!(target.process.pid(), c.pid());
        assert_eq!(portolan(["cat", &id, "/proc/1/comm"]).text(), "sleep\n");
    }
}

#[test]
fn the_shortest_prefix_that_only_one_has_finds_it() {
    require!(Need::Root, Need::Overlay);
    let (one, _two) = (Inside::start(&World::new("short-1")), Inside::start(&World::new("short-2")));
    // Of one chart: other containers come and go meanwhile.
    let chart = Host::new().scan().unwrap();
    let id = oracle::nameless_id(one.pid(), "pid");
    let unique = |prefix: &str| chart.containers.iter().filter(|c| c.id.starts_with(prefix)).count() == 1;
    let length = (1..=id.len()).find(|length| unique(&id[..*length])).unwrap();
    assert_eq!(Target::find(&chart, &id[..length]).unwrap().process.id(), one.process.id());
    let shorter = Target::find(&chart, &id[..length - 1]).map(drop).map_err(|error| error.kind());
    assert_eq!(shorter, Err(ErrorKind::Ambiguous));
}

#[test]
fn a_host_name_finds_its_container_unless_two_have_it() {
    require!(Need::Root, Need::Overlay);
    let world = World::new("twin-of-targets").file("/app/which", "the first");
    let one = Inside::start(&world);
    assert_eq!(portolan(["cat", "twin-of-targets", "/app/which"]).text(), "the first");
    let target = Host::new().target("twin-of-targets").unwrap();
    assert_eq!(target.process.id(), one.process.id());
    let _two = Inside::start(&world);
    refused("twin-of-targets", ErrorKind::Ambiguous);
}

#[test]
fn a_pid_that_is_gone_is_told() {
    require!(Need::Root);
    let mut child = Command::new("true").spawn().unwrap();
    child.wait().unwrap();
    let line = refused(&format!("pid:{}", child.id()), ErrorKind::TargetGone);
    assert!(line.contains(&child.id().to_string()) && line.contains("gone"), "{line}");
    refused("pid:2147483647", ErrorKind::TargetGone);
}

#[test]
fn a_pid_of_another_process_by_now_is_told_as_gone() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("reused"));
    let id = c.process.id();
    assert_eq!(id, ProcessId { pid: c.pid(), start_time: oracle::start_time(c.pid()) });
    assert_eq!(Process::reopen(id).unwrap().id(), id);
    for start_time in [1, id.start_time - 1, id.start_time + 1] {
        let other = Process::reopen(ProcessId { start_time, ..id });
        assert_eq!(other.map(drop).map_err(|error| error.kind()), Err(ErrorKind::TargetGone));

        let mut read = Command::new(helper());
        read.args(["read", "--pid", &c.pid().to_string(), "--start-time", &start_time.to_string()]);
        let ran = run(read.args(["--", "/etc/hostname"]), b"");
        // The last frame is a refusal of 16 bytes: code 7, the process is gone; stage 2, the target.
        let error = &ran.stdout[ran.stdout.len() - 28..];
        assert_eq!((ran.code, &error[..5], &error[12..14]), (Some(1), &[16, 0, 0, 0, 9][..], &[7, 2][..]));
    }
    let mut read = Command::new(helper());
    read.args(["read", "--pid", &c.pid().to_string(), "--start-time", &id.start_time.to_string()]);
    assert_eq!(run(read.args(["--", "/etc/hostname"]), b"").code, Some(0));
}

#[test]
fn a_kernel_thread_has_nothing_to_enter() {
    require!(Need::Root);
    // kthreadd, wherever the host's own pid namespace is seen.
    if std::fs::read_to_string("/proc/2/comm").is_ok_and(|name| name == "kthreadd\n") {
        let line = refused("pid:2", ErrorKind::Unsupported(Feature::KernelThread));
        assert!(line.contains("kernel thread"), "{line}");
        let dialer = Dialer::allowing_host_network(Process::open(2).unwrap());
        let kind = dialer.map(drop).map_err(|error| error.kind());
        assert_eq!(kind, Err(ErrorKind::Unsupported(Feature::KernelThread)));
        let mut read = Command::new(helper());
        let ran = run(read.args(["read", "--pid", "2", "--", "/etc/passwd"]), b"");
        assert_eq!((ran.code, ran.stdout[ran.stdout.len() - 16]), (Some(1), 12), "not supported: {ran:?}");
    }
}

#[test]
fn a_zombie_is_gone() {
    require!(Need::Root);
    let mut child = zombie();
    let line = refused(&format!("pid:{}", child.id()), ErrorKind::TargetGone);
    assert!(line.contains(&child.id().to_string()), "{line}");
    let mut read = Command::new(helper());
    let ran = run(read.args(["read", "--pid", &child.id().to_string(), "--", "/etc/passwd"]), b"");
    assert_eq!((ran.code, ran.stdout[ran.stdout.len() - 16]), (Some(1), 7), "gone: {ran:?}");
    child.wait().unwrap();
}

fn zombie() -> Child {
    let child = Command::new("true").spawn().unwrap();
    let (start, stat) = (Instant::now(), format!("/proc/{}/stat", child.id()));
    while !std::fs::read_to_string(&stat).unwrap().contains(") Z ") {
        assert!(start.elapsed() < SOON);
        std::thread::yield_now();
    }
    child
}

#[test]
fn what_is_no_pid_is_wrong_usage() {
    require!(Need::Root);
    for name in [
        "pid:abc",
        "pid:0",
        "pid:-1",
        "pid:",
        "pid:1x",
        "pid: 1",
        "pid:2147483648",
        "pid:99999999999999999999",
    ] {
        let line = refused(name, ErrorKind::InvalidInput);
        assert!(line.contains(name), "{line}");
    }
}

#[test]
fn a_container_that_ended_after_it_was_found_is_gone() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("short-lived"));
    let host = Host::with_files(portolan::Files::with_helper(&helper()).unwrap());
    let target = host.target("short-lived").unwrap();
    assert_eq!(host.read(&target, "/proc/1/comm", &ReadOptions::default()).unwrap().bytes, b"sleep\n");
    let dialer = host.dialer(&target).unwrap();
    c.container.kill();

    let gone = Err(ErrorKind::TargetGone);
    let read = host.read(&target, "/etc/hostname", &ReadOptions::default());
    assert_eq!(read.map(drop).map_err(|error| error.kind()), gone);
    let glob = host.glob(&target, "/etc/*", &GlobOptions::default());
    assert_eq!(glob.map(drop).map_err(|error| error.kind()), gone);
    assert_eq!(host.dialer(&target).map(drop).map_err(|error| error.kind()), gone);
    let dialed = dialer.connect("127.0.0.1:9".parse().unwrap(), SOON);
    assert_eq!(dialed.map(drop).map_err(|error| error.kind()), gone);
    let unix = dialer.unix("/run/app.sock", SOON);
    assert_eq!(unix.map(drop).map_err(|error| error.kind()), gone);
    let container = target.container.unwrap();
    assert_eq!(Target::of_container(&container).map(drop).map_err(|error| error.kind()), gone);
}
