//! Ways in for clients that take no stream: `Dialer::tunnel`, `portolan tunnel`, and `Dialer::runtime`.

mod command;
mod endings;
mod limits;
mod places;
mod residence;
mod socks;
mod together;

use std::fmt::Debug;
use std::io::{ErrorKind as IoKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use portolan::tunnel::{Address, Tunnel};
use portolan::{Dialer, Process};
use portolan_world::World;

use crate::inside::{Inside, SOON};
use crate::servers;

fn dialer(c: &Inside) -> Dialer {
    Dialer::new(Process::reopen(c.process.id()).unwrap()).unwrap()
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A container that says `inside` on these addresses, and echoes.
fn echoing(name: &str, addresses: &[(&str, u16)]) -> Inside {
    let c = Inside::start(&servers::banner(World::new(name), "inside", addresses));
    c.wait_log("listening");
    c
}

/// A listener of the host that must never be reached.
struct Decoy(TcpListener);

impl Decoy {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    #[track_caller]
    fn untouched(&self) {
        let accepted = self.0.accept().map_err(|error| error.kind());
        assert_eq!(accepted.map(|(_, peer)| peer), Err(IoKind::WouldBlock), "the host was dialed");
    }
}

/// A client's stream, whatever it is.
trait Stream: Read + Write + Debug {}
impl<S: Read + Write + Debug> Stream for S {}

/// Connects to a tunnel; what never comes fails the test.
fn client(tunnel: &Tunnel) -> Box<dyn Stream> {
    match tunnel.address() {
        Address::Unix(path) => Box::new(unix(path)),
        Address::Tcp(address) => Box::new(tcp(*address)),
        other => panic!("{other:?}"),
    }
}

fn unix(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream
}

fn tcp(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect_timeout(&address, SOON).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream
}

fn path(tunnel: &Tunnel) -> PathBuf {
    match tunnel.address() {
        Address::Unix(path) => path.clone(),
        other => panic!("{other:?}"),
    }
}

/// The next bytes.
#[track_caller]
fn heard(stream: &mut (impl Read + ?Sized), length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).unwrap();
    bytes
}

/// Nothing comes any more, and soon; a reset is as good as an end.
#[track_caller]
fn ended(stream: &mut (impl Read + ?Sized)) {
    match stream.read(&mut [0]) {
        Ok(0) => {}
        Err(error) if error.kind() == IoKind::ConnectionReset => {}
        other => panic!("not ended: {other:?}"),
    }
}

/// What another thread is about to do.
#[track_caller]
fn soon(what: &str, mut is: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < SOON, "not {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
