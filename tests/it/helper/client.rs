//! `tests/client.py`, written after `docs/protocol.md` alone, gets what the command gets.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Command;

use portolan_world::need::Need;
use portolan_world::{World, require};

use crate::command::{Ran, helper, run};
use crate::inside::Inside;
use crate::scratch::Scratch;

fn python() -> Command {
    let mut python = Command::new("python3");
    python.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/client.py")).env("PORTOLAN_HELPER", helper());
    python
}

fn client<S: AsRef<OsStr>>(operation: &str, c: &Inside, path: S, options: &[&str]) -> Ran {
    run(python().args([operation, &c.pid().to_string()]).arg(path).args(options), b"")
}

#[test]
fn it_reads_and_lists_what_the_command_does() {
    require!(Need::Root, Need::Overlay, Need::Program("python3"));
    let binary: Vec<u8> = (0..=255).cycle().take(200_000).collect();
    let script = r#"cd /odd; : >"$(printf 'a\nb')"; : >"$(printf 'c\377')"; : >'d e'; : >./-f; mkdir dir"#;
    let world = World::new("client").file("/app/binary", &binary).file("/app/empty", "");
    let c = Inside::start(&world.file("/app/long", vec![7; 300_000]).directory("/odd").prepare(script));
    for path in ["/app/binary", "/app/empty", "/etc/passwd"] {
        assert_eq!(client("read", &c, path, &[]).done(), c.cat(path, &[]).done(), "{path}");
    }
    let odd = OsStr::from_bytes(b"/odd/c\xff");
    assert_eq!(client("read", &c, odd, &[]).done(), b"");
    let options = ["--prefix", "--offset", "10", "--max-bytes", "100000"];
    assert_eq!(client("read", &c, "/app/long", &options).done(), c.cat("/app/long", &options).stdout);
    for pattern in ["/odd/*", "/odd/*/", "/app/**", "/etc/none*", "/etc/*.conf"] {
        assert_eq!(client("glob", &c, pattern, &["-0"]).done(), c.list(pattern, &["-0"]).done(), "{pattern}");
    }
    assert_eq!(client("glob", &c, "/odd/[ac]*", &[]).text(), "/odd/a\\nb\n/odd/c\\\\xff\n");
}

#[test]
fn it_tells_the_same_errors() {
    require!(Need::Root, Need::Overlay, Need::Program("python3"));
    let world = World::new("client-errors").file("/app/long", vec![7; 300_000]).link("/app/loop", "loop");
    let c = Inside::start(&world.prepare("mkfifo /app/fifo"));
    for (path, message) in [
        ("/none", "no such file (open, errno 2, detail 0)"),
        ("/app/fifo", "not a regular file (open, errno 0, detail 4)"),
        ("/app", "not a regular file (open, errno 0, detail 2)"),
        ("/app/loop", "too many symbolic links (open, errno 40, detail 0)"),
        ("/proc/1/exe", "a magic link (open, errno 0, detail 0)"),
        ("/app/long", "a limit was met (open, errno 0, detail 300000)"),
    ] {
        let ran = client("read", &c, path, &[]);
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), format!("client: {message}\n").as_str()));
        assert!(ran.stdout.is_empty());
    }
    let ran = client("glob", &c, "/etc/*", &["--max-entries", "2"]);
    assert!(ran.code == Some(1) && ran.stdout.iter().filter(|b| **b == b'\n').count() == 2, "{ran:?}");
    assert!(ran.stderr.contains("a limit was met (glob"), "{ran:?}");
    assert_eq!(client("read", &c, "relative", &[]).code, Some(2));
}

