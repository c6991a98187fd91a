//! The listeners of a network namespace from its text files, where the kernel's dump cannot be had.
//!
//! `/proc/PID/net` shows the network namespace of the process's main thread (`proc_pid_net(5)`). It is entered by
//! nobody and takes no capability, where `/proc` is mounted without `hidepid`; so it serves an agent that may not
//! do what [`sock_diag`](crate::sock_diag) takes. It is slower (the kernel walks its table of all namespaces'
//! connections), and says less: no interface, no `IPV6_V6ONLY`, and of Unix sockets no user.
//!
//! The files are read line by line, so their length costs time, up to the deadline, but no memory. While one is
//! open it keeps the namespace alive.
//!
//! # Trust
//! Lines of TCP and UDP are the kernel's. A line of `unix` ends with the name that the socket's owner chose, unescaped
//! (`unix_seq_show` in `net/unix/af_unix.c`): with a newline in it he can end his line early and forge the next. So
//! what [`unix_listeners`] says is a claim of somebody in that namespace. Who has a socket with that inode number is
//! to be asked of [`Process::sockets`].

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::ControlFlow;
use std::time::Instant;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;

use crate::error::{ErrorKind, Limit, Subject, os};
use crate::process::Process;
use crate::{Error, Result, lines};

/// A socket that waits for TCP connections or UDP datagrams.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Listener {
    /// The local address, as bound: unspecified means all addresses of the namespace.
    pub address: IpAddr,
    /// The local port.
    pub port: u16,
    /// The socket's inode number, as in `/proc/PID/fd`; 0 when no file belongs to it (a listener of the kernel).
    pub inode: u32,
    /// The user who made it, as a number of our own user namespace.
    pub uid: u32,
    /// Whether an IPv6 socket refuses IPv4 (`IPV6_V6ONLY`): `None`, since the text does not tell. For an IPv4 socket
    /// `Some(false)`, as in the dump.
    pub v6_only: Option<bool>,
}

/// A Unix socket that waits for connections.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct UnixListener {
    /// The socket's inode number, as in `/proc/PID/fd`.
    pub inode: u32,
    /// Its name as in `sun_path` (`unix(7)`): bytes that its owner chose. An abstract one begins with NUL.
    ///
    /// The text writes an `@` for every NUL. The first byte is turned back; so a path that begins with `@` looks
    /// abstract here, and a NUL further on in an abstract name stays an `@`.
    pub name: Vec<u8>,
    /// Whether it keeps the boundaries of messages (`SOCK_SEQPACKET`); otherwise it is a stream.
    pub keeps_boundaries: bool,
}

/// `TCP_LISTEN` and `TCP_CLOSE` of `net/tcp_states.h`; the latter is how a UDP socket without a peer is shown.
const LISTEN: u8 = 0x0a;
const CLOSE: u8 = 0x07;
/// `__SO_ACCEPTCON` of `linux/net.h`, and the types of sockets that can have it.
const ACCEPTING: u32 = 0x1_0000;
const STREAM: u32 = 1;
const SEQPACKET: u32 = 5;
/// The longest line of all these files has about 250 bytes, the name of a Unix socket included.
const LONGEST: usize = 512;
/// More listeners than a namespace has, except by malice: 65,535 ports for two families.
const MOST: usize = 1 << 17;

/// The TCP listeners, IPv4 and IPv6, of the process's network namespace.
///
/// The kernel lists them before all connections (`tcp_seq_start` in `net/ipv4/tcp_ipv4.c`), so reading ends at the
/// first connection.
///
/// # Errors
/// [`ErrorKind::TargetGone`]; [`ErrorKind::MissingPrivilege`] where `/proc` hides other users' processes;
/// [`ErrorKind::Timeout`] after the deadline; [`ErrorKind::Limit`] for more than 131,072 listeners.
pub fn tcp_listeners(process: &Process, deadline: Instant) -> Result<Vec<Listener>> {
    let mut found = Vec::new();
    for (file, parse) in FAMILIES_TCP {
        read(process, file, deadline, &mut found, |line| match parse(line) {
            None => Line::Other,
            Some(entry) if entry.state == LISTEN => Line::Found(entry.listener),
            Some(_) => Line::Last,
        })?;
    }
    Ok(found)
}

