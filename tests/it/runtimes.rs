//! Containers of real runtimes, from Debian's packages: charted, read and dialed, and held against what the
//! runtime itself says about them.
//!
//! Every runtime is given directories of its own below `/var/tmp` and is reached by a socket or a path in there, so
//! that a runtime that the host uses is neither touched nor seen. What a test starts it ends again, also when it
//! fails: processes by the pid that it started, containers through their own runtime, then mounts, directories and
//! control groups.
//!
//! # Layout
//! - `docker`, `podman`, `rootless`, `ctr`, `cri`, `lxc`, `nspawn`, `runc`, `crun`, `bubblewrap`, `unshare`, `chroot`:
//!   a runtime each
//! - `systemd`: a host with systemd, its services, and runtimes that use it
//! - `agent`: the command in a container of its own
//! - `several`: the whole chart while several of them run
//! - `matrix`: the table in `docs/runtimes.md` and these suites are about the same runtimes
//! - `engine`, `containerd`: a daemon that belongs to its test
//! - `told`: what a runtime tells of a container, and whether the command agrees
//! - `view`: where the command is run
//! - `chart`: the JSON of `portolan scan`
//! - `rootfs`: what lies in a container
//! - `tool`: programs of the runtimes
//! - `protobuf`: what a client of CRI speaks
//! - `process`: a program that runs as long as a test needs it
//! - `place`, `group`: a directory with mounts in it, a control group with others below it
//! - `traces`: what runtimes leave on a host
#![allow(
    clippy::print_stderr,
    reason = "a guard that is dropped by a failing test has no other way to speak"
)]

mod agent;
mod bubblewrap;
mod chart;
mod chroot;
pub(crate) mod containerd;
pub(crate) mod cri;
mod crun;
mod ctr;
mod docker;
pub(crate) mod engine;
pub(crate) mod group;
pub(crate) mod lxc;
mod matrix;
mod nspawn;
pub(crate) mod place;
pub(crate) mod podman;
pub(crate) mod process;
pub(crate) mod protobuf;
pub(crate) mod rootfs;
pub(crate) mod rootless;
mod runc;
mod several;
pub(crate) mod systemd;
mod told;
pub(crate) mod tool;
pub(crate) mod traces;
mod unshare;
mod view;

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Containers of one runtime share control groups, which it makes for the first and leaves behind after the last.
/// Tests that start a runtime take turns, so that each knows what it made.
static TURN: Mutex<()> = Mutex::new(());

/// Waits until no other test runs a runtime.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    // A test that failed has cleaned up like any other.
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A name that no other run of these tests uses.
pub(crate) fn name(what: &str) -> String {
    format!("portolan-{}-{what}", std::process::id())
}
