//! What the sections of HAProxy that serve clients say: where they listen, what they tell, whom they ask.

use std::collections::{BTreeMap, BTreeSet};

use portolan_linux::ErrorKind;
use portolan_linux::error::{Escaped, Limit};

use super::address;
use super::sections::{Line, Reading, Section};
use super::status::{Exporter, Statistics, exporter};
use crate::config::values::Values;
use crate::configuration::{Configuration, Credential, Listen, ListenAddress, Purpose, StatusPage};

/// A section that listens, hands on, or both.
#[derive(Debug, Default, Clone)]
struct Proxy {
    name: Vec<u8>,
    /// `mode http`: there is none other that tells its state.
    http: bool,
    statistics: Option<Statistics>,
    exporters: Vec<Exporter>,
    listens: Vec<(ListenAddress, bool)>,
    /// The sections that it hands on to.
    backends: Vec<Vec<u8>>,
    servers: Vec<Vec<u8>>,
    /// Whether it is there for anything but its state.
    serves: bool,
}

/// Addresses of all sections.
const MOST_LISTENS: usize = 10_000;
const MOST_PAGES: usize = 100;

/// Notes what all sections say.
pub(super) fn tell(reading: &Reading<'_>, unix_prefix: &[u8], configuration: &mut Configuration) {
    let mut proxies: Vec<Proxy> = Vec::new();
    let mut defaults: BTreeMap<usize, Proxy> = BTreeMap::new();
    let mut formats = Values::default();
    let mut noted = 0_usize;
    for (place, section) in reading.sections.iter().enumerate() {
        let begun = section.defaults.and_then(|place| defaults.get(&place)).cloned().unwrap_or_default();
        match section.kind.as_slice() {
            b"defaults" => {
                let proxy = read(reading, section, begun, unix_prefix, &mut formats, configuration);
                defaults.insert(place, proxy);
            }
            b"frontend" | b"listen" | b"backend" => {
                let mut proxy = read(reading, section, begun, unix_prefix, &mut formats, configuration);
                noted = noted.saturating_add(proxy.listens.len());
                if noted > MOST_LISTENS {
                    let why = "what follows is left out: over 10000 addresses";
                    configuration.add_fault(ErrorKind::Limit(Limit::Entries), None, None, why);
                    break;
                }
                if !proxy.servers.is_empty() {
                    configuration.add_upstream(&section.name, std::mem::take(&mut proxy.servers));
                    proxy.serves = true;
                }
                proxies.push(proxy);
            }
            b"peers" | b"log-forward" => others(reading, section, unix_prefix, configuration),
            b"userlist" => users(section, configuration),
            _ => {}
        }
    }
    formats.finish("log-format", configuration);
    join(&proxies, configuration);
}

/// Reads a section on top of what it begins with.
fn read(
    reading: &Reading<'_>,
    section: &Section,
    begun: Proxy,
    unix_prefix: &[u8],
    formats: &mut Values,
    configuration: &mut Configuration,
) -> Proxy {
    let mut proxy = Proxy { name: section.name.clone(), ..begun };
    // Conditions that lines below refer to, as the words that define them.
    let mut acls: BTreeMap<&[u8], Vec<&[Vec<u8>]>> = BTreeMap::new();
    let proper = section.kind != b"defaults";
    let (mut known, mut asked) = (BTreeSet::new(), 0_usize);
    for line in &section.lines {
        match line.word(0) {
            b"mode" => proxy.http = line.word(1) == b"http",
            b"bind" => {
                let tls = line.has("ssl");
                if asked > MOST_LISTENS {
                    continue;
                }
                for address in bound(reading, line, line.word(1), unix_prefix, configuration) {
                    asked = asked.saturating_add(1);
                    if known.insert(address.clone()) {
                        proxy.listens.push((address, tls));
                    }
                }
            }
            b"stats" => {
                let statistics = proxy.statistics.get_or_insert_default();
                if let Some((user, secret)) = statistics.add(line) {
                    let text = String::from_utf8_lossy(&secret).into_owned();
                    credential("stats auth", &user, text, configuration);
                }
            }
            b"acl" => {
                if let Some(definition) = line.words.get(2..) {
                    acls.entry(line.word(1)).or_default().push(definition);
                }
            }
            b"http-request" if line.word(1) == b"use-service" && line.word(2) == b"prometheus-exporter" => {
                proxy.exporters.extend(exporter(line, &acls));
            }
            b"default_backend" | b"use_backend" => proxy.backends.push(line.word(1).to_vec()),
            b"server" if proper => proxy.servers.push(reading.variables.expand(line.word(2))),
            b"server-template" if proper => proxy.servers.push(reading.variables.expand(line.word(3))),
            b"redirect" | b"dispatch" => proxy.serves |= proper,
            b"http-request" => {
                proxy.serves |= proper && [&b"redirect"[..], b"return"].contains(&line.word(1));
            }
            b"log-format" => formats.add(line.word(1)),
            b"option" if [&b"httplog"[..], b"tcplog", b"httpslog"].contains(&line.word(1)) => {
                formats.add(line.word(1));
            }
            _ => {}
        }
    }
    proxy
}

