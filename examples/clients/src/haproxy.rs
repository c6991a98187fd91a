//! HAProxy's own socket: no client at all, one command and its answer.
//!
//! The path is the container's, in its mounts; a socket at the same path of the host is another.

use std::io::{Read as _, Write as _};
use std::time::Duration;

use portolan_dial::Dialer;

use crate::Answer;

/// How much is taken of what the other side says.
const MOST: u64 = 64 * 1024;

/// The name of the node.
///
/// # Errors
/// When it cannot be dialed, or does not answer as an HAProxy.
pub fn ask(dialer: &Dialer, path: &str) -> Answer {
    let limit = Duration::from_secs(2);
    let mut haproxy = dialer.unix(path, limit)?;
    haproxy.set_read_timeout(Some(limit))?;
    haproxy.write_all(b"show info\n")?;
    let mut answer = String::new();
    haproxy.take(MOST).read_to_string(&mut answer)?;
    let node = answer.lines().find_map(|line| line.strip_prefix("node: "));
    Ok(node.ok_or("no node in what it says")?.to_owned())
}
