//! containerd by its own client, which keeps the output only where it is told to.

use portolan_world::need::Need;
use portolan_world::require;

use super::read::{bytes, wait_for};
use crate::command::portolan;
use crate::runtimes::containerd::{Daemon, IMAGE};
use crate::runtimes::place::Place;
use crate::runtimes::rootfs::SH;
use crate::runtimes::tool::detach;

/// The namespace (of containerd) that `ctr` takes when it is told none.
const NAMESPACE: &str = "default";

#[test]
fn output_is_where_ctr_was_told_to_keep_it() {
    require!(Need::Root, Need::Program("containerd"), Need::Program("ctr"), Need::Program("busybox"));
    let _turn = crate::runtimes::turn();
    let daemon = Daemon::start(NAMESPACE, &[NAMESPACE]);
    daemon.import(NAMESPACE);
    let place = Place::new("ctrlogs");
    let file = place.at("output");
    let run = |id: &str, options: &[&str]| {
        let mut command = daemon.ctr(NAMESPACE);
        command.args(["run", "--detach", "--snapshotter", "native"]).args(options);
        detach(command.args([IMAGE, id, SH, "-c", "echo one; echo two >&2; echo last; sleep 100000"]));
    };
    let (kept, lost) = (crate::runtimes::name("ctr-kept"), crate::runtimes::name("ctr-lost"));
    run(&kept, &["--log-uri", &format!("file://{file}")]);
    wait_for(&kept, "last");
    let mut lines: Vec<String> =
        String::from_utf8(bytes(&kept, &[])).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    assert_eq!(lines, ["last", "one", "two"]);
    let places = portolan(["logs", &kept, "--where"]).text();
    assert!(places.starts_with(&format!("output: {file} (raw)\n")), "{places}");
    run(&lost, &["--null-io"]);
    let ran = portolan(["logs", &lost]);
    assert!(ran.failed(1).contains("keeps nothing unless `--log-uri` names a file"), "{ran:?}");
    for id in [kept, lost] {
        daemon.remove(NAMESPACE, &id);
    }
}
