//! Rotation by rename: nothing is lost, and nothing comes twice.

use std::thread;
use std::time::Duration;

use portolan::{Event, Tail, TailOptions};
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::{bytes, data, lines, poll};
use crate::inside::Inside;

#[test]
fn a_renamed_file_is_read_to_its_end_before_the_new_one() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("renamed").file("/logs/app", "one\n"));
    let mut tail = Tail::new("/logs/app", lines(1));
    assert_eq!(poll(&mut tail, &c), [data("one\n")]);
    // logrotate's `create`: the writer learns of it late.
    c.shell("cd /logs; echo two >>app; mv app app.1; : >app; echo three >>app.1");
    assert_eq!(poll(&mut tail, &c), [Event::Rotated, data("two\nthree\n")]);
    c.shell("cd /logs; echo four >>app.1; echo five >>app");
    assert_eq!(poll(&mut tail, &c), [data("four\n"), data("five\n")]);
    // Once more, while the old one is still looked after.
    c.shell("cd /logs; mv app.1 app.2; mv app app.1; echo six >>app.1; echo seven >app");
    assert_eq!(poll(&mut tail, &c), [Event::Rotated, data("six\n"), data("seven\n")]);
}

#[test]
fn a_new_file_may_come_later() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("nocreate").file("/logs/app", "one\n"));
    let mut tail = Tail::new("/logs/app", lines(1));
    poll(&mut tail, &c);
    c.shell("cd /logs; mv app app.1; echo two >>app.1");
    assert_eq!(poll(&mut tail, &c), [data("two\n"), Event::Gone]);
    for number in 0..10 {
        c.shell(&format!("echo {number} >>/logs/app.1"));
        assert_eq!(poll(&mut tail, &c), [data(format!("{number}\n"))]);
    }
    c.shell("cd /logs; echo last >>app.1; echo first >app");
    assert_eq!(poll(&mut tail, &c), [data("last\n"), data("first\n")]);
}

#[test]
fn a_file_that_is_renamed_and_comes_back_is_not_read_twice() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("there-and-back").file("/logs/app", "one\n"));
    let mut tail = Tail::new("/logs/app", lines(1));
    poll(&mut tail, &c);
    c.shell("cd /logs; mv app away; echo two >>away");
    assert_eq!(poll(&mut tail, &c), [data("two\n"), Event::Gone]);
    c.shell("cd /logs; echo three >>away; mv away app");
    assert_eq!(bytes(&poll(&mut tail, &c)), b"three\n");
    c.shell("cd /logs; echo four >>app");
    assert_eq!(poll(&mut tail, &c), [data("four\n")]);
}

#[test]
fn a_file_that_went_to_another_directory_is_let_go() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("elsewhere").file("/logs/app", "one\n").directory("/old"));
    let mut tail = Tail::new("/logs/app", lines(1));
    poll(&mut tail, &c);
    c.shell("mv /logs/app /old/app; echo lost >>/old/app; echo new >/logs/app");
    assert_eq!(poll(&mut tail, &c), [Event::Rotated, data("new\n")]);
}

/// Numbers its lines; writes to what it has open until it is told of another file (USR1), and ends its lines (USR2).
const WRITER: &str = r#"
    mkdir /logs
    exec >>/logs/app
    trap 'exec >>/logs/app; echo >/logs/told' USR1
    trap 'stop=1' USR2
    n=0
    until [ $stop ]; do
        n=$((n + 1))
        echo "line $n"
        [ $((n % 20)) -ne 0 ] || sleep 0.01
    done
    echo $n >/logs/count.new; mv /logs/count.new /logs/count
    while :; do sleep 1; done"#;

#[test]
fn a_writer_that_goes_on_through_rotations_is_heard_whole() {
    require!(Need::Root, Need::Overlay);
    for create in [true, false] {
        let c = Inside::start(&World::new("busy-log").command(["sh", "-c", WRITER]));
        c.container.wait_file("/logs/app", crate::inside::SOON).unwrap();
        let mut options = TailOptions::default();
        options.lines = u64::MAX;
        let mut tail = Tail::new("/logs/app", options);
        let mut heard = Vec::new();
        let mut rotations = 0;
        let mut look = |count: u32| {
            for _ in 0..count {
                let events = poll(&mut tail, &c);
                rotations +=
                    events.iter().filter(|event| matches!(event, Event::Rotated | Event::Gone)).count();
                assert!(!events.contains(&Event::Truncated), "{events:?}");
                heard.extend(bytes(&events));
                thread::sleep(Duration::from_millis(3));
            }
        };
        for number in 0..5 {
            look(4);
            let make = if create { "; : >app" } else { "" };
            c.shell(&format!("cd /logs; rm -f told; mv app app.{number}{make}"));
            // For a while the writer does not know.
            look(6);
            c.shell("kill -USR1 1");
            c.container.wait_file("/logs/told", crate::inside::SOON).unwrap();
        }
        look(2);
        c.shell("kill -USR2 1");
        c.container.wait_file("/logs/count", crate::inside::SOON).unwrap();
        look(3);
        let count: usize = c.shell("cat /logs/count").parse().unwrap();
        let text = String::from_utf8(heard).unwrap();
        let mut numbers: Vec<usize> =
            text.lines().map(|line| line.strip_prefix("line ").unwrap().parse().unwrap()).collect();
        assert_eq!(rotations, 5, "or this test shows nothing");
        numbers.sort_unstable();
        let lost: Vec<usize> = (1..=count).filter(|n| numbers.binary_search(n).is_err()).collect();
        assert_eq!(lost, [0; 0], "lost, of {count}");
        assert_eq!(numbers.len(), count, "some came twice");
    }
}

#[test]
fn a_large_rest_of_a_renamed_file_comes_over_several_polls() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("large-rest").file("/logs/app", "one\n"));
    let mut options = lines(1);
    options.max_bytes = 100_000;
    let mut tail = Tail::new("/logs/app", options);
    poll(&mut tail, &c);
    c.shell("cd /logs; seq 1 100000 >>app; mv app app.1; seq 200000 220000 >app");
    let events: Vec<Event> = (0..12).flat_map(|_| poll(&mut tail, &c)).collect();
    assert_eq!(events.iter().filter(|event| **event == Event::Rotated).count(), 1);
    let whole = c.container.exec(["sh", "-c", "tail -c +5 /logs/app.1; cat /logs/app"]).unwrap().stdout;
    let all = bytes(&events);
    assert!(all == whole, "{} of {}", all.len(), whole.len());
}
