//! What the built-in rules promise, and what is refused of an agent's own.

use super::*;

#[test]
fn all_built_in_files_can_be_read() {
    for (name, text) in BUILT_IN {
        if let Err(error) = load::parse(Path::new(name), text) {
            panic!("{error}");
        }
    }
}
