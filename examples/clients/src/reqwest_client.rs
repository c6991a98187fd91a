//! `reqwest`: takes neither a stream nor a connector of ours, but a Unix socket or a SOCKS5 proxy.
//!
//! For one service the Unix socket is the better way: nobody else can use it. SOCKS5 is for clients that follow
//! addresses and names which the services give them: Kafka, replica sets, clusters. What goes through a proxy must be
//! `socks5h`: with `socks5` the client resolves names itself, by the host's name servers.

use std::fs::File;
use std::io::Read as _;
use std::net::SocketAddr;
use std::time::Duration;

use portolan_dial::tunnel::Socks;
use portolan_dial::{Dialer, Resolver};
use reqwest::{Client, ClientBuilder, Proxy};

use crate::{Answer, tls};

const LIMIT: Duration = Duration::from_secs(5);

/// A page over a tunnel's Unix socket.
///
/// # Errors
/// When it cannot be dialed, or does not answer as a web server.
pub async fn ask(dialer: &Dialer, address: SocketAddr, certificate: &[u8]) -> Answer {
    let tunnel = dialer.tunnel(address).start()?;
    let client = client(certificate)?.unix_socket(tunnel.address().to_string()).build()?;
    let page = client.get("http://web.inside.test/").send().await?.error_for_status()?.text().await?;
    tunnel.close().await;
    Ok(page)
}

/// A page over HTTPS, whose name the container's own name server knows, over SOCKS5.
///
/// # Errors
/// When it cannot be dialed, does not answer as a web server, or is another.
pub async fn ask_by_name(dialer: &Dialer, resolver: &Resolver, url: &str, certificate: &[u8]) -> Answer {
    let resolver = resolver.clone();
    let names = move |name: String| {
        let resolver = resolver.clone();
        async move { resolver.lookup(&name, LIMIT).await }
    };
    // A port is open to every user of this host; the password makes it ours.
    let secret = secret()?;
    let tunnel = dialer.tunnel(Socks::new().credentials("agent", &secret).resolver(names)).port(0).start()?;
    let proxy = Proxy::all(format!("socks5h://{}", tunnel.address()))?.basic_auth("agent", &secret);
    let client = client(certificate)?.proxy(proxy).build()?;
    let page = client.get(url).send().await?.error_for_status()?.text().await?;
    tunnel.close().await;
    Ok(page)
}

/// A client that trusts one certificate, and takes no proxy from the environment: that would be one of the host's.
fn client(certificate: &[u8]) -> Result<ClientBuilder, crate::Error> {
    Ok(Client::builder().no_proxy().timeout(LIMIT).tls_backend_preconfigured(tls::trusting(certificate)?))
}

/// Sixteen bytes that nobody can guess (`urandom(4)`).
fn secret() -> std::io::Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")?.read_exact(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_ne_bytes(bytes)))
}
