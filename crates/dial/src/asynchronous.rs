//! Dialing for tokio.
//!
//! The entering is over before the first `await`: no task ever waits in another namespace. Dropping a future closes
//! its socket, and nothing else is left of it.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::{Duration, Instant};

use portolan_linux::ErrorKind;
use tokio::net::{TcpSocket, TcpStream, UdpSocket};
use tokio::time::timeout;

use crate::{DialOptions, Dialer, Result};

/// While a connection takes long, the process is looked at now and then.
const LONG: Duration = Duration::from_millis(50);

impl Dialer {
    /// Connects over TCP, within `timeout`, without holding the thread up. Needs the feature `tokio`, and a runtime
    /// with its I/O and time drivers on.
    ///
    /// # Errors
    /// As [`connect`](Self::connect). A task that a runtime ends with itself is dropped, and its dial with it.
    ///
    /// # Panics
    /// As tokio's own timers do: without a time driver, and when a thread that is not the runtime's waits in
    /// `Handle::block_on` while the runtime ends. Nothing is left of the dial then either.
    ///
    /// # Example
    /// ```no_run
    /// # async fn example(dialer: portolan_dial::Dialer) -> Result<(), Box<dyn std::error::Error>> {
    /// let timeout = std::time::Duration::from_secs(2);
    /// let stream: tokio::net::TcpStream = dialer.connect_async("127.0.0.1:5432".parse()?, timeout).await?;
    /// # Ok(()) }
    /// ```
    pub async fn connect_async(&self, address: SocketAddr, timeout: Duration) -> Result<TcpStream> {
        self.connect_async_with(address, &DialOptions::default().timeout(timeout)).await
    }

    /// The same, with options of the socket.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_async_with(&self, address: SocketAddr, options: &DialOptions) -> Result<TcpStream> {
        let socket = TcpSocket::from_std_stream(self.tcp_socket(address, options)?.into());
        let mut connecting = pin!(socket.connect(address));
        let deadline = Instant::now().checked_add(options.time());
        let stream = loop {
            let left = deadline.map_or(LONG, |deadline| deadline.saturating_duration_since(Instant::now()));
            match timeout(left.min(LONG), connecting.as_mut()).await {
                Ok(connected) => break connected.map_err(|e| self.net(address, e))?,
                Err(_) if deadline.is_some() && left <= LONG => {
                    return Err(self.failed(ErrorKind::Timeout, address));
                }
                // Nobody is left to answer then: its network would be silent for ever.
                Err(_) if self.has_ended() => return Err(self.failed(ErrorKind::TargetGone, address)),
                Err(_) => {}
            }
        };
        self.refuse_self_connection(|| stream.local_addr(), address)?;
        Ok(stream)
    }

    /// A UDP socket that sends to, and receives from, this address only.
    ///
    /// # Errors
    /// As [`udp`](Self::udp).
    #[expect(clippy::unused_async, reason = "a socket of tokio's is made in a task")]
    pub async fn udp_async(&self, address: SocketAddr) -> Result<UdpSocket> {
        self.register(address, self.udp(address)?)
    }

    /// A UDP socket bound to an address of the container; see [`udp_bound`](Self::udp_bound).
    ///
    /// # Errors
    /// As [`udp_bound`](Self::udp_bound).
    #[expect(clippy::unused_async, reason = "a socket of tokio's is made in a task")]
    pub async fn udp_bound_async(&self, local: SocketAddr) -> Result<UdpSocket> {
        self.register(local, self.udp_bound(local)?)
    }

    fn register(&self, address: SocketAddr, socket: std::net::UdpSocket) -> Result<UdpSocket> {
        let registered = socket.set_nonblocking(true).and_then(|()| UdpSocket::from_std(socket));
        registered.map_err(|e| self.net(address, e))
    }
}
