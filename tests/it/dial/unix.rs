//! Unix sockets inside: by path, however long, and abstract.

use std::io::Write as _;
use std::net::Shutdown;
use std::time::{Duration, Instant};

use portolan::{ErrorKind, NetError};
use portolan_world::need::Need;
use portolan_world::{World, require};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::asynchronous::{nothing_is_open, runtime};
use super::{TIMEOUT, dialed, dialer};
use crate::inside::{Inside, exit_code};
use crate::scratch::Scratch;
use crate::servers;

/// Echoes on a socket with a short path, on one whose path no socket address can hold, and on an abstract one.
const ECHO: &str = "
import os, socket, threading, time
def serve(listener, name):
    listener.listen(8)
    print('ready', name, flush=True)
    while True:
        connection, _ = listener.accept()
        data = b''
        while True:
            part = connection.recv(4096)
            if not part: break
            data += part
        connection.sendall(name.encode() + b' ' + data); connection.close()
def at(address, name):
    listener = socket.socket(socket.AF_UNIX); listener.bind(address)
    threading.Thread(target=serve, args=(listener, name), daemon=True).start()
long = '/run/' + 'directory/' * 20
os.makedirs(long)
os.chdir(long)
at('app.sock', 'long')
at('/run/app.sock', 'short')
at('\\0abstract-name', 'abstract')
dead = socket.socket(socket.AF_UNIX); dead.bind('/run/dead.sock')
full = socket.socket(socket.AF_UNIX); full.bind('/run/full.sock'); full.listen(0)
waiting = socket.socket(socket.AF_UNIX); waiting.connect('/run/full.sock')
while threading.active_count() < 4: pass
print('all', flush=True)
time.sleep(1000)";

fn world() -> World {
    let long = format!("/run/{}app.sock", "directory/".repeat(20));
    let world = World::new("unix").link("/app/absolute", "/run/app.sock").link("/app/long", &long);
    let world = world.file("/app/file", "").link("/app/up", "../../../../run/app.sock").directory("/app/dir");
    servers::python(world.link("/app/dir-link", "/run"), ECHO)
}

fn start() -> Inside {
    let c = Inside::start(&world());
    for line in ["ready long", "ready short", "ready abstract", "all"] {
        c.wait_log(line);
    }
    c
}

#[test]
fn a_socket_is_reached_by_any_path_that_leads_to_it_inside() {
    require!(Need::Root, Need::Overlay);
    let c = start();
    let long = format!("/run/{}app.sock", "directory/".repeat(20));
    for (path, name) in [
        ("/run/app.sock", "short"),
        ("/app/absolute", "short"),
        ("/app/up", "short"),
        ("/app/dir-link/app.sock", "short"),
        ("/../run/app.sock", "short"),
        (long.as_str(), "long"),
        ("/app/long", "long"),
        ("@abstract-name", "abstract"),
    ] {
        let said = format!("{name} hello");
        let mut stream = dialer(&c).unix(path, TIMEOUT).unwrap();
        stream.write_all(b"hello").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(std::io::read_to_string(stream).unwrap(), said, "{path}");
        assert_eq!(dialed(&c, &["--unix", path], b"hello").text(), said, "{path}");
        let by_task = runtime().block_on(async {
            let mut stream = dialer(&c).unix_async(path, TIMEOUT).await.unwrap();
            stream.write_all(b"hello").await.unwrap();
            stream.shutdown().await.unwrap();
            let mut heard = String::new();
            stream.read_to_string(&mut heard).await.unwrap();
            heard
        });
        assert_eq!(by_task, said, "{path}");
    }
}

#[test]
fn what_is_no_socket_that_listens_is_an_error() {
    require!(Need::Root, Need::Overlay);
    let c = start();
    let host = Scratch::new();
    let socket = host.join("host.sock").display().to_string();
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    let _abstract = {
        use std::os::linux::net::SocketAddrExt as _;
        let name = format!("portolan-it-{}", std::process::id());
        let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
        (std::os::unix::net::UnixListener::bind_addr(&address).unwrap(), name)
    };
    let refused = ErrorKind::Net(NetError::Refused);
    for (path, kind) in [
        ("/run/none.sock", ErrorKind::NotFound),
        (socket.as_str(), ErrorKind::NotFound),
        ("/run/dead.sock", refused),
        ("@no-such-name", refused),
        (format!("@{}", _abstract.1).as_str(), refused),
        ("/app/file", ErrorKind::InvalidInput),
        ("/app/dir", ErrorKind::InvalidInput),
        ("relative.sock", ErrorKind::InvalidInput),
    ] {
        let outcome = dialer(&c).unix(path, TIMEOUT).map(drop).map_err(|error| error.kind());
        assert_eq!(outcome, Err(kind), "{path}");
        let by_task = runtime().block_on(dialer(&c).unix_async(path, TIMEOUT));
        assert_eq!(by_task.map(drop).map_err(|error| error.kind()), Err(kind), "{path}");
        dialed(&c, &["--unix", path], b"x").failed(exit_code(kind));
    }
    let magic = dialer(&c).unix("/proc/1/root/run/app.sock", TIMEOUT);
    assert!(magic.is_err(), "through a magic link");
}

#[test]
fn a_socket_whose_queue_is_full_is_given_up_at_the_deadline() {
    require!(Need::Root, Need::Overlay);
    let c = start();
    let timeout = Duration::from_millis(200);
    let (dialer, runtime) = (dialer(&c), runtime());
    let ways: [&dyn Fn() -> Option<ErrorKind>; 2] =
        [&|| dialer.unix("/run/full.sock", timeout).err().map(|error| error.kind()), &|| {
            runtime.block_on(dialer.unix_async("/run/full.sock", timeout)).err().map(|error| error.kind())
        }];
    for way in ways {
        let start = Instant::now();
        assert_eq!(way(), Some(ErrorKind::Timeout));
        let took = start.elapsed();
        assert!(took >= timeout && took < timeout + Duration::from_millis(250), "{took:?}");
    }
    runtime.block_on(async {
        for _ in 0..20 {
            let dial = dialer.unix_async("/run/full.sock", TIMEOUT);
            assert!(tokio::time::timeout(Duration::from_millis(5), dial).await.is_err());
        }
    });
    drop(dialer);
    nothing_is_open(&c);
}
