//! The document has a test for every fallback, and every test that it names is there.

use std::fs;
use std::path::Path;

/// The rows of all tables as cells, without their heads.
fn rows(document: &str) -> Vec<Vec<&str>> {
    let rows = document.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| feature |"));
    rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect()).collect()
}

#[test]
fn every_row_of_the_document_names_tests_that_are_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let document = fs::read_to_string(root.join("docs/kernel-features.md")).unwrap();
    let rows = rows(&document);
    assert!(rows.len() > 20, "only {}", rows.len());
    let mut named = 0;
    for row in rows {
        assert_eq!(row.len(), 5, "{row:?}");
        let tests: Vec<(&str, &str)> = row[4].split('`').filter_map(|word| word.split_once("::")).collect();
        assert!(!tests.is_empty(), "no test: {row:?}");
        for (file, test) in tests {
            let text = fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            let found = text.split_once(&format!("fn {test}("));
            let (before, _) = found.unwrap_or_else(|| panic!("{file} has no {test}"));
            // The attribute is right before it.
            let attribute = before.trim_end().lines().last().unwrap_or("").trim();
            assert!(attribute.starts_with("#[test]"), "{file}: {test} is no test but {attribute}");
            named += 1;
        }
    }
    assert!(named > 30, "only {named}");
}
