//! PostgreSQL: `postgresql.conf` and what it includes, `postgresql.auto.conf`, then the command line.
//!
//! - `grammar`: lines and lists
//! - `hba`: `pg_hba.conf`

mod grammar;
mod hba;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::getopt::{Argument, parse};
use super::reading::{Reading, host, literal, number, parent, path_of, started_in};
use super::{Reader, Wanted};
use crate::configuration::{Configuration, ListenAddress, LogFormat, LogPurpose, Purpose};
use crate::launch::Launch;
use crate::source::Source;

pub(crate) const READER: Reader = Reader { name: "postgresql", foresee, read };

/// `CONF_FILE_MAX_DEPTH` of the server.
const DEEPEST: usize = 10;
/// Settings that agents ask for, with their defaults where all builds have the same.
const SHOWN: &[(&str, Option<&str>)] = &[
    ("cluster_name", None),
    ("max_connections", Some("100")),
    ("shared_preload_libraries", None),
    ("ssl", Some("off")),
    ("logging_collector", Some("off")),
    ("log_destination", Some("stderr")),
    ("log_line_prefix", Some("%m [%p] ")),
    ("log_min_duration_statement", None),
    ("password_encryption", None),
    ("track_activities", None),
    ("wal_level", None),
    ("hot_standby", None),
    ("primary_slot_name", None),
];

/// What the command line says.
#[derive(Debug, Default)]
struct Line {
    /// `-D`.
    directory: Option<PathBuf>,
    settings: Vec<(String, Vec<u8>)>,
}

impl Line {
    fn of(launch: &Launch) -> Self {
        let mut line = Self::default();
        let mut set = |name: &str, value: &[u8]| line.settings.push((name.to_owned(), value.to_vec()));
        for argument in parse(&launch.arguments, b"BCcDdfhkNprStvW", &[]) {
            match argument {
                Argument::Short(b'D', value) => {
                    line.directory = Some(canonical(&started_in(launch).join(path_of(value))));
                }
                Argument::Short(b'p', value) => set("port", value),
                Argument::Short(b'h', value) => set("listen_addresses", value),
                Argument::Short(b'i', _) => set("listen_addresses", b"*"),
                Argument::Short(b'k', value) => set("unix_socket_directories", value),
                Argument::Short(b'l', _) => set("ssl", b"on"),
                Argument::Short(b'N', value) => set("max_connections", value),
                Argument::Short(b'c', value) => {
                    let mut parts = value.splitn(2, |b| *b == b'=');
                    if let (Some(name), Some(value)) = (parts.next(), parts.next()) {
                        set(&normal(name), value);
                    }
                }
                Argument::Long(name, Some(value)) => set(&normal(name), value),
                _ => {}
            }
        }
        line
    }

    fn last(&self, name: &str) -> Option<&[u8]> {
        self.settings.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_slice())
    }
}

/// A path as the server writes it, which takes `..` back by the names alone.
fn canonical(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir if clean.file_name().is_some() => drop(clean.pop()),
            std::path::Component::ParentDir if clean.has_root() => {}
            part => clean.push(part),
        }
    }
    clean
}

/// A setting's name as arguments may write it.
fn normal(name: &[u8]) -> String {
    String::from_utf8_lossy(name).to_ascii_lowercase().replace('-', "_")
}

