//! MongoDB: `mongod` and `mongos`.
//!
//! A server reads a file only if an argument names it: YAML, or lines `key = value` whose keys are those of the
//! arguments. Arguments count before the file.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use super::getopt::{self, Argument};
use super::reading::{Reading, host, lines, number, path_of, started_in};
use super::yaml::{self, Value};
use super::{Reader, Wanted};
use crate::configuration::{Configuration, ListenAddress, LogPurpose, Purpose};
use crate::launch::Launch;
use crate::source::Source;

pub(crate) const READER: Reader = Reader { name: "mongodb", foresee, read };

/// Arguments and keys of old files, and what they are called in YAML. Those without a value there are switches.
const NAMES: &[(&str, &str, Option<&str>)] = &[
    ("port", "net.port", None),
    ("bind_ip", "net.bindIp", None),
    ("bind_ip_all", "net.bindIpAll", Some("true")),
    ("ipv6", "net.ipv6", Some("true")),
    ("nounixsocket", "net.unixDomainSocket.enabled", Some("false")),
    ("unixSocketPrefix", "net.unixDomainSocket.pathPrefix", None),
    ("maxConns", "net.maxIncomingConnections", None),
    ("tlsMode", "net.tls.mode", None),
    ("sslMode", "net.ssl.mode", None),
    ("sslOnNormalPorts", "net.tls.mode", Some("requireTLS")),
    ("auth", "security.authorization", Some("enabled")),
    ("noauth", "security.authorization", Some("disabled")),
    ("keyFile", "security.keyFile", None),
    ("clusterAuthMode", "security.clusterAuthMode", None),
    ("transitionToAuth", "security.transitionToAuth", Some("true")),
    ("dbpath", "storage.dbPath", None),
    ("storageEngine", "storage.engine", None),
    ("logpath", "systemLog.path", None),
    ("logappend", "systemLog.logAppend", Some("true")),
    ("syslog", "systemLog.destination", Some("syslog")),
    ("fork", "processManagement.fork", Some("true")),
    ("pidfilepath", "processManagement.pidFilePath", None),
    ("replSet", "replication.replSetName", None),
    ("configsvr", "sharding.clusterRole", Some("configsvr")),
    ("shardsvr", "sharding.clusterRole", Some("shardsvr")),
    ("configdb", "sharding.configDB", None),
    ("auditDestination", "auditLog.destination", None),
    ("auditPath", "auditLog.path", None),
    ("profile", "operationProfiling.mode", None),
    ("slowms", "operationProfiling.slowOpThresholdMs", None),
];
/// What is passed on, by the names that YAML has for it.
const SETTINGS: &[&str] = &[
    "net.maxIncomingConnections",
    "operationProfiling.mode",
    "operationProfiling.slowOpThresholdMs",
    "processManagement.pidFilePath",
    "replication.replSetName",
    "security.authorization",
    "security.clusterAuthMode",
    "sharding.clusterRole",
    "sharding.configDB",
    "storage.engine",
    "storage.wiredTiger.engineConfig.cacheSizeGB",
    "systemLog.verbosity",
];
const MOST_PARAMETERS: usize = 100;

/// How it was started.
struct Start {
    file: Option<PathBuf>,
    told: Vec<(String, String)>,
    parameters: Vec<String>,
}

/// What it is told, by YAML's names.
type Told = BTreeMap<String, String>;

fn foresee(launch: &Launch) -> Vec<Wanted> {
    Start::of(launch).file.map(Wanted::Read).into_iter().collect()
}

