//! Kernels that lack what is newer than the oldest that is supported: the system call is made to fail with `ENOSYS`
//! by a filter, as an older kernel would, and the command and its helper run behind it.

use std::path::PathBuf;
use std::process::Command;

use portolan_world::need::Need;
use portolan_world::{World, require};

use crate::command::{Ran, binary, helper, run};
use crate::inside::Inside;
use crate::scratch::Scratch;

/// Executes a program for which the system calls of these numbers do not exist.
const WITHOUT: &str = r#"
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>
int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        int number = atoi(argv[i]);
        if (number == 0) { execv(argv[i], argv + i); return 127; }
        struct sock_filter steps[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOSYS),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = {4, steps};
        if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) return 126;
    }
    return 125;
}
"#;

/// The same number on every architecture, as for all newer calls.
const STATMOUNT: &str = "457";
const LANDLOCK: &str = "444";
#[cfg(target_arch = "x86_64")]
const SECCOMP: &str = "317";
#[cfg(not(target_arch = "x86_64"))]
const SECCOMP: &str = "277";

struct Older {
    _scratch: Scratch,
    program: PathBuf,
}

impl Older {
    fn new() -> Self {
        let scratch = Scratch::new();
        scratch.file("without.c", WITHOUT);
        let mut cc = Command::new("cc");
        run(cc.current_dir(scratch.path()).args(["-o", "without", "without.c"]), b"").done();
        Self { program: scratch.join("without"), _scratch: scratch }
    }

    fn portolan(&self, calls: &[&str], arguments: &[&str]) -> Ran {
        let mut command = Command::new(&self.program);
        command.args(calls).arg(binary()).args(arguments).env("PORTOLAN_HELPER", helper());
        run(&mut command, b"")
    }
}

#[test]
fn without_statmount_mounts_are_judged_by_mountinfo() {
    require!(Need::Root, Need::Overlay, Need::Program("cc"), Need::File("/dev/fuse"));
    let older = Older::new();
    let server = "
import ctypes, os, sys, time
fuse = os.open('/hang-device', os.O_RDWR)
options = b'fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other' % fuse
assert ctypes.CDLL(None).mount(b'none', b'/hang', b'fuse', 0, options) == 0
print('mounted', flush=True)
time.sleep(1000)";
    let prepare = "mkdir /hang /other; mknod /hang-device c 10 229; mount -t tmpfs none /other; echo there >/other/file";
    let world =
        World::new("older").prepare(prepare).link("/app/stray", "/proc/1/comm").file("/app/file", "read");
    let c = Inside::start(&world.command(["python3", "-c", server]));
    c.wait_log("mounted");
    let cat = |path: &str| older.portolan(&[STATMOUNT], &["cat", &c.target(), path]);
    assert_eq!(cat("/app/file").text(), "read");
    assert_eq!(cat("/other/file").text(), "there\n");
    assert_eq!(cat("/other/../app/file").text(), "read");
    assert_eq!(cat("/proc/1/comm").text(), "python3\n");
    assert!(cat("/hang/file").failed(1).contains("FUSE"));
    assert!(cat("/app/stray").failed(1).contains("/proc"));
    let list = older.portolan(&[STATMOUNT], &["glob", &c.target(), "/{other,hang,app}/f*"]);
    assert_eq!(String::from_utf8_lossy(&list.stdout), "/app/file\n/other/file\n");
    assert!(list.stderr.contains("1 directories could not be looked into"), "{list:?}");

    // A root that is no mount point, which mountinfo does not show any more once it is the helper's own.
    for world in [World::new("older-chroot").chroot_only(), World::new("older-user").user_namespace()] {
        let c = Inside::start(&world.file("/app/file", "read"));
        let ran = older.portolan(&[STATMOUNT], &["cat", &c.target(), "/app/file"]);
        assert_eq!(ran.text(), "read");
    }
}

#[test]
fn without_landlock_or_seccomp_it_works_and_says_so() {
    require!(Need::Root, Need::Overlay, Need::Program("cc"));
    let older = Older::new();
    let c = Inside::start(&World::new("wall-less").file("/app/file", "read"));
    for (calls, lacks) in [
        (&[LANDLOCK][..], "lacks Landlock"),
        (&[SECCOMP][..], "lacks a seccomp filter"),
        (&[LANDLOCK, SECCOMP][..], "lacks a seccomp filter, Landlock"),
    ] {
        assert_eq!(older.portolan(calls, &["cat", &c.target(), "/app/file"]).text(), "read");
        let doctor = older.portolan(calls, &["doctor"]).text();
        let row = doctor.lines().find(|line| line.starts_with("files: the helper's walls")).unwrap();
        assert!(row.contains("partly") && row.contains(lacks), "{row}");
        // Asked to give up everything or to refuse, it refuses, and reads nothing.
        let mut strict = Command::new(&older.program);
        strict.args(calls).arg(helper()).args(["read", "--pid", &c.pid().to_string(), "--strict"]);
        let ran = run(strict.args(["--", "/app/file"]), b"");
        // The last frame: refused, code 17, while giving up privileges.
        let last = &ran.stdout[ran.stdout.len() - 28..];
        assert_eq!((ran.code, last[4], last[12], last[13]), (Some(1), 9, 17, 4), "{ran:?}");
    }
    let mut strict = Command::new(helper());
    strict.args(["read", "--pid", &c.pid().to_string(), "--strict", "--", "/app/file"]);
    assert_eq!(run(&mut strict, b"").code, Some(0), "this kernel has all of it");
}
