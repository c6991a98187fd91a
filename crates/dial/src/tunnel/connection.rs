//! One connection, from its dial to its end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, copy_bidirectional_with_sizes};
use tokio::net::TcpStream;

use super::counted::Counted;
use super::counters::{Activity, Trouble};
use super::listener::Client;
use super::serve::Shared;
use super::{Destination, socks};

/// Bytes that wait on their way, for each direction.
const PIECE: usize = 16 * 1024;

/// Joins the client to the container, until both sides are done.
pub(super) async fn serve(shared: &Shared, client: Client) {
    match client {
        Client::Unix(stream) => join(shared, stream).await,
        Client::Tcp(stream) => {
            // What a client sends at once is to arrive at once.
            let _ = stream.set_nodelay(true);
            join(shared, stream).await;
        }
    }
}

async fn join<S: AsyncRead + AsyncWrite + Unpin>(shared: &Shared, client: S) {
    let (mut client, inside) = match &shared.destination {
        Destination::Address(to) => match dial(shared, *to, shared.connect_timeout).await {
            Ok(inside) => (client, inside),
            // Before the client is let go: who sees a connection closed can ask why.
            Err(trouble) => return shared.ledger.fail(trouble),
        },
        Destination::Socks(socks) => match socks::join(shared, socks, client).await {
            Ok(joined) => joined,
            Err(trouble) => return shared.ledger.fail(trouble),
        },
    };
    if let Err(trouble) = pass(shared, &mut client, inside).await {
        shared.ledger.note(trouble);
    }
}

/// A connection inside, or none at all.
pub(super) async fn dial(shared: &Shared, to: SocketAddr, within: Duration) -> Result<TcpStream, Trouble> {
    let stream = shared.dialer.connect_async(to, within).await;
    let stream = stream.map_err(|error| Trouble::Dial(Arc::new(error)))?;
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

async fn pass<S: AsyncRead + AsyncWrite + Unpin>(
    shared: &Shared,
    client: &mut S,
    inside: TcpStream,
) -> Result<(), Trouble> {
    let activity = Activity::new();
    let mut inside = Counted::new(inside, Arc::clone(&shared.ledger), &activity);
    // Each half is closed when the other side has closed its own.
    let passing = copy_bidirectional_with_sizes(client, &mut inside, PIECE, PIECE);
    let idle = async {
        match shared.idle_timeout {
            Some(limit) => activity.idle(limit).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        // A side that breaks off is its own business, and the other learns of it by the end.
        _ = passing => Ok(()),
        () = idle => Err(Trouble::Idle),
    }
}
