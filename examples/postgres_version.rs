//! `SELECT version()` on a PostgreSQL inside a container, through `tokio-postgres`.
//!
//! ```sh
//! cargo run --release --example postgres_version -- TARGET 127.0.0.1:5432 USER
//! ```
#![allow(clippy::print_stdout, reason = "an example prints")]

use std::net::SocketAddr;
use std::time::Duration;

use portolan::Host;
use tokio_postgres::{Config, NoTls};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (Some(target), Some(address), Some(user)) = (arguments.next(), arguments.next(), arguments.next())
    else {
        return Err("usage: postgres_version TARGET ADDRESS:PORT USER".into());
    };
    let address: SocketAddr = address.parse()?;
    let host = Host::new();
    let dialer = host.dialer(&host.target(&target)?)?;

    // `connect_raw` takes the stream as it is; `connect` would make one of its own, from the host.
    let stream = dialer.connect_async(address, Duration::from_secs(2)).await?;
    let (client, connection) =
        Config::new().user(&user).dbname("postgres").connect_raw(stream, NoTls).await?;
    tokio::spawn(connection);
    let row = client.query_one("SELECT version()", &[]).await?;
    println!("{}", row.try_get::<_, &str>(0)?);
    Ok(())
}
