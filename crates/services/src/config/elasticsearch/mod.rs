//! Elasticsearch and OpenSearch: a file of YAML, `-E` arguments, and the variables of their images.
//!
//! - `logs`: what their log4j writes

mod logs;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use super::java::Java;
use super::reading::{Reading, host, literal, path_of};
use super::yaml::{self, Yaml};
use super::{Reader, Wanted};
use crate::configuration::{Configuration, ListenAddress, Purpose};
use crate::launch::Launch;
use crate::source::Source;

pub(crate) const READER: Reader = Reader { name: "elasticsearch", foresee, read };

/// Settings that agents ask for. None of them is a secret.
const SHOWN: &[&str] = &[
    "cluster.name",
    "node.name",
    "node.roles",
    "discovery.type",
    "discovery.seed_hosts",
    "cluster.initial_master_nodes",
    "network.host",
    "network.publish_host",
    "path.data",
    "bootstrap.memory_lock",
    "xpack.security.enabled",
    "xpack.security.transport.ssl.enabled",
    "plugins.security.disabled",
];

/// The two of them differ in names alone.
#[derive(Debug, Clone, Copy)]
struct Flavour {
    name: &'static str,
    /// Before properties of `java`.
    property: &'static str,
    /// Of the directory of the configuration.
    variable: &'static str,
    file: &'static str,
    tls: &'static str,
}

const ELASTICSEARCH: Flavour = Flavour {
    name: "elasticsearch",
    property: "es",
    variable: "ES_PATH_CONF",
    file: "elasticsearch.yml",
    tls: "xpack.security.http.ssl.enabled",
};
const OPENSEARCH: Flavour = Flavour {
    name: "opensearch",
    property: "opensearch",
    variable: "OPENSEARCH_PATH_CONF",
    file: "opensearch.yml",
    tls: "plugins.security.ssl.http.enabled",
};

/// What is said, and where.
struct State<'a> {
    launch: &'a Launch,
    flavour: Flavour,
    /// `-E`.
    given: Vec<(String, String)>,
    /// Whether the image's script makes settings of variables.
    image: bool,
    yaml: Yaml,
    home: Option<PathBuf>,
}

impl State<'_> {
    /// All values of a setting: of arguments, else of variables, else of the file.
    fn values(&self, name: &str) -> Vec<String> {
        let split = |text: &str| text.split(',').map(|part| part.trim().to_owned()).collect();
        if let Some((_, value)) = self.given.iter().rev().find(|(known, _)| known == name) {
            return split(value);
        }
        if self.image {
            let other =
                format!("ES_SETTING_{}", name.replace('_', "__").replace('.', "_").to_ascii_uppercase());
            if let Some(value) = self.launch.variable(name).or_else(|| self.launch.variable(&other)) {
                return split(&String::from_utf8_lossy(value));
            }
        }
        let values = self.yaml.texts(name);
        match &*values {
            [one] => substitute(self.launch, one).map(|value| split(&value)).unwrap_or_default(),
            several => several.iter().filter_map(|value| substitute(self.launch, value)).collect(),
        }
    }

    fn value(&self, name: &str) -> Option<String> {
        self.values(name).into_iter().next().filter(|value| !value.is_empty())
    }

    fn truth(&self, name: &str) -> Option<bool> {
        self.value(name)?.parse().ok()
    }

    /// The first of these settings that is set.
    fn first(&self, names: &[&str]) -> Vec<String> {
        names.iter().map(|name| self.values(name)).find(|values| !values.is_empty()).unwrap_or_default()
    }
}

/// A value with its variables, `${NAME}` and `${NAME:default}`; nothing where one is not set.
fn substitute(launch: &Launch, value: &str) -> Option<String> {
    let mut found = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once("${") {
        let (name, after) = after.split_once('}')?;
        let (name, default) =
            name.split_once(':').map_or((name, None), |(name, default)| (name, Some(default)));
        let set = launch.variable(name).map(|value| String::from_utf8_lossy(value).into_owned());
        found.push_str(before);
        found.push_str(&set.or_else(|| default.map(str::to_owned))?);
        rest = after;
    }
    found.push_str(rest);
    Some(found)
}

