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

#[test]
fn kinds_and_their_other_names_do_not_collide() {
    let mut names: std::collections::BTreeMap<String, String> = std::collections::BTreeMap::new();
    let mut kinds = 0;
    for rule in Rules::built_in().iter() {
        kinds += 1;
        for name in std::iter::once(&rule.kind).chain(&rule.aliases) {
            let other = names.insert(name.clone(), rule.kind.clone());
            assert_eq!(other, None, "{name} of {}", rule.kind);
        }
    }
    assert!(kinds > 300, "{kinds}");
}

#[test]
fn titles_and_categories_are_all_there() {
    for rule in Rules::built_in().iter() {
        assert!(!rule.title.is_empty() && !rule.category.is_empty(), "{}", rule.kind);
        assert!(!rule.disabled, "{}", rule.kind);
    }
}
