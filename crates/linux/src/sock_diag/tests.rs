use std::net::{TcpListener, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use super::*;
use crate::netns::{Home, NetNs, SocketKind};
use crate::process::Process;

fn own() -> OwnedFd {
    let me = Process::open(std::process::id().cast_signed()).unwrap();
    NetNs::of(&me).unwrap().socket(&Home::here().unwrap(), SocketKind::SockDiag).unwrap()
}

fn soon() -> Instant {
    Instant::now().checked_add(Duration::from_secs(5)).unwrap()
}

fn asked(dumper: &mut Dumper, wanted: Wanted) -> Vec<Listening> {
    let mut all = Vec::new();
    dumper.ask(own(), wanted, soon(), &mut all).unwrap();
    all
}

#[track_caller]
fn has(all: &[Listening], local: &Local, socket: impl AsFd) {
    let found: Vec<_> = all.iter().filter(|l| l.local == *local).collect();
    assert_eq!(found.len(), 1, "{local:?} in {all:?}");
    assert_eq!(u64::from(found[0].inode), crate::sys::inode(socket).unwrap());
    assert_eq!(found[0].uid, Some(nix::unistd::getuid().as_raw()));
}

fn inet(address: std::net::SocketAddr) -> Local {
    Local::Inet(address.ip(), address.port())
}

#[test]
fn both_ways_find_our_own_tcp_listeners() {
    let v4 = TcpListener::bind("127.0.0.1:0").unwrap();
    let v6 = TcpListener::bind("[::1]:0").unwrap();
    let mut dumper = Dumper::new();
    for both in [true, false] {
        dumper.both = both;
        let all = asked(&mut dumper, Wanted::Tcp);
        assert_eq!(dumper.both, both, "no fallback was needed");
        for listener in [&v4, &v6] {
            has(&all, &inet(listener.local_addr().unwrap()), listener);
        }
        assert!(all.iter().all(|l| l.protocol == Protocol::Tcp));
    }
}

#[test]
fn udp_sockets_that_wait_for_anybody() {
    let v4 = UdpSocket::bind("127.0.0.1:0").unwrap();
    let v6 = UdpSocket::bind("[::1]:0").unwrap();
    let connected = UdpSocket::bind("127.0.0.1:0").unwrap();
    connected.connect(v4.local_addr().unwrap()).unwrap();
    let mut dumper = Dumper::new();
    let all = asked(&mut dumper, Wanted::Udp4);
    has(&all, &inet(v4.local_addr().unwrap()), &v4);
    assert!(all.iter().all(|l| l.local != inet(connected.local_addr().unwrap())));
    has(&asked(&mut dumper, Wanted::Udp6), &inet(v6.local_addr().unwrap()), &v6);
}

#[test]
fn unix_sockets_that_listen() {
    let directory = std::env::temp_dir().join(format!("portolan-sock-diag-{}", std::process::id()));
    let path = directory.join("socket");
    std::fs::create_dir_all(&directory).unwrap();
    let listener = UnixListener::bind(&path).unwrap();
    let (_one, _two) = std::os::unix::net::UnixStream::pair().unwrap();
    let all = asked(&mut Dumper::new(), Wanted::Unix);
    std::fs::remove_dir_all(&directory).unwrap();
    has(&all, &Local::Path(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()).to_vec()), &listener);
}

#[test]
fn a_deadline_that_passed_is_a_timeout() {
    let mut all = Vec::new();
    let past = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
    let error = Dumper::new().ask(own(), Wanted::Tcp, past, &mut all).unwrap_err();
    assert_eq!((error.kind(), all.len()), (ErrorKind::Timeout, 0));
}

#[test]
fn listeners_are_looked_up_one_by_one() {
    let v4 = TcpListener::bind("127.0.0.1:0").unwrap();
    let v6 = TcpListener::bind("[::]:0").unwrap();
    let mut dumper = Dumper::new();
    let ours = |l: &TcpListener| inet(l.local_addr().unwrap());
    let (first, second) = (ours(&v4), ours(&v6));
    let mut known = asked(&mut dumper, Wanted::Tcp);
    known.retain(|l| [&first, &second].contains(&&l.local));
    known.sort_by_key(|l| l.local.clone());
    let deadline = soon();
    let socket = own();
    let mut look = |wanted: &[&Local]| {
        dumper.look_up(&socket, wanted.iter().map(|local| (*local, 0)), deadline).unwrap()
    };
    assert_eq!(look(&[&first, &second]), known.iter().cloned().map(Some).collect::<Vec<_>>());
    assert!(look(&[]).is_empty());
    // What is bound to more is found by what it is reached by.
    let port = v6.local_addr().unwrap().port();
    assert_eq!(look(&[&Local::Inet("127.0.0.1".parse().unwrap(), port)])[0].as_ref().unwrap().local, second);
    let address = v4.local_addr().unwrap();
    drop(v4);
    let found = look(&[&first, &second]);
    assert_eq!((&found[0], found[1].as_ref()), (&None, known.last()));
    // Another socket at the same address is another listener.
    let _again = TcpListener::bind(address).unwrap();
    assert_ne!(look(&[&first])[0].as_ref().unwrap().inode, known[0].inode);
    // What was said before leaves nothing behind for the next question.
    let mut all = Vec::new();
    dumper.ask(&socket, Wanted::Tcp, deadline, &mut all).unwrap();
    has(&all, &second, &v6);
    let wrong = Local::Path(b"/x".to_vec());
    let kind = dumper.look_up(&socket, [(&wrong, 0)], deadline).unwrap_err().kind();
    assert_eq!(kind, ErrorKind::InvalidInput);
}
