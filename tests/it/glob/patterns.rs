//! What a pattern means: what it means to a shell inside.

use portolan::{ErrorKind, FileKind, GlobOptions};
use portolan_world::need::Need;
use portolan_world::{World, require};

use crate::inside::Inside;
use crate::oracle;
use crate::scratch::Scratch;

/// Configuration as Debian lays it out: files, hidden files, enabled sites as links, some of them dangling.
fn web(name: &str) -> World {
    // Of its own, whatever the host has there.
    World::new(name)
        .tmpfs("/srv")
        .file("/srv/nginx.conf", "include conf.d/*.conf;")
        .file("/srv/conf.d/b.conf", "")
        .file("/srv/conf.d/a.conf", "")
        .file("/srv/conf.d/B.conf", "")
        .file("/srv/conf.d/10.conf", "")
        .file("/srv/conf.d/9.conf", "")
        .file("/srv/conf.d/.hidden.conf", "")
        .file("/srv/conf.d/a.conf.bak", "")
        .file("/srv/conf.d/sub/deep/c.conf", "")
        .directory("/srv/conf.d/d.conf")
        .file("/srv/sites-available/one", "")
        .link("/srv/sites-enabled/one", "../sites-available/one")
        .link("/srv/sites-enabled/absolute", "/srv/sites-available/one")
        .link("/srv/sites-enabled/dangling", "../sites-available/none")
        .link("/srv/linked", "conf.d")
        .link("/srv/linked-absolutely", "/srv/conf.d")
        .file("/srv/.git/config", "")
}

/// Both ways agree with the shell inside, in order too.
#[track_caller]
fn agrees(c: &Inside, pattern: &str) -> usize {
    let mut expected = oracle::expansion(c.pid(), pattern);
    // Braces are several patterns to the shell, one after the other; here the answer is sorted as a whole.
    expected.sort();
    expected.dedup();
    same(c, pattern, &expected);
    expected.len()
}

#[track_caller]
fn same(c: &Inside, pattern: &str, expected: &[Vec<u8>]) {
    let listed = c.list(pattern, &["-0"]).done();
    let listed: Vec<&[u8]> =
        listed.split_inclusive(|byte| *byte == 0).map(|path| &path[..path.len() - 1]).collect();
    assert_eq!(shown(&listed), shown(expected), "{pattern} by the command");
    let matches = c.expand(pattern, &GlobOptions::default()).unwrap();
    assert!(matches.incomplete.is_none() && matches.skipped == 0, "{matches:?}");
    let paths: Vec<&[u8]> = matches.entries.iter().map(|e| e.path.as_os_str().as_encoded_bytes()).collect();
    assert_eq!(shown(&paths), shown(expected), "{pattern} by the library");
}

fn shown(paths: &[impl AsRef<[u8]>]) -> Vec<String> {
    paths.iter().map(|path| path.as_ref().escape_ascii().to_string()).collect()
}

#[test]
fn patterns_mean_what_they_mean_to_a_shell_inside() {
    require!(Need::Root, Need::Overlay, Need::Program("bash"));
    let c = Inside::start(&web("patterns"));
    for (pattern, count) in [
        ("/srv/conf.d/*.conf", 6),
        ("/srv/conf.d/*", 8),
        ("/srv/conf.d/.*.conf", 1),
        ("/srv/conf.d/?.conf", 5),
        ("/srv/conf.d/[ab].conf", 2),
        ("/srv/conf.d/[!ab].conf", 3),
        ("/srv/conf.d/[[:digit:]]*.conf", 2),
        ("/srv/conf.d/[A-Z].conf", 1),
        ("/srv/sites-enabled/*", 3),
        ("/srv/linked/*.conf", 6),
        ("/srv/linked-absolutely/*.conf", 6),
        ("/srv/linked*/[ab].conf", 4),
        ("/srv/*/*.conf", 18),
        ("/srv/*/", 5),
        ("/srv/conf.d/*/", 2),
        ("/srv/*/sub/*/c.conf", 3),
        ("/srv/{conf.d,sites-enabled}/*", 11),
        ("/srv/{conf.d/{a,b},nginx}.con*", 4),
        ("/srv/conf.d/{a,b,a}.conf*", 3),
        ("/*/nginx.conf", 1),
        ("/srv/none/*", 0),
        ("/srv/conf.d/*.none", 0),
        ("/srv/nginx.conf/*", 0),
        ("/etc/*.d/*", 1),
    ] {
        let found = agrees(&c, pattern);
        assert!(found == count || (pattern.starts_with("/etc") && found > 0), "{pattern}: {found}");
    }
}

