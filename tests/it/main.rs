//! The suites that need a whole host: real containers, the real command and the real helper.
//!
//! Containers come from `portolan-world`. What a test expects is said by programs that no one here wrote:
//! `nsenter`, `ss`, `lsns`, `bash`. A test that cannot run on a machine says so and is counted (`require!`).
//!
//! # Layout
//! - `command`: runs the command and the helper as a script would, and judges how they end
//! - `inside`: a container, with the two ways in (library and command) that must agree
//! - `oracle`: what other programs say about a container
//! - `servers`: small programs that listen inside
//! - `scratch`: directories of the host that vanish with their test
//! - `read`, `glob`, `targets`, `scan`, `dial`: each door of the library, and its command
//! - `tail`, `batch`: a file's end as it grows and is rotated; several operations in one entry
//! - `serve`: the server behind all requests: killed, stopped, replaced, at rest
//! - `helper`: the helper alone, through its own arguments and frames
//! - `hostile`: every attack of the threat model by its number, and what must hold after each
//! - `older`: kernels that lack something: the system call is made to fail
//! - `impostor`: what the library does with a helper that lies, hangs or dies
//! - `privileges`: what is said, and what goes on working, when a capability is missing
//! - `manners`: how the command behaves among others: pipes, full disks, few descriptors, help
//! - `agent`: the example agent on real services, in containers of three runtimes
//! - `services`: real services, what they are and how they are configured
//! - `watch`: what changes on a host, told as it happens
//! - `tunnel`: ways in for clients that take no stream: sockets here, threads there
//! - `logs`: what containers wrote, and where, against what their runtimes say
//! - `runtimes`: containers of every runtime that Debian has, by the words of each
//! - `metadata`: what the runtimes' API says of containers, and what sockets that hang or lie can do
//! - `direction`, `fences`: the tree keeps the rules that the design gives it
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "tests fail by panicking"
)]

mod agent;
mod batch;
mod command;
mod dial;
mod direction;
mod fences;
mod find;
mod glob;
mod helper;
mod hostile;
mod impostor;
mod inside;
mod logs;
mod manners;
mod metadata;
mod older;
mod oracle;
mod privileges;
mod read;
mod runtimes;
mod scan;
mod scratch;
mod serve;
mod servers;
mod services;
mod tail;
mod targets;
mod tunnel;
mod watch;
