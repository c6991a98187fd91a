//! What is compiled into an nginx: where its main file and its logs are unless it is told otherwise.
//!
//! `nginx -V` prints the arguments of `configure`, so they are in the program's file as one text. Nothing else tells
//! Debian's prefix from Alpine's; the file is looked through only where that matters.

use std::path::{Path, PathBuf};

use portolan_files::Find;

use crate::launch::Launch;
use crate::source::Source;

/// What `configure` was told, with its own defaults for the rest. Relative paths are relative to the prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Build {
    /// `None`: the directory that it is started in.
    pub(super) prefix: Option<PathBuf>,
    pub(super) main: PathBuf,
    pub(super) error_log: PathBuf,
    pub(super) access_log: PathBuf,
}

/// Larger programs are not looked through to their end: `OpenResty` has its libraries inside.
const MOST_BYTES: u64 = 32 * 1024 * 1024;
/// More than any such text has.
const LONGEST: u32 = 16 * 1024;
const MARK: &[u8] = b"configure arguments:";

impl Build {
    /// Looks through the program's file.
    pub(super) fn of(launch: &Launch, source: &mut dyn Source) -> Option<Self> {
        if launch.deleted || launch.program.as_os_str().is_empty() {
            return None;
        }
        let find = Find {
            texts: vec![MARK.to_vec()],
            at_lines: false,
            before: 0,
            after: LONGEST,
            offset: 0,
            max_looked: MOST_BYTES,
            max_places: 1,
            max_bytes: u64::from(LONGEST),
        };
        let found = source.find(&launch.program, &find).ok()?;
        let place = found.places.first()?;
        let rest = place.bytes.get(place.at.saturating_add(MARK.len())..)?;
        let end = rest.iter().position(|byte| matches!(byte, b'\n' | b'\0'))?;
        Some(Self::parse(&String::from_utf8_lossy(rest.get(..end)?)))
    }

    /// From the arguments of `configure`.
    fn parse(arguments: &str) -> Self {
        let value = |option: &str| {
            let found = words(arguments).into_iter().rev().find_map(|word| {
                word.strip_prefix(option).and_then(|rest| rest.strip_prefix('=')).map(str::to_owned)
            });
            found.map(PathBuf::from)
        };
        let prefix = match value("--prefix") {
            None => Some(PathBuf::from("/usr/local/nginx")),
            Some(none) if none.as_os_str().is_empty() || none == Path::new("!") => None,
            given => given,
        };
        Self {
            prefix,
            main: value("--conf-path").unwrap_or_else(|| "conf/nginx.conf".into()),
            error_log: value("--error-log-path").unwrap_or_else(|| "logs/error.log".into()),
            access_log: value("--http-log-path").unwrap_or_else(|| "logs/access.log".into()),
        }
    }
}

/// Main files in the usual places, for a program that does not say: by where it lies itself.
pub(super) fn usual_mains(program: &Path) -> Vec<PathBuf> {
    let mut mains = Vec::new();
    let name = program.file_name().unwrap_or_default();
    if name == "angie" || name == "angie-debug" {
        mains.push(PathBuf::from("/etc/angie/angie.conf"));
    }
    let above = program.parent().and_then(Path::parent).unwrap_or(Path::new("/"));
    if !["/usr", "/"].iter().any(|system| above == Path::new(system)) {
        // A build from source, OpenResty's too, has all it needs below its prefix.
        mains.push(above.join("conf/nginx.conf"));
        mains.push(above.join("etc/nginx/nginx.conf"));
    }
    mains.push("/etc/nginx/nginx.conf".into());
    mains
}

/// Where all builds with this main file log requests, if a build cannot be looked at.
pub(super) fn usual_access_log(main: &Path) -> Option<PathBuf> {
    let (from_source, directory) = (Path::new("conf/nginx.conf"), main.parent()?);
    if main == Path::new("/etc/nginx/nginx.conf") {
        Some("/var/log/nginx/access.log".into())
    } else if main == Path::new("/etc/angie/angie.conf") {
        Some("/var/log/angie/access.log".into())
    } else if main.ends_with(from_source) {
        Some(directory.parent()?.join("logs/access.log"))
    } else {
        None
    }
}

/// Words as a shell reads them, as far as `configure` writes them: some are in single quotes.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for letter in text.chars() {
        match letter {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            _ => words.last_mut().map_or((), |word| word.push(letter)),
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    #[test]
    fn a_program_says_how_it_was_built() {
        let launch = Launch::test("/usr/sbin/nginx", &[], &[]);
        let mut program = vec![7_u8; 3 * 1024 * 1024 - 30];
        program.extend(b"configure arguments: --with-cc-opt='-O2 --prefix=/no' --prefix=/usr/share/nginx ");
        program.extend(b"--conf-path=/etc/nginx/nginx.conf --error-log-path=stderr\n\0");
        program.extend([0; 99]);
        let mut files = Memory::default().with("/usr/sbin/nginx", &program);
        let build = Build::of(&launch, &mut files).unwrap();
        assert_eq!(build.prefix, Some("/usr/share/nginx".into()));
        assert_eq!(build.main, Path::new("/etc/nginx/nginx.conf"));
        assert_eq!(build.error_log, Path::new("stderr"));
        assert_eq!(build.access_log, Path::new("logs/access.log"));
    }

    #[test]
    fn a_program_that_does_not_say_has_none() {
        let launch = Launch::test("/usr/sbin/nginx", &[], &[]);
        assert_eq!(Build::of(&launch, &mut Memory::default()), None);
        let mut files = Memory::of(&[("/usr/sbin/nginx", "configure arguments: cut")]);
        assert_eq!(Build::of(&launch, &mut files), None);
        assert_eq!(Build::parse("").prefix, Some("/usr/local/nginx".into()));
    }
}
