//! Podman, root's and a user's, held against `podman inspect`.

use std::fs;
use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::Signal;
use portolan::Runtimes;
use portolan::metadata::Engine;
use portolan_world::need::Need;
use portolan_world::require;
use serde_json::Value;

use super::docker::agrees;
use super::scene::RunUser;
use super::{PATIENCE, ask, chart};
use crate::runtimes::podman::{IMAGE, Store};
use crate::runtimes::process::Process;
use crate::runtimes::rootfs;
use crate::runtimes::rootless::{Account, USER};
use crate::runtimes::tool::{attempt, detach, told};
use crate::runtimes::{self, place::Place};

/// The program that answers for Podman, as long as it is kept.
fn serve(mut podman: Command, place: &Place, socket: PathBuf) -> (Process, PathBuf) {
    podman.args(["system", "service", "--time", "0"]).arg(format!("unix://{}", socket.display()));
    let log = place.path().join("service.log");
    let mut service = Process::start(&mut podman, Signal::SIGTERM, &log);
    service.wait_for("socket", || std::os::unix::net::UnixStream::connect(&socket).ok());
    (service, socket)
}

fn inspected(mut podman: Command, name: &str) -> Value {
    let text = told(podman.args(["container", "inspect", name]));
    serde_json::from_str::<Value>(&text).unwrap()[0].clone()
}

#[test]
fn metadata_is_what_podman_inspect_says() {
    require!(Need::Root, Need::Podman, Need::Program("runc"), Need::Program("busybox"));
    let _turn = runtimes::turn();
    let store = Store::new();
    store.import();
    let pod = runtimes::name("metadata-pod");
    let mut create = store.podman();
    create.args(["pod", "create", "--name", &pod, "--network", "none"]);
    told(create.args(["--infra-image", IMAGE, "--infra-command", "/bin/sleep 100000"]));
    let (name, member) = (runtimes::name("metadata-podman"), runtimes::name("metadata-member"));
    let start = |name: &str, options: &[&str]| {
        let mut run = store.podman();
        detach(run.args(["run", "--detach", "--name", name]).args(options).args([
            IMAGE,
            "/bin/sleep",
            "100000",
        ]));
        inspected(store.podman(), name)
    };
    let options =
        ["--network", "none", "--label", "app=db", "--env", "PASSWORD=hunter2", "--workdir", "/srv"];
    let told = start(&name, &options);
    let of_pod = start(&member, &["--pod", &pod]);
    let (service, socket) = serve(store.podman(), &store.place, store.place.path().join("podman.sock"));
    let answer = ask(&Runtimes::with_sockets([&socket]), &chart(), PATIENCE);
    assert_eq!(answer.faults, [], "{answer:?}");
    let id = told["Id"].as_str().unwrap();
    let metadata = &answer.containers[id];
    agrees(metadata, &told);
    assert_eq!(
        (metadata.engine, metadata.speaker, metadata.labels["app"].as_str()),
        (Engine::Podman, 0, "db")
    );
    let metadata = &answer.containers[of_pod["Id"].as_str().unwrap()];
    agrees(metadata, &of_pod);
    let known = metadata.pod.as_ref().and_then(|pod| Some((pod.uid.as_deref()?, pod.name.as_deref()?)));
    assert_eq!(known, Some((of_pod["Pod"].as_str().unwrap(), pod.as_str())));
    drop(service);
}

/// A user's Podman speaks of that user's container, and is asked like root's.
#[test]
fn a_users_podman_speaks_of_that_users_containers() {
    require!(
        Need::Root,
        Need::Podman,
        Need::UserNamespaces,
        Need::Program("runc"),
        Need::Program("unshare"),
        Need::Program("busybox")
    );
    let _turn = runtimes::turn();
    let account = Account::new();
    let name = runtimes::name("metadata-rootless");
    let root = account.place.at("home/rootfs");
    let mut run = account.podman();
    run.args([
        "run",
        "--detach",
        "--network",
        "none",
        "--label",
        "app=mine",
        "--name",
        &name,
        "--rootfs",
        &root,
    ]);
    detach(run.args(rootfs::httpd("/srv/www", rootfs::port())));
    let told = inspected(account.podman(), &name);
    let id = told["Id"].as_str().unwrap();
    // Where a user's manager puts it, which is where it is looked for.
    let run = RunUser::new(USER);
    let directory = run.path.join("podman");
    fs::create_dir(&directory).unwrap();
    chown(&directory, Some(USER), Some(USER)).unwrap();
    let (service, socket) = serve(account.podman(), &account.place, directory.join("podman.sock"));
    let answer = ask(&Runtimes::new(), &chart(), PATIENCE);
    let metadata = answer.containers.get(id).unwrap_or_else(|| panic!("{answer:?}"));
    assert_eq!((metadata.engine, metadata.speaker, &metadata.socket), (Engine::Podman, USER, &socket));
    assert_eq!((metadata.name.as_deref(), metadata.labels["app"].as_str()), (Some(name.as_str()), "mine"));
    drop(service);
    attempt(account.podman().args(["rm", "--force", "--time", "0", &name]));
}