/// The UDP sockets, IPv4 and IPv6, of the process's network namespace that are bound to a port and have no peer.
///
/// Clients that send without having connected are among them: nothing tells them from servers.
///
/// # Errors
/// As [`tcp_listeners`].
pub fn udp_listeners(process: &Process, deadline: Instant) -> Result<Vec<Listener>> {
    let mut found = Vec::new();
    for (file, parse) in FAMILIES_UDP {
        read(process, file, deadline, &mut found, |line| match parse(line) {
            Some(entry) if entry.state == CLOSE && entry.alone => Line::Found(entry.listener),
            _ => Line::Other,
        })?;
    }
    Ok(found)
}

/// The Unix sockets of the process's network namespace that wait for connections. See [Trust](self#trust).
///
/// # Errors
/// As [`tcp_listeners`].
pub fn unix_listeners(process: &Process, deadline: Instant) -> Result<Vec<UnixListener>> {
    let mut found = Vec::new();
    read(process, "net/unix", deadline, &mut found, |line| unix(line).map_or(Line::Other, Line::Found))?;
    Ok(found)
}

type Parse = fn(&[u8]) -> Option<Entry>;
const FAMILIES_TCP: [(&str, Parse); 2] = [("net/tcp", entry::<4>), ("net/tcp6", entry::<16>)];
const FAMILIES_UDP: [(&str, Parse); 2] = [("net/udp", entry::<4>), ("net/udp6", entry::<16>)];

/// What one line is.
enum Line<T> {
    Found(T),
    Other,
    /// Nothing that is looked for comes after it.
    Last,
}

fn read<T: Ord>(
    process: &Process,
    file: &'static str,
    deadline: Instant,
    into: &mut Vec<T>,
    mut parse: impl FnMut(&[u8]) -> Line<T>,
) -> Result<()> {
    let failed = |e| Error::of_traced("read the sockets", process.pid(), e);
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let text = match openat(process.directory(), file, flags, Mode::empty()) {
        Ok(fd) => std::fs::File::from(fd),
        // A kernel without IPv6 has no such file; nor has a process that is gone.
        Err(nix::Error::ENOENT) if process.is_alive() => return Ok(()),
        Err(errno) => return Err(failed(os(errno))),
    };
    let mut too_many = false;
    let read = lines::each(text, LONGEST, deadline, |line| match parse(line) {
        Line::Last => ControlFlow::Break(()),
        Line::Found(_) if into.len() >= MOST => {
            too_many = true;
            ControlFlow::Break(())
        }
        Line::Found(found) => {
            into.push(found);
            ControlFlow::Continue(())
        }
        Line::Other => ControlFlow::Continue(()),
    });
    match read {
        Err(e) if e.kind() == io::ErrorKind::TimedOut => Err(failed(e).with_kind(ErrorKind::Timeout)),
        other => other.map_err(failed),
    }?;
    if too_many {
        return Err(Error::new(
            ErrorKind::Limit(Limit::Entries),
            "read the sockets",
            Subject::Pid(process.pid()),
        ));
    }
    // What comes while others go can be listed twice.
    into.sort_unstable();
    into.dedup();
    Ok(())
}

/// One line of `tcp`, `tcp6`, `udp` or `udp6`.
struct Entry {
    state: u8,
    /// Whether it has no remote address.
    alone: bool,
    listener: Listener,
}

