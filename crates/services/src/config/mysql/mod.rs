//! MySQL, MariaDB and Percona Server.
//!
//! - `option_files`: the files and their grammar
//! - `options`: which options are the server's, from files and arguments
//! - `outcome`: what follows from them

mod option_files;
mod options;
mod outcome;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use super::reading::{Reading, path_of, started_in};
use super::{Reader, Wanted};
use crate::configuration::Configuration;
use crate::launch::Launch;
use crate::source::Source;
use option_files::{DEEPEST, OptionFiles};
use options::{Options, arguments};

pub(crate) const READER: Reader = Reader { name: "mysql", foresee, read };

/// Which of the two it is: they read other groups and have other defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Flavour {
    MySql,
    MariaDb,
}

/// A server as far as it is known before its options are.
struct Server {
    flavour: Flavour,
    /// The first two numbers of its version: `10.11`.
    series: Option<String>,
}

fn foresee(launch: &Launch) -> Vec<Wanted> {
    let mut wanted: Vec<Wanted> = global_files(launch).into_iter().map(Wanted::Read).collect();
    for directory in
        ["/etc/my.cnf.d", "/etc/mysql/conf.d", "/etc/mysql/mariadb.conf.d", "/etc/mysql/mysql.conf.d"]
    {
        for names in ["*.cnf", ".*.cnf"] {
            wanted.push(Wanted::Include(Path::new(directory).join(names)));
        }
    }
    let home = launch.variable("HOME").filter(|home| home.starts_with(b"/"));
    wanted.extend(home.map(|home| Wanted::Read(path_of(home).join(".my.cnf"))));
    wanted.push(Wanted::Read("/etc/mysql/debian.cnf".into()));
    for told in ["mysql_upgrade_info", "mariadb_upgrade_info"] {
        wanted.push(Wanted::Read(Path::new("/var/lib/mysql").join(told)));
    }
    wanted
}

/// The files that every server looks for, in their order.
fn global_files(launch: &Launch) -> Vec<PathBuf> {
    let mut files = vec![PathBuf::from("/etc/my.cnf"), PathBuf::from("/etc/mysql/my.cnf")];
    // Built from source, the directory of its settings lies below its prefix.
    let prefix =
        launch.program.parent().and_then(Path::parent).filter(|prefix| prefix.starts_with("/usr/local"));
    files.extend(prefix.map(|prefix| prefix.join("etc/my.cnf")));
    let home = launch.variable("MARIADB_HOME").or_else(|| launch.variable("MYSQL_HOME"));
    files.extend(home.filter(|home| home.starts_with(b"/")).map(|home| path_of(home).join("my.cnf")));
    files
}

fn read(launch: &Launch, source: &mut dyn Source) -> Configuration {
    let mut reading = Reading::new(launch, source, DEEPEST);
    let arguments = arguments(launch);
    let mut files = OptionFiles { told: Vec::new(), directory: started_in(launch) };
    let option =
        |name: &str| arguments.files.iter().find(|(known, _)| *known == name).map(|(_, value)| value);
    if let Some(file) = option("defaults_file") {
        let path = files.directory.join(path_of(file));
        files.required(&mut reading, &path, "argument --defaults-file");
    } else if option("no_defaults").is_none() {
        for path in global_files(launch) {
            files.optional(&mut reading, &path, "compiled-in default");
        }
        if let Some(file) = option("defaults_extra_file") {
            let path = files.directory.join(path_of(file));
            files.required(&mut reading, &path, "argument --defaults-extra-file");
        }
        if let Some(home) = launch.variable("HOME").filter(|home| home.starts_with(b"/")) {
            files.optional(&mut reading, &path_of(home).join(".my.cnf"), "compiled-in default");
        }
    }
    let suffix = option("defaults_group_suffix").cloned();
    let suffix = suffix.or_else(|| launch.variable("MYSQL_GROUP_SUFFIX").map(<[u8]>::to_vec));
    let server = server(&mut reading, &files, &arguments.told, suffix.as_deref());
    let options = Options::of(&mut reading, &files.told, &arguments.told, &server, suffix.as_deref());
    outcome::of(&mut reading, &options, &server);
    outcome::credentials(&mut reading, &files.told);
    reading.found
}

/// What its data directory tells of it: the version that last wrote there.
fn server(
    reading: &mut Reading<'_>,
    files: &OptionFiles,
    arguments: &[(Vec<u8>, Option<Vec<u8>>)],
    suffix: Option<&[u8]>,
) -> Server {
    let launch = reading.launch;
    let by_name = launch.program.to_string_lossy().contains("mariadb");
    let mut server =
        Server { flavour: if by_name { Flavour::MariaDb } else { Flavour::MySql }, series: None };
    let first = Options::unversioned(&files.told, arguments, &server, suffix);
    let Some(data) = outcome::data_directory(launch, &first) else { return server };
    for name in ["mariadb_upgrade_info", "mysql_upgrade_info"] {
        let Ok(text) = reading.source.read(&data.join(name)) else { continue };
        let text = String::from_utf8_lossy(text.get(..64).unwrap_or(&text)).into_owned();
        if text.contains("MariaDB") {
            server.flavour = Flavour::MariaDb;
        }
        let mut numbers = text.split('.').map(|number| number.trim()).take(2);
        if let (Some(major), Some(minor)) = (numbers.next(), numbers.next())
            && [major, minor].iter().all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
        {
            server.series = Some(format!("{major}.{minor}"));
        }
        return server;
    }
    server
}
