//! nginx, and its relatives `OpenResty`, Angie, Tengine and freenginx.
//!
//! The main file is the one of the option `-c`, or else compiled in; relative to it are its includes, to the prefix its
//! logs. Both need the directory that only the program itself knows where it was not told: [`build`].

mod build;
mod command;
mod lexer;
mod listen;
mod logs;
mod servers;
mod status;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use portolan_linux::ErrorKind;
use portolan_linux::error::Escaped;

use self::build::Build;
use self::command::Command;
use self::logs::{Formats, Target, below};
use self::tree::{Reading, Statement, named};
use super::{Reader, Wanted};
use crate::configuration::{Configuration, ConfiguredLog, LogFormat, LogPurpose};
use crate::launch::Launch;
use crate::source::Source;

pub(crate) const READER: Reader = Reader { name: "nginx", foresee, read };

fn foresee(launch: &Launch) -> Vec<Wanted> {
    let command = Command::of(launch);
    let mains = match (command.main, command.prefix) {
        (Some(main), Some(prefix)) => vec![launch.resolve(prefix).join(main)],
        (Some(main), None) if main.is_absolute() => vec![main],
        (Some(_), None) => Vec::new(),
        (None, _) => build::usual_mains(&launch.program),
    };
    let mut wanted = Vec::new();
    for main in mains {
        if let Some(directory) = main.parent() {
            // What Debian's, the official, and most other main files include.
            wanted.push(Wanted::Read(directory.join("mime.types")));
            wanted.push(Wanted::Include(directory.join("conf.d/*.conf")));
            wanted.push(Wanted::Include(directory.join("sites-enabled/*")));
            wanted.push(Wanted::Include(directory.join("modules-enabled/*.conf")));
        }
        wanted.push(Wanted::Read(main));
    }
    wanted
}

fn read(launch: &Launch, source: &mut dyn Source) -> Configuration {
    let mut configuration = Configuration::default();
    let command = Command::of(launch);
    let mut places = Places { launch, command: &command, build: None };
    let Some((main, by)) = places.main(source) else {
        let why = "no configuration is where this build of nginx would have it";
        configuration.add_fault(ErrorKind::NotFound, None, None, why);
        return configuration;
    };
    let base = main.parent().unwrap_or(Path::new("/")).to_owned();
    let mut reading = Reading::new(source, &mut configuration, base);
    // In this order, as nginx itself does.
    let mut statements = reading.directives(&command.directives);
    statements.extend(reading.main(&main, by));
    if !configuration.files.is_empty() {
        tell(&statements, &main, &mut places, source, &mut configuration);
    }
    configuration
}

/// Paths that depend on how nginx was built.
struct Places<'a> {
    launch: &'a Launch,
    command: &'a Command,
    /// The outer is `None` until it was looked for.
    build: Option<Option<Build>>,
}

impl Places<'_> {
    fn build(&mut self, source: &mut dyn Source) -> Option<&Build> {
        let launch = self.launch;
        self.build.get_or_insert_with(|| Build::of(launch, source)).as_ref()
    }

    /// What relative paths are relative to.
    fn prefix(&mut self, source: &mut dyn Source) -> Option<PathBuf> {
        if let Some(prefix) = &self.command.prefix {
            return Some(self.launch.resolve(prefix));
        }
        let launch = self.launch;
        self.build(source).map(|build| launch.resolve(build.prefix.as_deref().unwrap_or(Path::new(""))))
    }

    /// The same, if it is known already.
    fn known_prefix(&self) -> Option<PathBuf> {
        let built = self.build.as_ref().and_then(Option::as_ref).and_then(|build| build.prefix.as_ref());
        self.command.prefix.as_ref().or(built).map(|prefix| self.launch.resolve(prefix))
    }

    fn main(&mut self, source: &mut dyn Source) -> Option<(PathBuf, &'static str)> {
        if let Some(main) = &self.command.main {
            let by = "argument -c";
            if main.is_absolute() {
                return Some((main.clone(), by));
            }
            if let Some(prefix) = self.prefix(source) {
                return Some((prefix.join(main), by));
            }
            // The usual prefix is the one whose main file is there.
            let mains = build::usual_mains(&self.launch.program).into_iter();
            let beside = mains.flat_map(|usual| {
                usual.ancestors().skip(1).take(2).map(|above| above.join(main)).collect::<Vec<_>>()
            });
            return beside.into_iter().find(|path| source.read(path).is_ok()).map(|path| (path, by));
        }
        let by = "compiled-in default";
        if let Some(prefix) = self.command.prefix.as_ref().map(|prefix| self.launch.resolve(prefix)) {
            if let Some(build) = self.build(source) {
                return Some((prefix.join(&build.main), by));
            }
            let below = prefix.join("conf/nginx.conf");
            if source.read(&below).is_ok() {
                return Some((below, "argument -p"));
            }
        }
        for main in build::usual_mains(&self.launch.program) {
            match source.read(&main) {
                Err(unread) if unread.is_missing() => {}
                _ => return Some((main, by)),
            }
        }
        let prefix = self.prefix(source)?;
        self.build(source).map(|build| (prefix.join(&build.main), by))
    }

    /// Where requests are logged without any `access_log`.
    fn access_log(&mut self, main: &Path, source: &mut dyn Source) -> Option<PathBuf> {
        if let Some(path) = self.build(source).map(|build| build.access_log.clone()) {
            return self.prefix(source).map(|prefix| prefix.join(path));
        }
        build::usual_access_log(main)
    }

    /// Where errors are logged without any `error_log`: builds of one and the same main file differ.
    fn error_log(&mut self, source: &mut dyn Source) -> Option<PathBuf> {
        let path = match &self.command.error_log {
            Some(path) => path.clone(),
            None => self.build(source)?.error_log.clone(),
        };
        if Target::error(path.as_os_str().as_bytes()) == Target::Elsewhere {
            return None;
        }
        if path.is_absolute() { Some(path) } else { Some(self.prefix(source)?.join(path)) }
    }
}

