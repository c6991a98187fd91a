//! What fuzzing begins with, and whatever it found before, checked without a fuzzer (`fuzz/README.md`).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use std::path::Path;

#[path = "../../../fuzz/checks.rs"]
mod checks;

fn all(target: &str, check: fn(&[u8])) {
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let mut seeds = 0;
    for folder in ["seeds", "regressions"] {
        // A target that never failed has no folder of regressions.
        let Ok(files) = fuzz.join(folder).join(target).read_dir() else { continue };
        for file in files {
            let path = file.unwrap().path();
            println!("{}", path.display());
            check(&std::fs::read(path).unwrap());
            seeds += 1;
        }
    }
    assert!(seeds > 0, "no seeds for {target}");
}

#[test]
fn decoder() {
    all("decoder", checks::decoder);
}

#[test]
fn request() {
    all("request", checks::request);
}

#[test]
fn mountinfo() {
    all("mountinfo", checks::mountinfo);
}

#[test]
fn pattern() {
    all("pattern", checks::pattern);
}

#[test]
fn ids() {
    all("ids", checks::ids);
}
