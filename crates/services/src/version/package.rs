//! What package databases say: dpkg's and apk's, of which the helper sends the paragraphs that are wanted.
//!
//! A package answers for a service when its name is one that the rule has, and its files are where only packages put
//! them. Where several would do and differ, or none is named, the database's lists of files decide.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use portolan_files::Find;
use portolan_linux::error::Escaped;

use super::{Asked, upstream};
use crate::config::Wanted;
use crate::rules::wild;
use crate::service::Version;
use crate::source::Source;

const DPKG: &str = "/var/lib/dpkg/status";
/// A file for each package, in images that are built without dpkg.
const DPKG_PARTS: &str = "/var/lib/dpkg/status.d/*";
const APK: [&str; 2] = ["/lib/apk/db/installed", "/usr/lib/apk/db/installed"];

/// Databases are up to some megabytes.
const MOST_LOOKED: u64 = 16 * 1024 * 1024;
/// Of one rule's patterns.
const MOST_PLACES: u64 = 256;
/// dpkg writes a package's version among its first fields: some hundred bytes.
const DPKG_AFTER: u32 = 1024;
/// apk writes a package's files behind it.
const APK_AFTER: u32 = 8 * 1024;
/// The lists of so many packages are looked through.
const MOST_CANDIDATES: usize = 16;
/// The least that a name must begin with to be looked for.
const LEAST_PREFIX: usize = 2;

/// What is asked of the databases of one container, for all its services at once.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    finds: Vec<(PathBuf, Find)>,
}

/// An installed package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    architecture: String,
    /// The makers' part of the version.
    upstream: String,
    database: &'static str,
    /// Whether the program is among its files; `None` where that was not told.
    owns: Option<bool>,
}

