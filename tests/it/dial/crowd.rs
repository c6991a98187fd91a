//! Ten thousand dials from many tasks, with containers that die meanwhile: no socket was ever of another namespace,
//! every thread is at home afterwards, and nothing is left open.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use nix::libc;
use nix::sys::socket::getsockopt;
use portolan::{ErrorKind, NetError};
use portolan_world::need::Need;
use portolan_world::{World, require};
use tokio::io::AsyncReadExt as _;

use super::asynchronous::{every_thread_comes_home, nothing_is_open, runtime};
use super::{Decoy, address, dialer};
use crate::inside::{Inside, SOON};
use crate::{oracle, servers};

/// What the kernel calls the network namespace of a socket; never given to another (Linux 5.14).
#[derive(Debug, Clone, Copy)]
struct NetnsCookie;

nix::getsockopt_impl!(
    NetnsCookie,
    libc::SOL_SOCKET,
    libc::SO_NETNS_COOKIE,
    u64,
    nix::sys::socket::sockopt::GetStruct<u64>
);

/// Tells whoever connects the cookie of the namespace that it listens in.
const COOKIE: &str = "
import socket, sys
listener = socket.create_server(('127.0.0.1', int(sys.argv[1])), backlog=1024)
cookie = listener.getsockopt(socket.SOL_SOCKET, 71, 8)
print('listening', flush=True)
while True:
    connection, _ = listener.accept()
    try: connection.sendall(cookie)
    except OSError: pass
    connection.close()";

const DIALS: usize = 10_000;
const TASKS: usize = 32;

#[test]
fn ten_thousand_dials_while_containers_die_leave_no_socket_thread_or_descriptor_astray() {
    require!(Need::Root, Need::Overlay, Need::Program("ss"));
    let host = Decoy::at("127.0.0.1");
    let to = host.address();
    let containers: Vec<Inside> = (0..6)
        .map(|n| {
            let c = Inside::start(&servers::script(
                World::new(format!("crowd-{n}")),
                COOKIE,
                &[&to.port().to_string()],
            ));
            c.wait_log("listening");
            c
        })
        .collect();
    let dialers: Vec<_> = containers.iter().map(dialer).collect();
    let (done, answered) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let runtime = runtime();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| {
            let (dialers, done, answered) = (dialers.clone(), Arc::clone(&done), Arc::clone(&answered));
            runtime.spawn(async move {
                while done.fetch_add(1, Ordering::Relaxed) < DIALS {
                    let at = (task + done.load(Ordering::Relaxed)) % dialers.len();
                    match dialers[at].connect_async(to, SOON).await {
                        Ok(mut stream) => {
                            let ours = getsockopt(&stream, NetnsCookie).unwrap();
                            let mut theirs = [0; 8];
                            // Its container may die between accepting and answering.
                            if stream.read_exact(&mut theirs).await.is_ok() {
                                assert_eq!(ours, u64::from_ne_bytes(theirs), "a socket of another namespace");
                                answered.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                        Err(error) => {
                            // A process closes what it has open before it is gone.
                            let ended = [ErrorKind::TargetGone, ErrorKind::Net(NetError::Refused)];
                            assert!(ended.contains(&error.kind()), "{error}");
                            assert!(at < 4, "of a container that lives: {error}");
                            tokio::task::yield_now().await;
                        }
                    }
                }
            })
        })
        .collect();
    // One after the other, in the middle of it.
    for (n, c) in containers.iter().enumerate().take(4) {
        while done.load(Ordering::Relaxed) < DIALS / 8 * (n + 1) {
            std::thread::sleep(Duration::from_millis(1));
        }
        c.container.kill();
    }
    runtime.block_on(async {
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert!(answered.load(Ordering::Relaxed) > DIALS / 3, "{answered:?}");
    host.untouched();
    every_thread_comes_home(oracle::namespace("self", "net"));
    drop(runtime);
    for dialer in &dialers[..4] {
        let outcome = dialer.connect(address("127.0.0.1:1"), SOON).map(drop).map_err(|error| error.kind());
        assert_eq!(outcome, Err(ErrorKind::TargetGone));
    }
    drop(dialers);
    for c in &containers[4..] {
        nothing_is_open(c);
    }
}
