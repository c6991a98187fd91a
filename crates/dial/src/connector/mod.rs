//! For clients that do not take a stream but call for each of their connections: whenever they connect again, they do
//! so inside.
//!
//! The client says where to by a URI. Its address is one inside, and a URI without a port means its scheme's. A name
//! is refused rather than looked up on the host: give an address, send every connection `to` one (then `Host` headers
//! and TLS names stay those of the URI), or give a resolver. Only `localhost` is everywhere the loopback (RFC 6761).
//!
//! # Layout
//! - `goal`: where a URI leads
//! - `service`: hyper-util, tonic, and all that take a `tower_service::Service<Uri>` (feature `tower`)
//! - `ureq`, `ureq_transport`: ureq 3 (feature `ureq`)

use portolan_linux::ErrorKind;
use portolan_linux::error::NetError;

use crate::Error;

mod goal;
#[cfg(feature = "tower")]
mod service;
#[cfg(feature = "ureq")]
mod ureq;
#[cfg(feature = "ureq")]
mod ureq_transport;

#[cfg(feature = "ureq")]
pub use self::{ureq::UreqConnector, ureq_transport::InsideTransport};
#[cfg(feature = "tower")]
pub use service::{Connecting, Connector, UnixConnector};

/// Why a name is refused.
const NAME: &str = "a name means something else inside: give an address, connect `to` one, or use a resolver";

/// Of two errors of one name's addresses, the one to tell: that there is no way to the second address, as to the IPv6
/// loopback of a container without IPv6, says less than what the first said.
fn more_telling(first: Option<Error>, second: Error) -> Error {
    match first {
        Some(first) if second.kind() == ErrorKind::Net(NetError::Unreachable) => first,
        _ => second,
    }
}
