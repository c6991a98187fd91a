//! `hickory-resolver`: asks the container's own name servers, by sockets that were born inside.
//!
//! Whom to ask stands in the container's files; the host's `/etc/resolv.conf` and `/etc/hosts` play no part.

use std::time::Duration;

use portolan_dial::{Dialer, Resolver};

use crate::Answer;

/// The addresses of a name. `resolv_conf` and `hosts` are the container's, as `Host::read` gives them.
///
/// # Errors
/// When no name server can be asked, or none knows the name.
pub async fn ask(dialer: &Dialer, resolv_conf: &[u8], hosts: &[u8], name: &str) -> Answer {
    let resolver = Resolver::new(dialer, resolv_conf, hosts)?;
    let found = resolver.lookup(name, Duration::from_secs(5)).await?;
    Ok(format!("{name} is {found:?}"))
}
