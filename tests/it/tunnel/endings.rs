//! A tunnel ends with its container, its handle or its runtime, and leaves nothing.

use std::time::Duration;

use portolan::ErrorKind;
use portolan::tunnel::End;
use portolan_world::need::Need;
use portolan_world::{World, require};
use tokio::io::AsyncReadExt as _;

use super::{address, client, dialer, echoing, ended, heard, path, soon};
use crate::inside::Inside;
use crate::servers;

#[test]
fn with_its_container_although_connections_are_open() {
    require!(Need::Root, Need::Overlay);
    let c = echoing("t-dies", &[("127.0.0.1", 7130)]);
    let dialer = dialer(&c);
    let tunnel = dialer.tunnel(address("127.0.0.1:7130")).start_thread().unwrap();
    let mut streams: Vec<_> = (0..20).map(|_| client(&tunnel)).collect();
    for stream in &mut streams {
        assert_eq!(heard(stream, 6), b"inside");
    }
    let (file, directory) = (path(&tunnel), tunnel.directory().unwrap().to_owned());
    drop(c);
    for stream in &mut streams {
        ended(stream);
    }
    soon("told", || tunnel.end() == Some(End::Gone));
    assert!(!file.exists() && !directory.exists());
    assert_eq!(tunnel.counters().open, 0);
    assert_eq!(tunnel.wait(), End::Gone);
    let again = dialer.tunnel(address("127.0.0.1:7130")).start_thread();
    assert_eq!(again.map(drop).map_err(|e| e.kind()), Err(ErrorKind::TargetGone));
}

#[test]
fn what_a_container_said_last_still_comes() {
    require!(Need::Root, Need::Overlay);
    let text = "
import socket, os
listener = socket.create_server(('127.0.0.1', 7133))
print('listening', flush=True)
connection, _ = listener.accept()
connection.sendall(b'x' * 2000000)
os._exit(0)";
    let c = Inside::start(&servers::python(World::new("t-last-words"), text));
    c.wait_log("listening");
    let tunnel = dialer(&c).tunnel(address("127.0.0.1:7133")).start_thread().unwrap();
    let mut words = Vec::new();
    client(&tunnel).read_to_end(&mut words).unwrap();
    assert_eq!(words.len(), 2_000_000);
    assert_eq!(tunnel.wait(), End::Gone);
}

#[test]
fn with_its_handle() {
    require!(Need::Root, Need::Overlay);
    let c = echoing("t-dropped", &[("127.0.0.1", 7131)]);
    let to = address("127.0.0.1:7131");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let tunnel = dialer(&c).tunnel(to).start().unwrap();
        let (file, directory) = (path(&tunnel), tunnel.directory().unwrap().to_owned());
        let mut stream = tokio::net::UnixStream::connect(&file).await.unwrap();
        let mut banner = [0; 6];
        stream.read_exact(&mut banner).await.unwrap();
        assert_eq!((&banner, tunnel.end()), (b"inside", None));
        assert_eq!(tunnel.close().await, End::Closed);
        assert!(!file.exists() && !directory.exists());
        let rest = tokio::time::timeout(Duration::from_secs(5), stream.read(&mut banner)).await.unwrap();
        assert!(matches!(rest, Ok(0) | Err(_)), "{rest:?}");

        let tunnel = dialer(&c).tunnel(to).start().unwrap();
        let directory = tunnel.directory().unwrap().to_owned();
        assert!(directory.exists());
        drop(tunnel);
        assert!(!directory.exists(), "gone when the drop returns");
    });
    let tunnel = dialer(&c).tunnel(to).start_thread().unwrap();
    let (mut stream, file) = (client(&tunnel), path(&tunnel));
    assert_eq!(heard(&mut stream, 6), b"inside");
    drop(tunnel);
    assert!(!file.exists());
    ended(&mut stream);
}

#[test]
fn with_its_runtime() {
    require!(Need::Root, Need::Overlay);
    let c = echoing("t-shut", &[("127.0.0.1", 7132)]);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let tunnel = {
        let _entered = runtime.enter();
        dialer(&c).tunnel(address("127.0.0.1:7132")).start().unwrap()
    };
    let mut stream = client(&tunnel);
    assert_eq!(heard(&mut stream, 6), b"inside");
    let directory = tunnel.directory().unwrap().to_owned();
    drop(runtime);
    ended(&mut stream);
    assert!(!directory.exists());
    assert_eq!(tunnel.end(), Some(End::Closed));
}
