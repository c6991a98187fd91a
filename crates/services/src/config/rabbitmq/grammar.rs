//! The three languages of RabbitMQ's files: `key = value` lines, a shell's assignments, and lists of Erlang atoms.

use crate::config::reading::lines;

/// A setting, with the line that it is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) key: String,
    pub(super) value: Vec<u8>,
}

/// `rabbitmq.conf`: its settings, and the lines that are none.
pub(super) fn settings(text: &[u8]) -> (Vec<Setting>, Vec<u32>) {
    let (mut found, mut bad) = (Vec::new(), Vec::new());
    for (number, line) in lines(text) {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        let mut parts = line.splitn(2, |b| *b == b'=');
        let (Some(key), Some(value)) = (parts.next(), parts.next()) else {
            bad.push(number);
            continue;
        };
        let value = value.trim_ascii();
        let value = match value.strip_prefix(b"'") {
            // Between quotes, a comment's sign is part of the value.
            Some(quoted) => quoted.split(|b| *b == b'\'').next().unwrap_or(quoted),
            None => value.split(|b| *b == b'#').next().unwrap_or(value).trim_ascii(),
        };
        let key = String::from_utf8_lossy(key.trim_ascii()).into_owned();
        if key.is_empty() || value.is_empty() {
            bad.push(number);
        } else {
            found.push(Setting { key, value: value.to_vec() });
        }
    }
    (found, bad)
}

/// `rabbitmq-env.conf`, a shell's script: the plain assignments in it, with `RABBITMQ_` before all names, and the lines
/// that only a shell understands.
pub(super) fn assignments(text: &[u8]) -> (Vec<Setting>, Vec<u32>) {
    let (mut found, mut bad) = (Vec::new(), Vec::new());
    for (number, line) in lines(text) {
        let line = line.trim_ascii();
        let line = line.strip_prefix(b"export ").unwrap_or(line).trim_ascii();
        if line.is_empty() || line.starts_with(b"#") {
            continue;
        }
        match assignment(line) {
            Some((key, value)) => {
                let key = if key.starts_with("RABBITMQ_") { key } else { format!("RABBITMQ_{key}") };
                found.push(Setting { key, value });
            }
            None => bad.push(number),
        }
    }
    (found, bad)
}

fn assignment(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let equals = line.iter().position(|b| *b == b'=')?;
    let (key, value) = line.split_at(equals);
    if key.is_empty() || !key.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_') {
        return None;
    }
    let value = value.get(1..)?;
    let (value, rest) = match value {
        [quote @ (b'"' | b'\''), rest @ ..] => rest.split_at(rest.iter().position(|b| b == quote)?),
        value => value.split_at(value.iter().position(u8::is_ascii_whitespace).unwrap_or(value.len())),
    };
    let rest = rest.get(1..).unwrap_or(&[]).trim_ascii();
    let plain =
        !value.iter().any(|b| b"$`\\;&|<>(".contains(b)) && (rest.is_empty() || rest.starts_with(b"#"));
    plain.then(|| (String::from_utf8_lossy(key).into_owned(), value.to_vec()))
}

/// `enabled_plugins`: the names in a list of atoms.
pub(super) fn atoms(text: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    for (_, line) in lines(text) {
        let line = line.split(|b| *b == b'%').next().unwrap_or(line);
        for word in line.split(|b| !(b.is_ascii_alphanumeric() || *b == b'_')) {
            if word.first().is_some_and(u8::is_ascii_lowercase) {
                found.push(String::from_utf8_lossy(word).into_owned());
            }
        }
    }
    found
}
