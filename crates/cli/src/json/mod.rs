//! The JSON of the command line's contract.
//!
//! - `service`: what runs
//! - `text`: JSON as text that moves no cursor

mod service;
mod text;

use std::time::Duration;

use portolan::{
    Changes, Classification, Container, Escaped, Fault, Inventory, Listener, Rules, Survey, SurveyFault,
    Update,
};
use serde_json::{Value, json};

use service::service;
pub(crate) use text::text;

/// `explain --cgroup`
pub(crate) fn classification(c: &Classification) -> Value {
    json!({
        "runtime": c.runtime.as_str(),
        "container_id": c.container_id,
        "pod_uid": c.pod_uid,
        "name": c.name,
        "kind": c.kind.as_str(),
    })
}

/// `rules --json`.
pub(crate) fn rules(rules: &Rules) -> Value {
    let rules: Vec<Value> = rules
        .iter()
        .map(|rule| {
            json!({
                "kind": rule.kind,
                "title": rule.title,
                "category": rule.category,
                "aliases": rule.aliases,
                "ports": rule.ports,
                "runtime": rule.runtime,
            })
        })
        .collect();
    json!({ "schema": "portolan.rules/1", "rules": rules })
}

/// `scan --json`, schema `portolan.inventory/1`
pub(crate) fn inventory(chart: &Inventory, survey: Option<&Survey>) -> Value {
    let none = Survey::default();
    let survey = survey.unwrap_or(&none);
    let faults = chart.faults.iter().map(fault).chain(survey.faults.iter().map(survey_fault));
    json!({
        "schema": "portolan.inventory/1",
        "containers": chart.containers.iter().map(container).collect::<Vec<_>>(),
        "listeners": chart.listeners.iter().map(listener).collect::<Vec<_>>(),
        "services": survey.services.iter().map(|one| service(one)).collect::<Vec<_>>(),
        "faults": faults.collect::<Vec<_>>(),
        "source": chart.source.to_string(),
        "source_reason": chart.source.reason(),
        "elapsed_ms": milliseconds(chart.elapsed),
        "survey_ms": milliseconds(survey.elapsed),
    })
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// `watch --json`, schema `portolan.update/1`
pub(crate) fn update(update: &Update) -> Value {
    json!({
        "schema": "portolan.update/1",
        "whole": update.whole,
        "short_lived": update.short_lived,
        "containers": changes(&update.diff.containers, container),
        "listeners": changes(&update.diff.listeners, listener),
    })
}

fn changes<T>(changes: &Changes<T>, json: impl Fn(&T) -> Value) -> Value {
    let all = |items: &[T]| items.iter().map(&json).collect::<Vec<_>>();
    let changed = changes.changed.iter().map(|(was, is)| json!({ "was": json(was), "is": json(is) }));
    json!({
        "added": all(&changes.added),
        "changed": changed.collect::<Vec<_>>(),
        "removed": all(&changes.removed),
    })
}

fn container(c: &Container) -> Value {
    let pod = c.pod.as_ref().map(|p| json!({ "uid": p.uid, "name": p.name, "namespace": p.namespace }));
    json!({
        "runtime": c.runtime.as_str(),
        "kind": c.kind.as_str(),
        "id": c.id,
        "name": c.name,
        "hostname": c.hostname,
        "pod": pod,
        "image": c.image,
        "init": { "pid": c.init.pid, "start_time": c.init.start_time },
        "namespaces": {
            "mnt": c.namespaces.mnt.inode(),
            "net": c.namespaces.net.inode(),
            "pid": c.namespaces.pid.inode(),
            "user": c.namespaces.user.inode(),
        },
        "processes": c.processes,
        "evidence": c.evidence,
    })
}

fn listener(l: &Listener) -> Value {
    json!({
        "protocol": l.protocol.to_string(),
        "address": l.address().map_or_else(|| l.place(), |address| address.to_string()),
        "port": l.port().unwrap_or(0),
        "v6_only": l.v6_only,
        "pid": l.owner.map(|owner| owner.pid),
        "comm": l.command,
        "container": l.container,
        "netns": l.netns.inode(),
        "reach": l.reach.to_string(),
        "uid": l.uid,
        "inode": l.inode,
    })
}

fn fault(f: &Fault) -> Value {
    json!({
        "operation": f.operation,
        "subject": f.subject,
        "first": f.first,
        "count": f.count,
        "message": Escaped(f.to_string().as_bytes()).to_string(),
    })
}

fn survey_fault(f: &SurveyFault) -> Value {
    json!({
        "operation": "survey",
        "subject": "pid",
        "first": f.pid,
        "count": 1,
        "message": f.message,
    })
}
