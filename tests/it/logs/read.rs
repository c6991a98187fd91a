//! What the command prints of a log.

use std::io::Read as _;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::command::{Ran, command, portolan};

const PATIENCE: Duration = Duration::from_secs(10);

/// A script that writes what is hard to log: control characters, NUL, bytes that are no text, a line that is longer than
/// any runtime's buffer, one of a megabyte, and both streams; then it waits.
pub(super) const HARD: &str = "echo out; echo err >&2; sleep 0.1; printf 'a\\000\\001\\377\\033[31m\\n'; \
    busybox head -c 40000 /dev/zero | busybox tr '\\0' b; echo; \
    busybox head -c 1048576 /dev/zero | busybox tr '\\0' c; echo; echo last; sleep 100000";
/// How many lines it writes to its standard output.
pub(super) const LINES: usize = 5;

/// A line of `logs --json`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) stream: String,
    pub(super) text: String,
    pub(super) time: Option<String>,
}

/// The lines of a target, as objects.
#[track_caller]
pub(super) fn lines(target: &str, options: &[&str]) -> Vec<Line> {
    of(&portolan([&["logs", target, "--json"], options].concat()))
}

#[track_caller]
pub(super) fn of(ran: &Ran) -> Vec<Line> {
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let text = std::str::from_utf8(&ran.stdout).unwrap();
    let line = |line: &str| {
        let value: Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            (&value["malformed"], &value["truncated"]),
            (&Value::Bool(false), &Value::Bool(false)),
            "{line}"
        );
        let text = |key: &str| value[key].as_str().map(str::to_owned);
        Line { stream: text("stream").unwrap(), text: text("line").unwrap(), time: text("time") }
    };
    text.lines().map(line).collect()
}

/// The bytes that the command prints.
#[track_caller]
pub(super) fn bytes(target: &str, options: &[&str]) -> Vec<u8> {
    let ran = portolan([&["logs", target], options].concat());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran.stdout
}

/// Waits until the target has written a line.
#[track_caller]
pub(super) fn wait_for(target: &str, last: &str) {
    let start = Instant::now();
    loop {
        let ran = portolan(["logs", target, "-n", "3"]);
        if String::from_utf8_lossy(&ran.stdout).lines().any(|line| line == last) {
            return;
        }
        assert!(start.elapsed() < PATIENCE, "no {last:?} in {target}: {}", ran.stderr);
        sleep(Duration::from_millis(50));
    }
}

/// A command that follows, until it has printed a line.
#[derive(Debug)]
pub(super) struct Following(Child);

impl Following {
    pub(super) fn start(target: &str, options: &[&str]) -> Self {
        let mut command = command([&["logs", target, "-f", "--interval-ms", "20"], options].concat());
        let command = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    /// All lines up to this one.
    #[track_caller]
    pub(super) fn until(mut self, last: &str) -> Vec<String> {
        let mut output = self.0.stdout.take().unwrap();
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 64 * 1024];
            while let Ok(length @ 1..) = output.read(&mut bytes) {
                let _ = sender.send(bytes[..length].to_vec());
            }
        });
        let (mut all, end) = (Vec::new(), format!("{last}\n"));
        while !all.ends_with(end.as_bytes()) {
            match receiver.recv_timeout(PATIENCE) {
                Ok(bytes) => all.extend(bytes),
                Err(_) => panic!("{last:?} did not come; {} bytes did", all.len()),
            }
        }
        String::from_utf8(all).unwrap().lines().map(str::to_owned).collect()
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
