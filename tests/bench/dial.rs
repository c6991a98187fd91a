//! Dials inside, against connections on the host's loopback.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use portolan::{Dialer, Process};
use portolan_world::{Container, World};
use tokio::runtime::Builder;

use crate::{Budget, take_turns};

const TIMEOUT: Duration = Duration::from_secs(2);
/// Dials before the memory is looked at, and the tasks that make them.
const MANY: usize = 10_000;
const TASKS: usize = 32;

/// A blocking dial inside against a plain connection to a listener on the host's loopback, an asynchronous one against
/// tokio's, and what ten thousand of them leave behind; and, for comparison, against a connection that keeps a deadline
/// as the dial does.
pub(crate) fn budgets() -> Vec<Budget> {
    // A port as services have it, below those that the kernel gives out.
    let port = (17_000..).find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).unwrap();
    let exe = std::env::current_exe().unwrap();
    let inside = served_inside(&exe, port);
    let _host = Served::start(&exe, port);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let dialer = Dialer::new(Process::open(inside.pid()).unwrap()).unwrap();
    let mut budgets = blocking(&dialer, address);
    budgets.extend(asynchronous(&dialer, address));
    budgets.push(left_behind(&dialer, address));
    budgets
}

fn blocking(dialer: &Dialer, address: SocketAddr) -> Vec<Budget> {
    let timed = |connect: &dyn Fn() -> TcpStream| {
        let start = Instant::now();
        let stream = connect();
        let took = start.elapsed();
        close_by_reset(stream);
        took
    };
    let against = |peer: &dyn Fn() -> TcpStream| {
        take_turns(8000, 100, || timed(&|| dialer.connect(address, TIMEOUT).unwrap()), || timed(peer))
    };
    let (ours, plain) = against(&|| TcpStream::connect(address).unwrap());
    let (also, timeout) = against(&|| TcpStream::connect_timeout(&address, TIMEOUT).unwrap());
    vec![
        Budget::ratio("dial inside / plain connect on the host's loopback", ours.at(50), plain.at(50), 1.2),
        Budget::ratio("the same, p99", ours.at(99), plain.at(99), 1.5),
        Budget::ratio(
            "dial inside / connect_timeout on the host's loopback",
            also.at(50),
            timeout.at(50),
            1.2,
        )
        .for_comparison(),
    ]
}

fn asynchronous(dialer: &Dialer, address: SocketAddr) -> Vec<Budget> {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let close = |stream: tokio::net::TcpStream| close_by_reset(stream.into_std().unwrap());
    let ours = || {
        runtime.block_on(async {
            let start = Instant::now();
            let stream = dialer.connect_async(address, TIMEOUT).await.unwrap();
            let took = start.elapsed();
            close(stream);
            took
        })
    };
    let plain = || {
        runtime.block_on(async {
            let start = Instant::now();
            let stream = tokio::net::TcpStream::connect(address).await.unwrap();
            let took = start.elapsed();
            close(stream);
            took
        })
    };
    let (ours, plain) = take_turns(8000, 100, ours, plain);
    vec![
        Budget::ratio("the same for tokio / tokio's own", ours.at(50), plain.at(50), 1.2),
        Budget::ratio("the same for tokio, p99", ours.at(99), plain.at(99), 1.5),
    ]
}

/// The resident memory that ten thousand dials from many tasks leave behind, after as many that warm up.
fn left_behind(dialer: &Dialer, address: SocketAddr) -> Budget {
    let runtime = Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let round = || {
        let tasks: Vec<_> = (0..TASKS)
            .map(|_| {
                let dialer = dialer.clone();
                runtime.spawn(async move {
                    for _ in 0..MANY / TASKS {
                        let stream = dialer.connect_async(address, TIMEOUT).await.unwrap();
                        close_by_reset(stream.into_std().unwrap());
                    }
                })
            })
            .collect();
        runtime.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
        });
    };
    round();
    let before = resident();
    round();
    let grown = resident().saturating_sub(before);
    Budget::size("resident memory after 10,000 dials more", grown as f64 / 1024.0, "MiB", 1.0)
}

/// KiB of resident memory (`proc_pid_status(5)`).
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
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
