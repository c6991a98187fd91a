//! What containers are like inside.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use portolan_world::leftovers::Census;
use portolan_world::need::Need;
use portolan_world::{Container, Namespace, World, WorldError, require};

const SOON: Duration = Duration::from_secs(5);
const SERVER: &str = r#"
    $s = IO::Socket::INET->new(Listen => 5, LocalAddr => "127.0.0.1", LocalPort => 7000) or die $!;
    while ($c = $s->accept) { print $c "hello\n"; close $c }"#;

/// The standard output of a shell script that is to succeed inside.
fn shell(container: &Container, script: &str) -> String {
    let output = container.exec(["sh", "-c", script]).unwrap();
    assert!(output.status.success(), "{script}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn namespace(process: &str, kind: &str) -> String {
    fs::read_link(format!("/proc/{process}/ns/{kind}")).unwrap().display().to_string()
}

#[test]
fn starts_and_stops() {
    require!(Need::Root, Need::Overlay);
    let census = Census::take();
    let c = World::new("plain").start().unwrap();
    assert!(c.is_running());
    assert_eq!(shell(&c, "hostname; id -u; cat /proc/1/comm"), "plain\n0\nsleep");
    assert_eq!(c.kill().to_string(), c.kill().to_string());
    assert!(!c.is_running());
    assert!(matches!(c.exec(["true"]), Err(WorldError::Ended { .. })));
    drop(c);
    census.assert_unchanged();
}

#[test]
fn has_namespaces_of_its_own() {
    require!(Need::Root, Need::Overlay);
    let census = Census::take();
    let c = World::new("own").start().unwrap();
    let pid = c.pid().to_string();
    for kind in Namespace::ALL {
        assert_ne!(namespace(&pid, kind.file()), namespace("self", kind.file()), "{kind:?}");
    }
    assert_eq!(namespace(&pid, "user"), namespace("self", "user"));
    drop(c);
    census.assert_unchanged();
}

#[test]
fn shares_what_it_is_told_to() {
    require!(Need::Root, Need::Overlay);
    let census = Census::take();
    for shared in Namespace::ALL {
        let c = World::new("partial").without(shared).start().unwrap();
        let pid = c.pid().to_string();
        for kind in Namespace::ALL {
            let same = namespace(&pid, kind.file()) == namespace("self", kind.file());
            assert_eq!(same, kind == shared, "{kind:?} without {shared:?}");
        }
        assert_eq!(shell(&c, "echo here"), "here", "{shared:?}");
    }
    census.assert_unchanged();
}

#[test]
fn writes_only_to_a_layer_of_its_own() {
    require!(Need::Root, Need::Overlay);
    let census = Census::take();
    let c = World::new("files")
        .file("/etc/world/deep/down.conf", "port 7000\n")
        .file_mode("/usr/local/bin/greet", "#!/bin/sh\necho hi\n", 0o755)
        .file("/var/run/through-a-link", "x")
        .link("/etc/world/link", "deep/down.conf")
        .directory("/srv/empty")
        .tmpfs("/srv/volume")
        .bind("/proc/self/status", "/srv/status")
        .start()
        .unwrap();
    assert_eq!(shell(&c, "cat /etc/world/link; greet"), "port 7000\nhi");
    assert_eq!(
        shell(&c, "cat /run/through-a-link; ls -d /srv/empty; head -c 4 /srv/status"),
        "x/srv/empty\nName"
    );
    assert_eq!(shell(&c, "awk '$2 == \"/srv/volume\" { print $3 }' /proc/mounts"), "tmpfs");
    shell(&c, "rm /etc/passwd; echo changed >/etc/hostname; touch /new /tmp/new /run/new /dev/shm/new");
    shell(&c, "echo x >/dev/null; head -c 1 /dev/urandom >/dev/null; test -c /dev/tty; test -e /dev/ptmx");

    let root = format!("/proc/{}/root", c.pid());
    assert_eq!(fs::read_to_string(format!("{root}/etc/world/deep/down.conf")).unwrap(), "port 7000\n");
    let mode = fs::metadata(format!("{root}/usr/local/bin/greet")).unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o755);
    c.wait_file("/etc/world/link", SOON).unwrap();
    let error = c.wait_file("/etc/world/none", Duration::from_millis(10)).unwrap_err();
    assert!(error.to_string().contains("/etc/world/none: not within 10ms"), "{error}");
    drop(c);
    assert!(fs::exists("/etc/passwd").unwrap());
    for path in ["/etc/world", "/new", "/tmp/new", "/run/new", "/run/through-a-link", "/srv/empty"] {
        assert!(!fs::exists(path).unwrap(), "{path}");
    }
    census.assert_unchanged();
}

