//! The console of LXC, against its file; LXC has no other log of a container's output.

use portolan_world::need::Need;
use portolan_world::require;

use super::read::{bytes, lines, wait_for};
use crate::command::portolan;
use crate::runtimes::lxc::Machine;

#[test]
fn what_is_written_to_the_console() {
    require!(Need::Root, Need::Lxc, Need::Overlay, Need::Program("busybox"));
    let _turn = crate::runtimes::turn();
    let script =
        "echo nobody sees this; echo one >/dev/console; printf 'two\\033[1m\\n' >/dev/console; sleep 100000";
    let machine = Machine::running(0, script);
    let (name, file) = machine.console();
    wait_for(name, "two\x1b[1m");
    // The container's `/dev/console` is a terminal.
    let console = std::fs::read_to_string(&file).unwrap();
    assert_eq!(console, "one\r\ntwo\x1b[1m\r\n");
    assert_eq!(bytes(name, &["-n", "all"]), console.replace('\r', "").as_bytes());
    assert!(lines(name, &[]).iter().all(|line| line.stream == "unknown" && line.time.is_none()));
    let places = portolan(["logs", name, "--where"]).text();
    assert!(places.starts_with(&format!("output: {file} (raw)\n")), "{places}");
}
