//! `tokio-rustls`, and whatever else does TLS over a stream.
//!
//! The name that the certificate has to bear is ours to give: an address that was dialed is none.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use portolan_dial::Dialer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::{Answer, Error};

/// How much is taken of what the other side says.
const MOST: u64 = 64 * 1024;

/// What trusts one certificate, given as PEM, and no other.
///
/// # Errors
/// When it is no certificate.
pub fn trusting(certificate: &[u8]) -> Result<ClientConfig, Error> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(certificate)?)?;
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

/// A page over HTTPS, with the certificate of the server that is meant.
///
/// # Errors
/// When it cannot be dialed, or is another.
pub async fn ask(dialer: &Dialer, address: SocketAddr, name: &str, certificate: &[u8]) -> Answer {
    let stream = dialer.connect_async(address, Duration::from_secs(2)).await?;
    let tls = TlsConnector::from(Arc::new(trusting(certificate)?));
    let mut stream = tls.connect(ServerName::try_from(name.to_owned())?, stream).await?;
    let request = format!("GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.take(MOST).read_to_string(&mut answer).await?;
    Ok(answer.rsplit("\r\n\r\n").next().unwrap_or_default().to_owned())
}