#[test]
fn it_refuses_every_answer_that_is_not_of_the_protocol() {
    require!(Need::Root, Need::Overlay, Need::Program("python3"));
    let c = Inside::start(&World::new("client-broken").file("/app/file", "0123456789"));
    let mut read = Command::new(helper());
    let good = run(read.args(["read", "--pid", &c.pid().to_string(), "--", "/app/file"]), b"").stdout;
    // Hello 12 + 40, stat 12 + 72, data 12 + 10, end 12 + 32.
    assert_eq!(good.len(), 202);
    let mut wrong: Vec<Vec<u8>> =
        [0, 1, 11, 12, 51, 52, 60, 135, 136, 157, 158, 201].map(|cut| good[..cut].to_vec()).into();
    wrong.push([&good[..], b"x"].concat());
    wrong.push([&good[..], &good[..]].concat());
    // Kind, flags, operation, sequence, magic, version, posture, zeroes; then the second and the third frame's.
    for at in [
        4, 5, 6, 8, 12, 20, 23, 24, 26, 52, 56, 60, 64, 65, 136, 139, 140, 144, 158, 162, 166, 170, 178, 194,
        195,
    ] {
        let mut one = good.clone();
        one[at] ^= 0x41;
        wrong.push(one);
    }
    let scratch = Scratch::new();
    let script = scratch.file("impostor", &format!("#!/bin/sh\ncat {}\n", scratch.join("answer").display()));
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let said = |answer: &[u8]| {
        std::fs::write(scratch.join("answer"), answer).unwrap();
        let mut client = python();
        run(
            client
                .args(["read", "1", "/app/file"])
                .env("PORTOLAN_HELPER", &script)
                .env("PATH", "/bin:/usr/bin"),
            b"",
        )
    };
    assert_eq!(said(&good).done(), b"0123456789");
    for answer in wrong {
        let ran = said(&answer);
        let told = ran.stderr.starts_with("client: the helper broke the protocol: ") && ran.stdout.is_empty();
        assert!(ran.code == Some(1) && told, "{}: {ran:?}", answer.escape_ascii());
    }
}

#[test]
fn it_asks_for_several_things_in_one_entry() {
    require!(Need::Root, Need::Overlay, Need::Program("python3"));
    let world = World::new("client-batch").file("/app/a.conf", "a\n").file("/app/b.conf", "b\n");
    let c = Inside::start(&world.file("/app/log", "1\n2\n3\n"));
    assert_eq!(client("lines", &c, "/app/log", &["--lines", "2"]).done(), b"2\n3\n");
    let stat = client("stat", &c, "/app/log", &[]).text();
    assert!(stat.contains('6') && stat.contains("644"), "{stat}");
    let include = client("include", &c, "/app/*.conf", &[]).text();
    for part in ["/app/a.conf", "/app/b.conf", "a\n", "b\n"] {
        assert!(include.contains(part), "{include}");
    }
    let mut batch = python();
    batch.args(["batch", &c.pid().to_string()]);
    batch.args(["read:/app/a.conf", "read:/app/none", "glob:/app/*.conf", "stat:/app", "include:/app/b*"]);
    let ran = run(&mut batch, b"");
    // One of them failed, and cost the others nothing.
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let text = String::from_utf8_lossy(&ran.stdout).into_owned() + &ran.stderr;
    for part in ["a\n", "no such file", "/app/a.conf", "/app/b.conf", "b\n"] {
        assert!(text.contains(part), "{part}: {ran:?}");
    }
}

#[test]
fn a_shell_can_read_too() {
    require!(Need::Root, Need::Overlay, Need::Program("od"));
    let binary: Vec<u8> = (0..=255).cycle().take(150_000).collect();
    let c = Inside::start(&World::new("client-shell").file("/app/binary", &binary).file("/app/empty", ""));
    let shell = |path: &str| {
        let mut shell = Command::new("sh");
        shell.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/one_shot.sh"));
        run(shell.args([&c.pid().to_string(), path]).env("PORTOLAN_HELPER", helper()), b"")
    };
    assert!(shell("/app/binary").done() == binary);
    assert_eq!(shell("/app/empty").done(), b"");
    for path in ["/app/none", "/app", "/proc/1/exe"] {
        let ran = shell(path);
        assert!(ran.code != Some(0) && ran.stdout.is_empty() && !ran.stderr.is_empty(), "{path}: {ran:?}");
    }
}
