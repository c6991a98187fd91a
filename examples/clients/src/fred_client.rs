//! `fred`: takes no stream, but a Unix socket (feature `unix-sockets`). It connects again by itself, and lands inside
//! each time; so do `redis`'s own `ConnectionManager` and pools over such a path.
//!
//! A cluster's client follows the addresses that the servers give it: that takes [SOCKS5](crate::reqwest_client) or
//! [a runtime inside](crate::nats).

use std::net::SocketAddr;

use fred::prelude::{Builder, ClientLike as _, Config, KeysInterface as _, ServerConfig};
use portolan_dial::Dialer;

use crate::Answer;

/// What was stored a moment ago.
///
/// # Errors
/// When it cannot be dialed, or does not answer as a Redis.
pub async fn ask(dialer: &Dialer, address: SocketAddr, password: &str) -> Answer {
    let tunnel = dialer.tunnel(address).start()?;
    let server = ServerConfig::Unix { path: tunnel.address().to_string().into() };
    let config = Config { server, password: Some(password.to_owned()), ..Config::default() };
    let redis = Builder::from_config(config).build()?;
    redis.init().await?;
    redis.set::<(), _, _>("portolan", "stored inside", None, None, false).await?;
    let stored = redis.get("portolan").await?;
    redis.quit().await?;
    tunnel.close().await;
    Ok(stored)
}
