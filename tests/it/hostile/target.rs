//! S40 to S45: the helper as what is attacked, by containers that see it or do not.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use portolan::ErrorKind;
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::programs::{ATTACK, LIKE_DOCKER, fuse, wait_fuse};
use super::scene::{Ask, Scene, oracle_status};
use crate::command::helper;
use crate::inside::{Inside, SOON};
use crate::oracle;

const TIMEOUT: Duration = Duration::from_secs(2);
const EPERM: i64 = 1;
const EACCES: i64 = 13;
/// What opens the way into another process, or to its files.
const ALL: [&str; 12] = [
    "exe",
    "exe-path",
    "exe-write",
    "mem",
    "maps",
    "environ",
    "root",
    "cwd",
    "fd",
    "ptrace",
    "pidfd_getfd",
    "vm",
];

/// A container that shares the host's pids, and so sees the helper; and a request that waits in it.
fn waiting(name: &str) -> (Scene, Ask, u32) {
    let scene = Scene::start(&fuse(name, "INIT").share_pid());
    wait_fuse(&scene.c, "INIT");
    let ask = waiting_ask();
    scene.begin(&ask);
    let pid = scene.helper_that_waits();
    (scene, ask, pid)
}

fn waiting_ask() -> Ask {
    Ask::read("/hang/file").any_file_system().timeout(TIMEOUT)
}

type Attacked = BTreeMap<String, BTreeMap<String, i64>>;

/// What came of attacks on these processes, or on every helper that is seen.
#[track_caller]
fn attack(c: &Inside, like_docker: bool, pids: &[u32]) -> Attacked {
    let mut command: Vec<String> = Vec::new();
    if like_docker {
        command.extend(["setpriv", "--bounding-set", LIKE_DOCKER, "--inh-caps=-all"].map(str::to_owned));
    }
    command.extend(["python3", "-c", ATTACK].map(str::to_owned));
    command.extend(pids.iter().map(u32::to_string));
    let output = c.container.exec(command).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn refused(attacked: &Attacked, what: &[&str]) {
    for (pid, attempts) in attacked {
        for one in what {
            assert!([EPERM, EACCES].contains(&attempts[*one]), "{one} of {pid}: {attempts:?}");
        }
    }
}

#[test]
fn s40_the_hosts_binaries_cannot_be_written_by_way_of_the_helper() {
    require!(
        Need::Root,
        Need::Overlay,
        Need::File("/dev/fuse"),
        Need::Program("python3"),
        Need::Program("setpriv")
    );
    let own = std::path::Path::new("/proc/self/exe");
    let look = || {
        let own = own.metadata().unwrap();
        (fs::read(helper()).unwrap(), own.len(), own.mtime(), own.ino())
    };
    let before = look();
    let (scene, ask, child) = waiting("s40");
    let pids = [child, scene.helpers()[0]];
    let attacked = attack(&scene.c, true, &pids);
    assert_eq!(attacked.len(), 2);
    refused(&attacked, &["exe", "exe-path", "exe-write"]);
    // Even by one who may do everything: what it is started from is sealed, and running.
    for (pid, attempts) in attack(&scene.c, false, &pids) {
        assert_ne!(attempts["exe-write"], 0, "{pid}: {attempts:?}");
    }
    scene.finish(&ask).refused(ErrorKind::Timeout);
    assert!(before == look(), "a binary of the host was changed");

    // Where the pids are the container's own, it does not see the helper at all.
    let scene = Scene::start(&fuse("s40-apart", "INIT"));
    wait_fuse(&scene.c, "INIT");
    scene.begin(&ask);
    scene.helper_that_waits();
    assert!(attack(&scene.c, false, &[]).is_empty());
    scene.finish(&ask).refused(ErrorKind::Timeout);
}

#[test]
fn s41_a_descriptor_of_its_executable_that_was_kept_writes_nothing() {
    require!(Need::Root, Need::Overlay, Need::Program("python3"));
    const KEEP: &str = "
import os, sys, time
kept = os.open('/proc/%s/exe' % sys.argv[1], os.O_RDONLY)
print('kept', flush=True)
while not os.path.exists('/app/go'): time.sleep(0.005)
told = []
for flags in (os.O_WRONLY, os.O_RDWR):
    try:
        told.append('written %d' % os.write(os.open('/proc/self/fd/%d' % kept, flags), b'changed'))
    except OSError as error: told.append(error.strerror)
open('/app/told.new', 'w').write(str(told))
os.rename('/app/told.new', '/app/told')";
    let before = fs::read(helper()).unwrap();
    let scene = Scene::start(&World::new("s41").share_pid().directory("/app"));
    let server = scene.helpers()[0];
    let mut nsenter = Command::new("nsenter");
    nsenter.args(["-t", &scene.c.pid().to_string(), "-m", "-r", "python3", "-c", KEEP, &server.to_string()]);
    let mut keeper = Killed(nsenter.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(keeper.0.stdout.take().unwrap()), &mut line)
        .unwrap();
    assert_eq!(line, "kept\n");
    // While it runs the kernel lets nobody write; now it ends.
    scene.kill_agent();
    let start = Instant::now();
    while oracle_status(server, "State:").is_some_and(|state| !state.starts_with('Z')) {
        assert!(start.elapsed() < SOON, "it lives on");
    }
    scene.c.shell("touch /app/go");
    scene.c.container.wait_file("/app/told", SOON).unwrap();
    let told = scene.c.shell("cat /app/told");
    assert!(!told.contains("written"), "{told}");
    assert!(before == fs::read(helper()).unwrap());
}

/// Killed in any case.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn s42_nobody_traces_it_or_takes_its_memory_or_descriptors() {
    require!(
        Need::Root,
        Need::Overlay,
        Need::File("/dev/fuse"),
        Need::Program("python3"),
        Need::Program("setpriv")
    );
    const NOT_DUMPABLE: u64 = 1;
    let (scene, ask, child) = waiting("s42");
    // On a process that is open to it, the attack gets everything: or it would show nothing.
    let own = attack(&scene.c, false, &[u32::try_from(scene.c.pid()).unwrap()]);
    for what in ALL.iter().filter(|what| !["exe-write", "vm"].contains(what)) {
        assert!(own.values().all(|attempts| attempts[*what] == 0), "{what}: {own:?}");
    }
    refused(&attack(&scene.c, true, &[child, scene.helpers()[0]]), &ALL);
    scene.finish(&ask).refused(ErrorKind::Timeout);
    let told = scene.ask(&Ask::read("/app/file"));
    assert_eq!(told.field("posture").as_u64().unwrap() & NOT_DUMPABLE, NOT_DUMPABLE, "{}", told.shown());
}

