//! The server behind `Files`: how it lives, dies and is replaced, and what it leaves behind.
//!
//! Each test has a process of its own: the servers of other tests, and their threads and descriptors, would be among
//! what is looked at and counted here.

/// Goes on in a process of its own; in this one the test only waits for that, and returns.
macro_rules! alone {
    () => {{
        fn here() {}
        let test = ::std::any::type_name_of_val(&here).trim_end_matches("::here");
        if !crate::serve::is_alone(test) {
            return;
        }
    }};
}

mod agent;
mod deaths;
mod posture;
mod together;

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use portolan::{ErrorKind, Files, ReadOptions};
use portolan_world::World;

use crate::command::{helper, run};
use crate::inside::{Inside, SOON};
use crate::{oracle, servers};

const ALONE: &str = "PORTOLAN_ALONE";
/// Several processes have to start and end for it, and beside other tests each can wait for seconds.
const BUSY: Duration = Duration::from_secs(30);

/// The same test in another process, ready to be started.
fn again(test: &str) -> Command {
    let name = test.split_once("::").unwrap().1;
    // Not by its path: it may have been built anew meanwhile.
    let mut again = Command::new("/proc/self/exe");
    again.args([name, "--exact", "--test-threads=1", "--nocapture", "--include-ignored"]).env(ALONE, name);
    again
}

fn is_alone(test: &str) -> bool {
    let name = test.split_once("::").unwrap().1;
    if std::env::var(ALONE).is_ok_and(|alone| alone == name) {
        return true;
    }
    let ran = run(&mut again(test), b"");
    let output = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.code == Some(0) && output.contains("1 passed"), "{output}{}", ran.stderr);
    false
}

/// A door of our own.
fn door() -> Files {
    Files::with_helper(&helper()).unwrap()
}

/// The children of all threads of a process.
fn children(pid: i32) -> Vec<i32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten();
    let lists = tasks.filter_map(|task| fs::read_to_string(task.ok()?.path().join("children")).ok());
    lists.flat_map(|list| list.split_whitespace().map(|n| n.parse().unwrap()).collect::<Vec<_>>()).collect()
}

/// The servers that a process has started.
fn servers_of(pid: i32) -> Vec<i32> {
    let serves = |pid: &i32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.starts_with(b"portolan-helper\0serve\0")
    };
    children(pid).into_iter().filter(serves).collect()
}

fn own_pid() -> i32 {
    i32::try_from(std::process::id()).unwrap()
}

/// The one server of this process.
#[track_caller]
fn server() -> i32 {
    let servers = servers_of(own_pid());
    assert_eq!(servers.len(), 1, "{servers:?}");
    servers[0]
}

fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).unwrap();
}

/// A process, known by more than its number.
type Known = (i32, u64);

fn known(pid: i32) -> Known {
    (pid, oracle::start_time(pid))
}

/// The same of one that may have ended.
fn if_there(pid: i32) -> Option<Known> {
    Some((pid, field(pid, 19)?.parse().unwrap()))
}

/// What `/proc/PID/stat` says after the name.
fn field(pid: i32, at: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(at).map(str::to_owned)
}

/// Neither it runs nor waits to be collected.
fn is_gone((pid, start_time): Known) -> bool {
    field(pid, 19) != Some(start_time.to_string())
}

/// The same of a process that is not ours to collect.
fn has_ended(process: Known) -> bool {
    is_gone(process) || field(process.0, 0).is_none_or(|state| state == "Z")
}

#[track_caller]
fn wait_until(what: &str, mut so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !so() {
        assert!(start.elapsed() < BUSY, "not in time: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// The processes in a container's mount namespace, but for the container's own.
fn guests(c: &Inside) -> Vec<i32> {
    let mnt = oracle::namespace(c.pid(), "mnt");
    let all = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let inside = all.filter_map(|name| name.parse::<i32>().ok()).filter(|pid| {
        let link = fs::read_link(format!("/proc/{pid}/ns/mnt")).ok();
        *pid != c.pid() && link.and_then(|link| oracle::number_of_link(link.to_str()?)) == Some(mnt)
    });
    inside.collect()
}

fn read(files: &Files, c: &Inside, path: &str, options: &ReadOptions) -> Result<Vec<u8>, ErrorKind> {
    files.read(&c.process, path, options).map(|content| content.bytes).map_err(|error| error.kind())
}

/// Reads a file that is there, and with time enough.
#[track_caller]
fn reads(files: &Files, c: &Inside) {
    let options = ReadOptions::default().timeout(SOON);
    let content = files.read(&c.process, "/app/file", &options).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(content.bytes, b"read");
}

/// A container with `/app/file`.
fn plain(name: &str) -> Inside {
    Inside::start(&World::new(name).file("/app/file", "read"))
}

/// Mounts FUSE over `/hang` and never says a word: whoever asks there waits, but can be killed.
const MUTE: &str = "
import ctypes, os, time
fuse = os.open('/hang-device', os.O_RDWR)
options = b'fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other' % fuse
assert ctypes.CDLL(None).mount(b'none', b'/hang', b'fuse', 0, options) == 0
print('mounted', flush=True)
time.sleep(1000)";

/// The same with `/hang/file`, which is never read to its end.
fn mute(name: &str) -> Inside {
    let world = World::new(name).file("/app/file", "read");
    let c = Inside::start(&servers::python(world.prepare("mkdir /hang; mknod /hang-device c 10 229"), MUTE));
    c.wait_log("mounted");
    c
}

fn patient(timeout: Duration) -> ReadOptions {
    ReadOptions::default().any_file_system().timeout(timeout)
}

/// A request that waits inside the container, in a thread of its own; how it ended, and in what words.
fn waiting<'a>(
    scope: &'a thread::Scope<'a, '_>,
    files: &'a Files,
    c: &'a Inside,
    timeout: Duration,
) -> thread::ScopedJoinHandle<'a, (Option<ErrorKind>, String)> {
    // Of requests before it, somebody may still be on his way out.
    wait_until("nobody is inside", || guests(c).is_empty());
    let waits = scope.spawn(move || match files.read(&c.process, "/hang/file", &patient(timeout)) {
        Ok(content) => (None, format!("{content:?}")),
        Err(error) => (Some(error.kind()), error.to_string()),
    });
    wait_until("it waits inside", || !guests(c).is_empty());
    waits
}

fn count(directory: &str) -> usize {
    fs::read_dir(directory).unwrap().count()
}
