//! Files by the million that are no sockets, over which an iterator says nothing; and files that are closed at the
//! moment when it looks at them.

use std::process::Command;
use std::time::{Duration, Instant};

use portolan_linux::bpf::Iterators;
use portolan_world::need::Need;
use portolan_world::require;
use serde_json::Value;

use crate::command::{binary, helper, run};
use crate::older::rig::Rig;
use crate::scan::outside::Outside;
use crate::scratch::Scratch;

use super::by_bpf;
use super::types::PLACE;

/// More than the kernel passes over in one read(2) before it gives up (`MAX_ITER_OBJECTS` in `kernel/bpf/bpf_iter.c`).
const MANY: u64 = 1_200_000;

/// Many processes, each with as many descriptors of one file as it may have. The last has a listener at its first
/// descriptor and one at its last. They end with their first.
const SILENT: &str = "
import ctypes, os, resource, signal, socket, sys, time
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
most = min(most, 1 << 20)
resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
libc = ctypes.CDLL(None)
parent = os.getpid()
first = socket.socket(); first.bind(('127.0.0.1', 0)); first.listen(1)
first.set_inheritable(True)
last = socket.socket(); last.bind(('127.0.0.1', 0)); last.listen(1)
os.dup2(last.fileno(), most - 1)
last.close()
null = os.open('/dev/null', os.O_RDONLY)
for fd in range(null + 1, most - 2): os.dup2(null, fd)
each = most - 8
for _ in range(-(-int(sys.argv[1]) // each)):
    if os.fork() == 0:
        libc.prctl(1, signal.SIGKILL)
        if os.getppid() != parent: os._exit(0)
        # The first alone keeps the listeners.
        os.close(first.fileno()); os.close(most - 1)
        while True: time.sleep(1000)
print('ready', first.getsockname()[1], flush=True)
sys.stdin.read()";

/// Of the silent processes the first one is the oldest, and the host's own listener comes after all of them.
fn silent(files: u64) -> (Outside, u64) {
    let mut python = Command::new("python3");
    let (silent, said) = Outside::start(python.args(["-c", SILENT, &files.to_string()]));
    (silent, said.parse().unwrap())
}

/// A listener of a process that is younger than all others.
fn after() -> (Outside, u64) {
    let text = "
import socket, sys
s = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen(1)
print('ready', s.getsockname()[1], flush=True)
sys.stdin.read()";
    let (after, said) = Outside::python(text);
    (after, said.parse().unwrap())
}

#[test]
#[ignore = "it floods every pass over the host: tests/run.sh runs it alone"]
fn a_million_files_that_are_no_sockets_hide_no_listener() {
    require!(Need::Root, Need::Program("python3"), Need::Program("cc"), Need::File(PLACE));
    let (before, first) = after();
    let (crowd, second) = silent(MANY);
    let (late, third) = after();
    // As much memory as it has without the crowd: nothing is kept of what is silent.
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -v 300000 && exec \"$@\"", "sh"]).arg(binary());
    command.args(["scan", "--json", "--no-services", "--source", "bpf"]).env("PORTOLAN_HELPER", helper());
    let ran = run(&mut command, b"");
    println!("a scan over {MANY} silent files took {:?}", ran.took);
    assert!(ran.took < Duration::from_secs(5), "{:?}", ran.took);
    let chart = by_bpf(ran);
    for (process, port) in [(&before, first), (&crowd, second), (&late, third)] {
        let all: Vec<&Value> =
            chart["listeners"].as_array().unwrap().iter().filter(|l| l["port"] == port).collect();
        assert_eq!(all.len(), 1, "port {port}: {all:?}");
        assert_eq!(all[0]["pid"], process.pid(), "port {port}");
    }
    // That of the last descriptor.
    let own = chart["listeners"].as_array().unwrap().iter().filter(|l| l["pid"] == crowd.pid()).count();
    assert_eq!(own, 2);
}

#[test]
#[ignore = "it floods every pass over the host: tests/run.sh runs it alone"]
fn no_read_of_an_iterator_takes_long_however_many_files_are_silent() {
    require!(Need::Root, Need::Program("python3"), Need::Program("cc"), Need::File(PLACE));
    let (_crowd, _) = silent(MANY);
    let rig = Rig::new();
    let (ran, told) = rig.missing(&["slow="], &["scan", "--json", "--no-services", "--source", "bpf"]);
    by_bpf(ran);
    let numbers = told[0].strip_prefix("slow ").unwrap_or_else(|| panic!("{told:?}"));
    let (longest, reads) = numbers.split_once(' ').unwrap();
    println!("the longest of {reads} reads took {longest} us");
    let (longest, reads): (u64, u64) = (longest.parse().unwrap(), reads.parse().unwrap());
    assert!(reads > MANY / 20_000, "only {reads} reads: the silent files are not read in pieces");
    assert!(longest < 10_000, "{longest} us: so long can closing a file be put off");
}

#[test]
#[ignore = "it floods every pass over the host: tests/run.sh runs it alone"]
fn closing_a_file_while_it_is_looked_at_is_put_off_for_a_moment_only() {
    require!(Need::Root, Need::Program("python3"), Need::Program("cc"), Need::File(PLACE));
    let scratch = Scratch::new();
    scratch.file("victim.c", include_str!("victim.c"));
    let mut cc = Command::new("cc");
    run(cc.current_dir(scratch.path()).args(["-O1", "-Wall", "-o", "victim", "victim.c"]), b"").done();
    // Older than the crowd, so that the iterator has all of it before it when it looks at the victim.
    let (mut victim, _) = Outside::start(&mut Command::new(scratch.join("victim")));
    // Few enough for many passes, and enough for a read over all of them to take longer than is allowed below.
    let (_crowd, _) = silent(MANY / 3);
    let iterators = Iterators::load().unwrap();
    let (mut rows, mut passes) = (Vec::new(), 0);
    let start = Instant::now();
    // Until it was met often enough, which takes luck.
    let [often, longest, rounds] = loop {
        for _ in 0..10 {
            iterators.listeners(&mut rows, Instant::now() + Duration::from_secs(10)).unwrap();
            passes += 1;
        }
        let said = victim.tell("how often?");
        let numbers: Vec<u64> = said.split(' ').map(|number| number.parse().unwrap()).collect();
        let numbers: [u64; 3] = numbers.try_into().unwrap();
        if numbers[0] >= 5 || start.elapsed() > Duration::from_secs(20) {
            break numbers;
        }
    };
    println!("{often} of {rounds} addresses were in use, {longest} us at most, in {passes} passes");
    assert!(longest < 20_000, "{longest} us");
}
