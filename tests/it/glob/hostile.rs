//! Trees that were made to keep whoever walks them busy for ever.

use std::time::{Duration, Instant};

use portolan::{ErrorKind, GlobOptions, Limit};
use portolan_world::need::Need;
use portolan_world::{World, require};

use crate::inside::Inside;

/// The default deadline is two seconds.
const ENDED: Duration = Duration::from_millis(2400);

#[test]
fn directories_that_link_to_each_other_are_walked_once() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(
        &World::new("cycle")
            .file("/app/a/x.conf", "")
            .link("/app/a/up", "..")
            .link("/app/a/self", ".")
            .link("/app/b", "a")
            .link("/app/loop", "loop")
            .link("/app/root", "/"),
    );
    let start = Instant::now();
    assert_eq!(c.list("/app/**/*.conf", &[]).text(), "/app/a/x.conf\n");
    assert!(start.elapsed() < ENDED);
    // By its name a linked directory is entered, however often it is named.
    assert_eq!(c.list("/app/a/up/a/up/a/*.conf", &[]).text(), "/app/a/up/a/up/a/x.conf\n");
}

#[test]
fn directories_nested_too_deep_are_told_as_a_limit() {
    require!(Need::Root, Need::Overlay);
    let script = "cd /deep; i=0; while [ $i -lt 200 ]; do : >f.conf; mkdir d; cd d; i=$((i+1)); done";
    let c = Inside::start(&World::new("deep").tmpfs("/deep").prepare(script));
    let matches = c.expand("/deep/**/*.conf", &GlobOptions::default()).unwrap();
    assert_eq!(matches.incomplete.map(|error| error.kind()), Some(ErrorKind::Limit(Limit::Depth)));
    assert!(!matches.entries.is_empty(), "what was found on the way is kept");

    let ran = c.list("/deep/**/*.conf", &[]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.line().contains("over the depth limit"), "{ran:?}");
    assert!(String::from_utf8(ran.stdout).unwrap().starts_with("/deep/d/"), "what was found is printed");
}

#[test]
fn a_tree_too_large_for_the_deadline_gives_what_was_found_in_time() {
    require!(Need::Root, Need::Overlay);
    // Every combination of eight directories is walked anew: more than can be looked at in any time.
    let script = "cd /wide; for a in 1 2 3 4 5 6 7 8; do mkdir $a; ln -s .. $a/up; : >$a/f; done";
    let c = Inside::start(&World::new("wide").tmpfs("/wide").prepare(script));
    let pattern = format!("/wide/{}*/none", "*/up/".repeat(12));
    let start = Instant::now();
    let timeout = Duration::from_millis(300);
    let matches = c.expand(&pattern, &GlobOptions::default().timeout(timeout));
    let took = start.elapsed();
    let kind = match matches {
        Ok(matches) => matches.incomplete.map(|error| error.kind()),
        Err(kind) => Some(kind),
    };
    assert_eq!(kind, Some(ErrorKind::Timeout));
    assert!(took < timeout + Duration::from_millis(250), "{took:?}");
    let ran = c.list(&pattern, &["--timeout-ms", "300"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.line().contains("deadline"), "{ran:?}");
}

#[test]
fn a_pattern_of_many_stars_does_not_explode() {
    require!(Need::Root, Need::Overlay);
    let name = "a".repeat(250);
    let c = Inside::start(&World::new("stars").file(format!("/app/{name}"), ""));
    let start = Instant::now();
    let pattern = format!("/app/{}b", "a*".repeat(100));
    assert_eq!(c.list(&pattern, &[]).text(), "");
    assert!(start.elapsed() < ENDED, "{:?}", start.elapsed());
}
