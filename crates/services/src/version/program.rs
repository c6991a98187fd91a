//! Versions that programs have in them, as texts that their makers put there: the program is looked through by the
//! helper, and nothing is executed.

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use portolan_files::Find;
use portolan_linux::error::Escaped;

use super::{Asked, upstream};
use crate::config::Wanted;
use crate::service::Version;
use crate::source::{Finding, Source};

/// Where in a program its version is. What programs write only out of pieces (`redis_version:%s`) is not in this table.
#[derive(Debug)]
struct Mark {
    /// The kind of service.
    kind: &'static str,
    /// The text before the version, or behind it.
    text: &'static str,
    /// Whether the version is before the text.
    before: bool,
    /// So many numbers it has at least: what has fewer is another's, or a part of it.
    least: usize,
    /// A text that must follow soon; empty for none.
    then: &'static str,
}

const fn mark(kind: &'static str, text: &'static str) -> Mark {
    Mark { kind, text, before: false, least: 2, then: "" }
}

const MARKS: &[Mark] = &[
    mark("nginx", "nginx version: nginx/"),
    mark("openresty", "nginx version: openresty/"),
    mark("angie", "Angie version: Angie/"),
    Mark { least: 3, ..mark("apache", "Apache/") },
    Mark { least: 3, ..mark("httpd", "Apache/") },
    Mark { least: 3, ..mark("apache2", "Apache/") },
    Mark { least: 3, ..mark("lighttpd", "lighttpd/") },
    // " version 2.6.12-1+deb12u4, released 2024/01/01"
    Mark { then: ", released ", ..mark("haproxy", " version ") },
    mark("memcached", "memcached 1."),
    mark("postgresql", "PostgreSQL "),
    Mark { before: true, least: 3, ..mark("mariadb", "-MariaDB") },
    Mark { before: true, least: 3, ..mark("mysql", "-MariaDB") },
    mark("pgbouncer", "PgBouncer "),
    mark("php-fpm", "X-Powered-By: PHP/"),
    mark("unbound", "unbound "),
    mark("dnsmasq", "dnsmasq-"),
    Mark { then: "p", ..mark("sshd", "OpenSSH_") },
    Mark { then: "p", ..mark("openssh", "OpenSSH_") },
    mark("vsftpd", "vsFTPd "),
    mark("stunnel", "stunnel "),
];

/// Programs of hundreds of megabytes are not looked through to their end.
const MOST_LOOKED: u64 = 64 * 1024 * 1024;
/// So many places of one text.
const MOST_PLACES: u64 = 16;
/// As much as a version and what follows it take.
const AROUND: u32 = 64;
/// What must follow a version follows it so soon.
const SOON: usize = 24;

/// What will be looked at.
pub(crate) fn wanted(asked: &Asked<'_>) -> Option<Wanted> {
    let (path, mark) = subject(asked)?;
    Some(Wanted::Find(path.to_owned(), mark.find()))
}

/// What a program has in it.
pub(crate) fn tell(asked: &Asked<'_>, source: &mut dyn Source) -> Option<Version> {
    let (path, mark) = subject(asked)?;
    let text = mark.of(path, source)?;
    Some(Version { text, source: format!("text in {}", Escaped(path.as_os_str().as_bytes())) })
}

fn subject<'a>(asked: &'a Asked<'_>) -> Option<(&'a Path, &'static Mark)> {
    let subject = asked.subject.as_ref().filter(|subject| !subject.interpreted)?;
    let named =
        |mark: &&Mark| asked.rule.kind == mark.kind || asked.rule.aliases.iter().any(|a| a == mark.kind);
    Some((&subject.path, MARKS.iter().find(named)?))
}

impl Mark {
    fn find(&self) -> Find {
        Find {
            texts: vec![self.text.into()],
            at_lines: false,
            before: if self.before { AROUND } else { 0 },
            after: AROUND,
            offset: 0,
            max_looked: MOST_LOOKED,
            max_places: MOST_PLACES,
            max_bytes: 4096,
        }
    }

