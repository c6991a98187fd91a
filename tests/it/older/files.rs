//! Reading files on kernels that lack what is newer than the oldest that is supported: the system call fails, as on an
//! older kernel (`ENOSYS`) or behind a filter that does not know it (`EPERM`).

use std::process::Command;

use nix::libc::{self, c_int, c_long};
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::rig::{Rig, Rule, row};
use crate::command::{helper, run};
use crate::inside::Inside;

/// The same number on every architecture, as for all newer calls.
const STATMOUNT: c_long = 457;
const LANDLOCK: c_long = libc::SYS_landlock_create_ruleset;
const SECCOMP: c_long = libc::SYS_seccomp;
/// Of `linux/memfd.h` and `linux/fcntl.h`.
const MFD_EXEC: u32 = 0x10;
const F_ADD_SEALS: u32 = 1033;
const F_SEAL_EXEC: u32 = 0x20;

fn without(calls: &[c_long], errno: c_int) -> Vec<Rule> {
    calls.iter().map(|call| Rule::always(*call, errno)).collect()
}

#[test]
fn without_statmount_mounts_are_judged_by_mountinfo() {
    require!(Need::Root, Need::Overlay, Need::Program("cc"), Need::File("/dev/fuse"));
    let (rig, statmount) = (Rig::new(), without(&[STATMOUNT], libc::ENOSYS));
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
    let cat = |path: &str| rig.portolan(&statmount, &["cat", &c.target(), path]);
    assert_eq!(cat("/app/file").text(), "read");
    assert_eq!(cat("/other/file").text(), "there\n");
    assert_eq!(cat("/other/../app/file").text(), "read");
    assert_eq!(cat("/proc/1/comm").text(), "python3\n");
    assert!(cat("/hang/file").failed(1).contains("FUSE"));
    assert!(cat("/app/stray").failed(1).contains("/proc"));
    let list = rig.portolan(&statmount, &["glob", &c.target(), "/{other,hang,app}/f*"]);
    assert_eq!(String::from_utf8_lossy(&list.stdout), "/app/file\n/other/file\n");
    assert!(list.stderr.contains("1 directories could not be looked into"), "{list:?}");

    // A root that is no mount point, which mountinfo does not show any more once it is the helper's own.
    for world in [World::new("older-chroot").chroot_only(), World::new("older-user").user_namespace()] {
        let c = Inside::start(&world.file("/app/file", "read"));
        let ran = rig.portolan(&statmount, &["cat", &c.target(), "/app/file"]);
        assert_eq!(ran.text(), "read");
    }
}

#[test]
fn a_filter_that_does_not_know_statmount_is_as_good_as_a_kernel_that_does_not() {
    require!(Need::Root, Need::Overlay, Need::Program("cc"));
    let (rig, statmount) = (Rig::new(), without(&[STATMOUNT], libc::EPERM));
    let c = Inside::start(&World::new("filtered").file("/app/file", "read"));
    assert_eq!(rig.portolan(&statmount, &["cat", &c.target(), "/app/file"]).text(), "read");
    assert_eq!(rig.portolan(&statmount, &["glob", &c.target(), "/app/*"]).text(), "/app/file\n");
}

