//! `hyper-util`'s pooling client: calls us for each connection. So do tonic, kube, clickhouse and bollard.

use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use portolan_dial::Dialer;
use tokio::time::timeout;

use crate::Answer;

/// How much is taken of what the other side says, and for how long.
const MOST: usize = 64 * 1024;
const LIMIT: Duration = Duration::from_secs(5);

/// A page.
///
/// # Errors
/// When it cannot be dialed, or does not answer as a web server.
pub async fn ask(dialer: &Dialer, address: SocketAddr) -> Answer {
    // Every URI leads there; its host is for the header alone.
    let connector = dialer.connector().to(address);
    let client = Client::builder(TokioExecutor::new()).build::<_, Empty<&[u8]>>(connector);
    let answer = timeout(LIMIT, client.get("http://web.inside.test/".parse()?)).await??;
    let page = timeout(LIMIT, Limited::new(answer.into_body(), MOST).collect()).await??.to_bytes();
    Ok(String::from_utf8(page.into())?)
}
