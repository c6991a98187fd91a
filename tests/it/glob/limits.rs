//! Entry cap, and directories of many names.

use portolan::{ErrorKind, GlobOptions, Limit};
use portolan_world::need::Need;
use portolan_world::{World, require};

use crate::inside::Inside;
use crate::oracle;

const ENTRIES: ErrorKind = ErrorKind::Limit(Limit::Entries);

fn touched(name: &str, count: u32) -> Inside {
    let script = format!("cd /big; seq -f %.0f.conf {count} | xargs touch");
    Inside::start(&World::new(name).tmpfs("/big").prepare(script))
}

#[test]
fn over_the_entry_cap_the_first_are_given_and_the_rest_is_told() {
    require!(Need::Root, Need::Overlay);
    let c = touched("capped", 10);
    let matches = c.expand("/big/*", &GlobOptions::default().max_entries(3)).unwrap();
    assert_eq!(matches.entries.len(), 3);
    assert_eq!(matches.incomplete.map(|error| error.kind()), Some(ENTRIES));

    let ran = c.list("/big/*", &["--max-entries", "3"]);
    assert_eq!((ran.code, ran.stdout.iter().filter(|b| **b == b'\n').count()), (Some(1), 3), "{ran:?}");
    assert!(ran.line().contains("over the entry limit"), "{ran:?}");
    // Exactly as many as there are is not over.
    assert_eq!(c.list("/big/*", &["--max-entries", "10"]).text().lines().count(), 10);
    let none = c.list("/big/*", &["--max-entries", "0"]);
    assert!(none.failed(1).contains("over the entry limit"), "{none:?}");
    assert_eq!(c.list("/big/*.none", &["--max-entries", "0"]).text(), "");
}

#[test]
fn twenty_thousand_names_come_sorted_and_each_once() {
    require!(Need::Root, Need::Overlay, Need::Program("bash"));
    let c = touched("big", 20_000);
    let expected = oracle::expansion(c.pid(), "/big/*.conf");
    assert_eq!(expected.len(), 20_000);
    let listed = c.list("/big/*.conf", &["-0", "--max-entries", "20000"]).done();
    assert_eq!(listed, expected.iter().flat_map(|path| [path, &b"\0"[..]].concat()).collect::<Vec<u8>>());

    let ran = c.list("/big/*.conf", &[]);
    let lines: Vec<&[u8]> = ran.stdout.split_inclusive(|byte| *byte == b'\n').collect();
    assert_eq!((ran.code, lines.len()), (Some(1), 10_000), "the default cap");
    assert!(ran.line().contains("over the entry limit"));
}
