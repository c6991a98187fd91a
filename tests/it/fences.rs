//! Rules that the source keeps: where `unsafe` may stand, and how long a file may be.

use std::fs;
use std::path::{Path, PathBuf};

/// The files that may hold `unsafe`.
const UNSAFE: [&str; 6] = [
    "crates/linux/src/sys.rs",
    "helper/src/sys.rs",
    "helper/src/confine/sys.rs",
    "helper/src/seal/sys.rs",
    "helper/src/serve/sys.rs",
    "tests/world/src/sys.rs",
];
const MOST_LINES: usize = 600;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Rust files below some directories of the repository, by their paths in it.
fn sources(directories: &[&str]) -> Vec<(String, String)> {
    let mut waiting: Vec<PathBuf> = directories.iter().map(|directory| root().join(directory)).collect();
    let mut found = Vec::new();
    while let Some(path) = waiting.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
            waiting.extend(entries.filter(|path| path.file_name() != Some("target".as_ref())));
        } else if path.extension() == Some("rs".as_ref()) {
            let name = path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
            found.push((name, fs::read_to_string(&path).unwrap()));
        }
    }
    assert!(found.len() > 10, "only {}", found.len());
    found
}

/// Whether a line of code, its comment and its texts left out, has this as a word of its own.
fn has_word(line: &str, word: &str) -> bool {
    let mut code = String::new();
    let mut quoted = false;
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' => quoted = !quoted,
            '\\' if quoted => drop(characters.next()),
            '/' if !quoted && characters.peek() == Some(&'/') => break,
            c if !quoted => code.push(c),
            _ => {}
        }
    }
    code.split(|c: char| !c.is_alphanumeric() && c != '_').any(|part| part == word)
}

#[test]
fn unsafe_stands_only_in_the_files_for_it() {
    let mut with: Vec<String> = Vec::new();
    for (path, text) in sources(&["crates", "helper", "tests", "examples"]) {
        let lines = text.lines().enumerate().filter(|(_, line)| has_word(line, "unsafe"));
        let lines: Vec<usize> = lines.map(|(number, _)| number + 1).collect();
        if !lines.is_empty() {
            assert!(UNSAFE.contains(&path.as_str()), "{path}: unsafe in the lines {lines:?}");
            with.push(path);
        }
    }
    assert_eq!(with.len(), UNSAFE.len(), "or this test looks at nothing: {with:?}");
}

#[test]
fn every_crate_forbids_or_denies_unsafe() {
    let roots = sources(&["crates", "helper"])
        .into_iter()
        .filter(|(path, _)| path.ends_with("/src/lib.rs") || path.ends_with("/src/main.rs"));
    let mut count = 0;
    for (path, text) in roots {
        let fenced = text.contains("#![forbid(unsafe_code)]") || text.contains("#![deny(unsafe_code)]");
        assert!(fenced, "{path}");
        count += 1;
    }
    assert!(count >= 8, "{count}");
}

#[test]
fn no_file_is_too_long_without_its_tests() {
    for (path, text) in sources(&["crates", "helper"]) {
        let lines = text.lines().take_while(|line| *line != "#[cfg(test)]").count();
        assert!(lines <= MOST_LINES, "{path} has {lines} lines");
    }
}
