//! The arguments of HAProxy: its files, in the order in which it reads them.

use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use crate::launch::Launch;

/// What the command line says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Command {
    /// Files and directories, as they are given.
    pub(super) files: Vec<PathBuf>,
    /// What the paths are relative to.
    pub(super) directory: PathBuf,
    /// `-S`: where the master is managed.
    pub(super) masters: Vec<Vec<u8>>,
    /// `-L`: its name among its peers.
    pub(super) local_peer: Option<Vec<u8>>,
}

/// Where packages and the official image have the file. HAProxy itself has no default.
pub(super) const USUAL: &[&str] = &["/etc/haproxy/haproxy.cfg", "/usr/local/etc/haproxy/haproxy.cfg"];

impl Command {
    pub(super) fn of(launch: &Launch) -> Self {
        let mut command = Self { directory: launch.directory.clone(), ..Self::default() };
        let mut left = launch.arguments.iter().skip(1).peekable();
        let path = |bytes: &[u8]| PathBuf::from(std::ffi::OsString::from_vec(bytes.to_vec()));
        while let Some(argument) = left.next() {
            if argument == b"--" {
                command.files.extend(left.by_ref().map(|file| path(file)));
                break;
            }
            // An option is known by its first letters, and its value is the next argument, never the rest of this one.
            match argument.as_slice() {
                [b'-', b's', b'f' | b't', ..] => {
                    while left.next_if(|next| next.iter().all(u8::is_ascii_digit)).is_some() {}
                }
                [b'-', b'f', ..] => command.files.extend(left.next().map(|file| path(file))),
                [b'-', b'C', ..] => {
                    if let Some(directory) = left.next() {
                        command.directory = launch.resolve(path(directory));
                    }
                }
                [b'-', b'S', ..] => command.masters.extend(left.next().cloned()),
                [b'-', b'L', ..] => command.local_peer = left.next().cloned(),
                [b'-', b'p' | b'n' | b'N' | b'm' | b'x', ..] => drop(left.next()),
                _ => {}
            }
        }
        command
    }

    pub(super) fn resolve(&self, path: &Path) -> PathBuf {
        self.directory.join(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_options_or_come_last() {
        let arguments = [
            "haproxy", "-sf", "12", "34", "-Ws", "-f", "a", "-p", "-f", "-C", "/x", "-f", "b", "--", "c",
            "-f",
        ];
        let command = Command::of(&Launch::test("/usr/sbin/haproxy", &arguments, &[]));
        assert_eq!(command.files, ["a", "b", "c", "-f"].map(PathBuf::from));
        assert_eq!(command.directory, Path::new("/x"));
        let arguments = ["haproxy", "-W", "-db", "-f", "/a", "-S", "/run/m.sock,level,user", "-L", "me"];
        let command = Command::of(&Launch::test("/usr/sbin/haproxy", &arguments, &[]));
        assert_eq!(command.files, [Path::new("/a")]);
        assert_eq!(command.masters, [b"/run/m.sock,level,user"]);
        assert_eq!(command.local_peer.as_deref(), Some(&b"me"[..]));
    }
}
