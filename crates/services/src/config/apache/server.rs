//! What the main server and its virtual hosts are told.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::line::{word, words};

/// The main server, or a virtual host.
#[derive(Debug, Default)]
pub(super) struct Server {
    /// Where a virtual host is defined; `None` for the main server.
    pub(super) at: Option<(PathBuf, u32)>,
    /// What `<VirtualHost>` names.
    pub(super) addresses: Vec<Vec<u8>>,
    pub(super) name: Option<Vec<u8>>,
    pub(super) documents: Option<Vec<u8>>,
    pub(super) error_log: Option<Vec<u8>>,
    pub(super) error_format: Option<Vec<u8>>,
    pub(super) access_logs: Vec<AccessLog>,
    /// `LogFormat` with a name.
    pub(super) formats: BTreeMap<Vec<u8>, Vec<u8>>,
    /// `LogFormat` without one.
    pub(super) transfer_format: Option<Vec<u8>>,
    /// Other files, with the directive.
    pub(super) other_logs: Vec<(&'static str, Vec<u8>)>,
    pub(super) tls: Option<Tls>,
    pub(super) locations: Vec<Location>,
}

/// A log of requests.
#[derive(Debug)]
pub(super) struct AccessLog {
    pub(super) file: Vec<u8>,
    /// A name or a format; `None` for `TransferLog`, which has the unnamed one.
    pub(super) format: Option<Vec<u8>>,
}

/// `SSLEngine`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tls {
    On,
    Off,
}

/// `<Location>`.
#[derive(Debug, Default)]
pub(super) struct Location {
    pub(super) path: Vec<u8>,
    pub(super) handler: Option<Vec<u8>>,
    /// Whether someone is kept out.
    pub(super) restricts: bool,
    /// Whether all are let in.
    pub(super) grants: bool,
}

/// All that was told.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) main: Server,
    pub(super) hosts: Vec<Server>,
    /// `Listen`, with its words.
    pub(super) listens: Vec<Listens>,
    pub(super) pid_file: Option<Vec<u8>>,
    /// Where requests are handed on to: balancers with their members, and URLs that stand where they are used.
    pub(super) balancers: BTreeMap<Vec<u8>, Vec<Vec<u8>>>,
    pub(super) handed_on: Vec<Vec<u8>>,
    pub(super) settings: Vec<(&'static str, Vec<u8>)>,
}

/// A `Listen`, and where it is.
#[derive(Debug)]
pub(super) struct Listens {
    pub(super) words: Vec<Vec<u8>>,
    pub(super) at: (PathBuf, u32),
}

/// Where a directive stands.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Context {
    pub(super) host: Option<usize>,
    pub(super) location: Option<usize>,
    /// Whether a section is open that limits it to some directory or file.
    pub(super) narrowed: bool,
}

/// So many virtual hosts are told apart, and so many addresses of each.
const MOST_HOSTS: usize = 10_000;
const MOST_ADDRESSES: usize = 100;
/// Directives that name a file which is a log, besides those of access and error.
const OTHER_LOGS: &[&str] = &[
    "ForensicLog",
    "ScriptLog",
    "SecAuditLog",
    "SecDebugLog",
    "JkLogFile",
    "RewriteLog",
    "CookieLog",
    "ShibLog",
];
/// Settings of the main server that are passed on as they are.
const SETTINGS: &[&str] = &[
    "ExtendedStatus",
    "KeepAlive",
    "MaxRequestWorkers",
    "ServerTokens",
    "ThreadsPerChild",
    "Timeout",
    "User",
    "Group",
];

impl Told {
    pub(super) fn new() -> Self {
        Self {
            main: Server::default(),
            hosts: Vec::new(),
            listens: Vec::new(),
            pid_file: None,
            balancers: BTreeMap::new(),
            handed_on: Vec::new(),
            settings: Vec::new(),
        }
    }

    pub(super) fn server(&mut self, host: Option<usize>) -> &mut Server {
        match host.and_then(|host| self.hosts.get_mut(host)) {
            Some(host) => host,
            None => &mut self.main,
        }
    }

    /// Begins a virtual host; the answer is its place. After the ten thousandth, all the rest are one.
    pub(super) fn begin_host(&mut self, mut addresses: Vec<Vec<u8>>, at: (PathBuf, u32)) -> usize {
        addresses.truncate(MOST_ADDRESSES);
        if self.hosts.len() < MOST_HOSTS {
            self.hosts.push(Server { at: Some(at), addresses, ..Server::default() });
        }
        self.hosts.len().saturating_sub(1)
    }

