//! What follows from all that the servers are told.

use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use portolan_linux::ErrorKind;
use portolan_linux::error::{Escaped, Limit};

use super::modules::{Holds, Modules};
use super::paths::relative;
use super::server::{AccessLog, Listens, Location, Server, Tls};
use super::walk::Walked;
use crate::configuration::{Configuration, ListenAddress, LogFormat, LogPurpose, Purpose, StatusPage};

/// `%h %l %u %t "%r" %>s %b`, which the server knows as `CLF` and uses where nothing else is said.
const COMMON: &str = "%h %l %u %t \"%r\" %>s %b";
/// Where the main server logs unless it is told.
const ERROR_LOG: &[u8] = b"logs/error_log";
/// Pages that tell the server's state, by their handlers: their module, and what to ask for so that a program can read it.
const PAGES: &[(&str, &str, &str)] = &[
    ("server-status", "status_module", "?auto"),
    ("server-info", "info_module", ""),
    ("balancer-manager", "proxy_balancer_module", ""),
];
const MOST_LOGS: usize = 2000;
const MOST_LISTENS: usize = 500;
const MOST_PAGES: usize = 500;
const MOST_HOSTS_SHOWN: usize = 500;

/// A `Listen` that was understood.
struct Bound {
    address: ListenAddress,
    tls: Option<bool>,
}

pub(super) fn of(mut walked: Walked) -> Configuration {
    let mut configuration = std::mem::take(&mut walked.configuration);
    if !walked.read {
        return configuration;
    }
    let (told, root, modules) = (&walked.told, walked.root.as_path(), &walked.modules);
    let mut bound: Vec<Bound> = Vec::new();
    for listens in told.listens.iter().take(MOST_LISTENS) {
        match bind(listens) {
            Some(new) => bound.push(new),
            None => {
                let (file, line) = &listens.at;
                let message = "the address of a Listen is not understood";
                configuration.add_fault(ErrorKind::InvalidInput, Some(file), Some(*line), message);
            }
        }
    }
    let hosts: Vec<Vec<HostAddress>> = told
        .hosts
        .iter()
        .map(|host| host.addresses.iter().map(|text| host_address(text)).collect())
        .collect();
    let has_tls = ["ssl_module", "gnutls_module", "nss_module"]
        .iter()
        .any(|name| modules.has(name.as_bytes()) != Holds::No);
    for listen in &mut bound {
        let served =
            told.hosts.iter().zip(&hosts).filter(|(_, addresses)| serves(addresses, &listen.address));
        listen.tls = Some(has_tls && tls(&told.main, served.map(|(host, _)| host)));
        configuration.add_listen(listen.address.clone(), listen.tls, Purpose::Service);
    }
    pages(&mut configuration, modules, &told.main, None, &bound.iter().collect::<Vec<_>>());
    for (host, addresses) in told.hosts.iter().zip(&hosts) {
        let served: Vec<&Bound> = bound.iter().filter(|listen| serves(addresses, &listen.address)).collect();
        pages(&mut configuration, modules, host, Some(&told.main), &served);
    }
    logs(&mut configuration, root, &told.main, None);
    for host in &told.hosts {
        logs(&mut configuration, root, host, Some(&told.main));
    }
    settings(&mut configuration, &walked);
    for (name, members) in &told.balancers {
        configuration.add_upstream(name, members.iter().map(|url| authority(url)));
    }
    for url in &told.handed_on {
        let address = authority(url);
        if !address.is_empty() {
            configuration.add_upstream(&address, [address.clone()]);
        }
    }
    configuration
}

/// Host and port of a URL, with the port that its scheme stands for; of `unix:/path|scheme://host`, the path.
fn authority(url: &[u8]) -> Vec<u8> {
    if url.starts_with(b"unix:") {
        return url.split(|b| *b == b'|').next().unwrap_or(url).to_vec();
    }
    let Some(at) = url.windows(3).position(|three| three == b"://") else { return url.to_vec() };
    let scheme = url.get(..at).unwrap_or(&[]);
    let rest = url.get(at.saturating_add(3)..).unwrap_or(&[]);
    let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'$')).unwrap_or(rest.len());
    let address = rest.get(..end).unwrap_or(rest);
    let port: &[u8] = match scheme {
        b"http" | b"ws" | b"h2c" => b":80",
        b"https" | b"wss" | b"h2" => b":443",
        b"ajp" => b":8009",
        b"fcgi" => b":8000",
        b"scgi" => b":4000",
        b"uwsgi" => b":3031",
        _ => b"",
    };
    let after =
        address.iter().rposition(|b| *b == b']').map_or(address, |at| address.get(at..).unwrap_or(address));
    if address.is_empty() || after.contains(&b':') { address.to_vec() } else { [address, port].concat() }
}

/// `Listen [address:]port [protocol]`.
fn bind(listens: &Listens) -> Option<Bound> {
    let (host, port) = host_and_port(listens.words.first()?);
    let port: u16 = std::str::from_utf8(port?).ok()?.parse().ok().filter(|port| *port > 0)?;
    let address = match host {
        None | Some(b"*") => ListenAddress::Inet(None, port),
        Some(host) => match ip(host) {
            Some(ip) => ListenAddress::Inet(Some(ip), port),
            None => ListenAddress::Name(std::str::from_utf8(host).ok()?.to_owned(), port),
        },
    };
    Some(Bound { address, tls: None })
}

