//! `ureq`: calls us for each connection, and blocks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use portolan_dial::Dialer;
use tokio_rustls::rustls::crypto::ring;
use ureq::Agent;
use ureq::tls::{Certificate, TlsConfig};
use ureq::unversioned::transport::{Connector as _, RustlsConnector};

use crate::Answer;

/// How much is taken of what the other side says, and for how long.
const MOST: u64 = 64 * 1024;
const LIMIT: Duration = Duration::from_secs(5);

/// A page.
///
/// # Errors
/// When it cannot be dialed, or does not answer as a web server.
pub fn ask(dialer: &Dialer, address: SocketAddr) -> Answer {
    let config = Agent::config_builder().timeout_global(Some(LIMIT)).build();
    let agent = dialer.ureq_connector().to(address).agent(config);
    get(&agent, "http://web.inside.test/")
}

/// A page over HTTPS. The name in the URI is the one that the certificate has to bear.
///
/// # Errors
/// As [`ask`], and when it is another server.
pub fn ask_tls(dialer: &Dialer, address: SocketAddr, certificate: &[u8]) -> Answer {
    let tls = TlsConfig::builder().root_certs([Certificate::from_pem(certificate)?].into());
    let tls = tls.unversioned_rustls_crypto_provider(Arc::new(ring::default_provider())).build();
    let config = Agent::config_builder().timeout_global(Some(LIMIT)).tls_config(tls).build();
    let inside = dialer.ureq_connector().to(address);
    let agent = Agent::with_parts(config, inside.clone().chain(RustlsConnector::default()), inside);
    get(&agent, "https://web.inside.test/")
}

fn get(agent: &Agent, uri: &str) -> Answer {
    Ok(agent.get(uri).call()?.body_mut().with_config().limit(MOST).read_to_string()?)
}