#[test]
fn listens_on_a_loopback_of_its_own() {
    require!(Need::Root, Need::Overlay, Need::Program("perl"), Need::Program("bash"));
    let census = Census::take();
    let world = World::new("net").command(["perl", "-MIO::Socket::INET", "-e", SERVER]);
    let c = world.start().unwrap();
    c.wait_listening(7000, SOON).unwrap();
    let hello = c.exec(["bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/7000; cat <&3"]).unwrap();
    assert_eq!(String::from_utf8_lossy(&hello.stdout), "hello\n", "{hello:?}");
    assert!(matches!(c.wait_listening(7001, Duration::ZERO), Err(WorldError::Timeout { .. })));
    // The port is free here, and for another one of them.
    let other = world.start().unwrap();
    other.wait_listening(7000, SOON).unwrap();
    drop((c, other));
    census.assert_unchanged();
}

#[test]
fn leaves_the_loopback_alone() {
    require!(Need::Root, Need::Overlay);
    let census = Census::take();
    let flags = "cat /sys/class/net/lo/flags";
    assert_eq!(shell(&World::new("up").start().unwrap(), flags), "0x9");
    assert_eq!(shell(&World::new("down").loopback_down().start().unwrap(), flags), "0x8");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let c = World::new("host-net").share_network().start().unwrap();
    c.wait_listening(listener.local_addr().unwrap().port(), SOON).unwrap();
    drop(c);
    census.assert_unchanged();
}

#[test]
fn prepares() {
    require!(Need::Root, Need::Overlay);
    let census = Census::take();
    let c = World::new("prepared")
        .file("/app/data", "1")
        .prepare("mkfifo /app/fifo; ln -s data /app/link")
        .prepare("sleep 600 & echo prepared $GREETING")
        .prepare("touch /app/last")
        .env("GREETING", "hello")
        .workdir("/app")
        .command(["sh", "-c", "echo started $GREETING $HOME $$ $PWD; exec sleep infinity"])
        .start()
        .unwrap();
    assert_eq!(shell(&c, "test -p /app/fifo && cat /app/link && ls /app/last"), "1/app/last");
    let start = Instant::now();
    while !c.log().contains("started") && start.elapsed() < SOON {
        std::thread::yield_now();
    }
    assert_eq!(c.log(), "prepared hello\nstarted hello /root 1 /app\n");
    drop(c);
    census.assert_unchanged();
}

#[test]
fn tells_what_went_wrong() {
    require!(Need::Root, Need::Overlay);
    let census = Census::take();
    let message = |world: World| world.start().unwrap_err().to_string();

    let error = message(World::new("bad").command(["no-such-command"]));
    assert_eq!(
        error,
        "container bad: running the command no-such-command: No such file or directory (os error 2)"
    );
    let error = message(World::new("bad").command(["/etc/passwd"]));
    assert!(error.contains("Permission denied"), "{error}");
    let error = message(World::new("bad").prepare("echo trying\nls /none\ntouch /not-reached"));
    assert!(
        error.starts_with("container bad: the prepare script ended with exit status: 2\n    trying\n"),
        "{error}"
    );
    assert!(error.contains("/none"), "{error}");
    let error = message(World::new("bad").file("/etc/passwd/x", ""));
    assert!(error.contains("writing the file /etc/passwd/x: Not a directory"), "{error}");
    let error = message(World::new("bad").workdir("/none"));
    assert!(error.contains("entering the directory /none"), "{error}");

    assert!(message(World::new("bad").user("no-such-user")).contains("there is no user no-such-user"));
    assert!(message(World::new("bad name")).contains("no hostname"));
    assert!(message(World::new("bad").command([""; 0])).contains("empty"));
    assert!(message(World::new("bad").file("relative", "")).contains("no absolute path"));
    assert!(message(World::new("bad").share_mount().file("/x", "")).contains("written to the host"));
    assert!(message(World::new("bad").env("A", "\0")).contains("null byte"));

    let c = World::new("short").command(["sh", "-c", "echo oops >&2; exit 3"]).start().unwrap();
    let error = c.wait_listening(1, SOON).unwrap_err().to_string();
    assert_eq!(error, "container short: listening on port 1: it has ended\n    oops");
    assert_eq!(c.wait_end(SOON).unwrap().code(), Some(3));
    drop(c);
    census.assert_unchanged();
}