    /// Begins a location of a server.
    pub(super) fn begin_location(&mut self, host: Option<usize>, path: Vec<u8>) -> usize {
        let locations = &mut self.server(host).locations;
        locations.push(Location { path, ..Location::default() });
        locations.len().saturating_sub(1)
    }

    /// Takes a directive, its name in lower case.
    pub(super) fn take(&mut self, name: &[u8], rest: &[u8], context: Context, at: (PathBuf, u32)) {
        if self.take_of_location(name, rest, context) || context.narrowed {
            return;
        }
        let first = || word(&mut &*rest);
        let server = self.server(context.host);
        match name {
            b"servername" => server.name = Some(first()),
            b"documentroot" => server.documents = Some(first()),
            b"errorlog" => server.error_log = Some(first()),
            b"errorlogformat" => {
                if let [format] = words(rest).as_slice() {
                    server.error_format = Some(format.clone());
                }
            }
            b"customlog" | b"globallog" => {
                if let [file, format, ..] = words(rest).as_slice() {
                    let (file, format) = (file.clone(), Some(format.clone()));
                    server.access_logs.push(AccessLog { file, format });
                }
            }
            b"transferlog" => server.access_logs.push(AccessLog { file: first(), format: None }),
            b"logformat" => match words(rest).as_slice() {
                [format] => server.transfer_format = Some(format.clone()),
                [format, name, ..] => drop(server.formats.insert(name.clone(), format.clone())),
                [] => {}
            },
            b"sslengine" | b"gnutlsenable" | b"nssengine" => {
                // `optional` begins without TLS.
                server.tls = Some(if first().eq_ignore_ascii_case(b"on") { Tls::On } else { Tls::Off });
            }
            b"listen" => self.listens.push(Listens { words: words(rest), at }),
            b"pidfile" => self.pid_file = Some(first()),
            _ => {
                let is = |known: &&&str| known.as_bytes().eq_ignore_ascii_case(name);
                if let Some(name) = OTHER_LOGS.iter().find(is) {
                    server.other_logs.push((name, first()));
                } else if let Some(name) = SETTINGS.iter().find(is).filter(|_| context.host.is_none()) {
                    self.settings.push((name, first()));
                }
            }
        }
    }

    /// Takes what says where requests are handed on to.
    pub(super) fn take_of_proxy(&mut self, name: &[u8], rest: &[u8], balancer: Option<&[u8]>) -> bool {
        let words = match name {
            b"balancermember" | b"proxypass" | b"proxypassmatch" | b"sethandler" => words(rest),
            _ => return false,
        };
        let mut urls = words.iter().filter(|word| word.windows(3).any(|three| three == b"://"));
        if name == b"balancermember" {
            let Some(first) = urls.next() else { return true };
            let (balancer, member) = match balancer {
                Some(balancer) => (balancer, first),
                None => (first.as_slice(), urls.next().unwrap_or(first)),
            };
            let members = self.balancers.entry(balancer.to_vec()).or_default();
            if members.len() < MOST_ADDRESSES {
                members.push(member.clone());
            }
            return true;
        }
        let url = urls.next().filter(|url| !url.starts_with(b"balancer:"));
        let url = url.map(|url| url.strip_prefix(b"proxy:").unwrap_or(url));
        if let Some(url) = url.filter(|_| self.handed_on.len() < MOST_HOSTS) {
            self.handed_on.push(url.to_vec());
        }
        // It is a handler as well.
        name != b"sethandler"
    }

    fn take_of_location(&mut self, name: &[u8], rest: &[u8], context: Context) -> bool {
        let Some(at) = context.location else { return false };
        let Some(location) = self.server(context.host).locations.get_mut(at) else { return false };
        let words = words(rest);
        let is = |at: usize, text: &[u8]| words.get(at).is_some_and(|word| word.eq_ignore_ascii_case(text));
        match name {
            b"sethandler" => location.handler = words.into_iter().next(),
            b"require" if is(0, b"all") && is(1, b"granted") => location.grants = true,
            b"require" => location.restricts = true,
            b"deny" => location.restricts |= is(0, b"from"),
            // Old and new, what it says last is all that it says.
            b"satisfy" | b"allow" | b"order" => {}
            _ => return false,
        }
        true
    }
}
