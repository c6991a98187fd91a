//! Mosquitto: `mosquitto.conf` and the directories that it includes.

use std::path::{Path, PathBuf};

use super::getopt::{Argument, parse};
use super::reading::{Reading, host, lines, literal, number, path_of};
use super::{Reader, Wanted};
use crate::configuration::{Configuration, ListenAddress, LogPurpose, Purpose};
use crate::launch::Launch;
use crate::source::Source;

pub(crate) const READER: Reader = Reader { name: "mosquitto", foresee, read };

/// A file, and the directories that it includes; those include nothing.
const DEEPEST: usize = 2;
/// Settings that agents ask for.
const SHOWN: &[&str] = &[
    "allow_anonymous",
    "per_listener_settings",
    "persistence",
    "max_connections",
    "sys_interval",
    "log_type",
    "log_timestamp_format",
];

/// A listener while its lines are read.
#[derive(Debug, Default, Clone)]
struct Listener {
    port: Option<u16>,
    host: Vec<u8>,
    tls: bool,
    anonymous: Option<bool>,
}

#[derive(Debug, Default)]
struct State {
    /// The one before any `listener`, which only `port` makes one.
    default: Listener,
    listeners: Vec<Listener>,
    per_listener: bool,
    anonymous: Option<bool>,
    directory: Option<PathBuf>,
}

impl State {
    fn current(&mut self) -> &mut Listener {
        self.listeners.last_mut().unwrap_or(&mut self.default)
    }
}

fn options(launch: &Launch) -> (Option<PathBuf>, Vec<u16>) {
    let (mut file, mut ports) = (None, Vec::new());
    for argument in parse(&launch.arguments, b"cp", &["config-file", "port"]) {
        match argument {
            Argument::Short(b'c', path) | Argument::Long(b"config-file", Some(path)) => {
                file = Some(launch.resolve(path_of(path)));
            }
            Argument::Short(b'p', port) | Argument::Long(b"port", Some(port)) => {
                ports.extend(number::<u16>(port));
            }
            _ => {}
        }
    }
    (file, ports)
}

fn foresee(launch: &Launch) -> Vec<Wanted> {
    let Some(file) = options(launch).0 else { return Vec::new() };
    let beside = literal(super::reading::parent(&file)).join("conf.d/*.conf");
    vec![Wanted::Read(file), Wanted::Include(beside)]
}

fn read(launch: &Launch, source: &mut dyn Source) -> Configuration {
    let mut reading = Reading::new(launch, source, DEEPEST);
    let (file, ports) = options(launch);
    let mut state = State::default();
    let mut known = true;
    if let Some(file) = file {
        match reading.file(&file, "argument -c", None) {
            Some(text) => take(&mut reading, &file, &text, &mut state),
            None => known = false,
        }
    }
    reading.found.data_directory = state.directory.take();
    if !known {
        return reading.found;
    }
    if state.default.port.is_some() || !state.default.host.is_empty() {
        let listener = Listener { port: state.default.port.or(Some(1883)), ..state.default.clone() };
        state.listeners.insert(0, listener);
    }
    // Without a listener it serves its own machine only, and asks for nothing.
    let local = state.listeners.is_empty();
    if local {
        for port in if ports.is_empty() { vec![1883] } else { ports } {
            reading.listen(ListenAddress::Name("localhost".to_owned(), port), Some(false), Purpose::Service);
        }
    }
    for listener in &state.listeners {
        let address = match (listener.port, &*listener.host) {
            (Some(0), path) if path.starts_with(b"/") => ListenAddress::Unix(path_of(path)),
            (Some(port), name) if port != 0 => host(name, port),
            _ => continue,
        };
        reading.listen(address, Some(listener.tls), Purpose::Service);
    }
    access(&mut reading, &state, local);
    reading.found
}

/// What was not said about anonymous clients depends on the version, unless there is no listener.
fn access(reading: &mut Reading<'_>, state: &State, local: bool) {
    let anonymous: Option<bool> = if state.per_listener && !local {
        let all: Vec<Option<bool>> = state.listeners.iter().map(|listener| listener.anonymous).collect();
        all.first().copied().flatten().filter(|first| all.iter().all(|other| *other == Some(*first)))
    } else {
        state.anonymous.or(local.then_some(true))
    };
    reading.found.access.password = anonymous.map(|anonymous| !anonymous);
    reading.found.access.tls = Some(!local && state.listeners.iter().all(|listener| listener.tls));
}

fn take(reading: &mut Reading<'_>, path: &Path, text: &[u8], state: &mut State) {
    if !reading.enter(path, None) {
        return;
    }
    for (line, text) in lines(text) {
        // A comment begins with the line; blanks around words do not matter.
        if text.starts_with(b"#") || text.trim_ascii().is_empty() {
            continue;
        }
        let text = text.trim_ascii();
        let end = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
        let (name, value) = text.split_at(end);
        let name = String::from_utf8_lossy(name).into_owned();
        directive(reading, (path, line), &name, value.trim_ascii(), state);
    }
    reading.leave();
}

