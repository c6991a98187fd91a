//! PgBouncer: an ini file, with `%include`.

use std::path::Path;

use super::getopt::{Argument, parse};
use super::reading::{Reading, host, lines, number, path_of};
use super::{Reader, Wanted};
use crate::configuration::{Configuration, ListenAddress, LogPurpose, Purpose, StatusPage};
use crate::launch::Launch;
use crate::source::Source;

pub(crate) const READER: Reader = Reader { name: "pgbouncer", foresee, read };

/// The server's own limit.
const DEEPEST: usize = 10;
/// Settings that agents ask for, with their defaults.
const SHOWN: &[(&str, Option<&str>)] = &[
    ("auth_type", Some("md5")),
    ("pool_mode", Some("session")),
    ("max_client_conn", Some("100")),
    ("default_pool_size", None),
    ("admin_users", None),
    ("stats_users", None),
    ("client_tls_sslmode", Some("disable")),
    ("server_tls_sslmode", None),
    ("syslog", None),
];

/// What a file says.
#[derive(Debug, Default)]
struct State {
    section: String,
    settings: Vec<(String, Vec<u8>)>,
    databases: Vec<String>,
}

impl State {
    fn last(&self, name: &str) -> Option<&[u8]> {
        let value =
            self.settings.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.as_slice());
        value.filter(|value| !value.is_empty())
    }
}

/// The file that the arguments name.
fn main_file(launch: &Launch) -> Option<std::path::PathBuf> {
    parse(&launch.arguments, b"u", &["user"]).into_iter().find_map(|argument| match argument {
        Argument::Operand(path) => Some(launch.resolve(path_of(path))),
        _ => None,
    })
}

fn foresee(launch: &Launch) -> Vec<Wanted> {
    main_file(launch).map(Wanted::Read).into_iter().collect()
}

fn read(launch: &Launch, source: &mut dyn Source) -> Configuration {
    let mut reading = Reading::new(launch, source, DEEPEST);
    let mut state = State::default();
    let Some(path) = main_file(launch) else {
        reading.fault(None, "no argument names a configuration");
        return reading.found;
    };
    // Without the file, nothing is known: not even that anything is as by default.
    let Some(text) = reading.file(&path, "argument", None) else { return reading.found };
    take(&mut reading, &path, &text, &mut state);
    let port: u16 = match state.last("listen_port").map(number) {
        None => 6432,
        Some(Some(port)) => port,
        Some(None) => {
            reading.fault(None, "listen_port is no number");
            return reading.found;
        }
    };
    // Without addresses there is the Unix socket only. TLS is asked for within the protocol.
    for address in state.last("listen_addr").unwrap_or_default().split(|b| *b == b',') {
        if !address.trim_ascii().is_empty() {
            reading.listen(host(address, port), Some(false), Purpose::Service);
        }
    }
    // Only the last setting counts, also when it is empty: that is no socket at all.
    let directory = state.settings.iter().rev().find(|(name, _)| name == "unix_socket_dir");
    let directory = directory.map_or(&b"/tmp"[..], |(_, value)| value.as_slice());
    let name = format!(".s.PGSQL.{port}");
    if let Some(directory) = directory.strip_prefix(b"@") {
        let name = [directory, b"/", name.as_bytes()].concat();
        reading.listen(ListenAddress::Abstract(name), Some(false), Purpose::Service);
    } else if !directory.is_empty() {
        reading.listen(ListenAddress::Unix(path_of(directory).join(name)), Some(false), Purpose::Service);
    }
    if let Some(log) = state.last("logfile") {
        reading.log(launch.resolve(path_of(log)), LogPurpose::General, None, false);
    }
    for (name, by) in [("auth_file", "auth_file"), ("auth_hba_file", "auth_hba_file")] {
        if let Some(path) = state.last(name) {
            reading.mention(&launch.resolve(path_of(path)), by);
        }
    }
    for (name, default) in SHOWN {
        if let Some(value) = state.last(name).or(default.map(str::as_bytes)) {
            reading.set(name, value);
        }
    }
    if !state.databases.is_empty() {
        reading.set("databases", state.databases.join(", ").as_bytes());
    }
    let tls = state.last("client_tls_sslmode").unwrap_or(b"disable");
    let tls = [&b"require"[..], b"verify-ca", b"verify-full"].contains(&tls);
    reading.found.access.tls = Some(tls);
    reading.found.access.password = match state.last("auth_type").unwrap_or(b"md5") {
        b"any" | b"trust" => Some(false),
        // Its file of rules decides.
        b"hba" => None,
        _ => Some(true),
    };
    if let Some(listen) = reading.found.listens.first() {
        // The state is told by SQL (SHOW STATS) in a database of this name.
        let page = StatusPage {
            kind: "pgbouncer",
            listen: listen.address.clone(),
            path: "pgbouncer".to_owned(),
            host: None,
            tls,
            restricted: true,
        };
        reading.found.status.push(page);
    }
    reading.found
}

