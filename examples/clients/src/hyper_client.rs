//! `hyper-util`'s pooling client: calls us for each connection. So do tonic, kube, clickhouse and bollard.

use std::net::SocketAddr;
use std::time::Duration;

use http::Response;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Incoming;
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use portolan_dial::Dialer;
use tokio::time::timeout;

use crate::{Answer, tls};

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
    text(answer).await
}

/// A page over HTTPS. The name in the URI is the one that the certificate has to bear.
///
/// # Errors
/// As [`ask`], and when it is another server.
pub async fn ask_tls(dialer: &Dialer, address: SocketAddr, certificate: &[u8]) -> Answer {
    let tls =
        HttpsConnectorBuilder::new().with_tls_config(tls::trusting(certificate)?).https_only().enable_http1();
    let connector = tls.wrap_connector(dialer.connector().to(address));
    let client = Client::builder(TokioExecutor::new()).build::<_, Empty<&[u8]>>(connector);
    let answer = timeout(LIMIT, client.get("https://web.inside.test/".parse()?)).await??;
    text(answer).await
}

/// As much of it as we want. Whoever answers may be hostile.
async fn text(answer: Response<Incoming>) -> Answer {
    let page = timeout(LIMIT, Limited::new(answer.into_body(), MOST).collect()).await??.to_bytes();
    Ok(String::from_utf8(page.into())?)
}
