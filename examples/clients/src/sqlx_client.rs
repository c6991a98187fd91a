//! `sqlx`: takes no stream, but a Unix socket. Its pool connects again by itself, and lands inside each time.

use std::net::SocketAddr;
use std::time::Duration;

use portolan_dial::Dialer;
use sqlx::Row as _;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};

use crate::Answer;

/// The name of the server's cluster.
///
/// # Errors
/// When it cannot be dialed, or does not answer as a PostgreSQL.
pub async fn ask(dialer: &Dialer, address: SocketAddr, password: &str) -> Answer {
    // The file has the name that PostgreSQL's clients look for, by the port that they are told.
    let tunnel = dialer.tunnel(address).file_name(".s.PGSQL.5432").start()?;
    let directory = tunnel.directory().ok_or("no directory")?;
    let login =
        PgConnectOptions::new_without_pgpass().username("postgres").password(password).database("postgres");
    let login = login.socket(directory).port(5432).ssl_mode(PgSslMode::Disable);
    let pool = PgPoolOptions::new().acquire_timeout(Duration::from_secs(5)).connect_with(login).await?;
    let name = sqlx::query("SHOW cluster_name").fetch_one(&pool).await?.try_get(0)?;
    pool.close().await;
    tunnel.close().await;
    Ok(name)
}
