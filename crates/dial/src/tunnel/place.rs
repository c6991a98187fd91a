//! Where a tunnel listens, and that nothing of it is left behind.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use nix::sys::stat::{Mode, fchmod};
use portolan_linux::error::Escaped;

/// What the caller wants.
#[derive(Debug, Clone)]
pub(super) enum Wanted {
    /// A file of this name in a directory of our own.
    Own(OsString),
    Path(PathBuf),
    Port(u16),
}

/// Where clients find a tunnel. It shows itself as a path or as `127.0.0.1:PORT`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// A Unix socket.
    Unix(PathBuf),
    /// A port of the agent's loopback.
    Tcp(SocketAddr),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "{}", Escaped(path.as_os_str().as_bytes())),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}

/// What was bound, not yet known to tokio.
#[derive(Debug)]
pub(super) enum Bound {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// A place that exists until this is dropped, or was removed before.
#[derive(Debug)]
pub(super) struct Place {
    address: Address,
    /// Device and inode of the socket file: another may have been put there since.
    file: Option<(u64, u64)>,
    directory: Option<Directory>,
    removed: AtomicBool,
}

/// A directory that we made; removed with us if it is empty then.
#[derive(Debug)]
struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}

impl Place {
    /// `shared`: users other than our own are to find the socket.
    pub(super) fn make(wanted: &Wanted, shared: bool) -> io::Result<(Self, Bound)> {
        let (path, directory) = match wanted {
            Wanted::Port(port) => {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, *port))?;
                listener.set_nonblocking(true)?;
                let place = Self {
                    address: Address::Tcp(listener.local_addr()?),
                    file: None,
                    directory: None,
                    removed: AtomicBool::new(false),
                };
                return Ok((place, Bound::Tcp(listener)));
            }
            Wanted::Own(name) => {
                let directory = own_directory(shared)?;
                (directory.0.join(checked(name)?), Some(directory))
            }
            Wanted::Path(path) => (path.clone(), directory_for(path, shared)?),
        };
        let listener = listen_at(&path, shared)?;
        let placed = fs::symlink_metadata(&path)?;
        let place = Self {
            address: Address::Unix(path),
            file: Some((placed.dev(), placed.ino())),
            directory,
            removed: AtomicBool::new(false),
        };
        Ok((place, Bound::Unix(listener)))
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    /// Takes the file and the directory away; once.
    pub(super) fn remove(&self) {
        if self.removed.swap(true, Ordering::AcqRel) {
            return;
        }
        if let (Address::Unix(path), Some(file)) = (&self.address, self.file)
            && fs::symlink_metadata(path).is_ok_and(|now| (now.dev(), now.ino()) == file)
        {
            let _ = fs::remove_file(path);
        }
        if let Some(directory) = &self.directory {
            let _ = fs::remove_dir(&directory.0);
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.remove();
    }
}

/// A new directory that nobody else can look into.
fn own_directory(shared: bool) -> io::Result<Directory> {
    let below = runtime_directory().unwrap_or_else(|| "/run".into());
    // Made with mode 0700, and only if it did not exist (mkdtemp(3)).
    let directory = Directory(nix::unistd::mkdtemp(&below.join("portolan-XXXXXX"))?);
    if shared {
        fs::set_permissions(&directory.0, fs::Permissions::from_mode(0o711))?;
    }
    Ok(directory)
}

/// `$XDG_RUNTIME_DIR`, if it is what it should be: absolute, ours, and writable by nobody else.
fn runtime_directory() -> Option<PathBuf> {
    let path = PathBuf::from(std::env::var_os("XDG_RUNTIME_DIR")?);
    let found = fs::metadata(&path).ok()?;
    let ours = found.is_dir() && found.uid() == nix::unistd::geteuid().as_raw() && found.mode() & 0o022 == 0;
    (path.is_absolute() && ours).then_some(path)
}

/// Sees to the directory of a path that the caller chose; gives it if it had to be made.
fn directory_for(path: &Path, shared: bool) -> io::Result<Option<Directory>> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mode = if shared { 0o711 } else { 0o700 };
    match fs::DirBuilder::new().mode(mode).create(parent) {
        Ok(()) => return Ok(Some(Directory(parent.to_owned()))),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error),
    }
    let mode = fs::metadata(parent)?.mode();
    if mode & 0o002 != 0 && mode & 0o1000 == 0 {
        return Err(invalid("any user may replace files in that directory"));
    }
    Ok(None)
}

fn checked(name: &OsStr) -> io::Result<&OsStr> {
    let bytes = name.as_bytes();
    if bytes.is_empty() || bytes == b"." || bytes == b".." || bytes.iter().any(|b| matches!(b, b'/' | 0)) {
        return Err(invalid("a file name is wanted, not a path"));
    }
    Ok(name)
}

fn invalid(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}

/// The file has its mode from its first moment on: it takes that of the socket's own inode (`unix_bind_bsd` in the
/// kernel), which nobody but us knows yet.
fn listen_at(path: &Path, shared: bool) -> io::Result<UnixListener> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    let address = UnixAddr::new(path).map_err(|_| invalid("a socket's path has at most 107 bytes"))?;
    fchmod(&socket, Mode::from_bits_truncate(if shared { 0o666 } else { 0o600 }))?;
    bind(socket.as_raw_fd(), &address)?;
    let listening = listen(&socket, Backlog::MAXALLOWABLE);
    // The umask of the process may have taken from it what others need.
    let opened = if shared { fs::set_permissions(path, fs::Permissions::from_mode(0o666)) } else { Ok(()) };
    if let Err(error) = listening.map_err(io::Error::from).and(opened) {
        let _ = fs::remove_file(path);
        return Err(error);
    }
    Ok(UnixListener::from(socket))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_paths() {
        for wrong in ["", ".", "..", "a/b", "/a", "a\0b"] {
            assert!(checked(OsStr::new(wrong)).is_err(), "{wrong:?}");
        }
        assert!(checked(OsStr::new(".s.PGSQL.5432")).is_ok());
    }

    #[test]
    fn a_path_that_is_too_long_is_wrong_and_leaves_nothing() {
        let directory = std::env::temp_dir().join(format!("portolan-place-{}", std::process::id()));
        let path = directory.join("x".repeat(108));
        let error = Place::make(&Wanted::Path(path), false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        assert!(!directory.exists());
    }

    #[test]
    fn another_file_in_its_place_is_left() {
        let directory = std::env::temp_dir().join(format!("portolan-other-{}", std::process::id()));
        let path = directory.join("socket");
        let (place, bound) = Place::make(&Wanted::Path(path.clone()), false).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&directory), mode(&path)), (0o700, 0o600));
        fs::remove_file(&path).unwrap();
        fs::write(&path, "another's").unwrap();
        drop((place, bound));
        assert!(path.exists());
        fs::remove_dir_all(&directory).unwrap();
    }
}
