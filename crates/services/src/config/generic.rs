//! Configurations that no reader knows: which files they are, and nothing of what they say.
//!
//! What a service was told to read is taken from its arguments; else it is looked where the rule for its kind says, and
//! last where services of any kind have it. A file is only told if it is there.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use portolan_linux::error::FileKind;

use super::Wanted;
use crate::configuration::Configuration;
use crate::launch::Launch;
use crate::rules::Rule;
use crate::source::Source;

/// Options whose value is a configuration in most programs that have them.
const OPTIONS: [&str; 16] = [
    "-c",
    "-f",
    "-C",
    "--config",
    "-config",
    "--config-file",
    "-config-file",
    "--config.file",
    "-config.file",
    "--configfile",
    "--config_file",
    "--conf",
    "-conf",
    "--conf-file",
    "--cfg",
    "--settings",
];
/// How the names of configurations end.
const ENDINGS: [&str; 12] =
    ["conf", "cfg", "cnf", "config", "ini", "toml", "yaml", "yml", "json", "xml", "properties", "hcl"];
/// Nothing but its place says that a file is a service's configuration.
pub(crate) const USUAL: &str = "usual place";
/// So many arguments are looked at.
const MOST: usize = 32;

/// Where a file may be, and what says so.
type Candidate = (PathBuf, &'static str);

/// What will be looked at.
pub(crate) fn foresee(rule: &Rule, launch: &Launch) -> Vec<Wanted> {
    let (told, usual) = (told(launch), usual(rule, launch));
    told.into_iter().chain(usual).map(|(path, _)| Wanted::Look(path)).collect()
}

/// The files that are there.
pub(crate) fn read(rule: &Rule, launch: &Launch, source: &mut dyn Source) -> Configuration {
    let mut configuration = Configuration::default();
    let mut is_there = |(path, _): &Candidate| source.kind(path) == Ok(FileKind::Regular);
    let mut there: Vec<Candidate> = told(launch).into_iter().filter(&mut is_there).collect();
    if there.is_empty() {
        there.extend(usual(rule, launch).into_iter().find(is_there));
    }
    for (path, by) in there {
        configuration.add_file(path, by);
    }
    configuration
}

/// What the arguments name.
fn told(launch: &Launch) -> Vec<Candidate> {
    let options = launch.options(&OPTIONS).into_iter().filter(|value| !value.is_empty());
    let mut all: Vec<Candidate> = options.map(|value| (launch.resolve(value), "argument")).collect();
    let values = launch.arguments.iter().skip(1).filter_map(|argument| {
        let value = match argument.iter().position(|byte| *byte == b'=') {
            Some(at) if argument.starts_with(b"-") => argument.get(at.checked_add(1)?..)?,
            _ => argument.as_slice(),
        };
        let path = Path::new(OsStr::from_bytes(value));
        let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default();
        // What lies there is configuration, whatever its name.
        let place = ["/etc", "/usr/local/etc"].iter().any(|place| path.starts_with(place));
        let is_one = place || ENDINGS.contains(&ending);
        (!value.starts_with(b"-") && is_one).then(|| (launch.resolve(path), "argument"))
    });
    all.extend(values);
    let mut unique: Vec<Candidate> = Vec::new();
    for candidate in all.into_iter().take(MOST) {
        if !unique.contains(&candidate) {
            unique.push(candidate);
        }
    }
    unique
}

/// Where the rule says, and where services have their configurations.
fn usual(rule: &Rule, launch: &Launch) -> Vec<Candidate> {
    let mut all: Vec<Candidate> = rule.configs.iter().map(|path| (PathBuf::from(path), USUAL)).collect();
    if !all.is_empty() {
        return all;
    }
    // Of a runtime, the program says nothing about what it runs.
    let program = std::str::from_utf8(launch.name()).ok().filter(|_| !rule.runtime || rule.when.is_empty());
    for name in [program, Some(rule.kind.as_str()).filter(|_| !rule.runtime)].into_iter().flatten() {
        for path in [
            format!("/etc/{name}/{name}.conf"),
            format!("/etc/{name}.conf"),
            format!("/etc/{name}/{name}.cfg"),
            format!("/etc/{name}/{name}.ini"),
            format!("/etc/{name}/{name}.toml"),
            format!("/etc/{name}/{name}.yml"),
            format!("/etc/{name}/{name}.yaml"),
            format!("/etc/{name}/config.toml"),
            format!("/etc/{name}/config.yml"),
            format!("/etc/{name}/config.yaml"),
        ] {
            all.push((path.into(), USUAL));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Memory;

    fn rule(kind: &str) -> Rule {
        toml::from_str(&format!("kind = '{kind}'\ntitle = ''\ncategory = ''\nwhen = [{{ program = ['x'] }}]"))
            .unwrap()
    }

    fn files(rule: &Rule, launch: &Launch, files: &[&str]) -> Vec<(String, &'static str)> {
        let files: Vec<(&str, &str)> = files.iter().map(|path| (*path, "")).collect();
        let configuration = read(rule, launch, &mut Memory::of(&files));
        let all = configuration.files.into_iter();
        all.map(|file| (file.path.to_str().unwrap().to_owned(), file.by)).collect()
    }

    #[test]
    fn what_the_arguments_name_goes_before_what_is_usual() {
        let arguments = [
            "thingd",
            "-c",
            "/srv/a",
            "--rules=/srv/b.yml",
            "-d",
            "-c/srv/none",
            "c.toml",
            "/etc/thing/main",
        ];
        let launch = Launch::test("/usr/sbin/thingd", &arguments, &[]);
        let there = ["/srv/a", "/srv/b.yml", "/c.toml", "/etc/thing/main", "/etc/thingd.conf"];
        let told =
            ["/srv/a", "/srv/b.yml", "/c.toml", "/etc/thing/main"].map(|path| (path.to_owned(), "argument"));
        assert_eq!(files(&rule("thing"), &launch, &there), told);
        let usual = [("/etc/thingd.conf".to_owned(), USUAL)];
        assert_eq!(files(&rule("thing"), &launch, &there[4..]), usual);
    }

    #[test]
    fn directories_and_what_is_not_there_are_no_files() {
        let launch = Launch::test("/usr/sbin/thingd", &["thingd", "-c", "/srv"], &[]);
        assert_eq!(files(&rule("thing"), &launch, &["/srv/x"]), []);
    }
}
