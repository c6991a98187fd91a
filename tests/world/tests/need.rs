//! A test that cannot run is counted and named.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fs;
use std::process::{Command, Output};

use portolan_world::need::{NOT_RUN, Need, REQUIRE_ALL};

/// Not a test of its own: the others run it, each with an environment.
#[test]
#[ignore = "run by other tests"]
fn needy() {
    portolan_world::require!(Need::Program("sh"), Need::Program("no-such-program"), Need::File("/none"));
    unreachable!("it goes on without what it needs");
}

fn run(variable: &str, value: &str) -> (Output, String) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "needy", "--ignored"])
        .env_remove(NOT_RUN)
        .env_remove(REQUIRE_ALL)
        .env(variable, value)
        .output()
        .unwrap();
    let text = [output.stdout.as_slice(), &output.stderr].map(String::from_utf8_lossy).concat();
    (output, text)
}

#[test]
fn a_skip_is_told() {
    let list = std::env::temp_dir().join(format!("portolan-not-run-{}", std::process::id()));
    for _ in 0..2 {
        let (output, text) = run(NOT_RUN, list.to_str().unwrap());
        assert!(output.status.success(), "{text}");
        // Past the capture of the harness, which would keep the words of a test that passes.
        assert!(
            text.contains("not run: need::needy: needs the program no-such-program, needs /none"),
            "{text}"
        );
    }
    let lines = fs::read_to_string(&list).unwrap();
    fs::remove_file(&list).unwrap();
    assert_eq!(lines, "need::needy: needs the program no-such-program, needs /none\n".repeat(2));
}

#[test]
fn a_skip_can_be_a_failure() {
    let (output, text) = run(REQUIRE_ALL, "1");
    assert!(!output.status.success(), "{text}");
    assert!(text.contains("needs the program no-such-program"), "{text}");
}

#[test]
fn a_skip_that_cannot_be_told_is_a_failure() {
    let (output, text) = run(NOT_RUN, "/none/at/all");
    assert!(!output.status.success(), "{text}");
}
