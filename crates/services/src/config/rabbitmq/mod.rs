//! RabbitMQ: `rabbitmq.conf`, `conf.d`, the variables of the environment and of `rabbitmq-env.conf`, and which plugins
//! are enabled. `advanced.config`, Erlang terms, is named and not read.
//!
//! - `grammar`: the languages of the files

mod grammar;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use portolan_linux::error::FileKind;

use self::grammar::Setting;
use super::reading::{Reading, host, host_port, literal, number, path_of};
use super::{Reader, Wanted};
use crate::configuration::{Configuration, ListenAddress, LogFormat, LogPurpose, Purpose, StatusPage};
use crate::launch::Launch;
use crate::source::Source;

pub(crate) const READER: Reader = Reader { name: "rabbitmq", foresee, read };

const DIRECTORY: &str = "/etc/rabbitmq";
/// What serves other protocols: the plugin, the keys of its listeners, and its port.
const PROTOCOLS: &[(&str, &str, u16)] = &[
    ("rabbitmq_mqtt", "mqtt.listeners", 1883),
    ("rabbitmq_stomp", "stomp.listeners", 61613),
    ("rabbitmq_stream", "stream.listeners", 5552),
];
/// What serves HTTP: the plugin, its key, its port, and what for.
const PAGES: &[(&str, &str, u16, Purpose)] = &[
    ("rabbitmq_management", "management", 15672, Purpose::Admin),
    ("rabbitmq_prometheus", "prometheus", 15692, Purpose::Status),
    ("rabbitmq_web_mqtt", "web_mqtt", 15675, Purpose::Service),
    ("rabbitmq_web_stomp", "web_stomp", 15674, Purpose::Service),
];
/// Settings that agents ask for.
const SHOWN: &[&str] = &[
    "cluster_name",
    "vm_memory_high_watermark.relative",
    "vm_memory_high_watermark.absolute",
    "disk_free_limit.absolute",
    "disk_free_limit.relative",
    "loopback_users.guest",
    "loopback_users",
    "default_vhost",
    "channel_max",
    "heartbeat",
    "cluster_formation.peer_discovery_backend",
    "log.file.level",
    "log.console",
    "management.path_prefix",
];

/// What is known of a server.
struct State<'a> {
    launch: &'a Launch,
    /// Of `rabbitmq-env.conf`.
    assigned: Vec<Setting>,
    settings: Vec<Setting>,
    plugins: Vec<String>,
}

impl State<'_> {
    /// A variable: the environment's own goes before the file's.
    fn variable(&self, name: &str) -> Option<&[u8]> {
        let name = format!("RABBITMQ_{name}");
        let assigned = self.assigned.iter().rev().find(|setting| setting.key == name);
        let value = self.launch.variable(&name).or(assigned.map(|setting| setting.value.as_slice()));
        value.filter(|value| !value.is_empty())
    }

    fn value(&self, key: &str) -> Option<&[u8]> {
        self.settings.iter().rev().find(|setting| setting.key == key).map(|setting| setting.value.as_slice())
    }

    /// The last value of each key that begins like this.
    fn below(&self, prefix: &str) -> Vec<&[u8]> {
        let mut found: Vec<(&str, &[u8])> = Vec::new();
        for Setting { key, value } in self.settings.iter().filter(|setting| setting.key.starts_with(prefix)) {
            match found.iter_mut().find(|(known, _)| known == key) {
                Some(known) => known.1 = value,
                None => found.push((key, value)),
            }
        }
        found.into_iter().map(|(_, value)| value).collect()
    }

    fn has(&self, plugin: &str) -> bool {
        // What extends the management needs it.
        let implied = |name: &String| plugin == "rabbitmq_management" && name.ends_with("_management");
        self.plugins.iter().any(|name| name == plugin || implied(name))
    }
}

fn path_variable(launch: &Launch, name: &str, default: &str) -> PathBuf {
    let value = launch.variable(name).filter(|value| value.starts_with(b"/"));
    value.map_or_else(|| Path::new(DIRECTORY).join(default), path_of)
}

fn foresee(launch: &Launch) -> Vec<Wanted> {
    let read = |name: &str, default: &str| Wanted::Read(path_variable(launch, name, default));
    vec![
        read("RABBITMQ_CONF_ENV_FILE", "rabbitmq-env.conf"),
        read("RABBITMQ_ENABLED_PLUGINS_FILE", "enabled_plugins"),
        Wanted::Read(Path::new(DIRECTORY).join("rabbitmq.conf")),
        Wanted::Include(Path::new(DIRECTORY).join("conf.d/*.conf")),
    ]
}

