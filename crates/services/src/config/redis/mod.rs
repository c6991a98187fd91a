//! Redis, its sentinels, Valkey and KeyDB: `redis.conf`, what it includes, and the arguments after it.
//!
//! - `grammar`: lines and words
//! - `title`: what the server writes over its arguments
//! - `state`: what directives come to

mod grammar;
mod state;
#[cfg(test)]
mod tests;
mod title;

use std::path::{Path, PathBuf};

use portolan_linux::ErrorKind;
use portolan_linux::error::Escaped;
use std::os::unix::ffi::OsStrExt as _;

use self::grammar::Directive;
use self::state::State;
use self::title::Title;
use super::reading::{Reading, host, lines, literal, path_of, started_in};
use super::{Reader, Wanted};
use crate::configuration::{Configuration, ListenAddress, LogPurpose, Purpose};
use crate::launch::Launch;
use crate::source::Source;

pub(crate) const READER: Reader = Reader { name: "redis", foresee, read };

/// The server has no limit of its own, and ends with its stack.
const DEEPEST: usize = 16;

/// Where packages and images have their configurations.
const USUAL: &[&str] = &[
    "/etc/redis/*.conf",
    "/etc/redis.conf",
    "/etc/redis-sentinel.conf",
    "/etc/valkey/*.conf",
    "/etc/keydb/*.conf",
    "/usr/local/etc/redis/*.conf",
    "/usr/local/etc/valkey/*.conf",
    "/usr/local/etc/*.conf",
    "/opt/bitnami/redis/etc/*.conf",
    "/opt/bitnami/valkey/etc/*.conf",
    "/opt/bitnami/redis-sentinel/etc/*.conf",
];

/// So many files are looked at for the one that agrees with a title.
const MOST_TRIED: usize = 64;

/// Settings that agents ask for. None of them is a secret.
const SHOWN: &[&str] = &[
    "port",
    "tls-port",
    "maxmemory",
    "maxmemory-policy",
    "maxclients",
    "databases",
    "appendonly",
    "protected-mode",
    "cluster-enabled",
    "io-threads",
    "syslog-enabled",
    "tls-auth-clients",
    "slowlog-log-slower-than",
];

fn foresee(launch: &Launch) -> Vec<Wanted> {
    if title::of(launch).is_some() {
        usual(launch).into_iter().map(Wanted::Include).collect()
    } else {
        named(launch).into_iter().map(|name| Wanted::Read(started_in(launch).join(name))).collect()
    }
}

/// Patterns of the usual places, the server's own directory among them.
fn usual(launch: &Launch) -> Vec<PathBuf> {
    let mut patterns: Vec<PathBuf> = USUAL.iter().map(PathBuf::from).collect();
    if launch.directory.parent().is_some() {
        patterns.push(literal(&launch.directory).join("*.conf"));
    }
    patterns
}

/// The configuration that an argument names.
fn named(launch: &Launch) -> Option<PathBuf> {
    let first = launch.arguments.get(1)?;
    (!first.starts_with(b"-") && !first.is_empty()).then(|| path_of(first))
}

fn read(launch: &Launch, source: &mut dyn Source) -> Configuration {
    let mut reading = Reading::new(launch, source, DEEPEST);
    match title::of(launch) {
        Some(title) => by_title(&mut reading, &title),
        None => by_arguments(&mut reading),
    }
    let user = launch.variable("REDIS_ACLUSER");
    for name in ["REDIS_PASSWORD", "VALKEY_PASSWORD", "KEYDB_PASSWORD"] {
        reading.secret_variable(name, user);
    }
    reading.found
}

