//! Programs of the runtimes.

use std::process::{Command, Output, Stdio};

use crate::command::{Ran, run};

/// A program, found also where only administrators look, with a plain environment.
pub(crate) fn tool(name: &str) -> Command {
    let path = std::env::var("PATH").unwrap_or_default();
    let mut command = Command::new(name);
    command.env("PATH", format!("{path}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin")).env("LC_ALL", "C");
    command
}

/// What a program prints that is to succeed, without the newline at the end.
#[track_caller]
pub(crate) fn told(command: &mut Command) -> String {
    let Ran { code, stdout, stderr, .. } = run(command, b"");
    assert_eq!(code, Some(0), "{command:?}: {stderr}");
    String::from_utf8(stdout).unwrap().trim_end().to_owned()
}

/// Runs a program that leaves a container behind, which would keep a pipe to us open.
#[track_caller]
pub(crate) fn detach(command: &mut Command) {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}

/// Runs a program while cleaning up, where nothing may fail the test a second time.
pub(crate) fn attempt(command: &mut Command) -> Option<Output> {
    command.stdin(Stdio::null()).output().ok().filter(|output| output.status.success())
}
