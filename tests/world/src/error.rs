//! What can go wrong with a container.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

/// Why a container could not be started or used. Each names the container.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorldError {
    /// The description of the container makes no sense.
    #[error("container {name}: {why}")]
    Invalid {
        /// The container.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// A system call of the parent failed.
    #[error("container {name}: {doing}: {source}")]
    Io {
        /// The container.
        name: String,
        /// What was being done.
        doing: String,
        /// The failure.
        source: io::Error,
    },
    /// A step of the container's first process failed, on its way to the command.
    #[error("container {name}: {step}: {source}{}", indent(log))]
    Setup {
        /// The container.
        name: String,
        /// What was being done.
        step: String,
        /// The failure.
        source: io::Error,
        /// What the container had written by then.
        log: String,
    },
    /// The prepare script failed.
    #[error("container {name}: the prepare script ended with {status}{}", indent(log))]
    Prepare {
        /// The container.
        name: String,
        /// How it ended.
        status: ExitStatus,
        /// What it had written.
        log: String,
    },
    /// The container did not get somewhere in time.
    #[error("container {name}: {what}: not within {limit:?}{}", indent(log))]
    Timeout {
        /// The container.
        name: String,
        /// What was awaited.
        what: String,
        /// For how long.
        limit: Duration,
        /// What the container had written by then.
        log: String,
    },
    /// The container ended while something was still awaited of it.
    #[error("container {name}: {what}: it has ended{}", indent(log))]
    Ended {
        /// The container.
        name: String,
        /// What was awaited.
        what: String,
        /// What the container had written.
        log: String,
    },
}

fn indent(log: &str) -> String {
    log.lines().map(|line| format!("\n    {line}")).collect()
}
