//! The resolver of one container.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::net::NetError as DnsError;
use portolan_linux::ErrorKind;
use portolan_linux::error::NetError;

use super::hosts::Hosts;
use super::{InsideSockets, conf};
use crate::{Dialer, Error, Result, loopback};

/// A longer text is no name (RFC 1035, 2.3.4).
const LONGEST: usize = 255;
/// More addresses of one name are not given.
const ADDRESSES: usize = 64;

/// Resolves names as one container has them: by its hosts file, and by its name servers, asked from inside.
///
/// It is cheap to clone. It keeps answers for as long as they allow, and neither the container's namespace nor, while
/// nothing is asked over TCP, a socket in it. What the files said when it was made stays: make another when they
/// change.
///
/// # Example
/// ```no_run
/// # async fn example(dialer: portolan_dial::Dialer, files: (Vec<u8>, Vec<u8>)) -> Result<(), portolan_dial::Error> {
/// # let (resolv_conf, hosts) = files;
/// // The bytes of the container's /etc/resolv.conf and /etc/hosts; `portolan::Host::resolver` reads them.
/// let resolver = portolan_dial::Resolver::new(&dialer, &resolv_conf, &hosts)?;
/// for address in resolver.lookup("db", std::time::Duration::from_secs(2)).await? {
///     println!("{address}");
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Resolver {
    shared: Arc<Shared>,
}

struct Shared {
    dialer: Dialer,
    hosts: Hosts,
    servers: hickory_resolver::Resolver<InsideSockets>,
    /// Whether there is a name server at all.
    any: bool,
}

impl Resolver {
    /// A resolver by the texts of the container's `/etc/resolv.conf` and `/etc/hosts`, either of which may be empty.
    /// What cannot be read in them is passed over.
    ///
    /// # Errors
    /// When hickory does not like what it was given; none is known.
    pub fn new(dialer: &Dialer, resolv_conf: &[u8], hosts: &[u8]) -> Result<Self> {
        let (config, options) = conf::parse(resolv_conf);
        let any = !config.name_servers().is_empty();
        let sockets = InsideSockets::new(dialer.clone());
        let servers = hickory_resolver::Resolver::builder_with_config(config, sockets)
            .with_options(options)
            .build()
            .map_err(|error| failed(dialer, "/etc/resolv.conf", &error))?;
        let shared = Shared { dialer: dialer.clone(), hosts: Hosts::parse(hosts), servers, any };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// The addresses of a name, at least one, within `timeout`. An address is its own. A scheme's or service's port is
    /// not its business.
    ///
    /// A relative name is tried with the container's search list. Needs a runtime of tokio's with I/O and time on.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) when there is no such name or it has no address,
    /// [`InvalidInput`](ErrorKind::InvalidInput) when it cannot be a name, [`Timeout`](ErrorKind::Timeout),
    /// [`TargetGone`](ErrorKind::TargetGone), and [`Net`](ErrorKind::Net) when no name server can be asked.
    pub async fn lookup(&self, name: &str, timeout: Duration) -> Result<Vec<IpAddr>> {
        let Shared { dialer, hosts, servers, any } = &*self.shared;
        if let Ok(address) = name.parse() {
            return Ok(vec![address]);
        }
        if let Some(known) = hosts.get(name) {
            return Ok(known.to_vec());
        }
        if loopback::is_meant(name) {
            return Ok(loopback::ADDRESSES.into());
        }
        let error = |kind, said: &str| Error::lookup(kind, dialer.process().pid(), name, said.to_owned());
        if name.is_empty() || name.len() > LONGEST {
            return Err(error(ErrorKind::InvalidInput, "no name is that long or short"));
        }
        if !any {
            return Err(error(ErrorKind::Net(NetError::Other), "it has no name server that can be asked"));
        }
        let found = tokio::time::timeout(timeout, servers.lookup_ip(name)).await;
        let found = found.map_err(|_| error(ErrorKind::Timeout, "no answer in time"))?;
        let found: Vec<IpAddr> =
            found.map_err(|error| failed(dialer, name, &error))?.iter().take(ADDRESSES).collect();
        if found.is_empty() { Err(error(ErrorKind::NotFound, "it has no address")) } else { Ok(found) }
    }

    /// hickory's own resolver, for other records than addresses (`SRV`, `TXT`). It knows nothing of the hosts file.
    #[must_use]
    pub fn servers(&self) -> &hickory_resolver::Resolver<InsideSockets> {
        &self.shared.servers
    }
}

fn failed(dialer: &Dialer, name: &str, error: &DnsError) -> Error {
    let kind = match error {
        _ if dialer.has_ended() => ErrorKind::TargetGone,
        DnsError::Timeout => ErrorKind::Timeout,
        error if error.is_nx_domain() || error.is_no_records_found() => ErrorKind::NotFound,
        _ => ErrorKind::Net(NetError::Other),
    };
    Error::lookup(kind, dialer.process().pid(), name, error.to_string())
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resolver").field("dialer", &self.shared.dialer).finish_non_exhaustive()
    }
}
