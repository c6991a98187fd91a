//! `bollard`, over a Docker socket that a container was given.
//!
//! It hands us each request, which goes through hyper-util's client to the path as the container sees it.

use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use portolan_dial::Dialer;

use crate::Answer;

/// The daemon's version.
///
/// # Errors
/// When it cannot be dialed, or does not answer as Docker.
pub async fn ask(dialer: &Dialer, path: &str) -> Answer {
    let client = Client::builder(TokioExecutor::new()).build(dialer.connector().to_unix(path));
    let send = move |request: BollardRequest| {
        let answer = client.request(request);
        async move { Ok(answer.await.map_err(std::io::Error::other)?) }
    };
    let docker = Docker::connect_with_custom_transport(send, Some("http://inside"), 5, API_DEFAULT_VERSION)?;
    // Debian's daemon is older than the version that bollard begins with.
    let version = docker.negotiate_version().await?.version().await?;
    Ok(format!("Docker {}", version.version.ok_or("it has no version")?))
}
