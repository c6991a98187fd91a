//! `redis`: takes a stream.
//!
//! A `MultiplexedConnection` never connects again by itself. A `ConnectionManager`, a cluster's or a sentinel's client
//! does, from the agent's own network: those want [a tunnel](crate::fred_client).

use std::net::SocketAddr;
use std::time::Duration;

use portolan_dial::Dialer;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo};

use crate::Answer;

/// The server's own name for where it listens.
///
/// # Errors
/// When it cannot be dialed, or does not answer as a Redis.
pub async fn ask(dialer: &Dialer, address: SocketAddr, password: &str) -> Answer {
    let stream = dialer.connect_async(address, Duration::from_secs(2)).await?;
    let login = RedisConnectionInfo::default().set_password(password);
    let limits = AsyncConnectionConfig::new().set_response_timeout(Some(Duration::from_secs(2)));
    let (mut redis, driver) = MultiplexedConnection::new_with_config(&login, stream, limits).await?;
    tokio::spawn(driver);
    let (_, port): (String, String) =
        redis::cmd("CONFIG").arg("GET").arg("port").query_async(&mut redis).await?;
    Ok(format!("a Redis at port {port}"))
}
