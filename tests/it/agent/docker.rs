//! Services in a Docker container without a network: all is told, and what does not answer is told too.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use portolan_world::need::Need;

use super::{KINDS, PASSWORDS, agent, needs, tells_the_truth};
use crate::runtimes::engine::Engine;
use crate::runtimes::place::Place;

/// Whoever stops a process lets it go on.
struct Frozen(Pid);

impl Frozen {
    fn new(pid: i32) -> Self {
        let pid = Pid::from_raw(pid);
        kill(pid, Signal::SIGSTOP).unwrap();
        Self(pid)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let _ = kill(self.0, Signal::SIGCONT);
    }
}

/// What a container is given, so that the host's programs run in it: `--volume` and `--tmpfs`.
pub(super) fn options(place: &Place) -> Vec<String> {
    std::fs::write(place.path().join("start.sh"), include_str!("start.sh")).unwrap();
    // The last one tells which version of what is installed.
    let shared = ["/usr", "/lib", "/lib64", "/bin", "/sbin", "/etc", "/var/lib/dpkg"];
    let shared = shared.into_iter().filter(|at| Path::new(at).exists());
    let mut volumes: Vec<String> = shared.map(|at| format!("--volume={at}:{at}:ro")).collect();
    volumes.push(format!("--volume={}:/srv/inside:ro", place.path().display()));
    volumes.extend(["/data:exec", "/tmp", "/run", "/var"].map(|memory| format!("--tmpfs={memory}")));
    volumes
}

pub(super) const START: [&str; 2] = ["/bin/sh", "/srv/inside/start.sh"];

// One test, because what takes long is the daemon and the databases, and they serve all of it.
#[test]
fn services_in_docker_are_collected_each_within_its_own_deadline() {
    needs!(
        Need::Program("dockerd"),
        Need::Program("docker"),
        Need::Program("busybox"),
        Need::Program("curl")
    );
    let _turn = crate::runtimes::turn();
    let place = Place::new("agent-docker");
    let engine = Engine::start();
    let name = crate::runtimes::name("agent");
    let given = options(&place);
    let mut all = vec!["--name", &name, "--network", "none"];
    all.extend(given.iter().map(String::as_str));
    let id = engine.run(&all, &START);
    let pid = engine.pid(&id);
    tells_the_truth(&name, pid);
    a_wrong_password_is_told(&name);
    a_frozen_service_delays_no_other(&name);
    what_was_found_is_used_only_if_asked(&name);
}

/// The values of `portolan_up`, by kind.
#[track_caller]
fn ups(
    variables: &[(&str, &str)],
    arguments: &[&str],
    name: &str,
) -> (Vec<(&'static str, f64)>, crate::command::Ran) {
    let (told, ran) = agent(variables, arguments);
    (KINDS.map(|kind| (kind, told.sample("portolan_up", name, kind).value)).into(), ran)
}

#[track_caller]
fn what_was_found_is_used_only_if_asked(name: &str) {
    let own = &PASSWORDS[..2];
    let up = |found: f64| {
        vec![("mariadb", 1.0), ("memcached", 1.0), ("nginx", 1.0), ("postgresql", 1.0), ("redis", found)]
    };
    assert_eq!(ups(own, &[], name).0, up(0.0));
    assert_eq!(ups(own, &["--use-found-credentials"], name).0, up(1.0));
}

#[track_caller]
fn a_wrong_password_is_told(name: &str) {
    let wrong = PASSWORDS.map(|(variable, _)| (variable, "monitor:wrong-password"));
    let (ups, ran) = ups(&wrong, &[], name);
    let expected =
        [("mariadb", 0.0), ("memcached", 1.0), ("nginx", 1.0), ("postgresql", 0.0), ("redis", 0.0)];
    assert_eq!(ups, expected, "{ran:?}");
    for kind in ["mariadb", "postgresql", "redis"] {
        let is_told = ran.stderr.lines().any(|line| line.contains(kind) && line.contains(name));
        assert!(is_told, "{kind}: {}", ran.stderr);
    }
    assert!(ran.stderr.lines().all(|line| !line.contains(char::is_control)), "{ran:?}");
}

#[track_caller]
fn a_frozen_service_delays_no_other(name: &str) {
    let (told, quick) = agent(&PASSWORDS, &[]);
    let pid = told.sample("portolan_up", name, "redis").labels["pid"].parse().unwrap();
    let frozen = Frozen::new(pid);
    let (ups, slow) = ups(&PASSWORDS, &[], name);
    drop(frozen);
    let expected =
        [("mariadb", 1.0), ("memcached", 1.0), ("nginx", 1.0), ("postgresql", 1.0), ("redis", 0.0)];
    assert_eq!(ups, expected, "{slow:?}");
    let deadline = Duration::from_secs(3);
    assert!(slow.took < quick.took + deadline + Duration::from_secs(2), "{:?}, {:?}", quick.took, slow.took);
    assert!(slow.stderr.contains("no answer within 3s"), "{}", slow.stderr);
    assert_eq!(agent(&PASSWORDS, &[]).0.sample("portolan_up", name, "redis").value, 1.0);
}
