//! Where the command is run: on the host, or inside of something that shows it another part of the world.

use std::fs;
use std::process::Command;

use crate::command::{Ran, command, run};

/// A place to run the command from.
#[derive(Debug, Clone, Default)]
pub(crate) struct View {
    /// A program and arguments that end in the command's path there; empty on the host.
    prefix: Vec<String>,
    /// How many pid namespaces lie between the host's and its own.
    depth: usize,
}

impl View {
    /// On the host, as most suites do.
    pub(crate) fn host() -> Self {
        Self::default()
    }

    /// By way of another program, which ends in a pid namespace so far below the host's.
    pub(crate) fn through<S: Into<String>>(prefix: impl IntoIterator<Item = S>, depth: usize) -> Self {
        let prefix: Vec<String> = prefix.into_iter().map(Into::into).collect();
        assert!(!prefix.is_empty(), "nothing to go through");
        Self { prefix, depth }
    }

    /// The command with these arguments.
    pub(crate) fn command<S: AsRef<str>>(&self, arguments: impl IntoIterator<Item = S>) -> Command {
        let arguments = arguments.into_iter().map(|argument| argument.as_ref().to_owned());
        let Some((program, rest)) = self.prefix.split_first() else { return command(arguments) };
        let mut through = super::tool::tool(program);
        through.args(rest).args(arguments);
        through
    }

    /// Runs the command with these arguments.
    pub(crate) fn portolan<S: AsRef<str>>(&self, arguments: impl IntoIterator<Item = S>) -> Ran {
        run(&mut self.command(arguments), b"")
    }

    /// The number that a process of the host has there (`NSpid` of `proc_pid_status(5)`).
    #[track_caller]
    pub(crate) fn pid(&self, pid: i32) -> i32 {
        if self.depth == 0 {
            return pid;
        }
        let numbers = numbers(pid).unwrap_or_else(|| panic!("pid {pid} is gone"));
        *numbers.get(self.depth).unwrap_or_else(|| panic!("pid {pid} is not seen from there: {numbers:?}"))
    }

    /// The process of the host that has this number there, in the pid namespace of this process.
    #[track_caller]
    pub(crate) fn on_host(&self, pid: i32, pid_namespace: u64) -> i32 {
        let all =
            fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let found = all.filter(|host: &i32| {
            numbers(*host).is_some_and(|numbers| numbers.get(self.depth) == Some(&pid))
                && belongs(*host, pid_namespace)
        });
        let found: Vec<i32> = found.collect();
        assert_eq!(found.len(), 1, "not one process has pid {pid} there: {found:?}");
        found[0]
    }
}

/// The numbers of a process, from our pid namespace inwards.
fn numbers(pid: i32) -> Option<Vec<i32>> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:"))?;
    line.split_whitespace().map(|number| number.parse().ok()).collect()
}

/// Whether a process is in a pid namespace, or in one made in there.
fn belongs(pid: i32, pid_namespace: u64) -> bool {
    let mut at = pid;
    // A parent in another pid namespace is still a parent; its chain leads out through the namespace's first process.
    for _ in 0..64 {
        let link = fs::read_link(format!("/proc/{at}/ns/pid")).ok();
        let number = link.and_then(|link| crate::oracle::number_of_link(link.to_str()?));
        if number == Some(pid_namespace) {
            return true;
        }
        let parent = fs::read_to_string(format!("/proc/{at}/status")).ok().and_then(|status| {
            status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
        });
        match parent {
            Some(parent) if parent > 1 => at = parent,
            _ => return false,
        }
    }
    false
}
