//! Names, as the container itself would resolve them.
//!
//! The texts of the container's own `resolv.conf` and `hosts` say whom to ask, and the questions go out over sockets
//! that were born inside. The host's files, its name servers and its host name play no part. `nsswitch.conf` is not
//! looked at: hosts first, then the name servers, as nearly everywhere.
//!
//! # Layout
//! - [`resolver`]: the resolver
//! - [`sockets`]: hickory's `RuntimeProvider`, for those who want hickory's own resolver with other settings
//! - `hosts`, `conf`: the two files
//!
//! Needs the feature `dns`.

mod conf;
mod hosts;
pub mod resolver;
pub mod sockets;

pub use resolver::Resolver;
pub use sockets::InsideSockets;