impl Plan {
    pub(crate) fn of(asked: &[Asked<'_>]) -> Self {
        let mut names = BTreeSet::new();
        for asked in asked {
            names.extend(wanted_names(asked));
        }
        // What begins with another one is found with it.
        let mut kept: Vec<Vec<u8>> = Vec::new();
        for name in names {
            if !kept.last().is_some_and(|before| name.starts_with(before)) {
                kept.push(name);
            }
        }
        let mut finds = Vec::new();
        let most = Find::MOST_TEXTS;
        for names in kept.chunks(most) {
            let find = |begin: &[u8], after| Find {
                texts: names.iter().map(|name| [begin, name].concat()).collect(),
                at_lines: true,
                before: 0,
                after,
                offset: 0,
                max_looked: MOST_LOOKED,
                max_places: MOST_PLACES,
                max_bytes: MOST_PLACES.saturating_mul(1024),
            };
            finds.push((PathBuf::from(DPKG), find(b"Package: ", DPKG_AFTER)));
            finds.extend(APK.map(|path| (PathBuf::from(path), find(b"P:", APK_AFTER))));
        }
        Self { finds }
    }

    pub(crate) fn foresee(&self) -> impl Iterator<Item = Wanted> {
        self.finds.iter().map(|(path, find)| Wanted::Find(path.clone(), find.clone()))
    }

    /// The package that a service's program is of.
    pub(crate) fn tell(&self, asked: &Asked<'_>, source: &mut dyn Source) -> Option<Version> {
        let subject = asked.subject.as_ref()?;
        if wanted_names(asked).is_empty() {
            return None;
        }
        let mut candidates = self.candidates(asked, source)?;
        if candidates.iter().any(|package| package.owns == Some(true)) {
            candidates.retain(|package| package.owns == Some(true));
        }
        candidates.retain(|package| package.owns != Some(false));
        // Machine code is not in packages that are the same for all machines.
        if !subject.interpreted && candidates.iter().any(|package| !package.is_for_all()) {
            candidates.retain(|package| !package.is_for_all());
        }
        let first = candidates.first()?;
        let proven = first.owns == Some(true);
        let agree = candidates.iter().all(|package| package.upstream == first.upstream);
        let named = !asked.rule.packages.is_empty();
        let plausible = subject.interpreted || !first.is_for_all();
        if !(proven || agree && named && plausible && subject.of_distribution) {
            candidates = owners(candidates, asked, source);
        }
        let first = candidates.first()?;
        if candidates.iter().any(|package| package.upstream != first.upstream) {
            return None;
        }
        // The one to name: of the service's own name, else the shortest.
        let weight = |package: &&Package| (package.name != asked.rule.kind, package.name.len());
        let package = candidates.iter().min_by_key(weight)?;
        let Package { name, version, database, .. } = package;
        let source = format!("package {} {} ({database})", escaped(name), escaped(version));
        Some(Version { text: escaped(&package.upstream), source })
    }

    /// The installed packages whose names fit, of the first database that there is; `None` where more would fit than
    /// were sent.
    fn candidates(&self, asked: &Asked<'_>, source: &mut dyn Source) -> Option<Vec<Package>> {
        let mut packages = Vec::new();
        let mut there = false;
        for (path, find) in &self.finds {
            let Ok(findings) = source.find(path, find) else { continue };
            if findings.truncated {
                return None;
            }
            let dpkg = path == Path::new(DPKG);
            for finding in &findings.places {
                let text = finding.bytes.get(finding.at..).unwrap_or(&[]);
                packages.extend(if dpkg { of_dpkg(text) } else { of_apk(text, asked) });
            }
            there = true;
        }
        if !there {
            let parts = source.include(Path::new(DPKG_PARTS));
            for (_, content) in parts.files {
                packages.extend(content.ok().and_then(|content| of_dpkg(&content)));
            }
        }
        packages.retain(|package| fits(asked, &package.name));
        packages.sort_by(|a, b| a.name.cmp(&b.name));
        // `/lib` and `/usr/lib` may be one.
        packages.dedup();
        Some(packages)
    }
}

impl Package {
    fn is_for_all(&self) -> bool {
        matches!(self.architecture.as_str(), "all" | "noarch")
    }
}

/// How the names of wanted packages begin; whole ones end with a newline.
fn wanted_names(asked: &Asked<'_>) -> Vec<Vec<u8>> {
    if asked.subject.is_none() || (asked.rule.runtime && asked.name != asked.rule.kind) {
        return Vec::new();
    }
    let whole = |name: &[u8]| [name, b"\n"].concat();
    let mut names: Vec<Vec<u8>> = Vec::new();
    for pattern in &asked.rule.packages {
        let literal = pattern.split(['*', '?']).next().unwrap_or("");
        if literal.len() == pattern.len() {
            names.push(whole(literal.as_bytes()));
        } else {
            names.push(literal.as_bytes().to_vec());
        }
    }
    if asked.rule.packages.is_empty() {
        names.extend(own_name(asked).map(whole));
    }
    names.retain(|name| (LEAST_PREFIX..200).contains(&name.len()) && name.iter().all(|b| *b != 0));
    names
}

/// What a package is called that nobody named: as its program.
fn own_name<'a>(asked: &'a Asked<'_>) -> Option<&'a [u8]> {
    let subject = asked.subject.as_ref().filter(|subject| !subject.interpreted)?;
    subject.path.file_name().map(std::ffi::OsStr::as_bytes)
}

fn fits(asked: &Asked<'_>, name: &str) -> bool {
    if asked.rule.packages.is_empty() {
        return own_name(asked) == Some(name.as_bytes());
    }
    asked.rule.packages.iter().any(|pattern| wild::matches(pattern.as_bytes(), name.as_bytes()))
}

/// Those of them that have the program in their lists of files.
fn owners(candidates: Vec<Package>, asked: &Asked<'_>, source: &mut dyn Source) -> Vec<Package> {
    let Some(subject) = &asked.subject else { return Vec::new() };
    let forms: Vec<Vec<u8>> = subject.forms().into_iter().map(|form| [&form, &b"\n"[..]].concat()).collect();
    let longest = forms.iter().map(Vec::len).max().unwrap_or(0);
    let (Ok(after), true) = (u32::try_from(longest), longest <= Find::LONGEST_TEXT) else {
        return Vec::new();
    };
    let find = Find {
        texts: forms,
        at_lines: true,
        before: 0,
        after,
        offset: 0,
        max_looked: MOST_LOOKED,
        max_places: 1,
        max_bytes: 4096,
    };
    let dpkg = candidates.into_iter().filter(|package| package.database == "dpkg");
    let candidates: Vec<Package> = dpkg.take(MOST_CANDIDATES).collect();
    let lists = |package: &Package| {
        let Package { name, architecture, .. } = package;
        [format!("/var/lib/dpkg/info/{name}.list"), format!("/var/lib/dpkg/info/{name}:{architecture}.list")]
    };
    let wanted: Vec<Wanted> =
        candidates.iter().flat_map(lists).map(|list| Wanted::Find(list.into(), find.clone())).collect();
    source.foresee(&wanted);
    let mut owners = candidates;
    owners.retain(|package| {
        lists(package)
            .iter()
            .any(|list| source.find(Path::new(list), &find).is_ok_and(|found| !found.places.is_empty()))
    });
    owners
}

/// A paragraph of dpkg's database, if it is of an installed package (`deb-control(5)`, `dpkg-query(1)`).
fn of_dpkg(text: &[u8]) -> Option<Package> {
    let (mut name, mut version, mut architecture, mut status) = (None, None, None, None);
    for line in paragraph(text).0.split(|b| *b == b'\n') {
        let value = |field: &str| line.strip_prefix(field.as_bytes()).map(<[u8]>::trim_ascii);
        for (field, into) in [
            ("Package:", &mut name),
            ("Version:", &mut version),
            ("Architecture:", &mut architecture),
            ("Status:", &mut status),
        ] {
            if into.is_none() {
                *into = value(field);
            }
        }
    }
    // `want flag status`; images without dpkg leave it out. Of one that was removed the configuration may be left.
    let installed = status.is_none_or(|status| {
        matches!(
            status.rsplit(|b| *b == b' ').next(),
            Some(b"installed" | b"unpacked" | b"half-configured" | b"triggers-awaited" | b"triggers-pending")
        )
    });
    let (name, version) = (word(name?)?, word(version?)?);
    let upstream = upstream::of_debian(&version).to_owned();
    let architecture = word(architecture?)?;
    (installed && !upstream.is_empty()).then_some(Package {
        name,
        version,
        architecture,
        upstream,
        database: "dpkg",
        owns: None,
    })
}

/// A paragraph of apk's database. Its letters: `P` name, `V` version, `A` architecture, `F` a directory, `R` a file in it.
fn of_apk(text: &[u8], asked: &Asked<'_>) -> Option<Package> {
    let (paragraph, whole) = paragraph(text);
    let (mut name, mut version, mut architecture) = (None, None, None);
    let forms = asked.subject.as_ref().map(super::place::Subject::forms).unwrap_or_default();
    let (mut directory, mut owns) = (&b""[..], false);
    for line in paragraph.split(|b| *b == b'\n') {
        let Some((letter, value)) = line.split_at_checked(2) else { continue };
        match letter {
            b"P:" => name = name.or(Some(value)),
            b"V:" => version = version.or(Some(value)),
            b"A:" => architecture = architecture.or(Some(value)),
            b"F:" => directory = value,
            b"R:" => {
                let is = |form: &Vec<u8>| {
                    let below = form.strip_prefix(b"/").and_then(|form| form.strip_prefix(directory));
                    below.and_then(|below| below.strip_prefix(b"/")) == Some(value)
                };
                owns |= forms.iter().any(is);
            }
            _ => {}
        }
    }
    let (name, version) = (word(name?)?, word(version?)?);
    let upstream = upstream::of_alpine(&version);
    let owns = (owns || whole).then_some(owns);
    Some(Package { name, architecture: word(architecture?)?, upstream, version, database: "apk", owns })
}

/// Up to the empty line that ends it, and whether it has that.
fn paragraph(text: &[u8]) -> (&[u8], bool) {
    let end = text.windows(2).position(|two| two == b"\n\n");
    match end {
        Some(end) => (text.get(..end).unwrap_or(text), true),
        // What was cut off in the middle of a line is no line.
        None => (text.get(..text.iter().rposition(|b| *b == b'\n').unwrap_or(0)).unwrap_or(text), false),
    }
}

/// A name or a version as packages may have it; anything else is no database's.
fn word(bytes: &[u8]) -> Option<String> {
    let fine = |b: &u8| b.is_ascii_alphanumeric() || b"+-.:~_".contains(b);
    let sane = (1..=128).contains(&bytes.len()) && bytes.iter().all(fine);
    sane.then(|| String::from_utf8(bytes.to_vec()).ok()).flatten()
}

fn escaped(text: &str) -> String {
    Escaped(text.as_bytes()).to_string()
}
