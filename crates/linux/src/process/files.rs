//! The files among a process's descriptors: how they were opened, and which they are (`proc_pid_fd(5)`,
//! `proc_pid_fdinfo(5)`).

use std::ffi::CString;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use nix::dir::Dir;
use nix::fcntl::{OFlag, readlinkat};
use nix::sys::stat::Mode;

use super::{Process, read_at};
use crate::error::os;
use crate::identity::Identity;
use crate::{Result, sys};

/// `fdinfo` of a file is a few lines; that of an epoll set or inotify is longer, and its first lines are the same.
const MAX_INFO: u64 = 4096;

/// How a file was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Access {
    /// To read only.
    Read,
    /// To write, wherever it likes.
    Write,
    /// To write at the end only (`O_APPEND`).
    Append,
}

/// What a descriptor of a process leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenFile {
    /// Its number.
    pub descriptor: u32,
    /// The text of its link: a path as the process's mount namespace has it, from that namespace's root; or, for what
    /// has no path, its kind, as in `pipe:[123]`. ` (deleted)` stands after the path of a deleted file.
    pub link: Vec<u8>,
    /// How it was opened.
    pub access: Access,
    /// The number of the mount by which it was opened (`mount_info`), where the kernel tells.
    pub mount: Option<u64>,
}

impl Process {
    /// The numbers of the process's descriptors, at most `most` of them, and whether those are all.
    ///
    /// # Errors
    /// As [`sockets`](Self::sockets).
    pub fn descriptor_numbers(&self, most: usize) -> Result<(Vec<u32>, bool)> {
        let list = || -> io::Result<(Vec<u32>, bool)> {
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
            let mut list = Dir::openat(&self.directory, "fd", flags, Mode::empty()).map_err(os)?;
            let mut numbers = Vec::new();
            for entry in list.iter() {
                let name = entry.map_err(os)?.file_name().to_str().ok().and_then(|name| name.parse().ok());
                let Some(number) = name else { continue };
                if numbers.len() >= most {
                    return Ok((numbers, false));
                }
                numbers.push(number);
            }
            Ok((numbers, true))
        };
        list().map_err(|e| self.denied("list descriptors", e))
    }

    /// What a descriptor leads to, told by the kernel alone: the file system is not asked. `None` when it was closed.
    ///
    /// # Errors
    /// As [`sockets`](Self::sockets).
    pub fn open_file(&self, descriptor: u32) -> Result<Option<OpenFile>> {
        let link = match readlinkat(&self.directory, format!("fd/{descriptor}").as_str()) {
            Ok(link) => link.into_vec(),
            // Closed, or a path longer than the kernel writes.
            Err(nix::Error::ENOENT | nix::Error::ENAMETOOLONG) => return self.owner().map(|_| None),
            Err(errno) => return Err(self.denied("look up a descriptor", os(errno))),
        };
        self.open_file_of(descriptor, link)
    }

    /// The same for what has a path, and `None` for sockets, pipes and the like, which a service has thousands of.
    ///
    /// # Errors
    /// As [`sockets`](Self::sockets).
    pub fn open_path(&self, descriptor: u32) -> Result<Option<OpenFile>> {
        match readlinkat(&self.directory, format!("fd/{descriptor}").as_str()) {
            Ok(link) if link.as_bytes().starts_with(b"/") => self.open_file_of(descriptor, link.into_vec()),
            Ok(_) => Ok(None),
            Err(nix::Error::ENOENT | nix::Error::ENAMETOOLONG) => self.owner().map(|_| None),
            Err(errno) => Err(self.denied("look up a descriptor", os(errno))),
        }
    }

    fn open_file_of(&self, descriptor: u32, link: Vec<u8>) -> Result<Option<OpenFile>> {
        let text = match read_at(self.directory.as_fd(), &format!("fdinfo/{descriptor}"), MAX_INFO) {
            Ok(text) => text,
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return self.owner().map(|_| None),
            Err(error) => return Err(self.denied("read fdinfo", error)),
        };
        let access = field(&text, b"flags:").and_then(access);
        let mount = field(&text, b"mnt_id:").and_then(|id| std::str::from_utf8(id).ok()?.parse().ok());
        Ok(access.map(|access| OpenFile { descriptor, link, access, mount }))
    }

    /// Which file a descriptor leads to, as far as the kernel knows without asking a server. The way there can still
    /// make the caller wait when the file lies on NFS: ask [`open_file`](Self::open_file) first on which mount it is.
    ///
    /// # Errors
    /// As [`sockets`](Self::sockets).
    pub fn identity_of(&self, descriptor: u32) -> Result<Identity> {
        let name = CString::new(format!("fd/{descriptor}")).unwrap_or_default();
        let found = sys::statx(self.directory.as_fd(), &name, 0);
        found.map(Identity::from).map_err(|e| self.denied("look at a descriptor", e))
    }
}

/// The value behind a key at the start of a line.
fn field<'a>(text: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    text.split(|b| *b == b'\n').take(8).find_map(|line| line.strip_prefix(key)).map(<[u8]>::trim_ascii)
}

/// The flags of `open(2)`, in octal. `O_PATH` opens nothing, so it is no access at all.
fn access(flags: &[u8]) -> Option<Access> {
    let flags = i32::from_str_radix(std::str::from_utf8(flags).ok()?, 8).ok()?;
    if flags & libc::O_PATH != 0 {
        return None;
    }
    Some(match flags & libc::O_ACCMODE {
        libc::O_RDONLY => Access::Read,
        _ if flags & libc::O_APPEND != 0 => Access::Append,
        _ => Access::Write,
    })
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;
    use std::os::unix::ffi::OsStrExt as _;

    use super::*;
    use crate::error::FileKind;

    #[test]
    fn own_descriptors() {
        let me = Process::open(std::process::id().cast_signed()).unwrap();
        let path = std::env::temp_dir().join(format!("portolan-files-{}\n.log", std::process::id()));
        let log = std::fs::File::options().create(true).append(true).open(&path).unwrap();
        let read = std::fs::File::open(&path).unwrap();
        let number = |file: &std::fs::File| u32::try_from(file.as_raw_fd()).unwrap();
        let found = me.open_file(number(&log)).unwrap().unwrap();
        assert_eq!((found.access, found.link.as_slice()), (Access::Append, path.as_os_str().as_bytes()));
        let text = me.mount_info().unwrap();
        assert!(crate::mount_info::parse(&text).any(|mount| Some(mount.id) == found.mount));
        assert_eq!(me.open_file(number(&read)).unwrap().unwrap().access, Access::Read);
        let identity = me.identity_of(number(&log)).unwrap();
        assert!(identity.is(&me.identity_of(number(&read)).unwrap()));
        assert_eq!((identity.kind, identity.links), (FileKind::Regular, 1));
        std::fs::remove_file(&path).unwrap();
        assert!(me.open_file(number(&log)).unwrap().unwrap().link.ends_with(b" (deleted)"));
        assert_eq!(me.identity_of(number(&log)).unwrap().links, 0);
        let (numbers, all) = me.descriptor_numbers(100_000).unwrap();
        assert!(all && numbers.contains(&number(&log)));
        assert!(!me.descriptor_numbers(1).unwrap().1);
        assert_eq!(me.open_file(1_000_000).unwrap(), None);
    }

    #[test]
    fn accesses() {
        assert_eq!(access(b"0100000"), Some(Access::Read));
        assert_eq!(access(b"02102001"), Some(Access::Append));
        assert_eq!(access(b"0100002"), Some(Access::Write));
        assert_eq!(access(b"02010000000"), None, "O_PATH");
        assert_eq!(access(b"x"), None);
    }
}
