//! The sockets among a process's descriptors (`proc_pid_fd(5)`).

use std::ffi::CStr;
use std::io;
use std::ops::ControlFlow;
use std::os::fd::AsFd as _;

use nix::dir::Dir;
use nix::fcntl::{AtFlags, OFlag};
use nix::sys::stat::Mode;

use super::Process;
use crate::error::os;
use crate::{Result, sys};

/// Descriptors below this are looked up by number, without a list: a process uses its lowest numbers first, and what
/// listens was mostly opened before anything that was accepted.
const BY_NUMBER: u32 = 32;
/// So many numbers in a row without a descriptor, and a list is cheaper.
const GAP: u32 = 4;

impl Process {
    /// Calls `each` with the inode number and the descriptor of every socket that the process has, in the order of
    /// the descriptors, until it breaks off. One that is closed meanwhile may be left out.
    ///
    /// # Errors
    /// [`ErrorKind::TargetGone`](crate::ErrorKind::TargetGone), or
    /// [`ErrorKind::MissingPrivilege`](crate::ErrorKind::MissingPrivilege) without `CAP_SYS_PTRACE` over the process.
    pub fn sockets(&self, mut each: impl FnMut(u32, u32) -> ControlFlow<()>) -> Result<()> {
        self.descriptors(|link, number| match socket_inode(link) {
            Some(inode) => each(inode, number),
            None => ControlFlow::Continue(()),
        })
    }

    /// Calls `each` with what every descriptor leads to, as its link says, and with its number; as
    /// [`sockets`](Self::sockets).
    ///
    /// # Errors
    /// As [`sockets`](Self::sockets).
    pub fn descriptors(&self, each: impl FnMut(&[u8], u32) -> ControlFlow<()>) -> Result<()> {
        self.walk("fd", each).map_err(|e| self.denied("list descriptors", e))
    }

    /// As [`descriptors`](Self::descriptors), of one of its threads: they share a table, unless one of them went its
    /// own way (`unshare(2)`, `CLONE_FILES`).
    ///
    /// # Errors
    /// As [`sockets`](Self::sockets).
    pub fn descriptors_of_thread(
        &self,
        thread: i32,
        each: impl FnMut(&[u8], u32) -> ControlFlow<()>,
    ) -> Result<()> {
        self.walk(&format!("task/{thread}/fd"), each).map_err(|e| self.denied("list descriptors", e))
    }

    /// The inode number of the socket that a descriptor of the process is now; `None` when it is closed or another
    /// kind of file.
    ///
    /// # Errors
    /// As [`sockets`](Self::sockets).
    pub fn socket(&self, descriptor: u32) -> Result<Option<u32>> {
        let mut link = [0; LINK];
        match self.link(Name::new("fd", descriptor).as_c_str(), &mut link) {
            Ok(link) => Ok(socket_inode(link)),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
                // No such descriptor, or no such process.
                self.owner().map(|_| None)
            }
            Err(error) => Err(self.denied("look up a descriptor", error)),
        }
    }

    fn walk(&self, list: &str, mut each: impl FnMut(&[u8], u32) -> ControlFlow<()>) -> io::Result<()> {
        let mut link = [0; LINK];
        let (mut number, mut missing, mut seen) = (0, 0, 0_i64);
        let mut count = None;
        while number < BY_NUMBER && missing < GAP {
            match self.link(Name::new(list, number).as_c_str(), &mut link) {
                Ok(link) => {
                    missing = 0;
                    seen = seen.saturating_add(1);
                    if each(link, number).is_break() {
                        return Ok(());
                    }
                }
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
                    missing = missing.saturating_add(1);
                    if count.is_none() {
                        count = self.count(list)?;
                    }
                }
                Err(error) => return Err(error),
            }
            if count.is_some_and(|count| seen >= count) {
                return Ok(());
            }
            number = number.saturating_add(1);
        }
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let mut rest = Dir::openat(&self.directory, list, flags, Mode::empty()).map_err(os)?;
        let known = number;
        // Looked up as they are listed: there can be a million, and few of them may be wanted.
        for entry in rest.iter() {
            let number = entry.map_err(os)?.file_name().to_str().ok().and_then(|name| name.parse().ok());
            let Some(number) = number.filter(|number| *number >= known) else { continue };
            // A descriptor that was closed in between is no fault.
            if let Ok(link) = self.link(Name::new(list, number).as_c_str(), &mut link)
                && each(link, number).is_break()
            {
                break;
            }
        }
        Ok(())
    }

    /// How many descriptors there are: the size of the list (Linux 6.2), or `None`.
    fn count(&self, list: &str) -> io::Result<Option<i64>> {
        let stat = nix::sys::stat::fstatat(&self.directory, list, AtFlags::empty()).map_err(os)?;
        Ok(Some(stat.st_size).filter(|size| *size > 0))
    }

    fn link<'a>(&self, name: &CStr, into: &'a mut [u8; LINK]) -> io::Result<&'a [u8]> {
        let length = sys::read_link(self.directory.as_fd(), name, into)?;
        Ok(into.get(..length).unwrap_or(&[]))
    }
}

