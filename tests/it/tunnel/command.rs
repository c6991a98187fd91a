//! `portolan tunnel`, as a script would use it.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::{Decoy, echoing, ended, heard, tcp, unix};
use crate::command::{command, portolan, run};
use crate::inside::{Inside, SOON};
use crate::scratch::Scratch;
use crate::servers;

/// A tunnel that runs; killed when the test fails.
struct Running {
    child: Child,
    place: String,
}

impl Running {
    /// Waits for the line that says where to connect.
    #[track_caller]
    fn start(arguments: &[&str]) -> Self {
        Self::spawn(command(["tunnel"]).args(arguments))
    }

    #[track_caller]
    fn spawn(command: &mut Command) -> Self {
        let mut child =
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let running = Self { child, place: line.trim_end().to_owned() };
        assert!(!running.place.is_empty(), "it does not say where: {:?}", running.end(None));
        running
    }

    /// Its exit, and what it said on standard error.
    #[track_caller]
    fn end(mut self, signal: Option<Signal>) -> (ExitStatus, String) {
        if let Some(signal) = signal {
            kill(Pid::from_raw(self.child.id().cast_signed()), signal).unwrap();
        }
        let start = Instant::now();
        let status = loop {
            match self.child.try_wait().unwrap() {
                Some(status) => break status,
                None => assert!(start.elapsed() < SOON, "it does not end"),
            }
            std::thread::sleep(std::time::Duration::from_millis(2));
        };
        let mut said = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
        (status, said)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn goes_on_until_it_is_interrupted_and_leaves_nothing() {
    require!(Need::Root, Need::Overlay);
    let decoy = Decoy::new();
    let port = decoy.address().port();
    let c = echoing("t-command", &[("127.0.0.1", port)]);
    let scratch = Scratch::new();
    for (signal, directory) in [(Signal::SIGTERM, "term"), (Signal::SIGINT, "int"), (Signal::SIGHUP, "hup")] {
        let file = scratch.join(directory).join(".s.PGSQL.5432");
        let tunnel = Running::start(&[&c.target(), &port.to_string(), "--unix", file.to_str().unwrap()]);
        assert_eq!(tunnel.place, file.to_str().unwrap());
        let mut stream = unix(&file);
        assert_eq!(heard(&mut stream, 6), b"inside");
        let (status, said) = tunnel.end(Some(signal));
        assert_eq!(status.code(), Some(0), "{signal}: {said}");
        assert!(said.starts_with("portolan: 1 connections accepted, 0 refused"), "{said}");
        ended(&mut stream);
        assert!(!scratch.join(directory).exists());
    }
    let tunnel = Running::start(&[&c.target(), &decoy.address().to_string(), "--port", "0", "--limit", "1"]);
    let place = tunnel.place.parse().unwrap();
    let mut held = tcp(place);
    assert_eq!(heard(&mut held, 6), b"inside");
    ended(&mut tcp(place));
    let (status, said) = tunnel.end(Some(Signal::SIGTERM));
    assert!(status.success() && said.contains("1 refused") && said.contains("limit of 1"), "{said}");
    decoy.untouched();
}

#[test]
fn ends_with_the_container_and_says_so() {
    require!(Need::Root, Need::Overlay);
    let c = echoing("t-command-dies", &[("127.0.0.1", 7151)]);
    let scratch = Scratch::new();
    let file = scratch.join("socket");
    let tunnel = Running::start(&[&c.target(), "7151", "--unix", file.to_str().unwrap()]);
    let mut stream = unix(&file);
    assert_eq!(heard(&mut stream, 6), b"inside");
    drop(c);
    let (status, said) = tunnel.end(None);
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("gone"), "{said}");
    ended(&mut stream);
    assert!(!file.exists() && scratch.path().exists());
}

#[test]
fn by_socks_curl_gets_in_and_only_where_it_may() {
    require!(Need::Root, Need::Overlay, Need::Program("curl"));
    let c = echoing("t-command-socks", &[("127.0.0.1", 7152)]);
    let curl = |proxy: &str, port: u16| {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--noproxy", "", "--max-time", "2", "--http0.9", "--socks5-hostname", proxy]);
        run(curl.arg(format!("http://localhost:{port}/")), b"")
    };
    let tunnel = Running::start(&[&c.target(), "--socks", "--port", "0"]);
    let got = curl(&tunnel.place, 7152);
    assert!(got.stdout.starts_with(b"inside"), "{got:?}");
    assert_eq!(curl(&tunnel.place, 7153).code, Some(97));
    drop(tunnel);
    let tunnel = Running::start(&[&c.target(), "127.0.0.1:7153", "--socks", "--port", "0"]);
    assert_eq!(curl(&tunnel.place, 7152).code, Some(97), "not the one that is allowed");
}

#[test]
fn by_socks_names_are_those_of_the_container() {
    require!(Need::Root, Need::Overlay, Need::Program("curl"));
    let hosts = "127.0.0.1 localhost only-inside.example\n";
    let world = World::new("t-command-names").file("/etc/hosts", hosts).file("/etc/resolv.conf", "");
    let c = Inside::start(&servers::banner(world, "inside", &[("127.0.0.1", 7155)]));
    c.wait_log("listening");
    // Nobody answers for other names.
    let tunnel = Running::start(&[&c.target(), "--socks", "--port", "0", "--timeout-ms", "1500"]);
    let curl = |name: &str| {
        let mut curl = Command::new("curl");
        curl.args([
            "-sS",
            "--noproxy",
            "",
            "--max-time",
            "5",
            "--http0.9",
            "--socks5-hostname",
            &tunnel.place,
        ]);
        run(curl.arg(format!("http://{name}:7155/")), b"")
    };
    let got = curl("only-inside.example");
    assert!(got.stdout.starts_with(b"inside"), "{got:?}");
    assert_eq!(curl("not-even-inside.example").code, Some(97));
}

#[test]
fn with_few_descriptors_it_goes_on_when_some_are_free_again() {
    require!(Need::Root, Need::Overlay);
    let c = echoing("t-few", &[("127.0.0.1", 7154)]);
    let scratch = Scratch::new();
    let file = scratch.join("socket");
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -n 40; exec \"$0\" \"$@\""]).arg(crate::command::binary());
    let tunnel = Running::spawn(shell.args(["tunnel", &c.target(), "7154", "--unix"]).arg(&file));
    // Those that cannot be had wait in the queue or are closed; none hangs the others.
    let held: Vec<_> = (0..40).map(|_| unix(&file)).collect();
    drop(held);
    let mut first = [0; 6];
    // It has not seen all of them go yet.
    super::soon("free again", || unix(&file).read_exact(&mut first).is_ok());
    assert_eq!(&first, b"inside");
    let (status, said) = tunnel.end(Some(Signal::SIGTERM));
    assert!(status.success() && said.contains("last error"), "{said}");
}

