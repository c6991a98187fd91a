//! `tokio-postgres`: takes a stream.
//!
//! `connect_raw` uses of its configuration only user, password, database and options; addresses in it are ignored.

use std::net::SocketAddr;
use std::time::Duration;

use portolan_dial::Dialer;
use tokio_postgres::{Config, NoTls};

use crate::Answer;

/// The name of the server's cluster.
///
/// # Errors
/// When it cannot be dialed, or does not answer as a PostgreSQL.
pub async fn ask(dialer: &Dialer, address: SocketAddr, password: &str) -> Answer {
    let stream = dialer.connect_async(address, Duration::from_secs(2)).await?;
    let login = Config::new().user("postgres").password(password).dbname("postgres").to_owned();
    let (postgres, connection) = login.connect_raw(stream, NoTls).await?;
    tokio::spawn(connection);
    let row = postgres.query_one("SHOW cluster_name", &[]).await?;
    Ok(row.try_get(0)?)
}
