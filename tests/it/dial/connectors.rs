//! A client that connects for itself is given a connector, and whenever it connects again it does so inside.

use std::error::Error as StdError;
use std::time::{Duration, Instant};

use http::Uri;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::Connect;
use hyper_util::rt::TokioExecutor;
use portolan::{DialOptions, Dialer, ErrorKind, NetError};
use portolan_world::need::Need;
use portolan_world::{World, require};
use tower_service::Service as _;

use super::asynchronous::{nothing_is_open, runtime};
use super::silence::with_a_hole;
use super::{Decoy, address, dialer};
use crate::inside::Inside;
use crate::servers;

/// Answers every request with its name, the request's `Host` and the number of the connection. `/keep` keeps the
/// connection, `/close` says that it ends, `/cut` ends it without a word, `/drip` never ends its answer.
const WEB: &str = "
import socket, sys, threading, time
name, count = sys.argv[1], 0
def serve(connection, number):
    try:
        while True:
            head = b''
            while b'\\r\\n\\r\\n' not in head:
                part = connection.recv(4096)
                if not part: return
                head += part
            lines = head.decode().split('\\r\\n')
            path = lines[0].split(' ')[1]
            host = [line[6:] for line in lines if line.lower().startswith('host: ')][0]
            body = '%s %s %d' % (name, host, number)
            if path == '/drip':
                connection.sendall(b'HTTP/1.1 200 OK\\r\\ncontent-length: 1000000\\r\\n\\r\\n')
                while True:
                    connection.sendall(b'x'); time.sleep(0.05)
            more = 'connection: close\\r\\n' if path == '/close' else ''
            answer = 'HTTP/1.1 200 OK\\r\\n%scontent-length: %d\\r\\n\\r\\n%s' % (more, len(body), body)
            connection.sendall(answer.encode())
            if path in ('/close', '/cut'): return
    except OSError: pass
    finally: connection.close()
def accept(listener):
    global count
    while True:
        connection, _ = listener.accept()
        count += 1
        threading.Thread(target=serve, args=(connection, count), daemon=True).start()
unix = socket.socket(socket.AF_UNIX); unix.bind('/run/web.sock'); unix.listen(64)
threading.Thread(target=accept, args=(unix,), daemon=True).start()
listener = socket.create_server((sys.argv[2], int(sys.argv[3])), family=socket.AF_INET6 if ':' in sys.argv[2] else socket.AF_INET)
print('listening', flush=True)
accept(listener)";

/// A web server inside, at this address and at `/run/web.sock`.
pub(super) fn web(name: &str, host: &str, port: u16) -> Inside {
    let world = servers::script(World::new(name), WEB, &[name, host, &port.to_string()]);
    let c = Inside::start(&with_a_hole(world));
    c.wait_log("listening");
    c
}

async fn page<C>(
    client: &Client<C, Empty<&'static [u8]>>,
    uri: &str,
) -> Result<String, Box<dyn StdError + Send + Sync>>
where
    C: Connect + Clone + Send + Sync + 'static,
{
    let answer = client.get(uri.parse()?).await?;
    Ok(String::from_utf8(answer.into_body().collect().await?.to_bytes().into())?)
}

fn client<C: Connect + Clone>(connector: C) -> Client<C, Empty<&'static [u8]>> {
    Client::builder(TokioExecutor::new()).build(connector)
}

/// What the connector said, through the client's own errors.
#[track_caller]
fn kind(outcome: Result<String, Box<dyn StdError + Send + Sync>>) -> ErrorKind {
    let error = outcome.unwrap_err();
    let mut cause: Option<&(dyn StdError + 'static)> = Some(&*error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<portolan_dial::Error>() {
            return error.kind();
        }
        cause = error.source();
    }
    panic!("not the connector's: {error:?}");
}

/// The connector alone.
fn called(dialer: &Dialer, uri: &str) -> Result<(), portolan_dial::Error> {
    let (mut connector, uri) = (dialer.connector(), uri.parse::<Uri>().unwrap());
    runtime().block_on(async { connector.call(uri).await.map(drop) })
}

#[test]
fn a_client_that_connects_again_does_so_inside_and_never_on_the_host() {
    require!(Need::Root, Need::Overlay, Need::Program("ss"));
    let host = Decoy::at("127.0.0.1");
    let c = web("again", "127.0.0.1", host.port());
    let client = client(dialer(&c).connector());
    let uri = |path: &str| format!("http://{}{path}", host.address());
    let runtime = runtime();
    runtime.block_on(async {
        // Which connection it was; all of them inside.
        let number = async |path: &str| -> u32 {
            let said = page(&client, &uri(path)).await.unwrap();
            // A connection goes back to the pool by a task of its own.
            tokio::time::sleep(Duration::from_millis(20)).await;
            let inside = said.strip_prefix(&format!("again {} ", host.address()));
            inside.unwrap_or_else(|| panic!("{said}")).parse().unwrap()
        };
        let mut kept = Vec::new();
        for _ in 0..8 {
            kept.push(number("/keep").await);
        }
        assert!(kept.windows(2).any(|pair| pair[0] == pair[1]), "its pool works: {kept:?}");
        let mut last = number("/close").await;
        for path in ["/close"; 15].into_iter().chain(["/cut"; 5]) {
            let next = number(path).await;
            assert!(next > last, "anew: {next} after {last}");
            last = next;
        }
        number("/keep").await;
        c.container.kill();
        for _ in 0..5 {
            let outcome =
                tokio::time::timeout(Duration::from_secs(5), page(&client, &uri("/keep"))).await.unwrap();
            // The first may be told on the connection that was there before.
            if outcome.as_ref().is_err_and(|error| error.to_string().contains("onnect")) {
                assert_eq!(kind(outcome), ErrorKind::TargetGone);
            } else {
                assert!(outcome.is_err(), "{outcome:?}");
            }
        }
        assert_eq!(kind(page(&client, &uri("/keep")).await), ErrorKind::TargetGone);
    });
    host.untouched();
    drop(client);
    drop(runtime);
}