#[test]
fn without_landlock_or_seccomp_it_works_and_says_so() {
    require!(Need::Root, Need::Overlay, Need::Program("cc"));
    let rig = Rig::new();
    let c = Inside::start(&World::new("wall-less").file("/app/file", "read"));
    for (calls, errno, lacks) in [
        (&[LANDLOCK][..], libc::ENOSYS, "lacks Landlock"),
        (&[LANDLOCK], libc::EPERM, "lacks Landlock"),
        (&[LANDLOCK], libc::EOPNOTSUPP, "lacks Landlock"),
        (&[SECCOMP], libc::ENOSYS, "lacks a seccomp filter"),
        (&[SECCOMP], libc::EPERM, "lacks a seccomp filter"),
        (&[LANDLOCK, SECCOMP], libc::ENOSYS, "lacks a seccomp filter, Landlock"),
    ] {
        let rules = without(calls, errno);
        assert_eq!(rig.portolan(&rules, &["cat", &c.target(), "/app/file"]).text(), "read");
        let row = row(rig.portolan(&rules, &["doctor"]), "files: the helper's walls");
        assert!(row.contains("partly") && row.contains(lacks), "{row}");
        // Asked to give up everything or to refuse, it refuses, and reads nothing.
        let mut strict = rig.program(&rules, &helper());
        strict.args(["read", "--pid", &c.pid().to_string(), "--strict"]);
        let ran = run(strict.args(["--", "/app/file"]), b"");
        // The last frame: refused, code 17, while giving up privileges.
        let last = &ran.stdout[ran.stdout.len() - 28..];
        assert_eq!((ran.code, last[4], last[12], last[13]), (Some(1), 9, 17, 4), "{ran:?}");
    }
    let mut strict = Command::new(helper());
    strict.args(["read", "--pid", &c.pid().to_string(), "--strict", "--", "/app/file"]);
    assert_eq!(run(&mut strict, b"").code, Some(0), "this kernel has all of it");
}

#[test]
fn without_flags_and_seals_of_6_3_the_helper_is_sealed_all_the_same() {
    require!(Need::Root, Need::Overlay, Need::Program("cc"));
    let rig = Rig::new();
    let c = Inside::start(&World::new("before-6-3").file("/app/file", "read"));
    let flag = Rule::when(libc::SYS_memfd_create, &[(1, MFD_EXEC, MFD_EXEC)], libc::EINVAL);
    let add = (1, u32::MAX, F_ADD_SEALS);
    let seal = Rule::when(libc::SYS_fcntl, &[add, (2, F_SEAL_EXEC, F_SEAL_EXEC)], libc::EINVAL);
    for rules in [vec![flag.clone()], vec![seal.clone()], vec![flag, seal]] {
        assert_eq!(rig.portolan(&rules, &["cat", &c.target(), "/app/file"]).text(), "read");
        let joined = ["cat", &c.target(), "/proc/1/comm", "--pid-namespace"];
        assert!(!rig.portolan(&rules, &joined).text().is_empty());
        let row = row(rig.portolan(&rules, &["doctor"]), "files: the helper ");
        assert!(row.contains("works") && row.contains("sealed memory"), "{row}");
    }
    // Without any seal it is no sealed memory: the file has to do.
    let unsealed = [Rule::when(libc::SYS_fcntl, &[add], libc::EINVAL)];
    let row = row(rig.portolan(&unsealed, &["doctor"]), "files: the helper ");
    assert!(!row.contains("sealed memory"), "{row}");
}

#[test]
fn without_memfds_the_helper_runs_from_its_file() {
    require!(Need::Root, Need::Overlay, Need::Program("cc"));
    let rig = Rig::new();
    let c = Inside::start(&World::new("no-memfd").file("/app/file", "read"));
    for errno in [libc::ENOSYS, libc::EPERM, libc::EACCES] {
        let rules = without(&[libc::SYS_memfd_create], errno);
        assert_eq!(rig.portolan(&rules, &["cat", &c.target(), "/app/file"]).text(), "read");
        let row = row(rig.portolan(&rules, &["doctor"]), "files: the helper ");
        assert!(row.contains("partly") && row.contains("runs from its file"), "{row}");
    }
}

#[test]
fn without_a_procfs_of_its_own_the_helper_uses_the_hosts() {
    require!(Need::Root, Need::Overlay, Need::Program("cc"));
    let rig = Rig::new();
    let c = Inside::start(&World::new("no-fsopen").file("/app/file", "read"));
    for errno in [libc::ENOSYS, libc::EPERM] {
        let rules = without(&[libc::SYS_fsopen], errno);
        assert_eq!(rig.portolan(&rules, &["cat", &c.target(), "/app/file"]).text(), "read");
        let row = row(rig.portolan(&rules, &["doctor"]), "files: the helper's walls");
        assert!(row.contains("partly") && row.contains("lacks a procfs of its own"), "{row}");
    }
}
