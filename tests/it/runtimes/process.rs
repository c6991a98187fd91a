//! A program that runs as long as a test needs it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::tool::tool;

/// How long a program may take to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(10);

/// A child with a log, which is asked to end, and made to, when it is dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    end: Signal,
    log: PathBuf,
}

impl Process {
    /// Starts a program that ends by this signal. It also gets it when the thread that started it ends in whatever
    /// way, so that it does not outlive a suite that was killed.
    pub(crate) fn start(program: &mut Command, end: Signal, log: &Path) -> Self {
        let mut command = tool("setpriv");
        command.args(["--pdeathsig", &end.as_str()[3..]]).arg(program.get_program()).args(program.get_args());
        for (name, value) in program.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let file = File::create(log).unwrap();
        let both = file.try_clone().unwrap();
        let child = command.stdin(Stdio::null()).stdout(file).stderr(both).spawn().unwrap();
        Self { child, end, log: log.to_owned() }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.id().try_into().unwrap()
    }

    /// Waits for something that the program does.
    #[track_caller]
    pub(crate) fn wait_for<T>(&mut self, what: &str, mut check: impl FnMut() -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(found) = check() {
                return found;
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "no {what}: it ended, {}:\n{}", ended.unwrap(), self.said());
            assert!(start.elapsed() < PATIENCE, "no {what} in {PATIENCE:?}:\n{}", self.said());
            sleep(Duration::from_millis(10));
        }
    }

    /// Waits until it has ended by what was sent to it.
    #[track_caller]
    pub(crate) fn wait_for_end(&mut self) {
        self.child.wait().unwrap();
    }

    /// Its only child, once it has one.
    #[track_caller]
    pub(crate) fn only_child(&mut self) -> i32 {
        let pid = self.pid();
        self.wait_for("child", || {
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
            let mut children = children.split_whitespace();
            children.next().filter(|_| children.next().is_none())?.parse().ok()
        })
    }

    /// The end of its log.
    fn said(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(30)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what it said last:\n{}", self.said());
        }
        // Nobody else waits for it: until we do, the pid is its own.
        for signal in [self.end, Signal::SIGKILL] {
            if kill(Pid::from_raw(self.pid()), signal).is_err() {
                return;
            }
            let start = Instant::now();
            while start.elapsed() < PATIENCE {
                match self.child.try_wait() {
                    Ok(None) => sleep(Duration::from_millis(5)),
                    _ => return,
                }
            }
            eprintln!("{signal} does not end it:\n{}", self.said());
        }
    }
}