fn directive(reading: &mut Reading<'_>, place: (&Path, u32), name: &str, value: &[u8], state: &mut State) {
    let launch = reading.launch;
    let named = || launch.resolve(path_of(value));
    let on = value == b"true" || value == b"1";
    if SHOWN.contains(&name) {
        reading.set(name, value);
    }
    match name {
        "include_dir" => {
            let directory = literal(&named());
            // Names that begin with a dot count too. The server sorts all of them by their bytes.
            let mut files = reading.matches(&directory.join("*.conf"), "included", Some(place));
            files.extend(reading.matches(&directory.join(".*.conf"), "included", Some(place)));
            files.sort_by(|(a, _), (b, _)| a.cmp(b));
            if files.is_empty()
                && let Err(unread) = reading.source.kind(&named())
            {
                reading.unread(&unread, Some(place));
            }
            for (file, text) in files {
                take(reading, &file, &text, state);
            }
        }
        "listener" => {
            let end = value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len());
            let (port, host) = value.split_at(end);
            let Some(port) = number(port) else {
                return reading.fault(Some(place), "listener without a port");
            };
            let host = host.trim_ascii().to_vec();
            state.listeners.push(Listener { port: Some(port), host, ..Listener::default() });
        }
        "port" => match number(value) {
            Some(port) => state.default.port = Some(port),
            None => reading.fault(Some(place), "port is no number"),
        },
        "bind_address" => state.default.host = value.to_vec(),
        "certfile" | "keyfile" | "psk_hint" => state.current().tls = true,
        "allow_anonymous" => {
            state.anonymous = Some(on);
            state.current().anonymous = Some(on);
        }
        "per_listener_settings" => state.per_listener = on,
        "password_file" => reading.mention(&named(), "password_file"),
        "acl_file" => reading.mention(&named(), "acl_file"),
        "psk_file" => reading.mention(&named(), "psk_file"),
        "persistence_location" => state.directory = Some(named()),
        "log_dest" => {
            if let Some(file) = value.strip_prefix(b"file") {
                let file = launch.resolve(path_of(file.trim_ascii()));
                reading.log(file, LogPurpose::General, None, false);
            }
        }
        _ if name.starts_with(|c: char| c.is_ascii_alphabetic()) => {}
        _ => reading.fault(Some(place), "no directive"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    fn configuration(arguments: &[&str], files: &[(&str, &str)]) -> Configuration {
        let arguments: Vec<&str> = ["mosquitto"].into_iter().chain(arguments.iter().copied()).collect();
        read(&Launch::test("/usr/sbin/mosquitto", &arguments, &[]), &mut Memory::of(files))
    }

    fn listens(found: &Configuration) -> Vec<String> {
        let shown = |l: &crate::configuration::Listen| format!("{} {}", l.address, l.tls == Some(true));
        found.listens.iter().map(shown).collect()
    }

    #[test]
    fn listeners_and_directories() {
        let files = [
            (
                "/etc/m.conf",
                "persistence_location /var/lib/mosquitto/\nlog_dest file /var/log/mosquitto/a b.log\n\
                 include_dir /etc/conf.d\nlistener 1883 127.0.0.1\nallow_anonymous true\nlistener 0 /run/m.sock\n\
                 password_file /etc/pw\n # x\ninclude_dir /missing\n",
            ),
            ("/etc/conf.d/b.conf", "listener 8883\ncertfile c\nkeyfile k\n"),
            ("/etc/conf.d/.a.conf", "port 1880\nbind_address ::1\n"),
            ("/etc/conf.d/c.txt", "listener 1\n"),
            ("/etc/pw", "u:geheim"),
        ];
        let found = configuration(&["-d", "-c", "/etc/m.conf"], &files);
        assert_eq!(
            listens(&found),
            ["[::1]:1880 false", "*:8883 true", "127.0.0.1:1883 false", "unix:/run/m.sock false"]
        );
        assert_eq!(found.logs[0].path, Path::new("/var/log/mosquitto/a b.log"));
        assert_eq!(found.data_directory.as_deref(), Some(Path::new("/var/lib/mosquitto/")));
        assert_eq!((found.access.password, found.access.tls), (Some(false), Some(false)));
        assert_eq!(found.files.len(), 4, "{:?}", found.files);
        assert_eq!(found.faults.len(), 2, "{:?}", found.faults);
    }

    #[test]
    fn without_a_listener_it_is_local() {
        let found = configuration(&[], &[]);
        assert_eq!(listens(&found), ["localhost:1883 false"]);
        assert_eq!(found.access.password, Some(false));
        assert_eq!(listens(&configuration(&["-p", "1884"], &[])), ["localhost:1884 false"]);
        let found = configuration(&["-c", "/m", "-p", "1"], &[("/m", "listener 2\n")]);
        assert_eq!(listens(&found), ["*:2 false"]);
        assert_eq!(found.access.password, None);
        assert_eq!(configuration(&["-c", "/m"], &[]).faults.len(), 1);
    }

    #[test]
    fn each_listener_may_ask_for_something_else() {
        let text = "per_listener_settings true\nlistener 1\nallow_anonymous false\nlistener 2\n";
        assert_eq!(configuration(&["-c", "/m"], &[("/m", text)]).access.password, None);
        let text = format!("{text}allow_anonymous false\n");
        assert_eq!(configuration(&["-c", "/m"], &[("/m", &text)]).access.password, Some(true));
    }
}
