//! `hickory-resolver`: asks the container's own name servers, by sockets that were born inside.
//!
//! Whom to ask stands in the container's files, which `Host::resolver` reads; the host's `/etc/resolv.conf` and
//! `/etc/hosts` play no part. Of hickory's own resolver, for other records, there is `Resolver::servers`.

use std::time::Duration;

use portolan_dial::Resolver;

use crate::Answer;

/// The addresses of a name.
///
/// # Errors
/// When no name server can be asked, or none knows the name.
pub async fn ask(resolver: &Resolver, name: &str) -> Answer {
    let found = resolver.lookup(name, Duration::from_secs(5)).await?;
    Ok(format!("{name} is {found:?}"))
}
