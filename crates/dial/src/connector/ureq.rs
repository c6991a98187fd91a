//! The connector of ureq 3. Its traits are in its module `unversioned`, so that a minor release of it may break this.

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::Instant;

use portolan_linux::ErrorKind;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{ConnectionDetails, Connector, LazyBuffers, NextTimeout, Transport};

use super::goal::Goal;
use super::ureq_transport::InsideTransport;
use crate::{DialOptions, Dialer, Error, Result};

/// Connects ureq inside whenever it asks. It is a resolver as well, one that never asks the host's name servers.
///
/// A proxy of the agent's environment (`HTTP_PROXY`) is not used: it is one of the host's.
///
/// # Example
/// ```no_run
/// # let dialer = portolan_dial::Dialer::new(portolan_linux::Process::open(4242)?)?;
/// let agent = dialer.ureq_connector().agent(ureq::Agent::config_builder().build());
/// let status = agent.get("http://127.0.0.1:8080/status").call()?.body_mut().read_to_string()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
/// For `https` one of ureq's own connectors is chained behind it:
/// ```text
/// let inside = dialer.ureq_connector().to("127.0.0.1:8443".parse()?);
/// let tls = inside.clone().chain(ureq::unversioned::transport::RustlsConnector::default());
/// let agent = ureq::Agent::with_parts(config, tls, inside);
/// ```
#[derive(Debug, Clone)]
pub struct UreqConnector {
    dialer: Dialer,
    options: DialOptions,
    to: Option<SocketAddr>,
}

impl Dialer {
    /// What to give to ureq: see [`UreqConnector`]. Needs the feature `ureq`.
    #[must_use]
    pub fn ureq_connector(&self) -> UreqConnector {
        UreqConnector { dialer: self.clone(), options: DialOptions::default(), to: None }
    }
}

impl UreqConnector {
    /// Connects every URI to this address inside. `Host` headers and TLS names stay those of the URI.
    #[must_use]
    pub fn to(self, address: SocketAddr) -> Self {
        Self { to: Some(address), ..self }
    }

    /// How to dial. The time is that of ureq's configuration where that is shorter, and so is `TCP_NODELAY`.
    #[must_use]
    pub fn options(self, options: DialOptions) -> Self {
        Self { options, ..self }
    }

    /// An agent that makes all its connections inside, without TLS.
    #[must_use]
    pub fn agent(self, config: Config) -> ureq::Agent {
        ureq::Agent::with_parts(config, self.clone(), self)
    }

    fn addresses(&self, uri: &Uri) -> Result<Vec<SocketAddr>> {
        // Not the whole URI, which may have a password in it.
        let pid = self.dialer.process().pid();
        let refused = |reason| Error::authority(pid, uri.host().unwrap_or_default(), reason);
        if let Some(address) = self.to {
            return Ok(vec![address]);
        }
        match Goal::of(uri.scheme_str(), uri.host(), uri.port_u16()).map_err(refused)? {
            Goal::Addresses(list) => Ok(list),
            Goal::Name(..) => Err(refused(super::NAME)),
        }
    }

    fn dial(&self, details: &ConnectionDetails<'_>) -> Result<TcpStream> {
        let timeout = match details.timeout.not_zero() {
            Some(timeout) => self.options.time().min(*timeout),
            None => self.options.time(),
        };
        let deadline = Instant::now().checked_add(timeout);
        let options = if details.config.no_delay() { self.options.no_delay() } else { self.options };
        let mut last = None;
        // By the URI: the addresses in the details are those of a resolver, which may be one of the host.
        for address in self.addresses(details.uri)? {
            let left =
                deadline.map_or(timeout, |deadline| deadline.saturating_duration_since(Instant::now()));
            match self.dialer.connect_with(address, &options.timeout(left)) {
                Err(error) if matches!(error.kind(), ErrorKind::Net(_)) => {
                    last = Some(super::more_telling(last, error));
                }
                other => return other,
            }
        }
        let pid = self.dialer.process().pid();
        Err(last.unwrap_or_else(|| Error::authority(pid, "", "there is no address")))
    }
}

impl<In: Transport> Connector<In> for UreqConnector {
    type Out = InsideTransport;

    /// What an earlier connector of the chain made was made on the host, and is dropped.
    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        _: Option<In>,
    ) -> std::result::Result<Option<InsideTransport>, ureq::Error> {
        let stream = self.dial(details).map_err(|error| match error.kind() {
            ErrorKind::Timeout => ureq::Error::Timeout(details.timeout.reason),
            _ => ureq::Error::Io(error.into()),
        })?;
        let buffers =
            LazyBuffers::new(details.config.input_buffer_size(), details.config.output_buffer_size());
        let transport = InsideTransport::new(stream, buffers);
        (details.register_shutdown)(transport.handle())?;
        Ok(Some(transport))
    }
}

impl Resolver for UreqConnector {
    /// The address that the URI says, so that nobody is asked. The connector does not look at it.
    fn resolve(
        &self,
        uri: &Uri,
        _: &Config,
        _: NextTimeout,
    ) -> std::result::Result<ResolvedSocketAddrs, ureq::Error> {
        let found = self.addresses(uri).map_err(|error| ureq::Error::Io(error.into()))?;
        let mut addresses = ResolvedSocketAddrs::from_fn(|_| (Ipv4Addr::UNSPECIFIED, 0).into());
        found.into_iter().take(16).for_each(|address| addresses.push(address));
        Ok(addresses)
    }
}
