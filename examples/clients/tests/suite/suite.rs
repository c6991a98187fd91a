//! Every client in turn, and what each has to hear.

use std::future::Future;
use std::io::Read as _;
use std::net::{TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use portolan_clients as clients;
use portolan_clients::Answer;
use tokio::time::timeout;

use crate::again::Again;
use crate::decoys::{Decoys, UNIX};
use crate::servers::{
    self, AMQP, CLUSTER, ETCD, HTTP, HTTPS, LDAP, MARIADB, MEMCACHED, MQTT, PASSWORD, POSTGRES, REDIS,
    Servers, WEB_NAME, sockets,
};

/// Longer than any of them may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(30);
/// Long enough for a client that goes wrong to get there.
const SHORT: Duration = Duration::from_secs(3);

/// Returns from the test, and says so, unless all that the servers and their containers take is there.
macro_rules! needs {
    ($($need:expr),+) => {
        let mut needs = vec![Need::Root, Need::Program("busybox"), Need::Program("ip"), Need::Program("openssl"), $($need),+];
        needs.extend(crate::servers::PROGRAMS.map(Need::Program));
        fn here() {}
        let test = std::any::type_name_of_val(&here).trim_end_matches("::here");
        if !portolan_world::need::require(test, &needs) {
            return;
        }
    };
}
pub(crate) use needs;

/// What the clients heard.
pub(crate) struct Heard<'a> {
    place: &'a str,
    decoys: &'a Decoys,
    /// Whether the container has ended, and nobody can answer.
    ended: bool,
    wrong: Vec<String>,
}

impl Heard<'_> {
    /// Runs one client.
    pub(crate) async fn ask(&mut self, client: &str, expected: &str, answer: impl Future<Output = Answer>) {
        let start = Instant::now();
        let answer = timeout(LIMIT, answer).await;
        let took = start.elapsed();
        let reached = self.decoys.reached();
        let (heard, right) = match answer {
            Ok(Ok(text)) => (text.trim_end().to_owned(), !self.ended && text.contains(expected)),
            Ok(Err(error)) => (format!("failed: {error}"), self.ended),
            Err(_) => ("it does not end".to_owned(), false),
        };
        println!("{}: {client}: {heard} ({} ms)", self.place, took.as_millis());
        if !right || reached != 0 {
            self.wrong.push(format!("{client}: {heard} (the host was reached {reached} times)"));
        }
    }

    /// The same for a client that blocks.
    async fn ask_blocking(
        &mut self,
        client: &str,
        expected: &str,
        answer: impl FnOnce() -> Answer + Send + 'static,
    ) {
        let answer = async { tokio::task::spawn_blocking(answer).await? };
        self.ask(client, expected, answer).await;
    }
}

/// Runs all clients, also after `end` has ended the container; the host must not have been reached.
pub(crate) fn run(place: &str, servers: &Servers, decoys: &Decoys, end: impl FnOnce()) {
    let start = Instant::now();
    servers.wait();
    println!("{place}: ready after {} ms", start.elapsed().as_millis());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut heard = Heard { place, decoys, ended: false, wrong: Vec::new() };
    runtime.block_on(all(&mut heard, servers));
    let again = runtime.block_on(Again::connect(servers));
    runtime.block_on(again.ask(&mut heard));
    runtime.block_on(again.cut());
    runtime.block_on(again.ask(&mut heard));
    check(&heard);
    runtime.block_on(wrong(servers, decoys));
    end();
    println!("{place}: the container has ended");
    let mut heard = Heard { place, decoys, ended: true, wrong: Vec::new() };
    runtime.block_on(again.ask(&mut heard));
    runtime.block_on(all(&mut heard, servers));
    check(&heard);
    decoys_are_there(servers, decoys);
}

/// That the host was not reached says something only if it can be.
fn decoys_are_there(servers: &Servers, decoys: &Decoys) {
    for (name, port) in servers::PORTS {
        let mut said = String::new();
        TcpStream::connect(servers.at(port)).unwrap().read_to_string(&mut said).unwrap();
        assert!(said.contains("DECOY"), "{name}: {said}");
    }
    for name in UNIX {
        let mut said = String::new();
        let path = format!("{}/{name}.sock", sockets());
        UnixStream::connect(path).unwrap().read_to_string(&mut said).unwrap();
        assert!(said.contains("DECOY"), "{name}: {said}");
    }
    let question = UdpSocket::bind((servers.address, 0)).unwrap();
    question.send_to(b"who is there?", servers.at(servers::DNS)).unwrap();
    assert_eq!(decoys.reached(), servers::PORTS.len() + UNIX.len() + 1);
}

fn check(heard: &Heard<'_>) {
    assert!(heard.wrong.is_empty(), "{}: {:#?}", heard.place, heard.wrong);
    assert_eq!(heard.decoys.reached(), 0);
}

async fn all(heard: &mut Heard<'_>, servers: &Servers) {
    streams(heard, servers).await;
    connectors(heard, servers).await;
    tunnels(heard, servers).await;
    let (dialer, nats) = (&servers.dialer, servers.at(servers::NATS));
    heard.ask("amqprs", "queued", clients::rabbitmq::ask_inside(dialer, servers.at(AMQP))).await;
    let cluster = clients::redis_cluster::ask(dialer, servers.at(CLUSTER), PASSWORD);
    heard.ask("redis, a cluster's client", "stored inside", cluster).await;
    heard.ask("async-nats", "published at inside", clients::nats::ask(dialer, nats)).await;
}