fn read(launch: &Launch, source: &mut dyn Source) -> Configuration {
    let mut reading = Reading::new(launch, source, 2);
    let mut state = State { launch, assigned: Vec::new(), settings: Vec::new(), plugins: Vec::new() };
    let script = path_variable(launch, "RABBITMQ_CONF_ENV_FILE", "rabbitmq-env.conf");
    if let Some(text) = reading.file_if_there(&script, "variables") {
        let (assigned, bad) = grammar::assignments(&text);
        state.assigned = assigned;
        for line in bad {
            reading.fault(Some((&script, line)), "only a shell understands this");
        }
    }
    let known = files(&mut reading, &mut state);
    let plugins = state
        .variable("ENABLED_PLUGINS_FILE")
        .map_or_else(|| Path::new(DIRECTORY).join("enabled_plugins"), path_of);
    if let Some(text) = reading.file_if_there(&plugins, "enabled_plugins") {
        state.plugins = grammar::atoms(&text);
    }
    if known {
        listens(&mut reading, &state);
    }
    let node = node(&mut reading, &state);
    logs(&mut reading, &state, node.as_deref());
    for key in SHOWN {
        if let Some(value) = state.value(key) {
            reading.set(key, value);
        }
    }
    if !state.plugins.is_empty() {
        reading.set("enabled_plugins", state.plugins.join(" ").as_bytes());
    }
    if let Some(secret) = state.value("default_pass") {
        reading.secret("default_pass", Some(state.value("default_user").unwrap_or(b"guest")), secret);
    }
    let user = launch.variable("RABBITMQ_DEFAULT_USER").unwrap_or(b"guest");
    reading.secret_variable("RABBITMQ_DEFAULT_PASS", Some(user));
    if known {
        let anonymous = state.value("anonymous_login_user").is_some_and(|user| user != b"none");
        reading.found.access.password = (!anonymous).then_some(true);
        let plain = |l: &crate::configuration::Listen| l.purpose == Purpose::Service && l.tls == Some(false);
        reading.found.access.tls = Some(!reading.found.listens.iter().any(plain));
    }
    reading.found
}

/// Reads the files of settings; whether there was none that could not be read.
fn files(reading: &mut Reading<'_>, state: &mut State<'_>) -> bool {
    let named = state.variable("CONFIG_FILE").map(path_of);
    let main = named.clone().unwrap_or_else(|| Path::new(DIRECTORY).join("rabbitmq"));
    // The name may be without its ending.
    let (main, classic) = match main.extension().and_then(|extension| extension.to_str()) {
        Some("conf") => (Some(main), None),
        Some("config") => (None, Some(main)),
        _ => (Some(ending(&main, ".conf")), Some(ending(&main, ".config"))),
    };
    let mut files: Vec<(PathBuf, std::sync::Arc<[u8]>)> = Vec::new();
    let mut known = true;
    if let Some(main) = main {
        let before = reading.found.faults.len();
        let by = if named.is_some() { "variable RABBITMQ_CONFIG_FILE" } else { "usual place" };
        files.extend(reading.file_if_there(&main, by).map(|text| (main, text)));
        known = reading.found.faults.len() == before;
    }
    let directory = state.variable("CONFIG_FILES").map_or_else(
        || Path::new(DIRECTORY).join("conf.d/*.conf"),
        |given| {
            let given = path_of(given);
            if given.extension().is_some() { given } else { literal(&given).join("*.conf") }
        },
    );
    files.extend(reading.matches(&directory, "directory conf.d", None));
    for (path, text) in &files {
        let (settings, bad) = grammar::settings(text);
        state.settings.extend(settings);
        for line in bad {
            reading.fault(Some((path, line)), "syntax error");
        }
    }
    let advanced = state
        .variable("ADVANCED_CONFIG_FILE")
        .map_or_else(|| Path::new(DIRECTORY).join("advanced.config"), path_of);
    for terms in [Some(advanced), classic].into_iter().flatten() {
        if reading.source.kind(&terms) == Ok(FileKind::Regular) {
            reading.note(&terms, "Erlang terms, not read");
            reading.fault(Some((&terms, 0)), "Erlang terms are not read: they may say otherwise");
        }
    }
    known
}

fn ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn listens(reading: &mut Reading<'_>, state: &State<'_>) {
    let node_port: Option<u16> = state.variable("NODE_PORT").and_then(number);
    let tcp = state.below("listeners.tcp");
    if tcp.is_empty() {
        let name = state.variable("NODE_IP_ADDRESS").unwrap_or_default();
        reading.listen(host(name, node_port.unwrap_or(5672)), Some(false), Purpose::Service);
    }
    several(reading, &tcp, false);
    several(reading, &state.below("listeners.ssl"), true);
    for (plugin, keys, port) in PROTOCOLS {
        if !state.has(plugin) {
            continue;
        }
        let tcp = state.below(&format!("{keys}.tcp"));
        if tcp.is_empty() {
            reading.listen(ListenAddress::Inet(None, *port), Some(false), Purpose::Service);
        }
        several(reading, &tcp, false);
        several(reading, &state.below(&format!("{keys}.ssl")), true);
    }
    for (plugin, key, port, purpose) in PAGES {
        if state.has(plugin) {
            pages(reading, state, key, *port, *purpose);
        }
    }
    let cluster =
        state.variable("DIST_PORT").and_then(number).or(node_port.map(|port| port.saturating_add(20_000)));
    reading.listen(ListenAddress::Inet(None, cluster.unwrap_or(25672)), None, Purpose::Cluster);
}

