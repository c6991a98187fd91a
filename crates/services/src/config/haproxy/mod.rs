//! HAProxy.
//!
//! Its files are those of its arguments, one after the other; a directory stands for the files in it whose names end
//! with `.cfg`. There are no includes. It has no default file either: where no argument can be seen, the usual ones are
//! looked for.

mod address;
mod command;
mod condition;
mod paths;
mod proxies;
mod sections;
mod status;
#[cfg(test)]
mod tests;
mod words;

use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use portolan_linux::ErrorKind;
use portolan_linux::error::{Escaped, FileKind};

use self::command::{Command, USUAL};
use self::sections::{Reading, Section};
use self::words::Variables;
use super::values::Values;
use super::{Reader, Wanted};
use crate::configuration::{Configuration, Purpose};
use crate::launch::Launch;
use crate::source::Source;

pub(crate) const READER: Reader = Reader { name: "haproxy", foresee, read };

fn foresee(launch: &Launch) -> Vec<Wanted> {
    let command = Command::of(launch);
    if command.files.is_empty() {
        return USUAL.iter().map(|path| Wanted::Read(path.into())).collect();
    }
    command.files.iter().map(|file| Wanted::Read(command.resolve(file))).collect()
}

fn read(launch: &Launch, source: &mut dyn Source) -> Configuration {
    let mut configuration = Configuration::default();
    let command = Command::of(launch);
    let mut reading = Reading::new(Variables::of(launch), command.local_peer.clone());
    let mut files: Vec<(PathBuf, &'static str)> = Vec::new();
    for file in &command.files {
        files.extend(expanded(&command.resolve(file), source, &mut configuration));
    }
    if command.files.is_empty() {
        let usual = USUAL.iter().map(PathBuf::from).find(|path| source.read(path).is_ok());
        files.extend(usual.map(|path| (path, "usual place")));
        if files.is_empty() {
            let why = "no argument names a configuration, and there is none in the usual places";
            configuration.add_fault(ErrorKind::NotFound, None, None, why);
        }
    }
    for (path, by) in files {
        match source.read(&path) {
            Ok(text) => {
                configuration.add_file(&path, by);
                reading.file(&path, &text, &mut configuration);
            }
            Err(unread) => {
                if !unread.is_missing() {
                    configuration.add_file(&path, by);
                }
                configuration.add_fault(unread.kind, Some(&path), None, &unread);
            }
        }
    }
    let unix_prefix = global(&reading, &command, &mut configuration);
    proxies::tell(&reading, &unix_prefix, &mut configuration);
    paths::tell(&reading, &command.directory, &mut configuration);
    configuration
}

/// To manage one process, one or two are usual.
const MOST_SOCKETS: usize = 1000;

/// The files that an argument stands for.
fn expanded(
    path: &Path,
    source: &mut dyn Source,
    configuration: &mut Configuration,
) -> Vec<(PathBuf, &'static str)> {
    if source.kind(path) != Ok(FileKind::Directory) {
        return vec![(path.to_owned(), "argument -f")];
    }
    let mut pattern = Vec::new();
    for byte in path.as_os_str().as_bytes() {
        if b"*?[]\\".contains(byte) {
            pattern.push(b'\\');
        }
        pattern.push(*byte);
    }
    pattern.extend(b"/*.cfg");
    let pattern = PathBuf::from(std::ffi::OsStr::from_bytes(&pattern));
    // Sorted by name, and hidden ones left out: as a glob does.
    let included = source.include(&pattern);
    if let Some(unread) = included.incomplete {
        configuration.add_fault(unread.kind, Some(path), None, &unread);
    }
    // Directories with such names are passed over.
    let directory = |kind: ErrorKind| kind == ErrorKind::NotRegular(FileKind::Directory);
    let files = included.files.into_iter();
    let files = files.filter(|(_, content)| !content.as_ref().is_err_and(|unread| directory(unread.kind)));
    files.map(|(file, _)| (file, "in the directory of argument -f")).collect()
}

/// Notes what is said of the process as a whole; gives what paths of sockets begin with.
fn global(reading: &Reading<'_>, command: &Command, configuration: &mut Configuration) -> Vec<u8> {
    const TOLD: &[&str] = &[
        "chroot",
        "user",
        "group",
        "uid",
        "gid",
        "maxconn",
        "nbthread",
        "nbproc",
        "node",
        "localpeer",
        "description",
        "pidfile",
    ];
    let globals: Vec<&Section> =
        reading.sections.iter().filter(|section| section.kind == b"global").collect();
    let lines = || globals.iter().flat_map(|section| &section.lines);
    let prefix =
        lines().filter(|line| line.is(&["unix-bind"])).filter_map(|line| line.after("prefix")).next_back();
    let prefix = prefix.unwrap_or(&[]).to_vec();
    for line in lines() {
        if let Some(name) = TOLD.iter().find(|name| line.is(&[name])) {
            configuration.settings.insert((*name).to_owned(), Escaped(line.word(1)).to_string());
        }
        if line.is(&["stats", "socket"]) && configuration.listens.len() < MOST_SOCKETS {
            match address::parse(&reading.variables.expand(line.word(2)), &prefix) {
                Ok(addresses) => {
                    for address in addresses {
                        configuration.add_listen(address, Some(line.has("ssl")), Purpose::Admin);
                    }
                }
                Err(wrong) => {
                    let why = format!("stats socket {}: that is no address that is known", Escaped(&wrong));
                    configuration.add_fault(
                        ErrorKind::InvalidInput,
                        Some(&line.file),
                        Some(line.number),
                        why,
                    );
                }
            }
        }
    }
    for master in &command.masters {
        // Options come after the address, with commas.
        let text = master.split(|byte| *byte == b',').next().unwrap_or(&[]);
        for address in address::parse(text, b"").unwrap_or_default() {
            configuration.add_listen(address, Some(false), Purpose::Admin);
        }
    }
    let mut logs = Values::default();
    for section in &reading.sections {
        for line in section.lines.iter().filter(|line| line.is(&["log"]) && line.word(1) != b"global") {
            logs.add(line.word(1));
        }
    }
    logs.finish("log", configuration);
    prefix
}
