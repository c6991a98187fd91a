//! Where a tunnel listens, and for whom.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use portolan::ErrorKind;
use portolan::tunnel::{Address, End, Trouble};
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::{Decoy, address, client, dialer, echoing, ended, heard, path, unix};
use crate::inside::Inside;
use crate::scratch::Scratch;

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o777
}

#[test]
fn every_connection_lands_inside_and_never_on_the_hosts_port_of_the_same_number() {
    require!(Need::Root, Need::Overlay);
    let decoy = Decoy::new();
    let c = echoing("t-same-port", &[("127.0.0.1", decoy.address().port())]);
    let by_file = dialer(&c).tunnel(decoy.address()).file_name(".s.PGSQL.5432").start_thread().unwrap();
    let by_port = dialer(&c).tunnel(decoy.address()).port(0).start_thread().unwrap();
    for tunnel in [&by_file, &by_port] {
        for _ in 0..10 {
            let mut stream = client(tunnel);
            assert_eq!(heard(&mut stream, 6), b"inside");
            stream.write_all(b"and back").unwrap();
            assert_eq!(heard(&mut stream, 8), b"and back");
        }
        let counters = tunnel.counters();
        assert_eq!((counters.accepted, counters.refused, counters.failed), (10, 0, 0), "{counters:?}");
        assert_eq!((counters.sent, counters.received), (80, 140), "{counters}");
        assert!(counters.last_error.is_none() && tunnel.end().is_none(), "{counters}");
    }
    decoy.untouched();

    let file = path(&by_file);
    let directory = by_file.directory().unwrap().to_owned();
    assert_eq!(file, directory.join(".s.PGSQL.5432"));
    assert_eq!((mode(&directory), mode(&file)), (0o700, 0o600));
    let another = dialer(&c).tunnel(decoy.address()).start_thread().unwrap();
    assert_ne!(another.directory(), by_file.directory());
    drop(another);
    assert!(by_port.directory().is_none());
    let Address::Tcp(port) = by_port.address().clone() else { panic!("{:?}", by_port.address()) };
    assert!(port.ip().is_loopback(), "{port}");
    let listening = listening(port);
    assert_eq!(listening.len(), 1, "{listening:?}");
    assert_eq!(by_file.close(), End::Closed);
    assert_eq!(by_port.close(), End::Closed);
    assert!(!file.exists() && !directory.exists());
    // Another listener may be given the port at once.
    assert!(self::listening(port).is_disjoint(&listening));
}

/// The inode numbers of the host's listeners on an address, in the text of `proc_pid_net(5)`.
fn listening(at: SocketAddr) -> BTreeSet<u64> {
    let IpAddr::V4(ip) = at.ip() else { panic!("{at}") };
    let local = format!("{:08X}:{:04X}", u32::from_ne_bytes(ip.octets()), at.port());
    let text = fs::read_to_string("/proc/self/net/tcp").unwrap();
    let rows = text.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    rows.filter(|row| row[1] == local && row[3] == "0A").map(|row| row[9].parse().unwrap()).collect()
}

