//! What a Redis server writes over its arguments: `redis-server 127.0.0.1:6379 [cluster]`.
//!
//! The name of its configuration is lost with them, so that the file has to be found by what it says.

use crate::launch::Launch;

/// A title, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Title {
    /// The first address that it listens on, `*` for all; a Unix socket's path where there is no port.
    pub(super) address: Vec<u8>,
    /// The port, or the port of TLS where there is no other; 0 with a Unix socket only.
    pub(super) port: u16,
    pub(super) sentinel: bool,
    pub(super) cluster: bool,
}

/// The title of a process that has one.
pub(super) fn of(launch: &Launch) -> Option<Title> {
    // Arguments that were not written over are more than one, or hold no address.
    let mut arguments = launch.arguments.iter().filter(|argument| !argument.is_empty());
    let (Some(line), None) = (arguments.next(), arguments.next()) else { return None };
    let mut words = line.split(|b| *b == b' ').filter(|word| !word.is_empty()).skip(1);
    let listens = words.next()?;
    let (address, port) = if listens.starts_with(b"/") {
        (listens, 0)
    } else {
        let colon = listens.iter().rposition(|b| *b == b':')?;
        let (address, port) = listens.split_at(colon);
        (address, crate::config::reading::number(port.get(1..)?)?)
    };
    let modes: Vec<&[u8]> = words.collect();
    Some(Title {
        address: address.to_vec(),
        port,
        sentinel: modes.contains(&&b"[sentinel]"[..]),
        cluster: modes.contains(&&b"[cluster]"[..]),
    })
}
