//! A dialer given to the clients that agents use: one file each, ten lines that matter in each.
//!
//! Every module has a function `ask`, which connects to one server inside a container and gives back something that
//! only this server could have said. `tests/suite` runs all of them against the real servers, and the command of this
//! crate runs one:
//!
//! ```sh
//! cargo run -p portolan-clients -- redis TARGET 127.0.0.1:6379 PASSWORD
//! ```
//!
//! `docs/dialers.md` leads from a crate to its file here, and names the hazards.
//!
//! # Layout
//! Clients that take a stream: [`redis_client`], [`tokio_postgres_client`], [`memcached`], [`ldap`], [`tls`],
//! [`haproxy`], [`docker`]. That call us for each connection: [`hyper_client`], [`ureq_client`], [`grpc`],
//! [`rabbitmq`], [`dns`]. That take neither, by a tunnel: [`sqlx_client`], [`postgres_client`], [`fred_client`],
//! [`mysql`], [`mqtt`], [`reqwest_client`]. And by a runtime inside: [`nats`], [`redis_cluster`].
#![forbid(unsafe_code)]

pub mod dns;
pub mod docker;
pub mod fred_client;
pub mod grpc;
pub mod haproxy;
pub mod hyper_client;
pub mod ldap;
pub mod memcached;
pub mod mqtt;
pub mod mysql;
pub mod nats;
pub mod postgres_client;
pub mod rabbitmq;
pub mod redis_client;
pub mod redis_cluster;
pub mod reqwest_client;
pub mod sqlx_client;
pub mod tls;
pub mod tokio_postgres_client;
pub mod ureq_client;

/// What went wrong, in whosever words.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// What only the server inside could have said.
pub type Answer = Result<String, Error>;
