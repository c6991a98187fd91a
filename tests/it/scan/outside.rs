//! Programs of the host, which end with their test.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// A program outside of any container; it is killed when this is dropped.
pub(super) struct Outside {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Outside {
    /// Starts it, and waits for its first line, which is to be "ready" and may say more.
    #[track_caller]
    pub(super) fn start(command: &mut Command) -> (Self, String) {
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let input = child.stdin.take().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let mut started = Self { child, input, output };
        let line = started.line();
        let said = line.strip_prefix("ready").unwrap_or_else(|| panic!("{command:?} says {line}"));
        let said = said.trim().to_owned();
        (started, said)
    }

    /// Python on the host; the text is to print "ready".
    #[track_caller]
    pub(super) fn python(text: &str) -> (Self, String) {
        Self::start(Command::new("python3").args(["-c", text]))
    }

    /// Python in the network of a process.
    #[track_caller]
    pub(super) fn python_in_network(pid: i32, text: &str) -> (Self, String) {
        Self::start(Command::new("nsenter").args(["-t", &pid.to_string(), "-n", "python3", "-c", text]))
    }

    pub(super) fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    #[track_caller]
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Sends it a line; gives the line that it answers with.
    #[track_caller]
    pub(super) fn tell(&mut self, line: &str) -> String {
        writeln!(self.input, "{line}").unwrap();
        self.line()
    }
}

impl Drop for Outside {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
