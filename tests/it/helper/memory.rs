//! A host that refuses to execute memory: reading works from the helper's file, joining pid namespaces does not.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use portolan_world::need::Need;
use portolan_world::require;

use crate::command::{Ran, binary, helper, run};

/// The setting belongs to a pid namespace, so this is one of its own, with a container in it.
struct Strict {
    unshare: Child,
    /// Process 1 of the strict namespace, as the host sees it.
    first: i32,
    /// The container's first process, as the strict namespace sees it.
    inner: String,
}

const SCRIPT: &str = "
    echo 2 >/proc/sys/vm/memfd_noexec
    unshare -m -n -p --fork --kill-child --mount-proc sleep 1000 </dev/null &
    children=/proc/$!/task/$!/children
    until inner=$(cat $children 2>/dev/null) && [ \"$(cat /proc/${inner% }/comm 2>/dev/null)\" = sleep ]; do :; done
    echo $inner
    wait";

impl Strict {
    fn start() -> Self {
        let mut unshare = Command::new("unshare");
        unshare.args(["-m", "-p", "--fork", "--kill-child", "--mount-proc", "sh", "-e", "-c", SCRIPT]);
        let mut unshare = unshare.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut inner = String::new();
        BufReader::new(unshare.stdout.as_mut().unwrap()).read_line(&mut inner).unwrap();
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", unshare.id())).unwrap();
        let first = children.trim().parse().unwrap();
        Self { unshare, first, inner: inner.trim().to_owned() }
    }

    fn portolan(&self, arguments: &[&str]) -> Ran {
        let mut nsenter = Command::new("nsenter");
        nsenter.args(["-t", &self.first.to_string(), "-m", "-p", "--"]).arg(binary()).args(arguments);
        run(nsenter.env("PORTOLAN_HELPER", helper()), b"")
    }
}

impl Drop for Strict {
    fn drop(&mut self) {
        let _ = self.unshare.kill();
        let _ = self.unshare.wait();
    }
}

#[test]
fn where_memory_is_not_executed_files_are_read_and_pid_namespaces_not_joined() {
    require!(Need::Root, Need::File("/proc/sys/vm/memfd_noexec"));
    let strict = Strict::start();
    let target = format!("pid:{}", strict.inner);
    assert_eq!(strict.portolan(&["cat", &target, "/proc/1/comm"]).text(), "sleep\n");
    assert_eq!(strict.portolan(&["glob", &target, "/etc/hostnam*"]).text(), "/etc/hostname\n");

    let ran = strict.portolan(&["cat", &target, "/proc/self/comm", "--pid-namespace"]);
    assert!(ran.failed(1).contains("executing from memory is refused"), "{ran:?}");

    let doctor = String::from_utf8(strict.portolan(&["doctor"]).stdout).unwrap();
    let row = doctor.lines().find(|line| line.starts_with("files: the helper")).unwrap();
    assert!(row.contains("partly") && row.contains("memfd_noexec"), "{row}");
}
