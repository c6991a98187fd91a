//! SOCKS5, spoken by hand, by curl, and wrongly.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::time::{Duration, Instant};

use portolan::tunnel::{Address, Socks, Trouble, Tunnel, TunnelThread};
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::{Decoy, Stream, address, client, dialer, echoing, ended, heard};
use crate::command::run;
use crate::inside::Inside;
use crate::servers;

const CONNECT: u8 = 1;

fn start(c: &Inside, socks: Socks) -> TunnelThread {
    dialer(c).tunnel(socks).start_thread().unwrap()
}

/// An address of a request, with its type before it.
fn ip(to: SocketAddr) -> Vec<u8> {
    let mut bytes = match to.ip() {
        IpAddr::V4(v4) => [&[1][..], &v4.octets()].concat(),
        IpAddr::V6(v6) => [&[4][..], &v6.octets()].concat(),
    };
    bytes.extend(to.port().to_be_bytes());
    bytes
}

fn name(name: &str, port: u16) -> Vec<u8> {
    [&[3, u8::try_from(name.len()).unwrap()][..], name.as_bytes(), &port.to_be_bytes()].concat()
}

/// Asks without a password; gives the answer's code, and the stream.
#[track_caller]
fn ask(tunnel: &Tunnel, command: u8, target: &[u8]) -> (u8, Box<dyn Stream>) {
    let mut stream = client(tunnel);
    stream.write_all(&[5, 1, 0]).unwrap();
    assert_eq!(heard(&mut stream, 2), [5, 0]);
    stream.write_all(&[&[5, command, 0], target].concat()).unwrap();
    let answer = heard(&mut stream, 4);
    assert_eq!((answer[0], answer[2]), (5, 0));
    let length = match answer[3] {
        1 => 4 + 2,
        4 => 16 + 2,
        other => panic!("{other}"),
    };
    heard(&mut stream, length);
    (answer[1], stream)
}

#[track_caller]
fn leads_inside(tunnel: &Tunnel, target: &[u8]) {
    let (code, mut stream) = ask(tunnel, CONNECT, target);
    assert_eq!(code, 0, "{target:?}: {}", tunnel.counters());
    assert_eq!(heard(&mut stream, 6), b"inside");
    stream.write_all(b"and back").unwrap();
    assert_eq!(heard(&mut stream, 8), b"and back");
}

#[track_caller]
fn refused(tunnel: &Tunnel, command: u8, target: &[u8], wanted: u8) {
    let (code, mut stream) = ask(tunnel, command, target);
    assert_eq!(code, wanted, "{target:?}: {}", tunnel.counters());
    ended(&mut stream);
}

#[test]
fn addresses_and_names_lead_inside_and_never_to_the_host() {
    require!(Need::Root, Need::Overlay, Need::Ipv6);
    let decoy = Decoy::new();
    let port = decoy.address().port();
    let c = echoing("t-socks", &[("127.0.0.1", port), ("::1", port)]);
    let socks = Socks::new().resolver(|name: String| async move {
        match name.as_str() {
            // The first of two does not answer to this port.
            "broker" => Ok(vec!["192.0.2.1".parse().unwrap(), "127.0.0.1".parse().unwrap()]),
            "six" => Ok(vec!["::1".parse().unwrap()]),
            "nothing" => Ok(Vec::new()),
            "slow" => std::future::pending().await,
            _ => Err("unknown"),
        }
    });
    let tunnel = dialer(&c).tunnel(socks).connect_timeout(Duration::from_millis(900)).start_thread().unwrap();
    leads_inside(&tunnel, &ip(decoy.address()));
    leads_inside(&tunnel, &ip(SocketAddr::new("::1".parse().unwrap(), port)));
    leads_inside(&tunnel, &ip(SocketAddr::new("::ffff:127.0.0.1".parse().unwrap(), port)));
    for host in ["broker", "six", "localhost", "LOCALHOST.", "127.0.0.1", "::1"] {
        leads_inside(&tunnel, &name(host, port));
    }
    for host in ["unknown", "nothing", "", &"x".repeat(255), "a\r\nforged: line\x1b[2J", "localhost.example"]
    {
        refused(&tunnel, CONNECT, &name(host, port), 4);
    }
    let begun = Instant::now();
    refused(&tunnel, CONNECT, &name("slow", port), 6);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    assert!(matches!(tunnel.last_error(), Some(Trouble::Name)), "{:?}", tunnel.counters());
    decoy.untouched();
}