/// Reads a line of a family whose addresses have `N` bytes; its fields are told in `proc_pid_net(5)`.
fn entry<const N: usize>(line: &[u8]) -> Option<Entry> {
    let mut fields = line.split(|b| *b == b' ').filter(|field| !field.is_empty());
    fields.next()?.strip_suffix(b":")?;
    let (local, port) = socket_address::<N>(fields.next()?)?;
    let (remote, remote_port) = socket_address::<N>(fields.next()?)?;
    let state = u8::try_from(hex(fields.next()?, 2)?).ok()?;
    // Queues, timer, retransmissions.
    let mut fields = fields.skip(3);
    let uid = decimal(fields.next()?)?;
    let inode = decimal(fields.nth(1)?)?;
    let v6_only = local.is_ipv4().then_some(false);
    let listener = Listener { address: local, port, inode, uid, v6_only };
    Some(Entry { state, alone: remote.is_unspecified() && remote_port == 0, listener })
}

/// Reads `0100007F:1F90`. An address is shown as words of four bytes, each a number in the byte order of the machine
/// though it is kept in that of the network; the port is shown as the number that it is.
fn socket_address<const N: usize>(text: &[u8]) -> Option<(IpAddr, u16)> {
    let mut parts = text.splitn(2, |b| *b == b':');
    let (address, port) = (parts.next()?, parts.next()?);
    let port = u16::try_from(hex(port, 4)?).ok()?;
    if address.len() != N.checked_mul(2)? {
        return None;
    }
    let mut bytes = [0_u8; N];
    for (to, from) in bytes.chunks_exact_mut(4).zip(address.chunks_exact(8)) {
        to.copy_from_slice(&hex(from, 8)?.to_ne_bytes());
    }
    let bytes = bytes.as_slice();
    let address = match <[u8; 4]>::try_from(bytes) {
        Ok(bytes) => IpAddr::V4(Ipv4Addr::from(bytes)),
        Err(_) => IpAddr::V6(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)),
    };
    Some((address, port))
}

/// Reads a line of `unix`, if it is of a socket that listens.
fn unix(line: &[u8]) -> Option<UnixListener> {
    let mut fields = line.splitn(7, |b| *b == b' ');
    fields.next()?.strip_suffix(b":")?;
    let mut fields = fields.skip(2);
    let (flags, kind) = (hex(fields.next()?, 8)?, hex(fields.next()?, 4)?);
    if flags & ACCEPTING == 0 || ![STREAM, SEQPACKET].contains(&kind) {
        return None;
    }
    // After the state, spaces before a short inode number, one space, and the name, which may have spaces itself.
    let rest = fields.nth(1)?.trim_ascii_start();
    let end = rest.iter().position(|b| *b == b' ')?;
    let (inode, name) = rest.split_at_checked(end)?;
    let mut name = name.get(1..)?.to_vec();
    if let Some(first @ b'@') = name.first_mut() {
        *first = 0;
    }
    (!name.is_empty()).then_some(UnixListener {
        inode: decimal(inode)?,
        name,
        keeps_boundaries: kind == SEQPACKET,
    })
}

/// A hexadecimal number of exactly so many digits, at most eight.
fn hex(text: &[u8], digits: usize) -> Option<u32> {
    if text.len() != digits || !text.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    u32::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()
}

