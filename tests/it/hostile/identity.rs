//! S57 to S63: that it is this process, and no other.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use portolan::ErrorKind;
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::scene::{Ask, Scene};
use crate::command::{helper, run};
use crate::inside::{Inside, SOON};
use crate::oracle;
use crate::servers;

/// Starts a process with this pid, which must be free: `clone3(2)` with `set_tid`.
const WITH_PID: &str = "
import ctypes, os, sys, time
class Arguments(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in (
        'flags', 'pidfd', 'child_tid', 'parent_tid', 'exit_signal', 'stack', 'stack_size', 'tls', 'set_tid',
        'set_tid_size', 'cgroup')]
libc = ctypes.CDLL(None, use_errno=True)
pids = (ctypes.c_int32 * 1)(int(sys.argv[1]))
arguments = Arguments(exit_signal=17, set_tid=ctypes.addressof(pids), set_tid_size=1)
while True:
    done = libc.syscall(435, ctypes.byref(arguments), ctypes.sizeof(arguments))
    if done >= 0 or ctypes.get_errno() != 17: break
    time.sleep(0.01)
if done == 0:
    time.sleep(1000)
    os._exit(0)
print(done if done > 0 else os.strerror(ctypes.get_errno()), flush=True)
sys.stdin.read()
if done > 0: os.kill(done, 9)";

pub(crate) struct Reused(Child);

impl Reused {
    #[track_caller]
    pub(crate) fn start(pid: i32) -> Self {
        let mut python = Command::new("python3");
        python.args(["-c", WITH_PID, &pid.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut reused = Self(python.spawn().unwrap());
        let mut line = String::new();
        let mut output = std::io::BufReader::new(reused.0.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut output, &mut line).unwrap();
        assert_eq!(line.trim(), pid.to_string());
        reused
    }
}

impl Drop for Reused {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

#[test]
fn s57_a_pid_that_belongs_to_another_process_by_now_is_gone() {
    require!(Need::Root, Need::Overlay, Need::Program("python3"));
    let scene = Scene::start(&World::new("s57").file("/etc/hostname", "inside"));
    let pid = scene.c.pid();
    scene.hold(pid);
    scene.ask(&Ask::read("/etc/hostname")).gives(b"inside");
    scene.c.container.kill();
    // A process of the host: its files would be the host's.
    let reused = Reused::start(pid);
    assert_eq!(oracle::namespace(pid, "mnt"), oracle::namespace("self", "mnt"));
    scene.ask(&Ask::read("/etc/hostname")).refused(ErrorKind::TargetGone);
    scene.ask(&Ask::read("/etc/hostname").pid_namespace()).refused(ErrorKind::TargetGone);
    scene.ask(&Ask::glob("/etc/*")).refused(ErrorKind::TargetGone);
    drop(reused);
}

#[test]
fn s58_a_process_that_ends_meanwhile_gives_a_whole_answer_or_is_gone() {
    require!(Need::Root, Need::Overlay);
    let zombie = Command::new("true").spawn().unwrap();
    let start = Instant::now();
    let pid = i32::try_from(zombie.id()).unwrap();
    while !std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap().contains(") Z ") {
        assert!(start.elapsed() < SOON);
    }
    let scene = Scene::start(&World::new("s58").file("/app/file", "0123456789"));
    scene.ask(&Ask::read("/etc/passwd").of(pid)).refused(ErrorKind::TargetGone);
    let mut zombie = zombie;
    zombie.wait().unwrap();

    // Ended again and again, at every point of a request.
    for delay in [20, 31, 42] {
        let other = Inside::start(&World::new("s58-ending").file("/app/file", "0123456789"));
        let pid = other.pid();
        scene.hold(pid);
        let killer = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(delay));
            other.container.kill();
        });
        let tally = scene.repeat(&Ask::read("/app/file").of(pid), Duration::from_millis(delay + 50));
        killer.join().unwrap();
        tally.only(&["ok:0123456789", "TargetGone"]);
        assert!(tally.count("TargetGone") > 0, "{tally:?}");
    }
}

