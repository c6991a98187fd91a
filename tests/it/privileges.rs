//! What is said, and what goes on working, when a capability is missing.

use std::path::PathBuf;
use std::process::Command;

use portolan_world::need::Need;
use portolan_world::{World, require};
use serde_json::Value;

use crate::command::{Ran, binary, helper, run};
use crate::inside::Inside;
use crate::scratch::Scratch;
use crate::{oracle, servers};

/// The command where everybody can execute it: the build directory may lie where only root can.
pub(crate) struct Copies(Scratch);

impl Copies {
    pub(crate) fn new() -> Self {
        let scratch = Scratch::new();
        scratch.program(&binary(), "portolan");
        scratch.program(&helper(), "portolan-helper");
        Self(scratch)
    }

    /// Where the command is.
    pub(crate) fn path(&self) -> PathBuf {
        self.0.join("portolan")
    }

    /// As root, without these capabilities.
    fn without(&self, capabilities: &str, arguments: &[&str]) -> Ran {
        let mut capsh = Command::new("capsh");
        capsh.args([&format!("--drop={capabilities}"), "--", "-c", "exec \"$0\" \"$@\""]);
        run(capsh.arg(self.0.join("portolan")).args(arguments).env_remove("PORTOLAN_HELPER"), b"")
    }

    /// As a user without any.
    pub(crate) fn as_nobody(&self, arguments: &[&str]) -> Ran {
        self.as_nobody_with(&[], arguments)
    }

    /// As a user with these only, as a service manager gives them.
    pub(crate) fn as_nobody_with(&self, capabilities: &[&str], arguments: &[&str]) -> Ran {
        let mut setpriv = Command::new("setpriv");
        setpriv.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        if !capabilities.is_empty() {
            let list = capabilities.iter().map(|name| format!("+{name}")).collect::<Vec<_>>().join(",");
            setpriv.args([format!("--inh-caps={list}"), format!("--ambient-caps={list}")]);
        }
        run(setpriv.arg(self.0.join("portolan")).args(arguments).env_remove("PORTOLAN_HELPER"), b"")
    }
}

fn container(name: &str) -> Inside {
    let world =
        World::new(name).file_mode("/etc/private", "private", 0o600).prepare("chown 1234 /etc/private");
    let c = Inside::start(&servers::banner(world, "hello", &[("127.0.0.1", 7700)]));
    c.wait_log("listening");
    c
}

/// Every command that needs the capability names it, and what it is for, in one line, and exits with 3.
#[track_caller]
fn missing(ran: &Ran, capability: &str) {
    let line = ran.failed(3);
    assert!(line.contains(&format!("missing {capability} (needed")), "{line}");
    assert_eq!(line.matches("CAP_").count(), line.matches(capability).count(), "only that one: {line}");
}

#[test]
fn without_sys_ptrace_no_other_process_is_looked_at() {
    require!(Need::Root, Need::Overlay, Need::Program("capsh"));
    let (c, copies) = (container("no-ptrace"), Copies::new());
    for arguments in [
        ["cat", &c.target(), "/etc/hostname"],
        ["glob", &c.target(), "/etc/*"],
        ["dial", &c.target(), "7700"],
    ] {
        missing(&copies.without("cap_sys_ptrace", &arguments), "CAP_SYS_PTRACE");
    }
    missing(&copies.without("cap_sys_ptrace", &["explain", &c.target()]), "CAP_SYS_PTRACE");
    let direct = [
        "--drop=cap_sys_ptrace",
        "--",
        "-c",
        "exec \"$0\" read --pid \"$1\" -- /etc/hostname",
        helper().to_str().unwrap(),
        &c.pid().to_string(),
    ]
    .map(str::to_owned);
    let ran = run(Command::new("capsh").args(direct), b"");
    let error = &ran.stdout[ran.stdout.len() - 16..];
    // A capability is missing, found at the target: number 19.
    assert_eq!((ran.code, error[0], error[1], error[8]), (Some(3), 3, 2, 19));
}

#[test]
fn without_sys_admin_nothing_is_entered() {
    require!(Need::Root, Need::Overlay, Need::Program("capsh"));
    let (c, copies) = (container("no-admin"), Copies::new());
    for arguments in [
        ["cat", &c.target(), "/etc/hostname"],
        ["glob", &c.target(), "/etc/*"],
        ["dial", &c.target(), "7700"],
    ] {
        missing(&copies.without("cap_sys_admin", &arguments), "CAP_SYS_ADMIN");
    }
    // Processes are seen all the same.
    let text = copies.without("cap_sys_admin", &["explain", &c.target()]).text();
    assert!(text.contains(&c.pid().to_string()), "{text}");
}

#[test]
fn without_sys_chroot_files_are_not_reached_and_ports_are() {
    require!(Need::Root, Need::Overlay, Need::Program("capsh"));
    let (c, copies) = (container("no-chroot"), Copies::new());
    for arguments in [["cat", &c.target(), "/etc/hostname"], ["glob", &c.target(), "/etc/*"]] {
        missing(&copies.without("cap_sys_chroot", &arguments), "CAP_SYS_CHROOT");
    }
    assert_eq!(copies.without("cap_sys_chroot", &["dial", &c.target(), "7700"]).text(), "hello");
}

#[test]
fn without_dac_read_search_only_protected_files_are_not_read() {
    require!(Need::Root, Need::Overlay, Need::Program("capsh"));
    let (c, copies) = (container("no-dac"), Copies::new());
    let without = "cap_dac_read_search";
    let public = copies.without(without, &["cat", &c.target(), "/etc/hostname"]).text();
    assert_eq!(public.trim_end(), c.shell("cat /etc/hostname"));
    missing(&copies.without(without, &["cat", &c.target(), "/etc/private"]), "CAP_DAC_READ_SEARCH");
    assert_eq!(copies.without(without, &["dial", &c.target(), "7700"]).text(), "hello");
}