fn read(launch: &Launch, source: &mut dyn Source) -> Configuration {
    let mut reading = Reading::new(launch, source, 1);
    let start = Start::of(launch);
    let mut told = Told::new();
    let mut known = true;
    if let Some(path) = &start.file {
        known = false;
        if let Some(text) = reading.file(path, "argument -f", None) {
            known = true;
            take(&mut reading, path, &text, &mut told);
        }
    }
    told.extend(start.told);
    for parameter in start.parameters.into_iter().take(MOST_PARAMETERS) {
        if let Some((name, value)) = parameter.split_once('=') {
            told.insert(format!("setParameter.{}", name.trim()), value.trim().to_owned());
        }
    }
    let router = launch.name() == b"mongos";
    if known {
        outcome(&mut reading, &told, router);
    }
    let user = launch.variable("MONGO_INITDB_ROOT_USERNAME");
    if user.is_some() {
        reading.secret_variable("MONGO_INITDB_ROOT_PASSWORD", user);
    }
    reading.found
}

impl Start {
    fn of(launch: &Launch) -> Self {
        let valued: Vec<&str> = NAMES
            .iter()
            .filter(|(_, _, switch)| switch.is_none())
            .map(|(name, ..)| *name)
            .chain(["config", "setParameter"])
            .collect();
        let mut start = Self { file: None, told: Vec::new(), parameters: Vec::new() };
        for argument in getopt::parse(&launch.arguments, b"f", &valued) {
            match argument {
                Argument::Short(b'f', file) | Argument::Long(b"config", Some(file)) => {
                    start.file = Some(started_in(launch).join(path_of(file)));
                }
                Argument::Long(b"setParameter", Some(value)) => {
                    start.parameters.push(String::from_utf8_lossy(value).into_owned());
                }
                Argument::Long(name, value) => start.told.extend(plain(name, value)),
                Argument::Short(..) | Argument::Operand(_) => {}
            }
        }
        start
    }
}

/// An argument, or a key of an old file, by YAML's name.
fn plain(name: &[u8], value: Option<&[u8]>) -> Option<(String, String)> {
    let (_, key, switch) = NAMES.iter().find(|(known, ..)| known.as_bytes() == name)?;
    let value = match (switch, value) {
        (Some(_), Some(value)) if value.eq_ignore_ascii_case(b"false") => return None,
        (Some(switch), _) => (*switch).to_owned(),
        (None, value) => String::from_utf8_lossy(value?).into_owned(),
    };
    Some(((*key).to_owned(), value))
}

/// Reads a file of either grammar.
fn take(reading: &mut Reading<'_>, path: &std::path::Path, text: &[u8], told: &mut Told) {
    let yaml = yaml::parse(text);
    if yaml.entries.is_empty() {
        let mut parameters = 0_usize;
        for (number, line) in lines(text) {
            let line = line.split(|b| *b == b'#').next().unwrap_or(line).trim_ascii();
            if line.is_empty() {
                continue;
            }
            let mut parts = line.splitn(2, |b| *b == b'=');
            let name = parts.next().unwrap_or(line).trim_ascii();
            let Some(value) = parts.next().map(<[u8]>::trim_ascii) else {
                reading.fault(Some((path, number)), "it is no setting");
                continue;
            };
            if name == b"setParameter" && parameters < MOST_PARAMETERS {
                parameters = parameters.saturating_add(1);
                let value = String::from_utf8_lossy(value);
                if let Some((name, value)) = value.split_once('=') {
                    told.insert(format!("setParameter.{}", name.trim()), value.trim().to_owned());
                }
            }
            told.extend(plain(name, Some(value)));
        }
        return;
    }
    for (line, message) in &yaml.faults {
        reading.fault(Some((path, *line)), message);
    }
    for entry in yaml.entries {
        let place = Some((path, entry.line));
        if entry.key.ends_with(".__rest") || entry.key.ends_with(".__exec") {
            reading
                .fault(place, format_args!("{} is to be asked of elsewhere, which is not done", entry.key));
            continue;
        }
        match entry.value {
            Value::One(text) => drop(told.insert(entry.key, text)),
            Value::List(texts) => drop(told.insert(entry.key, texts.join(","))),
            Value::Null => {}
        }
    }
}

fn is(told: &Told, key: &str, wanted: &str) -> bool {
    told.get(key).is_some_and(|value| value.eq_ignore_ascii_case(wanted))
}

