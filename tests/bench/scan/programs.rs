//! The fleet and the floor: C programs, because they stand for what a program costs that is as bare as can be.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Lines};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// What a program told about its own run.
#[derive(Debug)]
pub(crate) struct Figures(HashMap<String, u64>);

impl Figures {
    pub(crate) fn get(&self, key: &str) -> u64 {
        self.find(key).unwrap_or_else(|| panic!("no {key} in {self:?}"))
    }

    pub(crate) fn find(&self, key: &str) -> Option<u64> {
        self.0.get(key).copied()
    }

    pub(crate) fn cpu(&self) -> Duration {
        Duration::from_micros(self.get("cpu"))
    }

    pub(crate) fn wall(&self) -> Duration {
        Duration::from_micros(self.get("wall"))
    }
}

/// Runs a program that ends with one line of KEY=VALUE.
fn figures(command: &mut Command) -> Figures {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", output.status);
    parse(&String::from_utf8(output.stdout).unwrap())
}

/// What is said in KEY=VALUE.
fn parse(text: &str) -> Figures {
    let pairs = text.split_ascii_whitespace().map(|pair| pair.split_once('=').unwrap());
    Figures(pairs.map(|(key, value)| (key.to_owned(), value.parse().unwrap())).collect())
}

/// Ourselves, as one of the children of [`super::is_child`].
pub(crate) fn ours(arguments: &[&str]) -> Figures {
    figures(Command::new(std::env::current_exe().unwrap()).args(arguments))
}

/// The same, which says something line by line until it is ended.
pub(crate) struct Spoken {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Spoken {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    pub(crate) fn line(&mut self) -> Figures {
        parse(&self.lines.next().expect("it has ended").unwrap())
    }

    /// Ends it; gives all that it has said until then and was not taken.
    pub(crate) fn end(mut self) -> Figures {
        drop(self.child.stdin.take());
        let rest: Vec<String> = self.lines.by_ref().map(Result::unwrap).collect();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}");
        parse(&rest.join(" "))
    }
}

/// The compiled programs.
pub(crate) struct Programs {
    fleet: PathBuf,
    floor: PathBuf,
    newcomer: PathBuf,
}

impl Programs {
    pub(crate) fn build() -> Self {
        Self { fleet: compile("fleet"), floor: compile("floor"), newcomer: compile("newcomer") }
    }

    pub(crate) fn floor(&self, arguments: &[&str]) -> Figures {
        figures(Command::new(&self.floor).args(arguments))
    }

    /// A container that will listen; it ends when its input does.
    pub(crate) fn newcomer(&self, port: u16, milliseconds: u16) -> Child {
        let mut command = Command::new(&self.newcomer);
        command.args([port.to_string(), milliseconds.to_string()]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
    }

    pub(crate) fn fleet(&self, count: usize, options: &[&str]) -> Fleet {
        let mut command = Command::new(&self.fleet);
        command.args(options).arg(count.to_string());
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut fleet = Fleet { child, ready: Instant::now() };
        let mut said = String::new();
        BufReader::new(fleet.child.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "ready\n", "the fleet does not start");
        fleet.ready = Instant::now();
        fleet
    }
}

fn compile(name: &str) -> PathBuf {
    compile_at(&format!("tests/bench/scan/{name}.c"), name)
}

/// A static program.
pub(crate) fn compile_at(source: &str, name: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bench-{name}"));
    let built = Command::new("cc").args(["-O2", "-static", "-o"]).arg(&program).arg(source).status().unwrap();
    assert!(built.success(), "cc: {built}");
    program
}

/// Containers that run; ended when this is dropped, and when this process ends.
pub(crate) struct Fleet {
    child: Child,
    ready: Instant,
}

impl Fleet {
    /// The process that started the containers.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until a scan judges nothing of it anew any more: who a container is, is asked again and again in its first
    /// five seconds.
    pub(crate) fn settle(&self) {
        std::thread::sleep(Duration::from_secs(6).saturating_sub(self.ready.elapsed()));
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
