//! `mysql_async`, and `mysql`, which blocks: they take no stream, but a Unix socket.
//!
//! **Always `prefer_socket(false)`.** It is on unless switched off, also in `mysql`: a client that finds itself at a
//! loopback address asks the server for its Unix socket, and goes to that path, which is the container's, on the host's
//! own files. There it hands the container's password to whoever listens.

use std::net::SocketAddr;

use ::mysql::prelude::Queryable as _;
use mysql_async::prelude::Queryable as _;
use mysql_async::{OptsBuilder, Pool};
use portolan_dial::Dialer;

use crate::Answer;

/// The user that the server knows us as, and what kind of server it is.
const QUESTION: &str = "SELECT CONCAT(CURRENT_USER(), ' of ', VERSION())";

/// Asks over a tunnel's Unix socket.
///
/// # Errors
/// When it cannot be dialed, or does not answer as a MariaDB.
pub async fn ask(dialer: &Dialer, address: SocketAddr, password: &str) -> Answer {
    let tunnel = dialer.tunnel(address).start()?;
    let login = OptsBuilder::default().user(Some("agent")).pass(Some(password));
    let answer = query(login.socket(Some(tunnel.address().to_string())).prefer_socket(false)).await;
    tunnel.close().await;
    answer
}

/// The same with `mysql`. The tunnel has a thread of its own.
///
/// # Errors
/// As [`ask`].
pub fn ask_blocking(dialer: &Dialer, address: SocketAddr, password: &str) -> Answer {
    let tunnel = dialer.tunnel(address).start_thread()?;
    let login = ::mysql::OptsBuilder::new().user(Some("agent")).pass(Some(password)).prefer_socket(false);
    let mut mysql = ::mysql::Conn::new(login.socket(Some(tunnel.address().to_string())))?;
    Ok(mysql.query_first(QUESTION)?.ok_or("no row")?)
}

/// Asks over a tunnel's port, where the client takes the server for one of its own host.
///
/// # Errors
/// As [`ask`].
pub async fn ask_by_port(
    dialer: &Dialer,
    address: SocketAddr,
    password: &str,
    prefer_socket: bool,
) -> Answer {
    let tunnel = dialer.tunnel(address).port(0).start()?;
    let near: SocketAddr = tunnel.address().to_string().parse()?;
    let login = OptsBuilder::default().user(Some("agent")).pass(Some(password));
    let login = login.ip_or_hostname(near.ip().to_string()).tcp_port(near.port());
    let answer = query(login.prefer_socket(prefer_socket)).await;
    tunnel.close().await;
    answer
}

async fn query(login: OptsBuilder) -> Answer {
    let pool = Pool::new(login);
    let answer = pool.get_conn().await?.query_first(QUESTION).await?;
    pool.disconnect().await?;
    Ok(answer.ok_or("no row")?)
}
