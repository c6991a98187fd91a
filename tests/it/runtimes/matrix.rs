//! The table of `docs/runtimes.md` and the suites here are about the same runtimes.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Suites about something else than one runtime: the whole chart, and the tests' own means.
const OTHERS: [&str; 3] = ["several", "matrix", "protobuf"];
const COLUMNS: usize = 7;

fn at(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The rows of the table whose last column names suites: the first column, and those.
fn rows() -> Vec<(String, Vec<String>)> {
    let text = fs::read_to_string(at("docs/runtimes.md")).unwrap();
    let mut lines = text.lines().skip_while(|line| !line.ends_with("| tested by |"));
    assert!(lines.next().is_some(), "the table is gone");
    let rows: Vec<_> = lines
        .skip(1)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            assert_eq!(cells.len(), COLUMNS, "{line}");
            assert!(cells.iter().all(|cell| !cell.is_empty()), "{line}");
            let suites = cells[COLUMNS - 1].split(", ").map(|suite| suite.trim_matches('`').to_owned());
            (cells[0].to_owned(), suites.collect())
        })
        .collect();
    assert!(rows.len() > 1, "the table is empty");
    rows
}

/// The files with tests in them, by their path below `tests/it/runtimes`, without the extension.
fn suites() -> BTreeSet<String> {
    let top = at("tests/it/runtimes");
    let (mut waiting, mut found) = (vec![top.clone()], BTreeSet::new());
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if fs::read_to_string(&path).unwrap().contains("#[test]\nfn ") {
                found.insert(path.strip_prefix(&top).unwrap().with_extension("").display().to_string());
            }
        }
    }
    found.into_iter().filter(|suite| !OTHERS.contains(&suite.as_str())).collect()
}

#[test]
fn every_row_of_the_documentation_has_its_suite_and_every_suite_its_row() {
    let suites = suites();
    let mut named = BTreeSet::new();
    for (runtime, tested_by) in rows() {
        for suite in tested_by {
            assert!(suites.contains(&suite), "{runtime}: there is no suite `{suite}` among {suites:?}");
            named.insert(suite);
        }
    }
    let silent: Vec<&String> = suites.difference(&named).collect();
    assert!(silent.is_empty(), "docs/runtimes.md does not tell what these are about: {silent:?}");
}
