//! Makes system calls fail for the command: by a filter of the kernel, which sees numbers, or by a shim before the C
//! library, which sees what they point to as well.

use std::path::{Path, PathBuf};
use std::process::Command;

use nix::libc::{c_int, c_long};

use crate::command::{Ran, binary, helper, run};
use crate::scratch::Scratch;

/// A system call that fails.
#[derive(Debug, Clone)]
pub(crate) struct Rule(String);

impl Rule {
    /// Always, with this errno.
    pub(crate) fn always(number: c_long, errno: c_int) -> Self {
        Self(format!("{number}={errno}"))
    }

    /// When each of these arguments, by its place, has a value under a mask.
    pub(crate) fn when(number: c_long, conditions: &[(u32, u32, u32)], errno: c_int) -> Self {
        let conditions: String =
            conditions.iter().map(|(argument, mask, value)| format!(":{argument}:{mask}:{value}")).collect();
        Self(format!("{number}{conditions}={errno}"))
    }
}

/// Both tools, made of the sources beside this file.
pub(crate) struct Rig {
    scratch: Scratch,
    filter: PathBuf,
    shim: PathBuf,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let scratch = Scratch::new();
        let made = |source: &str, text: &str, name: &str, options: &[&str]| {
            scratch.file(source, text);
            let mut cc = Command::new("cc");
            cc.current_dir(scratch.path()).args(options).args(["-Wall", "-o", name, source, "-ldl"]);
            run(&mut cc, b"").done();
            scratch.join(name)
        };
        let filter = made("without.c", include_str!("without.c"), "without", &[]);
        let shim = made("shim.c", include_str!("shim.c"), "shim.so", &["-shared", "-fPIC"]);
        Self { scratch, filter, shim }
    }

    /// The command behind a filter.
    pub(crate) fn portolan(&self, rules: &[Rule], arguments: &[&str]) -> Ran {
        run(&mut self.command(rules, arguments), b"")
    }

    pub(crate) fn command(&self, rules: &[Rule], arguments: &[&str]) -> Command {
        let mut command = self.program(rules, &binary());
        command.args(arguments).env("PORTOLAN_HELPER", helper());
        command
    }

    /// Any program behind a filter.
    pub(crate) fn program(&self, rules: &[Rule], program: &Path) -> Command {
        assert!(program.is_absolute() && !rules.is_empty());
        let mut command = Command::new(&self.filter);
        command.args(rules.iter().map(|rule| &rule.0)).arg(program);
        command
    }

    /// The command behind the shim, and what it was seen to miss.
    pub(crate) fn missing(&self, words: &[&str], arguments: &[&str]) -> (Ran, Vec<String>) {
        self.behind(words, &binary(), arguments)
    }

    /// Another test behind the shim, and what it was seen to miss.
    pub(crate) fn test(&self, words: &[&str], name: &str) -> (Ran, Vec<String>) {
        let tests = std::env::current_exe().unwrap();
        self.behind(words, &tests, &["--exact", name, "--nocapture"])
    }

    fn behind(&self, words: &[&str], program: &Path, arguments: &[&str]) -> (Ran, Vec<String>) {
        let told = self.scratch.join("told");
        let _ = std::fs::remove_file(&told);
        let mut command = Command::new(program);
        command.args(arguments).env("PORTOLAN_HELPER", helper()).env("LD_PRELOAD", &self.shim);
        command.env("OLDER_TOLD", &told);
        command.env("OLDER", words.iter().map(|word| format!("{word},")).collect::<String>());
        let ran = run(&mut command, b"");
        let mut missed: Vec<String> =
            std::fs::read_to_string(&told).unwrap_or_default().lines().map(str::to_owned).collect();
        missed.sort();
        missed.dedup();
        (ran, missed)
    }

    /// A file that the shim can put in another's place.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        self.scratch.file(name, text).to_str().unwrap().to_owned()
    }
}

/// A row of `portolan doctor`, which must have succeeded.
#[track_caller]
pub(crate) fn row(doctor: Ran, feature: &str) -> String {
    let text = doctor.text();
    let row = text.lines().find(|line| line.starts_with(feature));
    row.unwrap_or_else(|| panic!("no {feature}: {text}")).to_owned()
}
