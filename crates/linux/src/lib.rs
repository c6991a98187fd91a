//! The doors of the Linux kernel that portolan uses, each as a safe value.
//!
//! # What it does
//! It turns numbers and paths that can change under one's feet into values that cannot: a pid becomes a
//! [`Process`], a namespace a [`NetNs`], an executable a [`SealedExe`]. Everything that portolan learns or does
//! goes through these.
//!
//! # What it does not do
//! It decides nothing: which processes are a container, which file is read, where a connection goes are the
//! business of `portolan-scan`, `portolan-files` and `portolan-dial`.
//!
//! # Example
//! ```
//! use portolan_linux::{NamespaceKind, Process};
//!
//! let me = Process::open(std::process::id().cast_signed())?;
//! println!("my mount namespace is {}", me.namespace(NamespaceKind::Mount)?);
//! assert!(me.is_alive());
//! # Ok::<(), portolan_linux::Error>(())
//! ```
//!
//! # Layout
//! - [`process`]: a process that cannot be taken for another, and what `/proc` says of it
//! - [`identity`]: which file it is, asked without waiting, and paths that lead nowhere else
//! - [`mount_info`]: the lines of `/proc/PID/mountinfo`
//! - [`namespace`]: kinds of namespaces and their identity
//! - [`netns`]: sockets born in a network namespace, the caller's thread brought home; visits to many, host names
//! - [`pass`]: messages with descriptors to a process of ours
//! - [`netns_files`]: network namespaces that no process shows: bind mounts, and those that sockets hold
//! - [`threads`]: the threads of a process, and where one of them is at home
//! - [`proc_events`]: what starts and ends, told by the kernel
//! - [`proc_net`]: the listeners of a network namespace from its text files, where the dump cannot be had
//! - [`sock_diag`]: the listeners of a network namespace, from the kernel's own dump
//! - [`glance`]: whether a file changed, without ever waiting for its file system
//! - [`wait`]: waiting for a descriptor, but not past a deadline
//! - [`exe`]: an executable sealed in memory, and how it is started
//! - [`privilege`]: capabilities, and which one is missing
//! - [`bpf`]: all processes and listeners of a host in one pass, by programs that run in the kernel
//! - [`error`]: the vocabulary of errors for all of portolan
//! - `lines`: the lines of a text file, one at a time
//! - `sys`: the only file with `unsafe`
#![deny(unsafe_code)]

pub mod bpf;
pub mod error;
pub mod exe;
pub mod glance;
pub mod identity;
mod lines;
pub mod mount_info;
pub mod namespace;
pub mod netns;
pub mod netns_files;
pub mod pass;
pub mod privilege;
pub mod proc_events;
pub mod proc_net;
pub mod process;
pub mod sock_diag;
#[allow(unsafe_code)]
mod sys;
pub mod threads;
pub mod wait;

pub use error::{Error, ErrorKind};
pub use exe::SealedExe;
pub use namespace::{NamespaceId, NamespaceKind};
pub use netns::{Entrance, Home, NetNs};
pub use process::{Process, ProcessId};

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;
