//! The last lines, as `tail` inside gives them.

use portolan::{ErrorKind, Tail, TailOptions};
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::{bytes, data, lines, poll};
use crate::command::{Ran, portolan};
use crate::inside::Inside;

fn command(c: &Inside, path: &str, options: &[&str]) -> Ran {
    let target = c.target();
    portolan(["tail", &target, path].iter().chain(options))
}

/// The same by the library, the command, and the container's own `tail`.
#[track_caller]
fn agree(c: &Inside, path: &str, count: u64) {
    let number = count.to_string();
    let oracle = c.container.exec(["tail", "-n", &number, path]).unwrap();
    assert!(oracle.status.success(), "{oracle:?}");
    let mut tail = Tail::new(path, lines(count));
    assert!(bytes(&poll(&mut tail, c)) == oracle.stdout, "{path}, {count} lines by the library");
    assert!(command(c, path, &["-n", &number]).done() == oracle.stdout, "{path}, {count} lines");
    assert_eq!(poll(&mut tail, c), [], "nothing has happened since");
}

#[test]
fn the_last_lines_are_those_that_tail_gives() {
    require!(Need::Root, Need::Overlay);
    let numbered: String = (1..=25).map(|n| format!("line {n}\n")).collect();
    let long = [&b"first\n"[..], &vec![b'x'; (1 << 20) - 1], b"\n"].concat();
    let many: String = (0..30_000).map(|n| format!("{n}\n")).collect();
    let c = Inside::start(
        &World::new("last")
            .file("/logs/numbered", &numbered)
            .file("/logs/unfinished", numbered.trim_end())
            .file("/logs/empty", "")
            .file("/logs/newline", "\n")
            .file("/logs/newlines", "\n\n\n")
            .file("/logs/one", "one\n")
            .file("/logs/half", "half")
            .file("/logs/windows", "one\r\ntwo\r\nthree\r\n")
            .file("/logs/binary", b"\xff\xfe\n\x00\x80\n\xc3\n\x1b[2J")
            .file("/logs/many", &many)
            .file("/logs/long", &long),
    );
    for name in [
        "numbered",
        "unfinished",
        "empty",
        "newline",
        "newlines",
        "one",
        "half",
        "windows",
        "binary",
        "many",
        "long",
    ] {
        for count in [0, 1, 2, 10, 25, 26] {
            // All of this one is more than one poll may read.
            if name != "long" || count < 2 {
                agree(&c, &format!("/logs/{name}"), count);
            }
        }
    }
    agree(&c, "/logs/numbered", i64::MAX.unsigned_abs());
    // Ten are meant when nothing is said.
    let oracle = c.container.exec(["tail", "/logs/numbered"]).unwrap().stdout;
    assert_eq!(command(&c, "/logs/numbered", &[]).done(), oracle);
    assert_eq!(bytes(&poll(&mut Tail::new("/logs/numbered", TailOptions::default()), &c)), oracle);
}

#[test]
fn of_a_line_that_is_too_long_the_end_is_given() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("longer").file("/logs/long", "one\n0123456789abcdef\n"));
    let mut options = lines(10);
    options.max_bytes = 8;
    assert_eq!(poll(&mut Tail::new("/logs/long", options), &c), [data("9abcdef\n")]);
    assert_eq!(command(&c, "/logs/long", &["--max-bytes", "8"]).text(), "9abcdef\n");
    assert_eq!(command(&c, "/logs/long", &["--max-bytes", "19", "-n", "1"]).text(), "0123456789abcdef\n");
}

#[test]
fn what_is_no_file_is_told_in_one_line() {
    require!(Need::Root, Need::Overlay);
    let world = World::new("no-log").directory("/logs/dir").link("/logs/loop", "loop");
    let c = Inside::start(&world.prepare("mkfifo /logs/fifo"));
    for (path, words) in [
        ("/logs/none", "not found"),
        ("/logs/dir", "a directory"),
        ("/logs/fifo", "a FIFO"),
        ("/logs/loop", "too many symbolic links"),
    ] {
        let ran = command(&c, path, &[]);
        let line = ran.failed(1);
        assert!(line.contains(words) && line.contains(path), "{line}");
    }
    assert!(command(&c, "logs/relative", &[]).failed(2).contains("must begin with a slash"));
    let mut relative = Tail::new("logs/relative", TailOptions::default());
    assert_eq!(super::fails(&mut relative, &c), Some(ErrorKind::InvalidInput));
    drop(c);
}

#[test]
fn wrong_usage_exits_2() {
    for wrong in [
        &["tail"][..],
        &["tail", "x"],
        &["tail", "x", "/y", "/z"],
        &["tail", "x", "/y", "-n"],
        &["tail", "x", "/y", "-n", "-1"],
        &["tail", "x", "/y", "-n", "many"],
        &["tail", "x", "/y", "-f", "--interval-ms", "0"],
        &["tail", "x", "/y", "--max-bytes", "0"],
        &["tail", "x", "/y", "--timeout-ms", "0"],
        &["tail", "x", "/y", "-F"],
        &["tail", "pid:0", "/y"],
    ] {
        let ran = portolan(wrong);
        assert!(ran.code == Some(2) && ran.stdout.is_empty() && !ran.stderr.is_empty(), "{wrong:?}: {ran:?}");
    }
    assert!(portolan(["tail", "--help"]).text().contains("Usage: portolan tail"));
}
