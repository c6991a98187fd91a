//! What the runtimes' API adds to a chart, within half a second.

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, SystemTime};

use portolan::metadata::{Answer, Fault, Metadata};
use portolan::{Escaped, Host, Inventory};
use serde_json::{Value, json};

/// The runtimes together get this long: a person is waiting.
const DEADLINE: Duration = Duration::from_millis(500);

/// Asks the runtimes about a chart while something else is done.
pub(crate) fn beside<T>(host: &Host, chart: &Inventory, work: impl FnOnce() -> T) -> (Answer, T) {
    thread::scope(|scope| {
        let asked = thread::Builder::new().spawn_scoped(scope, || host.metadata(chart, DEADLINE));
        let done = work();
        // Without a thread for it, it is asked now.
        let answer = match asked {
            Ok(asked) => asked.join().unwrap_or_default(),
            Err(_) => host.metadata(chart, DEADLINE),
        };
        (answer, done)
    })
}

/// Adds to the JSON of a chart each container's `metadata`, null where there is none, and the faults.
pub(crate) fn add(chart: &mut Value, answer: &Answer) {
    let containers = chart.get_mut("containers").and_then(Value::as_array_mut);
    for container in containers.into_iter().flatten() {
        let metadata = container.get("id").and_then(Value::as_str).and_then(|id| answer.containers.get(id));
        let metadata = metadata.map_or(Value::Null, metadata_of);
        if let Some(container) = container.as_object_mut() {
            container.insert("metadata".to_owned(), metadata);
        }
    }
    if let Some(faults) = chart.get_mut("faults").and_then(Value::as_array_mut) {
        faults.extend(answer.faults.iter().map(fault));
    }
}

fn metadata_of(m: &Metadata) -> Value {
    let published = m.published.iter().map(|port| {
        let (host, number) = (&port.host_address, port.host_port);
        json!({ "port": port.port, "protocol": port.protocol, "host_address": host, "host_port": number })
    });
    // A port that is exposed and not published has no place on the host.
    let is_published =
        |port: u16, protocol: &str| m.published.iter().any(|p| p.port == port && p.protocol == protocol);
    let exposed = m.exposed.iter().filter(|e| !is_published(e.port, &e.protocol)).map(|port| {
        json!({ "port": port.port, "protocol": port.protocol, "host_address": null, "host_port": null })
    });
    let mounts = m.mounts.iter().map(|mount| {
        json!({
            "type": mount.kind,
            "name": mount.name,
            "source": mount.source,
            "destination": mount.destination,
            "rw": mount.writable,
        })
    });
    let labels: BTreeMap<&String, &String> = m.labels.iter().collect();
    let health = m.health.as_ref().map(|h| json!({ "status": h.status, "failing_streak": h.failing_streak }));
    let policy = m.restart_policy.as_ref().map(|p| json!({ "name": p.name, "max_retries": p.most }));
    let pod = m
        .pod
        .as_ref()
        .map(|p| json!({ "uid": p.uid, "name": p.name, "namespace": p.namespace, "container": p.container }));
    json!({
        "engine": m.engine.as_str(),
        "socket": Escaped(m.socket.as_os_str().as_encoded_bytes()).to_string(),
        "socket_user": m.speaker,
        "current": m.current,
        "name": m.name,
        "image": m.image.reference,
        "image_id": m.image.id,
        "digest": m.image.digests,
        "labels": labels,
        "command": m.command,
        "entrypoint": m.entrypoint,
        "working_directory": m.working_directory,
        "user": m.user,
        "user_given": m.user_given,
        "variables": m.variables,
        "ports": published.chain(exposed).collect::<Vec<_>>(),
        "mounts": mounts.collect::<Vec<_>>(),
        "health": health,
        "restarts": m.restarts,
        "restart_policy": policy,
        "state": m.state,
        "created": m.created.and_then(seconds),
        "started": m.started.and_then(seconds),
        "log_driver": m.log_driver,
        "log_path": m.log_path,
        "pod": pod,
    })
}

/// Seconds since 1970.
fn seconds(moment: SystemTime) -> Option<f64> {
    moment.duration_since(SystemTime::UNIX_EPOCH).ok().map(|since| since.as_secs_f64())
}

/// As the chart's own faults. A socket has no number: its path is in `socket` and in the message.
fn fault(f: &Fault) -> Value {
    json!({
        "operation": "ask the runtime",
        "subject": "socket",
        "first": 0,
        "count": f.count,
        "message": f.to_string(),
        "socket": Escaped(f.socket.as_os_str().as_encoded_bytes()).to_string(),
        "container": f.container,
    })
}