#[test]
fn each_failure_has_its_code() {
    require!(Need::Root, Need::Overlay);
    let decoy = Decoy::new();
    let c = Inside::start(&servers::python(World::new("t-codes"), servers::DEAF));
    c.wait_log("deaf");
    let builder = dialer(&c).tunnel(Socks::new()).connect_timeout(Duration::from_millis(300));
    let tunnel = builder.start_thread().unwrap();
    refused(&tunnel, CONNECT, &ip(decoy.address()), 5);
    refused(&tunnel, CONNECT, &ip(address("192.0.2.1:80")), 3);
    refused(&tunnel, CONNECT, &ip(address("127.0.0.1:7010")), 6);
    refused(&tunnel, CONNECT, &name("localhost", decoy.address().port()), 5);
    // Nobody resolves, and the host is not asked.
    refused(&tunnel, CONNECT, &name("example.com", 80), 8);
    // BIND, UDP, and what does not exist.
    for command in [2, 3, 0, 77] {
        refused(&tunnel, command, &ip(decoy.address()), 7);
    }
    let only = start(&c, Socks::new().only(address("127.0.0.1:7011")));
    refused(&only, CONNECT, &ip(decoy.address()), 2);
    refused(&only, CONNECT, &ip(address("127.0.0.1:7011")), 5);
    assert!(matches!(only.last_error(), Some(Trouble::Dial(_))), "{:?}", only.counters());
    super::soon("counted", || only.counters().failed == 2);
    decoy.untouched();
}

#[test]
fn a_name_and_password_are_asked_for() {
    require!(Need::Root, Need::Overlay);
    let c = echoing("t-password", &[("127.0.0.1", 7140)]);
    let socks = Socks::new().credentials("agent", "hunter2");
    let tunnel = dialer(&c).tunnel(socks).port(0).start_thread().unwrap();
    let login = |user: &str, password: &str| {
        let mut stream = client(&tunnel);
        stream.write_all(&[5, 2, 0, 2]).unwrap();
        assert_eq!(heard(&mut stream, 2), [5, 2], "the password, although none would do");
        let length = |text: &str| u8::try_from(text.len()).unwrap();
        let said = [&[1, length(user)], user.as_bytes(), &[length(password)], password.as_bytes()].concat();
        stream.write_all(&said).unwrap();
        (heard(&mut stream, 2), stream)
    };
    let (answer, mut stream) = login("agent", "hunter2");
    assert_eq!(answer, [1, 0]);
    stream.write_all(&[&[5, CONNECT, 0][..], &ip(address("127.0.0.1:7140"))].concat()).unwrap();
    assert_eq!(heard(&mut stream, 10)[1], 0);
    assert_eq!(heard(&mut stream, 6), b"inside");
    for (user, password) in [("agent", "hunter"), ("agent", ""), ("", ""), ("root", "hunter2")] {
        let (answer, mut stream) = login(user, password);
        assert_eq!(answer[0], 1);
        assert_ne!(answer[1], 0, "{user} {password}");
        ended(&mut stream);
        super::soon("told", || matches!(tunnel.last_error(), Some(Trouble::Credentials)));
    }
    // Who does not offer a password gets nothing.
    let mut stream = client(&tunnel);
    stream.write_all(&[5, 1, 0]).unwrap();
    assert_eq!(heard(&mut stream, 2), [5, 255]);
    ended(&mut stream);
    assert_eq!(tunnel.counters().sent, 0);
    assert!(!format!("{tunnel:?}").contains("hunter2"));
}

