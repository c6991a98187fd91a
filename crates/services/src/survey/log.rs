//! A service's logs: those that its processes hold open, and those that its configuration names.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use portolan_linux::Process;
use portolan_linux::error::FileKind;
use portolan_linux::identity::Identity;

use super::draft::Draft;
use crate::config::Wanted;
use crate::configuration::{ConfiguredLog, LogFormat, LogPurpose};
use crate::inside::Inside;
use crate::logs::open::{DESCRIPTORS, is_named_so, log_files_among};
use crate::logs::place::{Mapping, Place, Seen};
use crate::rules::wild;
use crate::service::LogFile;

/// So many processes of a service are looked at for logs that its first one does not hold.
const PROCESSES: usize = 8;
/// So many logs of a service are told.
const MOST: usize = 200;

/// Finds the logs of services that see the same files.
pub(super) struct Finder<'a> {
    mapping: Option<&'a Mapping>,
    /// The mounts that they see, once they were read.
    seen: Option<Seen>,
}

impl<'a> Finder<'a> {
    pub(super) fn new(mapping: Option<&'a Mapping>) -> Self {
        Self { mapping, seen: None }
    }

    /// What the processes of a service hold open.
    pub(super) fn open(&mut self, draft: &mut Draft<'_>) {
        let configured = draft.configuration.logs.iter().filter(|log| !log.pattern);
        let wanted: Vec<PathBuf> = configured.map(|log| log.path.clone()).collect();
        let patterns = draft.configuration.logs.iter().any(|log| log.pattern);
        for (at, member) in draft.group.members.iter().take(PROCESSES).enumerate() {
            // A worker inherits what its master has, and has more only where that does not have all.
            let missing =
                || patterns || wanted.iter().any(|path| !draft.logs.iter().any(|log| log.path == *path));
            if at > 0 && (draft.configuration.logs.is_empty() || !missing()) {
                return;
            }
            let Ok(process) = Process::reopen(member.id) else { continue };
            let Ok(found) = log_files_among(&process, DESCRIPTORS, &mut self.seen) else { continue };
            for file in found.files {
                let path = PathBuf::from(OsString::from_vec(file.path.clone()));
                let of = draft.configuration.logs.iter().find(|log| names(log, &path));
                let is_log = of.is_some() || is_log(&path, draft.configuration.data_directory.as_deref());
                let known = draft.logs.iter().any(|log| log.path == path);
                if !is_log || known || draft.logs.len() >= MOST {
                    continue;
                }
                let (purpose, format) = described(of, &path);
                let place = match (self.mapping, &self.seen) {
                    (Some(mapping), Some(seen)) => mapping.of_file_among(seen, &file),
                    _ => Place::Helper("our own mounts cannot be read"),
                };
                let (host_path, host_path_missing) = told(place);
                let (open, pattern) = (true, false);
                draft.logs.push(LogFile {
                    path,
                    purpose,
                    format,
                    host_path,
                    host_path_missing,
                    pattern,
                    open,
                });
            }
        }
    }

    /// What there is to look at for the logs that the configuration names and nobody holds open.
    pub(super) fn foresee(draft: &Draft<'_>) -> Vec<Wanted> {
        left(draft).filter(|log| !log.pattern).map(|log| Wanted::Look(log.path.clone())).collect()
    }

    /// The logs that the configuration names and nobody holds open.
    pub(super) fn named(&mut self, draft: &mut Draft<'_>, inside: &mut Inside<'_>) {
        let named: Vec<LogFile> = left(draft).map(|log| self.of_named(log, inside)).collect();
        draft.logs.extend(named);
        draft.logs.truncate(MOST);
    }

    fn of_named(&mut self, log: &ConfiguredLog, inside: &mut Inside<'_>) -> LogFile {
        let (purpose, format) = described(Some(log), &log.path);
        let place = if log.pattern { None } else { Some(self.place(&log.path, inside)) };
        let (host_path, host_path_missing) = place.map_or((None, None), told);
        let (path, pattern, open) = (log.path.clone(), log.pattern, false);
        LogFile { path, purpose, format, host_path, host_path_missing, pattern, open }
    }

