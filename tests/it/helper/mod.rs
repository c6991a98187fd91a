//! The helper alone: what it is, what it gives up, and how others speak with it.

mod binary;
mod client;
mod finding;
mod memory;
mod own;
mod posture;
