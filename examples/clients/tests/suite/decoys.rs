//! What the host has at the same addresses, ports and paths: somebody else, who counts who comes.

use std::fs;
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;

use crate::servers::{PORTS, sockets};

/// Between two looks. A connection waits in the queue meanwhile, and is counted in any case.
const PAUSE: Duration = Duration::from_millis(10);
/// Those that have a Unix socket, each at its path.
pub(crate) const UNIX: [&str; 3] = ["haproxy", "mariadb", "docker"];
const BANNER: &[u8] = b"-DECOY you have reached the host\r\n";

/// Says who is there. That somebody came counts also when they have left.
fn greet(mut stream: impl std::io::Write) {
    let _ = stream.write(BANNER);
}

/// Listeners of the host. Gone when dropped.
#[derive(Debug)]
pub(crate) struct Decoys {
    reached: Arc<AtomicUsize>,
    end: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Decoys {
    /// Listens on all ports of the servers, at these addresses, and at the paths of their Unix sockets.
    pub(crate) fn at(addresses: &[IpAddr]) -> Self {
        let mut decoys = Self { reached: Arc::default(), end: Arc::default(), threads: Vec::new() };
        for &address in addresses {
            for (name, port) in PORTS {
                let listener =
                    TcpListener::bind((address, port)).unwrap_or_else(|e| panic!("{name} {port}: {e}"));
                listener.set_nonblocking(true).unwrap();
                decoys.watch(move || listener.accept().map(|(stream, _)| greet(stream)).is_ok());
            }
            let socket = UdpSocket::bind((address, crate::servers::DNS)).unwrap();
            socket.set_nonblocking(true).unwrap();
            decoys.watch(move || socket.recv_from(&mut [0; 512]).is_ok());
        }
        fs::create_dir(sockets()).unwrap();
        for name in UNIX {
            let listener = UnixListener::bind(Path::new(&sockets()).join(format!("{name}.sock"))).unwrap();
            listener.set_nonblocking(true).unwrap();
            decoys.watch(move || listener.accept().map(|(stream, _)| greet(stream)).is_ok());
        }
        decoys
    }

    fn watch(&mut self, came: impl Fn() -> bool + Send + 'static) {
        let (reached, end) = (Arc::clone(&self.reached), Arc::clone(&self.end));
        self.threads.push(spawn(move || {
            while !end.load(Ordering::Relaxed) {
                if came() {
                    reached.fetch_add(1, Ordering::Relaxed);
                } else {
                    sleep(PAUSE);
                }
            }
        }));
    }

    /// Counts anew.
    pub(crate) fn forget(&self) {
        self.reached.store(0, Ordering::Relaxed);
    }

    /// How often anybody came.
    pub(crate) fn reached(&self) -> usize {
        // Whoever has come by now has been seen after two looks.
        sleep(PAUSE * 5);
        self.reached.load(Ordering::Relaxed)
    }
}

impl Drop for Decoys {
    fn drop(&mut self) {
        self.end.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        let _ = fs::remove_dir_all(sockets());
    }
}
