//! A request through a tunnel, against one over a direct dial.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use portolan::tunnel::{Address, Socks};
use portolan::{Dialer, Process};
use portolan_world::World;

use crate::{Budget, take_turns};

const PORT: u16 = 17_900;
const ROUNDS: usize = 3000;
/// What is asked, and what is answered.
const REQUEST: usize = 64;

/// A request is what a client makes of it: over a connection that it keeps, and over a new one.
pub(crate) fn budgets() -> Vec<Budget> {
    let exe = std::env::current_exe().unwrap();
    let inside =
        World::new("bench-tunnel").bind(&exe, "/bench").command(["/bench", "--echo", &PORT.to_string()]);
    let inside = inside.start().unwrap();
    inside.wait_listening(PORT, Duration::from_secs(5)).unwrap();
    let dialer = Dialer::new(Process::open(inside.pid()).unwrap()).unwrap();
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
    let dial = || {
        let stream = dialer.connect(to, Duration::from_secs(2)).unwrap();
        stream.set_nodelay(true).unwrap();
        stream
    };
    let tunnel = dialer.tunnel(to).start_thread().unwrap();
    let port = dialer.tunnel(to).port(0).start_thread().unwrap();
    let socks = dialer.tunnel(Socks::new()).start_thread().unwrap();
    let file = |address: &Address| -> PathBuf {
        let Address::Unix(path) = address else { panic!("{address:?}") };
        path.clone()
    };
    let (path, proxy) = (file(tunnel.address()), file(socks.address()));
    let Address::Tcp(local) = *port.address() else { panic!("{:?}", port.address()) };

    let (mut direct, mut tunnelled) = (dial(), UnixStream::connect(&path).unwrap());
    let kept = take_turns(ROUNDS, 100, || asked(&mut tunnelled), || asked(&mut direct));
    let new = take_turns(
        ROUNDS,
        100,
        || timed(|| request(&mut UnixStream::connect(&path).unwrap())),
        || timed(|| request(&mut dial())),
    );
    let by_port = take_turns(
        ROUNDS,
        100,
        || timed(|| request(&mut TcpStream::connect(local).unwrap())),
        || timed(|| request(&mut dial())),
    );
    let by_socks = take_turns(
        ROUNDS,
        100,
        || timed(|| request(&mut through(&proxy, to))),
        || timed(|| request(&mut dial())),
    );
    let ratio = |what: &str, (ours, peer): &(crate::Times, crate::Times)| {
        Budget::ratio(what, ours.at(50), peer.at(50), 2.0)
    };
    vec![
        ratio("request by tunnel / by a dial, connections kept", &kept),
        ratio("connect and request by tunnel / by a dial", &new),
        ratio("the same by a port", &by_port).for_comparison(),
        ratio("the same by SOCKS5", &by_socks).for_comparison(),
    ]
}

fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn asked(stream: &mut (impl std::io::Read + std::io::Write)) -> Duration {
    timed(|| request(stream))
}

fn request(stream: &mut (impl std::io::Read + std::io::Write)) {
    stream.write_all(&[7; REQUEST]).unwrap();
    stream.read_exact(&mut [0; REQUEST]).unwrap();
}

fn through(proxy: &PathBuf, to: SocketAddr) -> UnixStream {
    let mut stream = UnixStream::connect(proxy).unwrap();
    stream.write_all(&[5, 1, 0]).unwrap();
    stream.read_exact(&mut [0; 2]).unwrap();
    let SocketAddr::V4(to) = to else { panic!("{to}") };
    let asked = [&[5, 1, 0, 1][..], &to.ip().octets(), &to.port().to_be_bytes()].concat();
    stream.write_all(&asked).unwrap();
    let mut answer = [0; 10];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer[1], 0);
    stream
}

/// Answers each connection from a thread of its own, with what it was sent.
pub(crate) fn echo(port: u16) -> ! {
    let listener = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    loop {
        let Ok((mut stream, _)) = listener.accept() else { continue };
        std::thread::spawn(move || {
            let _ = stream.set_nodelay(true);
            let mut piece = [0; REQUEST];
            while stream.read_exact(&mut piece).is_ok() && stream.write_all(&piece).is_ok() {}
        });
    }
}
