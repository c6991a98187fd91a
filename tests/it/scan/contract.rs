//! `scan --json`: every field of the contract, with its type, and what it says agrees with the library.

use std::process::Command;

use portolan::SourceChoice;
use portolan_world::need::Need;
use portolan_world::{World, require};
use serde_json::Value;

use crate::command::{binary, command, portolan, run};
use crate::inside::Inside;
use crate::scratch::Scratch;
use crate::{oracle, servers};

fn scanned(options: &[&str]) -> Value {
    serde_json::from_slice(&portolan([&["scan", "--json"], options].concat()).done()).unwrap()
}

#[track_caller]
fn is(value: &Value, pointer: &str, fits: impl Fn(&Value) -> bool) {
    let field = value.pointer(pointer).unwrap_or_else(|| panic!("no {pointer} in {value}"));
    assert!(fits(field), "{pointer} is {field}");
}

fn text_or_null(value: &Value) -> bool {
    value.is_string() || value.is_null()
}

#[test]
fn every_field_is_there_and_of_its_type() {
    require!(Need::Root, Need::Overlay);
    let world = servers::banner(World::new("contract"), "", &[("127.0.0.1", 7500), ("::", 7501)]);
    let c = Inside::start(&world);
    c.wait_log("listening");
    let _host = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let chart = scanned(&[]);

    assert_eq!(chart["schema"], "portolan.inventory/1");
    is(&chart, "/elapsed_ms", |v| v.as_f64().is_some_and(|ms| ms > 0.0 && ms < 30_000.0));
    is(&chart, "/services", Value::is_array);
    is(&chart, "/source", |v| ["bpf", "syscalls"].contains(&v.as_str().unwrap()));
    is(&chart, "/source_reason", text_or_null);
    for container in chart["containers"].as_array().unwrap() {
        is(container, "/runtime", Value::is_string);
        is(container, "/id", |v| v.as_str().is_some_and(|id| !id.is_empty()));
        is(container, "/name", text_or_null);
        is(container, "/hostname", text_or_null);
        is(container, "/image", text_or_null);
        is(container, "/pod", |v| v.is_null() || v["uid"].is_string());
        is(container, "/init/pid", |v| v.as_i64().is_some_and(|pid| pid > 0));
        is(container, "/init/start_time", Value::is_u64);
        for kind in ["mnt", "net", "pid", "user"] {
            is(container, &format!("/namespaces/{kind}"), |v| v.as_u64().is_some_and(|inode| inode > 0));
        }
    }
    let ids: Vec<&Value> = chart["containers"].as_array().unwrap().iter().map(|c| &c["id"]).collect();
    for listener in chart["listeners"].as_array().unwrap() {
        is(listener, "/protocol", |v| {
            ["tcp", "udp", "unix", "unix-seqpacket"].contains(&v.as_str().unwrap())
        });
        if listener["protocol"].as_str().unwrap().starts_with("unix") {
            is(listener, "/address", |v| v.as_str().is_some_and(|name| !name.is_empty()));
            is(listener, "/port", |v| *v == 0);
        } else {
            is(listener, "/address", |v| v.as_str().unwrap().parse::<std::net::IpAddr>().is_ok());
            is(listener, "/port", |v| v.as_u64().is_some_and(|port| (1..=65535).contains(&port)));
        }
        is(listener, "/pid", |v| v.is_null() || v.as_i64().is_some_and(|pid| pid > 0));
        is(listener, "/comm", text_or_null);
        is(listener, "/container", |v| v.is_null() || ids.contains(&v));
        is(listener, "/netns", |v| v.as_u64().is_some_and(|inode| inode > 0));
        is(listener, "/reach", |v| ["loopback", "namespace", "host"].contains(&v.as_str().unwrap()));
    }
    is(&chart, "/survey_ms", |v| v.as_f64().is_some_and(|ms| ms > 0.0 && ms < 30_000.0));
    let services = chart["services"].as_array().unwrap();
    assert!(services.iter().any(|service| service["pid"] == c.pid()), "{services:#?}");
    services.iter().for_each(|service| service_is_whole(service, &ids));
    for fault in chart["faults"].as_array().unwrap() {
        is(fault, "/operation", Value::is_string);
        is(fault, "/subject", |v| v == "pid" || v == "netns");
        is(fault, "/first", Value::is_u64);
        is(fault, "/count", |v| v.as_u64().is_some_and(|count| count > 0));
        is(fault, "/message", |v| v.as_str().is_some_and(|line| !line.contains(char::is_control)));
    }
}

