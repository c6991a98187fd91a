//! What a container's first process does between its clone and its exec, as plain data.
//!
//! The parent decides and allocates everything; the child only walks the list. So nothing in the child can
//! meet a lock that some other thread held, and a failure is told by its place in the list.

use std::ffi::{CStr, CString};
use std::fmt;
use std::os::fd::OwnedFd;

use nix::mount::MsFlags;

use crate::sys::Strings;

/// The steps, and the descriptors they use.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) steps: Vec<Step>,
    pub(crate) null: OwnedFd,
    pub(crate) log: OwnedFd,
    /// The end of a pipe that tells progress and failures; closed by the exec.
    pub(crate) report: OwnedFd,
    /// The end of a pipe that brings a byte whenever the child may go on.
    pub(crate) go: OwnedFd,
    /// Mounts to attach, made by the parent.
    pub(crate) trees: Vec<OwnedFd>,
}

/// A program with the files to try for it, in order.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) candidates: Vec<CString>,
    pub(crate) arguments: Strings,
    pub(crate) environment: Strings,
}

#[derive(Debug)]
pub(crate) enum Step {
    /// Standard input from nothing, both outputs to the log.
    Streams,
    /// Close what the parent happened to have open: the ranges between the descriptors still needed.
    CloseOthers(Vec<(u32, u32)>),
    /// Die with the parent, and hear from it that it lives. To be done again after every change of user,
    /// which takes it back.
    DieWithParent,
    Signals,
    Umask,
    Session,
    User {
        uid: u32,
        gid: u32,
        groups: Vec<u32>,
    },
    Mount {
        source: Option<CString>,
        target: CString,
        kind: Option<CString>,
        flags: MsFlags,
        data: Option<CString>,
    },
    /// Attach the mount of `trees` with this index.
    Attach {
        tree: usize,
        target: CString,
    },
    /// Make a directory, unless it is there.
    Directory(CString),
    File {
        path: CString,
        content: Vec<u8>,
        mode: u32,
    },
    Link {
        path: CString,
        target: CString,
    },
    /// Make this directory the root, and let go of the old one.
    Pivot(CString),
    /// Make this directory the root, and leave the old one mounted.
    Chroot(CString),
    Enter(CString),
    Hostname(String),
    Loopback,
    Script(Program),
    Command(Program),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Streams => write!(f, "redirecting its streams"),
            Self::CloseOthers(_) => write!(f, "closing inherited descriptors"),
            Self::DieWithParent => write!(f, "tying its life to the parent's"),
            Self::Signals => write!(f, "resetting signals"),
            Self::Umask => write!(f, "setting the umask"),
            Self::Session => write!(f, "starting a session"),
            Self::User { uid, gid, .. } => write!(f, "becoming user {uid}, group {gid}"),
            Self::Mount { target, kind: Some(kind), .. } => {
                write!(f, "mounting {} on {}", show(kind), show(target))
            }
            Self::Mount { target, source: Some(source), .. } => {
                write!(f, "binding {} to {}", show(source), show(target))
            }
            Self::Mount { target, .. } => write!(f, "changing the mount {}", show(target)),
            Self::Attach { target, .. } => write!(f, "attaching a mount at {}", show(target)),
            Self::Directory(path) => write!(f, "making the directory {}", show(path)),
            Self::File { path, .. } => write!(f, "writing the file {}", show(path)),
            Self::Link { path, .. } => write!(f, "making the link {}", show(path)),
            Self::Pivot(path) => write!(f, "pivoting its root to {}", show(path)),
            Self::Chroot(path) => write!(f, "changing its root to {}", show(path)),
            Self::Enter(path) => write!(f, "entering the directory {}", show(path)),
            Self::Hostname(name) => write!(f, "setting the hostname {name}"),
            Self::Loopback => write!(f, "bringing the loopback up"),
            Self::Script(_) => write!(f, "running the prepare script"),
            Self::Command(program) => {
                write!(f, "running the command {}", program.arguments.first().map_or("".into(), show))
            }
        }
    }
}

fn show(text: &CStr) -> std::borrow::Cow<'_, str> {
    text.to_string_lossy()
}
