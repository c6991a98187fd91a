//! What takes the path's place and is no file; and a container that ends.

use portolan::{ErrorKind, Event, FileKind, Tail};
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::{bytes, data, fails, lines, poll};
use crate::inside::Inside;

#[test]
fn what_is_no_file_is_an_error_until_there_is_one_again() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("replaced").file("/logs/app", "one\n"));
    let mut tail = Tail::new("/logs/app", lines(1));
    assert_eq!(poll(&mut tail, &c), [data("one\n")]);
    for (number, (make, kind)) in [
        ("mkdir /logs/app", ErrorKind::NotRegular(FileKind::Directory)),
        ("mkfifo /logs/app", ErrorKind::NotRegular(FileKind::Fifo)),
        ("ln -s app /logs/app", ErrorKind::SymlinkLoop),
        ("mknod /logs/app c 1 5", ErrorKind::NotRegular(FileKind::CharDevice)),
        ("ln -s /proc/1/root/etc/passwd /logs/app", ErrorKind::MagicLink),
    ]
    .into_iter()
    .enumerate()
    {
        c.shell(&format!("mv /logs/app /logs/app.{number}; {make}"));
        for _ in 0..3 {
            assert_eq!(fails(&mut tail, &c), Some(kind), "{make}");
        }
        // Meanwhile the old one has grown, and it is found again.
        c.shell(&format!(
            "echo late {number} >>/logs/app.{number}; rm -r /logs/app; echo {number} >/logs/app"
        ));
        let late = data(format!("late {number}\n"));
        assert_eq!(poll(&mut tail, &c), [Event::Rotated, late, data(format!("{number}\n"))], "{make}");
    }
}

#[test]
fn what_was_read_before_an_error_comes_with_the_next_poll() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("kept").file("/logs/app", "one\n"));
    let mut tail = Tail::new("/logs/app", lines(1));
    poll(&mut tail, &c);
    c.shell("mv /logs/app /logs/app.1");
    assert_eq!(poll(&mut tail, &c), [Event::Gone]);
    c.shell("echo late >>/logs/app.1; mkdir /logs/app");
    assert_eq!(fails(&mut tail, &c), Some(ErrorKind::NotRegular(FileKind::Directory)));
    c.shell("echo later >>/logs/app.1");
    assert_eq!(fails(&mut tail, &c), Some(ErrorKind::NotRegular(FileKind::Directory)));
    c.shell("rmdir /logs/app; echo new >/logs/app");
    assert_eq!(bytes(&poll(&mut tail, &c)), b"late\nlater\nnew\n");
}

#[test]
fn a_link_to_another_file_is_a_rotation() {
    require!(Need::Root, Need::Overlay);
    let world = World::new("relinked").file("/logs/1", "one\n").file("/logs/2", "two\n");
    let c = Inside::start(&world.link("/logs/current", "1"));
    let mut tail = Tail::new("/logs/current", lines(1));
    assert_eq!(poll(&mut tail, &c), [data("one\n")]);
    // As multilog and Kubernetes do: the old one lies beside the new one, and may still be written.
    c.shell("echo late >>/logs/1; ln -sfn 2 /logs/current");
    assert_eq!(poll(&mut tail, &c), [Event::Rotated, data("late\n"), data("two\n")]);
    c.shell("echo later >>/logs/1; echo new >>/logs/2");
    assert_eq!(bytes(&poll(&mut tail, &c)), b"later\nnew\n");
}

#[test]
fn a_container_that_ends_is_gone() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("ended").file("/logs/app", "one\n"));
    let mut tail = Tail::new("/logs/app", lines(1));
    assert_eq!(poll(&mut tail, &c), [data("one\n")]);
    c.container.kill();
    for _ in 0..3 {
        assert_eq!(fails(&mut tail, &c), Some(ErrorKind::TargetGone));
    }
}
