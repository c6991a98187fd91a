//! `redis`, its client of clusters: takes no stream, and follows the addresses that the nodes give it.
//!
//! In a runtime inside, those are the container's. Through a tunnel to one node it would go to the others' addresses on
//! the host.

use std::net::SocketAddr;

use portolan_dial::Dialer;
use redis::AsyncCommands as _;
use redis::cluster::ClusterClient;

use crate::{Answer, Error};

/// What was stored a moment ago.
///
/// # Errors
/// When it cannot be dialed, or does not answer as a node of a Redis Cluster.
pub async fn ask(dialer: &Dialer, address: SocketAddr, password: &str) -> Answer {
    let inside = dialer.runtime()?;
    let url = format!("redis://:{password}@{address}");
    inside.run(async move || exchange(url).await).await?
}

/// As who does not know that a cluster's nodes advertise addresses: by a tunnel to one of them.
///
/// # Errors
/// Always: it leads to the host.
pub async fn ask_by_port(dialer: &Dialer, address: SocketAddr, password: &str) -> Answer {
    let tunnel = dialer.tunnel(address).port(0).start()?;
    exchange(format!("redis://:{password}@{}", tunnel.address())).await
}

async fn exchange(url: String) -> Result<String, Error> {
    let mut redis = ClusterClient::new([url])?.get_async_connection().await?;
    let () = redis.set("portolan", "stored inside").await?;
    Ok(redis.get("portolan").await?)
}
