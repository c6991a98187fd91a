//! Reads files and expands globs inside containers, through the helper.
//!
//! # What it does
//! The helper is started once, from sealed memory, as a server that forks a process for each request. That joins the
//! container's mount namespace, gives up its privileges, and answers with frames on a pipe. This side sets a
//! deadline, a byte cap and an entry cap, and trusts nothing in the answer. Several operations may share one entry
//! ([`Batch`]); a log is followed by its last lines ([`Tail`]).
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
//! - [`read`], [`glob`], [`batch`]: the operations, their options and answers
//! - [`find`]: looking for texts in a file
//! - [`tail`]: the end of a file that grows, is rotated, or comes back
//! - [`stat`]: what a file is
//! - `asynchronous` (feature `tokio`): the same for tasks
//! - [`helper`]: where the helper's binary is found
//! - [`error`]: what can go wrong, in words
//! - `server`: the helper's process, started once and again · `prepare`, `exchange`, `answer`: one request to it ·
//!   `one_shot`: a helper for one request alone · `stuck`: those that the kernel does not let go
#![forbid(unsafe_code)]

mod answer;
#[cfg(feature = "tokio")]
mod asynchronous;
pub mod batch;
pub mod error;
mod exchange;
pub mod find;
pub mod glob;
pub mod helper;
mod one_shot;
mod prepare;
pub mod read;
mod server;
pub mod stat;
mod stuck;
pub mod tail;

use std::path::Path;
use std::sync::Arc;

use portolan_linux::SealedExe;
use portolan_wire::request::Demand;

pub use batch::{Batch, Included, Operation, Outcome};
pub use error::Error;
pub use find::{Found, Place};
pub use glob::{Entry, GlobOptions, Matches};
pub use portolan_linux::ErrorKind;
pub use portolan_wire::frame::{Hello, posture};
pub use portolan_wire::request::Find;
pub use read::{Content, ReadOptions};
pub use stat::Stat;
pub use tail::{Event, Tail, TailOptions};

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// The door to files in containers. Make one and keep it: it holds the helper's server, which is started with the
/// first request and ends with this value (or with this process, however that ends).
///
/// It can be shared between threads; requests do not wait for each other.
#[derive(Debug)]
pub struct Files {
    server: Arc<server::Server>,
    /// Helpers that did not end in time, until the kernel lets them go.
    stuck: stuck::Stuck,
    demand: Demand,
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
        let (server, stuck) = (Arc::new(server::Server::new(Arc::new(helper))), stuck::Stuck::default());
        Ok(Self { server, stuck, demand: Demand::default() })
    }

    /// Uses this very program as the helper: its `main` must begin with `portolan_helper::run_if_asked()`.
    ///
    /// The whole program is copied to sealed memory, and its start-up is paid once for the server.
    ///
    /// # Errors
    /// As [`with_helper`](Self::with_helper).
    pub fn with_own_binary() -> Result<Self> {
        Self::with_helper(Path::new("/proc/self/exe"))
    }

    /// The same, refusing to read if the helper could give up less than everything: a seccomp filter, Landlock,
    /// a procfs of its own, resource limits, and sealed memory to run from. Nothing inside is touched then.
    ///
    /// By default what a kernel does not have is left out, and [`Content::helper`] says what there was.
    #[must_use]
    pub fn strict(self) -> Self {
        Self { demand: Demand { posture: STRICT, seccomp: 2, landlock: 1 }, ..self }
    }

    /// Whether the helper runs from sealed memory. If not, this host refuses to execute memory
    /// (`vm.memfd_noexec`), the helper runs from its file, and joining pid namespaces is refused.
    #[must_use]
    pub fn is_sealed(&self) -> bool {
        self.server.exe().is_sealed()
    }

    /// How many helpers did not end when they were killed: their file systems do not answer. With two for one
    /// container, or 16 in all, the answer is [`ErrorKind::Busy`] until they are gone.
    #[must_use]
    pub fn stuck(&self) -> usize {
        self.stuck.count()
    }
}

const STRICT: u16 = posture::NOT_DUMPABLE
    | posture::NO_NEW_PRIVS
    | posture::PRIVATE_PROCFS
    | posture::SEALED
    | posture::LIMITED
    | posture::DEATH_SIGNAL;
