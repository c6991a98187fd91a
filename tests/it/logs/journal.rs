//! Containers whose output goes into the journal, on a host that has one.

use portolan_world::need::Need;
use portolan_world::require;

use super::read::{Line, of};
use crate::command::Ran;
use crate::runtimes::rootfs::SH;
use crate::runtimes::systemd::docker::{IMAGE, docker, start};
use crate::runtimes::systemd::machine::{INSIDE, Machine};
use crate::runtimes::systemd::podman::{PODMAN, configure};
use crate::runtimes::tool::{attempt, detach};

const SCRIPT: &str = "echo out; echo err >&2; busybox head -c 40000 /dev/zero | busybox tr '\\0' b; echo; \
    printf 'a\\001\\033[31m\\n'; echo last; sleep 100000";

/// The lines of a target, once the last one is in the journal.
#[track_caller]
fn logged(machine: &mut Machine, target: &str, options: &[&str]) -> Vec<Line> {
    let arguments = [&["logs", target, "--json", "-n", "all"], options].concat();
    let mut command = machine.view().command(arguments);
    let output = machine.wait_for("last line in the journal", || {
        let output = attempt(&mut command)?;
        String::from_utf8_lossy(&output.stdout).contains("\"line\":\"last\"").then_some(output)
    });
    of(&Ran {
        code: output.status.code(),
        stdout: output.stdout,
        stderr: String::from_utf8(output.stderr).unwrap(),
        took: std::time::Duration::ZERO,
    })
}

#[track_caller]
fn check(all: &[Line]) {
    let of = |stream: &str| -> Vec<&str> {
        all.iter().filter(|line| line.stream == stream).map(|line| line.text.as_str()).collect()
    };
    let long = "b".repeat(40_000);
    assert_eq!(of("stdout"), ["out", &long, "a\u{1}\u{1b}[31m", "last"]);
    assert_eq!(of("stderr"), ["err"]);
    assert!(all.iter().all(|line| line.time.as_ref().is_some_and(|time| time.ends_with('Z'))));
}

#[test]
fn what_is_in_the_journal() {
    require!(
        Need::Root,
        Need::CgroupV2,
        Need::Program("systemd-nspawn"),
        Need::Program("journalctl"),
        Need::Program("logger"),
        Need::Program("dockerd"),
        Need::File("/usr/bin/docker"),
        Need::Podman,
        Need::Program("runc"),
        Need::Program("busybox")
    );
    let _turn = crate::runtimes::turn();
    let mut machine = Machine::start();
    start(&mut machine);
    let name = crate::runtimes::name("journald");
    let run = [
        "run",
        "--detach",
        "--network",
        "none",
        "--log-driver",
        "journald",
        "--name",
        &name,
        IMAGE,
        SH,
        "-c",
        SCRIPT,
    ];
    machine.told(&docker(&run));
    check(&logged(&mut machine, &name, &[]));
    // What anybody can write with the container's id is not the container's.
    let id = machine.told(&docker(&["inspect", "--format", "{{.Id}}", &name]));
    let forged =
        format!("printf 'MESSAGE=forged\\nPRIORITY=6\\nCONTAINER_ID_FULL={id}\\n' | logger --journald");
    machine.told(&["sh", "-c", &forged]);
    let by_id = ["journalctl", "--quiet", "--output=cat", &format!("CONTAINER_ID_FULL={id}")];
    let mut all = machine.command(&by_id);
    machine.wait_for("forged entry", || {
        String::from_utf8_lossy(&attempt(&mut all)?.stdout).contains("forged").then_some(())
    });
    check(&logged(&mut machine, &name, &[]));
    let places = machine.view().portolan(["logs", &name, "--where"]).text();
    assert!(places.starts_with("output: the journal, CONTAINER_ID_FULL="), "{places}");

    configure(&machine);
    let name = crate::runtimes::name("podman-journald");
    let root = format!("{INSIDE}/rootfs");
    let mut words = PODMAN.to_vec();
    words.extend(["run", "--detach", "--log-driver", "journald", "--network", "none", "--name", &name]);
    words.extend(["--rootfs", &root, SH, "-c", SCRIPT]);
    detach(&mut machine.command(&words));
    check(&logged(&mut machine, &name, &[]));

    // A machine's console is copied to its monitor's output, which is the journal for a unit.
    let name = "logged";
    let words = ["systemd-run", "--quiet", "--unit=logged", "systemd-nspawn", "--quiet", "--private-network"];
    let words =
        [&words[..], &["--register=no", "--keep-unit", "--resolv-conf=off", "--volatile=overlay"]].concat();
    let script = "echo one; echo two >&2; echo last; sleep 100000";
    machine.told(&[&words[..], &["--directory", &root, "--machine", name, SH, "-c", script]].concat());
    let all = logged(&mut machine, name, &[]);
    let lines: Vec<&str> = all.iter().map(|line| line.text.as_str()).collect();
    assert!(lines.ends_with(&["one", "two", "last"]), "{lines:?}");
}
