//! The fleet and the floor: C programs, because they stand for what a program costs that is as bare as can be.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// What a program told about its own run.
#[derive(Debug)]
pub(crate) struct Figures(HashMap<String, u64>);

impl Figures {
    pub(crate) fn get(&self, key: &str) -> u64 {
        *self.0.get(key).unwrap_or_else(|| panic!("no {key} in {self:?}"))
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
    let text = String::from_utf8(output.stdout).unwrap();
    let pairs = text.split_ascii_whitespace().map(|pair| pair.split_once('=').unwrap());
    Figures(pairs.map(|(key, value)| (key.to_owned(), value.parse().unwrap())).collect())
}

/// Ourselves, as one of the children of [`super::is_child`].
pub(crate) fn ours(arguments: &[&str]) -> Figures {
    figures(Command::new(std::env::current_exe().unwrap()).args(arguments))
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
        let mut fleet = Fleet(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap());
        let mut said = String::new();
        BufReader::new(fleet.0.stdout.as_mut().unwrap()).read_line(&mut said).unwrap();
        assert_eq!(said, "ready\n", "the fleet does not start");
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
pub(crate) struct Fleet(Child);

impl Drop for Fleet {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
