//! The dialer and its blocking doors.

use std::io;
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{SockaddrIn, SockaddrIn6, bind, connect, getsockopt, sockopt};
use portolan_linux::error::NetError;
use portolan_linux::netns::SocketKind;
use portolan_linux::{Entrance, ErrorKind, Home, NamespaceId, Process};

use crate::{DialOptions, Error, Result};

/// Makes connections inside one container's network namespace.
///
/// It is cheap to clone, and can be shared between threads and tasks. It holds the process that it was made from,
/// not its namespace: once that process has ended, every dial answers
/// [`TargetGone`](portolan_linux::ErrorKind::TargetGone).
#[derive(Debug, Clone)]
pub struct Dialer {
    entrance: Arc<Entrance>,
}

impl Dialer {
    /// A dialer into the network namespace of a process.
    ///
    /// # Errors
    /// [`NamespaceMismatch`](ErrorKind::NamespaceMismatch) when the process shares the network of the calling
    /// thread: "inside" would be the host, where the same address is another service (see
    /// [`allowing_host_network`](Self::allowing_host_network)). [`TargetGone`](ErrorKind::TargetGone);
    /// [`MissingPrivilege`](ErrorKind::MissingPrivilege) without `CAP_SYS_PTRACE` over the process;
    /// [`Unsupported`](ErrorKind::Unsupported) for a kernel thread.
    pub fn new(process: Process) -> Result<Self> {
        Self::with(process, false)
    }

    /// The same, also for a process that shares the host's network.
    ///
    /// # Errors
    /// As [`new`](Self::new), but for `NamespaceMismatch`.
    pub fn allowing_host_network(process: Process) -> Result<Self> {
        Self::with(process, true)
    }

    fn with(process: Process, host_network: bool) -> Result<Self> {
        let pid = process.pid();
        let linux = |e| Error::linux(pid, e);
        let entrance = Entrance::of(process).map_err(linux)?;
        if !host_network && entrance.id() == Home::here().map_err(linux)?.id() {
            return Err(Error::host_network(pid));
        }
        Ok(Self { entrance: Arc::new(entrance) })
    }

    /// The network namespace that is dialed into.
    #[must_use]
    pub fn netns(&self) -> NamespaceId {
        self.entrance.id()
    }

    /// The process by which the namespace is found.
    #[must_use]
    pub fn process(&self) -> &Process {
        self.entrance.process()
    }

    /// Connects over TCP, within `timeout`.
    ///
    /// The address means what it means inside: `127.0.0.1` is the container's own loopback, the scope of an IPv6
    /// address the container's interface number. The stream is blocking, and stays usable after the container is
    /// gone, until its peer is. It never connects again by itself: dial anew for another.
    ///
    /// # Errors
    /// [`Net`](ErrorKind::Net) with [`Refused`](NetError::Refused) or [`Unreachable`](NetError::Unreachable) (also
    /// when the loopback is down), [`Timeout`](ErrorKind::Timeout), [`TargetGone`](ErrorKind::TargetGone) (also
    /// when the process ends while it is dialed), [`TargetChanged`](ErrorKind::TargetChanged),
    /// [`MissingPrivilege`](ErrorKind::MissingPrivilege) without `CAP_SYS_ADMIN` over the namespace,
    /// [`Limit`](ErrorKind::Limit) when this process has no descriptor left.
    pub fn connect(&self, address: SocketAddr, timeout: Duration) -> Result<TcpStream> {
        self.connect_with(address, &DialOptions::default().timeout(timeout))
    }