/// Connects as another user, and prints what came, or the error.
fn as_user(uid: u32, socket: &Path) -> String {
    let text = "
import socket, sys
client = socket.socket(socket.AF_UNIX); client.settimeout(10)
try:
    client.connect(sys.argv[1]); print(client.recv(6).decode())
except OSError as error:
    print(type(error).__name__)";
    let (user, group) = (format!("--reuid={uid}"), format!("--regid={uid}"));
    let mut setpriv = Command::new("setpriv");
    setpriv.args([user.as_str(), &group, "--clear-groups", "python3", "-c", text]).arg(socket);
    // Not a python of root's own.
    let output = setpriv.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

#[test]
fn another_user_gets_nothing() {
    require!(Need::Root, Need::Overlay, Need::Program("setpriv"), Need::Program("python3"));
    let c = echoing("t-user", &[("127.0.0.1", 7100)]);
    let tunnel = |builder: portolan::tunnel::Builder| builder.start_thread().unwrap();
    let private = tunnel(dialer(&c).tunnel(address("127.0.0.1:7100")));
    assert_eq!(as_user(65534, &path(&private)), "PermissionError");
    // Even if somebody opens the file for all.
    fs::set_permissions(path(&private), fs::Permissions::from_mode(0o666)).unwrap();
    fs::set_permissions(private.directory().unwrap(), fs::Permissions::from_mode(0o755)).unwrap();
    let got = as_user(65534, &path(&private));
    assert!(got.is_empty() || got == "ConnectionResetError", "{got}");
    let counters = private.counters();
    assert_eq!((counters.accepted, counters.refused, counters.received), (0, 1, 0), "{counters}");
    assert!(matches!(counters.last_error, Some(Trouble::User(65534))), "{counters:?}");

    let shared = tunnel(dialer(&c).tunnel(address("127.0.0.1:7100")).allow_user(65534));
    assert_eq!((mode(shared.directory().unwrap()), mode(&path(&shared))), (0o711, 0o666));
    assert_eq!(as_user(65534, &path(&shared)), "inside");
    assert_eq!(heard(&mut client(&shared), 6), b"inside", "its own user still may");
    let got = as_user(65533, &path(&shared));
    assert!(got.is_empty() || got == "ConnectionResetError", "{got}");
}

#[test]
fn a_path_of_the_callers() {
    require!(Need::Root, Need::Overlay);
    let c = echoing("t-path", &[("127.0.0.1", 7101)]);
    let scratch = Scratch::new();
    let start = |path: &Path| dialer(&c).tunnel(address("127.0.0.1:7101")).unix(path).start_thread();
    let (below, file) = (scratch.join("made"), scratch.join("made/socket"));
    let tunnel = start(&file).unwrap();
    assert_eq!((mode(&below), mode(&file)), (0o700, 0o600));
    assert_eq!(heard(&mut unix(&file), 6), b"inside");
    // A place that is taken is left to whom it belongs.
    assert_eq!(start(&file).map(drop).map_err(|e| e.kind()), Err(ErrorKind::Busy));
    assert_eq!(heard(&mut unix(&file), 6), b"inside");
    drop(tunnel);
    assert!(!below.exists());
    let taken = scratch.file("file", "mine");
    assert_eq!(start(&taken).map(drop).map_err(|e| e.kind()), Err(ErrorKind::Busy));
    assert_eq!(fs::read(&taken).unwrap(), b"mine");
    std::os::unix::fs::symlink("elsewhere", scratch.join("link")).unwrap();
    assert_eq!(start(&scratch.join("link")).map(drop).map_err(|e| e.kind()), Err(ErrorKind::Busy));
    assert!(!scratch.join("elsewhere").exists());

    let kind = |path: &Path| start(path).map(drop).map_err(|e| e.kind());
    assert_eq!(kind(&scratch.join(&"x".repeat(108))), Err(ErrorKind::InvalidInput));
    assert_eq!(kind(&scratch.join("no/such/directory")), Err(ErrorKind::NotFound));
    let open = scratch.join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    assert_eq!(kind(&open.join("socket")), Err(ErrorKind::InvalidInput));
    fs::set_permissions(&open, fs::Permissions::from_mode(0o1777)).unwrap();
    assert_eq!(kind(&open.join("socket")), Ok(()));
    assert_eq!(fs::read_dir(&open).unwrap().count(), 0);
    for name in ["", "..", "a/b"] {
        let builder = dialer(&c).tunnel(address("127.0.0.1:7101")).file_name(name);
        let refused = builder.start_thread().map(drop).map_err(|e| e.kind());
        assert_eq!(refused, Err(ErrorKind::InvalidInput), "{name:?}");
    }
}

#[test]
fn outside_of_a_runtime_it_says_so() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("t-nowhere"));
    let outcome = dialer(&c).tunnel(address("127.0.0.1:1")).start();
    let error = outcome.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    assert!(error.to_string().contains("no reactor") || error.to_string().contains("runtime"), "{error}");
}

#[test]
fn what_cannot_be_dialed_inside_is_closed_although_the_host_listens_there() {
    require!(Need::Root, Need::Overlay);
    let decoy = Decoy::new();
    for world in [World::new("t-nobody"), World::new("t-down").loopback_down()] {
        let c = Inside::start(&world);
        let tunnel = dialer(&c).tunnel(decoy.address()).start_thread().unwrap();
        for _ in 0..3 {
            ended(&mut client(&tunnel));
        }
        let counters = tunnel.counters();
        assert_eq!((counters.accepted, counters.failed, counters.received), (3, 3, 0), "{counters}");
        let Some(Trouble::Dial(error)) = counters.last_error else { panic!("{counters:?}") };
        assert!(matches!(error.kind(), ErrorKind::Net(_)), "{error}");
    }
    decoy.untouched();
}
