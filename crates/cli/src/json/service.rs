//! What runs, in JSON. Secrets have no place here: not even whether a password is a long one.

use portolan::configuration::{Credential, StatusPage};
use portolan::{Endpoint, EndpointAddress, Escaped, LogFile, Service};
use serde_json::{Value, json};

use crate::words::{path, url};

pub(super) fn service(s: &Service) -> Value {
    let c = &s.configuration;
    json!({
        "kind": s.kind,
        "aliases": s.aliases,
        "category": s.category,
        "name": s.name,
        "container": s.container,
        "pid": s.process.pid,
        "start_time": s.process.start_time,
        "processes": s.processes,
        "netns": s.netns.inode(),
        "version": s.version.as_ref().map(|version| &version.text),
        "version_source": s.version.as_ref().map(|version| &version.source),
        "endpoints": s.endpoints.iter().map(|endpoint| endpoint.address.to_string()).collect::<Vec<_>>(),
        "endpoint_details": s.endpoints.iter().map(endpoint).collect::<Vec<_>>(),
        "status": c.status.iter().map(status).collect::<Vec<_>>(),
        "config_files": c.files.iter().map(|file| path(&file.path)).collect::<Vec<_>>(),
        "config_faults": c.faults.iter().map(|fault| json!({
            "path": fault.path.as_deref().map(path),
            "line": fault.line,
            "message": fault.message,
        })).collect::<Vec<_>>(),
        "log_files": s.logs.iter().map(|log| path(&log.path)).collect::<Vec<_>>(),
        "logs": s.logs.iter().map(log).collect::<Vec<_>>(),
        "data_directory": c.data_directory.as_deref().map(path),
        "access": { "password": c.access.password, "tls": c.access.tls },
        "credentials": c.credentials.iter().map(credential).collect::<Vec<_>>(),
        "settings": c.settings,
        "evidence": s.evidence,
        "confidence": s.confidence.to_string(),
    })
}

fn endpoint(e: &Endpoint) -> Value {
    let (transport, address, port, socket) = match &e.address {
        EndpointAddress::Tcp(address) => ("tcp", Some(address.ip()), Some(address.port()), None),
        EndpointAddress::Udp(address) => ("udp", Some(address.ip()), Some(address.port()), None),
        EndpointAddress::Unix(socket) => ("unix", None, None, Some(path(socket))),
        EndpointAddress::Abstract(name) => ("unix", None, None, Some(format!("@{}", Escaped(name)))),
        _ => ("unknown", None, None, None),
    };
    json!({
        "transport": transport,
        "address": address.map(|address| address.to_string()),
        "port": port,
        "path": socket,
        "purpose": e.purpose.as_str(),
        "tls": e.tls,
        "listening": e.listening,
    })
}

fn status(s: &StatusPage) -> Value {
    json!({
        "kind": s.kind,
        "url": url(s),
        "listen": s.listen.to_string(),
        "path": s.path,
        "host": s.host,
        "tls": s.tls,
        "restricted": s.restricted,
    })
}

fn log(l: &LogFile) -> Value {
    json!({
        "path": path(&l.path),
        "purpose": l.purpose.as_str(),
        "format": l.format.as_ref().map(|format| json!({ "name": format.name, "text": format.text })),
        "host_path": l.host_path.as_deref().map(path),
        "open": l.open,
    })
}

/// That there is one, and whose.
fn credential(c: &Credential) -> Value {
    json!({ "source": c.source, "user": c.user })
}
