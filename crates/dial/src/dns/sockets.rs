//! Sockets for hickory that were born inside.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::time::Duration;

use hickory_resolver::net::runtime::iocompat::AsyncIoTokioAsStd;
use hickory_resolver::net::runtime::{RuntimeProvider, TokioHandle, TokioRuntimeProvider, TokioTime};
use tokio::net::{TcpStream, UdpSocket};

use crate::Dialer;

/// How long a name server may take to answer a connection, when hickory says nothing of it.
const TIMEOUT: Duration = Duration::from_secs(5);

/// hickory's `RuntimeProvider`: whatever it asks, it asks from inside.
///
/// Give it to `hickory_resolver::Resolver::builder_with_config`. The builder without a configuration reads the host's
/// files, and so does a configured one unless its options say `use_hosts_file = ResolveHosts::Never`;
/// [`Resolver`](crate::Resolver) has both right.
#[derive(Clone)]
pub struct InsideSockets {
    dialer: Dialer,
    tokio: TokioRuntimeProvider,
}

impl InsideSockets {
    /// Sockets of this dialer's.
    #[must_use]
    pub fn new(dialer: Dialer) -> Self {
        Self { dialer, tokio: TokioRuntimeProvider::new() }
    }
}

type Coming<T> = Pin<Box<dyn Send + Future<Output = io::Result<T>>>>;

impl RuntimeProvider for InsideSockets {
    type Handle = TokioHandle;
    type Timer = TokioTime;
    type Udp = UdpSocket;
    type Tcp = AsyncIoTokioAsStd<TcpStream>;

    fn create_handle(&self) -> TokioHandle {
        self.tokio.create_handle()
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        local: Option<SocketAddr>,
        wait: Option<Duration>,
    ) -> Coming<Self::Tcp> {
        let dialer = self.dialer.clone();
        Box::pin(async move {
            if local.is_some() {
                return Err(io::Error::new(io::ErrorKind::Unsupported, "a local address of a name server's"));
            }
            let stream = dialer.connect_async(server, wait.unwrap_or(TIMEOUT)).await?;
            Ok(AsyncIoTokioAsStd(stream))
        })
    }

    fn bind_udp(&self, local: SocketAddr, _: SocketAddr) -> Coming<UdpSocket> {
        let dialer = self.dialer.clone();
        Box::pin(async move { Ok(dialer.udp_bound_async(local).await?) })
    }
}

impl std::fmt::Debug for InsideSockets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InsideSockets").field("dialer", &self.dialer).finish_non_exhaustive()
    }
}
