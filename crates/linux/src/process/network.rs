//! How many sockets there are in a process's network namespace (`proc_pid_net(5)`).

use super::{Process, read_short};
use crate::Result;
use std::os::fd::AsFd as _;

/// How many sockets of each kind a network namespace has: two short files, which save the dump of what is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SocketCounts {
    /// All that programs made, of every family.
    pub all: u32,
    /// TCP over IPv4: listening or connected.
    pub tcp4: u32,
    /// TCP over IPv6.
    pub tcp6: u32,
    /// UDP over IPv4, bound.
    pub udp4: u32,
    /// UDP over IPv6, bound.
    pub udp6: u32,
}

impl SocketCounts {
    /// How many are neither TCP nor UDP, or not in use: Unix sockets are among them.
    #[must_use]
    pub fn others(&self) -> u32 {
        [self.tcp4, self.tcp6, self.udp4, self.udp6].iter().fold(self.all, |left, n| left.saturating_sub(*n))
    }

    /// From the texts of `sockstat` and `sockstat6`; the second is empty without IPv6.
    fn parse(v4: &[u8], v6: &[u8]) -> Option<Self> {
        let (v4, v6) = (std::str::from_utf8(v4).ok()?, std::str::from_utf8(v6).ok()?);
        let count = |text: &str, label: &str| -> Option<u32> {
            let line = text.lines().find_map(|line| line.strip_prefix(label))?;
            line.split_ascii_whitespace().nth(1)?.parse().ok()
        };
        Some(Self {
            all: count(v4, "sockets:")?,
            tcp4: count(v4, "TCP:")?,
            udp4: count(v4, "UDP:")?,
            tcp6: if v6.is_empty() { 0 } else { count(v6, "TCP6:")? },
            udp6: if v6.is_empty() { 0 } else { count(v6, "UDP6:")? },
        })
    }
}

impl Process {
    /// Counts the sockets of the network namespace that the process is in. `None` when the kernel does not tell in
    /// the form that we know.
    ///
    /// # Errors
    /// [`ErrorKind::TargetGone`](crate::ErrorKind::TargetGone).
    pub fn socket_counts(&self) -> Result<Option<SocketCounts>> {
        let (mut v4, mut v6) = ([0_u8; 1024], [0_u8; 1024]);
        let read = |name, into: &mut [u8]| read_short(self.directory.as_fd(), name, into);
        let v4_length = read("net/sockstat", &mut v4).map_err(|e| self.denied("count the sockets", e))?;
        let v6_length = match read("net/sockstat6", &mut v6) {
            // Without IPv6 the file is not there.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => 0,
            other => other.map_err(|e| self.denied("count the sockets", e))?,
        };
        Ok(SocketCounts::parse(v4.get(..v4_length).unwrap_or(&[]), v6.get(..v6_length).unwrap_or(&[])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts() {
        let v4 =
            b"sockets: used 9\nTCP: inuse 2 orphan 0 tw 0 alloc 3 mem 0\nUDP: inuse 1 mem 0\nRAW: inuse 0\n";
        let v6 = b"TCP6: inuse 3\nUDP6: inuse 1\nUDPLITE6: inuse 0\n";
        let counts = SocketCounts::parse(v4, v6).unwrap();
        assert_eq!(counts, SocketCounts { all: 9, tcp4: 2, tcp6: 3, udp4: 1, udp6: 1 });
        assert_eq!(counts.others(), 2);
        assert_eq!(SocketCounts::parse(v4, b"").unwrap().others(), 6);
        for bad in [&b""[..], b"sockets: used", b"sockets: used x\nTCP: inuse 1\nUDP: inuse 1\n", b"\xff"] {
            assert_eq!(SocketCounts::parse(bad, v6), None);
        }
        assert_eq!(SocketCounts::parse(v4, b"TCP6: inuse 3\n"), None);
    }

    #[test]
    fn a_listener_more_is_one_more() {
        let me = Process::open(std::process::id().cast_signed()).unwrap();
        let _listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let counts = me.socket_counts().unwrap().unwrap();
        assert!(counts.tcp4 >= 1 && counts.all >= 1, "{counts:?}");
    }
}
