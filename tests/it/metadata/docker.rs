//! Docker, held against `docker inspect`.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use portolan::Runtimes;
use portolan::metadata::{Happened, Metadata, Trouble, Watching};
use portolan_world::need::Need;
use portolan_world::require;
use serde_json::{Value, json};

use super::{PATIENCE, ask, chart};
use crate::command::{command, run};
use crate::runtimes::engine::{Engine, IMAGE};
use crate::runtimes::{self, tool::told};

const SLEEP: [&str; 2] = ["/bin/sleep", "100000"];

// One test, because what takes long is the daemon, and it serves all of them.
#[test]
fn metadata_is_what_docker_inspect_says() {
    require!(Need::Root, Need::Program("dockerd"), Need::Program("docker"), Need::Program("busybox"));
    let _turn = runtimes::turn();
    let mut engine = Engine::start();
    let name = runtimes::name("metadata");
    let volume = format!("{name}-volume:/srv/data:ro");
    let label = "line=one\ntwo\u{1b}[2J";
    let options = [
        "--name",
        &name,
        "--network",
        "none",
        "--label",
        "app=web",
        "--label",
        label,
        "--env",
        "PASSWORD=hunter2",
        "--user",
        "7:8",
        "--workdir",
        "/srv",
        "--expose",
        "80",
        "--expose",
        "53/udp",
        "--volume",
        &volume,
        "--volume",
        "/usr/share:/mnt/share",
        "--restart",
        "on-failure:3",
        "--entrypoint",
        "/bin/busybox",
        "--health-cmd",
        "/bin/busybox true",
        "--health-interval",
        "1s",
        "--log-driver",
        "json-file",
    ];
    let id = engine.run(&options, &["sleep", "100000"]);
    let plain = engine.run(&["--network", "none"], &SLEEP);
    let runtimes = Runtimes::with_sockets([engine.socket()]);
    let answer = ask(&runtimes, &chart(), PATIENCE);
    assert_eq!(answer.faults, [], "{answer:?}");
    agrees(&answer.containers[&id], &inspected(&engine, &id));
    agrees(&answer.containers[&plain], &inspected(&engine, &plain));
    let metadata = &answer.containers[&id];
    assert_eq!(metadata.labels["line"], "one\ntwo\u{1b}[2J");
    assert!(metadata.variables.iter().any(|name| name == "PASSWORD"));
    assert!(!format!("{metadata:?}").contains("hunter2"), "a value is kept");
    let plain_metadata = &answer.containers[&plain];
    assert_eq!((plain_metadata.user.as_str(), plain_metadata.user_given), ("root", false));
    the_command_shows_it(&engine, &id, &name);
    a_chart_without_a_name_is_given_one(&runtimes, &id, &name);
    events_keep_it_current(&engine, &id);
    a_frozen_daemon_costs_the_deadline(&engine, &runtimes, &id);
    a_daemon_can_crash_and_come_back(&mut engine, &id);
}

fn inspected(engine: &Engine, id: &str) -> Value {
    serde_json::from_str(&engine.inspect(id, "{{json .}}")).unwrap()
}

