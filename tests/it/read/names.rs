//! Paths are bytes: any name that the kernel allows is read, and shown so that it cannot forge a line.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use portolan::{ErrorKind, ReadOptions};
use portolan_world::World;
use portolan_world::need::Need;
use portolan_world::require;

use crate::inside::Inside;

#[test]
fn any_bytes_that_make_a_name_are_read() {
    require!(Need::Root, Need::Overlay);
    let longest = "n".repeat(255);
    let script = r#"
        cd /app
        printf newline >"$(printf 'a\nb')"
        printf invalid >"$(printf 'a\377\200b')"
        printf escape >"$(printf 'a\033[2Jb')"
        printf dash >./-rf
        printf spaces >'  two  spaces '
        printf star >'*'
        printf quote >"'\"\\""#;
    let world = World::new("names").directory("/app").file(format!("/app/{longest}"), "longest");
    let c = Inside::start(&world.prepare(script));
    for (name, content) in [
        (&b"a\nb"[..], "newline"),
        (b"a\xff\x80b", "invalid"),
        (b"a\x1b[2Jb", "escape"),
        (b"-rf", "dash"),
        (b"  two  spaces ", "spaces"),
        (b"*", "star"),
        (b"'\"\\", "quote"),
        (longest.as_bytes(), "longest"),
    ] {
        c.gives(OsStr::from_bytes(&[b"/app/", name].concat()), content.as_bytes());
    }
}

#[test]
fn a_name_in_an_error_cannot_forge_a_line() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("forged"));
    let path = OsStr::from_bytes(b"/no\nportolan: such\x1b[2J\xff\\file");
    let line = c.refuses(path, ErrorKind::NotFound);
    assert!(line.contains(r"/no\x0aportolan: such\x1b[2J\xff\x5cfile"), "{line}");
}

#[test]
fn a_name_that_is_too_long_and_a_path_that_is_too_long_are_told_apart() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("long"));
    c.refuses(format!("/{}", "n".repeat(256)), ErrorKind::NameTooLong);
    c.refuses(format!("/{}", "n/".repeat(2048)), ErrorKind::InvalidInput);
    // The longest that is allowed is only not there.
    c.refuses(format!("/{}", "n/".repeat(2047)), ErrorKind::NotFound);
}

#[test]
fn a_path_that_is_no_absolute_path_is_wrong_usage() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("relative"));
    for path in ["etc/passwd", "./etc/passwd", "../etc/passwd", " /etc/passwd"] {
        let line = c.refuses(path, ErrorKind::InvalidInput);
        assert!(line.contains("must begin with a slash"), "{line}");
    }
    assert_eq!(c.read("", &ReadOptions::default()).map(drop), Err(ErrorKind::InvalidInput));
    let ran = c.cat("", &[]);
    assert!(ran.code == Some(2) && ran.stdout.is_empty() && !ran.stderr.is_empty(), "{ran:?}");
}
