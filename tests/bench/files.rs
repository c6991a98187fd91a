//! Reading inside: by the server, in batches, by a helper for one request, and globbing.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use portolan::{Batch, Files, GlobOptions, Process, ReadOptions};
use portolan_world::{Container, World};

use crate::command::helper;
use crate::{Budget, take_turns};

const FILE: &str = "/etc/bench.conf";

pub(crate) fn budgets() -> Vec<Budget> {
    let world = World::new("bench-files")
        .file(FILE, "a = 1\n".repeat(350))
        .prepare("mkdir /many; cd /many; seq -f 'f%05g' 10000 | xargs touch");
    let container = world.start().unwrap();
    let process = Process::open(container.pid()).unwrap();
    let files = Files::with_helper(&helper()).unwrap();
    let mut all = vec![size()];
    all.extend(served(&files, &process, &container));
    all.push(batch(&files, &process));
    all.push(one_shot(&container));
    all.push(glob(&files, &process, &container));
    all.push(memory());
    all
}

fn size() -> Budget {
    let bytes = std::fs::metadata(helper()).unwrap().len();
    Budget::size("size of the release helper", f64::from(u32::try_from(bytes).unwrap()) / 1e6, "MB", 1.3)
}

/// A program that is started for it and prints the file.
fn started(command: &mut Command, least: usize) -> Duration {
    let start = Instant::now();
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().unwrap();
    let took = start.elapsed();
    assert!(output.status.success() && output.stdout.len() >= least, "{command:?} failed");
    took
}

pub(crate) fn read(files: &Files, process: &Process, options: &ReadOptions) -> Duration {
    let start = Instant::now();
    let content = files.read(process, FILE, options).unwrap();
    let took = start.elapsed();
    assert_eq!(content.bytes.len(), 2100);
    took
}

fn nsenter(container: &Container, program: &[&str], least: usize) -> Duration {
    let pid = container.pid().to_string();
    started(Command::new("nsenter").args(["-t", &pid, "-m"]).args(program), least)
}

fn served(files: &Files, process: &Process, container: &Container) -> Vec<Budget> {
    let options = ReadOptions::default();
    let (ours, peer) =
        take_turns(2000, 20, || read(files, process, &options), || nsenter(container, &["cat", FILE], 2100));
    let floor = Duration::from_nanos(run_c(FORK).trim().parse().unwrap());
    vec![
        Budget::ratio("one served read of 2 KiB / nsenter -m cat, p50", ours.at(50), peer.at(50), 1.0 / 25.0),
        Budget::ratio("the same, p99", ours.at(99), peer.at(99), 1.0 / 10.0),
        Budget::ratio("  fork, exit and wait of the smallest program / nsenter", floor, peer.at(50), 1.0)
            .for_comparison(),
    ]
}

/// What a process for each request costs at least: the median of a fork, an exit and a wait, in nanoseconds.
const FORK: &str = r#"
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
static long now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000000000L + t.tv_nsec; }
static int by_size(const void *a, const void *b) { long x = *(long *)a, y = *(long *)b; return (x > y) - (x < y); }
int main(void) {
    static long times[2000];
    for (int i = 0; i < 2000; i++) {
        long start = now();
        pid_t child = fork();
        if (child == 0) _exit(0);
        waitpid(child, 0, 0);
        times[i] = now() - start;
    }
    qsort(times, 2000, sizeof *times, by_size);
    printf("%ld\n", times[1000]);
}
"#;

/// Compiles a program and gives what it prints.
fn run_c(text: &str) -> String {
    let directory = std::env::temp_dir().join(format!("portolan-bench-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("floor.c"), text).unwrap();
    let mut cc = Command::new("cc");
    let built = cc.current_dir(&directory).args(["-O2", "-static", "-o", "floor", "floor.c"]).status();
    let output = built.and_then(|_| Command::new(directory.join("floor")).output());
    std::fs::remove_dir_all(&directory).unwrap();
    String::from_utf8(output.unwrap().stdout).unwrap()
}

fn batch(files: &Files, process: &Process) -> Budget {
    let batch = (0..20).fold(Batch::new(), |batch, _| batch.read(FILE));
    let options = ReadOptions::default();
    let (ours, peer) = take_turns(
        400,
        10,
        || {
            let start = Instant::now();
            let outcomes = files.batch(process, &batch).unwrap();
            let took = start.elapsed();
            assert!(outcomes.len() == 20 && outcomes.iter().all(Result::is_ok));
            took
        },
        || (0..20).map(|_| read(files, process, &options)).sum(),
    );
    Budget::ratio("a batch of 20 files / 20 served reads", ours.at(50), peer.at(50), 0.25)
}

fn one_shot(container: &Container) -> Budget {
    let (pid, helper) = (container.pid().to_string(), helper());
    let (ours, peer) = take_turns(
        400,
        20,
        || started(Command::new(&helper).args(["read", "--pid", &pid, "--", FILE]), 2100),
        || nsenter(container, &["cat", FILE], 2100),
    );
    Budget::ratio("one-shot helper / nsenter -m cat", ours.at(50), peer.at(50), 0.5)
}

fn glob(files: &Files, process: &Process, container: &Container) -> Budget {
    let (ours, peer) = take_turns(
        100,
        5,
        || {
            let start = Instant::now();
            let matches = files.glob(process, "/many/*", &GlobOptions::default()).unwrap();
            let took = start.elapsed();
            assert!(matches.entries.len() == 10_000 && matches.incomplete.is_none());
            took
        },
        || nsenter(container, &["find", "/many", "-name", "*"], 100_000),
    );
    Budget::ratio("a glob over 10,000 entries / nsenter -m find", ours.at(50), peer.at(50), 1.0)
}

/// Of the server, once the children that waited for more have ended.
fn memory() -> Budget {
    std::thread::sleep(Duration::from_millis(2500));
    let own = std::process::id();
    let resident = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let pid: u32 = entry.ok()?.file_name().to_str()?.parse().ok()?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let field = |name| status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let mine = field("PPid:")? == own.to_string() && field("Name:")? == "portolan-helper";
        mine.then(|| field("VmRSS:")?.strip_suffix(" kB")?.parse::<f64>().ok())?
    });
    let all: Vec<f64> = resident.collect();
    assert_eq!(all.len(), 1, "one server, and no children: {all:?}");
    Budget::size("resident memory of the idle server", all[0] / 1024.0, "MiB", 1.5)
}
