//! `watch`: a line for each change.

use portolan::Update;

use super::coloured;

/// What changed.
pub(crate) fn update(update: &Update) -> String {
    let mut text = update.diff.to_string();
    if let Some(count) = update.short_lived.filter(|count| *count > 0) {
        let processes = if count == 1 { "process" } else { "processes" };
        text.push_str(&format!("  {count} {processes} started and ended meanwhile\n"));
    }
    if coloured() {
        let lines = text.lines().map(|line| match line.as_bytes().first() {
            Some(b'+') => format!("\x1b[32m{line}\x1b[0m\n"),
            Some(b'-') => format!("\x1b[31m{line}\x1b[0m\n"),
            Some(b'~') => format!("\x1b[33m{line}\x1b[0m\n"),
            _ => format!("{line}\n"),
        });
        text = lines.collect();
    }
    text
}
