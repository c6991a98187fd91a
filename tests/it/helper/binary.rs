//! The file itself, and its arguments.

use std::fs;
use std::process::Command;

use portolan_world::need::Need;
use portolan_world::require;

use crate::command::{helper, run};

#[test]
fn it_is_no_larger_than_it_may_be() {
    let size = fs::metadata(helper()).unwrap().len();
    assert!(size <= 1_300_000, "{size} bytes");
}

#[test]
fn it_is_linked_statically() {
    const PT_INTERP: u32 = 3;
    let elf = fs::read(helper()).unwrap();
    assert_eq!(&elf[..6], b"\x7fELF\x02\x01", "64 bits, little-endian");
    let u16_at = |at: usize| u16::from_le_bytes(elf[at..at + 2].try_into().unwrap());
    let u64_at = |at: usize| u64::from_le_bytes(elf[at..at + 8].try_into().unwrap());
    let (table, size, count) = (usize::try_from(u64_at(32)).unwrap(), usize::from(u16_at(54)), u16_at(56));
    assert!(count > 0);
    for number in 0..usize::from(count) {
        let at = table + number * size;
        let kind = u32::from_le_bytes(elf[at..at + 4].try_into().unwrap());
        assert_ne!(kind, PT_INTERP, "it would load libraries: the container's");
    }
}

#[test]
fn wrong_usage_exits_2_with_one_line_and_nothing_on_standard_output() {
    let long = format!("/{}", "x".repeat(4095));
    for arguments in [
        &["write", "--pid", "1", "--", "/x"][..],
        &["read", "--", "/x"],
        &["read", "--pid", "0", "--", "/x"],
        &["read", "--pid", "-1", "--", "/x"],
        &["read", "--pid", "abc", "--", "/x"],
        &["read", "--pid", "1", "/x"],
        &["read", "--pid", "1"],
        &["read", "--pid", "1", "--"],
        &["read", "--pid", "1", "--", "relative"],
        &["read", "--pid", "1", "--", ""],
        &["read", "--pid", "1", "--", "/x", "/y"],
        &["read", "--pid", "1", "--", &long],
        &["read", "--pid", "1", "--max-bytes", "-1", "--", "/x"],
        &["read", "--pid", "1", "--max-entries", "1", "--", "/x"],
        &["glob", "--pid", "1", "--prefix", "--", "/x"],
        &["read", "--pid", "1", "--pidfd", "3", "--", "/x"],
        &["read", "--pidfd", "3", "--", "/x"],
    ] {
        let ran = run(Command::new(helper()).args(arguments), b"");
        assert_eq!((ran.code, ran.stdout.as_slice()), (Some(2), &b""[..]), "{arguments:?}");
        let line = ran.stderr.strip_suffix('\n').unwrap();
        assert!(line.starts_with("portolan-helper: ") && !line.contains('\n'), "{line}");
    }
}

#[test]
fn help_is_given_when_it_is_asked_for() {
    for arguments in [&[][..], &["--help"], &["read", "--help"]] {
        let ran = run(Command::new(helper()).args(arguments), b"");
        assert!(String::from_utf8(ran.done()).unwrap().contains("portolan-helper read    --pid PID"));
    }
}

#[test]
fn descriptors_that_are_not_what_they_should_be_are_refused() {
    require!(Need::Root);
    // 7 is a file, 8 is not open.
    for arguments in ["--pidfd 7 --root-fd 7", "--pidfd 8 --root-fd 7", "--pidfd 7 --root-fd 8"] {
        let script = format!("exec \"$0\" read {arguments} -- /etc/passwd 7</etc/passwd");
        let ran = run(Command::new("sh").args(["-c", &script]).arg(helper()), b"");
        assert_eq!(ran.code, Some(1), "{arguments}: {ran:?}");
        // Hello, then a refusal: nothing of a file.
        assert_eq!((ran.stdout.len(), ran.stdout[52 + 4]), (52 + 28, 9), "{ran:?}");
    }
}