/// Holds the metadata against the JSON of an inspect command, in the form that both runtimes have.
#[track_caller]
pub(super) fn agrees(metadata: &Metadata, inspected: &Value) {
    let config = &inspected["Config"];
    let strings = |value: &Value| -> Vec<String> {
        value.as_array().into_iter().flatten().map(|s| s.as_str().unwrap().to_owned()).collect()
    };
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let labels = config["Labels"].as_object().into_iter().flatten();
    let labels: BTreeMap<String, String> =
        labels.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
    assert_eq!(metadata.labels, labels);
    assert_eq!(Some(&metadata.id), text(&inspected["Id"]).as_ref());
    assert_eq!(metadata.name, text(&inspected["Name"]).map(|name| name.trim_start_matches('/').to_owned()));
    assert_eq!(
        metadata.image.id.as_ref().map(|id| id.trim_start_matches("sha256:").to_owned()),
        text(&inspected["Image"]).map(|id| id.trim_start_matches("sha256:").to_owned())
    );
    assert_eq!(metadata.command, strings(&config["Cmd"]));
    assert_eq!(metadata.working_directory, text(&config["WorkingDir"]));
    assert_eq!(metadata.user_given, text(&config["User"]).is_some());
    assert_eq!(metadata.user, text(&config["User"]).unwrap_or_else(|| "root".to_owned()));
    let mut names: Vec<String> =
        strings(&config["Env"]).iter().map(|v| v.split('=').next().unwrap().to_owned()).collect();
    names.sort();
    assert_eq!(metadata.variables, names);
    let mut mounts: Vec<_> = metadata
        .mounts
        .iter()
        .map(|m| (m.destination.clone(), m.source.clone(), m.kind.clone(), m.name.clone(), m.writable))
        .collect();
    mounts.sort();
    let told = inspected["Mounts"].as_array().unwrap().iter().map(|m| {
        let of = |key: &str| text(&m[key]);
        (of("Destination").unwrap(), of("Source"), of("Type"), of("Name"), m["RW"].as_bool().unwrap())
    });
    let mut told: Vec<_> = told.collect();
    told.sort();
    assert_eq!(mounts, told);
    assert_eq!(metadata.restarts, inspected["RestartCount"].as_u64().unwrap());
    assert_eq!(metadata.state, text(&inspected["State"]["Status"]));
    assert!(metadata.current);
    let policy = metadata.restart_policy.as_ref().unwrap();
    let host = &inspected["HostConfig"];
    let named = text(&host["RestartPolicy"]["Name"]).unwrap_or_else(|| "no".to_owned());
    assert_eq!(
        (&policy.name, policy.most.unwrap_or(0)),
        (&named, host["RestartPolicy"]["MaximumRetryCount"].as_u64().unwrap())
    );
    assert_eq!(metadata.log_driver, text(&host["LogConfig"]["Type"]));
    for (moment, key) in
        [(metadata.created, &inspected["Created"]), (metadata.started, &inspected["State"]["StartedAt"])]
    {
        let wanted = told_by_date(key.as_str().unwrap());
        let is = moment.unwrap().duration_since(std::time::UNIX_EPOCH).unwrap();
        assert_eq!(is.as_secs(), wanted, "{key}");
    }
    if metadata.engine.as_str() == "docker" {
        assert_eq!(metadata.entrypoint, strings(&config["Entrypoint"]));
        assert_eq!(metadata.log_path, text(&inspected["LogPath"]));
        let exposed: Vec<String> =
            metadata.exposed.iter().map(|e| format!("{}/{}", e.port, e.protocol)).collect();
        let mut keys: Vec<String> =
            config["ExposedPorts"].as_object().into_iter().flatten().map(|(k, _)| k.clone()).collect();
        keys.sort_by_key(|port| port.split('/').next().unwrap().parse::<u16>().unwrap());
        assert_eq!(exposed, keys);
        assert_eq!(metadata.health.is_some(), inspected["State"]["Health"].is_object());
    }
}

fn told_by_date(text: &str) -> u64 {
    let mut date = runtimes::tool::tool("date");
    told(date.args(["+%s", "--date", text])).parse().unwrap()
}

#[track_caller]
fn the_command_shows_it(engine: &Engine, id: &str, name: &str) {
    let scan = |arguments: &[&str]| -> Value {
        let mut command = command(arguments);
        let ran = run(command.env("DOCKER_HOST", format!("unix://{}", engine.socket().display())), b"");
        assert_eq!(ran.code, Some(0), "{ran:?}");
        serde_json::from_slice(&ran.stdout).unwrap()
    };
    let of =
        |json: &Value| json["containers"].as_array().unwrap().iter().find(|c| c["id"] == id).unwrap().clone();
    let container = of(&scan(&["scan", "--json"]));
    let metadata = &container["metadata"];
    assert_eq!(
        (&metadata["labels"]["app"], &metadata["name"]),
        (&json!("web"), &json!(name)),
        "{container:#}"
    );
    assert_eq!((&metadata["user"], &metadata["log_driver"]), (&json!("7:8"), &json!("json-file")));
    assert_eq!(metadata["ports"].as_array().unwrap().len(), 2);
    for key in [
        "labels",
        "image_id",
        "digest",
        "ports",
        "mounts",
        "health",
        "restarts",
        "user",
        "command",
        "entrypoint",
        "working_directory",
        "log_driver",
        "log_path",
        "state",
    ] {
        assert!(metadata.get(key).is_some(), "{key} is missing");
    }
    assert!(!metadata.to_string().contains("hunter2"));
    let without = of(&scan(&["scan", "--json", "--no-runtime-api"]));
    assert_eq!((&without["metadata"], &without["image"]), (&Value::Null, &json!(IMAGE)));
}

