//! A page of a web server inside a container, through `hyper-util`'s client, pool and all.
//!
//! ```sh
//! cargo run --release --example http_get -- TARGET http://127.0.0.1:8080/
//! ```
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use portolan::{Dialer, Host};
use tokio::net::TcpStream;

/// Called by the client for each connection that it needs, so that also its later ones are born inside.
#[derive(Clone)]
struct Inside(Dialer);

impl tower_service::Service<Uri> for Inside {
    type Response = TokioIo<TcpStream>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let dialer = self.0.clone();
        Box::pin(async move {
            // Addresses only: a name would mean something else inside than here.
            let host = uri.host().unwrap_or("").trim_matches(['[', ']']);
            let address = SocketAddr::new(host.parse()?, uri.port_u16().unwrap_or(80));
            Ok(TokioIo::new(dialer.connect_async(address, Duration::from_secs(2)).await?))
        })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(target), Some(uri)) = (arguments.next(), arguments.next()) else {
        return Err("usage: http_get TARGET URL".into());
    };
    let host = Host::new();
    let dialer = host.dialer(&host.target(&target)?)?;
    let client = Client::builder(TokioExecutor::new()).build::<_, Empty<&[u8]>>(Inside(dialer));
    let response = tokio::time::timeout(Duration::from_secs(5), client.get(uri.parse()?)).await??;
    let status = response.status();
    // Whoever answers may be hostile: take a limited part of it, in limited time.
    let body =
        tokio::time::timeout(Duration::from_secs(5), Limited::new(response.into_body(), 64 * 1024).collect());
    let body = body.await?.map_err(|e| e.to_string())?.to_bytes();
    println!("{status}: {}", portolan::Escaped(body.trim_ascii()));
    Ok(())
}
