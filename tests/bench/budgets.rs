//! The budgets: each is a ratio against a peer in the same run, so that the machine's mood divides out.
//!
//! `make bench` runs all of them; the exit code is 1 if one is not kept. Measurements of both sides take turns in
//! short batches, and the median of each is compared.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    reason = "a benchmark stops at the first thing that goes wrong"
)]

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use portolan::{Dialer, Process};
use portolan_world::{Container, World};

/// A figure and its limit.
struct Budget {
    what: &'static str,
    ours: String,
    peer: String,
    value: f64,
    limit: f64,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(at) = arguments.iter().position(|a| a == "--serve") {
        serve(arguments[at + 1].parse().unwrap());
    }
    let built = || PathBuf::from("target/release/portolan-helper");
    let helper = std::env::var_os("PORTOLAN_HELPER").map_or_else(built, PathBuf::from);
    let mut budgets = vec![size(&helper), read(&helper)];
    budgets.extend(dial());
    println!("{:<58}{:>14}{:>14}{:>9}{:>9}", "budget", "ours", "peer", "ratio", "limit");
    for b in &budgets {
        let mark = if b.value <= b.limit { "" } else { "  over" };
        println!("{:<58}{:>14}{:>14}{:>9.3}{:>9.2}{mark}", b.what, b.ours, b.peer, b.value, b.limit);
    }
    ExitCode::from(u8::from(budgets.iter().any(|b| b.value > b.limit)))
}

fn size(helper: &PathBuf) -> Budget {
    let bytes = std::fs::metadata(helper).unwrap().len();
    let megabytes = f64::from(u32::try_from(bytes).unwrap()) / 1e6;
    Budget {
        what: "size of the release helper, MB",
        ours: format!("{megabytes:.3} MB"),
        peer: "-".into(),
        value: megabytes,
        limit: 1.3,
    }
}

/// One file through the one-shot helper, against `nsenter -t PID -m cat FILE`.
fn read(helper: &PathBuf) -> Budget {
    let container = World::new("bench-read").file("/etc/bench.conf", "a = 1\n".repeat(50)).start().unwrap();
    let pid = container.pid().to_string();
    let run = |command: &mut Command| {
        let start = Instant::now();
        let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().unwrap();
        let took = start.elapsed();
        assert!(output.status.success() && output.stdout.len() >= 300, "{command:?} failed");
        took
    };
    let (ours, peer) = take_turns(
        400,
        20,
        || run(Command::new(helper).args(["read", "--pid", &pid, "--", "/etc/bench.conf"])),
        || run(Command::new("nsenter").args(["-t", &pid, "-m", "cat", "/etc/bench.conf"])),
    );
    Budget {
        what: "read one file, one-shot helper / nsenter -t PID -m cat",
        ours: micros(ours),
        peer: micros(peer),
        value: ours.as_secs_f64() / peer.as_secs_f64(),
        limit: 0.6,
    }
}

/// A blocking dial inside, against a plain connection to a listener on the host's loopback; and, for comparison,
/// against one that keeps a deadline as the dial does.
fn dial() -> [Budget; 2] {
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
        let value = ours.as_secs_f64() / peer.as_secs_f64();
        Budget { what, ours: micros(ours), peer: micros(peer), value, limit: 1.3 }
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
fn serve(port: u16) -> ! {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    loop {
        if let Ok((mut stream, _)) = listener.accept() {
            let _ = std::io::Read::read(&mut stream, &mut [0]);
        }
    }
}

/// Medians of two things that are measured in turns.
fn take_turns(
    count: usize,
    batch: usize,
    mut ours: impl FnMut() -> Duration,
    mut peer: impl FnMut() -> Duration,
) -> (Duration, Duration) {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for _ in 0..batch {
        ours();
        peer();
    }
    while first.len() < count {
        first.extend((0..batch).map(|_| ours()));
        second.extend((0..batch).map(|_| peer()));
    }
    (median(first), median(second))
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn micros(time: Duration) -> String {
    format!("{:.1} us", time.as_secs_f64() * 1e6)
}
