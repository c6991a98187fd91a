//! Unix sockets of a container: by path, which belongs to its mount namespace, or abstract, which belongs to its
//! network namespace (`unix(7)`).

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};
use nix::sys::stat::{SFlag, fstat};
use portolan_linux::netns::SocketKind;

use crate::{Dialer, Error, Result};

/// While a listener's queue is full, the kernel has nothing that could be waited for.
const PAUSE: Duration = Duration::from_millis(1);

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
    /// [`NotFound`](crate::ErrorKind::NotFound), [`InvalidInput`](crate::ErrorKind::InvalidInput) when the path is relative or
    /// leads to something that is no socket, and as [`connect`](Self::connect).
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
        let failed = |errno: nix::Error| Error::unix(self.process().pid(), path, errno.into());
        // Kept until the connection stands: the address names it by its number.
        let (socket, address, _found) = match path.as_os_str().as_bytes() {
            [b'@', name @ ..] => {
                let address = UnixAddr::new_abstract(name).map_err(failed)?;
                (self.socket(SocketKind::Unix)?, address, None)
            }
            [b'/', ..] => {
                let found = self.resolve(path, timeout)?;
                let address =
                    UnixAddr::new(format!("/proc/self/fd/{}", found.as_raw_fd()).as_str()).map_err(failed)?;
                let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
                let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None).map_err(failed)?;
                (socket, address, Some(found))
            }
            _ => return Err(failed(nix::Error::EINVAL)),
        };
        loop {
            match connect(socket.as_raw_fd(), &address) {
                Ok(()) => break,
                Err(nix::Error::EAGAIN) if deadline.is_none_or(|d| Instant::now() < d) => {
                    std::thread::sleep(PAUSE);
                }
                Err(nix::Error::EAGAIN) => return Err(failed(nix::Error::ETIMEDOUT)),
                Err(errno) => return Err(failed(errno)),
            }
        }
        let stream = UnixStream::from(socket);
        stream.set_nonblocking(false).map_err(|e| Error::unix(self.process().pid(), path, e))?;
        Ok(stream)
    }

    fn resolve(&self, path: &Path, timeout: Duration) -> Result<OwnedFd> {
        let pid = self.process().pid();
        let root = self.process().root().map_err(|e| Error::linux(pid, e))?;
        let (sender, receiver) = mpsc::sync_channel(1);
        let wanted: PathBuf = path.to_owned();
        let worker = move || {
            // Nobody may be waiting any more.
            let _ = sender.send(resolve_below(&root, &wanted));
        };
        std::thread::Builder::new()
            .name("portolan-resolve".to_owned())
            .spawn(worker)
            .map_err(|e| Error::unix(pid, path, e))?;
        match receiver.recv_timeout(timeout) {
            Ok(found) => found.map_err(|errno| Error::unix(pid, path, errno.into())),
            Err(_) => Err(Error::unix(pid, path, nix::Error::ETIMEDOUT.into())),
        }
    }
}

fn resolve_below(root: &OwnedFd, path: &Path) -> nix::Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(OFlag::O_PATH | OFlag::O_CLOEXEC)
        .resolve(ResolveFlag::RESOLVE_IN_ROOT | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let found = openat2(root, path, how)?;
    let kind = SFlag::from_bits_truncate(fstat(&found)?.st_mode) & SFlag::S_IFMT;
    if kind == SFlag::S_IFSOCK { Ok(found) } else { Err(nix::Error::ENOTSOCK) }
}