fn flavour(launch: &Launch) -> Flavour {
    let open = |argument: &Vec<u8>| {
        argument.starts_with(b"org.opensearch.") || argument.starts_with(b"-Dopensearch.")
    };
    if launch.arguments.iter().any(open) { OPENSEARCH } else { ELASTICSEARCH }
}

/// Where it is installed: as it is told, or the directory with its own Java, or where it works.
fn home(launch: &Launch, java: &Java, flavour: Flavour) -> Option<PathBuf> {
    let said = java.property(&format!("{}.path.home", flavour.property));
    if let Some(said) = said.filter(|path| path.starts_with(b"/")) {
        return Some(path_of(said));
    }
    let own = launch.program.ancestors().find(|path| path.ends_with("jdk")).and_then(Path::parent);
    let works = Some(launch.directory.as_path()).filter(|path| path.ends_with(flavour.name));
    own.or(works).map(Path::to_owned)
}

/// The directories that may have the configuration, and whether the first one is said to.
fn directories(launch: &Launch, java: &Java, flavour: Flavour) -> (Vec<PathBuf>, bool) {
    let said =
        java.property(&format!("{}.path.conf", flavour.property)).or(launch.variable(flavour.variable));
    if let Some(said) = said.filter(|path| !path.is_empty()) {
        return (vec![launch.resolve(path_of(said))], true);
    }
    let etc = Path::new("/etc").join(flavour.name);
    let own = home(launch, java, flavour).map(|home| home.join("config"));
    (own.into_iter().chain([etc]).collect(), false)
}

fn foresee(launch: &Launch) -> Vec<Wanted> {
    let flavour = flavour(launch);
    let mut wanted = Vec::new();
    for directory in directories(launch, &Java::of(launch), flavour).0 {
        wanted.push(Wanted::Include(literal(&directory).join("jvm.options.d/*.options")));
        for name in [flavour.file, "jvm.options", "log4j2.properties"] {
            wanted.push(Wanted::Read(directory.join(name)));
        }
    }
    wanted
}

fn read(launch: &Launch, source: &mut dyn Source) -> Configuration {
    let mut reading = Reading::new(launch, source, 1);
    let (flavour, java) = (flavour(launch), Java::of(launch));
    java.jmx(&mut reading);
    let (candidates, said) = directories(launch, &java, flavour);
    let by = if said { "path.conf" } else { "usual place" };
    let mut found = None;
    for directory in candidates {
        let file = directory.join(flavour.file);
        if let Some(text) = reading.file_if_there(&file, by) {
            found = Some((directory, file, text));
            break;
        }
    }
    let Some((directory, file, text)) = found else {
        reading.fault(None, format!("{} is in no place where it may be", flavour.file));
        return reading.found;
    };
    let yaml = yaml::parse(&text);
    for (line, message) in &yaml.faults {
        reading.fault(Some((&file, *line)), message);
    }
    for entry in &yaml.entries {
        let texts = yaml.texts(&entry.key);
        if texts.iter().any(|text| substitute(launch, text).is_none()) {
            reading.fault(Some((&file, entry.line)), "it needs a variable that is not set");
        }
    }
    reading.file_if_there(&directory.join("jvm.options"), "options of java");
    reading.matches(&literal(&directory).join("jvm.options.d/*.options"), "options of java", None);
    let image = java.property(&format!("{}.distribution.type", flavour.property)) == Some(b"docker");
    let home = home(launch, &java, flavour);
    let state = State { launch, flavour, given: given(&java), image, yaml, home };
    for name in SHOWN {
        let values = state.values(name);
        if !values.is_empty() {
            reading.set(name, values.join(",").as_bytes());
        }
    }
    listens(&mut reading, &state);
    let relative = |path: String| match &state.home {
        Some(home) => Some(home.join(path)),
        None => Some(PathBuf::from(path)).filter(|path| path.is_absolute()),
    };
    reading.found.data_directory = relative(state.value("path.data").unwrap_or_else(|| "data".to_owned()));
    if let Some(logs) = relative(state.value("path.logs").unwrap_or_else(|| "logs".to_owned())) {
        let cluster = state.value("cluster.name").unwrap_or_else(|| flavour.name.to_owned());
        logs::of(&mut reading, &directory, flavour.property, &logs, &cluster);
    }
    access(&mut reading, &state);
    reading.found
}

