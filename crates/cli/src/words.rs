//! Services in words, for people and for programs alike: nothing unescaped, and no secrets.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use portolan::configuration::{ConfigFile, ListenAddress, Purpose, StatusPage};
use portolan::{Configuration, Endpoint, EndpointAddress, Escaped, LogFile, Service};

/// Paths are bytes; what is no text is escaped.
pub(crate) fn path(path: &Path) -> String {
    Escaped(path.as_os_str().as_bytes()).to_string()
}

/// What to call it, with what it is where that is not the same.
pub(crate) fn name(service: &Service) -> String {
    if service.name == service.kind {
        service.name.clone()
    } else {
        format!("{} ({})", service.name, service.kind)
    }
}

/// An address to dial, and what is to be known before.
pub(crate) fn endpoint(endpoint: &Endpoint) -> String {
    let mut about = Vec::new();
    if endpoint.purpose != Purpose::Service {
        about.push(endpoint.purpose.as_str());
    }
    if endpoint.tls == Some(true) {
        about.push("TLS");
    }
    if !endpoint.listening {
        about.push("nobody listens");
    }
    with(endpoint.address.to_string(), &about)
}

/// The main file, and how many more there are.
pub(crate) fn files(files: &[ConfigFile]) -> Vec<String> {
    let mut lines: Vec<String> = files.iter().take(1).map(|file| path(&file.path)).collect();
    match files {
        [_, second] => lines.push(path(&second.path)),
        [_, more @ ..] if !more.is_empty() => lines.push(format!("and {} more", more.len())),
        _ => {}
    }
    lines
}

/// Where a service tells its state.
pub(crate) fn status(status: &StatusPage) -> String {
    let place = url(status).unwrap_or_else(|| {
        format!("{} {}", status.listen, Escaped(status.path.as_bytes())).trim_end().to_owned()
    });
    let host = status.host.as_ref().map(|host| format!("host {}", Escaped(host.as_bytes())));
    let mut about = vec![status.kind];
    about.extend(host.as_deref());
    if status.restricted {
        about.push("for some only");
    }
    with(place, &about)
}

/// What a client of HTTP asks for; `None` where none can: on Unix sockets, and where the status is told in another
/// protocol.
pub(crate) fn url(status: &StatusPage) -> Option<String> {
    // php-fpm tells it over FastCGI.
    if status.kind == "pm.status_path" {
        return None;
    }
    let place = match (&status.listen, status.listen.dial_address()) {
        (_, Some(EndpointAddress::Tcp(address))) => address.to_string(),
        (ListenAddress::Name(name, port), _) => format!("{}:{port}", Escaped(name.as_bytes())),
        _ => return None,
    };
    let scheme = if status.tls { "https" } else { "http" };
    Some(format!("{scheme}://{place}{}", Escaped(status.path.as_bytes())))
}

/// A log: a line for its path, and one for its path on the host.
#[derive(Debug)]
pub(crate) struct Log(pub(crate) Vec<String>);

impl From<String> for Log {
    fn from(line: String) -> Self {
        Self(vec![line])
    }
}

/// Where a log is.
pub(crate) fn log(log: &LogFile) -> Log {
    let format = log.format.as_ref().map(|format| Escaped(format.name.as_bytes()).to_string());
    let about: Vec<&str> = format.as_deref().into_iter().collect();
    let mut lines = vec![with(path(&log.path), &about)];
    // On the host, both are one.
    let host = log.host_path.as_ref().filter(|host| **host != log.path);
    lines.extend(host.map(|host| format!("  host:{}", path(host))));
    Log(lines)
}

/// What a client has to have.
pub(crate) fn needs(configuration: &Configuration) -> Option<String> {
    let mut needs = Vec::new();
    if configuration.access.password == Some(true) {
        let told: Vec<String> = configuration
            .credentials
            .iter()
            .take(3)
            .map(|credential| {
                let source = Escaped(credential.source.as_bytes()).to_string();
                let user = credential.user.as_ref();
                user.map_or(source.clone(), |user| format!("{source} of {}", Escaped(user.as_bytes())))
            })
            .collect();
        let told: Vec<&str> = told.iter().map(String::as_str).collect();
        needs.push(with("password".to_owned(), &told));
    }
    if configuration.access.tls == Some(true) {
        needs.push("TLS".to_owned());
    }
    (!needs.is_empty()).then(|| needs.join(", "))
}

fn with(text: String, about: &[&str]) -> String {
    if about.is_empty() { text } else { format!("{text} ({})", about.join(", ")) }
}