/// `none`, or a port with or without an address.
fn several(reading: &mut Reading<'_>, values: &[&[u8]], tls: bool) {
    for value in values.iter().filter(|value| **value != b"none") {
        match host_port(value) {
            Some(address) => reading.listen(address, Some(tls), Purpose::Service),
            None => reading.fault(None, "a listener without a port"),
        }
    }
}

/// What serves HTTP listens as `KEY.tcp` and `KEY.ssl` say; the management also as `KEY.listener`.
fn pages(reading: &mut Reading<'_>, state: &State<'_>, key: &str, default: u16, purpose: Purpose) {
    let value = |name: &str| state.value(&format!("{key}.{name}"));
    let old_tls = value("listener.ssl") == Some(b"true");
    let tcp: Option<u16> = value("tcp.port").and_then(number);
    let ssl: Option<u16> = value("ssl.port").and_then(number);
    let old: Option<u16> = value("listener.port").and_then(number);
    let mut found = Vec::new();
    if let Some(port) = tcp.or(Some(default).filter(|_| ssl.is_none() && old.is_none())) {
        found.push((host(value("tcp.ip").unwrap_or_default(), port), false));
    }
    if let Some(port) = ssl {
        found.push((host(value("ssl.ip").unwrap_or_default(), port), true));
    }
    if let Some(port) = old.filter(|_| tcp.is_none() && ssl.is_none()) {
        found.push((host(value("listener.ip").unwrap_or_default(), port), old_tls));
    }
    for (listen, tls) in found {
        reading.listen(listen.clone(), Some(tls), purpose);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (kind, path, restricted) = match key {
            "management" => {
                let prefix = value("path_prefix").map(text).unwrap_or_default();
                ("management", format!("{}/api/overview", prefix.trim_end_matches('/')), true)
            }
            "prometheus" => ("prometheus", value("path").map_or_else(|| "/metrics".to_owned(), text), false),
            _ => continue,
        };
        reading.found.status.push(StatusPage { kind, listen, path, host: None, tls, restricted });
    }
}

/// The name of the node, if it is said, or its directory of data has it; notes that directory.
fn node(reading: &mut Reading<'_>, state: &State<'_>) -> Option<String> {
    let said = state.variable("NODENAME").map(|name| String::from_utf8_lossy(name).into_owned());
    let whole = said.clone().filter(|name| name.contains('@'));
    let base =
        state.variable("MNESIA_BASE").map_or_else(|| PathBuf::from("/var/lib/rabbitmq/mnesia"), path_of);
    if let Some(directory) = state.variable("MNESIA_DIR") {
        reading.found.data_directory = Some(path_of(directory));
        return whole;
    }
    if let Some(name) = whole {
        reading.found.data_directory = Some(base.join(&name));
        return Some(name);
    }
    // Beside a node's directory there are files and directories with its name and more.
    let first = said.unwrap_or_else(|| "rabbit".to_owned());
    let pattern = ending(&literal(&base).join(literal(Path::new(&format!("{first}@")))), "*");
    let mut own = Vec::new();
    for path in reading.source.glob(&pattern).into_iter().take(16) {
        let extra = path.to_string_lossy().ends_with("-plugins-expand");
        if !extra && reading.source.kind(&path) == Ok(FileKind::Directory) {
            own.push(path);
        }
    }
    if let [path] = &*own {
        reading.found.data_directory = Some(path.clone());
        return path.file_name().map(|name| name.to_string_lossy().into_owned());
    }
    reading.found.data_directory = Some(base);
    None
}

fn logs(reading: &mut Reading<'_>, state: &State<'_>, node: Option<&str>) {
    let directory = state.variable("LOG_BASE").or(state.value("log.dir")).unwrap_or(b"/var/log/rabbitmq");
    let directory = path_of(directory);
    let format = state
        .value("log.file.formatter")
        .map(|formatter| LogFormat { name: String::from_utf8_lossy(formatter).into_owned(), text: None });
    match (state.variable("LOGS"), state.value("log.file")) {
        (Some(b"-" | b"-stderr"), _) | (None, Some(b"false")) => {}
        (Some(file), _) | (None, Some(file)) => {
            reading.log(directory.join(path_of(file)), LogPurpose::General, format, false);
        }
        (None, None) => match node {
            Some(node) => {
                reading.log(directory.join(format!("{node}.log")), LogPurpose::General, format, false);
            }
            None => {
                let name = state.variable("NODENAME").unwrap_or(b"rabbit");
                let name = String::from_utf8_lossy(name).into_owned();
                let file = literal(&directory).join(format!("{name}@*.log"));
                reading.log(file, LogPurpose::General, format, true);
            }
        },
    }
}
