//! Which options are the server's: the groups that it reads, its arguments, and which of all counts.

use std::collections::BTreeMap;
use std::path::Path;

use super::option_files::Told;
use super::{Flavour, Server};
use crate::config::getopt::{self, Argument};
use crate::config::reading::Reading;
use crate::launch::Launch;

/// What the server is told, by names with `_`, without prefixes.
#[derive(Debug, Default)]
pub(super) struct Options {
    values: BTreeMap<Vec<u8>, Value>,
}

#[derive(Debug)]
struct Value {
    text: Option<Vec<u8>>,
    /// `skip-`, `disable-`.
    off: bool,
}

/// An option as it stands: its name, and its value.
pub(super) type Plain = (Vec<u8>, Option<Vec<u8>>);

/// Arguments: those that say which files are read, and the others.
pub(super) struct Arguments {
    pub(super) files: Vec<(&'static str, Vec<u8>)>,
    pub(super) told: Vec<Plain>,
}

/// Those that count only before all others.
const OF_FILES: &[&str] =
    &["defaults_file", "defaults_extra_file", "defaults_group_suffix", "no_defaults", "print_defaults"];
/// Long ones whose value may stand by itself.
const VALUED: &[&str] = &[
    "port",
    "socket",
    "datadir",
    "basedir",
    "bind-address",
    "bind_address",
    "pid-file",
    "pid_file",
    "user",
    "defaults-file",
    "defaults-extra-file",
    "defaults-group-suffix",
    "server-id",
    "server_id",
];
/// Short ones, and what they stand for.
const SHORT: &[(u8, &[u8])] = &[(b'P', b"port"), (b'h', b"datadir"), (b'u', b"user"), (b'b', b"basedir")];

pub(super) fn arguments(launch: &Launch) -> Arguments {
    let mut files = Vec::new();
    let mut told = Vec::new();
    for argument in getopt::parse(&launch.arguments, b"PhubLCrtTlO", VALUED) {
        match argument {
            Argument::Long(name, value) => {
                let plain = underscored(name);
                let of_files = OF_FILES.iter().find(|known| known.as_bytes() == plain);
                match of_files {
                    Some(known) if told.is_empty() => files.push((*known, value.unwrap_or(b"").to_vec())),
                    _ => told.push((name.to_vec(), value.map(<[u8]>::to_vec))),
                }
            }
            Argument::Short(letter, value) => {
                let name = SHORT.iter().find(|(known, _)| *known == letter);
                told.extend(name.map(|(_, name)| (name.to_vec(), Some(value.to_vec()))));
            }
            Argument::Operand(_) => {}
        }
    }
    Arguments { files, told }
}

fn underscored(name: &[u8]) -> Vec<u8> {
    name.iter().map(|b| if *b == b'-' { b'_' } else { *b }).collect()
}

impl Options {
    /// Those of the groups that do not depend on the version.
    pub(super) fn unversioned(
        files: &[Told],
        arguments: &[Plain],
        server: &Server,
        suffix: Option<&[u8]>,
    ) -> Self {
        let mut options = Self::default();
        for told in files {
            if group(&told.group, server.flavour, suffix) == Group::Own {
                options.set(&told.name, told.value.as_deref());
            }
        }
        for (name, value) in arguments {
            options.set(name, value.as_deref());
        }
        options
    }

    /// All of them. What is in a group of some version, where the server's is not known, is left out and said.
    pub(super) fn of(
        reading: &mut Reading<'_>,
        files: &[Told],
        arguments: &[Plain],
        server: &Server,
        suffix: Option<&[u8]>,
    ) -> Self {
        let mut options = Self::default();
        let mut said: Option<(&Path, &[u8])> = None;
        for told in files {
            match group(&told.group, server.flavour, suffix) {
                Group::Own => options.set(&told.name, told.value.as_deref()),
                Group::Of(series) => match &server.series {
                    Some(own) if own.as_bytes() == series => options.set(&told.name, told.value.as_deref()),
                    Some(_) => {}
                    None if said != Some((&told.file, &told.group)) => {
                        said = Some((&told.file, &told.group));
                        let message =
                            "this group is for one version, and the server's is not known; it is left out";
                        reading.fault(Some((&told.file, told.line)), message);
                    }
                    None => {}
                },
                Group::Other => {}
            }
        }
        for (name, value) in arguments {
            options.set(name, value.as_deref());
        }
        options
    }

    fn set(&mut self, name: &[u8], text: Option<&[u8]>) {
        let name = underscored(name).to_ascii_lowercase();
        let name = name.strip_prefix(b"loose_").unwrap_or(&name);
        let name = name.strip_prefix(b"enable_").unwrap_or(name);
        let (name, off) = match name.strip_prefix(b"disable_").or_else(|| name.strip_prefix(b"skip_")) {
            // These are names themselves.
            Some(b"networking" | b"name_resolve" | b"grant_tables" | b"show_database") | None => {
                (name, false)
            }
            Some(name) => (name, true),
        };
        let name = OTHER_NAMES
            .iter()
            .find(|(other, _)| other.as_bytes() == name)
            .map_or(name, |(_, name)| name.as_bytes());
        let text = text.map(<[u8]>::to_vec);
        self.values.insert(name.to_vec(), Value { text, off });
    }

