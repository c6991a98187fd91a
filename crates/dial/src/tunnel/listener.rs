//! Who is let in.

use std::io;

use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::counters::Trouble;
use super::place::Bound;

/// A place where clients come.
#[derive(Debug)]
pub(super) struct Listener {
    socket: Socket,
    users: Vec<u32>,
}

#[derive(Debug)]
enum Socket {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// A client's side of a connection.
#[derive(Debug)]
pub(super) enum Client {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Listener {
    /// In the runtime that the caller is in. Our own user is always let in.
    pub(super) fn new(bound: Bound, mut users: Vec<u32>) -> io::Result<Self> {
        users.push(nix::unistd::geteuid().as_raw());
        let socket = match bound {
            Bound::Unix(listener) => Socket::Unix(UnixListener::from_std(listener)?),
            Bound::Tcp(listener) => Socket::Tcp(TcpListener::from_std(listener)?),
        };
        Ok(Self { socket, users })
    }

    /// The next client, whoever it is.
    pub(super) async fn accept(&self) -> io::Result<Client> {
        match &self.socket {
            Socket::Unix(listener) => listener.accept().await.map(|(stream, _)| Client::Unix(stream)),
            Socket::Tcp(listener) => listener.accept().await.map(|(stream, _)| Client::Tcp(stream)),
        }
    }

    /// Whether this client may use the tunnel: on a Unix socket the user who connected, as the kernel says. A port
    /// is everybody's.
    pub(super) fn admit(&self, client: &Client) -> Result<(), Trouble> {
        let Client::Unix(stream) = client else {
            return Ok(());
        };
        match stream.peer_cred() {
            Ok(peer) if self.users.contains(&peer.uid()) => Ok(()),
            Ok(peer) => Err(Trouble::User(peer.uid())),
            Err(error) => Err(Trouble::accept(error)),
        }
    }
}
