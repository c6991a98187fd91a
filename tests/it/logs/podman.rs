//! Podman's drivers, against `podman logs`.

use portolan_world::need::Need;
use portolan_world::require;

use super::read::{Following, HARD, LINES, bytes, lines, wait_for};
use crate::command::{portolan, run};
use crate::runtimes::podman::{IMAGE, Store};
use crate::runtimes::process::Process;
use crate::runtimes::rootfs::SH;
use crate::runtimes::rootless::{Account, USER};
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
    // What it was started with is its own: here nobody keeps it.
    let name = start(&store, "passthrough", &["--log-driver", "passthrough"], "echo lost; sleep 100000");
    let ran = portolan(["logs", &name]);
    assert!(ran.failed(1).contains("is /dev/null"), "{ran:?}");
    let name = start(&store, "none", &["--log-driver", "none"], "echo lost; sleep 100000");
    let ran = portolan(["logs", &name]);
    assert!(ran.failed(1).contains("its log driver is none, which keeps nothing"), "{ran:?}");
}

#[test]
fn a_users_own_podman_is_read_and_cannot_name_the_files_of_others() {
    require!(
        Need::Root,
        Need::Podman,
        Need::UserNamespaces,
        Need::Program("runc"),
        Need::Program("unshare"),
        Need::Program("busybox")
    );
    let _turn = crate::runtimes::turn();
    let account = Account::new();
    let name = crate::runtimes::name("rootless-logs");
    let root = account.place.at("home/rootfs");
    let mut run = account.podman();
    run.args([
        "run",
        "--detach",
        "--network",
        "none",
        "--log-driver",
        "k8s-file",
        "--name",
        &name,
        "--rootfs",
        &root,
    ]);
    detach(run.args([SH, "-c", "echo one; echo two >&2; sleep 100000"]));
    wait_for(&name, "two");
    assert_eq!(bytes(&name, &["--stream", "stdout"]), b"one\n");
    a_monitor_of_the_users_making_is_not_obeyed(&account);
}

/// A shell by the name of conmon, told to keep a log where the user may not even look.
#[track_caller]
fn a_monitor_of_the_users_making_is_not_obeyed(account: &Account) {
    let secret = account.place.path().join("secret");
    std::fs::write(&secret, "2026-11-21T10:45:49Z stdout F the host's secret\n").unwrap();
    let own = account.place.at("home/own.log");
    let (link, false_id) = (account.place.at("home/link.log"), "f".repeat(64));
    std::fs::copy("/bin/sh", account.place.at("home/conmon")).unwrap();
    std::fs::write(&own, "2026-11-21T10:45:49Z stdout F the user's own\n").unwrap();
    std::os::unix::fs::chown(&own, Some(USER), Some(USER)).unwrap();
    std::os::unix::fs::symlink(&secret, &link).unwrap();
    let script = "unshare --user --map-root-user --mount --pid --fork --kill-child sleep 100000\n:\n";
    std::fs::write(account.place.at("home/script"), script).unwrap();
    for (file, expected) in
        [(own, Some("the user's own\n")), (link, None), (secret.display().to_string(), None)]
    {
        let mut monitor = account.program(&account.place.at("home/conmon"));
        let log = format!("k8s-file:{file}");
        monitor.args([&account.place.at("home/script"), "-c", &false_id, "-n", "forged", "-l", &log]);
        let mut monitor = Process::start(
            &mut monitor,
            nix::sys::signal::Signal::SIGTERM,
            &account.place.path().join("said"),
        );
        let ran = monitor.wait_for("container", || {
            let ran = portolan(["logs", "forged"]);
            (!ran.stderr.contains("no container")).then_some(ran)
        });
        match expected {
            Some(text) => assert_eq!(ran.text(), text),
            None => {
                let line = ran.failed(1);
                assert!(line.contains("read the log"), "{line}");
            }
        }
        // The shell's child goes with its session.
        let children =
            std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", monitor.pid())).unwrap();
        for child in children.split_whitespace() {
            let child = nix::unistd::Pid::from_raw(child.parse().unwrap());
            let _ = nix::sys::signal::kill(child, nix::sys::signal::Signal::SIGKILL);
        }
    }
}