fn texts(value: &Value) -> bool {
    value.as_array().is_some_and(|all| all.iter().all(Value::is_string))
}

fn bool_or_null(value: &Value) -> bool {
    value.is_boolean() || value.is_null()
}

#[track_caller]
fn service_is_whole(service: &Value, containers: &[&Value]) {
    is(service, "/kind", |v| v.as_str().is_some_and(|kind| !kind.is_empty()));
    for field in ["/name", "/category", "/confidence"] {
        is(service, field, Value::is_string);
    }
    is(service, "/container", |v| v.is_null() || containers.contains(&v));
    is(service, "/pid", |v| v.as_i64().is_some_and(|pid| pid > 0));
    is(service, "/start_time", Value::is_u64);
    is(service, "/processes", |v| v.as_array().unwrap().contains(&service["pid"]));
    is(service, "/netns", |v| v.as_u64().is_some_and(|inode| inode > 0));
    for field in ["/version", "/version_source", "/data_directory"] {
        is(service, field, text_or_null);
    }
    for field in ["/aliases", "/endpoints", "/config_files", "/log_files", "/evidence"] {
        is(service, field, texts);
    }
    is(service, "/settings", Value::is_object);
    for field in ["/access/password", "/access/tls"] {
        is(service, field, bool_or_null);
    }
    let each =
        |field: &str| service[field].as_array().unwrap_or_else(|| panic!("no {field}: {service}")).clone();
    assert_eq!(each("endpoint_details").len(), each("endpoints").len(), "{service}");
    for endpoint in each("endpoint_details") {
        is(&endpoint, "/transport", |v| ["tcp", "udp", "unix"].contains(&v.as_str().unwrap()));
        let is_unix = endpoint["transport"] == "unix";
        is(&endpoint, "/path", |v| v.is_string() == is_unix);
        is(&endpoint, "/address", |v| v.is_null() == is_unix);
        is(&endpoint, "/port", |v| v.is_null() == is_unix);
        is(&endpoint, "/purpose", |v| {
            ["service", "status", "admin", "cluster"].contains(&v.as_str().unwrap())
        });
        is(&endpoint, "/tls", bool_or_null);
        is(&endpoint, "/listening", Value::is_boolean);
    }
    for status in each("status") {
        for field in ["/kind", "/listen", "/path"] {
            is(&status, field, Value::is_string);
        }
        for field in ["/url", "/host"] {
            is(&status, field, text_or_null);
        }
        for field in ["/tls", "/restricted"] {
            is(&status, field, Value::is_boolean);
        }
    }
    assert_eq!(each("logs").len(), each("log_files").len(), "{service}");
    for log in each("logs") {
        is(&log, "/path", Value::is_string);
        is(&log, "/purpose", |v| ["access", "error", "slow", "general"].contains(&v.as_str().unwrap()));
        is(&log, "/format", |v| v.is_null() || v["name"].is_string() && text_or_null(&v["text"]));
        is(&log, "/host_path", text_or_null);
        is(&log, "/open", Value::is_boolean);
    }
    for credential in each("credentials") {
        let keys: Vec<&String> = credential.as_object().unwrap().keys().collect();
        assert_eq!(keys, ["source", "user"], "a secret? {credential}");
    }
    for fault in each("config_faults") {
        is(&fault, "/path", text_or_null);
        is(&fault, "/line", |v| v.is_null() || v.is_u64());
        is(&fault, "/message", |v| v.as_str().is_some_and(|line| !line.contains(char::is_control)));
    }
}

