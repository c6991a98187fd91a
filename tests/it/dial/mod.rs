//! Connections made inside, by the library and by `portolan dial`.

mod alone;
mod asynchronous;
mod catalog;
mod connectors;
mod crowd;
mod dying;
mod failures;
mod homecoming;
mod inside;
mod lifetime;
mod names;
mod options;
mod silence;
mod udp;
mod unix;
mod ureq;

use std::ffi::OsStr;
use std::io::Read;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use portolan::Dialer;

use crate::command::{Ran, command, run};
use crate::inside::Inside;

const TIMEOUT: Duration = Duration::from_secs(5);

fn dialer(c: &Inside) -> Dialer {
    Dialer::new(portolan::Process::reopen(c.process.id()).unwrap()).unwrap()
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// The first bytes that a peer says.
#[track_caller]
fn heard(stream: &mut impl Read, length: usize) -> String {
    let mut bytes = vec![0; length];
    stream.read_exact(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

/// `portolan dial` with more arguments and this input.
fn dialed<S: AsRef<OsStr>>(c: &Inside, arguments: &[S], input: &[u8]) -> Ran {
    run(command(["dial", &c.target()]).args(arguments), input)
}

/// A listener of the host that says nothing and must never be reached.
struct Decoy(TcpListener);

impl Decoy {
    /// On a free port of the host's.
    fn at(host: &str) -> Self {
        Self::on(&format!("{host}:0"))
    }

    fn on(address: &str) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        Self(listener)
    }

    fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    fn address(&self) -> SocketAddr {
        self.0.local_addr().unwrap()
    }

    #[track_caller]
    fn untouched(&self) {
        let accepted = self.0.accept().map_err(|error| error.kind());
        assert_eq!(
            accepted.map(|(_, peer)| peer),
            Err(std::io::ErrorKind::WouldBlock),
            "the host was dialed"
        );
    }
}

/// Whether a socket of the host has been sent anything.
#[track_caller]
fn unheard(socket: &UdpSocket) {
    socket.set_nonblocking(true).unwrap();
    let heard = socket.recv_from(&mut [0; 512]).map_err(|error| error.kind());
    assert_eq!(heard, Err(std::io::ErrorKind::WouldBlock), "the host was asked");
}
