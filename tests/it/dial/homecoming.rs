//! An agent whose threads could not come home: root of a user namespace of its own, in the network of the host.
//!
//! It may enter the networks of containers that it made, but not return to the host's, which is not its own. A
//! thread of its own must never be caught inside; one that ends inside does the entering.

use std::process::Command;

use nix::sched::{CloneFlags, unshare};
use portolan_world::need::Need;
use portolan_world::{World, require};

use super::{TIMEOUT, dialer, heard};
use crate::command::{binary, run};
use crate::inside::Inside;
use crate::{oracle, servers};

/// A container below the agent, its listener, and the agent's dial, scan and look at its own network afterwards.
const AGENT: &str = r#"
set -e
unshare --net --mount sh -c 'ip link set lo up; exec python3 -c "$1"' sh "$2" >/dev/null 2>&1 &
container=$!
trap 'kill -9 $container' EXIT
tries=0
until nsenter --target $container --net ss -Hltn 2>/dev/null | grep -q ':7700 '; do
    tries=$((tries + 1)); [ $tries -lt 100 ]; sleep 0.05
done
for _ in 1 2 3; do "$1" dial "pid:$container" 127.0.0.1:7700 </dev/null; done
"$1" scan --listeners 2>/dev/null | grep -c ' 127.0.0.1:7700 '
"#;

const SERVER: &str = "
import socket
listener = socket.create_server(('127.0.0.1', 7700))
while True:
    connection, _ = listener.accept()
    connection.sendall(b'inside\\n')
    connection.close()
";

#[test]
fn a_rootless_agent_dials_and_scans_without_sending_a_thread_of_its_own() {
    require!(Need::Root, Need::UserNamespaces, Need::Program("unshare"), Need::Program("python3"));
    let mut agent = Command::new("unshare");
    agent.args(["--user", "--map-root-user", "sh", "-c", AGENT, "sh"]).arg(binary()).arg(SERVER);
    let ran = run(&mut agent, b"");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(String::from_utf8_lossy(&ran.stdout), "inside\ninside\ninside\n1\n", "{ran:?}");
}

#[test]
fn a_thread_that_the_agent_itself_moved_is_brought_back_to_where_it_was() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&servers::banner(World::new("moved"), "inside", &[("127.0.0.1", 7050)]));
    c.wait_log("listening");
    let to = super::address("127.0.0.1:7050");
    let dialers = [dialer(&c), dialer(&c)];
    let own = oracle::namespace("self", "net");
    let dial = || dialers.each_ref().map(|dialer| heard(&mut dialer.connect(to, TIMEOUT).unwrap(), 6));
    let here = || oracle::namespace("thread-self", "net");
    std::thread::scope(|scope| {
        let moved = scope.spawn(|| {
            // At home it has dialed already, so that whatever is remembered of it is remembered.
            assert_eq!((dial(), here()), (["inside", "inside"].map(str::to_owned), own));
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            let elsewhere = here();
            assert_ne!(elsewhere, own);
            for _ in 0..20 {
                assert_eq!((dial(), here()), (["inside", "inside"].map(str::to_owned), elsewhere));
            }
        });
        moved.join().unwrap();
    });
    // The threads beside it were always at home.
    assert_eq!((dial(), here()), (["inside", "inside"].map(str::to_owned), own));
}
