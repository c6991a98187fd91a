//! Runs the command and the helper as a script would, and judges how they end.

use std::ffi::OsStr;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

/// Longer than anything here may take: a command that hangs must not hang the suite.
const LIMIT: Duration = Duration::from_secs(30);

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Ran {
    /// Its exit code; `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Ran {
    /// The output of a command that did what it was asked to, and had nothing to remark.
    #[track_caller]
    pub(crate) fn done(self) -> Vec<u8> {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{self:?}");
        self.stdout
    }

    /// The same as text.
    #[track_caller]
    pub(crate) fn text(self) -> String {
        String::from_utf8(self.done()).unwrap()
    }

    /// The one line that a command says about a failure, which ended with this code and printed no result.
    #[track_caller]
    pub(crate) fn failed(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.stdout.is_empty(), "a result although it failed: {self:?}");
        self.line()
    }

    /// The one line on standard error.
    #[track_caller]
    pub(crate) fn line(&self) -> &str {
        let line = self.stderr.strip_suffix('\n').unwrap_or_else(|| panic!("no line: {self:?}"));
        assert!(!line.contains('\n'), "more than one line: {self:?}");
        assert!(!line.contains(char::is_control), "control characters: {self:?}");
        line.strip_prefix("portolan: ").unwrap_or_else(|| panic!("does not say who speaks: {self:?}"))
    }
}

/// The command under test.
pub(crate) fn binary() -> PathBuf {
    built("PORTOLAN_BIN", "portolan")
}

/// The helper under test.
pub(crate) fn helper() -> PathBuf {
    built("PORTOLAN_HELPER", "portolan-helper")
}

fn built(variable: &str, name: &str) -> PathBuf {
    let beside = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target/release").join(name);
    let path = std::env::var_os(variable).map_or_else(beside, PathBuf::from);
    assert!(path.is_file(), "{} is not there: run `make build`, or set {variable}", path.display());
    path
}

/// The command, ready to be given more arguments or another environment.
pub(crate) fn command<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(binary());
    command.env("PORTOLAN_HELPER", helper()).args(arguments);
    command
}

/// Runs the command.
pub(crate) fn portolan<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Ran {
    run(&mut command(arguments), b"")
}

/// Runs a program to its end, with this input.
pub(crate) fn run(command: &mut Command, input: &[u8]) -> Ran {
    let start = Instant::now();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // One that does not read its input is free not to.
    thread::spawn(move || stdin.write_all(&input));
    let (stdout, stderr) = (all_of(child.stdout.take().unwrap()), all_of(child.stderr.take().unwrap()));
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if start.elapsed() > LIMIT => {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("{command:?} does not end");
            }
            None => thread::sleep(Duration::from_micros(200)),
        }
    };
    let took = start.elapsed();
    let whole = |stream: Receiver<Vec<u8>>| {
        let left = LIMIT.saturating_sub(start.elapsed());
        stream.recv_timeout(left).unwrap_or_else(|_| panic!("{command:?} left somebody with its output"))
    };
    let (stdout, stderr) = (whole(stdout), String::from_utf8(whole(stderr)).unwrap());
    Ran { code: status.code(), stdout, stderr, took }
}

/// Everything that comes, once the last who could write has closed it. That can be somebody else than the program.
fn all_of(mut stream: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::sync_channel(1);
    thread::spawn(move || {
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let _ = sender.send(bytes);
    });
    receiver
}