#[track_caller]
fn a_chart_without_a_name_is_given_one(runtimes: &Runtimes, id: &str, name: &str) {
    let mut chart = chart();
    let at = chart.containers.iter().position(|c| c.id == id).unwrap();
    (chart.containers[at].name, chart.containers[at].image) = (None, Some("what the chart knows".to_owned()));
    let before = chart.containers.len();
    ask(runtimes, &chart, PATIENCE).apply(&mut chart);
    assert_eq!(chart.containers[at].name.as_deref(), Some(name));
    assert_eq!(chart.containers[at].image.as_deref(), Some("what the chart knows"));
    assert_eq!(chart.containers.len(), before);
}

/// Waits for something that a watch tells.
#[track_caller]
pub(super) fn wait_for(watching: &Watching, what: impl Fn(&Happened) -> bool) {
    let (start, mut seen) = (Instant::now(), Vec::new());
    while start.elapsed() < Duration::from_secs(60) {
        if let Some(happened) = watching.next(Duration::from_millis(100)) {
            if what(&happened) {
                return;
            }
            seen.push(happened);
        }
    }
    panic!("it did not happen, but: {seen:?}");
}

#[track_caller]
fn events_keep_it_current(engine: &Engine, id: &str) {
    let runtimes = Runtimes::with_sockets([engine.socket()]);
    let watching = runtimes.watch().unwrap();
    wait_for(&watching, |happened| matches!(happened, Happened::Connected(_)));
    let name = || ask(&runtimes, &chart(), PATIENCE).containers[id].name.clone();
    let (before, after) = (name().unwrap(), runtimes::name("renamed"));
    told(engine.docker().args(["rename", id, &after]));
    wait_for(&watching, |happened| *happened == Happened::Changed(id.to_owned()));
    assert_eq!(name(), Some(after));
    told(engine.docker().args(["rename", id, &before]));
    let new = engine.run(&["--network", "none"], &SLEEP);
    wait_for(&watching, |happened| *happened == Happened::Changed(new.clone()));
    told(engine.docker().args(["rm", "--force", &new]));
    wait_for(&watching, |happened| *happened == Happened::Gone(new.clone()));
}

#[track_caller]
fn a_frozen_daemon_costs_the_deadline(engine: &Engine, runtimes: &Runtimes, id: &str) {
    let chart = chart();
    engine.signal(Signal::SIGSTOP);
    let answer = ask(runtimes, &chart, Duration::from_millis(500));
    engine.signal(Signal::SIGCONT);
    assert!(answer.faults.iter().any(|fault| fault.trouble == Trouble::Deadline), "{answer:?}");
    assert!(!answer.containers[id].current, "it said so before, not now");
    assert!(ask(runtimes, &chart, PATIENCE).containers[id].current);
}

#[track_caller]
fn a_daemon_can_crash_and_come_back(engine: &mut Engine, id: &str) {
    let runtimes = Runtimes::with_sockets([engine.socket()]);
    let watching = runtimes.watch().unwrap();
    wait_for(&watching, |happened| matches!(happened, Happened::Connected(_)));
    engine.crash();
    wait_for(&watching, |happened| matches!(happened, Happened::Lost(_)));
    let answer = ask(&runtimes, &chart(), Duration::from_secs(1));
    assert!(chart().containers.iter().any(|c| c.id == id), "the container lives, and the chart shows it");
    assert_eq!(answer.faults.len(), 1, "{answer:?}");
    assert!(!answer.containers[id].current, "{answer:?}");
    engine.start_again();
    wait_for(&watching, |happened| matches!(happened, Happened::Connected(_)));
    let answer = ask(&runtimes, &chart(), PATIENCE);
    assert!(answer.containers[id].current, "{answer:?}");
    assert!(fs::exists(engine.socket()).unwrap());
}