/// Where the configuration is, the data unless that says otherwise, and the main file with what names it.
fn places(launch: &Launch, line: &Line) -> (Option<PathBuf>, Option<(PathBuf, &'static str)>) {
    let directory = line.directory.clone().or_else(|| {
        launch
            .variable("PGDATA")
            .filter(|v| !v.is_empty())
            .map(|v| canonical(&started_in(launch).join(path_of(v))))
    });
    let main = match line.last("config_file") {
        Some(file) => Some((canonical(&started_in(launch).join(path_of(file))), "argument config_file")),
        None => directory.as_ref().map(|d| {
            let by = if line.directory.is_some() { "argument -D" } else { "variable PGDATA" };
            (d.join("postgresql.conf"), by)
        }),
    };
    (directory, main)
}

fn foresee(launch: &Launch) -> Vec<Wanted> {
    let line = Line::of(launch);
    let (directory, main) = places(launch, &line);
    let mut wanted = Vec::new();
    if let Some((main, _)) = main {
        let beside = parent(&main);
        wanted.push(Wanted::Include(literal(&beside.join("conf.d")).join("*.conf")));
        for name in ["pg_hba.conf", "pg_ident.conf"] {
            wanted.push(Wanted::Read(beside.join(name)));
        }
        wanted.push(Wanted::Read(main));
    }
    wanted.extend(directory.map(|d| Wanted::Read(d.join("postgresql.auto.conf"))));
    wanted
}

/// All settings, the last of each name.
type Settings = BTreeMap<String, Vec<u8>>;

fn read(launch: &Launch, source: &mut dyn Source) -> Configuration {
    let mut reading = Reading::new(launch, source, DEEPEST);
    let line = Line::of(launch);
    let (directory, main) = places(launch, &line);
    let mut settings = Settings::new();
    if let Some(port) = launch.variable("PGPORT") {
        settings.insert("port".to_owned(), port.to_vec());
    }
    // Without the main file, nothing is known to be as by default.
    let mut known = false;
    match main {
        Some((main, by)) => {
            if let Some(text) = reading.file(&main, by, None) {
                take(&mut reading, &main, &text, &mut settings);
                known = true;
            }
        }
        None => reading.fault(None, "neither arguments nor PGDATA say where the configuration is"),
    }
    let data = line.last("data_directory").or(settings.get("data_directory").map(Vec::as_slice));
    let data =
        data.map(|path| canonical(&started_in(launch).join(path_of(path)))).or_else(|| directory.clone());
    // The server works in its data directory.
    let data = data.or_else(|| Some(launch.directory.clone()).filter(|d| d.parent().is_some()));
    if let Some(data) = &data {
        let auto = data.join("postgresql.auto.conf");
        if let Some(text) = reading.file_if_there(&auto, "ALTER SYSTEM") {
            take(&mut reading, &auto, &text, &mut settings);
        }
    }
    settings.extend(line.settings.iter().cloned());
    reading.found.data_directory = data;
    for (name, default) in SHOWN {
        let value = settings.get(*name).map(Vec::as_slice).or(default.filter(|_| known).map(str::as_bytes));
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            reading.set(name, value);
        }
    }
    listens(&mut reading, &settings, known);
    logs(&mut reading, &settings);
    access(&mut reading, &settings, directory.as_deref());
    for (password, user) in
        [("POSTGRES_PASSWORD", "POSTGRES_USER"), ("POSTGRESQL_PASSWORD", "POSTGRESQL_USERNAME")]
    {
        let user = launch.variable(user).filter(|user| !user.is_empty()).unwrap_or(b"postgres");
        reading.secret_variable(password, Some(user));
    }
    reading.found
}

/// Takes a file's settings, and those of the files that it includes.
fn take(reading: &mut Reading<'_>, path: &Path, text: &[u8], settings: &mut Settings) {
    if !reading.enter(path, None) {
        return;
    }
    let (statements, bad) = grammar::parse(text);
    for line in bad {
        reading.fault(Some((path, line)), "syntax error");
    }
    for statement in statements {
        let place = Some((path, statement.line));
        // A relative path begins at the file that has it.
        let named = canonical(&parent(path).join(path_of(&statement.value)));
        match &*statement.name {
            "include" => {
                if let Some(text) = reading.file(&named, "included", place) {
                    take(reading, &named, &text, settings);
                }
            }
            "include_if_exists" => {
                if let Some(text) = reading.file_if_there(&named, "included") {
                    take(reading, &named, &text, settings);
                }
            }
            "include_dir" => {
                let files = reading.matches(&literal(&named).join("*.conf"), "included", place);
                if files.is_empty()
                    && let Err(unread) = reading.source.kind(&named)
                {
                    reading.unread(&unread, place);
                }
                for (file, text) in files {
                    // A name of nothing but the ending is passed over.
                    if file.file_name().is_some_and(|name| name.len() >= 6) {
                        take(reading, &file, &text, settings);
                    }
                }
            }
            _ => {
                settings.insert(statement.name, statement.value);
            }
        }
    }
    reading.leave();
}

fn is_on(settings: &Settings, name: &str) -> bool {
    settings.get(name).and_then(|value| grammar::truth(value)).unwrap_or(false)
}

fn listens(reading: &mut Reading<'_>, settings: &Settings, known: bool) {
    let port: u16 = match settings.get("port") {
        None if known => 5432,
        None => return,
        Some(text) => match number(text) {
            Some(port) => port,
            None => return reading.fault(None, "port is no number"),
        },
    };
    // TLS is asked for within the protocol, so that no listener begins with it.
    let default: &[u8] = if known { b"localhost" } else { b"" };
    let addresses = settings.get("listen_addresses").map_or(default, Vec::as_slice);
    for address in grammar::list(addresses) {
        reading.listen(host(&address, port), Some(false), Purpose::Service);
    }
    let old = settings.get("unix_socket_directory");
    let directories = settings.get("unix_socket_directories").or(old).map(Vec::as_slice);
    for directory in directories
        .or_else(|| built_with(reading.launch).filter(|_| known))
        .map(grammar::list)
        .unwrap_or_default()
    {
        let name = format!(".s.PGSQL.{port}");
        let address = match directory.strip_prefix(b"@") {
            Some(directory) => ListenAddress::Abstract([directory, b"/", name.as_bytes()].concat()),
            None => ListenAddress::Unix(canonical(&path_of(&directory)).join(name)),
        };
        reading.listen(address, Some(false), Purpose::Service);
    }
}