#[test]
fn the_hosts_network_is_refused_unless_that_is_allowed() {
    require!(Need::Root, Need::Overlay);
    let host = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = host.local_addr().unwrap().port().to_string();
    let c = Inside::start(&World::new("t-command-host").share_network());
    let ran = portolan(["tunnel", &c.target(), &port, "--port", "0"]);
    assert!(ran.failed(1).contains("host's network"), "{ran:?}");
    let tunnel = Running::start(&[&c.target(), &port, "--port", "0", "--allow-host-network"]);
    let answering = std::thread::spawn(move || {
        std::io::Write::write_all(&mut host.accept().unwrap().0, b"the host").unwrap();
    });
    assert_eq!(heard(&mut tcp(tunnel.place.parse().unwrap()), 8), b"the host");
    answering.join().unwrap();
}

#[test]
fn wrong_usage_and_places_that_cannot_be() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("t-command-usage"));
    let target = c.target();
    let scratch = Scratch::new();
    let taken = scratch.file("taken", "mine");
    let taken = taken.to_str().unwrap();
    for wrong in [
        &["80"][..],
        &["--port", "0"],
        &["80", "--port", "0", "--unix", "/x"],
        &["80", "--port", "70000"],
        &["localhost:80", "--port", "0"],
        &["80", "--port", "0", "--limit", "0"],
    ] {
        let ran = run(command(["tunnel", &target]).args(wrong), b"");
        assert!(ran.code == Some(2) && ran.stdout.is_empty() && !ran.stderr.is_empty(), "{wrong:?}: {ran:?}");
    }
    let ran = portolan(["tunnel", &target, "80", "--unix", taken]);
    assert!(ran.failed(1).contains("listen"), "{ran:?}");
    assert_eq!(std::fs::read(taken).unwrap(), b"mine");
    let help = portolan(["tunnel", "--help"]).text();
    for client in ["psql -h", "redis-cli", "curl --socks5-hostname"] {
        assert!(help.contains(client), "{help}");
    }
}
