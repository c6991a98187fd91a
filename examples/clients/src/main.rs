//! Runs one of the examples against a container.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example prints")]

use std::net::SocketAddr;
use std::process::ExitCode;

use portolan::Host;
use portolan_clients as clients;
use portolan_clients::Answer;

const USAGE: &str = "usage: portolan-clients CLIENT TARGET WHERE [WHAT [CERTIFICATE]]

CLIENT, and what it takes besides a container and an address or path inside:
  PASSWORD: redis redis-cluster fred tokio-postgres sqlx postgres mysql_async mysql ldap3
  NAME CERTIFICATE: tokio-rustls
  NAME: hickory-resolver (WHERE is not used)
  nothing more: memcache-async memcache hyper-util ureq tonic lapin amqprs rumqttc async-nats
  nothing more, WHERE is a path: haproxy bollard";

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(answer) => {
            println!("{}", portolan::Escaped(answer.trim_end().as_bytes()));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Answer {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let argument = |at: usize| arguments.get(at).map(String::as_str).ok_or(USAGE);
    let (client, target, place) = (argument(0)?, argument(1)?, argument(2)?);
    let host = Host::new();
    let target = host.target(target)?;
    let dialer = host.dialer(&target)?;
    let address = || place.parse::<SocketAddr>();
    let answer = match client {
        "redis" => clients::redis_client::ask(&dialer, address()?, argument(3)?).await?,
        "redis-cluster" => clients::redis_cluster::ask(&dialer, address()?, argument(3)?).await?,
        "fred" => clients::fred_client::ask(&dialer, address()?, argument(3)?).await?,
        "tokio-postgres" => clients::tokio_postgres_client::ask(&dialer, address()?, argument(3)?).await?,
        "sqlx" => clients::sqlx_client::ask(&dialer, address()?, argument(3)?).await?,
        "postgres" => {
            let (address, password) = (address()?, argument(3)?.to_owned());
            tokio::task::spawn_blocking(move || clients::postgres_client::ask(&dialer, address, &password))
                .await??
        }
        "mysql_async" => clients::mysql::ask(&dialer, address()?, argument(3)?).await?,
        "mysql" => {
            tokio::task::block_in_place(|| clients::mysql::ask_blocking(&dialer, address()?, argument(3)?))?
        }
        "memcache" => tokio::task::block_in_place(|| clients::memcached::ask_blocking(&dialer, address()?))?,
        "amqprs" => clients::rabbitmq::ask_inside(&dialer, address()?).await?,
        "ldap3" => clients::ldap::ask(&dialer, address()?, argument(3)?).await?,
        "tokio-rustls" => {
            let certificate = std::fs::read(argument(4)?)?;
            clients::tls::ask(&dialer, address()?, argument(3)?, &certificate).await?
        }
        "hickory-resolver" => clients::dns::ask(&host.resolver(&target)?, argument(3)?).await?,
        "memcache-async" => clients::memcached::ask(&dialer, address()?).await?,
        "hyper-util" => clients::hyper_client::ask(&dialer, address()?).await?,
        "ureq" => tokio::task::block_in_place(|| clients::ureq_client::ask(&dialer, address()?))?,
        "tonic" => clients::grpc::ask(&dialer, address()?).await?,
        "lapin" => clients::rabbitmq::ask(&dialer, address()?).await?,
        "rumqttc" => clients::mqtt::ask(&dialer, address()?).await?,
        "async-nats" => clients::nats::ask(&dialer, address()?).await?,
        "haproxy" => tokio::task::block_in_place(|| clients::haproxy::ask(&dialer, place))?,
        "bollard" => clients::docker::ask(&dialer, place).await?,
        _ => return Err(USAGE.into()),
    };
    Ok(answer)
}
