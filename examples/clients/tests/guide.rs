//! `docs/dialers.md` and the examples say the same.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

use std::fs;
use std::path::{Path, PathBuf};

/// Where the guide links to.
const EXAMPLES: &str = "../examples/clients/src/";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn guide() -> String {
    fs::read_to_string(root().join("docs/dialers.md")).unwrap()
}

/// The text, however it is broken into lines.
fn squeezed(text: &str) -> String {
    text.split_whitespace().collect()
}

#[test]
fn every_block_of_code_is_cut_from_its_file() {
    let guide = guide();
    let mut blocks = 0;
    for (before, rest) in guide.match_indices("```rust\n").map(|(at, fence)| guide.split_at(at + fence.len()))
    {
        let code = rest.split("```").next().unwrap();
        let link = before.lines().rev().nth(1).unwrap();
        let file = link.split_once(EXAMPLES).and_then(|(_, rest)| rest.strip_suffix(')'));
        let file = file.unwrap_or_else(|| panic!("no file is named before {code}"));
        let text = fs::read_to_string(root().join("examples/clients/src").join(file)).unwrap();
        assert!(squeezed(&text).contains(&squeezed(code)), "not in {file}: {code}");
        blocks += 1;
    }
    assert!(blocks > 10, "{blocks} blocks");
}

#[test]
fn every_example_is_linked_and_every_link_leads_somewhere() {
    let guide = guide();
    for entry in fs::read_dir(root().join("examples/clients/src")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(
            name == "lib.rs" || guide.contains(&format!("]({EXAMPLES}{name})")),
            "{name} is not in the guide"
        );
    }
    for (at, _) in guide.match_indices("](../") {
        let link = guide[at + 2..].split(')').next().unwrap();
        assert!(root().join("docs").join(link).exists(), "{link} leads nowhere");
    }
}

#[test]
fn every_headline_that_is_linked_to_is_there() {
    let guide = guide();
    let anchor = |line: &str| line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
    let there: Vec<String> = guide.lines().filter(|line| line.starts_with('#')).map(anchor).collect();
    for (at, _) in guide.match_indices("](#") {
        let wanted = guide[at + 3..].split(')').next().unwrap();
        assert!(there.iter().any(|have| have == wanted), "#{wanted} is not there");
    }
}
