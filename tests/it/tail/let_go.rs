//! Between two polls nothing of the container is held.

use std::time::Duration;

use portolan::Tail;
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::command::Following;
use super::{data, held, lines, poll, wait_until};
use crate::inside::Inside;

#[test]
fn after_a_poll_nobody_is_inside_and_nothing_is_open() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("let-go").file("/logs/app", "one\n"));
    let mut tail = Tail::new("/logs/app", lines(1));
    for round in 0..5 {
        poll(&mut tail, &c);
        wait_until("everything is let go", || held(&c).is_empty());
        c.shell(&format!("mv /logs/app /logs/app.{round}; echo {round} >/logs/app"));
    }
}

#[test]
fn what_is_mounted_inside_can_be_unmounted_while_it_is_followed() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("unmount").tmpfs("/logs").file("/other/app", "other\n"));
    c.shell("echo one >/logs/app");
    let mut tail = Tail::new("/logs/app", lines(1));
    assert_eq!(poll(&mut tail, &c), [data("one\n")]);
    let follower = Following::start(&c, "/logs/app", &["--interval-ms", "20"]);
    follower.wait_output("one\n");
    // A look that is under way may hold it for a moment.
    wait_until("it can be unmounted", || c.container.exec(["umount", "/logs"]).unwrap().status.success());
    assert_eq!(poll(&mut tail, &c), [portolan::Event::Gone]);
    follower.wait_notes("is not there");
    c.shell("mount -t tmpfs none /logs; echo two >/logs/app");
    assert_eq!(poll(&mut tail, &c), [data("two\n")]);
    follower.wait_output("one\ntwo\n");
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(follower.output(), "one\ntwo\n");
}
