//! Real containers made from namespaces alone: for tests, examples and benchmarks, without any runtime.
//!
//! ```no_run
//! use portolan_world::World;
//! use std::time::Duration;
//!
//! let redis = World::new("cache")
//!     .file("/etc/cache.conf", "port 6379\n")
//!     .command(["redis-server", "/etc/cache.conf"])
//!     .start()?;
//! redis.wait_listening(6379, Duration::from_secs(5))?;
//! println!("its process 1 is {} here", redis.pid());
//! # Ok::<(), portolan_world::WorldError>(())
//! ```
//!
//! A container's root is the host's with a writable layer on top, so that whatever is installed on the host
//! can run inside. Only the root file system is there: what the host mounts below it is missing inside, as
//! are its `/tmp` and `/run`.
//!
//! Nothing is left behind. All mounts live in the container's own mount namespace and all processes in its
//! pid namespace, so both end with its process 1. That is killed when its [`Container`] is dropped, and by
//! the kernel when the process that started it ends in whatever way. No control groups are made: a container
//! stays in those of its starter.

mod child;
mod container;
mod error;
mod keeper;
pub mod leftovers;
mod living;
mod namespace;
pub mod need;
mod plan;
mod spawner;
mod start;
mod step;
mod sys;
mod user;
mod world;

pub use container::Container;
pub use error::WorldError;
pub use namespace::Namespace;
pub use world::World;