/// Longer links lead to files, whose names nobody here wants whole.
const LINK: usize = 64;

/// A name below `/proc/PID`, made without allocating: there are thousands of them in a scan.
struct Name {
    bytes: [u8; 48],
}

impl Name {
    fn new(list: &str, number: u32) -> Self {
        let mut bytes = [0; 48];
        let mut digits = [0_u8; 10];
        let mut rest = number;
        let mut length = 0_usize;
        for digit in digits.iter_mut().rev() {
            *digit = b'0'.wrapping_add(u8::try_from(rest % 10).unwrap_or(0));
            length = length.saturating_add(1);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        let digits = digits.get(digits.len().saturating_sub(length)..).unwrap_or(&[]);
        let slash: &[u8] = if list.is_empty() { b"" } else { b"/" };
        // The last byte stays zero.
        let room = bytes.iter_mut().take(47);
        for (to, from) in room.zip(list.bytes().chain(slash.iter().copied()).chain(digits.iter().copied())) {
            *to = from;
        }
        Self { bytes }
    }

    fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).unwrap_or_default()
    }
}

/// The inode number from the text of a descriptor's link, such as `socket:[12345]`.
///
/// ```
/// assert_eq!(portolan_linux::process::socket_inode(b"socket:[12345]"), Some(12345));
/// assert_eq!(portolan_linux::process::socket_inode(b"/dev/null"), None);
/// ```
#[must_use]
pub fn socket_inode(link: &[u8]) -> Option<u32> {
    let digits = link.strip_prefix(b"socket:[")?.strip_suffix(b"]")?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (list, number, expected) in [
            ("fd", 0, c"fd/0"),
            ("fd", 31, c"fd/31"),
            ("", 4_294_967_295, c"4294967295"),
            ("task/7/fd", 10, c"task/7/fd/10"),
        ] {
            assert_eq!(Name::new(list, number).as_c_str(), expected);
        }
    }

    #[test]
    fn sockets_are_found_at_low_and_high_descriptors_and_in_order() {
        let me = Process::open(std::process::id().cast_signed()).unwrap();
        let low = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let high = nix::fcntl::fcntl(&low, nix::fcntl::FcntlArg::F_DUPFD_CLOEXEC(700)).unwrap();
        let wanted = u32::try_from(sys::inode(&low).unwrap()).unwrap();
        let mut at = Vec::new();
        me.sockets(|inode, fd| {
            if inode == wanted {
                at.push(fd);
            }
            ControlFlow::Continue(())
        })
        .unwrap();
        let low_number = u32::try_from(std::os::fd::AsRawFd::as_raw_fd(&low)).unwrap();
        assert_eq!(at, [low_number, u32::try_from(high).unwrap()]);
        assert_eq!(me.socket(low_number).unwrap(), Some(wanted));
        nix::unistd::close(high).unwrap();
        assert_eq!(me.socket(u32::try_from(high).unwrap()).unwrap(), None);
        let mut seen = 0;
        me.sockets(|_, _| {
            seen += 1;
            ControlFlow::Break(())
        })
        .unwrap();
        assert_eq!(seen, 1, "it can be broken off");
    }

    #[test]
    fn links() {
        assert_eq!(socket_inode(b"socket:[12]"), Some(12));
        for bad in
            [&b"socket:[]"[..], b"socket:[x]", b"pipe:[12]", b"socket:[12", b"", b"socket:[99999999999]"]
        {
            assert_eq!(socket_inode(bad), None);
        }
    }
}
