//! The command in a container of its own, as an agent is shipped: with the host's pids, and as few rights as it can do
//! with.

use std::path::Path;
use std::time::Instant;

use portolan::SourceChoice;
use portolan_world::need::Need;
use portolan_world::require;
use serde_json::{Value, json};

use super::chart::Chart;
use super::docker::isolated;
use super::engine::Engine;
use super::rootfs::{self, CONFIG, PAGE};
use super::told::Told;
use super::view::View;
use crate::command::{binary, helper, run};
use crate::inside::SOON;
use crate::{oracle, scan};

/// What the documentation says that it takes (`CAP_SYS_CHROOT` is among those that Docker gives anyway).
const RIGHTS: [&str; 3] = ["--cap-add=SYS_ADMIN", "--cap-add=SYS_PTRACE", "--cap-add=DAC_READ_SEARCH"];

/// Starts a container with the command in it, and with the host's pids; gives the view from there.
#[track_caller]
fn agent(engine: &Engine, what: &str, options: &[&str]) -> View {
    let options = [&["--pid", "host"], options].concat();
    beside(engine, what, &options, &["/bin/sleep", "600"])
}

/// Starts a container that runs something, with the command in it; gives the view from there.
#[track_caller]
fn beside<S: AsRef<str>>(engine: &Engine, what: &str, options: &[&str], runs: &[S]) -> View {
    let name = super::name(what);
    let mount = |from: &Path, to: &str| format!("{}:{to}:ro", from.to_str().unwrap());
    let mut mounts = vec![mount(&binary(), "/portolan"), mount(&helper(), "/portolan-helper")];
    // The command is linked to the host's C library; the helper is not linked to any.
    mounts.extend(
        ["/lib", "/lib64"].into_iter().filter(|at| Path::new(at).exists()).map(|at| mount(Path::new(at), at)),
    );
    let mut all = vec!["--name", &name, "--network", "none"];
    all.extend(mounts.iter().flat_map(|mount| ["--volume", mount]));
    all.extend(options);
    engine.run(&all, runs);
    let mut exec = engine.docker();
    exec.args(["exec", "--interactive", &name, "/portolan"]);
    let socket = exec
        .get_envs()
        .filter_map(|(name, value)| Some(format!("{}={}", name.to_str().unwrap(), value?.to_str().unwrap())));
    let words =
        [exec.get_program()].into_iter().chain(exec.get_args()).map(|word| word.to_str().unwrap().to_owned());
    View::through(["env".to_owned()].into_iter().chain(socket).chain(words), 0)
}

/// The container of a test as an agent has to see it. Its record is on a disk that the agent does not have, so that
/// its name may be missing, and nothing else.
#[track_caller]
fn check_container<'a>(chart: &'a Chart, target: &Told) -> &'a Value {
    let container = chart.container_of(target.pid);
    let known = |key: &str| &container[key];
    assert_eq!((known("runtime"), known("id")), (&json!("docker"), &json!(target.id)), "{container:#}");
    for kind in ["mnt", "net", "pid"] {
        assert_eq!(container["namespaces"][kind], oracle::namespace(target.pid, kind), "{kind}");
    }
    container
}

