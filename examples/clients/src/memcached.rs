//! `memcache-async`: takes a stream of the `futures` kind, which `compat` makes of tokio's.
//!
//! It never connects again. `memcache`, which blocks and pools, takes none, but the path of a Unix socket; so does
//! `async-memcached`.

use std::net::SocketAddr;
use std::time::Duration;

use async_compat::CompatExt as _;
use memcache_async::ascii::Protocol;
use portolan_dial::Dialer;

use crate::Answer;

/// What was stored a moment ago.
///
/// # Errors
/// When it cannot be dialed, or does not answer as a memcached.
pub async fn ask(dialer: &Dialer, address: SocketAddr) -> Answer {
    let stream = dialer.connect_async(address, Duration::from_secs(2)).await?;
    let mut memcached = Protocol::new(stream.compat());
    memcached.set("portolan", b"stored inside", 0).await?;
    Ok(String::from_utf8(memcached.get("portolan").await?)?)
}

/// The same with `memcache`. The tunnel has a thread of its own.
///
/// # Errors
/// As [`ask`].
pub fn ask_blocking(dialer: &Dialer, address: SocketAddr) -> Answer {
    let tunnel = dialer.tunnel(address).start_thread()?;
    let memcached = memcache::connect(format!("memcache://{}", tunnel.address()))?;
    memcached.set("portolan-pool", "stored inside", 0)?;
    Ok(memcached.get("portolan-pool")?.ok_or("it is not there")?)
}
