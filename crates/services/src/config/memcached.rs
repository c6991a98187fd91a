//! memcached: it has no configuration but its arguments. Debian keeps them in `/etc/memcached.conf`.

use std::path::Path;

use super::getopt::{Argument, parse};
use super::reading::{Reading, host, lines, number, path_of, started_in};
use super::{Reader, Wanted};
use crate::configuration::{Configuration, ListenAddress, Purpose};
use crate::launch::Launch;
use crate::source::Source;

pub(crate) const READER: Reader = Reader { name: "memcached", foresee, read };

/// What Debian's start script makes arguments of.
const DEBIAN: &str = "/etc/memcached.conf";
/// Letters that have a value.
const VALUED: &[u8] = b"aspUmcluPftnDRbBIYeoN";
/// Long names that have a value, and their letters.
const LONG: &[(&str, u8)] = &[
    ("unix-mask", b'a'),
    ("unix-socket", b's'),
    ("port", b'p'),
    ("udp-port", b'U'),
    ("memory-limit", b'm'),
    ("conn-limit", b'c'),
    ("listen", b'l'),
    ("user", b'u'),
    ("pidfile", b'P'),
    ("slab-growth-factor", b'f'),
    ("threads", b't'),
    ("slab-min-size", b'n'),
    ("max-reqs-per-event", b'R'),
    ("listen-backlog", b'b'),
    ("protocol", b'B'),
    ("max-item-size", b'I'),
    ("auth-file", b'Y'),
    ("memory-file", b'e'),
    ("extended", b'o'),
    ("napi-ids", b'N'),
];

fn foresee(_: &Launch) -> Vec<Wanted> {
    vec![Wanted::Read(DEBIAN.into())]
}

fn read(launch: &Launch, source: &mut dyn Source) -> Configuration {
    let mut reading = Reading::new(launch, source, 1);
    debians(&mut reading);
    let names: Vec<&str> = LONG.iter().map(|(name, _)| *name).collect();
    let (mut hosts, mut socket) = (Vec::new(), None);
    let (mut port, mut udp, mut tls, mut password) = (11211, 0, false, false);
    for argument in parse(&launch.arguments, VALUED, &names) {
        let (letter, value) = match argument {
            Argument::Short(letter, value) => (letter, value),
            Argument::Long(b"enable-sasl", _) => (b'S', &b""[..]),
            Argument::Long(b"enable-ssl", _) => (b'Z', &b""[..]),
            Argument::Long(name, Some(value)) => {
                match LONG.iter().find(|(known, _)| known.as_bytes() == name) {
                    Some((_, letter)) => (*letter, value),
                    None => continue,
                }
            }
            _ => continue,
        };
        match letter {
            b'p' => port = wanted(&mut reading, "port", value, port),
            b'U' => udp = wanted(&mut reading, "udp-port", value, udp),
            b'l' => hosts.extend(value.split(|b| b",;".contains(b)).filter(|h| !h.is_empty())),
            b's' => socket = Some(started_in(launch).join(path_of(value))),
            b'S' => password = true,
            b'Y' => {
                password = true;
                reading.mention(&started_in(launch).join(path_of(value)), "argument -Y");
            }
            b'Z' => tls = true,
            _ => {}
        }
        if let Some((name, _)) = LONG.iter().find(|(_, known)| *known == letter)
            && b"mctIU".contains(&letter)
        {
            reading.set(name, value);
        }
    }
    // A socket is instead of ports.
    match socket {
        Some(socket) => reading.listen(ListenAddress::Unix(socket), Some(false), Purpose::Service),
        None if port != 0 => {
            if hosts.is_empty() {
                hosts.push(b"*");
            }
            for text in hosts {
                let (address, plain) = address(text, port);
                reading.listen(address, Some(tls && !plain), Purpose::Service);
            }
        }
        None => {}
    }
    let user = launch.variable("MEMCACHED_USERNAME");
    reading.secret_variable("MEMCACHED_PASSWORD", user);
    reading.found.access.password = Some(password);
    reading.found.access.tls = Some(
        !reading.found.listens.is_empty()
            && reading.found.listens.iter().all(|listen| listen.tls == Some(true)),
    );
    reading.found
}

fn wanted(reading: &mut Reading<'_>, name: &str, value: &[u8], default: u16) -> u16 {
    number(value).unwrap_or_else(|| {
        reading.fault(None, format!("{name} is no number"));
        default
    })
}

