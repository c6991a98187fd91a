//! Files that are cut, deleted, absent, or made anew under the same number.

use portolan::{Event, Tail, TailOptions};
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::{bytes, data, lines, poll};
use crate::inside::Inside;
use crate::scratch::Scratch;

#[test]
fn a_file_that_was_copied_and_cut_is_read_from_its_start() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("cut").file("/logs/app", "one\ntwo\nthree\n"));
    for count in [0, 1, 10] {
        c.shell("printf 'one\\ntwo\\nthree\\n' >/logs/app");
        let mut tail = Tail::new("/logs/app", lines(count));
        poll(&mut tail, &c);
        // Shorter, then as long as before, then longer, then longer still and with what is appended later.
        for new in
            ["1\n", "2\n", "a longer line than the old one\n", "0123456789 a line that is longer still\n"]
        {
            c.shell(&format!("cp /logs/app /logs/app.1; printf '{}' >/logs/app", new.replace('\n', "\\n")));
            assert_eq!(poll(&mut tail, &c), [Event::Truncated, data(new)], "{count} lines");
            assert_eq!(poll(&mut tail, &c), []);
            c.shell("echo appended >>/logs/app");
            assert_eq!(poll(&mut tail, &c), [data("appended\n")]);
        }
    }
}

#[test]
fn a_file_that_was_emptied_is_told_before_it_grows() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("emptied"));
    for count in [0, 1, 10] {
        c.shell("mkdir -p /logs; printf 'one\\ntwo\\n' >/logs/app");
        let mut tail = Tail::new("/logs/app", lines(count));
        poll(&mut tail, &c);
        c.shell(": >/logs/app");
        assert_eq!(poll(&mut tail, &c), [Event::Truncated], "{count} lines");
        assert_eq!(poll(&mut tail, &c), []);
        c.shell("echo and longer than it was >>/logs/app");
        assert_eq!(poll(&mut tail, &c), [data("and longer than it was\n")]);
    }
}

#[test]
fn a_large_file_that_was_cut_and_has_grown_past_the_old_place_is_read_whole() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("grown").prepare("mkdir /logs; seq 1 100000 >/logs/app"));
    let mut tail = Tail::new("/logs/app", lines(3));
    assert_eq!(poll(&mut tail, &c), [data("99998\n99999\n100000\n")]);
    c.shell("cp /logs/app /logs/app.1; : >/logs/app; seq 500000 600000 >>/logs/app");
    let events = poll(&mut tail, &c);
    assert_eq!(events[0], Event::Truncated);
    assert!(bytes(&events) == c.container.exec(["cat", "/logs/app"]).unwrap().stdout);
}

#[test]
fn a_deleted_file_is_told_once_and_read_from_its_start_when_it_is_back() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("deleted").file("/logs/app", "one\ntwo\n"));
    let mut tail = Tail::new("/logs/app", lines(1));
    poll(&mut tail, &c);
    for round in 0..3 {
        c.shell("rm /logs/app");
        assert_eq!(poll(&mut tail, &c), [Event::Gone], "{round}");
        for _ in 0..8 {
            assert_eq!(poll(&mut tail, &c), []);
        }
        // With more lines than were asked for at first: all of them are new.
        c.shell("printf '1\\n2\\n3\\n' >/logs/app");
        assert_eq!(poll(&mut tail, &c), [data("1\n2\n3\n")]);
        assert_eq!(poll(&mut tail, &c), []);
    }
    // And the directory with it.
    c.shell("rm -r /logs");
    assert_eq!(poll(&mut tail, &c), [Event::Gone]);
    c.shell("mkdir /logs; echo back >/logs/app");
    assert_eq!(poll(&mut tail, &c), [data("back\n")]);
}

#[test]
fn a_file_that_is_not_there_yet_is_waited_for() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("absent"));
    let mut tail = Tail::new("/logs/app", lines(1));
    assert_eq!(poll(&mut tail, &c), [Event::Gone]);
    assert_eq!(poll(&mut tail, &c), []);
    c.shell("mkdir /logs");
    assert_eq!(poll(&mut tail, &c), []);
    c.shell("printf 'one\\ntwo\\n' >/logs/app");
    assert_eq!(poll(&mut tail, &c), [data("one\ntwo\n")]);
    c.shell("echo three >>/logs/app");
    assert_eq!(poll(&mut tail, &c), [data("three\n")]);
}

#[test]
fn a_new_file_with_the_number_of_the_old_one_is_a_new_file() {
    require!(Need::Root, Need::Overlay);
    // The host's own disk gives numbers again at once; memory does not, but is to do as well.
    let host = Scratch::new();
    let world = World::new("reused").bind(host.path(), "/disk").tmpfs("/memory");
    let c = Inside::start(&world.directory("/layer"));
    for place in ["/disk", "/memory", "/layer"] {
        let path = format!("{place}/app");
        c.shell(&format!("printf 'one\\ntwo\\n' >{path}"));
        let mut tail = Tail::new(&path, TailOptions::default());
        assert_eq!(poll(&mut tail, &c), [data("one\ntwo\n")]);
        for text in ["one\ntwo\nthree\n", "x\n", "one\n", "a much longer line than there was before\n"] {
            let printed = text.replace('\n', "\\n");
            c.shell(&format!("rm {path}; printf '{printed}' >{path}"));
            assert_eq!(poll(&mut tail, &c), [Event::Rotated, data(text)], "{place}");
            c.shell(&format!("rm {path}"));
            assert_eq!(poll(&mut tail, &c), [Event::Gone]);
            c.shell(&format!("printf '{printed}' >{path}"));
            assert_eq!(poll(&mut tail, &c), [data(text)], "{place}");
        }
    }
}

#[test]
fn a_file_of_the_image_that_is_written_for_the_first_time_is_the_same_file() {
    require!(Need::Root, Need::Overlay);
    // In a lower layer; the first write copies it to the upper one.
    let c = Inside::start(&World::new("image"));
    let mut tail = Tail::new("/etc/services", lines(20));
    assert!(bytes(&poll(&mut tail, &c)).len() > 256);
    c.shell("echo appended >>/etc/services");
    assert!(poll(&mut tail, &c) == [data("appended\n")]);
    // So does `sed -i`, which makes a file of its own.
    c.shell("sed -i '$a once more' /etc/services");
    assert!(poll(&mut tail, &c) == [data("once more\n")]);
}
