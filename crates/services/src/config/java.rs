//! A command line of `java`: what it runs, with what properties.

use std::path::PathBuf;

use super::properties::{self, Property};
use super::reading::{Reading, host, number, path_of};
use crate::configuration::{LogFormat, LogPurpose, Purpose};
use crate::launch::Launch;

/// A command line, taken apart.
#[derive(Debug, Default)]
pub(crate) struct Java {
    /// What follows the main class.
    pub(crate) arguments: Vec<Vec<u8>>,
    /// `-D`.
    properties: Vec<(Vec<u8>, Vec<u8>)>,
    /// Directories and archives.
    classpath: Vec<PathBuf>,
}

/// Options that have their value in the next argument.
const VALUED: &[&[u8]] = &[
    b"-cp",
    b"-classpath",
    b"--class-path",
    b"-p",
    b"--module-path",
    b"--upgrade-module-path",
    b"--add-modules",
    b"--add-opens",
    b"--add-exports",
    b"--add-reads",
    b"--limit-modules",
    b"--patch-module",
    b"--enable-native-access",
    b"--source",
];

/// Of a value that others are put into.
const LONGEST: usize = 4096;

impl Java {
    pub(crate) fn of(launch: &Launch) -> Self {
        let mut java = Self::default();
        let mut classpath = launch.variable("CLASSPATH").unwrap_or_default();
        let mut left = launch.arguments.iter().skip(1).map(Vec::as_slice);
        while let Some(argument) = left.next() {
            if let Some(property) = argument.strip_prefix(b"-D") {
                let mut parts = property.splitn(2, |b| *b == b'=');
                let name = parts.next().unwrap_or_default().to_vec();
                java.properties.push((name, parts.next().unwrap_or_default().to_vec()));
            } else if VALUED.contains(&argument) {
                let value = left.next().unwrap_or_default();
                if [&b"-cp"[..], b"-classpath", b"--class-path"].contains(&argument) {
                    classpath = value;
                }
            } else if [&b"-jar"[..], b"-m", b"--module"].contains(&argument) {
                left.next();
                break;
            } else if !argument.starts_with(b"-") && !argument.starts_with(b"@") {
                break;
            }
        }
        java.arguments = left.map(<[u8]>::to_vec).collect();
        let parts = classpath.split(|b| *b == b':').filter(|part| !part.is_empty());
        java.classpath = parts.map(|part| launch.resolve(path_of(part))).collect();
        java
    }

    /// The last value of a property.
    pub(crate) fn property(&self, name: &str) -> Option<&[u8]> {
        let known = self.properties.iter().rev().find(|(known, _)| known == name.as_bytes());
        known.map(|(_, value)| value.as_slice())
    }

    /// Where its state is told to JMX clients.
    pub(crate) fn jmx(&self, reading: &mut Reading<'_>) {
        let port = self.property("com.sun.management.jmxremote.port").and_then(number::<u16>);
        if let Some(port) = port.filter(|port| *port != 0) {
            let name = self.property("com.sun.management.jmxremote.host").unwrap_or_default();
            reading.listen(host(name, port), None, Purpose::Status);
        }
    }

    /// Where log4j is configured: where a property says, or the first directory of the class path that has a file.
    fn log4j(&self, reading: &mut Reading<'_>) -> Option<(PathBuf, Vec<Property>)> {
        let named = self.property("log4j.configuration").map(|url| {
            let path = url.strip_prefix(b"file:").unwrap_or(url);
            // `file:///x` and `file:/x` are the same.
            let slashes = path.iter().take_while(|b| **b == b'/').count();
            path.get(slashes.saturating_sub(1)..).unwrap_or(path)
        });
        let candidates: Vec<PathBuf> = match named {
            Some(path) if path.starts_with(b"/") => vec![path_of(path)],
            named => {
                let name = path_of(named.unwrap_or(b"log4j.properties"));
                let archive = |path: &&PathBuf| path.extension().is_some_and(|e| e == "jar" || e == "*");
                self.classpath
                    .iter()
                    .filter(|path| !archive(path))
                    .map(|path| path.join(&name))
                    .take(4)
                    .collect()
            }
        };
        for path in candidates {
            if path.extension().is_some_and(|extension| extension == "properties")
                && let Some(text) = reading.file_if_there(&path, "configuration of log4j")
            {
                return Some((path, properties::parse(&text)));
            }
        }
        None
    }

    /// The files that log4j (its first version) is told to write.
    pub(crate) fn logs(&self, reading: &mut Reading<'_>) {
        let Some((path, properties)) = self.log4j(reading) else { return };
        let mut used: Vec<String> = Vec::new();
        for Property { key, value, .. } in &properties {
            let logger = ["log4j.rootLogger", "log4j.rootCategory"].contains(&key.as_str())
                || key.starts_with("log4j.logger.")
                || key.starts_with("log4j.category.");
            if logger && let Some(value) = self.substitute(value, &properties) {
                let names = value.split(|b| *b == b',').skip(1);
                used.extend(names.map(|name| String::from_utf8_lossy(name.trim_ascii()).into_owned()));
            }
        }
        for Property { key, value, line } in &properties {
            let Some(name) = key.strip_prefix("log4j.appender.").and_then(|key| key.strip_suffix(".File"))
            else {
                continue;
            };
            if !used.iter().any(|known| known == name) {
                continue;
            }
            match self.substitute(value, &properties).filter(|file| !file.is_empty()) {
                Some(file) => {
                    let layout = format!("log4j.appender.{name}.layout.ConversionPattern");
                    let layout = properties::last(&properties, &layout);
                    let format = layout.map(|text| LogFormat {
                        name: name.to_owned(),
                        text: Some(String::from_utf8_lossy(text).into_owned()),
                    });
                    let file = reading.launch.resolve(path_of(&file));
                    reading.log(file, LogPurpose::General, format, false);
                }
                None => reading.fault(Some((&path, *line)), "it needs a property that is not known"),
            }
        }
    }

    /// A value with what `${}` stands for; nothing where that is not known, or has no end.
    fn substitute(&self, value: &[u8], properties: &[Property]) -> Option<Vec<u8>> {
        let mut found = Vec::new();
        let mut rest = value.to_vec();
        // Values may need other values, and so on.
        for _ in 0..32 {
            let Some(at) = rest.windows(2).position(|pair| pair == b"${") else {
                found.extend(rest);
                return Some(found);
            };
            if rest.len() > LONGEST {
                return None;
            }
            let (before, after) = rest.split_at(at);
            found.extend_from_slice(before);
            let after = after.get(2..)?;
            let end = after.iter().position(|b| *b == b'}')?;
            let name = std::str::from_utf8(after.get(..end)?).ok()?;
            let meant = self.property(name).or_else(|| properties::last(properties, name))?;
            rest = [meant, after.get(end.saturating_add(1)..)?].concat();
        }
        None
    }
}
