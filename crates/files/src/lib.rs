//! Reads files and expands globs inside containers, through the helper.
//!
//! # What it does
//! Each request starts `portolan-helper` from sealed memory. It joins the container's mount namespace, gives up
//! its privileges, and answers with frames on a pipe. This side sets a deadline, a byte cap and an entry cap, and
//! trusts nothing in the answer.
//!
//! # What it does not do
//! - It never resolves a container's path itself: an absolute link there would lead to the host's file.
//! - It never lets a file descriptor cross from the container to the agent, only bytes.
//! - It never waits past the deadline: a helper that hangs in a dead file system is killed, and if the kernel
//!   cannot end it, left behind until it can.
//!
//! # Example
//! ```no_run
//! use portolan_files::{Files, GlobOptions, ReadOptions};
//! use portolan_linux::Process;
//!
//! let files = Files::new()?;
//! let nginx = Process::open(4242)?;
//! let config = files.read(&nginx, "/etc/nginx/nginx.conf", &ReadOptions::default())?;
//! println!("{}", String::from_utf8_lossy(&config.bytes));
//! for found in files.glob(&nginx, "/etc/nginx/conf.d/*.conf", &GlobOptions::default())?.entries {
//!     println!("{}", found.path.display());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Layout
//! - [`read`] and [`glob`]: the two operations, their options and answers
//! - [`helper`]: where the helper's binary is found
//! - [`error`]: what can go wrong, in words
//! - `request`: one run of the helper, from its start to its last frame
#![forbid(unsafe_code)]

pub mod error;
pub mod glob;
pub mod helper;
pub mod read;
mod request;

use std::path::Path;

use portolan_linux::SealedExe;

pub use error::Error;
pub use glob::{Entry, GlobOptions, Matches};
pub use portolan_linux::ErrorKind;
pub use portolan_wire::frame::Hello;
pub use read::{Content, ReadOptions};

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// The door to files in containers. Make one and keep it: it holds the sealed helper.
///
/// It can be shared between threads; requests do not wait for each other.
#[derive(Debug)]
pub struct Files {
    helper: SealedExe,
    /// Helpers that did not end in time, to be collected when the kernel lets them go.
    stuck: request::Stuck,
}

impl Files {
    /// Finds the helper ([`helper::find`]) and seals it.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] with [`Feature::Helper`](portolan_linux::error::Feature::Helper) when there is
    /// no helper: the message says where it was looked for.
    pub fn new() -> Result<Self> {
        Self::with_helper(&helper::find()?)
    }

    /// Uses this helper binary.
    ///
    /// # Errors
    /// [`ErrorKind::Unsupported`] when it is not there, [`ErrorKind::PermissionDenied`] when somebody else than
    /// root or this user can change it.
    pub fn with_helper(path: &Path) -> Result<Self> {
        let helper = SealedExe::read(path).map_err(|e| Error::of_helper(path, e))?;
        Ok(Self { helper, stuck: request::Stuck::default() })
    }

    /// Whether the helper runs from sealed memory. If not, this host refuses to execute memory
    /// (`vm.memfd_noexec`), the helper runs from its file, and joining pid namespaces is refused.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.helper.is_sealed()
    }

    /// How many helpers did not end when they were killed: their file systems do not answer.
    #[must_use]
    pub fn stuck(&self) -> usize {
        self.stuck.count()
    }
}