fn take(reading: &mut Reading<'_>, path: &Path, text: &[u8], state: &mut State) {
    if !reading.enter(path, None) {
        return;
    }
    for (number, line) in lines(text) {
        let place = Some((path, number));
        let line = line.trim_ascii();
        match line {
            [] | [b';' | b'#', ..] => {}
            [b'[', name @ .., b']'] => {
                state.section = String::from_utf8_lossy(name.trim_ascii()).into_owned();
            }
            [b'%', directive @ ..] => match directive.strip_prefix(b"include") {
                // Names begin at the working directory.
                Some(name) if name.first().is_some_and(u8::is_ascii_whitespace) => {
                    let other = reading.launch.resolve(path_of(name.trim_ascii()));
                    if let Some(text) = reading.file(&other, "included", place) {
                        take(reading, &other, &text, state);
                    }
                }
                _ => reading.fault(place, "no directive that is known"),
            },
            line => match key_and_value(line) {
                Some((name, value)) if state.section == "pgbouncer" => {
                    state.settings.push((String::from_utf8_lossy(&name).into_owned(), value.to_vec()));
                }
                Some((name, _)) if state.section == "databases" => {
                    state.databases.push(String::from_utf8_lossy(&name).into_owned());
                }
                Some(_) => {}
                None => reading.fault(place, "syntax error"),
            },
        }
    }
    reading.leave();
}

/// `name = value`; a name may be quoted, `""` within.
fn key_and_value(line: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (name, rest) = match line.strip_prefix(b"\"") {
        Some(quoted) => unquote(quoted)?,
        None => {
            let plain = |b: &u8| b.is_ascii_alphanumeric() || b"_.-*".contains(b) || *b >= 0x80;
            let end = line.iter().position(|b| !plain(b)).unwrap_or(line.len());
            let (plain, after) = line.split_at(end);
            (plain.to_vec(), after)
        }
    };
    let value = rest.trim_ascii_start().strip_prefix(b"=")?.trim_ascii();
    (!name.is_empty()).then_some((name, value))
}

/// What is before the next quote that is not doubled, and what follows it.
fn unquote(text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let (mut name, mut rest) = (Vec::new(), text);
    loop {
        match rest {
            [b'"', b'"', after @ ..] => {
                name.push(b'"');
                rest = after;
            }
            [b'"', after @ ..] => return Some((name, after)),
            [byte, after @ ..] => {
                name.push(*byte);
                rest = after;
            }
            [] => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    fn configuration(text: &str) -> Configuration {
        let launch =
            Launch::test("/usr/sbin/pgbouncer", &["pgbouncer", "-du", "postgres", "/etc/p/p.ini"], &[]);
        read(&launch, &mut Memory::of(&[("/etc/p/p.ini", text), ("/etc/p/more.ini", "listen_port = 7000\n")]))
    }

    fn listens(found: &Configuration) -> Vec<String> {
        found.listens.iter().map(|listen| listen.address.to_string()).collect()
    }

    #[test]
    fn sections_includes_and_sockets() {
        let found = configuration(
            "[databases]\napp = host=10.0.0.1 password=geheim\n\"my \"\"db\" = \n* =\n[pgbouncer]\n; c\n\
             listen_addr = 127.0.0.1, ::1,db.example\nunix_socket_dir = @abs\n%include /etc/p/more.ini\n\
             auth_type = trust\nlogfile=/var/log/p.log\nwrong line\n%include /missing\nclient_tls_sslmode=require\n",
        );
        assert_eq!(
            listens(&found),
            ["127.0.0.1:7000", "[::1]:7000", "db.example:7000", "unix:@abs/.s.PGSQL.7000"]
        );
        assert_eq!(found.settings["databases"], "app, my \"db, *");
        assert!(!format!("{found:?}").contains("geheim"));
        assert_eq!((found.access.password, found.access.tls), (Some(false), Some(true)));
        assert_eq!(found.logs[0].path, Path::new("/var/log/p.log"));
        assert_eq!(found.faults.len(), 2, "{:?}", found.faults);
        assert_eq!(found.faults[0].line, Some(12));
        assert_eq!(found.status[0].listen.to_string(), "127.0.0.1:7000");
    }

    #[test]
    fn names_begin_where_it_works_and_not_where_a_shell_was() {
        let mut launch =
            Launch::test("/usr/sbin/pgbouncer", &["pgbouncer", "p.ini"], &[("PWD", "/elsewhere")]);
        launch.directory = "/etc/p".into();
        let found = read(&launch, &mut Memory::of(&[("/etc/p/p.ini", "[pgbouncer]\nlogfile = p.log\n")]));
        assert_eq!(found.logs[0].path, Path::new("/etc/p/p.log"));
    }

    #[test]
    fn defaults_and_missing_files() {
        assert_eq!(listens(&configuration("[pgbouncer]\n")), ["unix:/tmp/.s.PGSQL.6432"]);
        assert!(listens(&configuration("[pgbouncer]\nunix_socket_dir =\n")).is_empty());
        let launch = Launch::test("/usr/sbin/pgbouncer", &["pgbouncer", "/x.ini"], &[]);
        let found = read(&launch, &mut Memory::default());
        assert_eq!((found.faults.len(), found.listens.len()), (1, 0));
    }
}
