//! A dial inside, against a connection on the host's loopback.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use portolan::{Dialer, Process};
use portolan_world::{Container, World};

use crate::{Budget, take_turns};

/// A blocking dial inside, against a plain connection to a listener on the host's loopback; and, for comparison,
/// against one that keeps a deadline as the dial does.
pub(crate) fn budgets() -> [Budget; 2] {
    // A port as services have it, below those that the kernel gives out.
    let port = (17_000..).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap();
    let exe = std::env::current_exe().unwrap();
    let inside = served_inside(&exe, port);
    let _host = Served::start(&exe, port);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let dialer = Dialer::new(Process::open(inside.pid()).unwrap()).unwrap();
    let timed = |connect: &dyn Fn() -> TcpStream| {
        let start = Instant::now();
        let stream = connect();
        let took = start.elapsed();
        close_by_reset(stream);
        took
    };
    let timeout = Duration::from_secs(2);
    let against = |what, peer: &dyn Fn() -> TcpStream| {
        let ours = || timed(&|| dialer.connect(address, timeout).unwrap());
        let (ours, peer) = take_turns(4000, 100, ours, || timed(peer));
        Budget::ratio(what, ours.at(50), peer.at(50), 1.3)
    };
    [
        against("dial inside / plain connect on the host's loopback", &|| {
            TcpStream::connect(address).unwrap()
        }),
        against("dial inside / connect_timeout on the host's loopback", &|| {
            TcpStream::connect_timeout(&address, timeout).unwrap()
        }),
    ]
}

/// Closes by a reset: thousands of connections in `TIME_WAIT` would make the search for a free port what is measured.
fn close_by_reset(stream: TcpStream) {
    let now = nix::libc::linger { l_onoff: 1, l_linger: 0 };
    nix::sys::socket::setsockopt(&stream, nix::sys::socket::sockopt::Linger, &now).unwrap();
    drop(stream);
}

fn served_inside(exe: &PathBuf, port: u16) -> Container {
    let container = World::new("bench-dial")
        .bind(exe, "/bench")
        .command(["/bench", "--serve", &port.to_string()])
        .start()
        .unwrap();
    container.wait_listening(port, Duration::from_secs(5)).unwrap();
    container
}

/// The same server on the host; ended when it is dropped.
struct Served(Child);

impl Served {
    fn start(exe: &PathBuf, port: u16) -> Self {
        let child = Command::new(exe).args(["--serve", &port.to_string()]).spawn().unwrap();
        let served = Self(child);
        let until = Instant::now() + Duration::from_secs(5);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "the server on the host does not start");
            std::thread::sleep(Duration::from_millis(5));
        }
        served
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Accepts, and waits for the other side to close, for ever: the other end of every connection that is measured.
pub(crate) fn serve(port: u16) -> ! {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    loop {
        if let Ok((mut stream, _)) = listener.accept() {
            let _ = std::io::Read::read(&mut stream, &mut [0]);
        }
    }
}
