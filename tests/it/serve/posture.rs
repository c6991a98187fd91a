//! What a server has and has given up, and how little it is when there is nothing to do.

use std::collections::BTreeMap;
use std::fs;

use portolan::{Batch, GlobOptions, Outcome, ReadOptions};
use portolan_files::Hello;
use portolan_wire::frame::posture;
use portolan_world::need::Need;
use portolan_world::require;

use super::{children, count, door, plain, reads, server, wait_until};
use crate::oracle;

fn status(pid: i32) -> BTreeMap<String, String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    lines.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
}

#[test]
fn a_server_has_given_up_what_it_does_not_need() {
    require!(Need::Root, Need::Overlay);
    alone!();
    // A descriptor and a variable that are nobody's business.
    let _leak = fs::File::open("/etc/passwd").unwrap();
    let (files, c) = (door(), plain("server-posture"));
    reads(&files, &c);
    let pid = server();
    let all = status(pid);
    // CAP_SYS_ADMIN, CAP_SYS_CHROOT and CAP_DAC_READ_SEARCH: what its children enter and read with.
    for (field, value) in [
        ("Name", "portolan-helper"),
        ("CapEff", "0000000000240004"),
        ("CapPrm", "0000000000240004"),
        ("CapInh", "0000000000000000"),
        ("CapAmb", "0000000000000000"),
        ("CapBnd", "0000000000000000"),
        ("NoNewPrivs", "1"),
        ("Seccomp", "2"),
        ("Threads", "1"),
    ] {
        assert_eq!(all[field], value, "{field}");
    }
    for kind in ["mnt", "pid", "net", "user", "uts", "ipc"] {
        assert_eq!(oracle::namespace(pid, kind), oracle::namespace("self", kind), "it stays outside: {kind}");
    }
    assert_eq!(fs::read(format!("/proc/{pid}/environ")).unwrap(), b"");
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let limit = |name: &str| limits.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    assert!(limit("Max open files").contains(" 64 "), "{limits}");
    assert!(limit("Max core file size").contains(" 0 "), "{limits}");
    let exe = fs::read_link(format!("/proc/{pid}/exe")).unwrap();
    assert!(exe.to_str().unwrap().starts_with("/memfd:portolan-helper"), "{exe:?}");

    let fds = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let mut links: Vec<String> =
        fds.map(|fd| fs::read_link(fd.unwrap().path()).unwrap().display().to_string()).collect();
    links.sort();
    // Standard three, the socket, two pipes to itself, the ends of its children, and its own procfs.
    let kinds = |prefix: &str| links.iter().filter(|link| link.starts_with(prefix)).count();
    assert_eq!((kinds("/dev/null"), kinds("socket:"), kinds("pipe:")), (3, 1, 4), "{links:?}");
    assert_eq!((kinds("anon_inode:[signalfd]"), links.len()), (1, 10), "{links:?}");
}

#[test]
fn an_idle_server_is_small_and_alone() {
    require!(Need::Root, Need::Overlay);
    alone!();
    let (files, c) = (door(), plain("idle"));
    for _ in 0..200 {
        reads(&files, &c);
    }
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..20).for_each(|_| reads(&files, &c)));
        }
    });
    let pid = server();
    let descriptors = count(&format!("/proc/{pid}/fd"));
    wait_until("its children end by themselves", || children(pid).is_empty());
    assert_eq!(count(&format!("/proc/{pid}/fd")), descriptors);
    let resident = status(pid)["VmRSS"].clone();
    let kib: u64 = resident.split(' ').next().unwrap().parse().unwrap();
    assert!(kib < 1536, "{resident}");
    // It sleeps: nothing wakes it while there is nothing to do.
    let switches = || status(pid)["voluntary_ctxt_switches"].clone();
    let before = switches();
    std::thread::sleep(std::time::Duration::from_millis(300));
    assert_eq!(switches(), before);
    reads(&files, &c);
}

#[track_caller]
fn complete(hello: Hello, mnt: u64) {
    let whole = posture::NOT_DUMPABLE
        | posture::NO_NEW_PRIVS
        | posture::PRIVATE_PROCFS
        | posture::SEALED
        | posture::LIMITED
        | posture::DEATH_SIGNAL;
    assert_eq!(hello.posture & whole, whole, "{hello:?}");
    assert_eq!((hello.seccomp, hello.effective, hello.bounding), (2, 4, 0), "{hello:?}");
    assert_eq!((i64::from(hello.landlock).min(1), hello.mount_namespace), (oracle::landlock().min(1), mnt));
}

#[test]
fn where_the_kernel_has_everything_strictness_is_met_and_told() {
    require!(Need::Root, Need::Overlay, Need::Program("python3"));
    alone!();
    let (files, c) = (door().strict(), plain("strict"));
    if oracle::landlock() == 0 {
        let refused = files.read(&c.process, "/app/file", &ReadOptions::default());
        assert!(refused.is_err(), "without Landlock there is something missing");
        return;
    }
    let mnt = oracle::namespace(c.pid(), "mnt");
    let content = files.read(&c.process, "/app/file", &ReadOptions::default()).unwrap();
    assert_eq!(content.bytes, b"read");
    complete(content.helper, mnt);
    complete(files.glob(&c.process, "/app/*", &GlobOptions::default()).unwrap().helper, mnt);
    match files.batch(&c.process, &Batch::new().read("/app/file")).unwrap().pop() {
        Some(Ok(Outcome::Content(content))) => complete(content.helper, mnt),
        other => panic!("{other:?}"),
    }
    // The same without being asked for it.
    complete(door().read(&c.process, "/app/file", &ReadOptions::default()).unwrap().helper, mnt);
}
