//! Servers of nginx: where they listen, under which names, and what they hand requests on to.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use portolan_linux::ErrorKind;
use portolan_linux::error::{Escaped, Limit};

use super::listen::{self, Listeners, Listening};
use super::logs::below;
use super::status::Pages;
use super::tree::{Statement, named};
use crate::config::values::Values;
use crate::configuration::{Configuration, ListenAddress, MOST_UPSTREAMS, Purpose};

/// What the servers of a configuration have in common.
#[derive(Debug)]
pub(super) struct Servers {
    listeners: Listeners,
    /// The owner of nginx, on which the port depends that it has without any `listen`.
    user: u32,
    names: Values,
    /// Addresses so far, those of several servers as often.
    noted: usize,
}

/// Directives that name files or directories, by whether they are relative to the main file; the others are to the
/// prefix.
const PATHS: &[(&str, bool)] = &[
    ("root", false),
    ("alias", false),
    ("auth_basic_user_file", true),
    ("ssl_certificate", true),
    ("ssl_certificate_key", true),
    ("ssl_client_certificate", true),
    ("ssl_trusted_certificate", true),
    ("ssl_password_file", true),
    ("ssl_dhparam", true),
    ("ssl_crl", true),
    ("proxy_ssl_certificate", true),
    ("proxy_ssl_certificate_key", true),
    ("proxy_ssl_trusted_certificate", true),
    ("proxy_cache_path", false),
    ("fastcgi_cache_path", false),
    ("uwsgi_cache_path", false),
    ("scgi_cache_path", false),
    ("load_module", false),
];