/// A helper for one request, which has more to say than its pipe holds, and so stands still.
fn standing(c: &Inside, options: &[&str]) -> Killed {
    let mut read = Command::new(helper());
    read.args(["read", "--pid", &c.pid().to_string(), "--timeout-ms", "20000", "--max-bytes", "4000000"]);
    read.args(options).args(["--", "/app/large"]);
    let read =
        Killed(read.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap());
    let start = Instant::now();
    let stands = |pid: u32| {
        oracle_status(pid, "CapBnd:").is_some_and(|set| set == "0000000000000000")
            && oracle_status(pid, "State:").is_some_and(|state| state.starts_with('S'))
    };
    while !stands(read.0.id()) {
        assert!(start.elapsed() < SOON);
        std::thread::yield_now();
    }
    std::thread::sleep(Duration::from_millis(30));
    read
}

#[test]
fn s43_the_root_of_a_container_with_users_of_its_own_gets_at_nothing() {
    require!(Need::Root, Need::Overlay, Need::UserNamespaces, Need::Program("python3"));
    let world = World::new("s43").user_namespace().file("/app/large", vec![1; 3_000_000]);
    // Apart it is not seen ...
    let scene = Scene::start(&world);
    let unseen = standing(&scene.c, &[]);
    assert!(attack(&scene.c, false, &[]).is_empty());
    drop(unseen);
    // ... unless it joins the pid namespace.
    let seen = standing(&scene.c, &["--pid-namespace"]);
    let attacked = attack(&scene.c, false, &[]);
    assert!(!attacked.is_empty(), "it is to be seen");
    refused(&attacked, &ALL);
    refused(&attacked, &["signal"]);
    drop(seen);

    let scene = Scene::start(&world.share_pid());
    let seen = standing(&scene.c, &[]);
    let attacked = attack(&scene.c, false, &[seen.0.id(), scene.helpers()[0]]);
    assert_eq!(attacked.len(), 2);
    refused(&attacked, &ALL);
    refused(&attacked, &["signal"]);
}

#[test]
fn s44_signals_cost_the_request_and_no_more() {
    require!(Need::Root, Need::Overlay, Need::File("/dev/fuse"), Need::Program("python3"));
    let (scene, ask, child) = waiting("s44");
    scene.c.shell(&format!("kill -STOP {child}"));
    scene.finish(&ask).refused(ErrorKind::Timeout);
    scene.begin(&ask);
    let child = scene.helper_that_waits();
    scene.c.shell(&format!("kill -CONT {child}; kill -KILL {child}"));
    scene.finish(&ask).refused(ErrorKind::HelperDied);
    // The server itself: the next request has a new one.
    scene.begin(&ask);
    scene.helper_that_waits();
    let server = scene.helpers()[0];
    scene.c.shell(&format!("kill -KILL {server}"));
    scene.finish(&ask.ends_server()).refused(ErrorKind::HelperDied);
    assert_ne!(scene.helpers()[0], server);
}

#[test]
fn s45_nothing_that_the_agent_has_open_reaches_the_helper() {
    require!(Need::Root, Need::Overlay, Need::File("/dev/fuse"), Need::Program("python3"));
    // The agent of every scene holds /etc/passwd, / and /root, which an exec does not close.
    let own = |path: &str| fs::metadata(path).map(|file| (file.dev(), file.ino())).unwrap();
    let hosts = ["/etc/passwd", "/", "/root"].map(own);
    let (scene, ask, child) = waiting("s45");
    for pid in [child, scene.helpers()[0]] {
        let mut seen = Vec::new();
        for fd in fs::read_dir(format!("/proc/{pid}/fd")).unwrap() {
            let fd = fd.unwrap().path();
            let link = fs::read_link(&fd).unwrap().display().to_string();
            // Only of a path outside of the file system that hangs.
            if link.starts_with('/') && !link.starts_with("/hang") {
                let file = fs::metadata(&fd).unwrap();
                assert!(!hosts.contains(&(file.dev(), file.ino())), "{link}");
            }
            seen.push(link);
        }
        // Three standard ones and a pipe; root and the way to the file; procfs; of the server, sockets and the like.
        assert!(seen.len() <= 14, "{pid}: {seen:?}");
        assert!(
            pid == scene.helpers()[0] || !seen.iter().any(|link| link.starts_with("socket:")),
            "{seen:?}"
        );
    }
    let namespaces =
        ["net", "user", "pid"].map(|kind| (oracle::namespace(child, kind), oracle::namespace("self", kind)));
    assert!(namespaces.iter().all(|(helpers, own)| helpers == own), "it stays outside: {namespaces:?}");
    scene.finish(&ask).refused(ErrorKind::Timeout);
}
