//! `postgres`, which blocks: takes no stream, but a Unix socket. The tunnel has a thread of its own.

use std::net::SocketAddr;

use portolan_dial::Dialer;
use postgres::{Config, NoTls};

use crate::Answer;

/// The name of the server's cluster.
///
/// # Errors
/// When it cannot be dialed, or does not answer as a PostgreSQL.
pub fn ask(dialer: &Dialer, address: SocketAddr, password: &str) -> Answer {
    let tunnel = dialer.tunnel(address).file_name(".s.PGSQL.5432").start_thread()?;
    let directory = tunnel.directory().ok_or("no directory")?;
    let mut login = Config::new();
    login.user("postgres").password(password).dbname("postgres").host_path(directory).port(5432);
    let mut postgres = login.connect(NoTls)?;
    let name = postgres.query_one("SHOW cluster_name", &[])?.try_get(0)?;
    postgres.close()?;
    Ok(name)
}
