//! Loaded and unloaded again and again.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use portolan_linux::bpf::Iterators;
use portolan_world::need::Need;
use portolan_world::require;

use crate::command::run;
use crate::inside::SOON;

use super::types::PLACE;

const TIMES: usize = 1000;
/// Set for the process that does nothing else.
const ALONE: &str = "PORTOLAN_ALONE";

/// How many BPF programs and links the kernel has (`BPF_PROG_GET_NEXT_ID`, `BPF_LINK_GET_NEXT_ID`).
const COUNT: &str = "
import ctypes, platform, struct
libc = ctypes.CDLL(None, use_errno=True)
number = {'x86_64': 321, 'aarch64': 280}[platform.machine()]
def count(command):
    found, last = 0, 0
    while True:
        attributes = ctypes.create_string_buffer(struct.pack('=III', last, 0, 0), 12)
        if libc.syscall(number, command, attributes, 12): return found
        last = struct.unpack_from('=I', attributes, 4)[0]
        found += 1
print(count(11), count(31))";

#[track_caller]
fn loaded() -> (usize, usize) {
    let text = run(Command::new("python3").args(["-c", COUNT]), b"").text();
    let (programs, links) = text.trim().split_once(' ').unwrap();
    (programs.parse().unwrap(), links.parse().unwrap())
}

fn descriptors() -> usize {
    fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Anonymous memory of this process, in KiB.
fn memory() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

#[test]
#[ignore = "it floods every pass over the host: tests/run.sh runs it alone"]
fn a_thousand_loads_leave_no_descriptor_no_program_and_no_memory() {
    require!(Need::Root, Need::Program("python3"), Need::File(PLACE));
    if std::env::var_os(ALONE).is_none() {
        // Descriptors and memory of a process that other tests run in say nothing.
        let here = std::any::type_name_of_val(&a_thousand_loads_leave_no_descriptor_no_program_and_no_memory);
        let name = here.split_once("::").unwrap().1;
        let mut alone = Command::new(std::env::current_exe().unwrap());
        alone.args(["--exact", name, "--nocapture", "--ignored", "--test-threads=1"]).env(ALONE, "1");
        let output = alone.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        print!("{said}");
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.contains("1 passed"), "{said}");
        return;
    }
    let pass = |iterators: &Iterators| {
        let mut rows = Vec::new();
        let deadline = Instant::now() + Duration::from_secs(5);
        iterators.tasks(&mut rows, deadline).unwrap();
        assert!(!rows.is_empty());
        iterators.listeners(&mut rows, deadline).unwrap();
    };
    for _ in 0..20 {
        pass(&Iterators::load().unwrap());
    }
    let (before, at_first) = (loaded(), (descriptors(), memory()));
    let start = Instant::now();
    for round in 0..TIMES {
        let iterators = Iterators::load().unwrap();
        // Also half used.
        if round % 4 == 0 {
            pass(&iterators);
        }
    }
    let took = start.elapsed();
    assert_eq!(descriptors(), at_first.0);
    let grown = memory().saturating_sub(at_first.1);
    println!("{TIMES} loads took {took:?}; memory grew by {grown} KiB of {} KiB", at_first.1);
    assert!(grown < 4096, "{grown} KiB");
    // Others load programs as well, but not by the hundred. The kernel frees them in its own time.
    let end = Instant::now() + SOON;
    loop {
        let after = loaded();
        if after.0 < before.0 + 100 && after.1 < before.1 + 100 {
            break;
        }
        assert!(Instant::now() < end, "programs and links: {before:?}, then {after:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_load_that_fails_leaves_nothing_either() {
    require!(Need::Root, Need::Program("python3"), Need::Program("cc"), Need::File(PLACE));
    if std::env::var_os(ALONE).is_some() {
        let before = descriptors();
        for _ in 0..50 {
            Iterators::load().unwrap_err();
        }
        assert_eq!(descriptors(), before);
        return;
    }
    let rig = crate::older::rig::Rig::new();
    let tests = std::env::current_exe().unwrap();
    // No link, then no iterator, after programs were loaded.
    for step in [28, 33] {
        let rule =
            crate::older::rig::Rule::when(nix::libc::SYS_bpf, &[(0, u32::MAX, step)], nix::libc::ENOMEM);
        let mut alone = rig.program(&[rule], &tests);
        let here = std::any::type_name_of_val(&a_load_that_fails_leaves_nothing_either);
        let name = here.split_once("::").unwrap().1;
        alone.args(["--exact", name, "--test-threads=1"]).env(ALONE, "1");
        let output = alone.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
    }
}