#[test]
fn what_is_no_socks_ends_and_harms_nobody() {
    require!(Need::Root, Need::Overlay);
    let c = echoing("t-garbage", &[("127.0.0.1", 7141)]);
    let builder = dialer(&c).tunnel(Socks::new()).connect_timeout(Duration::from_millis(400));
    let tunnel = builder.start_thread().unwrap();
    let good = [&[5, 1, 0, 5, CONNECT, 0][..], &ip(address("127.0.0.1:7141"))].concat();
    let mut wrong: Vec<Vec<u8>> = vec![
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0; 4096],
        vec![0xff; 4096],
        vec![4, 1, 0, 80, 127, 0, 0, 1, 0],
        vec![5, 0],
        [&[5, 255][..], &[9; 255]].concat(),
        vec![5, 1, 0, 4, 1, 0, 1],
        vec![5, 1, 0, 5, 1, 0, 9, 1, 1, 1, 1, 1, 1],
        vec![5, 1, 0, 5, 1, 0, 3, 3, 0xff, 0xfe, 0xfd, 0, 80],
    ];
    // The beginnings of what would be right.
    wrong.extend((0..good.len()).map(|length| good[..length].to_vec()));
    let count = wrong.len() as u64;
    for bytes in wrong {
        let mut stream = super::unix(&super::path(&tunnel));
        stream.write_all(&bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        let begun = Instant::now();
        // A reset is an end as well.
        let _ = stream.read_to_end(&mut rest);
        assert!(begun.elapsed() < Duration::from_secs(2), "{bytes:?}");
        assert!(!rest.windows(6).any(|part| part == b"inside"), "{bytes:?}: {rest:?}");
    }
    // The last one is let go after it was counted.
    super::soon("counted", || tunnel.counters().failed == count && tunnel.counters().open == 0);
    assert_eq!(tunnel.counters().sent, 0);
    leads_inside(&tunnel, &ip(address("127.0.0.1:7141")));
}

#[test]
fn who_asks_a_byte_at_a_time_has_a_deadline_for_it_all() {
    require!(Need::Root, Need::Overlay);
    let c = echoing("t-drip", &[("127.0.0.1", 7142)]);
    let builder = dialer(&c).tunnel(Socks::new()).connect_timeout(Duration::from_millis(500));
    let tunnel = builder.limit(4).start_thread().unwrap();
    let begun = Instant::now();
    let mut drips: Vec<_> = (0..3).map(|_| client(&tunnel)).collect();
    let mut silent = client(&tunnel);
    let bytes = [&[5, 200][..], &[1; 200]].concat();
    let mut broken = 0;
    'drip: for byte in bytes {
        for drip in &mut drips {
            if drip.write_all(&[byte]).is_err() {
                broken += 1;
                break 'drip;
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let took = begun.elapsed();
    assert!(broken == 1 && took < Duration::from_secs(2), "{broken} after {took:?}");
    ended(&mut silent);
    super::soon("over", || tunnel.counters().open == 0);
    assert!(matches!(tunnel.last_error(), Some(Trouble::Late)), "{:?}", tunnel.counters());
    leads_inside(&tunnel, &ip(address("127.0.0.1:7142")));
}

#[test]
fn curl_reaches_a_server_inside_by_address_and_by_name() {
    require!(Need::Root, Need::Overlay, Need::Program("curl"), Need::Program("python3"));
    let text = "
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header('Content-Length', '6'); self.end_headers()
        self.wfile.write(b'inside')
server = http.server.HTTPServer(('127.0.0.1', 7143), Handler)
print('listening', flush=True)
server.serve_forever()";
    let c = Inside::start(&servers::python(World::new("t-curl"), text));
    c.wait_log("listening");
    let socks = Socks::new().credentials("agent", "secret").resolver(|name: String| async move {
        if name == "web.internal" { Ok(vec![IpAddr::from([127, 0, 0, 1])]) } else { Err("unknown") }
    });
    let tunnel = dialer(&c).tunnel(socks).port(0).start_thread().unwrap();
    let Address::Tcp(proxy) = tunnel.address() else { panic!("{:?}", tunnel.address()) };
    let curl = |user: &str, url: &str| {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--noproxy", "", "--max-time", "10", "--proxy-user", user]);
        run(curl.args(["--socks5-hostname", &proxy.to_string(), url]), b"")
    };
    assert_eq!(curl("agent:secret", "http://127.0.0.1:7143/").text(), "inside");
    assert_eq!(curl("agent:secret", "http://web.internal:7143/").text(), "inside");
    assert_eq!(curl("agent:secret", "http://localhost:7143/").text(), "inside");
    for (user, url) in [
        ("agent:secret", "http://other.internal:7143/"),
        ("agent:secret", "http://127.0.0.1:7144/"),
        ("agent:wrong", "http://127.0.0.1:7143/"),
    ] {
        assert_eq!(curl(user, url).code, Some(97), "curl's code for a proxy's refusal: {user} {url}");
    }
}