fn outcome(reading: &mut Reading<'_>, told: &Told, router: bool) {
    let text = |key: &str| told.get(key).map(String::as_str);
    for name in SETTINGS {
        if let Some(value) = text(name) {
            reading.set(name, value.as_bytes());
        }
    }
    let secret =
        |key: &str| ["password", "secret", "key"].iter().any(|word| key.to_ascii_lowercase().contains(word));
    let parameters = told.iter().filter(|(key, _)| key.starts_with("setParameter.") && !secret(key));
    for (key, value) in parameters.take(MOST_PARAMETERS) {
        reading.set(key, value.as_bytes());
    }
    let mode =
        text("net.tls.mode").or_else(|| text("net.ssl.mode")).unwrap_or("disabled").to_ascii_lowercase();
    // Of the modes between, each client chooses.
    let tls = match mode.as_str() {
        "disabled" => Some(false),
        "requiretls" | "requiressl" => Some(true),
        _ => None,
    };
    reading.found.access.tls = match tls {
        Some(true) => Some(true),
        Some(false) | None => Some(false),
    };
    let port = port(told, router);
    let Some(port) = port else {
        reading.fault(None, "net.port is no port");
        return;
    };
    listens(reading, told, port, tls);
    reading.found.access.password = Some(
        is(told, "security.authorization", "enabled")
            || text("security.keyFile").is_some()
            || text("security.clusterAuthMode").is_some() && !is(told, "security.authorization", "disabled"),
    );
    if is(told, "security.transitionToAuth", "true") {
        reading.found.access.password = Some(false);
    }
    if !router {
        let default =
            if is(told, "sharding.clusterRole", "configsvr") { "/data/configdb" } else { "/data/db" };
        let path = started_in(reading.launch).join(text("storage.dbPath").unwrap_or(default));
        reading.found.data_directory = Some(path);
    }
    let log = |reading: &mut Reading<'_>, path: Option<&str>| {
        if let Some(path) = path.filter(|path| !path.is_empty()) {
            let path = started_in(reading.launch).join(path);
            reading.log(path, LogPurpose::General, None, false);
        }
    };
    if !is(told, "systemLog.destination", "syslog") {
        log(reading, text("systemLog.path"));
    }
    if is(told, "auditLog.destination", "file") {
        log(reading, text("auditLog.path"));
    }
}

/// The port, by what the server is for unless it is told.
fn port(told: &Told, router: bool) -> Option<u16> {
    if let Some(port) = told.get("net.port") {
        return number::<u16>(port.as_bytes()).filter(|port| *port > 0);
    }
    let role = |role: &str| !router && is(told, "sharding.clusterRole", role);
    Some(if role("configsvr") {
        27019
    } else if role("shardsvr") {
        27018
    } else {
        27017
    })
}

