//! Every client of this crate against the real server, in containers of real runtimes.
//!
//! All servers of a container come from Debian's packages and listen on its own address only: a loopback, or a network
//! that the host cannot reach. The host has somebody else at the same addresses, ports and paths, who counts who
//! comes; that must be nobody.
//!
//! # Layout
//! - `docker`, `lxc`: the containers, a test for each
//! - `servers`, `start.sh`: what runs in them
//! - `suite`: every client in turn
//! - `again`: those that connect again by themselves, cut off
//! - `decoys`: what the host has at the same places
//! - `host`: a host of each test's own
//! - the rest: runtimes, as the integration tests of the workspace start them
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "tests fail by panicking, and say what they have seen"
)]

mod again;
mod decoys;
mod docker;
mod host;
mod lxc;
mod servers;
mod suite;

#[allow(dead_code, reason = "the command of the workspace is not run here")]
#[path = "../../../../tests/it/command.rs"]
mod command;
#[path = "../../../../tests/it/runtimes/engine.rs"]
mod engine;
#[path = "../../../../tests/it/runtimes/place.rs"]
mod place;
#[allow(dead_code, reason = "only daemons are started here")]
#[path = "../../../../tests/it/runtimes/process.rs"]
mod process;
#[allow(dead_code, reason = "only the programs of an image are needed here")]
#[path = "../../../../tests/it/runtimes/rootfs.rs"]
mod rootfs;
#[path = "../../../../tests/it/runtimes/tool.rs"]
mod tool;
#[allow(dead_code, reason = "no pods here")]
#[path = "../../../../tests/it/runtimes/traces.rs"]
mod traces;

use engine::Engine;
use std::sync::{Mutex, MutexGuard, PoisonError};

static TURN: Mutex<()> = Mutex::new(());

/// Waits until no other test runs a runtime: they share what runtimes leave on a host, and the paths of the decoys.
fn turn() -> MutexGuard<'static, ()> {
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A name that no other run of these tests uses.
fn name(what: &str) -> String {
    format!("portolan-{}-{what}", std::process::id())
}

/// Where the daemon's own socket is.
fn docker_socket(engine: &Engine) -> String {
    let client = engine.docker();
    let mut set = client.get_envs().filter(|(name, _)| *name == "DOCKER_HOST");
    let host = set.next().unwrap().1.unwrap().to_str().unwrap();
    host.strip_prefix("unix://").unwrap().to_owned()
}