/// The addresses that a line binds.
fn bound(
    reading: &Reading<'_>,
    line: &Line,
    text: &[u8],
    unix_prefix: &[u8],
    configuration: &mut Configuration,
) -> Vec<ListenAddress> {
    match address::parse(&reading.variables.expand(text), unix_prefix) {
        Ok(addresses) => addresses,
        Err(wrong) => {
            let why = format!("bind {}: that is no address that is known", Escaped(&wrong));
            configuration.add_fault(ErrorKind::InvalidInput, Some(&line.file), Some(line.number), why);
            Vec::new()
        }
    }
}

/// Sections that listen for something other than clients.
fn others(reading: &Reading<'_>, section: &Section, unix_prefix: &[u8], configuration: &mut Configuration) {
    let purpose = if section.kind == b"peers" { Purpose::Cluster } else { Purpose::Service };
    let own = local_peer(reading);
    for line in &section.lines {
        let text = match line.word(0) {
            b"bind" | b"dgram-bind" => line.word(1),
            // The one that has this process's name is its own address.
            b"peer" | b"server" if own.is_some_and(|own| own == line.word(1)) => line.word(2),
            _ => continue,
        };
        if text.is_empty() || configuration.listens.len() >= MOST_LISTENS {
            continue;
        }
        for address in bound(reading, line, text, unix_prefix, configuration) {
            configuration.add_listen(address, Some(line.has("ssl")), purpose);
        }
    }
}

/// The name of this process among its peers, where it is not the host's.
fn local_peer<'r>(reading: &'r Reading<'_>) -> Option<&'r [u8]> {
    let given = reading.local_peer.as_deref();
    let global = reading.sections.iter().filter(|section| section.kind == b"global");
    let mut named = global.flat_map(|section| &section.lines).filter(|line| line.is(&["localpeer"]));
    given
        .or_else(|| named.next_back().map(|line| line.word(1)))
        .or_else(|| reading.variables.get(b"HOSTNAME"))
}

fn users(section: &Section, configuration: &mut Configuration) {
    for line in section.lines.iter().filter(|line| line.is(&["user"])) {
        // A hashed one proves nothing to anybody.
        if let Some(secret) = line.after("insecure-password") {
            let secret = String::from_utf8_lossy(secret).into_owned();
            let source = format!("userlist {}", Escaped(&section.name));
            credential(&source, line.word(1), secret, configuration);
        }
    }
}

fn credential(source: &str, user: &[u8], secret: String, configuration: &mut Configuration) {
    if configuration.credentials.len() < MOST_PAGES {
        let user = Some(Escaped(user).to_string());
        configuration.credentials.push(Credential { source: source.to_owned(), user, secret: secret.into() });
    }
}

/// Listeners with their purposes, and the pages that they serve: their own, and those of what they hand on to.
fn join(proxies: &[Proxy], configuration: &mut Configuration) {
    let mut by_name: BTreeMap<&[u8], &Proxy> = BTreeMap::new();
    for proxy in proxies {
        by_name.entry(&proxy.name).or_insert(proxy);
    }
    let mut seen: BTreeMap<ListenAddress, usize> = BTreeMap::new();
    for proxy in proxies.iter().filter(|proxy| !proxy.listens.is_empty()) {
        let mut pages: Vec<StatusPage> = Vec::new();
        let mut serves = proxy.serves;
        let mut behind = vec![proxy];
        for name in proxy.backends.iter().take(MOST_PAGES) {
            match by_name.get(name.as_slice()) {
                Some(backend) => {
                    serves |= backend.serves || backend.statistics.is_none();
                    behind.push(backend);
                }
                // A name with variables, or one that is not there.
                None => serves = true,
            }
        }
        for (address, tls) in &proxy.listens {
            for told in &behind {
                if let Some(statistics) = told.statistics.as_ref().filter(|_| proxy.http && told.http) {
                    pages.push(statistics.page(address, *tls));
                }
            }
            for exporter in &proxy.exporters {
                pages.push(exporter.page(address, *tls));
            }
        }
        let purpose = if serves || pages.is_empty() { Purpose::Service } else { Purpose::Status };
        for page in pages {
            if configuration.status.len() < MOST_PAGES && !configuration.status.contains(&page) {
                configuration.status.push(page);
            }
        }
        for (address, tls) in &proxy.listens {
            if let Some(known) = seen.get(address).and_then(|place| configuration.listens.get_mut(*place)) {
                known.purpose = known.purpose.min(purpose);
                continue;
            }
            seen.insert(address.clone(), configuration.listens.len());
            configuration.listens.push(Listen { address: address.clone(), tls: Some(*tls), purpose });
        }
    }
    let mut clients =
        configuration.listens.iter().filter(|listen| listen.purpose == Purpose::Service).peekable();
    if clients.peek().is_some() {
        configuration.access.tls = Some(clients.all(|listen| listen.tls == Some(true)));
    }
}