#[test]
fn s59_a_process_that_changes_its_mounts_is_read_in_one_of_them_or_not_at_all() {
    require!(Need::Root, Need::Overlay, Need::Program("python3"));
    let text = "
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
first = os.open('/proc/self/ns/mnt', os.O_RDONLY)
assert libc.unshare(0x20000) == 0
assert libc.mount(b'none', b'/', None, 1 << 18 | 1 << 14, None) == 0
assert libc.mount(b'none', b'/app', b'tmpfs', 0, None) == 0
open('/app/which', 'w').write('second')
second = os.open('/proc/self/ns/mnt', os.O_RDONLY)
print('changing', flush=True)
while True:
    for one in (first, second):
        assert libc.setns(one, 0x20000) == 0, ctypes.get_errno()";
    let scene = Scene::start(&servers::python(World::new("s59").file("/app/which", "first"), text));
    scene.c.wait_log("changing");
    let tally = scene.repeat(&Ask::read("/app/which"), Duration::from_millis(1500));
    tally.only(&["ok:first", "ok:second", "TargetChanged"]);
    assert!(tally.count("ok:first") > 0 && tally.count("ok:second") > 0, "{tally:?}");
    // Held from before, it is the same process all the same.
    scene.hold(scene.c.pid());
    let tally = scene.repeat(&Ask::read("/app/which"), Duration::from_millis(500));
    tally.only(&["ok:first", "ok:second", "TargetChanged"]);
}

#[test]
fn s60_a_process_with_the_hosts_mounts_is_read_where_it_is() {
    require!(Need::Root, Need::Overlay);
    // The policy: who asks about a process of the host gets the host's files.
    let scene = Scene::start(&World::new("s60").share_mount());
    scene.ask(&Ask::read("/etc/passwd")).gives(&std::fs::read("/etc/passwd").unwrap());
}

#[test]
fn s61_a_namespace_of_another_kind_is_not_entered() {
    require!(Need::Root, Need::Overlay);
    let scene = Scene::start(&World::new("s61"));
    let pid = scene.c.pid();
    for kind in ["net", "pid", "user", "uts"] {
        let script = format!(
            "exec \"$0\" read --pidfd 7 --root-fd 8 -- /etc/passwd 7</proc/{pid}/ns/{kind} 8</proc/{pid}/root"
        );
        let ran = run(Command::new("sh").args(["-c", &script]).arg(helper()), b"");
        assert_eq!(ran.code, Some(1), "{kind}: {ran:?}");
        // Hello, then "refused" or an error: nothing of a file.
        assert_eq!(ran.stdout.len(), 52 + 28, "{kind}: {ran:?}");
    }
    scene.ask(&Ask::read("/proc/1/comm")).gives(b"sleep\n");
}

#[test]
fn s63_a_name_changes_nothing() {
    require!(Need::Root, Need::Overlay, Need::Program("python3"));
    // It calls itself the helper, stands in more namespaces of its own, and shows control groups that it made up.
    let text = "
import ctypes, os, time
libc = ctypes.CDLL(None, use_errno=True)
libc.prctl(15, b'portolan-helper', 0, 0, 0)
assert libc.unshare(0x10000000 | 0x20000) == 0
open('/tmp/cgroup', 'w').write('0::/docker/' + 64 * 'f' + '\\n')
assert libc.mount(b'/tmp/cgroup', b'/proc/self/cgroup', None, 1 << 12, None) == 0
print('named', flush=True)
time.sleep(1000)";
    let world = World::new("portolan-helper").file("/app/file", "inside");
    let scene = Scene::start(&servers::python(world, text));
    scene.c.wait_log("named");
    scene.ask(&Ask::read("/app/file")).gives(b"inside");
    scene.ask(&Ask::read("/proc/1/comm")).gives(b"portolan-helper\n");
    let chart = portolan::Host::new().scan().unwrap();
    assert!(
        chart.containers.iter().all(|container| !container.id.starts_with("ffff")),
        "it made itself a container of Docker"
    );
}