    /// The one version that is beside the text; none where they differ.
    fn of(&self, path: &Path, source: &mut dyn Source) -> Option<String> {
        let found = source.find(path, &self.find()).ok()?;
        let mut versions = found.places.iter().filter_map(|finding| self.beside(finding));
        let first = versions.next()?.to_owned();
        versions.all(|version| version == first).then_some(first)
    }

    fn beside<'a>(&self, finding: &'a Finding) -> Option<&'a str> {
        let (before, text) = finding.bytes.split_at_checked(finding.at)?;
        if self.before {
            let start = before
                .iter()
                .rposition(|b| !b.is_ascii_digit() && *b != b'.')
                .map_or(0, |at| at.saturating_add(1));
            let number = before.get(start..)?;
            // A text of its own, and no example in a help text.
            if start.checked_sub(1).is_none_or(|at| before.get(at) != Some(&0)) {
                return None;
            }
            let version = upstream::at_beginning(number, self.least)?;
            return (version.len() == number.len()).then_some(version);
        }
        // A text that ends with the beginning of the version.
        let digits = self.text.bytes().rev().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let text = text.get(self.text.len().saturating_sub(digits)..)?;
        let version = upstream::at_beginning(text, self.least)?;
        match self.then {
            "" => Some(version),
            // A version of two parts: "9.2p1".
            "p" => version.contains('p').then_some(version),
            then => {
                let rest = text.get(version.len()..)?;
                // Of the same text.
                let rest = rest.split(|b| *b == 0).next()?;
                let rest = rest.get(..SOON.saturating_add(then.len()).min(rest.len()))?;
                rest.windows(then.len()).any(|part| part == then.as_bytes()).then_some(version)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    fn of(kind: &str, program: &[u8]) -> Option<String> {
        let mark = MARKS.iter().find(|mark| mark.kind == kind).unwrap();
        mark.of(Path::new("/p"), &mut Memory::default().with("/p", program))
    }

    #[test]
    fn what_programs_have_in_them() {
        for (kind, program, version) in [
            ("nginx", &b"\0nginx version: nginx/1.25.3\0nginx/9"[..], Some("1.25.3")),
            ("nginx", b"nginx version: %s", None),
            ("apache", b"Apache/2.4.58 (Unix)\0Apache/2.4\0Apache/2", Some("2.4.58")),
            ("haproxy", b"HAProxy version 2.5.\0 version 2.8.3-86e043a, released 2023/09/07", Some("2.8.3")),
            ("haproxy", b"is version 1.2 of it", None),
            ("memcached", b"memcached 1.6.18\0", Some("1.6.18")),
            ("postgresql", b"PostgreSQL 16.1 on x86_64\0PostgreSQL %s\0PostgreSQL database", Some("16.1")),
            ("postgresql", b"PostgreSQL 16.1\0PostgreSQL 15.2\0", None),
            ("mariadb", b"\x0010.11.6-MariaDB\0x-MariaDB", Some("10.11.6")),
            ("mariadb", b"\0a10.11-MariaDB\0", None),
            ("mariadb", b"\0for example 10.1.1-MariaDB-x\x0010.11.6-MariaDB\0", Some("10.11.6")),
            ("mariadb", b"\x0010.1.1-MariaDB-x\x0010.11.6-MariaDB\0", None),
            ("sshd", b"OpenSSH_9.2p1 Debian\0OpenSSH_7.0*,OpenSSH_7.1*", Some("9.2p1")),
            ("php-fpm", b"X-Powered-By: PHP/8.2.7\0", Some("8.2.7")),
            ("dnsmasq", b"dnsmasq-2.90", Some("2.90")),
            ("dnsmasq", b"", None),
        ] {
            assert_eq!(of(kind, program).as_deref(), version, "{kind} {}", program.escape_ascii());
        }
    }
}
