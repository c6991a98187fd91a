//! The command in a time namespace, where `/proc` counts from another boot.

use portolan_world::need::Need;
use portolan_world::require;

use super::super::BPF;
use super::nested::Said;

#[test]
fn in_a_time_namespace_start_times_are_those_of_its_proc_or_bpf_is_refused() {
    require!(Need::Root, Need::File("/proc/self/ns/time"), BPF);
    let prefix =
        ["unshare", "--time", "--boottime", "1000", "--pid", "--fork", "--kill-child", "--mount-proc"];
    // A mount namespace, so that there is a container with a start time.
    let inner = [
        "sh",
        "-c",
        "unshare --mount --uts --net --pid --fork --kill-child --mount-proc sleep 1000 & \
         until pgrep -x sleep >/dev/null; do :; done; \"$0\" \"$@\"; kill $!",
    ];
    let said = Said::there("clock", &[&prefix[..], &inner].concat());
    said.owners_are_right("syscalls");
    said.owners_are_right("auto");
    assert_eq!(said.plain("auto"), said.plain("syscalls"));
    let containers = said.chart("syscalls")["containers"].clone();
    assert_eq!(containers.as_array().unwrap().len(), 1, "{containers:#}");
    let started = containers[0]["init"]["start_time"].as_u64().unwrap();
    let driver = said.number("started");
    assert!(started <= driver && driver - started < 100 * 60, "{started}, {driver}");
    if said.chart("auto")["source"] == "bpf" {
        assert_eq!(said.plain("bpf"), said.plain("syscalls"));
    } else {
        let line = said.refused("bpf");
        assert!(line.contains("time"), "{line}");
    }
}
