//! A test that needs a process for itself: with other limits, capabilities or files of the host than its neighbours.

use std::process::Command;

use crate::command::run;

const ALONE: &str = "PORTOLAN_DIAL_ALONE";

/// Whether this is the process for the test; if not, it is started by `wrapper` and judged, and the caller is done.
#[track_caller]
pub(super) fn is_alone(test: &str, wrapper: &[&str]) -> bool {
    let name = test.split_once("::").unwrap().1;
    if std::env::var(ALONE).is_ok_and(|alone| alone == name) {
        return true;
    }
    // Not by its path: it may have been built anew meanwhile.
    let own = format!("/proc/{}/exe", std::process::id());
    let command = [name, "--exact", "--test-threads=1", "--nocapture"];
    let mut again = match wrapper {
        [] => Command::new(own),
        [program, arguments @ ..] => {
            let mut wrapped = Command::new(program);
            wrapped.args(arguments).arg(own);
            wrapped
        }
    };
    let ran = run(again.args(command).env(ALONE, name), b"");
    let output = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.code == Some(0) && output.contains("1 passed"), "{output}{}", ran.stderr);
    false
}