    fn place(&mut self, path: &Path, inside: &mut Inside<'_>) -> Place {
        let stat = inside.stat(path);
        // It is written to all the time, which changes nothing about where it is.
        inside.forget(path);
        let stat = match stat {
            Ok(stat) if stat.kind == FileKind::Regular => stat,
            Ok(_) => return Place::Helper("it is no regular file"),
            Err(unread) if unread.is_missing() => return Place::Helper("it is not there"),
            Err(_) => return Place::Helper("it cannot be looked at"),
        };
        if self.seen.is_none() {
            self.seen = Seen::of(inside.process()).ok();
        }
        let (Some(mapping), Some(seen)) = (self.mapping, &self.seen) else {
            return Place::Helper("its mounts cannot be read");
        };
        mapping.of_path_among(seen, path, &identity(&stat))
    }
}

/// The logs of a configuration that are not among those that are open. A pattern of which one is open is told by that.
fn left<'a>(draft: &'a Draft<'_>) -> impl Iterator<Item = &'a ConfiguredLog> {
    let open = |log: &ConfiguredLog| draft.logs.iter().any(|known| names(log, &known.path));
    draft.configuration.logs.iter().filter(move |log| !open(log))
}

/// Whether a configured log is this file.
fn names(log: &ConfiguredLog, path: &Path) -> bool {
    log.path == path
        || log.pattern && wild::matches(log.path.as_os_str().as_bytes(), path.as_os_str().as_bytes())
}

/// Files are also appended to by who keeps data in them: a log is named like one, or lies outside of the data.
fn is_log(path: &Path, data: Option<&Path>) -> bool {
    const DATA: [&str; 12] =
        ["aof", "db", "sqlite", "wal", "rdb", "ldb", "sst", "pid", "lock", "journal", "idx", "dat"];
    let below = data.and_then(|data| path.strip_prefix(data).ok());
    if let Some(below) = below {
        return below
            .components()
            .any(|name| ["log", "logs", "pg_log"].iter().any(|log| name.as_os_str() == *log));
    }
    let ending = path.extension().and_then(|ending| ending.to_str());
    is_named_so(path.as_os_str().as_bytes()) || !ending.is_some_and(|ending| DATA.contains(&ending))
}

/// What is in a log, by the configuration, else by its name.
fn described(of: Option<&ConfiguredLog>, path: &Path) -> (LogPurpose, Option<LogFormat>) {
    if let Some(log) = of {
        return (log.purpose, log.format.clone());
    }
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let purpose = [("access", LogPurpose::Access), ("slow", LogPurpose::Slow), ("err", LogPurpose::Error)];
    let purpose = purpose.into_iter().find(|(word, _)| name.contains(word));
    (purpose.map_or(LogPurpose::General, |(_, purpose)| purpose), None)
}

fn told(place: Place) -> (Option<PathBuf>, Option<&'static str>) {
    match place {
        Place::Host(path) => (Some(path), None),
        Place::Helper(why) => (None, Some(why)),
        Place::Deleted => (None, Some("it was deleted, and only who holds it open has it")),
    }
}

fn identity(stat: &portolan_files::Stat) -> Identity {
    let half = |number: u64| u32::try_from(number & u64::from(u32::MAX)).unwrap_or(0);
    Identity {
        device: (half(stat.device >> 32), half(stat.device)),
        inode: stat.inode,
        kind: stat.kind,
        size: stat.size,
        links: stat.links,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_that_is_appended_to_is_no_log() {
        let is = |path: &str, data: Option<&str>| is_log(path.as_ref(), data.map(Path::new));
        assert!(is("/var/log/x", None) && is("/srv/output.txt", None));
        assert!(!is("/var/lib/redis/appendonlydir/appendonly.aof.1.incr.aof", Some("/var/lib/redis")));
        assert!(!is("/var/lib/redis/x.aof", None));
        assert!(!is("/srv/kafka/topic-0/00000.log", Some("/srv/kafka")));
        assert!(is("/srv/pg/log/postgresql.csv", Some("/srv/pg")));
    }
}
