//! The connector of hyper-util, tonic, kube, clickhouse, bollard and etcd-client: a `tower_service::Service<Uri>`.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use http::Uri;
use hyper_util::rt::TokioIo;
use portolan_linux::ErrorKind;
use tokio::net::{TcpStream, UnixStream};
use tower_service::Service;

use super::goal::Goal;
#[cfg(feature = "dns")]
use crate::Resolver;
use crate::{DialOptions, Dialer, Error, Result};

/// Connects a client inside whenever it asks, with the TCP stream that hyper's users agree on.
///
/// What comes out is plain TCP whatever the URI's scheme is: TLS is the business of the client, or of a layer around
/// this (as `hyper_rustls::HttpsConnector`), which takes the name to verify from the URI.
///
/// # Example
/// A client of hyper-util's that keeps a pool, and whose every connection is born inside:
/// ```no_run
/// # async fn example(dialer: portolan_dial::Dialer) -> Result<(), Box<dyn std::error::Error>> {
/// use http_body_util::Empty;
/// use hyper_util::client::legacy::Client;
/// use hyper_util::rt::TokioExecutor;
///
/// let connector = dialer.connector().to("127.0.0.1:8080".parse()?);
/// let client = Client::builder(TokioExecutor::new()).build::<_, Empty<&[u8]>>(connector);
/// let answer = client.get("http://shop.example/health".parse()?).await?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Connector {
    dialer: Dialer,
    options: DialOptions,
    to: Option<SocketAddr>,
    #[cfg(feature = "dns")]
    resolver: Option<Resolver>,
}

/// The same over a Unix socket inside; made by [`Connector::to_unix`].
#[derive(Debug, Clone)]
pub struct UnixConnector {
    dialer: Dialer,
    options: DialOptions,
    path: Arc<Path>,
}

/// A connection on its way. Dropping it leaves nothing.
pub struct Connecting<S>(Pin<Box<dyn Future<Output = Result<TokioIo<S>>> + Send>>);

impl Dialer {
    /// What to give to a client that takes a connector: see [`Connector`]. Needs the feature `tower`.
    ///
    /// It sends small writes at once (`TCP_NODELAY`), and each dial may take ten seconds, unless
    /// [`options`](Connector::options) says otherwise.
    #[must_use]
    pub fn connector(&self) -> Connector {
        Connector {
            dialer: self.clone(),
            options: DialOptions::default().no_delay(),
            to: None,
            #[cfg(feature = "dns")]
            resolver: None,
        }
    }
}

impl Connector {
    /// Connects every URI to this address inside. `Host` headers and TLS names stay those of the URI.
    #[must_use]
    pub fn to(self, address: SocketAddr) -> Self {
        Self { to: Some(address), ..self }
    }

    /// Connects every URI to this Unix socket inside; a name that begins with `@` is abstract.
    #[must_use]
    pub fn to_unix(self, path: impl Into<PathBuf>) -> UnixConnector {
        UnixConnector { dialer: self.dialer, options: self.options, path: path.into().into() }
    }

    /// How to dial.
    #[must_use]
    pub fn options(self, options: DialOptions) -> Self {
        Self { options, ..self }
    }

    /// Looks names up by this, instead of refusing them. Needs the feature `dns`.
    #[cfg(feature = "dns")]
    #[must_use]
    pub fn resolver(self, resolver: Resolver) -> Self {
        Self { resolver: Some(resolver), ..self }
    }

    async fn connect(self, uri: Uri) -> Result<TokioIo<TcpStream>> {
        let deadline = self.options.deadline();
        let addresses = self.addresses(&uri).await?;
        let mut left = addresses.len();
        let mut last = None;
        for address in addresses {
            // What is left of the time is shared among what is left to try.
            let time = deadline.map_or(self.options.time(), |d| d.saturating_duration_since(Instant::now()));
            let options =
                self.options.timeout(time.checked_div(u32::try_from(left).unwrap_or(1)).unwrap_or(time));
            left = left.saturating_sub(1);
            match self.dialer.connect_async_with(address, &options).await {
                Ok(stream) => return Ok(TokioIo::new(stream)),
                Err(error) if matches!(error.kind(), ErrorKind::Net(_) | ErrorKind::Timeout) => {
                    last = Some(super::more_telling(last, error));
                }
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| self.refused(&uri, "the name has no address")))
    }

    async fn addresses(&self, uri: &Uri) -> Result<Vec<SocketAddr>> {
        if let Some(address) = self.to {
            return Ok(vec![address]);
        }
        let goal = Goal::of(uri.scheme_str(), uri.host(), uri.port_u16());
        match goal.map_err(|reason| self.refused(uri, reason))? {
            Goal::Addresses(list) => Ok(list),
            #[cfg(feature = "dns")]
            Goal::Name(name, port) if self.resolver.is_some() => {
                let Some(resolver) = &self.resolver else { return Ok(Vec::new()) };
                let found = resolver.lookup(&name, self.options.time()).await?;
                Ok(found.into_iter().map(|ip| SocketAddr::new(ip, port)).collect())
            }
            Goal::Name(..) => Err(self.refused(uri, super::NAME)),
        }
    }

    fn refused(&self, uri: &Uri, reason: &'static str) -> Error {
        // Not the whole URI, which may have a password in it.
        Error::authority(self.dialer.process().pid(), uri.host().unwrap_or_default(), reason)
    }
}

impl Service<Uri> for Connector {
    type Response = TokioIo<TcpStream>;
    type Error = Error;
    type Future = Connecting<TcpStream>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Connecting(Box::pin(self.clone().connect(uri)))
    }
}

impl UnixConnector {
    async fn connect(self) -> Result<TokioIo<UnixStream>> {
        self.dialer.unix_async(&self.path, self.options.time()).await.map(TokioIo::new)
    }
}

impl Service<Uri> for UnixConnector {
    type Response = TokioIo<UnixStream>;
    type Error = Error;
    type Future = Connecting<UnixStream>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        Connecting(Box::pin(self.clone().connect()))
    }
}

impl<S> Future for Connecting<S> {
    type Output = Result<TokioIo<S>>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl<S> fmt::Debug for Connecting<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connecting").finish_non_exhaustive()
    }
}