#[test]
fn runs_as_a_user() {
    require!(Need::Root, Need::Overlay);
    let census = Census::take();
    let world = World::new("user").user("nobody").prepare("id -u >/run/prepared-by");
    let c = world.command(["sh", "-c", "id -un; cat /run/prepared-by; exec sleep infinity"]).start().unwrap();
    while c.is_running() && c.log().lines().count() < 2 {
        std::thread::yield_now();
    }
    assert_eq!(c.log(), "nobody\n0\n");
    let status = fs::read_to_string(format!("/proc/{}/status", c.pid())).unwrap();
    let ids = status.lines().filter(|line| line.starts_with("Uid:") || line.starts_with("Groups:"));
    assert_eq!(ids.collect::<Vec<_>>(), ["Uid:\t65534\t65534\t65534\t65534", "Groups:\t65534 "]);
    assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
    assert_eq!(shell(&c, "id -u"), "0");
    drop(c);
    census.assert_unchanged();
}

#[test]
fn has_users_of_its_own() {
    require!(Need::Root, Need::Overlay, Need::UserNamespaces);
    let census = Census::take();
    let c = World::new("shifted").user_namespace().file("/etc/world", "x").prepare("chown 33 /etc/world");
    let c = c.start().unwrap();
    let pid = c.pid().to_string();
    assert_ne!(namespace(&pid, "user"), namespace("self", "user"));
    assert_eq!(shell(&c, "id -u; stat -c %u / /etc /etc/shadow /etc/world"), "0\n0\n0\n0\n33");
    shell(&c, "echo more >>/etc/passwd; rm /etc/hostname; mount -t tmpfs x /mnt; head -c 1 /dev/zero");
    assert_eq!(shell(&c, "cat /sys/class/net/lo/flags"), "0x9");
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(status.contains("Uid:\t100000\t100000"), "{status}");

    let user = World::new("both").user_namespace_range(200_000, 70_000).user("nobody").start().unwrap();
    let status = fs::read_to_string(format!("/proc/{}/status", user.pid())).unwrap();
    assert!(status.contains("Uid:\t265534\t265534"), "{status}");
    drop((c, user));
    for shared in Namespace::ALL {
        let c = World::new("partial").user_namespace().without(shared).start();
        let c = c.unwrap_or_else(|error| panic!("without {shared:?}: {error}"));
        assert_eq!(shell(&c, "ls -d /proc/self/root"), "/proc/self/root", "{shared:?}");
    }
    census.assert_unchanged();
}

#[test]
fn changes_root_without_pivoting() {
    require!(Need::Root, Need::Overlay);
    let census = Census::take();
    let c = World::new("chroot").chroot_only().file("/etc/world", "inside").start().unwrap();
    assert_eq!(shell(&c, "cat /etc/world"), "inside");
    // Without -r one stays at the root of the mount namespace.
    let pid = c.pid().to_string();
    let outer = std::process::Command::new("nsenter").args(["-t", &pid, "-m", "cat", "/etc/world"]).output();
    assert!(!outer.unwrap().status.success());
    assert_eq!(fs::read_to_string(format!("/proc/{pid}/root/etc/world")).unwrap(), "inside");
    drop(c);
    census.assert_unchanged();
}
