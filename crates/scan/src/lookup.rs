//! The TCP listeners of a namespace without a dump, where it can be proved that none is left out.
//!
//! A dump walks the listeners of the whole host, so that a thousand dumps on a host with a thousand containers cost a
//! thousand times as much as one of them; to look one listener up by its address costs the same on any host. And
//! addresses can be guessed: those that the namespace had before, or those that others have, for the containers of a
//! host are mostly copies of a few. The proof is the kernel's count: when there are as many TCP sockets in the
//! namespace as listeners were found, there is no other.

use std::collections::HashMap;
use std::os::fd::AsFd;
use std::time::Instant;

use portolan_linux::process::SocketCounts;
use portolan_linux::sock_diag::{Dumper, Listening, Local, Protocol};

/// More than this are not looked up one by one.
const FEW: usize = 16;
/// So many of the addresses that others have are tried.
const GUESSES: usize = 6;
/// So many namespaces are dumped before anything is guessed, and then between two looks at what is common.
const SAMPLE: u32 = 8;

/// Asks by address, and learns which addresses are common.
#[derive(Debug)]
pub(crate) struct Lookup {
    pub(crate) dumper: Dumper,
    /// How many namespaces have an address.
    seen: HashMap<Local, u32>,
    common: Vec<Local>,
    namespaces: u32,
    tried: u32,
    right: u32,
}

impl Lookup {
    pub(crate) fn new() -> Self {
        Self {
            dumper: Dumper::new(),
            seen: HashMap::new(),
            common: Vec::new(),
            namespaces: 0,
            tried: 0,
            right: 0,
        }
    }

    /// All TCP listeners of the namespace that the socket belongs to, or `None` when a dump is needed to know.
    ///
    /// `before` is what the namespace said the last time; `counts` were taken just now.
    pub(crate) fn without_dump(
        &mut self,
        socket: impl AsFd,
        before: Option<&Vec<Listening>>,
        counts: SocketCounts,
        deadline: Instant,
    ) -> Option<Vec<Listening>> {
        let all = usize::try_from(counts.tcp4.checked_add(counts.tcp6)?).ok()?;
        if all > FEW {
            return None;
        }
        if let Some(before) = before {
            let known = before.iter().filter(|l| l.protocol == Protocol::Tcp);
            let wanted: Vec<_> = known.map(|l| (&l.local, l.interface)).collect();
            if wanted.len() != all {
                return None;
            }
            return found(&mut self.dumper, socket, &wanted, all, deadline);
        }
        // Guesses that mostly fail cost more than they save.
        let worth = self.tried < SAMPLE || self.right.saturating_mul(2) > self.tried;
        if self.common.len() < all || !worth {
            return None;
        }
        self.tried = self.tried.saturating_add(1);
        let wanted: Vec<_> = self.common.iter().map(|local| (local, 0)).collect();
        let found = found(&mut self.dumper, socket, &wanted, all, deadline)?;
        self.right = self.right.saturating_add(1);
        Some(found)
    }

    /// Learns from a dump.
    pub(crate) fn learn(&mut self, listening: &[Listening]) {
        for listener in listening.iter().filter(|l| l.protocol == Protocol::Tcp && l.interface == 0) {
            let seen = self.seen.entry(listener.local.clone()).or_default();
            *seen = seen.saturating_add(1);
        }
        self.namespaces = self.namespaces.saturating_add(1);
        if self.namespaces.is_multiple_of(SAMPLE) {
            let often = self.namespaces / SAMPLE;
            let mut common: Vec<_> = self.seen.iter().filter(|(_, seen)| **seen > often).collect();
            common.sort_by(|a, b| b.1.cmp(a.1).then_with(|| a.0.cmp(b.0)));
            self.common = common.into_iter().take(GUESSES).map(|(local, _)| local.clone()).collect();
        }
    }
}

/// The listeners at these addresses, if they are as many as there are TCP sockets at all.
fn found(
    dumper: &mut Dumper,
    socket: impl AsFd,
    wanted: &[(&Local, u32)],
    all: usize,
    deadline: Instant,
) -> Option<Vec<Listening>> {
    let answers = dumper.look_up(socket, wanted.iter().copied(), deadline).ok()?;
    let mut distinct: Vec<Listening> = Vec::new();
    for listening in answers.into_iter().flatten() {
        // One that is bound to all addresses is found by each of them. Without a number it cannot be told from another.
        if listening.inode != 0 && distinct.iter().all(|other| other.inode != listening.inode) {
            distinct.push(listening);
        }
    }
    (distinct.len() == all).then_some(distinct)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::time::Duration;

    use portolan_linux::netns::SocketKind;
    use portolan_linux::{Home, NetNs};

    use super::*;

    fn inet(listener: &TcpListener) -> Local {
        let address = listener.local_addr().unwrap();
        Local::Inet(address.ip(), address.port())
    }

    #[test]
    fn only_what_is_proved_to_be_all() {
        let (one, two) = (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("[::]:0").unwrap());
        let socket =
            NetNs::of_this_thread().unwrap().socket(&Home::here().unwrap(), SocketKind::SockDiag).unwrap();
        let deadline = Instant::now().checked_add(Duration::from_secs(5)).unwrap();
        let listening = |l| Listening::new(Protocol::Tcp, inet(l), 0);
        let before = vec![listening(&one), listening(&two)];
        let counts = |tcp4, tcp6| {
            let mut counts = SocketCounts::default();
            (counts.tcp4, counts.tcp6) = (tcp4, tcp6);
            counts
        };
        let mut lookup = Lookup::new();
        let mut ask =
            |counts| lookup.without_dump(&socket, Some(&before), counts, deadline).map(|all| all.len());
        assert_eq!(ask(counts(1, 1)), Some(2));
        // One socket more than is known: a connection, or a listener that came.
        assert_eq!(ask(counts(2, 1)), None);
        assert_eq!(ask(counts(1, 0)), None);
        drop(two);
        assert_eq!(ask(counts(1, 1)), None, "one of those before is gone");
    }

    #[test]
    fn what_is_common_is_guessed_as_long_as_that_helps() {
        let (one, two) =
            (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.2:0").unwrap());
        let socket =
            NetNs::of_this_thread().unwrap().socket(&Home::here().unwrap(), SocketKind::SockDiag).unwrap();
        let deadline = Instant::now().checked_add(Duration::from_secs(5)).unwrap();
        let mut counts = SocketCounts::default();
        counts.tcp4 = 2;
        let listening = |l| Listening::new(Protocol::Tcp, inet(l), 0);
        let mut lookup = Lookup::new();
        for _ in 0..SAMPLE {
            assert_eq!(lookup.without_dump(&socket, None, counts, deadline), None);
            lookup.learn(&[listening(&one), listening(&two)]);
        }
        assert_eq!(lookup.without_dump(&socket, None, counts, deadline).unwrap().len(), 2);
        drop(one);
        for _ in 0..100 {
            assert_eq!(lookup.without_dump(&socket, None, counts, deadline), None);
        }
        assert!(lookup.tried <= 9, "it goes on guessing wrong");
    }
}
