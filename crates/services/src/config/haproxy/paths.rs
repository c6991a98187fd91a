//! Files that HAProxy's configuration names, and that it would not start without.

use std::collections::BTreeMap;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use super::sections::{Line, Reading};
use crate::config::values::Values;
use crate::configuration::Configuration;

/// Notes them, by the words that name them. Relative ones are made absolute as HAProxy does.
pub(super) fn tell(reading: &Reading<'_>, directory: &Path, configuration: &mut Configuration) {
    let mut paths: BTreeMap<&'static str, Values> = BTreeMap::new();
    let mut bases = Bases { default: Default::Current, directory, certificates: None, authorities: None };
    for section in &reading.sections {
        for line in &section.lines {
            if section.kind == b"global" || section.kind == b"crt-store" {
                bases.note(line);
            }
            look(line, &bases, &mut paths);
        }
    }
    for (name, values) in paths {
        values.finish(name, configuration);
    }
}

/// The option of a `default-path`.
enum Default {
    Current,
    Config,
    Parent,
    Origin(PathBuf),
}

/// What relative paths are relative to.
struct Bases<'a> {
    default: Default,
    directory: &'a Path,
    certificates: Option<PathBuf>,
    authorities: Option<PathBuf>,
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(std::ffi::OsString::from_vec(bytes.to_vec()))
}

impl Bases<'_> {
    fn note(&mut self, line: &Line) {
        match (line.word(0), line.word(1)) {
            (b"crt-base", base) => self.certificates = Some(path(base)),
            (b"ca-base", base) => self.authorities = Some(path(base)),
            (b"default-path", b"config") => self.default = Default::Config,
            (b"default-path", b"parent") => self.default = Default::Parent,
            (b"default-path", b"origin") => self.default = Default::Origin(path(line.word(2))),
            (b"default-path", b"current") => self.default = Default::Current,
            _ => {}
        }
    }

    fn resolve(&self, line: &Line, base: Option<&PathBuf>, name: &[u8]) -> PathBuf {
        let directory = match &self.default {
            Default::Current => self.directory.to_owned(),
            Default::Config => line.file.parent().unwrap_or(Path::new("/")).to_owned(),
            Default::Parent => line.file.parent().and_then(Path::parent).unwrap_or(Path::new("/")).to_owned(),
            Default::Origin(origin) => self.directory.join(origin),
        };
        directory.join(base.cloned().unwrap_or_default()).join(path(name))
    }
}

fn look(line: &Line, bases: &Bases<'_>, paths: &mut BTreeMap<&'static str, Values>) {
    let mut note = |name: &'static str, base: Option<&PathBuf>, value: &[u8]| {
        // Some are kept elsewhere than in files: `@system-ca`, `virt@name`.
        if !value.is_empty() && !value.contains(&b'@') {
            let full = bases.resolve(line, base, value);
            paths.entry(name).or_default().add(full.as_os_str().as_bytes());
        }
    };
    match line.word(0) {
        b"errorfile" => note("errorfile", None, line.word(2)),
        b"lua-load" => note("lua-load", None, line.word(1)),
        b"lua-load-per-thread" => note("lua-load-per-thread", None, line.word(1)),
        b"ssl-dh-param-file" => note("ssl-dh-param-file", None, line.word(1)),
        b"server-state-file" => note("server-state-file", None, line.word(1)),
        b"backing-file" => note("backing-file", None, line.word(1)),
        b"chroot" | b"pidfile" => return,
        _ => {}
    }
    let (certificates, authorities) = (bases.certificates.as_ref(), bases.authorities.as_ref());
    for (place, word) in line.words.iter().enumerate().skip(1) {
        let value = line.word(place.saturating_add(1));
        match word.as_slice() {
            b"crt" => note("crt", certificates, value),
            b"crt-list" => note("crt-list", None, value),
            b"ca-file" | b"ca-verify-file" => note("ca-file", authorities, value),
            b"crl-file" => note("crl-file", authorities, value),
            b"-f" => note("-f", None, value),
            b"file" | b"lf-file" => note("file", None, value),
            b"config" if line.is(&["filter"]) => note("config", None, value),
            _ => {}
        }
        // `hdr(host),map_dom(/etc/haproxy/hosts.map,default)`
        let mut left = word.as_slice();
        while let Some(at) = left.windows(3).position(|part| part == b"map") {
            left = left.get(at.saturating_add(3)..).unwrap_or(&[]);
            let kind = left.iter().take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_').count();
            if let Some(inner) = left.get(kind..).and_then(|rest| rest.strip_prefix(b"(")) {
                let end = inner.iter().position(|byte| matches!(byte, b',' | b')')).unwrap_or(inner.len());
                note("map", None, inner.get(..end).unwrap_or(&[]));
            }
        }
    }
}
