//! Names with any bytes: escaped for people, raw with `-0`.

use portolan_world::need::Need;
use portolan_world::{World, require};

use crate::inside::Inside;
use crate::oracle;

const SCRIPT: &str = r#"
    cd /odd
    : >"$(printf 'a\nb.conf')"
    : >"$(printf 'c\033[2J.conf')"
    : >"$(printf 'd\377\200.conf')"
    : >./-rf.conf
    : >'*.conf'
    : >'e f.conf'
    : >'g\h.conf'
    : >"$(printf 'i\302\205j.conf')"
    : >"$(printf '\342\200\256k.conf')"
    : >'ünïcode.conf'"#;

#[test]
fn people_see_names_escaped_one_a_line() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("escaped").directory("/odd").prepare(SCRIPT));
    let listed = c.list("/odd/*.conf", &[]).text();
    let expected = [
        "/odd/*.conf",
        "/odd/-rf.conf",
        r"/odd/a\x0ab.conf",
        r"/odd/c\x1b[2J.conf",
        r"/odd/d\xff\x80.conf",
        "/odd/e f.conf",
        r"/odd/g\x5ch.conf",
        // A C1 control character, and one that turns the line's direction around.
        r"/odd/i\xc2\x85j.conf",
        "/odd/ünïcode.conf",
        r"/odd/\xe2\x80\xaek.conf",
    ];
    assert_eq!(listed.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn programs_get_names_raw_and_ended_by_nul() {
    require!(Need::Root, Need::Overlay, Need::Program("bash"));
    let c = Inside::start(&World::new("raw").directory("/odd").prepare(SCRIPT));
    let listed = c.list("/odd/*.conf", &["-0"]).done();
    assert_eq!(listed.last(), Some(&0));
    let listed: Vec<&[u8]> = listed[..listed.len() - 1].split(|byte| *byte == 0).collect();
    assert_eq!(listed, oracle::expansion(c.pid(), "/odd/*.conf"));
    assert!(listed.contains(&&b"/odd/a\nb.conf"[..]) && listed.contains(&&b"/odd/d\xff\x80.conf"[..]));
}

#[test]
fn what_was_listed_raw_can_be_read() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("round").directory("/odd").prepare(SCRIPT));
    let matches = c.expand("/odd/*", &portolan::GlobOptions::default()).unwrap();
    assert_eq!(matches.entries.len(), 10);
    for entry in matches.entries {
        c.gives(&entry.path, b"");
    }
}

#[test]
fn a_backslash_makes_a_wildcard_mean_itself() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("quoted").directory("/odd").prepare(SCRIPT));
    assert_eq!(c.list(r"/odd/\*.conf", &[]).text(), "/odd/*.conf\n");
    assert_eq!(c.list("/odd/[*].conf", &[]).text(), "/odd/*.conf\n");
    assert_eq!(c.list(r"/odd/g\\h.*", &["-0"]).done(), b"/odd/g\\h.conf\0");
}