#[test]
fn two_stars_mean_any_directories_but_hidden_and_linked_ones() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&web("recursive"));
    // The shells differ in what they do with links, so the judge is `find`, which enters none.
    for (directory, name, count) in [
        ("/srv", "*.conf", 8),
        ("/srv/conf.d", "*.conf", 7),
        ("/srv/conf.d", "c.conf", 1),
        ("/srv", "one", 2),
        ("/srv/none", "*", 0),
    ] {
        let find =
            format!("find {directory} -name '.?*' -prune -o -name '{name}' -print0 2>/dev/null || true");
        let found = oracle::nsenter(c.pid(), &["-m", "-r"], &["sh", "-c", &find]);
        let mut expected: Vec<Vec<u8>> =
            found.split(|byte| *byte == 0).filter(|path| !path.is_empty()).map(<[u8]>::to_vec).collect();
        expected.sort();
        assert_eq!(expected.len(), count, "{directory} {name}");
        same(&c, &format!("{directory}/**/{name}"), &expected);
    }
}

#[test]
fn a_pattern_without_wildcards_is_the_path_if_it_is_there() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&web("literal"));
    assert_eq!(c.list("/srv/nginx.conf", &[]).text(), "/srv/nginx.conf\n");
    // A dangling link is there; what it leads to is not.
    assert_eq!(c.list("/srv/sites-enabled/dangling", &[]).text(), "/srv/sites-enabled/dangling\n");
    assert_eq!(c.list("/srv/sites-enabled/dangling/", &[]).text(), "");
    assert_eq!(c.list("/srv/none", &[]).text(), "");
}

#[test]
fn the_kind_of_each_path_is_told_and_links_are_not_followed_for_it() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&web("kinds").prepare("mkfifo /srv/fifo; mknod /srv/null c 1 3"));
    let matches = c.expand("/srv/*", &GlobOptions::default()).unwrap();
    let kind = |path: &str| matches.entries.iter().find(|e| e.path.as_os_str() == path).unwrap().kind;
    assert_eq!(kind("/srv/nginx.conf"), FileKind::Regular);
    assert_eq!(kind("/srv/conf.d"), FileKind::Directory);
    assert_eq!(kind("/srv/linked"), FileKind::Symlink);
    assert_eq!(kind("/srv/fifo"), FileKind::Fifo);
    assert_eq!(kind("/srv/null"), FileKind::CharDevice);
}

#[test]
fn nothing_that_matches_is_no_error() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("nothing"));
    let ran = c.list("/etc/none/*.conf", &[]);
    assert_eq!((ran.code, ran.stdout.as_slice(), ran.stderr.as_str()), (Some(0), &b""[..], ""));
    assert!(c.expand("/etc/none/*.conf", &GlobOptions::default()).unwrap().entries.is_empty());
}

#[test]
fn a_malformed_pattern_is_wrong_usage() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("malformed"));
    let many = format!("/{}", "{a,b}".repeat(7));
    for pattern in
        ["/etc/[", "/etc/[a-", "/etc/[z-a]*", "/etc/{a,b", "/etc/a}", "/etc/\\", "etc/*", "*", &many]
    {
        let kind = c.expand(pattern, &GlobOptions::default()).map(|matches| matches.entries);
        assert_eq!(kind, Err(ErrorKind::InvalidInput), "{pattern}");
        c.list(pattern, &[]).failed(2);
    }
}

#[test]
fn a_linked_directory_leads_inside_and_never_to_the_hosts() {
    require!(Need::Root, Need::Overlay, Need::Program("bash"));
    let host = Scratch::new();
    host.file("host.conf", "");
    let only = Scratch::new();
    only.file("host.conf", "");
    let (both, only) = (host.path().display().to_string(), only.path().display().to_string());
    let c = Inside::start(
        &World::new("linked")
            .file(format!("{both}/inside.conf"), "")
            .link("/app/both", &both)
            .link("/app/only", &only)
            .link("/app/up", format!("../../../..{only}")),
    );
    assert_eq!(c.list("/app/both/*", &[]).text(), "/app/both/inside.conf\n");
    for pattern in
        ["/app/only/*", "/app/up/*", &format!("{only}/*"), &format!("/../..{only}/*"), "/app/only/**/*.conf"]
    {
        assert_eq!(c.list(pattern, &[]).text(), "", "{pattern}");
    }
    agrees(&c, "/app/*/*");
}

#[test]
fn a_chroot_is_expanded_below_its_own_root() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("jail").chroot_only().file("/app/in.conf", ""));
    assert_eq!(c.list("/app/*", &[]).text(), "/app/in.conf\n");
    // Above its root lie the layers that it is made of.
    assert_eq!(c.list("/tmp/upper/app/*", &[]).text(), "");
    assert_eq!(c.list("/../tmp/upper/*", &[]).text(), "");
}

#[test]
fn two_stars_at_the_end_stand_for_a_directory_and_what_is_in_it() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(
        &World::new("stars")
            .file("/app/only/file", "x")
            .link("/app/nowhere", "/nonexistent")
            .link("/app/up", "only"),
    );
    assert_eq!(c.list("/app/only/**", &[]).text(), "/app/only\n/app/only/file\n");
    assert_eq!(c.list("/app/up/**", &[]).text(), "/app/up\n/app/up/file\n");
    for no_directory in ["/app/only/file/**", "/app/nowhere/**", "/app/missing/**"] {
        assert_eq!(c.list(no_directory, &[]).text(), "", "{no_directory}");
    }
}