/// Paths that directives name, wherever they stand.
#[derive(Debug, Default)]
pub(super) struct Paths(BTreeMap<&'static str, Values>);

impl Paths {
    pub(super) fn look(&mut self, block: &[Statement], base: &Path, prefix: Option<&Path>) {
        for statement in block {
            self.look(&statement.block, base, prefix);
            let Some((name, by_main)) = PATHS.iter().find(|(name, _)| statement.is(name)) else { continue };
            let Some(path) = statement.argument(0) else { continue };
            // Keys can lie in variables, in devices, or in the text itself.
            let elsewhere = [&b"data:"[..], b"engine:", b"store:", b"$"];
            let directory = if *by_main { Some(base) } else { prefix };
            let values = self.0.entry(name).or_default();
            match directory {
                Some(directory) if !elsewhere.iter().any(|start| path.starts_with(start)) => {
                    values.add(below(directory, path).as_os_str().as_bytes());
                }
                _ => values.add(path),
            }
        }
    }

    pub(super) fn finish(self, configuration: &mut Configuration) {
        for (name, values) in self.0 {
            values.finish(name, configuration);
        }
    }
}

impl Servers {
    pub(super) fn new(user: u32) -> Self {
        Self { listeners: Listeners::default(), user, names: Values::default(), noted: 0 }
    }

    /// The servers of a block `http`.
    pub(super) fn http(&mut self, http: &[Statement], configuration: &mut Configuration) {
        upstreams(http, configuration);
        let always = speaks_tls(http);
        for server in named(http, "server") {
            let mut listens = listens(server, Some(80), configuration);
            if named(&server.block, "listen").next().is_none() {
                // Ports below 1024 are not for everybody. In a user namespace, root is somebody else outside: the port
                // cannot be known then, unless from what listens.
                if self.user == 0 {
                    let address = ListenAddress::Inet(Some(Ipv4Addr::UNSPECIFIED.into()), 80);
                    listens.push(Listening { address, tls: false, default: false });
                }
            }
            if always || speaks_tls(&server.block) {
                listens.iter_mut().for_each(|listening| listening.tls = true);
            }
            let only_status = Pages::of(http, &server.block, &listens, configuration);
            let purpose = if only_status { Purpose::Status } else { Purpose::Service };
            self.note(&listens, purpose, server, configuration);
            for name in named(&server.block, "server_name").flat_map(|statement| &statement.arguments) {
                self.names.add(name);
            }
        }
    }

    /// The servers of another block.
    pub(super) fn others(&mut self, block: &[Statement], configuration: &mut Configuration) {
        upstreams(block, configuration);
        let always = speaks_tls(block);
        for server in named(block, "server") {
            let mut listens = listens(server, None, configuration);
            if always || speaks_tls(&server.block) {
                listens.iter_mut().for_each(|listening| listening.tls = true);
            }
            self.note(&listens, Purpose::Service, server, configuration);
        }
    }

    fn note(
        &mut self,
        listens: &[Listening],
        purpose: Purpose,
        server: &Statement,
        configuration: &mut Configuration,
    ) {
        for listening in listens {
            self.noted = self.noted.saturating_add(1);
            if self.noted > listen::MOST_LISTENERS {
                let why = "addresses are left out: over 10000 of them";
                let kind = ErrorKind::Limit(Limit::Entries);
                configuration.add_fault(kind, server.file.as_deref(), Some(server.line), why);
                return;
            }
            self.listeners.add(&listening.address, listening.tls, purpose);
        }
    }

    pub(super) fn finish(self, configuration: &mut Configuration) {
        configuration.listens = self.listeners.into_list();
        if !configuration.listens.is_empty() {
            let all = configuration.listens.iter().all(|listen| listen.tls == Some(true));
            configuration.access.tls = Some(all);
        }
        self.names.finish("server_name", configuration);
    }
}

/// `ssl on`, as older versions have it.
fn speaks_tls(block: &[Statement]) -> bool {
    named(block, "ssl").last().is_some_and(|statement| statement.argument(0) == Some(b"on"))
}

fn listens(server: &Statement, usual_port: Option<u16>, configuration: &mut Configuration) -> Vec<Listening> {
    let mut listens = Vec::new();
    for statement in named(&server.block, "listen") {
        // More are told of as too many later on.
        if listens.len() > listen::MOST_LISTENERS {
            break;
        }
        match listen::parse(statement, usual_port) {
            Ok(found) => listens.extend(found),
            Err(why) => {
                let path: Option<&Path> = statement.file.as_deref();
                configuration.add_fault(ErrorKind::InvalidInput, path, Some(statement.line), why);
            }
        }
    }
    listens
}

/// Groups of servers behind this one, then single ones that stand where they are used.
fn upstreams(block: &[Statement], configuration: &mut Configuration) {
    for group in named(block, "upstream") {
        let Some(name) = group.argument(0) else { continue };
        let servers = named(&group.block, "server").filter_map(|server| server.argument(0));
        configuration.add_upstream(name, servers.map(<[u8]>::to_vec).collect::<Vec<_>>());
    }
    passes(block, configuration);
}

fn passes(block: &[Statement], configuration: &mut Configuration) {
    for statement in block {
        passes(&statement.block, configuration);
        if configuration.upstreams.len() >= MOST_UPSTREAMS {
            return;
        }
        let Some(target) = statement.argument(0).filter(|_| statement.name.ends_with(b"_pass")) else {
            continue;
        };
        let at = target.windows(3).position(|part| part == b"://").map_or(0, |at| at.saturating_add(3));
        let secure = target.starts_with(b"https://") || target.starts_with(b"grpcs://");
        let rest = target.get(at..).unwrap_or(&[]);
        let address = if rest.starts_with(b"unix:") {
            // A path ends at a colon, after which comes the one to ask for.
            let path = rest.get(5..).unwrap_or(&[]);
            let end = path.iter().position(|byte| *byte == b':').unwrap_or(path.len());
            rest.get(..end.saturating_add(5)).unwrap_or(&[])
        } else {
            rest.split(|byte| *byte == b'/').next().unwrap_or(&[])
        };
        // What variables stand for is known with each request only.
        if address.is_empty() || address.contains(&b'$') {
            continue;
        }
        let mut full = address.to_vec();
        let host_only = !address.starts_with(b"unix:") && !has_port(address);
        if at > 0 && host_only {
            full.extend(if secure { &b":443"[..] } else { b":80" });
        }
        // A name without a port is that of a group, if there is one.
        let name = Escaped(address).to_string();
        if !configuration.upstreams.iter().any(|known| known.name == name) {
            configuration.add_upstream(&full, [full.clone()]);
        }
    }
}

fn has_port(address: &[u8]) -> bool {
    let after =
        address.iter().rposition(|byte| *byte == b']').map_or(address, |at| address.get(at..).unwrap_or(&[]));
    after.contains(&b':')
}