/// Arguments that are still there: the file's name, then directives that begin with two dashes.
fn by_arguments(reading: &mut Reading<'_>) {
    let launch = reading.launch;
    let called = launch.arguments.first().map_or(&[][..], Vec::as_slice);
    let mut state = State {
        sentinel: called.ends_with(b"redis-sentinel")
            || launch.name().ends_with(b"-sentinel")
            || launch.has("--sentinel"),
        ..State::default()
    };
    let file = named(launch);
    // Without the file that is named, nothing is known to be as by default.
    let mut known = true;
    if let Some(file) = &file {
        let path = started_in(launch).join(file);
        match reading.file(&path, "argument", None) {
            Some(text) => take(reading, &path, &text, &mut state),
            None => known = false,
        }
    }
    let mut directive: Vec<Vec<u8>> = Vec::new();
    for argument in launch.arguments.iter().skip(if file.is_some() { 2 } else { 1 }) {
        match argument.strip_prefix(b"--") {
            Some(name) if !name.is_empty() => {
                finish(reading, std::mem::take(&mut directive), &mut state);
                directive.push(name.to_vec());
            }
            _ if argument == b"-" => {
                reading.fault(None, "a part of the configuration came by standard input");
                known = false;
            }
            _ => directive.push(argument.clone()),
        }
    }
    finish(reading, directive, &mut state);
    tell(reading, &state, known);
}

/// One directive of the arguments.
fn finish(reading: &mut Reading<'_>, words: Vec<Vec<u8>>, state: &mut State) {
    let Some(directive) = Directive::of(words) else { return };
    if directive.name == "include" {
        include(reading, directive.value(), None, state);
    } else if directive.name != "sentinel" || !directive.words.is_empty() {
        state.take(directive);
    }
}

/// The arguments are written over: the one usual file that says what the title says is its configuration.
fn by_title(reading: &mut Reading<'_>, title: &Title) {
    let mut fitting: Vec<(PathBuf, State, Configuration)> = Vec::new();
    let mut tried = 0_usize;
    for pattern in usual(reading.launch) {
        for (path, content) in reading.source.include(&pattern).files {
            let Ok(text) = content else { continue };
            if fitting.iter().any(|(known, ..)| *known == path) {
                continue;
            }
            let mut state = State { sentinel: title.sentinel, ..State::default() };
            tried = tried.saturating_add(1);
            if tried > MOST_TRIED {
                break;
            }
            let mut own = reading.attempt();
            own.note(&path, "usual place, agrees with the title");
            take(&mut own, &path, &text, &mut state);
            let (found, given) = own.into_parts();
            reading.spent(given);
            let is_one = looks_right(&text, title) && state.agrees(title, reading.launch);
            if is_one {
                fitting.push((path, state, found));
            }
        }
    }
    let shown = |path: &Path| Escaped(path.as_os_str().as_bytes()).to_string();
    if let [(_, state, found)] = &*fitting {
        reading.found = found.clone();
        tell(reading, state, true);
        return;
    }
    let address = match title.port {
        0 => ListenAddress::Unix(path_of(&title.address)),
        port => host(title.address.strip_prefix(b"-").unwrap_or(&title.address), port),
    };
    reading.listen(address, None, Purpose::Service);
    reading.found.data_directory = Some(reading.launch.directory.clone()).filter(|d| d.is_absolute());
    if fitting.is_empty() {
        let message = "the arguments are written over, and no file in a usual place says what the title says: \
                       the configuration is not known";
        reading.found.add_fault(ErrorKind::NotFound, None, None, message);
    } else {
        let names: Vec<String> = fitting.iter().map(|(path, ..)| shown(path)).collect();
        let message =
            format!("the arguments are written over, and more than one file agrees: {}", names.join(", "));
        reading.found.add_fault(ErrorKind::Ambiguous, None, None, message);
    }
}

/// Whether a file is a configuration of this kind at all: it has a directive that only such files have.
fn looks_right(text: &[u8], title: &Title) -> bool {
    const ANY: &[&str] = &["port", "bind", "dir", "daemonize", "unixsocket", "include", "save", "loglevel"];
    lines(text).filter_map(|(_, line)| Directive::of(grammar::words(line)?)).any(|directive| {
        if title.sentinel { directive.name == "sentinel" } else { ANY.contains(&&*directive.name) }
    })
}

/// Takes a file's directives, and those of the files that it includes, where it does.
fn take(reading: &mut Reading<'_>, path: &Path, text: &[u8], state: &mut State) {
    if !reading.enter(path, None) {
        return;
    }
    for (number, line) in lines(text) {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let Some(directive) = grammar::words(line).and_then(Directive::of) else {
            reading.fault(Some((path, number)), "unbalanced quotes");
            continue;
        };
        if directive.name == "include" {
            include(reading, directive.value(), Some((path, number)), state);
        } else {
            state.take(directive);
        }
    }
    reading.leave();
}

