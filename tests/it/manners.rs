//! How the command behaves among others: pipes, full disks, few descriptors, help.

use std::process::{Command, Stdio};

use portolan_world::need::Need;
use portolan_world::{World, require};

use crate::command::{binary, command, helper, portolan, run};
use crate::inside::Inside;

#[test]
fn when_nobody_reads_its_output_it_ends_without_a_word() {
    require!(Need::Root, Need::Overlay);
    let large = vec![b'x'; 200_000];
    let c = Inside::start(&World::new("unread").file("/app/large", &large));
    for arguments in [&["scan"][..], &["scan", "--json"], &["cat", &c.target(), "/app/large"], &["doctor"]] {
        // Closed before it starts: later, a quick command could have said everything by then.
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command(arguments).stdin(Stdio::null()).stdout(writer).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!said.contains("panic") && !said.contains("Broken pipe"), "{arguments:?}: {said}");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
    }
}

#[test]
fn a_result_that_cannot_be_written_is_an_error() {
    require!(Need::Root, Need::Overlay, Need::File("/dev/full"));
    let c = Inside::start(&World::new("full").file("/app/file", "x"));
    for arguments in
        [&["scan", "--json"][..], &["cat", &c.target(), "/app/file"], &["glob", &c.target(), "/app/*"]]
    {
        let mut shell = Command::new("sh");
        shell.args(["-c", "exec \"$0\" \"$@\" >/dev/full"]).arg(binary()).args(arguments);
        let ran = run(shell.env("PORTOLAN_HELPER", helper()), b"");
        assert!(ran.failed(1).contains("No space left"), "{ran:?}");
    }
}

#[test]
fn with_few_descriptors_it_says_so_in_one_line() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("descriptors").file("/app/file", "x"));
    for limit in 3..16 {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\"")]).arg(binary());
        shell.args(["cat", &c.target(), "/app/file"]).env("PORTOLAN_HELPER", helper());
        let ran = run(&mut shell, b"");
        // The loader of the command itself needs some.
        match ran.code {
            Some(0) => assert_eq!(ran.stdout, b"x"),
            Some(127) => assert!(limit < 5, "{ran:?}"),
            _ => assert!(ran.failed(1).contains("descriptors"), "{limit}: {ran:?}"),
        }
    }
}

#[test]
fn wrong_usage_exits_2_and_help_exits_0() {
    for wrong in [
        &[][..],
        &["no-such-command"],
        &["cat"],
        &["cat", "x"],
        &["cat", "x", "/y", "/z"],
        &["cat", "x", "/y", "--max-bytes", "-1"],
        &["cat", "x", "/y", "--timeout-ms", "0"],
        &["glob", "x"],
        &["scan", "--no-such-option"],
        &["explain"],
        &["completions", "no-such-shell"],
    ] {
        let ran = portolan(wrong);
        assert!(ran.code == Some(2) && ran.stdout.is_empty() && !ran.stderr.is_empty(), "{wrong:?}: {ran:?}");
    }
    for name in ["scan", "cat", "glob", "dial", "explain", "doctor", "completions"] {
        let help = portolan([name, "--help"]).text();
        assert!(help.contains("Usage: portolan"), "{help}");
    }
    let help = portolan(["--help"]).text();
    assert!(
        help.contains("Exit codes: 0 done, 1 the operation failed, 2 wrong usage, 3 a missing privilege")
    );
    assert!(portolan(["--version"]).text().starts_with("portolan "));
    for shell in ["bash", "zsh", "fish"] {
        assert!(portolan(["completions", shell]).text().contains("portolan"));
    }
}
