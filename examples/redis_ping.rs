//! A `PING` to a Redis inside a container, through the `redis` crate, with the password of its own configuration.
//!
//! ```sh
//! cargo run --release --example redis_ping -- TARGET 127.0.0.1:6379 /etc/redis/redis.conf
//! ```
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::net::SocketAddr;
use std::time::Duration;

use portolan::{Host, ReadOptions};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisConnectionInfo};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(target), Some(address), config) = (arguments.next(), arguments.next(), arguments.next()) else {
        return Err("usage: redis_ping TARGET ADDRESS:PORT [CONFIG]".into());
    };
    let address: SocketAddr = address.parse()?;
    let host = Host::new();
    let target = host.target(&target)?;

    let mut login = RedisConnectionInfo::default();
    if let Some(path) = config {
        let config = host.read(&target, path, &ReadOptions::default())?;
        let config = String::from_utf8_lossy(&config.bytes);
        if let Some(password) = config.lines().find_map(|line| line.strip_prefix("requirepass ")) {
            login = login.set_password(password.trim());
        }
    }

    // The stream is born inside. A MultiplexedConnection never connects again by itself, so it cannot end up on
    // the host's Redis later.
    let stream = host.dialer(&target)?.connect_async(address, Duration::from_secs(2)).await?;
    let (mut redis, driver) =
        MultiplexedConnection::new_with_config(&login, stream, AsyncConnectionConfig::new()).await?;
    tokio::spawn(driver);
    let answer: String = redis::cmd("PING").query_async(&mut redis).await?;
    println!("{answer}");
    Ok(())
}
