//! Unix sockets of a container: by path, which belongs to its mount namespace, or abstract, which belongs to its
//! network namespace (`unix(7)`).

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use portolan_linux::ErrorKind;
use portolan_linux::netns::SocketKind;

use crate::{Dialer, Error, Result, resolve};

/// While a listener's queue is full, the kernel has nothing that could be waited for.
const PAUSE: Duration = Duration::from_millis(1);

/// A socket, and where it is to connect to.
struct Ready {
    socket: OwnedFd,
    address: UnixAddr,
    /// Kept until the connection stands: the address names it by its number.
    _found: Option<OwnedFd>,
}

impl Dialer {
    /// Connects to a Unix stream socket inside, within `timeout`.
    ///
    /// A path is resolved below the process's root, absolute links staying inside; it may be longer than the 108
    /// bytes of a socket address. One that begins with `@` is an abstract name.
    ///
    /// The path is resolved by a thread of its own: one that hangs in a dead file system is left behind when the
    /// time is over.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound), [`InvalidInput`](ErrorKind::InvalidInput) when the path is relative or
    /// leads to something that is no socket, [`Busy`](ErrorKind::Busy) while several threads hang in file systems
    /// of this process already, and as [`connect`](Self::connect).
    ///
    /// # Example
    /// ```no_run
    /// # let dialer = portolan_dial::Dialer::new(portolan_linux::Process::open(4242)?)?;
    /// let timeout = std::time::Duration::from_secs(2);
    /// let stream = dialer.unix("/run/haproxy/admin.sock", timeout)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn unix(&self, path: impl AsRef<Path>, timeout: Duration) -> Result<UnixStream> {
        let path = path.as_ref();
        let deadline = Instant::now().checked_add(timeout);
        let found = if is_path(path) { Some(self.resolve(path, timeout)?) } else { None };
        let ready = self.ready(path, found)?;
        while !self.begin(path, &ready)? {
            if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                return Err(self.unix_failed(path, nix::Error::ETIMEDOUT));
            }
            std::thread::sleep(PAUSE);
        }
        let stream = UnixStream::from(ready.socket);
        stream.set_nonblocking(false).map_err(|e| Error::unix(self.process().pid(), path, e))?;
        Ok(stream)
    }

    /// The same for tokio, without holding the thread up.
    ///
    /// # Errors
    /// As [`unix`](Self::unix).
    #[cfg(feature = "tokio")]
    pub async fn unix_async(
        &self,
        path: impl AsRef<Path>,
        timeout: Duration,
    ) -> Result<tokio::net::UnixStream> {
        let path = path.as_ref();
        let dial = async {
            let found = if is_path(path) { Some(self.resolve_async(path).await?) } else { None };
            let ready = self.ready(path, found)?;
            while !self.begin(path, &ready)? {
                tokio::time::sleep(PAUSE).await;
            }
            tokio::net::UnixStream::from_std(UnixStream::from(ready.socket))
                .map_err(|e| Error::unix(self.process().pid(), path, e))
        };
        let late = |_| self.unix_failed(path, nix::Error::ETIMEDOUT);
        tokio::time::timeout(timeout, dial).await.map_err(late)?
    }

    /// The socket for a path that was found, or for an abstract name; non-blocking.
    fn ready(&self, path: &Path, found: Option<OwnedFd>) -> Result<Ready> {
        let failed = |errno| self.unix_failed(path, errno);
        let (socket, address) = match (path.as_os_str().as_bytes(), &found) {
            (_, Some(found)) => {
                let address = UnixAddr::new(format!("/proc/self/fd/{}", found.as_raw_fd()).as_str());
                let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
                (socket(AddressFamily::Unix, SockType::Stream, flags, None).map_err(failed)?, address)
            }
            ([b'@', name @ ..], None) => (self.socket(SocketKind::Unix)?, UnixAddr::new_abstract(name)),
            _ => return Err(failed(nix::Error::EINVAL)),
        };
        Ok(Ready { socket, address: address.map_err(failed)?, _found: found })
    }

    /// Whether the connection stands; false while the listener's queue is full.
    fn begin(&self, path: &Path, ready: &Ready) -> Result<bool> {
        match connect(ready.socket.as_raw_fd(), &ready.address) {
            Ok(()) => Ok(true),
            Err(nix::Error::EAGAIN | nix::Error::EINTR) if !self.has_ended() => Ok(false),
            Err(errno) => Err(self.unix_failed(path, errno)),
        }
    }

    fn resolve(&self, path: &Path, timeout: Duration) -> Result<OwnedFd> {
        let (sender, receiver) = mpsc::sync_channel(1);
        // Nobody may be waiting any more.
        self.start_resolving(path, move |found| drop(sender.send(found)))?;
        let found = receiver.recv_timeout(timeout).unwrap_or(Err(nix::Error::ETIMEDOUT));
        found.map_err(|errno| self.unix_failed(path, errno))
    }

    #[cfg(feature = "tokio")]
    async fn resolve_async(&self, path: &Path) -> Result<OwnedFd> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.start_resolving(path, move |found| drop(sender.send(found)))?;
        let found = receiver.await.unwrap_or(Err(nix::Error::EIO));
        found.map_err(|errno| self.unix_failed(path, errno))
    }

    fn start_resolving(
        &self,
        path: &Path,
        done: impl FnOnce(nix::Result<OwnedFd>) + Send + 'static,
    ) -> Result<()> {
        let pid = self.process().pid();
        let root = self.process().root().map_err(|e| Error::linux(pid, e))?;
        resolve::start(self.process().id(), root, path.to_owned(), done)
            .map_err(|e| Error::unix(pid, path, e))
    }

    /// The socket said no; or the process has ended meanwhile, which says why.
    fn unix_failed(&self, path: &Path, errno: nix::Error) -> Error {
        let error = Error::unix(self.process().pid(), path, errno.into());
        if self.has_ended() { error.with_kind(ErrorKind::TargetGone) } else { error }
    }
}

fn is_path(path: &Path) -> bool {
    path.as_os_str().as_bytes().first() == Some(&b'/')
}