    /// The same, with options of the socket.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn connect_with(&self, address: SocketAddr, options: &DialOptions) -> Result<TcpStream> {
        let deadline = options.deadline();
        let socket = self.tcp_socket(address, options)?;
        let begin = || match address {
            SocketAddr::V4(v4) => connect(socket.as_raw_fd(), &SockaddrIn::from(v4)),
            SocketAddr::V6(v6) => connect(socket.as_raw_fd(), &SockaddrIn6::from(v6)),
        };
        let connected = match begin() {
            // Over a loopback the handshake is over by now, and asking again says so at a fifth of poll's price.
            Err(nix::Error::EINPROGRESS) => begin(),
            other => other,
        };
        match connected {
            Ok(()) => {}
            Err(nix::Error::EALREADY | nix::Error::EINPROGRESS | nix::Error::EINTR) => {
                self.wait_connected(&socket, address, deadline)?;
            }
            Err(errno) => return Err(self.net(address, errno.into())),
        }
        let stream = TcpStream::from(socket);
        self.refuse_self_connection(|| stream.local_addr(), address)?;
        stream.set_nonblocking(false).map_err(|e| self.net(address, e))?;
        Ok(stream)
    }

    /// A UDP socket that sends to, and receives from, this address only.
    ///
    /// # Errors
    /// As [`connect`](Self::connect); that nobody listens shows only when data was sent.
    pub fn udp(&self, address: SocketAddr) -> Result<UdpSocket> {
        let socket = self.udp_socket(address)?;
        socket.connect(address).map_err(|e| self.net(address, e))?;
        socket.set_nonblocking(false).map_err(|e| self.net(address, e))?;
        Ok(socket)
    }

    /// A UDP socket bound to an address of the container, for a protocol that sends to several peers or looks at
    /// where an answer comes from by itself. Port 0 is any free port; `0.0.0.0:0` and `[::]:0` are always there.
    ///
    /// It receives from whoever sends to it. Who has one peer is better off with [`udp`](Self::udp).
    ///
    /// # Errors
    /// As [`connect`](Self::connect); [`Net`](ErrorKind::Net) when the address is not the container's, or taken.
    pub fn udp_bound(&self, local: SocketAddr) -> Result<UdpSocket> {
        let socket = self.udp_socket(local)?;
        let bound = match local {
            SocketAddr::V4(v4) => bind(socket.as_raw_fd(), &SockaddrIn::from(v4)),
            SocketAddr::V6(v6) => bind(socket.as_raw_fd(), &SockaddrIn6::from(v6)),
        };
        bound.map_err(|errno| self.net(local, errno.into()))?;
        socket.set_nonblocking(false).map_err(|e| self.net(local, e))?;
        Ok(socket)
    }

    /// A TCP socket of the container, not yet connected, non-blocking.
    pub(crate) fn tcp_socket(&self, address: SocketAddr, options: &DialOptions) -> Result<OwnedFd> {
        let kind = if address.is_ipv4() { SocketKind::Tcp4 } else { SocketKind::Tcp6 };
        let socket = self.socket(kind)?;
        options.apply(&socket).map_err(|errno| self.net(address, errno.into()))?;
        Ok(socket)
    }

    /// A UDP socket of the container, for addresses of this one's family, non-blocking.
    fn udp_socket(&self, address: SocketAddr) -> Result<UdpSocket> {
        let kind = if address.is_ipv4() { SocketKind::Udp4 } else { SocketKind::Udp6 };
        self.socket(kind).map(UdpSocket::from)
    }

    pub(crate) fn socket(&self, kind: SocketKind) -> Result<OwnedFd> {
        self.entrance.socket(kind).map_err(|e| Error::linux(self.process().pid(), e))
    }

    fn wait_connected(&self, socket: &OwnedFd, address: SocketAddr, deadline: Option<Instant>) -> Result<()> {
        let process = self.process().pidfd().map_err(|e| Error::linux(self.process().pid(), e))?;
        loop {
            let left = match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => PollTimeout::MAX,
                Some(Duration::ZERO) => return Err(self.failed(ErrorKind::Timeout, address)),
                // Rounded up, so that the last part of a millisecond is not polled away.
                Some(left) => PollTimeout::try_from(left.saturating_add(Duration::from_micros(999)))
                    .unwrap_or(PollTimeout::MAX),
            };
            let mut waited = [
                PollFd::new(socket.as_fd(), PollFlags::POLLOUT),
                // Nobody is left to answer when the process has ended: its network would be silent for ever.
                PollFd::new(process, PollFlags::POLLIN),
            ];
            match poll(&mut waited, left) {
                Ok(0) | Err(nix::Error::EINTR) => {}
                Ok(_) if waited.first().and_then(PollFd::any) == Some(true) => break,
                Ok(_) => return Err(self.failed(ErrorKind::TargetGone, address)),
                Err(errno) => return Err(self.net(address, errno.into())),
            }
        }
        match getsockopt(socket, sockopt::SocketError) {
            Ok(0) => Ok(()),
            Ok(errno) => Err(self.net(address, io::Error::from_raw_os_error(errno))),
            Err(errno) => Err(self.net(address, errno.into())),
        }
    }

    /// A loopback port on which nobody listens can be given to the dialing socket itself, which then talks to
    /// itself (TCP's simultaneous open). That is nobody.
    pub(crate) fn refuse_self_connection(
        &self,
        local: impl Fn() -> io::Result<SocketAddr>,
        address: SocketAddr,
    ) -> Result<()> {
        /// The kernel's default for the first port that it gives out (`ip_local_port_range` in `ip(7)`).
        const FIRST_GIVEN: u16 = 32768;
        let possible = address.port() >= FIRST_GIVEN && address.ip().is_loopback();
        if possible && local().is_ok_and(|local| local == address) {
            return Err(self.failed(ErrorKind::Net(NetError::Refused), address));
        }
        Ok(())
    }

    pub(crate) fn failed(&self, kind: ErrorKind, address: SocketAddr) -> Error {
        Error::of_kind(kind, self.process().pid(), address)
    }

    /// The network said no; or the process has ended meanwhile, which says why.
    pub(crate) fn net(&self, address: SocketAddr, source: io::Error) -> Error {
        let error = Error::net(self.process().pid(), address, source);
        if self.has_ended() { error.with_kind(ErrorKind::TargetGone) } else { error }
    }

    /// Whether the process has ended, zombie or not. It takes no descriptor, of which none may be left.
    pub(crate) fn has_ended(&self) -> bool {
        let Ok(process) = self.process().pidfd() else { return false };
        // Readable then (`pidfd_open(2)`).
        poll(&mut [PollFd::new(process, PollFlags::POLLIN)], PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
    }
}