/// The part before the last colon, without brackets, and the one after it. A number alone is a port.
fn host_and_port(text: &[u8]) -> (Option<&[u8]>, Option<&[u8]>) {
    if !text.is_empty() && text.iter().all(u8::is_ascii_digit) {
        return (None, Some(text));
    }
    let colon = text.iter().rposition(|b| *b == b':');
    let bracket = text.iter().rposition(|b| *b == b']');
    let (host, port) = match colon {
        Some(colon) if bracket.is_none_or(|bracket| bracket < colon) => {
            (text.get(..colon).unwrap_or(&[]), text.get(colon.saturating_add(1)..))
        }
        _ => (text, None),
    };
    let host = host.strip_prefix(b"[").and_then(|host| host.strip_suffix(b"]")).unwrap_or(host);
    (Some(host).filter(|host| !host.is_empty()), port)
}

/// An address, without the zone that a link-local one may have.
fn ip(text: &[u8]) -> Option<IpAddr> {
    let text = text.split(|b| *b == b'%').next().unwrap_or(text);
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// What `<VirtualHost>` names.
struct HostAddress {
    /// `None` for any, and for a name, which may be any.
    ip: Option<IpAddr>,
    port: Option<u16>,
}

fn host_address(text: &[u8]) -> HostAddress {
    let (host, port) = host_and_port(text);
    // A number alone would be a host here.
    let (host, port) = if host.is_none() { (port, None) } else { (host, port) };
    let port = port.and_then(|port| std::str::from_utf8(port).ok()?.parse().ok()).filter(|port| *port > 0);
    HostAddress { ip: host.and_then(ip), port }
}

/// Whether a virtual host serves what comes in there.
fn serves(addresses: &[HostAddress], listen: &ListenAddress) -> bool {
    addresses.iter().any(|address| {
        let (bound, port) = match listen {
            ListenAddress::Inet(bound, port) => (*bound, *port),
            ListenAddress::Name(_, port) => (None, *port),
            ListenAddress::Unix(_) | ListenAddress::Abstract(_) => return false,
        };
        address.port.is_none_or(|wanted| wanted == port)
            && match (address.ip, bound) {
                (Some(wanted), Some(bound)) => {
                    wanted == bound || wanted.is_unspecified() || bound.is_unspecified()
                }
                _ => true,
            }
    })
}

/// Whether TLS is spoken, by any host that serves there; one that says nothing does as the main server does. The protocol
/// that a `Listen` names switches nothing on.
fn tls<'a>(main: &Server, hosts: impl Iterator<Item = &'a Server>) -> bool {
    let on = |tls: Option<Tls>| tls.or(main.tls) == Some(Tls::On);
    let mut any = None;
    for host in hosts {
        any = Some(on(host.tls) || any == Some(true));
    }
    any.unwrap_or_else(|| on(None))
}

/// The pages of a server, at each of its listeners.
fn pages(
    configuration: &mut Configuration,
    modules: &Modules,
    server: &Server,
    main: Option<&Server>,
    listens: &[&Bound],
) {
    for location in &server.locations {
        let Some(handler) = &location.handler else { continue };
        let page = PAGES.iter().find(|(name, ..)| name.as_bytes().eq_ignore_ascii_case(handler));
        let Some((kind, module, query)) = page else { continue };
        let Ok(path) = std::str::from_utf8(&location.path) else { continue };
        if modules.has(module.as_bytes()) == Holds::No || !path.starts_with('/') {
            continue;
        }
        let above = main.map_or(&[][..], |main| main.locations.as_slice());
        let restricted = is_restricted(location, server.locations.iter().chain(above));
        for listen in listens {
            if configuration.status.len() >= MOST_PAGES {
                return;
            }
            let page = StatusPage {
                kind,
                listen: listen.address.clone(),
                path: format!("{path}{query}"),
                host: server.at.as_ref().and(server.name.as_deref()).and_then(host_name),
                tls: listen.tls == Some(true),
                restricted,
            };
            if !configuration.status.contains(&page) {
                configuration.status.push(page);
            }
        }
    }
}

/// What a location itself says of who may come, else the others that it lies in.
fn is_restricted<'a>(location: &Location, others: impl Iterator<Item = &'a Location>) -> bool {
    if location.grants || location.restricts {
        return location.restricts && !location.grants;
    }
    let around = others.filter(|other| {
        let rest = location.path.strip_prefix(other.path.as_slice());
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/") || other.path.ends_with(b"/"))
    });
    // The longest path counts last.
    let said = around.filter(|other| other.grants || other.restricts).max_by_key(|other| other.path.len());
    said.is_some_and(|other| other.restricts && !other.grants)
}

