//! The listeners of a namespace from the text files of `/proc`, where the kernel's dump cannot be had: without the
//! right to enter the namespace, or without `inet_diag` in the kernel.

use std::time::Instant;

use portolan_linux::proc_net;
use portolan_linux::sock_diag::{Listening, Local, Protocol};
use portolan_linux::{Process, Result};

/// The listeners of the network namespace that a process is in. The text does not say whether an IPv6 socket refuses
/// IPv4, nor the interface that one is bound to, and does not know the users of Unix sockets.
pub(crate) fn listeners(process: &Process, deadline: Instant) -> Result<Vec<Listening>> {
    let inet = |protocol, found: Vec<proc_net::Listener>| {
        found.into_iter().map(move |l| Listening {
            uid: Some(l.uid),
            v6_only: l.v6_only.unwrap_or(false),
            ..Listening::new(protocol, Local::Inet(l.address, l.port), l.inode)
        })
    };
    let mut all: Vec<Listening> = inet(Protocol::Tcp, proc_net::tcp_listeners(process, deadline)?).collect();
    all.extend(inet(Protocol::Udp, proc_net::udp_listeners(process, deadline)?));
    all.extend(proc_net::unix_listeners(process, deadline)?.into_iter().map(|l| {
        let local = match l.name.as_slice() {
            [0, name @ ..] => Local::Abstract(name.to_vec()),
            path => Local::Path(path.to_vec()),
        };
        let protocol = if l.keeps_boundaries { Protocol::UnixSeqpacket } else { Protocol::Unix };
        Listening::new(protocol, local, l.inode)
    }));
    Ok(all)
}
