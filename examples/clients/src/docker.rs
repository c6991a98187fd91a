//! `bollard`, over a Docker socket that a container was given.
//!
//! bollard hands us each request: it goes over a connection of its own to the path as the container sees it.

use std::sync::Arc;
use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use hyper::header::{HOST, HeaderValue};
use hyper_util::rt::TokioIo;
use portolan_dial::Dialer;

use crate::{Answer, Error};

/// The daemon's version.
///
/// # Errors
/// When it cannot be dialed, or does not answer as Docker.
pub async fn ask(dialer: &Dialer, path: &str) -> Answer {
    let inside = Arc::new((dialer.clone(), path.to_owned()));
    let send = move |request: BollardRequest| {
        let inside = Arc::clone(&inside);
        async move { send(inside, request).await }
    };
    let docker = Docker::connect_with_custom_transport(send, Some("http://inside"), 5, API_DEFAULT_VERSION)?;
    // Debian's daemon is older than the version that bollard begins with.
    let version = docker.negotiate_version().await?.version().await?;
    Ok(format!("Docker {}", version.version.ok_or("it has no version")?))
}

async fn send(
    inside: Arc<(Dialer, String)>,
    mut request: BollardRequest,
) -> Result<hyper::Response<hyper::body::Incoming>, bollard::errors::Error> {
    let stream = connect(inside).await.map_err(std::io::Error::other)?;
    let (mut http, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    // A pooling client would add it.
    request.headers_mut().insert(HOST, HeaderValue::from_static("inside"));
    Ok(http.send_request(request).await?)
}

async fn connect(inside: Arc<(Dialer, String)>) -> Result<tokio::net::UnixStream, Error> {
    let stream = tokio::task::spawn_blocking(move || inside.0.unix(&inside.1, Duration::from_secs(2))).await??;
    stream.set_nonblocking(true)?;
    Ok(tokio::net::UnixStream::from_std(stream)?)
}
