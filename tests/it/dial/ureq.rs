//! ureq, given a connector.

use std::time::{Duration, Instant};

use portolan::Dialer;
use portolan_world::need::Need;
use portolan_world::{World, require};
use ureq::config::Config;

use super::alone::is_alone;
use super::asynchronous::nothing_is_open;
use super::connectors::web;
use super::{Decoy, dialer};
use crate::inside::Inside;
use crate::servers;

fn config(limit: Duration) -> Config {
    ureq::Agent::config_builder().timeout_global(Some(limit)).build()
}

fn agent(dialer: &Dialer) -> ureq::Agent {
    dialer.ureq_connector().agent(config(Duration::from_secs(5)))
}

fn page(agent: &ureq::Agent, uri: &str) -> Result<String, ureq::Error> {
    agent.get(uri).call()?.body_mut().read_to_string()
}

#[test]
fn every_connection_of_an_agent_is_made_inside() {
    require!(Need::Root, Need::Overlay, Need::Program("ss"));
    let host = Decoy::at("127.0.0.1");
    let c = web("ureq", "127.0.0.1", host.port());
    let (dialer, to) = (dialer(&c), host.address());
    let agent = agent(&dialer);
    let uri = |path: &str| format!("http://{to}{path}");
    for path in ["/keep", "/keep", "/close"] {
        assert_eq!(page(&agent, &uri(path)).unwrap(), format!("ureq {to} 1"), "its pool works");
    }
    for n in 2..10 {
        assert_eq!(page(&agent, &uri("/cut")).unwrap(), format!("ureq {to} {n}"));
        // Until its end has come.
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(
        page(&agent, &format!("http://localhost:{}/cut", to.port())).unwrap(),
        format!("ureq localhost:{} 10", to.port())
    );
    let one = dialer.ureq_connector().to(to).agent(config(Duration::from_secs(5)));
    assert_eq!(page(&one, "http://shop.example/close").unwrap(), "ureq shop.example 11");
    drop(one);

    for name in ["shop.example", "127.1"] {
        let error = page(&agent, &format!("http://{name}:{}/", to.port())).unwrap_err().to_string();
        assert!(error.contains("resolver"), "{error}");
    }
    assert!(matches!(page(&agent, &format!("https://{to}/")), Err(ureq::Error::TlsRequired)), "in the clear");
    // A resolver of the host's is not believed: it says where this name is there.
    let connector = dialer.ureq_connector();
    let mixed = ureq::Agent::with_parts(config(Duration::from_secs(5)), connector, HostsOwn);
    let error = page(&mixed, &format!("http://host.example:{}/", to.port())).unwrap_err().to_string();
    assert!(error.contains("resolver"), "{error}");

    c.container.kill();
    for _ in 0..3 {
        let error = page(&agent, &uri("/keep")).unwrap_err().to_string();
        assert!(!error.is_empty());
    }
    assert!(page(&agent, &uri("/keep")).unwrap_err().to_string().contains("gone"));
    host.untouched();
}

/// Says that every name is the host's loopback.
#[derive(Debug)]
struct HostsOwn;

impl ureq::unversioned::resolver::Resolver for HostsOwn {
    fn resolve(
        &self,
        uri: &http::Uri,
        _: &Config,
        _: ureq::unversioned::transport::NextTimeout,
    ) -> Result<ureq::unversioned::resolver::ResolvedSocketAddrs, ureq::Error> {
        let mut all = self.empty();
        all.push(([127, 0, 0, 1], uri.port_u16().unwrap()).into());
        Ok(all)
    }
}

#[test]
fn an_answer_that_drips_and_a_peer_that_takes_a_byte_at_a_time_end_at_the_deadline() {
    require!(Need::Root, Need::Overlay, Need::Program("ss"));
    let c = web("dripping", "127.0.0.1", 7120);
    let limit = Duration::from_millis(500);
    let agent = dialer(&c).ureq_connector().agent(config(limit));
    let late = limit + Duration::from_millis(500);
    let start = Instant::now();
    let outcome = page(&agent, "http://127.0.0.1:7120/drip");
    assert!(matches!(outcome, Err(ureq::Error::Timeout(_))), "{outcome:?}");
    assert!(start.elapsed() >= limit && start.elapsed() < late, "{:?}", start.elapsed());

    let sips = "
import socket, time
listener = socket.socket(); listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
listener.bind(('127.0.0.1', 7121)); listener.listen(8)
print('sipping', flush=True)
connection, _ = listener.accept()
while True: connection.recv(1000); time.sleep(0.02)";
    let c = Inside::start(&servers::python(World::new("sipping"), sips));
    c.wait_log("sipping");
    let agent = dialer(&c).ureq_connector().agent(config(limit));
    let start = Instant::now();
    let outcome = agent.post("http://127.0.0.1:7121/").send(vec![0_u8; 30_000_000]).map(drop);
    assert!(matches!(outcome, Err(ureq::Error::Timeout(_))), "{outcome:?}");
    assert!(start.elapsed() >= limit && start.elapsed() < late, "{:?}", start.elapsed());
    drop(agent);
    nothing_is_open(&c);
}

#[test]
fn a_proxy_of_the_agents_environment_is_not_used() {
    require!(Need::Root, Need::Overlay);
    let here = concat!(module_path!(), "::a_proxy_of_the_agents_environment_is_not_used");
    let set = "export http_proxy=http://127.0.0.1:7131 HTTP_PROXY=http://127.0.0.1:7131 ALL_PROXY=http://127.0.0.1:7131";
    if !is_alone(here, &["sh", "-c", &format!("{set}; exec \"$0\" \"$@\"")]) {
        return;
    }
    let proxy = Decoy::on("127.0.0.1:7131");
    let host = Decoy::at("127.0.0.1");
    let c = web("proxied", "127.0.0.1", host.port());
    let agent = agent(&dialer(&c));
    assert!(agent.config().proxy().is_some(), "or nothing is shown here");
    let to = host.address();
    assert_eq!(page(&agent, &format!("http://{to}/close")).unwrap(), format!("proxied {to} 1"));
    proxy.untouched();
    host.untouched();
}

#[test]
fn a_redirect_leads_nowhere_but_inside() {
    require!(Need::Root, Need::Overlay);
    let (host, metadata) = (Decoy::at("127.0.0.1"), Decoy::at("127.0.0.1"));
    let text = "
import socket, sys
listener = socket.create_server(('127.0.0.1', int(sys.argv[1])))
print('ready', flush=True)
while True:
    connection, _ = listener.accept()
    connection.recv(4096)
    where = b'http://127.0.0.1:' + sys.argv[2].encode() + b'/'
    connection.sendall(b'HTTP/1.1 302 Found\\r\\ncontent-length: 0\\r\\nlocation: ' + where + b'\\r\\n\\r\\n'); connection.close()";
    let ports = [host.port().to_string(), metadata.port().to_string()];
    let c = Inside::start(&servers::script(World::new("redirect"), text, &[&ports[0], &ports[1]]));
    c.wait_log("ready");
    let error =
        page(&agent(&dialer(&c)), &format!("http://127.0.0.1:{}/", ports[0])).unwrap_err().to_string();
    assert!(error.contains("refused"), "{error}");
    // To itself, for ever: ureq's own limit ends it.
    let again = Inside::start(&servers::script(World::new("redirect-loop"), text, &[&ports[0], &ports[0]]));
    again.wait_log("ready");
    assert!(page(&agent(&dialer(&again)), &format!("http://127.0.0.1:{}/", ports[0])).is_err());
    host.untouched();
    metadata.untouched();
}
