//! Connections made inside, by the library and by `portolan dial`.

mod asynchronous;
mod failures;
mod homecoming;
mod inside;
mod lifetime;
mod udp;
mod unix;

use std::ffi::OsStr;
use std::io::Read;
use std::net::SocketAddr;
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