#[test]
fn the_four_capabilities_that_are_asked_for_are_enough_for_everything() {
    require!(Need::Root, Need::Overlay, Need::Program("setpriv"));
    let (c, copies) = (container("just-enough"), Copies::new());
    let four = ["sys_ptrace", "sys_admin", "sys_chroot", "dac_read_search"];
    let with = |arguments: &[&str]| copies.as_nobody_with(&four, arguments);
    assert_eq!(with(&["cat", &c.target(), "/etc/private"]).text(), "private");
    assert_eq!(with(&["glob", &c.target(), "/etc/privat*"]).text(), "/etc/private\n");
    for source in ["auto", "syscalls"] {
        let chart = with(&["scan", "--json", "--source", source]).done();
        let chart: Value = serde_json::from_slice(&chart).unwrap();
        let all = chart["containers"].as_array().unwrap();
        let found = all.iter().find(|found| found["init"]["pid"] == c.pid());
        assert_eq!(found.unwrap()["hostname"], "just-enough");
        let netns = oracle::namespace(c.pid(), "net");
        let listener = chart["listeners"].as_array().unwrap().iter().find(|l| l["netns"] == netns);
        let listener = listener.unwrap_or_else(|| panic!("no listener: {}", chart["faults"]));
        assert_eq!(listener["pid"], c.pid());
    }
    assert_eq!(with(&["dial", &c.target(), "7700"]).text(), "hello");
    let doctor = with(&["doctor"]);
    assert_eq!(doctor.code, Some(0), "{}", String::from_utf8_lossy(&doctor.stdout));
}

#[test]
fn nobody_is_told_what_is_missing_and_gets_a_chart_with_faults() {
    require!(Need::Root, Need::Overlay, Need::Program("setpriv"));
    let (c, copies) = (container("nobody"), Copies::new());
    let own = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    for arguments in [
        ["cat", &c.target(), "/etc/hostname"],
        ["glob", &c.target(), "/etc/*"],
        ["dial", &c.target(), "7700"],
    ] {
        missing(&copies.as_nobody(&arguments), "CAP_SYS_PTRACE");
    }

    let ran = copies.as_nobody(&["scan"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let port = format!("127.0.0.1:{}", own.local_addr().unwrap().port());
    assert!(String::from_utf8(ran.stdout).unwrap().contains(&port), "the host's listeners are there");
    let faults: Vec<&str> = ran.stderr.lines().collect();
    assert!(!faults.is_empty() && faults.iter().all(|line| line.starts_with("portolan: ")), "{faults:?}");
    let told = |line: &&str| line.contains(" more: missing CAP_SYS_PTRACE");
    assert!(faults.iter().any(told), "the same trouble of many is one line with a count: {faults:?}");

    let chart: Value = serde_json::from_slice(&copies.as_nobody(&["scan", "--json"]).done()).unwrap();
    let faults = chart["faults"].as_array().unwrap();
    assert!(faults.iter().any(|fault| fault["count"].as_u64() > Some(1)), "{faults:?}");
    assert!(chart["containers"].as_array().unwrap().iter().all(|found| found["init"]["pid"] != c.pid()));
}

#[test]
fn the_doctor_names_what_is_missing_and_for_what() {
    require!(Need::Root, Need::Program("capsh"), Need::Program("setpriv"));
    let copies = Copies::new();
    let rows = |ran: Ran| {
        assert_eq!(ran.stderr, "");
        let text = String::from_utf8(ran.stdout).unwrap();
        (ran.code, text.lines().map(str::to_owned).collect::<Vec<_>>())
    };
    let named = |rows: &[String], feature: &str, state: &str, capability: &str| {
        let row = rows.iter().find(|row| row.starts_with(feature)).unwrap_or_else(|| panic!("{rows:?}"));
        assert!(row.contains(state) && row.contains(capability), "{row}");
    };
    let (code, all) = rows(copies.without("cap_sys_nice", &["doctor"]));
    assert_eq!(code, Some(0), "nothing that is needed is missing: {all:?}");

    for (capability, feature, state) in [
        ("CAP_SYS_PTRACE", "scan: processes of all users", "partly"),
        ("CAP_SYS_ADMIN", "dial: connect inside containers", "missing"),
        ("CAP_SYS_CHROOT", "files: enter containers", "missing"),
        ("CAP_DAC_READ_SEARCH", "files: protected files", "partly"),
        ("CAP_NET_ADMIN", "scan: namespaces held by sockets alone", "partly"),
        ("CAP_NET_ADMIN", "scan: namespaces held by sockets (pidfd_getfd)", "missing"),
        ("CAP_SYS_ADMIN", "scan: entering network namespaces (setns)", "partly"),
    ] {
        let (code, rows) = rows(copies.without(&capability.to_lowercase(), &["doctor"]));
        named(&rows, feature, state, capability);
        assert_eq!(code, Some(0), "telling it is what was asked for: {capability}: {rows:?}");
    }
    let (code, rows) = rows(copies.as_nobody(&["doctor"]));
    assert_eq!(code, Some(0));
    named(&rows, "files: enter containers", "missing", "CAP_SYS_PTRACE, CAP_SYS_ADMIN, CAP_SYS_CHROOT");
    named(&rows, "files: the helper", "works", "");
}