/// `ServerName [scheme://]name[:port]` without the rest.
fn host_name(name: &[u8]) -> Option<String> {
    let name = std::str::from_utf8(name).ok()?;
    let name = name.split_once("://").map_or(name, |(_, rest)| rest);
    let (host, port) = name.rsplit_once(':').unwrap_or((name, ""));
    let host = if port.bytes().all(|b| b.is_ascii_digit()) { host } else { name };
    Some(host.to_owned()).filter(|host| !host.is_empty())
}

/// A log's file; a program or another service that is given the lines is none.
fn file(text: &[u8]) -> Option<&[u8]> {
    let elsewhere = |name: &[u8]| {
        let rest = text.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(b":"))
    };
    let is_file = !text.is_empty()
        && !text.starts_with(b"|")
        && ![&b"syslog"[..], b"systemd", b"journald"].into_iter().any(elsewhere)
        // What still has a variable was not understood, by the server neither.
        && !text.windows(2).any(|pair| pair == b"${");
    is_file.then_some(text)
}

fn logs(configuration: &mut Configuration, root: &Path, server: &Server, main: Option<&Server>) {
    if configuration.logs.len() >= MOST_LOGS {
        return;
    }
    let default = main.is_none().then_some(ERROR_LOG);
    if let Some(error_log) = server.error_log.as_deref().or(default).and_then(file) {
        let format = server.error_format.as_ref().or(main.and_then(|main| main.error_format.as_ref()));
        let format = format.map(|format| log_format("ErrorLogFormat", Some(format)));
        configuration.add_log(relative(root, error_log), LogPurpose::Error, format);
    }
    for log in &server.access_logs {
        if configuration.logs.len() >= MOST_LOGS {
            let limit = ErrorKind::Limit(Limit::Entries);
            configuration.add_fault(limit, None, None, "it has too many logs; the rest is left out");
            return;
        }
        if let Some(path) = file(&log.file) {
            let format = access_format(log, server, main);
            configuration.add_log(relative(root, path), LogPurpose::Access, Some(format));
        }
    }
    for (name, path) in server.other_logs.iter().take(MOST_LOGS) {
        if let Some(path) = file(path) {
            let format = Some(LogFormat { name: (*name).to_owned(), text: None });
            configuration.add_log(relative(root, path), LogPurpose::General, format);
        }
    }
}

/// What the format of a log stands for, by the server's own names or the main one's.
fn access_format(log: &AccessLog, server: &Server, main: Option<&Server>) -> LogFormat {
    let servers = || std::iter::once(server).chain(main);
    match &log.format {
        None => match servers().find_map(|server| server.transfer_format.as_ref()) {
            // It may be a name as well.
            Some(format) => {
                named(format, server, main).unwrap_or_else(|| log_format("LogFormat", Some(format)))
            }
            None => log_format("common", Some(COMMON.as_bytes())),
        },
        Some(format) => named(format, server, main).unwrap_or_else(|| {
            // A name that nobody gave is written as it is.
            log_format("custom", Some(format))
        }),
    }
}

fn named(name: &[u8], server: &Server, main: Option<&Server>) -> Option<LogFormat> {
    let text = std::iter::once(server).chain(main).find_map(|server| server.formats.get(name));
    let text = text.map(Vec::as_slice).or_else(|| (name == b"CLF").then_some(COMMON.as_bytes()))?;
    Some(log_format(&Escaped(name).to_string(), Some(text)))
}

fn log_format(name: &str, text: Option<&[u8]>) -> LogFormat {
    let text = text.map(|text| String::from_utf8_lossy(text).into_owned());
    LogFormat { name: name.to_owned(), text }
}

fn settings(configuration: &mut Configuration, walked: &Walked) {
    let (told, root) = (&walked.told, walked.root.as_path());
    let mut set = |name: String, value: &[u8]| {
        configuration.settings.insert(name, Escaped(value).to_string());
    };
    set("ServerRoot".to_owned(), root.as_os_str().as_bytes());
    if let Some(model) = walked.modules.process_model() {
        set("MPM".to_owned(), model);
    }
    for (name, value) in &told.settings {
        set((*name).to_owned(), value);
    }
    if let Some(name) = &told.main.name {
        set("ServerName".to_owned(), name);
    }
    if let Some(file) = &told.pid_file {
        set("PidFile".to_owned(), relative(root, file).as_os_str().as_bytes());
    }
    if let Some(documents) = &told.main.documents {
        set("DocumentRoot".to_owned(), relative(root, documents).as_os_str().as_bytes());
    }
    for host in told.hosts.iter().take(MOST_HOSTS_SHOWN) {
        let Some((path, line)) = &host.at else { continue };
        let addresses = Escaped(&host.addresses.join(&b' ')).to_string();
        let name = host.name.as_deref().map(|name| format!(" {}", Escaped(name))).unwrap_or_default();
        let mut place = path.as_os_str().as_bytes().to_vec();
        place.extend_from_slice(format!(":{line}").as_bytes());
        set(format!("VirtualHost {addresses}{name}"), &place);
        if let Some(documents) = &host.documents {
            let documents = relative(root, documents);
            set(format!("VirtualHost {addresses}{name} DocumentRoot"), documents.as_os_str().as_bytes());
        }
    }
}
