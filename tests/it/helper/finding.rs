//! A helper that is not there, or that somebody else could have changed.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::Path;

use portolan::{ErrorKind, Feature, Files};
use portolan_world::need::Need;
use portolan_world::{World, require};

use crate::command::{Ran, binary, command, helper, run};
use crate::inside::Inside;
use crate::scratch::Scratch;
use crate::servers;

fn with(helper: &Path, arguments: &[&str]) -> Ran {
    run(command(arguments).env("PORTOLAN_HELPER", helper), b"")
}

#[test]
fn without_a_helper_files_are_refused_with_advice_and_all_else_works() {
    require!(Need::Root, Need::Overlay);
    let world = servers::banner(World::new("no-helper"), "hello", &[("127.0.0.1", 7600)]);
    let c = Inside::start(&world);
    c.wait_log("listening");
    let none = Path::new("/nonexistent/portolan-helper");
    for arguments in [["cat", &c.target(), "/etc/hostname"], ["glob", &c.target(), "/etc/*"]] {
        let ran = with(none, &arguments);
        let line = ran.failed(1);
        for part in ["/nonexistent/portolan-helper", "make helper", "PORTOLAN_HELPER"] {
            assert!(line.contains(part), "{part} is missing: {line}");
        }
    }
    let kind = Files::with_helper(none).map(drop).map_err(|error| error.kind());
    assert_eq!(kind, Err(ErrorKind::Unsupported(Feature::Helper)));

    let chart = with(none, &["scan"]);
    assert_eq!(chart.code, Some(0));
    assert!(String::from_utf8(chart.stdout).unwrap().contains("no-helper"));
    assert_eq!(with(none, &["dial", &c.target(), "7600"]).text(), "hello");
    assert_eq!(with(none, &["explain", &c.target()]).code, Some(0));
    let doctor = with(none, &["doctor"]);
    let text = String::from_utf8(doctor.stdout).unwrap();
    assert_eq!((doctor.code, doctor.stderr.as_str()), (Some(0), ""));
    let row = text.lines().find(|line| line.starts_with("files: the helper")).unwrap();
    assert!(row.contains("missing") && row.contains("/nonexistent"), "{row}");
}

#[test]
fn the_helper_beside_the_command_is_found() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("beside"));
    let scratch = Scratch::new();
    let portolan = scratch.program(&binary(), "portolan");
    let read = |scratch: &Scratch| {
        let mut cat = std::process::Command::new(scratch.join("portolan"));
        run(cat.args(["cat", &c.target(), "/proc/1/comm"]).env_remove("PORTOLAN_HELPER"), b"")
    };
    let line = read(&scratch).failed(1).to_owned();
    assert!(line.contains(&portolan.with_file_name("portolan-helper").display().to_string()), "{line}");
    scratch.program(&helper(), "portolan-helper");
    assert_eq!(read(&scratch).text(), "sleep\n");
}

#[test]
fn a_helper_that_others_could_have_changed_is_not_started() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("untrusted"));
    let scratch = Scratch::new();
    let copy = scratch.program(&helper(), "portolan-helper");
    let refused = || {
        let kind = Files::with_helper(&copy).map(drop).map_err(|error| error.kind());
        assert_eq!(kind, Err(ErrorKind::PermissionDenied));
        let ran = with(&copy, &["cat", &c.target(), "/proc/1/comm"]);
        let line = ran.failed(1);
        assert!(line.contains(&copy.display().to_string()), "{line}");
    };
    for mode in [0o757, 0o775, 0o777] {
        fs::set_permissions(&copy, Permissions::from_mode(mode)).unwrap();
        refused();
    }
    fs::set_permissions(&copy, Permissions::from_mode(0o755)).unwrap();
    assert_eq!(with(&copy, &["cat", &c.target(), "/proc/1/comm"]).text(), "sleep\n");
    chown(&copy, Some(65534), None).unwrap();
    refused();
}

#[test]
fn a_helper_that_is_no_program_is_told() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("no-program"));
    let scratch = Scratch::new();
    let empty = scratch.file("empty", "");
    fs::set_permissions(&empty, Permissions::from_mode(0o755)).unwrap();
    for path in [empty.as_path(), Path::new("/etc/passwd"), scratch.path(), Path::new("/dev/null")] {
        let ran = with(path, &["cat", &c.target(), "/proc/1/comm"]);
        assert!(!ran.failed(1).is_empty(), "{}: {ran:?}", path.display());
    }
}