#[test]
fn a_container_and_its_listeners_say_what_is_true() {
    require!(Need::Root, Need::Overlay);
    let world = servers::banner(World::new("true"), "", &[("127.0.0.1", 7502), ("0.0.0.0", 7503)]);
    let c = Inside::start(&world);
    c.wait_log("listening");
    let bpf = ["--source", "bpf"];
    let bpf = super::ways().contains(&SourceChoice::Bpf).then_some(&bpf[..]);
    let others = [&[][..], &["--no-runtime-api"], &["--source", "syscalls"], &["--source", "auto"]];
    for options in others.into_iter().chain(bpf) {
        let chart = scanned(options);
        let all = chart["containers"].as_array().unwrap();
        let own: Vec<&Value> = all.iter().filter(|found| found["init"]["pid"] == c.pid()).collect();
        assert_eq!(own.len(), 1, "{all:?}");
        assert_eq!((&own[0]["runtime"], &own[0]["hostname"]), (&"unknown".into(), &"true".into()));
        assert_eq!(
            (&own[0]["name"], &own[0]["pod"], &own[0]["image"]),
            (&Value::Null, &Value::Null, &Value::Null)
        );
        assert_eq!(own[0]["init"]["start_time"], oracle::start_time(c.pid()));
        for kind in ["mnt", "net", "pid", "user"] {
            assert_eq!(own[0]["namespaces"][kind], oracle::namespace(c.pid(), kind), "{kind}");
        }
        let netns = oracle::namespace(c.pid(), "net");
        let listeners = chart["listeners"].as_array().unwrap().iter().filter(|l| l["netns"] == netns);
        let mut listeners: Vec<&Value> = listeners.collect();
        listeners.sort_by_key(|l| l["port"].as_u64());
        assert_eq!(listeners.len(), 2, "{listeners:?}");
        for (listener, address, port, reach) in
            [(listeners[0], "127.0.0.1", 7502, "loopback"), (listeners[1], "0.0.0.0", 7503, "namespace")]
        {
            assert_eq!(listener["address"], address);
            assert_eq!(listener["port"], port);
            assert_eq!(listener["reach"], reach);
            assert_eq!(listener["pid"], c.pid());
            assert_eq!(listener["comm"], "python3");
            assert_eq!(listener["container"], own[0]["id"]);
        }
    }
}

#[test]
fn a_source_that_is_refused_is_told_and_not_replaced() {
    require!(Need::Root, Need::Program("setpriv"));
    // The build directory may lie where only root can go.
    let scratch = Scratch::new();
    let program = scratch.program(&binary(), "portolan");
    let nobody = |arguments: &[&str]| {
        let mut setpriv = Command::new("setpriv");
        setpriv.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(&program);
        run(setpriv.args(arguments), b"")
    };
    let ran = nobody(&["scan", "--source", "bpf"]);
    assert!(ran.failed(3).contains("CAP_BPF"), "{ran:?}");
    assert_eq!(portolan(["scan", "--source", "guess"]).code, Some(2));
    // Who leaves the choice is not told but in the chart.
    let auto = nobody(&["scan", "--json"]);
    assert!(!auto.stderr.contains("BPF"), "{auto:?}");
    let chart: Value = serde_json::from_slice(&auto.stdout).unwrap();
    assert_eq!(chart["source"], "syscalls");
    is(&chart, "/source_reason", |v| v.as_str().is_some_and(|why| why.contains("CAP_BPF")));
    let chosen = scanned(&["--source", "syscalls"]);
    assert_eq!((&chosen["source"], &chosen["source_reason"]), (&"syscalls".into(), &Value::Null));
}

#[test]
fn bpf_iterators_are_what_a_scan_goes_by_where_they_work() {
    require!(Need::Root, super::BPF);
    for options in [&[][..], &["--source", "auto"], &["--source", "bpf"], &["--thorough"]] {
        let chart = scanned(options);
        assert_eq!((&chart["source"], &chart["source_reason"]), (&"bpf".into(), &Value::Null));
    }
}

#[test]
fn explain_tells_why_a_process_belongs_to_its_container() {
    require!(Need::Root, Need::Overlay);
    let c = Inside::start(&World::new("explained"));
    let id = oracle::nameless_id(c.pid(), "pid");
    for name in [c.pid().to_string(), c.target()] {
        let text = portolan(["explain", &name]).text();
        assert!(
            text.contains(&id) && text.contains(&oracle::namespace(c.pid(), "mnt").to_string()),
            "{text}"
        );
    }
    portolan(["explain", "pid:2147483647"]).failed(1);
    portolan(["explain", "abc"]).failed(2);
    let docker = format!("0::/docker/{}\n", "4".repeat(64));
    let ran = run(&mut command(["explain", "--cgroup", "-"]), docker.as_bytes());
    let said: Value = serde_json::from_slice(&ran.done()).unwrap();
    assert_eq!((&said["runtime"], &said["container_id"]), (&"docker".into(), &"4".repeat(64).into()));
    for field in ["pod_uid", "name", "kind"] {
        assert!(said.get(field).is_some(), "no {field} in {said}");
    }
}
