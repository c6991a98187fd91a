//! The names that older files of a log have: `NAME.1`, `NAME.2` (Docker, LXC), `NAME.20240501-100000` (the kubelet), and
//! the same with `.gz`.

use std::cmp::Reverse;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// More names than this are not looked through.
const MAX_NAMES: usize = 16 * 1024;
/// More older files than this are not kept.
const MAX_FILES: usize = 1024;

/// The older files of a log.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Older {
    /// Those that are read, the newest first.
    pub(super) plain: Vec<PathBuf>,
    /// How many are compressed.
    pub(super) compressed: usize,
}

/// How old, the newest first: numbers grow with age, times with youth.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Age {
    Number(u32),
    Time(Reverse<Vec<u8>>),
}

pub(super) fn older(path: &Path) -> Older {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { return Older::default() };
    let entries = std::fs::read_dir(directory).into_iter().flatten().take(MAX_NAMES).flatten();
    let mut found = Older::default();
    let mut plain: Vec<(Age, PathBuf)> = Vec::new();
    for entry in entries {
        match age(name, &entry.file_name()) {
            Some((age, false)) if plain.len() < MAX_FILES => {
                plain.push((age, directory.join(entry.file_name())));
            }
            Some((_, true)) => found.compressed = found.compressed.saturating_add(1),
            _ => {}
        }
    }
    plain.sort();
    found.plain = plain.into_iter().map(|(_, path)| path).collect();
    found
}

/// The age that a name says, and whether the file is compressed.
fn age(name: &OsStr, other: &OsStr) -> Option<(Age, bool)> {
    let rest = other.as_bytes().strip_prefix(name.as_bytes())?.strip_prefix(b".")?;
    let (rest, compressed) = rest.strip_suffix(b".gz").map_or((rest, false), |rest| (rest, true));
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let age = match rest.split(|b| *b == b'-').collect::<Vec<_>>().as_slice() {
        [number] if digits(number) && number.len() < 7 => {
            Age::Number(std::str::from_utf8(number).ok()?.parse().ok()?)
        }
        [date, time] if date.len() == 8 && time.len() == 6 && digits(date) && digits(time) => {
            Age::Time(Reverse(rest.to_vec()))
        }
        _ => return None,
    };
    Some((age, compressed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages() {
        let mut all: Vec<_> = ["l.2", "l.10", "l.1", "l.20240501-100000", "l.20240502-090000"]
            .iter()
            .map(|name| (age(OsStr::new("l"), OsStr::new(name)).unwrap().0, *name))
            .collect();
        all.sort();
        let names: Vec<_> = all.iter().map(|(_, name)| *name).collect();
        assert_eq!(names, ["l.1", "l.2", "l.10", "l.20240502-090000", "l.20240501-100000"]);
        assert!(age(OsStr::new("l"), OsStr::new("l.3.gz")).unwrap().1);
        for other in ["l", "l.", "l.x", "l.1.tmp", "l.2024-1", "m.1", "l.1234567", "l.gz", "l.-"] {
            assert!(age(OsStr::new("l"), OsStr::new(other)).is_none(), "{other}");
        }
    }
}