fn listens(reading: &mut Reading<'_>, told: &Told, port: u16, tls: Option<bool>) {
    let all = is(told, "net.bindIpAll", "true");
    // Since 3.6 a server that is not told listens to its own host only.
    let bound = if all { "*" } else { told.get("net.bindIp").map_or("127.0.0.1", String::as_str) };
    for address in bound.split(',').map(str::trim).filter(|address| !address.is_empty()).take(64) {
        let address = match address {
            path if path.starts_with('/') => ListenAddress::Unix(path.into()),
            address => host(address.as_bytes(), port),
        };
        reading.listen(address, tls, Purpose::Service);
    }
    if !is(told, "net.unixDomainSocket.enabled", "false") {
        let directory = told.get("net.unixDomainSocket.pathPrefix").map_or("/tmp", String::as_str);
        let socket = path_of(directory.as_bytes()).join(format!("mongodb-{port}.sock"));
        if socket.as_os_str().as_bytes().starts_with(b"/") {
            reading.listen(ListenAddress::Unix(socket), Some(false), Purpose::Service);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::memory::Memory;

    fn addresses(found: &Configuration) -> Vec<String> {
        found.listens.iter().map(|listen| listen.address.to_string()).collect()
    }

    #[test]
    fn a_file_of_yaml_and_arguments_before_it() {
        let mut memory = Memory::of(&[(
            "/etc/mongod.conf",
            "# mongod\nstorage:\n  dbPath: /var/lib/mongodb\nsystemLog:\n  destination: file\n  path: /var/log/mongodb/mongod.log\n\
             net:\n  port: 27020\n  bindIp: 127.0.0.1,::1, /run/m.sock\n  tls: {mode: requireTLS}\n\
             security:\n  authorization: enabled\n  keyFile: /key\nreplication:\n  replSetName: rs0\n\
             setParameter:\n  enableLocalhostAuthBypass: false\n  saslauthdPassword: x\n",
        )]);
        let launch =
            Launch::test("/usr/bin/mongod", &["mongod", "--port", "27021", "--config=/etc/mongod.conf"], &[]);
        let found = read(&launch, &mut memory);
        assert_eq!(found.faults, []);
        assert_eq!(
            addresses(&found),
            ["127.0.0.1:27021", "[::1]:27021", "unix:/run/m.sock", "unix:/tmp/mongodb-27021.sock"]
        );
        assert_eq!((found.access.password, found.access.tls), (Some(true), Some(true)));
        assert_eq!(found.data_directory.as_deref(), Some(Path::new("/var/lib/mongodb")));
        assert_eq!(found.logs[0].path, Path::new("/var/log/mongodb/mongod.log"));
        assert_eq!(found.settings["replication.replSetName"], "rs0");
        assert_eq!(found.settings["setParameter.enableLocalhostAuthBypass"], "false");
        assert!(!found.settings.values().any(|value| value == "x"));
    }

    #[test]
    fn old_files_and_images() {
        let mut memory = Memory::of(&[(
            "/srv/m.conf",
            "# old\nport = 1234 # here\nauth = true\nnoauth = false\nlogpath=log/m.log\nconfigsvr = true\nnonsense\n",
        )]);
        let launch = Launch::test(
            "/usr/bin/mongod",
            &["mongod", "-f", "m.conf", "--bind_ip_all", "--nounixsocket"],
            &[("PWD", "/srv"), ("MONGO_INITDB_ROOT_USERNAME", "root"), ("MONGO_INITDB_ROOT_PASSWORD", "pw")],
        );
        let found = read(&launch, &mut memory);
        assert_eq!(addresses(&found), ["*:1234"]);
        assert_eq!(found.access.password, Some(true));
        assert_eq!(found.logs[0].path, Path::new("/srv/log/m.log"));
        assert_eq!(found.data_directory.as_deref(), Some(Path::new("/data/configdb")));
        assert_eq!((found.faults.len(), found.faults[0].line), (1, Some(7)));
        assert_eq!(found.credentials[0].user.as_deref(), Some("root"));
        assert_eq!(found.credentials[0].secret.expose_secret(), "pw");
    }

    #[test]
    fn defaults_and_what_cannot_be_read() {
        let found =
            read(&Launch::test("/usr/bin/mongod", &["mongod", "--shardsvr"], &[]), &mut Memory::default());
        assert_eq!(addresses(&found), ["127.0.0.1:27018", "unix:/tmp/mongodb-27018.sock"]);
        assert_eq!((found.access.password, found.faults.len()), (Some(false), 0));
        let found = read(&Launch::test("/usr/bin/mongos", &["mongos"], &[]), &mut Memory::default());
        assert_eq!((addresses(&found)[0].as_str(), found.data_directory), ("127.0.0.1:27017", None));
        let launch = Launch::test("/usr/bin/mongod", &["mongod", "-f", "/gone"], &[]);
        let found = read(&launch, &mut Memory::default());
        assert_eq!((found.listens.len(), found.faults.len()), (0, 1));
        let mut memory = Memory::of(&[("/x", "net:\n  port:\n    __exec: date\n  bindIp: [a, b]\n x: :\n")]);
        let found = read(&Launch::test("/usr/bin/mongod", &["mongod", "-f", "/x"], &[]), &mut memory);
        assert!(!found.faults.is_empty());
    }
}