/// Debian's file is the configuration where the arguments are the ones in it.
fn debians(reading: &mut Reading<'_>) {
    let Ok(text) = reading.source.read(Path::new(DEBIAN)) else { return };
    let mut words: Vec<Vec<u8>> = Vec::new();
    for (_, line) in lines(&text) {
        let line = line.split(|b| *b == b'#').next().unwrap_or(line).trim_ascii();
        // The script leaves out what detaches, and what is no option.
        if line.starts_with(b"-") && !line.starts_with(b"-d") && !line.starts_with(b"-h") {
            words.extend(line.split(u8::is_ascii_whitespace).filter(|w| !w.is_empty()).map(<[u8]>::to_vec));
        }
    }
    let given = reading.launch.arguments.get(1..).unwrap_or(&[]);
    if !words.is_empty() && given.starts_with(&words) {
        reading.note(Path::new(DEBIAN), "its lines are the arguments");
    }
}

/// One of `-l`, and whether it is without TLS in any case: `HOST`, `HOST:PORT`, `[HOST]:PORT`, an IPv6 address alone,
/// all with `notls:` and other marks before them.
fn address(text: &[u8], port: u16) -> (ListenAddress, bool) {
    let (mut rest, mut plain) = (text.trim_ascii(), false);
    if let Some(after) = rest.strip_prefix(b"notls:") {
        (rest, plain) = (after, true);
    }
    if rest.starts_with(b"proto[")
        && let Some(end) = rest.iter().position(|b| *b == b':')
    {
        rest = rest.get(end.saturating_add(1)..).unwrap_or(&[]);
    }
    let bracket = rest.iter().position(|b| *b == b']');
    let colon = rest.iter().rposition(|b| *b == b':');
    let colons = rest.iter().filter(|b| **b == b':').count();
    let split = match (bracket, colon) {
        (Some(bracket), Some(colon)) => Some(colon).filter(|colon| *colon > bracket),
        (None, Some(colon)) => Some(colon).filter(|_| colons == 1),
        _ => None,
    };
    let own = split.and_then(|at| {
        let (name, own) = rest.split_at(at);
        Some((name, number(own.get(1..)?)?))
    });
    let (name, port) = own.unwrap_or((rest, port));
    (host(name, port), plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    fn listens(arguments: &[&str]) -> Vec<String> {
        let found = read(&Launch::test("/usr/bin/memcached", arguments, &[]), &mut Memory::default());
        assert!(found.faults.is_empty(), "{:?}", found.faults);
        found.listens.iter().map(|listen| listen.address.to_string()).collect()
    }

    #[test]
    fn addresses_in_all_their_forms() {
        assert_eq!(listens(&["memcached"]), ["*:11211"]);
        assert_eq!(listens(&["memcached", "-l127.0.0.1,::1", "--port=1"]), ["127.0.0.1:1", "[::1]:1"]);
        assert_eq!(
            listens(&["memcached", "--listen", "[::1]:2;cache:3", "-dp", "4", "-l", "*"]),
            ["[::1]:2", "cache:3", "*:4"]
        );
        assert_eq!(listens(&["memcached", "-s", "/run/m.sock", "-p", "1"]), ["unix:/run/m.sock"]);
        assert!(listens(&["memcached", "-p", "0", "-U", "11211"]).is_empty());
    }

    #[test]
    fn tls_and_passwords() {
        let variables = [("MEMCACHED_USERNAME", "u"), ("MEMCACHED_PASSWORD", "geheim")];
        let arguments = ["memcached", "-SZ", "-l", "127.0.0.1:1,notls:127.0.0.1:2", "-m", "64"];
        let found = read(&Launch::test("/x/memcached", &arguments, &variables), &mut Memory::default());
        assert_eq!(found.listens.iter().map(|l| l.tls).collect::<Vec<_>>(), [Some(true), Some(false)]);
        assert_eq!((found.access.password, found.access.tls), (Some(true), Some(false)));
        assert_eq!(found.credentials[0].user.as_deref(), Some("u"));
        assert_eq!(found.settings["memory-limit"], "64");
        let found =
            read(&Launch::test("/x/memcached", &["memcached", "-p", "x"], &[]), &mut Memory::default());
        assert_eq!(found.faults.len(), 1);
    }

    #[test]
    fn debians_file_counts_where_it_was_used() {
        let mut files = Memory::of(&[(DEBIAN, "# c\n-d\nlogfile /x\n-m 64 # c\n-l 127.0.0.1\n")]);
        let launch =
            Launch::test("/x/memcached", &["memcached", "-m", "64", "-l", "127.0.0.1", "-P", "p"], &[]);
        assert_eq!(read(&launch, &mut files).files[0].path, Path::new(DEBIAN));
        let launch = Launch::test("/x/memcached", &["memcached", "-m", "65", "-l", "127.0.0.1"], &[]);
        assert!(read(&launch, &mut files).files.is_empty());
    }
}