/// The directory of sockets that a build was made with, where its place tells.
fn built_with(launch: &Launch) -> Option<&'static [u8]> {
    if launch.program.starts_with("/usr/lib/postgresql") {
        Some(b"/var/run/postgresql")
    } else if launch.program.starts_with("/usr/local/pgsql") {
        Some(b"/tmp")
    } else {
        None
    }
}

/// The files that the collector of logs writes. Without it, the log is whatever standard error is.
fn logs(reading: &mut Reading<'_>, settings: &Settings) {
    if !is_on(settings, "logging_collector") {
        return;
    }
    let text =
        |name: &str, default: &'static str| settings.get(name).map_or(default.as_bytes(), Vec::as_slice);
    let directory = path_of(text("log_directory", "log"));
    let directory =
        reading.found.data_directory.as_ref().map_or_else(|| directory.clone(), |d| d.join(&directory));
    let (name, pattern) = strftime(text("log_filename", "postgresql-%Y-%m-%d_%H%M%S.log"));
    let directory = if pattern { literal(&directory) } else { directory };
    for destination in grammar::list(text("log_destination", "stderr")) {
        let (ending, prefix) = match destination.to_ascii_lowercase().as_slice() {
            b"stderr" => (None, Some(text("log_line_prefix", "%m [%p] "))),
            b"csvlog" => (Some(&b".csv"[..]), None),
            b"jsonlog" => (Some(&b".json"[..]), None),
            _ => continue,
        };
        let file = match ending {
            None => name.clone(),
            Some(ending) => [name.strip_suffix(b".log").unwrap_or(&name), ending].concat(),
        };
        let format = LogFormat {
            name: String::from_utf8_lossy(&destination).to_ascii_lowercase(),
            text: prefix.map(|prefix| String::from_utf8_lossy(prefix).into_owned()),
        };
        reading.log(directory.join(path_of(&file)), LogPurpose::Error, Some(format), pattern);
    }
}

/// A name with the parts of a time in it as a pattern of all such names.
fn strftime(name: &[u8]) -> (Vec<u8>, bool) {
    if !name.contains(&b'%') {
        return (name.to_vec(), false);
    }
    let mut pattern = Vec::new();
    let mut bytes = name.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => match bytes.next() {
                Some(b'%') => pattern.push(b'%'),
                // A flag or a modifier is followed by the letter.
                Some(b'E' | b'O' | b'-' | b'_') => {
                    bytes.next();
                    pattern.push(b'*');
                }
                _ => pattern.push(b'*'),
            },
            b'*' | b'?' | b'[' | b']' | b'\\' | b'{' | b'}' => pattern.extend([b'\\', *byte]),
            _ => pattern.push(*byte),
        }
    }
    pattern.dedup_by(|a, b| *a == b'*' && *b == b'*');
    (pattern, true)
}

fn access(reading: &mut Reading<'_>, settings: &Settings, directory: Option<&Path>) {
    let file = |name: &str, default: &str| match settings.get(name) {
        Some(path) => Some(canonical(&started_in(reading.launch).join(path_of(path)))),
        None => directory.map(|directory| directory.join(default)),
    };
    let (hba, ident) = (file("hba_file", "pg_hba.conf"), file("ident_file", "pg_ident.conf"));
    let lines = hba.map(|path| hba::read(reading, &path)).unwrap_or_default();
    if let Some(ident) = ident {
        reading.file_if_there(&ident, "ident_file");
    }
    let proof = hba::proof(&lines, is_on(settings, "ssl"));
    if let Some(method) = proof.local {
        reading.set("pg_hba local", method.as_bytes());
    }
    if let Some((method, tls)) = proof.loopback {
        reading
            .set(if tls { "pg_hba hostssl 127.0.0.1" } else { "pg_hba host 127.0.0.1" }, method.as_bytes());
    }
    let over_tcp =
        reading.found.listens.iter().any(|listen| !matches!(listen.address, ListenAddress::Unix(_)));
    let (method, tls) = match (proof.loopback, proof.local) {
        (Some((method, tls)), _) if over_tcp => (method, tls),
        (_, Some(method)) if !over_tcp => (method, false),
        _ => return,
    };
    if method != "reject" {
        reading.found.access.password = Some(method != "trust");
        reading.found.access.tls = Some(tls);
    }
}