fn decimal(text: &[u8]) -> Option<u32> {
    if !text.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream, UdpSocket};
    use std::os::fd::AsFd;
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::{SocketAddr, UnixListener as StdUnixListener};
    use std::time::Duration;

    const TAIL: &str =
        "00000000:00000000 00:00000000 00000000  1000        0 4711 1 0000000000000000 100 0 0 10 0";

    fn me() -> Process {
        Process::open(std::process::id().cast_signed()).unwrap()
    }

    fn soon() -> Instant {
        Instant::now().checked_add(Duration::from_secs(10)).unwrap()
    }

    fn inode(socket: impl AsFd) -> u32 {
        u32::try_from(crate::sys::inode(socket).unwrap()).unwrap()
    }

    /// The kernel's `%08X` of an address that it keeps in network order.
    fn word(bytes: [u8; 4]) -> String {
        format!("{:08X}", u32::from_ne_bytes(bytes))
    }

    #[test]
    fn addresses_are_words_of_the_machine() {
        let line = format!("   0: {}:1F90 00000000:0000 0A {TAIL}", word([127, 0, 0, 1]));
        let Entry { state, alone, listener } = entry::<4>(line.as_bytes()).unwrap();
        assert_eq!((state, alone), (LISTEN, true));
        assert_eq!(listener.address, "127.0.0.1".parse::<IpAddr>().unwrap());
        assert_eq!((listener.port, listener.uid, listener.inode), (8080, 1000, 4711));
        assert_eq!(listener.v6_only, Some(false));
        let address: Ipv6Addr = "2001:db8::1234:5678".parse().unwrap();
        let words: String = address.octets().chunks(4).map(|w| word(w.try_into().unwrap())).collect();
        let line = format!(" 123: {words}:0035 {}:0001 07 {TAIL}", "0".repeat(32));
        let Entry { state, alone, listener } = entry::<16>(line.as_bytes()).unwrap();
        assert_eq!((state, alone), (CLOSE, false), "a remote port is a peer");
        assert_eq!((listener.address, listener.port, listener.v6_only), (IpAddr::V6(address), 53, None));
        assert!(entry::<4>(line.as_bytes()).is_none());
    }

    #[test]
    fn wrong_lines_are_left_out() {
        let good = format!("0: 0100007F:1F90 00000000:0000 0A {TAIL}");
        assert!(entry::<4>(good.as_bytes()).is_some());
        for (from, to) in [
            ("0:", "0"),
            ("0100007F", "010007F"),
            ("0100007F", "+100007F"),
            ("0100007F", "0100007F01"),
            ("1F90", "11F90"),
            (":1F90", ""),
            (" 0A ", " A "),
            ("4711", "-1"),
            ("4711", "99999999999"),
            ("1000", "\u{e9}"),
        ] {
            let bad = good.replacen(from, to, 1);
            assert!(entry::<4>(bad.as_bytes()).is_none(), "{bad}");
        }
        // Cut anywhere before the inode number.
        for length in 0..good.find("4711").unwrap() {
            assert!(entry::<4>(&good.as_bytes()[..length]).is_none());
            assert!(unix(&good.as_bytes()[..length]).is_none());
        }
        assert!(entry::<4>(b"  sl  local_address rem_address   st tx_queue rx_queue tr").is_none());
        assert!(entry::<16>(&[0xff; 400]).is_none());
    }

    #[test]
    fn unix_names_are_bytes() {
        let line = |flags: &str, kind: &str, rest: &[u8]| {
            let mut line = format!("0000000000000000: 00000002 00000000 {flags} {kind} 01 ").into_bytes();
            line.extend_from_slice(rest);
            unix(&line).map(|found| (found.inode, found.name))
        };
        let boundaries = |kind| {
            unix(format!("0: 00000002 00000000 00010000 {kind} 01 7 /a").as_bytes())
                .map(|l| l.keeps_boundaries)
        };
        assert_eq!(["0001", "0005", "0002"].map(boundaries), [Some(false), Some(true), None]);
        let listening = |rest: &[u8]| line("00010000", "0001", rest);
        assert_eq!(listening(b"16163 /run/a b \xff"), Some((16163, b"/run/a b \xff".to_vec())));
        assert_eq!(listening(b"   42 @name@x"), Some((42, b"\0name@x".to_vec())));
        assert_eq!(listening(b"42  leading"), Some((42, b" leading".to_vec())));
        for bad in [&b"42"[..], b"42 ", b"", b" ", b"4x2 /a", b"99999999999 /a", b"/a"] {
            assert_eq!(listening(bad), None, "{bad:?}");
        }
        assert_eq!(line("00000000", "0001", b"42 /a"), None, "not listening");
        assert_eq!(line("00010000", "0002", b"42 /a"), None, "datagrams");
        assert_eq!(unix(b"Num       RefCount Protocol Flags    Type St Inode Path"), None);
    }

    #[test]
    fn our_own_tcp_listeners() {
        let v4 = TcpListener::bind("127.0.0.1:0").unwrap();
        // A connection that is older than a listener: it must not hide it.
        let connected = TcpStream::connect(v4.local_addr().unwrap()).unwrap();
        let accepted = v4.accept().unwrap();
        let later = TcpListener::bind("0.0.0.0:0").unwrap();
        let mut ours = vec![v4, later];
        ours.extend(TcpListener::bind("[::1]:0"));
        let found = tcp_listeners(&me(), soon()).unwrap();
        for listener in &ours {
            let wanted = listener.local_addr().unwrap();
            let same: Vec<_> = found.iter().filter(|l| l.inode == inode(listener)).collect();
            assert_eq!(same.len(), 1);
            assert_eq!((same[0].address, same[0].port), (wanted.ip(), wanted.port()));
            assert_eq!(same[0].uid, nix::unistd::geteuid().as_raw());
            assert_eq!(same[0].v6_only, wanted.is_ipv4().then_some(false));
        }
        assert!(found.iter().all(|l| l.inode != inode(&connected) && l.inode != inode(&accepted.0)));
    }

    #[test]
    fn our_own_udp_sockets() {
        let mut ours = vec![UdpSocket::bind("127.0.0.1:0").unwrap()];
        ours.extend(UdpSocket::bind("[::1]:0"));
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(ours[0].local_addr().unwrap()).unwrap();
        let found = udp_listeners(&me(), soon()).unwrap();
        for socket in &ours {
            let wanted = socket.local_addr().unwrap();
            let same: Vec<_> = found.iter().filter(|l| l.inode == inode(socket)).collect();
            assert_eq!(same.len(), 1);
            assert_eq!((same[0].address, same[0].port), (wanted.ip(), wanted.port()));
        }
        assert!(found.iter().all(|l| l.inode != inode(&client)));
    }

    #[test]
    fn our_own_unix_listeners() {
        let path = std::env::temp_dir().join(format!("portolan proc_net {}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        let by_path = StdUnixListener::bind(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let name = [&b"portolan \xff"[..], &std::process::id().to_ne_bytes().map(|b| b | 1)].concat();
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let by_name = StdUnixListener::bind_addr(&address).unwrap();
        let found = unix_listeners(&me(), soon()).unwrap();
        let name_of = |inode| found.iter().find(|l| l.inode == inode).map(|l| l.name.clone());
        assert_eq!(name_of(inode(&by_path)).unwrap(), path.into_os_string().into_encoded_bytes());
        assert_eq!(name_of(inode(&by_name)).unwrap(), [&[0][..], &name].concat());
        // Connections have the listener's name, but do not listen.
        let client = std::os::unix::net::UnixStream::connect_addr(&address).unwrap();
        let (server, _) = by_name.accept().unwrap();
        let found = unix_listeners(&me(), soon()).unwrap();
        assert!(found.iter().all(|l| l.inode != inode(&client) && l.inode != inode(&server)));
    }

    #[test]
    fn too_late_and_gone() {
        assert_eq!(tcp_listeners(&me(), Instant::now()).unwrap_err().kind(), ErrorKind::Timeout);
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::open(child.id().cast_signed()).unwrap();
        let alive = tcp_listeners(&process, soon());
        child.kill().unwrap();
        child.wait().unwrap();
        alive.unwrap();
        for gone in [tcp_listeners(&process, soon()), udp_listeners(&process, soon())] {
            assert_eq!(gone.unwrap_err().kind(), ErrorKind::TargetGone);
        }
        assert_eq!(unix_listeners(&process, soon()).unwrap_err().kind(), ErrorKind::TargetGone);
    }
}
