//! `log4j2.properties`: the files of those appenders that some logger uses.

use std::path::Path;

use crate::config::properties::{self, Property};
use crate::config::reading::{Reading, path_of};
use crate::configuration::{LogFormat, LogPurpose};

/// Notes the files. `property` is what the names of the server's own properties begin with.
pub(super) fn of(reading: &mut Reading<'_>, directory: &Path, property: &str, base: &Path, cluster: &str) {
    let file = directory.join("log4j2.properties");
    let Some(text) = reading.file_if_there(&file, "configuration of log4j") else { return };
    let properties = properties::parse(&text);
    let used: Vec<&[u8]> =
        properties.iter().filter(|p| p.key.ends_with(".ref")).map(|p| p.value.as_slice()).collect();
    for Property { key, value, line } in &properties {
        let Some(prefix) = key.strip_suffix(".fileName").filter(|key| key.starts_with("appender.")) else {
            continue;
        };
        let of = |name: &str| properties::last(&properties, &format!("{prefix}.{name}"));
        if !of("name").is_some_and(|name| used.contains(&name)) {
            continue;
        }
        let Some(path) = substitute(&String::from_utf8_lossy(value), property, base, cluster) else {
            reading.fault(Some((&file, *line)), "it needs a property that is not known");
            continue;
        };
        let slow = path.contains("slowlog");
        let format = of("layout.type").map(|layout| LogFormat {
            name: String::from_utf8_lossy(layout).into_owned(),
            text: of("layout.pattern").map(|pattern| String::from_utf8_lossy(pattern).into_owned()),
        });
        let purpose = if slow { LogPurpose::Slow } else { LogPurpose::General };
        reading.log(path_of(path.as_bytes()), purpose, format, false);
    }
}

/// What stands for the server's own properties; nothing where another is needed.
fn substitute(value: &str, property: &str, base: &Path, cluster: &str) -> Option<String> {
    let base = base.to_str()?;
    let found = value
        .replace("${sys:file.separator}", "/")
        .replace(&format!("${{sys:{property}.logs.base_path}}"), base)
        .replace(&format!("${{sys:{property}.logs.cluster_name}}"), cluster);
    (!found.contains("${")).then_some(found)
}
