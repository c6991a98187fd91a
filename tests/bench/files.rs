//! Reading inside: by the server, in batches, by a helper for one request, and globbing.

use std::io::{PipeReader, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use portolan::{Batch, Files, GlobOptions, Process, ReadOptions};
use portolan_linux::pass;
use portolan_linux::wait::{Ready, until};
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
    let (floor, _) =
        take_turns(1000, 20, Exchange::start().timer(), || nsenter(container, &["cat", FILE], 2100));
    vec![
        Budget::ratio("one served read of 2 KiB / nsenter -m cat, p50", ours.at(50), peer.at(50), 1.0 / 25.0),
        Budget::ratio("the same, p99", ours.at(99), peer.at(99), 1.0 / 10.0),
        Budget::ratio(
            "  a bare exchange with a waiting thread / nsenter -m cat",
            floor.at(50),
            peer.at(50),
            1.0,
        )
        .for_comparison(),
    ]
}

/// What is left of a served read when nothing is entered and nothing read: a message with three descriptors to
/// somebody who waits for it, and 2 KiB back through a pipe. Most of it is the kernel waking the other side.
struct Exchange {
    socket: OwnedFd,
    output: PipeReader,
}

impl Exchange {
    fn start() -> Self {
        let (socket, other) = pass::pair().unwrap();
        let (output, mut input) = std::io::pipe().unwrap();
        std::thread::spawn(move || {
            let mut message = [0; 4096];
            while until(&other, Ready::Read, None).unwrap()
                && pass::receive(&other, &mut message).unwrap() > 0
            {
                input.write_all(&[0; 2240]).unwrap();
            }
        });
        Self { socket, output }
    }

    fn timer(mut self) -> impl FnMut() -> Duration {
        move || {
            let start = Instant::now();
            let fd = self.output.as_fd();
            pass::send(&self.socket, &[0; 113], &[fd, fd, fd]).unwrap();
            assert!(until(&self.output, Ready::Read, None).unwrap());
            assert_eq!(self.output.read(&mut [0; 8192]).unwrap(), 2240);
            start.elapsed()
        }
    }
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