/// Names begin at the working directory, which `dir` changes.
fn include(reading: &mut Reading<'_>, name: &[u8], place: super::reading::Place<'_>, state: &mut State) {
    let directory = match state.value("dir") {
        Some(dir) => started_in(reading.launch).join(path_of(dir)),
        None => started_in(reading.launch),
    };
    if name.iter().any(|b| b"*?[".contains(b)) {
        let pattern =
            if name.starts_with(b"/") { path_of(name) } else { literal(&directory).join(path_of(name)) };
        for (file, text) in reading.matches(&pattern, "included", place) {
            take(reading, &file, &text, state);
        }
        return;
    }
    let file = directory.join(path_of(name));
    if let Some(text) = reading.file(&file, "included", place) {
        take(reading, &file, &text, state);
    }
}

/// Says what the directives come to.
fn tell(reading: &mut Reading<'_>, state: &State, known: bool) {
    if known || state.value("port").is_some() {
        for (address, tls, purpose) in state.listens() {
            reading.listen(address, Some(tls), purpose);
        }
    }
    let directory = state.directory(reading.launch);
    if let Some(log) = state.value("logfile").filter(|log| !log.is_empty() && *log != b"/dev/null") {
        reading.log(directory.join(path_of(log)), LogPurpose::General, None, false);
    }
    reading.found.data_directory = Some(directory).filter(|directory| directory.is_absolute());
    for name in SHOWN {
        if let Some(value) = state.value(name).filter(|value| !value.is_empty()) {
            reading.set(name, value);
        }
    }
    let master = state.words("replicaof");
    if !master.is_empty() && !master.iter().any(|word| word.eq_ignore_ascii_case(b"no")) {
        reading.set("replicaof", &master.join(&b' '));
    }
    if !state.renamed.is_empty() {
        // What a command was renamed to is as good as a password.
        reading.set("rename-command", &state.renamed.join(&b' '));
    }
    for watched in &state.watched {
        if let Some(name) = watched.get(1) {
            let name = format!("sentinel monitor {}", Escaped(name));
            reading.set(&name, &watched.get(2..).unwrap_or(&[]).join(&b' '));
        }
    }
    access(reading, state, known);
}

fn access(reading: &mut Reading<'_>, state: &State, mut known: bool) {
    let mut users = state.users.clone();
    if let Some(file) = state.value("aclfile").filter(|file| !file.is_empty()) {
        let path = state.directory(reading.launch).join(path_of(file));
        match reading.file(&path, "aclfile", None) {
            Some(text) => {
                let lists = lines(&text).filter_map(|(_, line)| grammar::words(line));
                users.extend(lists.filter(|w| w.first().is_some_and(|w| w == b"user")).map(|mut words| {
                    words.remove(0);
                    words
                }));
            }
            None => known = false,
        }
    }
    let requirepass = state.value("requirepass").filter(|secret| !secret.is_empty());
    let mut password = requirepass.is_some();
    for words in &users {
        let Some((name, rules)) = words.split_first() else { continue };
        let (mut on, mut free) = (false, false);
        for rule in rules {
            match rule.as_slice() {
                b"on" => on = true,
                b"off" => on = false,
                b"nopass" => free = true,
                b"resetpass" | b"reset" => free = false,
                [b'>', secret @ ..] => {
                    free = false;
                    reading.secret("user", Some(name), secret);
                }
                _ => {}
            }
        }
        if name == b"default" {
            password = !(on && free);
        }
    }
    // A list of users says who the default one is, whatever `requirepass` is.
    if let Some(secret) =
        requirepass.filter(|_| !users.iter().any(|w| w.first().is_some_and(|w| w == b"default")))
    {
        reading.secret("requirepass", None, secret);
    }
    reading.found.access.password = known.then_some(password);
    let tls_only = state.port() == 0 && state.tls_port() != 0;
    reading.found.access.tls = known.then_some(tls_only);
}
