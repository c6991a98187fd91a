//! How a tunnel is to be.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::counters::Ledger;
use super::handle::{Tunnel, TunnelThread};
use super::listener::Listener;
use super::place::{Place, Wanted};
use super::serve::{self, Shared};
use super::{Destination, End};
use crate::{Dialer, Error, Result};

/// How a tunnel is to be, before it is started. Made by [`Dialer::tunnel`].
#[derive(Debug, Clone)]
#[must_use = "nothing listens before it is started"]
pub struct Builder {
    dialer: Dialer,
    destination: Destination,
    wanted: Wanted,
    users: Vec<u32>,
    limit: usize,
    connect_timeout: Duration,
    idle_timeout: Option<Duration>,
}

impl Builder {
    /// Connections that may be open at once, unless said otherwise.
    pub const LIMIT: usize = 256;
    /// How long a dial may take, unless said otherwise.
    pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

    pub(super) fn new(dialer: Dialer, destination: Destination) -> Self {
        Self {
            dialer,
            destination,
            wanted: Wanted::Own("socket".into()),
            users: Vec::new(),
            limit: Self::LIMIT,
            connect_timeout: Self::CONNECT_TIMEOUT,
            idle_timeout: None,
        }
    }

    /// Listens on a Unix socket of this name, in a new directory of its own, below `$XDG_RUNTIME_DIR` if that is set
    /// and ours alone, else below `/run`. The default; the name is `socket` unless said otherwise.
    ///
    /// Some clients want a certain name: PostgreSQL's is `.s.PGSQL.5432`, and takes the directory as its host.
    pub fn file_name(mut self, name: impl Into<OsString>) -> Self {
        self.wanted = Wanted::Own(name.into());
        self
    }

    /// Listens on a Unix socket at this path, which must not exist, and at most 107 bytes long.
    ///
    /// If its directory does not exist, it is made with mode 0700, and removed in the end. One in which any user may
    /// replace the files of others (writable by all without the sticky bit) is refused.
    pub fn unix(mut self, path: impl Into<PathBuf>) -> Self {
        self.wanted = Wanted::Path(path.into());
        self
    }

    /// Listens on this port of 127.0.0.1; 0 is one that is free, see [`Tunnel::address`].
    ///
    /// **Any user and program of this host can use it**, and with it reach what the container keeps on its loopback;
    /// the kernel does not say who connects. Only [`Socks`](super::Socks) can ask for a password.
    pub fn port(mut self, port: u16) -> Self {
        self.wanted = Wanted::Port(port);
        self
    }

    /// Lets this user use the Unix socket too. Users are those of the agent's user namespace (`SO_PEERCRED` in
    /// `unix(7)`).
    ///
    /// The directory of its own has mode 0711 and the socket 0666 then: who connects is asked of the kernel, and
    /// others get nothing but the end.
    pub fn allow_user(mut self, uid: u32) -> Self {
        self.users.push(uid);
        self
    }

    /// How many connections may be open at once, at least 1; [`LIMIT`](Self::LIMIT) unless said otherwise. What comes
    /// over it is closed at once. Each costs about 32 KiB and two descriptors.
    pub fn limit(mut self, connections: usize) -> Self {
        self.limit = connections.clamp(1, tokio::sync::Semaphore::MAX_PERMITS);
        self
    }

    /// How long a dial inside may take; and, with SOCKS5, how long a client may take to say what it wants, and a name
    /// to be resolved. [`CONNECT_TIMEOUT`](Self::CONNECT_TIMEOUT) unless said otherwise.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Closes connections over which nothing came for this long, either way. Without it, they are left open: pools
    /// keep connections that rest.
    pub fn idle_timeout(mut self, timeout: Duration) -> Self {
        self.idle_timeout = Some(timeout);
        self
    }

    /// Starts it on the tokio runtime that the caller is in, which must have its I/O and time drivers on.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a path, a name or a directory that cannot be,
    /// [`Busy`](crate::ErrorKind::Busy) when the place is taken, [`TargetGone`](crate::ErrorKind::TargetGone),
    /// [`PermissionDenied`](crate::ErrorKind::PermissionDenied), [`Io`](crate::ErrorKind::Io) outside of a runtime.
    pub fn start(self) -> Result<Tunnel> {
        let pid = self.dialer.process().pid();
        let failed = |e| Error::local(pid, "start a tunnel", e);
        let runtime = tokio::runtime::Handle::try_current().map_err(|e| failed(std::io::Error::other(e)))?;
        let (tunnel, work) = self.prepare()?;
        runtime.spawn(work);
        Ok(tunnel)
    }

    /// Starts it on a thread of its own, for agents without tokio.
    ///
    /// # Errors
    /// As [`start`](Self::start), and when no thread can be started.
    ///
    /// # Example
    /// ```no_run
    /// # let dialer = portolan_dial::Dialer::new(portolan_linux::Process::open(4242)?)?;
    /// let address: std::net::SocketAddr = "127.0.0.1:11211".parse()?;
    /// let tunnel = dialer.tunnel(address).start_thread()?;
    /// println!("a client of memcached may connect to {}", tunnel.address());
    /// tunnel.close();
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn start_thread(self) -> Result<TunnelThread> {
        let pid = self.dialer.process().pid();
        let failed = move |e| Error::local(pid, "start a tunnel", e);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let (tunnel, work) = {
            let _entered = runtime.enter();
            self.prepare()?
        };
        let run = move || runtime.block_on(work);
        let thread = std::thread::Builder::new().name("portolan-tunnel".to_owned()).spawn(run);
        Ok(TunnelThread::new(tunnel, thread.map_err(failed)?))
    }

    /// Listens, in the runtime that the caller is in; what is left is to serve.
    fn prepare(self) -> Result<(Tunnel, impl Future<Output = End> + Send + 'static)> {
        let pid = self.dialer.process().pid();
        let failed = |e| Error::local(pid, "listen", e);
        self.dialer.process().require_userland().map_err(|e| Error::linux(pid, e))?;
        let gone = serve::end_of(&self.dialer)?;
        let (place, bound) = Place::make(&self.wanted, !self.users.is_empty()).map_err(failed)?;
        let listener = Listener::new(bound, self.users).map_err(failed)?;
        let ledger = Arc::new(Ledger::new());
        let shared = Arc::new(Shared {
            dialer: self.dialer,
            destination: self.destination,
            limit: self.limit,
            connect_timeout: self.connect_timeout,
            idle_timeout: self.idle_timeout,
            ledger: Arc::clone(&ledger),
        });
        let place = Arc::new(place);
        let (tunnel, signals) = Tunnel::new(Arc::clone(&place), ledger);
        Ok((tunnel, serve::run(shared, listener, place, gone, signals)))
    }
}
