//! How to dial, when the address and the time are not all there is to say.

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};

/// The time that a dial has when nobody says another.
const TIMEOUT: Duration = Duration::from_secs(10);

/// A gigabyte: the kernel takes an `int`, and doubles it.
const LARGEST: usize = 1 << 30;

/// How to dial: how long, and with which options of the socket. They are set before the connection is begun.
///
/// # Example
/// ```no_run
/// use portolan_dial::{DialOptions, Dialer};
/// use std::time::Duration;
///
/// let dialer = Dialer::new(portolan_linux::Process::open(4242)?)?;
/// let options = DialOptions::default().timeout(Duration::from_secs(2)).no_delay();
/// let stream = dialer.connect_with("127.0.0.1:5432".parse()?, &options)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DialOptions {
    timeout: Duration,
    no_delay: bool,
    keep_alive: Option<KeepAlive>,
    send_buffer: Option<usize>,
    receive_buffer: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct KeepAlive {
    idle: u32,
    interval: u32,
    probes: u32,
}

impl Default for DialOptions {
    /// Ten seconds, and the kernel's own defaults.
    fn default() -> Self {
        Self { timeout: TIMEOUT, no_delay: false, keep_alive: None, send_buffer: None, receive_buffer: None }
    }
}

impl DialOptions {
    /// How long the dial may take, all in all. Once the connection stands, it says no more.
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Sends small writes at once (`TCP_NODELAY`).
    #[must_use]
    #[doc(alias = "TCP_NODELAY")]
    pub fn no_delay(self) -> Self {
        Self { no_delay: true, ..self }
    }

    /// Asks a silent peer whether it is still there: after `idle`, every `interval`, and takes it for dead when it
    /// did not answer `probes` times (`tcp(7)`). Whole seconds, at least one; the kernel takes up to 32767 of them
    /// and 127 probes, and more is cut to that.
    #[must_use]
    #[doc(alias = "SO_KEEPALIVE")]
    pub fn keep_alive(self, idle: Duration, interval: Duration, probes: u32) -> Self {
        let seconds = |time: Duration| u32::try_from(time.as_secs()).unwrap_or(u32::MAX).clamp(1, 32_767);
        let (idle, interval, probes) = (seconds(idle), seconds(interval), probes.clamp(1, 127));
        Self { keep_alive: Some(KeepAlive { idle, interval, probes }), ..self }
    }

    /// The size of the send buffer in bytes. The kernel doubles it, and holds it below `net.core.wmem_max`.
    #[must_use]
    #[doc(alias = "SO_SNDBUF")]
    pub fn send_buffer(self, bytes: usize) -> Self {
        Self { send_buffer: Some(bytes.min(LARGEST)), ..self }
    }

    /// The size of the receive buffer in bytes. The kernel doubles it, and holds it below `net.core.rmem_max`.
    #[must_use]
    #[doc(alias = "SO_RCVBUF")]
    pub fn receive_buffer(self, bytes: usize) -> Self {
        Self { receive_buffer: Some(bytes.min(LARGEST)), ..self }
    }

    /// When it is too late; never, for a time that no clock can hold.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        Instant::now().checked_add(self.timeout)
    }

    #[cfg(any(feature = "tokio", feature = "ureq"))]
    pub(crate) fn time(&self) -> Duration {
        self.timeout
    }

    /// For TCP, before it connects: the buffers say how large a window is offered with the first packet.
    pub(crate) fn apply(&self, socket: &impl AsFd) -> nix::Result<()> {
        if self.no_delay {
            setsockopt(socket, sockopt::TcpNoDelay, &true)?;
        }
        if let Some(KeepAlive { idle, interval, probes }) = &self.keep_alive {
            setsockopt(socket, sockopt::KeepAlive, &true)?;
            setsockopt(socket, sockopt::TcpKeepIdle, idle)?;
            setsockopt(socket, sockopt::TcpKeepInterval, interval)?;
            setsockopt(socket, sockopt::TcpKeepCount, probes)?;
        }
        if let Some(bytes) = &self.send_buffer {
            setsockopt(socket, sockopt::SndBuf, bytes)?;
        }
        if let Some(bytes) = &self.receive_buffer {
            setsockopt(socket, sockopt::RcvBuf, bytes)?;
        }
        Ok(())
    }
}
