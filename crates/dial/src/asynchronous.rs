//! Dialing for tokio.

use std::net::SocketAddr;
use std::time::Duration;

use portolan_linux::ErrorKind;
use tokio::net::{TcpSocket, TcpStream};

use crate::{Dialer, Result};

impl Dialer {
    /// Connects over TCP, within `timeout`, without holding the thread up. Needs the feature `tokio`, and a runtime
    /// with its I/O and time drivers on.
    ///
    /// The entering is over before the first `await`: no task ever waits in another namespace. Dropping the future
    /// closes the socket.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    ///
    /// # Example
    /// ```no_run
    /// # async fn example(dialer: portolan_dial::Dialer) -> Result<(), Box<dyn std::error::Error>> {
    /// let timeout = std::time::Duration::from_secs(2);
    /// let stream: tokio::net::TcpStream = dialer.connect_async("127.0.0.1:5432".parse()?, timeout).await?;
    /// # Ok(()) }
    /// ```
    pub async fn connect_async(&self, address: SocketAddr, timeout: Duration) -> Result<TcpStream> {
        let socket = TcpSocket::from_std_stream(std::net::TcpStream::from(self.tcp_socket(address)?));
        let stream = match tokio::time::timeout(timeout, socket.connect(address)).await {
            Ok(connected) => connected.map_err(|e| self.net(address, e))?,
            Err(_) => return Err(self.failed(ErrorKind::Timeout, address)),
        };
        self.refuse_self_connection(|| stream.local_addr(), address)?;
        Ok(stream)
    }
}