#[test]
fn a_connector_to_one_address_leaves_the_name_to_the_client() {
    require!(Need::Root, Need::Overlay);
    let host = Decoy::at("127.0.0.1");
    let c = web("named", "127.0.0.1", host.port());
    let connector = dialer(&c).connector();
    runtime().block_on(async {
        let tcp = client(connector.clone().to(host.address()));
        let unix = client(connector.clone().to_unix("/run/web.sock"));
        assert_eq!(page(&tcp, "http://shop.example/close").await.unwrap(), "named shop.example 1");
        assert_eq!(page(&tcp, "http://shop.example:7/close").await.unwrap(), "named shop.example:7 2");
        assert_eq!(page(&tcp, "http://192.0.2.7:7/close").await.unwrap(), "named 192.0.2.7:7 3");
        assert_eq!(page(&unix, "http://shop.example/close").await.unwrap(), "named shop.example 4");
        assert_eq!(page(&unix, "http://shop.example/close").await.unwrap(), "named shop.example 5");
        let none = client(connector.to_unix("/run/none.sock"));
        assert_eq!(kind(page(&none, "http://shop.example/").await), ErrorKind::NotFound);
    });
    host.untouched();
}

#[test]
fn a_name_is_refused_and_only_the_loopback_has_one() {
    require!(Need::Root, Need::Overlay, Need::Ipv6);
    for (listens, decoy) in [("127.0.0.1", "127.0.0.1"), ("::1", "::1")] {
        let host = Decoy::at(decoy);
        let c = web("names", listens, host.port());
        let dialer = dialer(&c);
        runtime().block_on(async {
            let client = client(dialer.connector());
            let uri = format!("http://localhost:{}/close", host.port());
            assert_eq!(page(&client, &uri).await.unwrap(), format!("names localhost:{} 1", host.port()));
        });
        for name in
            ["shop.example", "127.1", "2130706433", "0x7f000001", "localhost.example", "user:secret@db"]
        {
            let error = called(&dialer, &format!("http://{name}:{}/", host.port())).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}");
            let text = error.to_string();
            assert!(text.contains("resolver") && !text.contains("secret"), "{text}");
        }
        host.untouched();
    }
}

#[test]
fn an_address_without_a_port_has_its_schemes_and_nothing_else_has_one() {
    require!(Need::Root, Need::Overlay);
    let ports = [("127.0.0.1", 80), ("127.0.0.1", 443)];
    let c = Inside::start(&servers::banner(World::new("schemes"), "", &ports));
    c.wait_log("listening");
    let dialer = dialer(&c);
    for uri in [
        "http://127.0.0.1/",
        "https://127.0.0.1/",
        "ws://127.0.0.1/",
        "wss://127.0.0.1/",
        "x://127.0.0.1:80/",
    ] {
        called(&dialer, uri).unwrap_or_else(|error| panic!("{uri}: {error}"));
    }
    for uri in ["postgres://127.0.0.1/", "/path", "127.0.0.1"] {
        assert_eq!(called(&dialer, uri).map_err(|error| error.kind()), Err(ErrorKind::InvalidInput), "{uri}");
    }
    c.shell("echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6 || true");
    let refused = Err(ErrorKind::Net(NetError::Refused));
    // Its other address has no way to it, which says less.
    assert_eq!(called(&dialer, "http://localhost:81/").map_err(|error| error.kind()), refused);
    assert_eq!(called(&dialer, "http://127.0.0.1:81/").map_err(|error| error.kind()), refused);
}

#[test]
fn a_connection_that_is_given_up_leaves_nothing() {
    require!(Need::Root, Need::Overlay, Need::Program("ss"));
    let c = web("given-up", "127.0.0.1", 7110);
    let (dialer, timeout) = (dialer(&c), Duration::from_millis(200));
    let mut connector = dialer.connector().options(DialOptions::default().timeout(timeout));
    runtime().block_on(async {
        let uri: Uri = "http://192.0.2.7/".parse().unwrap();
        let start = Instant::now();
        let outcome = connector.call(uri.clone()).await.map(drop).map_err(|error| error.kind());
        assert_eq!(outcome, Err(ErrorKind::Timeout));
        assert!(start.elapsed() < timeout + Duration::from_millis(250), "{:?}", start.elapsed());
        for _ in 0..10 {
            let call = connector.call(uri.clone());
            assert!(tokio::time::timeout(Duration::from_millis(5), call).await.is_err());
        }
        for _ in 0..10 {
            drop(connector.call(uri.clone()));
        }
        let drip = client(dialer.connector().to(address("127.0.0.1:7110")));
        let outcome = tokio::time::timeout(timeout, page(&drip, "http://drip.example/drip")).await;
        assert!(outcome.is_err(), "an answer that never ends");
    });
    drop((connector, dialer));
    nothing_is_open(&c);
}