    /// An option's text, if it has one.
    pub(super) fn text(&self, name: &str) -> Option<&[u8]> {
        self.values.get(name.as_bytes()).filter(|value| !value.off)?.text.as_deref()
    }

    /// Whether it is given at all, with a value or without.
    pub(super) fn given(&self, name: &str) -> bool {
        self.values.get(name.as_bytes()).is_some_and(|value| !value.off)
    }

    /// Whether it is on; `None` where nothing is said.
    pub(super) fn on(&self, name: &str) -> Option<bool> {
        let value = self.values.get(name.as_bytes())?;
        let text = value.text.as_deref().unwrap_or(b"1");
        let no = [&b"0"[..], b"off", b"false", b"no"].iter().any(|no| text.eq_ignore_ascii_case(no));
        Some(no == value.off)
    }
}

/// Names that mean the same.
const OTHER_NAMES: &[(&str, &str)] = &[
    ("log_slow_query", "slow_query_log"),
    ("log_slow_queries", "slow_query_log"),
    ("log_slow_query_file", "slow_query_log_file"),
    ("log", "general_log"),
];

#[derive(Debug, PartialEq, Eq)]
enum Group<'a> {
    Own,
    Of(&'a [u8]),
    Other,
}

/// Whose a group is.
fn group<'a>(name: &'a [u8], flavour: Flavour, suffix: Option<&[u8]>) -> Group<'a> {
    let maria: &[&str] = &["mariadb", "mariadbd", "client-server", "galera"];
    let known = |name: &[u8]| {
        [&b"mysqld"[..], b"server"].contains(&name)
            || flavour == Flavour::MariaDb && maria.iter().any(|known| known.as_bytes() == name)
    };
    let bare = suffix.filter(|suffix| !suffix.is_empty()).and_then(|suffix| name.strip_suffix(suffix));
    if known(name) || bare.is_some_and(known) {
        return Group::Own;
    }
    let versioned = |name: &'a [u8]| {
        let maria = flavour == Flavour::MariaDb;
        let of_maria = || name.strip_prefix(b"mariadb-").or_else(|| name.strip_prefix(b"mariadbd-"));
        let series = name.strip_prefix(b"mysqld-").or_else(|| of_maria().filter(|_| maria))?;
        (!series.is_empty() && series.iter().all(|b| b.is_ascii_digit() || *b == b'.')).then_some(series)
    };
    versioned(name).or_else(|| bare.and_then(versioned)).map_or(Group::Other, Group::Of)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups() {
        use Flavour::{MariaDb, MySql};
        assert_eq!(group(b"mysqld", MySql, None), Group::Own);
        assert_eq!(group(b"mysqld_two", MySql, Some(b"_two")), Group::Own);
        assert_eq!(group(b"mariadb", MySql, None), Group::Other);
        assert_eq!(group(b"client-server", MariaDb, None), Group::Own);
        assert_eq!(group(b"mysqld-8.0", MySql, None), Group::Of(b"8.0"));
        assert_eq!(group(b"mariadb-10.11", MariaDb, None), Group::Of(b"10.11"));
        assert_eq!(group(b"mysqld-safe", MySql, None), Group::Other);
        assert_eq!(group(b" mysqld", MySql, None), Group::Other);
    }

    #[test]
    fn prefixes_of_names() {
        let mut options = Options::default();
        for (name, value) in [
            ("loose-slow-query-log", None),
            ("skip_networking", Some("0")),
            ("skip-ssl", None),
            ("Disable-general_log", None),
            ("performance-schema", Some("OFF")),
            ("port", Some("1")),
            ("port", Some("2")),
        ] {
            options.set(name.as_bytes(), value.map(str::as_bytes));
        }
        assert_eq!(options.on("slow_query_log"), Some(true));
        assert_eq!(options.on("skip_networking"), Some(false));
        assert_eq!((options.on("ssl"), options.on("general_log")), (Some(false), Some(false)));
        assert_eq!((options.on("performance_schema"), options.on("x")), (Some(false), None));
        assert_eq!(options.text("port"), Some(&b"2"[..]));
    }

    #[test]
    fn what_says_which_files_are_read_stands_first() {
        let launch = Launch::test(
            "/usr/sbin/mysqld",
            &["mysqld", "--defaults-file=/a", "--port", "1", "-P2", "--defaults-extra-file=/late"],
            &[],
        );
        let arguments = arguments(&launch);
        assert_eq!(arguments.files, [("defaults_file", b"/a".to_vec())]);
        assert_eq!(arguments.told[0], (b"port".to_vec(), Some(b"1".to_vec())));
        assert_eq!(arguments.told[1], (b"port".to_vec(), Some(b"2".to_vec())));
    }
}