/// The options that add these rights, and more of them.
fn with_rights(more: &[&'static str]) -> Vec<&'static str> {
    RIGHTS.into_iter().chain(more.iter().copied()).collect()
}

// One test, because what takes long is the daemon, and it serves all of them.
#[test]
fn an_agent_in_a_container_sees_what_its_rights_allow() {
    require!(Need::Root, Need::Program("dockerd"), Need::Program("docker"), Need::Program("busybox"));
    let _turn = super::turn();
    let engine = Engine::start();
    let target = isolated(&engine, "beside", &[]);
    target.wait_listening();
    sees_all(&target, &agent(&engine, "agent", &with_rights(&["--cgroupns", "host"])));
    sees_less(&target, &agent(&engine, "small-agent", &["--cgroupns", "host"]));
    sees_itself(&engine);
}

#[test]
fn an_agent_with_control_groups_of_its_own_sees_others_beside_it() {
    require!(Need::Root, Need::Program("dockerd"), Need::Program("docker"), Need::Program("busybox"));
    let _turn = super::turn();
    let engine = Engine::start();
    let target = isolated(&engine, "beside", &[]);
    target.wait_listening();
    // As Docker does it where there is the second version only: others lie at `/../ID` then.
    sees_all(&target, &agent(&engine, "agent", &with_rights(&["--cgroupns", "private"])));
    sees_less(&target, &agent(&engine, "small-agent", &["--cgroupns", "private"]));
}

#[track_caller]
fn sees_all(target: &Told, view: &View) {
    let target = target.seen_by(view);
    // With the host's pids and CAP_SYS_ADMIN the kernel can be asked either way.
    let bpf = scan::ways().contains(&SourceChoice::Bpf);
    let best = if bpf { "bpf" } else { "syscalls" };
    for (asked, source) in [("auto", best), ("syscalls", "syscalls"), (best, best)] {
        let chart = Chart::by(view, asked);
        assert_eq!(chart.source(), source, "{chart:#?}");
        check_container(&chart, &target);
        let listener = target.listener(&chart);
        let known = (&listener["container"], &listener["pid"], &listener["reach"]);
        assert_eq!(known, (&json!(target.id), &json!(target.pid), &json!("loopback")));
        assert_eq!(chart.addresses(oracle::namespace(target.pid, "net")), oracle::listeners(target.pid));
    }
    for name in [&target.id, &format!("pid:{}", target.pid)] {
        assert_eq!(target.cat(name, "/etc/app/app.conf"), CONFIG, "{name}");
        assert!(target.get(name, &[]).ends_with(PAGE), "{name}");
    }
}

/// With rights, but with pids of its own, it sees what is in its own container and nothing else, each way.
#[track_caller]
fn sees_itself(engine: &Engine) {
    let port = rootfs::port();
    let view =
        beside(engine, "own-pids", &with_rights(&["--cgroupns", "host"]), &rootfs::httpd("/srv/www", port));
    let pid = engine.pid(&super::name("own-pids"));
    let netns = oracle::namespace(pid, "net");
    let start = Instant::now();
    while oracle::listeners(pid).is_empty() {
        assert!(start.elapsed() < SOON, "nothing listens");
    }
    let bpf = scan::ways().contains(&SourceChoice::Bpf).then_some("bpf");
    for source in ["auto", "syscalls"].into_iter().chain(bpf) {
        let chart = Chart::by(&view, source);
        let listeners = chart.listeners();
        assert_eq!(listeners.len(), 1, "{chart:#?}");
        let found = (&listeners[0]["port"], &listeners[0]["pid"], &listeners[0]["netns"]);
        assert_eq!(found, (&json!(port), &json!(1), &json!(netns)), "{source}");
        // It is a container to itself, by its cgroup.
        assert_eq!(chart.containers().len(), 1, "{source}: {chart:#?}");
        assert_eq!(chart.containers()[0]["init"]["pid"], 1, "{source}");
        assert_eq!(chart.faults(), [] as [Value; 0], "{source}");
    }
}

/// Without rights over other containers it finds them, and says of the rest what is missing.
#[track_caller]
fn sees_less(target: &Told, view: &View) {
    let chart = Chart::seen_by(view);
    assert_eq!(chart.source(), "syscalls");
    // That BPF is refused is no fault of a scan that may choose.
    let without = Chart::by(view, "syscalls");
    assert_eq!(chart.operations_of_faults(), without.operations_of_faults());
    let refused = view.portolan(["scan", "--source", "bpf"]);
    assert!(refused.failed(3).contains("CAP_BPF"), "{refused:?}");
    check_container(&chart, target);
    // The text of /proc tells what listens to whoever may not enter.
    let netns = oracle::namespace(target.pid, "net");
    assert_eq!(chart.addresses(netns), oracle::listeners(target.pid));
    let missing =
        chart.faults().iter().any(|fault| fault["message"].as_str().unwrap().contains("CAP_SYS_ADMIN"));
    assert!(missing, "it does not say what it takes: {chart:#?}");
    let port = target.port.to_string();
    for arguments in [["cat", &target.id, "/etc/app/app.conf"], ["dial", &target.id, &port]] {
        let ran = run(&mut view.command(arguments), b"");
        let line = ran.failed(3);
        assert!(line.contains("CAP_SYS_"), "{line}");
    }
}