/// Clients that take a stream.
async fn streams(heard: &mut Heard<'_>, servers: &Servers) {
    let (dialer, at) = (&servers.dialer, |port| servers.at(port));
    heard.ask("redis", "a Redis at port 6379", clients::redis_client::ask(dialer, at(REDIS), PASSWORD)).await;
    heard
        .ask("tokio-postgres", "inside", clients::tokio_postgres_client::ask(dialer, at(POSTGRES), PASSWORD))
        .await;
    heard.ask("memcache-async", "stored inside", clients::memcached::ask(dialer, at(MEMCACHED))).await;
    let certificate = servers.file("web.crt");
    heard.ask("tokio-rustls", "inside", clients::tls::ask(dialer, at(HTTPS), WEB_NAME, &certificate)).await;
    heard.ask("ldap3", "dc=inside,dc=test", clients::ldap::ask(dialer, at(LDAP), PASSWORD)).await;
    let (haproxy, path) = (dialer.clone(), format!("{}/haproxy.sock", sockets()));
    heard.ask_blocking("haproxy", "inside", move || clients::haproxy::ask(&haproxy, &path)).await;
}

/// Clients that call for each connection.
async fn connectors(heard: &mut Heard<'_>, servers: &Servers) {
    let (dialer, at) = (&servers.dialer, |port| servers.at(port));
    heard.ask("hyper-util", "inside", clients::hyper_client::ask(dialer, at(HTTP))).await;
    let (ureq, web) = (dialer.clone(), at(HTTP));
    heard.ask_blocking("ureq", "inside", move || clients::ureq_client::ask(&ureq, web)).await;
    let certificate = servers.file("web.crt");
    heard
        .ask("hyper-util, TLS", "inside", clients::hyper_client::ask_tls(dialer, at(HTTPS), &certificate))
        .await;
    let (ureq, web) = (dialer.clone(), at(HTTPS));
    heard
        .ask_blocking("ureq, TLS", "inside", move || clients::ureq_client::ask_tls(&ureq, web, &certificate))
        .await;
    heard.ask("tonic", "stored inside", clients::grpc::ask(dialer, at(ETCD))).await;
    heard.ask("bollard", "Docker", clients::docker::ask(dialer, &format!("{}/docker.sock", sockets()))).await;
    heard.ask("lapin", "queued", clients::rabbitmq::ask(dialer, at(AMQP))).await;
    let found = format!("[{}]", servers.address);
    heard.ask("hickory-resolver", &found, clients::dns::ask(&servers.resolver(), WEB_NAME)).await;
}

/// Clients that take an address of the agent's.
async fn tunnels(heard: &mut Heard<'_>, servers: &Servers) {
    let (dialer, at) = (&servers.dialer, |port| servers.at(port));
    heard.ask("sqlx", "inside", clients::sqlx_client::ask(dialer, at(POSTGRES), PASSWORD)).await;
    let (blocking, postgres) = (dialer.clone(), at(POSTGRES));
    heard
        .ask_blocking("postgres", "inside", move || {
            clients::postgres_client::ask(&blocking, postgres, PASSWORD)
        })
        .await;
    heard.ask("fred", "stored inside", clients::fred_client::ask(dialer, at(REDIS), PASSWORD)).await;
    heard.ask("mysql_async", "agent@%", clients::mysql::ask(dialer, at(MARIADB), PASSWORD)).await;
    let (blocking, mariadb) = (dialer.clone(), at(MARIADB));
    heard
        .ask_blocking("mysql", "agent@%", move || clients::mysql::ask_blocking(&blocking, mariadb, PASSWORD))
        .await;
    let (blocking, memcached) = (dialer.clone(), at(MEMCACHED));
    heard
        .ask_blocking("memcache", "stored inside", move || {
            clients::memcached::ask_blocking(&blocking, memcached)
        })
        .await;
    let by_port = clients::mysql::ask_by_port(dialer, at(MARIADB), PASSWORD, false);
    heard.ask("mysql_async, by a port", "agent@%", by_port).await;
    heard.ask("rumqttc", "published", clients::mqtt::ask(dialer, at(MQTT))).await;
    let certificate = servers.file("web.crt");
    heard.ask("reqwest", "inside", clients::reqwest_client::ask(dialer, at(HTTP), &certificate)).await;
    let url = format!("https://{WEB_NAME}:{HTTPS}/");
    let resolver = servers.resolver();
    let by_name = clients::reqwest_client::ask_by_name(dialer, &resolver, &url, &certificate);
    heard.ask("reqwest, by SOCKS5", "inside", by_name).await;
}

/// What the documentation warns of, done wrong on purpose: the host is reached each time, and the suite sees it.
async fn wrong(servers: &Servers, decoys: &Decoys) {
    let dialer = &servers.dialer;
    let seen = |what: &str, answer: Result<Answer, _>| {
        println!(
            "{what}: {:?}",
            answer.unwrap_or_else(|_: tokio::time::error::Elapsed| Err("it does not end".into()))
        );
        assert_ne!(decoys.reached(), 0, "no decoy sees {what}");
        decoys.forget();
    };
    let mysql = clients::mysql::ask_by_port(dialer, servers.at(MARIADB), PASSWORD, true);
    seen("mysql_async that prefers the socket", timeout(SHORT, mysql).await);
    let cluster = clients::redis_cluster::ask_by_port(dialer, servers.at(CLUSTER), PASSWORD);
    seen("a cluster's client by one port", timeout(SHORT, cluster).await);
}
