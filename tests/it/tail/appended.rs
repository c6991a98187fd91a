//! What is appended, in whatever pieces.

use portolan::{Event, Tail, TailOptions};
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::{bytes, data, lines, poll};
use crate::inside::{Inside, files};

#[test]
fn pieces_come_as_they_are_appended() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("pieces").file("/logs/app", "one\ntwo\n"));
    for (name, count, first) in [("app", 1, &[data("two\n")][..]), ("none", 0, &[])] {
        let path = format!("/logs/{name}");
        c.shell(&format!("printf 'one\\ntwo\\n' >{path}"));
        let mut tail = Tail::new(&path, lines(count));
        assert_eq!(poll(&mut tail, &c), first);
        for piece in ["three\n", "four", " and more", "\nfive\n", "\n", "x"] {
            c.shell(&format!("printf '{}' >>{path}", piece.replace('\n', "\\n")));
            assert_eq!(poll(&mut tail, &c), [data(piece)]);
            assert_eq!(poll(&mut tail, &c), []);
        }
    }
}

#[test]
fn an_empty_file_that_is_written_later_is_followed() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("later").file("/logs/app", ""));
    let mut tail = Tail::new("/logs/app", TailOptions::default());
    assert_eq!(poll(&mut tail, &c), []);
    c.shell("echo one >>/logs/app");
    assert_eq!(poll(&mut tail, &c), [data("one\n")]);
}

#[test]
fn more_than_one_poll_may_read_comes_with_the_next_ones() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("much").file("/logs/app", "begin\n"));
    for most in [1, 1000, 300_000, 1 << 20] {
        c.shell("echo begin >/logs/app");
        let mut options = lines(1);
        options.max_bytes = most;
        let mut tail = Tail::new("/logs/app", options);
        poll(&mut tail, &c);
        let size = if most == 1 { 20 } else { 3_000_000_u64.min(most * 5) };
        c.shell(&format!("seq 1 1000000 | head -c {size} >>/logs/app"));
        let mut all = Vec::new();
        for _ in 0..40 {
            let events = poll(&mut tail, &c);
            assert!(events.iter().all(|event| matches!(event, Event::Data(_))), "{events:?}");
            let got = bytes(&events);
            assert!(got.len() as u64 <= most, "{} of {most}", got.len());
            all.extend(got);
        }
        let whole = c.container.exec(["tail", "-c", "+7", "/logs/app"]).unwrap().stdout;
        assert!(all == whole, "{most}: {} of {}", all.len(), whole.len());
    }
}

#[test]
fn a_file_of_no_size_is_followed_too() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("procfs"));
    let mut tail = Tail::new("/proc/sys/kernel/ostype", TailOptions::default());
    let first = tail.poll(files(), &c.process).unwrap();
    assert_eq!(bytes(&first), b"Linux\n");
    for _ in 0..3 {
        assert_eq!(poll(&mut tail, &c), []);
    }
}

#[test]
fn tasks_hear_the_same() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("tasks").file("/logs/app", "one\ntwo\n"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut tail = Tail::new("/logs/app", lines(1));
    let mut events = || runtime.block_on(tail.poll_async(files(), &c.process)).unwrap();
    assert_eq!(events(), [data("two\n")]);
    assert_eq!(events(), []);
    c.shell("echo three >>/logs/app");
    assert_eq!(events(), [data("three\n")]);
    c.shell("mv /logs/app /logs/app.1; echo late >>/logs/app.1; echo new >/logs/app");
    assert_eq!(events(), [Event::Rotated, data("late\n"), data("new\n")]);
    c.shell("echo newer and longer >/logs/app");
    assert_eq!(events(), [Event::Truncated, data("newer and longer\n")]);
    c.shell("rm /logs/app");
    assert_eq!(events(), [Event::Gone]);
    c.container.kill();
    let error = runtime.block_on(tail.poll_async(files(), &c.process)).unwrap_err();
    assert_eq!(error.kind(), portolan::ErrorKind::TargetGone);
}

#[test]
fn lines_are_cut_wherever_the_pieces_end() {
    let text = b"one\r\n\n\xff\xfe\nlonger than the rest\nend";
    let whole: Vec<Vec<u8>> = {
        let mut lines = portolan_files::tail::Lines::new(100);
        let mut all = lines.push(text);
        all.push(lines.rest());
        all
    };
    assert_eq!(whole, [&b"one\r"[..], b"", b"\xff\xfe", b"longer than the rest", b"end"]);
    for size in 1..text.len() {
        let mut lines = portolan_files::tail::Lines::new(100);
        let mut all: Vec<Vec<u8>> = text.chunks(size).flat_map(|piece| lines.push(piece)).collect();
        all.push(lines.rest());
        assert_eq!(all, whole, "in pieces of {size}");
        assert_eq!(lines.rest(), b"");
    }
    let mut short = portolan_files::tail::Lines::new(0);
    assert_eq!(short.push(b"ab\n"), [b"a".to_vec(), b"b".to_vec(), b"".to_vec()]);
}
