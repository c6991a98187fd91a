//! Podman's drivers, against `podman logs`.

use portolan_world::need::Need;
use portolan_world::require;

use super::read::{Following, HARD, LINES, bytes, lines, wait_for};
use crate::command::{portolan, run};
use crate::runtimes::podman::{IMAGE, Store};
use crate::runtimes::rootfs::SH;
use crate::runtimes::tool::detach;

fn start(store: &Store, what: &str, options: &[&str], script: &str) -> String {
    let name = crate::runtimes::name(what);
    let mut podman = store.podman();
    podman.args(["run", "--detach", "--name", &name, "--network", "none"]).args(options);
    detach(podman.args([IMAGE, SH, "-c", script]));
    name
}

#[test]
fn what_podman_logs_says() {
    require!(Need::Root, Need::Podman, Need::Program("runc"), Need::Program("busybox"));
    let _turn = crate::runtimes::turn();
    let store = Store::new();
    store.import();
    let said = |name: &str| {
        let ran = run(store.podman().args(["logs", name]), b"");
        assert_eq!(ran.code, Some(0), "{ran:?}");
        ran.stdout
    };
    // Both names mean one format.
    for driver in ["k8s-file", "json-file"] {
        let name = start(&store, driver, &["--log-driver", driver], HARD);
        wait_for(&name, "last");
        assert_eq!(bytes(&name, &["--stream", "stdout", "-n", "all"]), said(&name));
        let all = lines(&name, &["-n", "all"]);
        assert_eq!((all.len(), all.iter().filter(|line| line.stream == "stderr").count()), (LINES + 1, 1));
    }
    // A line that is written in two parts is one.
    let name = start(
        &store,
        "parts",
        &["--log-driver", "k8s-file"],
        "printf one; sleep 0.3; echo ' line'; sleep 100000",
    );
    wait_for(&name, "one line");
    // conmon puts an empty file into the place of one that is full: who follows has read it to its end.
    let small = ["--log-driver", "k8s-file", "--log-opt", "max-size=20kb"];
    let script = "echo begin; sleep 2; i=0; while [ $i -lt 2000 ]; do i=$((i+1)); echo \"$i\"; \
        [ $((i % 20)) = 0 ] && sleep 0.05; done; echo end; sleep 100000";
    let name = start(&store, "replaced", &small, script);
    let seen = Following::start(&name, &["-n", "all"]).until("end");
    let numbers: Vec<u32> = seen.iter().filter_map(|line| line.parse().ok()).collect();
    assert_eq!(numbers, (1..=2000).collect::<Vec<_>>());
    let name = start(&store, "none", &["--log-driver", "none"], "echo lost; sleep 100000");
    let ran = portolan(["logs", &name]);
    assert!(ran.failed(1).contains("its log driver is none, which keeps nothing"), "{ran:?}");
}