/// Notes logs, with their paths made absolute.
struct LogBook<'a, 'b> {
    places: &'a mut Places<'b>,
    source: &'a mut dyn Source,
    known: BTreeSet<(PathBuf, LogPurpose)>,
    /// Whether a path was left out because the prefix is not known.
    lost: bool,
}

impl LogBook<'_, '_> {
    fn add(
        &mut self,
        configuration: &mut Configuration,
        target: &Target<'_>,
        purpose: LogPurpose,
        format: Option<LogFormat>,
    ) {
        let (path, pattern) = match target {
            Target::File(path) => (*path, false),
            Target::Files(path) => (path.as_slice(), true),
            Target::Elsewhere => return,
        };
        // Nothing can be read from there.
        if path == b"/dev/null" {
            return;
        }
        let path = if path.starts_with(b"/") {
            below(Path::new("/"), path)
        } else if let Some(prefix) = self.places.prefix(self.source) {
            below(&prefix, path)
        } else {
            self.lost = true;
            return;
        };
        if configuration.logs.len() < MOST_LOGS && self.known.insert((path.clone(), purpose)) {
            configuration.logs.push(ConfiguredLog { path, purpose, format, pattern });
        }
    }

    /// All logs of these blocks and of those within them.
    fn look(&mut self, block: &[Statement], formats: Option<&Formats>, configuration: &mut Configuration) {
        for statement in block {
            let Some(path) = statement.argument(0) else { continue };
            if statement.is("error_log") {
                self.add(configuration, &Target::error(path), LogPurpose::Error, None);
            } else if statement.is("access_log") && path != b"off" {
                let named = statement.argument(1).filter(|name| !is_option(name));
                let format = match (formats, named) {
                    (Some(formats), Some(name)) => Some(formats.named(name)),
                    (Some(_), None) => Some(Formats::usual()),
                    (None, _) => None,
                };
                self.add(configuration, &Target::access(path), LogPurpose::Access, format);
            }
        }
        for statement in block {
            self.look(&statement.block, formats, configuration);
        }
    }
}

const MOST_LOGS: usize = 1000;

/// Whether an argument of `access_log` is not the format's name.
fn is_option(argument: &[u8]) -> bool {
    argument == b"gzip"
        || [&b"buffer="[..], b"gzip=", b"flush=", b"if="].iter().any(|o| argument.starts_with(o))
}

fn tell(
    statements: &[Statement],
    main: &Path,
    places: &mut Places<'_>,
    source: &mut dyn Source,
    configuration: &mut Configuration,
) {
    let mut servers = servers::Servers::new(places.launch.user);
    let mut book = LogBook { places, source, known: BTreeSet::new(), lost: false };
    let mut files = false;
    for statement in named(statements, "error_log") {
        let path = statement.argument(0).unwrap_or_default();
        // Standard error is a file here; beside the others, the compiled-in one is opened as well.
        files |= !path.starts_with(b"syslog:") && !path.starts_with(b"memory:");
        book.add(configuration, &Target::error(path), LogPurpose::Error, None);
    }
    if !files && let Some(path) = book.places.error_log(book.source) {
        let path = path.as_os_str().as_bytes();
        book.add(configuration, &Target::File(path), LogPurpose::Error, None);
    }
    for http in named(statements, "http") {
        let formats = Formats::of(&http.block, true);
        book.look(&http.block, Some(&formats), configuration);
        let logs = |block: &[Statement]| named(block, "access_log").next().is_some();
        let bare = !logs(&http.block) && named(&http.block, "server").any(|server| !logs(&server.block));
        if bare && let Some(path) = book.places.access_log(main, book.source) {
            let path = path.as_os_str().as_bytes();
            let format = Some(Formats::usual());
            book.add(configuration, &Target::File(path), LogPurpose::Access, format);
        }
        servers.http(&http.block, configuration);
    }
    for name in ["stream", "mail", "rtmp"] {
        for other in named(statements, name) {
            let formats = Formats::of(&other.block, false);
            book.look(&other.block, Some(&formats).filter(|_| name == "stream"), configuration);
            servers.others(&other.block, configuration);
        }
    }
    if book.lost {
        let why = "logs with relative paths are left out: how this nginx was built cannot be read";
        configuration.add_fault(ErrorKind::NotFound, Some(main), None, why);
    }
    servers.finish(configuration);
    let mut paths = servers::Paths::default();
    // The prefix is looked for only where something else needed it: a relative root is told as it is.
    let prefix = book.places.known_prefix();
    paths.look(statements, main.parent().unwrap_or(Path::new("/")), prefix.as_deref());
    paths.finish(configuration);
    for name in ["user", "pid", "worker_processes"] {
        if let Some(statement) = named(statements, name).last() {
            let value: Vec<String> = statement.arguments.iter().map(|a| Escaped(a).to_string()).collect();
            configuration.settings.insert(name.to_owned(), value.join(" "));
        }
    }
}
