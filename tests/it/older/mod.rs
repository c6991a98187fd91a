//! Kernels that lack what is newer than the oldest that is supported, were built without it, or refuse it: the system
//! call is made to fail, and the command and its helper run all the same. `docs/kernel-features.md` names these tests.
//!
//! - `rig`: how a call is made to fail
//! - `scan`, `services`, `watch`, `dial`, `files`: what each door does without
//! - `floor`: what happens below the oldest supported kernel
//! - `table`: the document names tests that exist

mod dial;
mod files;
mod floor;
pub(crate) mod rig;
pub(crate) mod scan;
mod services;
mod table;
mod watch;