/// `-Ename=value` and `-E name=value`.
fn given(java: &Java) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut left = java.arguments.iter();
    while let Some(argument) = left.next() {
        let Some(rest) = argument.strip_prefix(b"-E") else { continue };
        let setting = if rest.is_empty() { left.next().map_or(&[][..], Vec::as_slice) } else { rest };
        if let Some((name, value)) = String::from_utf8_lossy(setting).split_once('=') {
            found.push((name.to_owned(), value.to_owned()));
        }
    }
    found
}

fn listens(reading: &mut Reading<'_>, state: &State<'_>) {
    let tls = state.truth(state.flavour.tls).unwrap_or(false);
    let transport = state.truth("xpack.security.transport.ssl.enabled");
    let http = &["http.bind_host", "http.host", "network.bind_host", "network.host"][..];
    let nodes = &["transport.bind_host", "transport.host", "network.bind_host", "network.host"][..];
    let sorts = [
        (http, &["http.port"][..], "9200-9300", Some(tls), Purpose::Service),
        (nodes, &["transport.port", "transport.tcp.port"][..], "9300-9400", transport, Purpose::Cluster),
    ];
    if state.truth("http.enabled") == Some(false) {
        reading.set("http.enabled", b"false");
    }
    for (hosts, ports, default, tls, purpose) in sorts {
        let ports = state.first(ports).into_iter().next().unwrap_or_else(|| default.to_owned());
        let Some(port) = port(&ports, &reading.launch.ports) else {
            reading.fault(None, "a port is no number");
            continue;
        };
        let mut hosts = state.first(hosts);
        if hosts.is_empty() {
            hosts.push("_local_".to_owned());
        }
        for name in hosts {
            let address = match name.trim_matches('_').split(':').next() {
                Some("local") if name.starts_with('_') => ListenAddress::Name("localhost".to_owned(), port),
                // Other names in underscores mean whatever the machine's interfaces have.
                _ if name.starts_with('_') => ListenAddress::Name(name, port),
                _ => host(name.as_bytes(), port),
            };
            reading.listen(address, tls, purpose);
        }
    }
}

/// Of a range, the first port that it could have; which one that was, the kernel knows.
fn port(text: &str, listening: &[u16]) -> Option<u16> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
    Some(listening.iter().copied().find(|port| (first..=last).contains(port)).unwrap_or(first))
}

fn access(reading: &mut Reading<'_>, state: &State<'_>) {
    let access = &mut reading.found.access;
    access.tls = Some(state.truth(state.flavour.tls).unwrap_or(false));
    // The first version that runs as a module is one in which security is on by default.
    let module =
        reading.launch.arguments.iter().any(|argument| argument.starts_with(b"org.elasticsearch.server/"));
    access.password = match state.flavour.name {
        "opensearch" => state.truth("plugins.security.disabled").filter(|off| *off).map(|_| false),
        _ => state.truth("xpack.security.enabled").or(module.then_some(true)),
    };
    // Whoever is not named may have a name of its own, and then needs none.
    if state.value("xpack.security.authc.anonymous.roles").is_some() {
        access.password = None;
    }
    reading.secret_variable("ELASTIC_PASSWORD", Some(b"elastic"));
    reading.secret_variable("OPENSEARCH_INITIAL_ADMIN_PASSWORD", Some(b"admin"));
}
