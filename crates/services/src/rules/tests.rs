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

/// A directory that vanishes with its test.
struct Directory(std::path::PathBuf);

impl Directory {
    fn of(name: &str, files: &[(&str, &str)]) -> Self {
        let path = std::env::temp_dir().join(format!("portolan-rules-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        for (name, text) in files {
            std::fs::write(path.join(name), text).unwrap();
        }
        Self(path)
    }

    fn refused(name: &str, text: &str) -> String {
        let directory = Self::of(name, &[("a.toml", text)]);
        let error = Rules::built_in().with_directory(&directory.0).unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::InvalidInput, "{error}");
        let message = error.to_string();
        let (_, said) = message.split_once("a.toml").unwrap();
        said.to_owned()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn an_agents_own_rules_go_first() {
    let files = [
        ("b.toml", "[[service]]\nkind = \"acme\"\nwhen = [{ program = [\"b\"] }]\n"),
        (
            "a.toml",
            "[[service]]\nkind = \"redis\"\nports = [1]\nwhen = [{ program = [\"redis-server\"] }]\n\
             [[service]]\nkind = \"nginx\"\ndisabled = true\n[wrappers]\nprogram = [\"acme-init\"]\n",
        ),
        ("c.txt", "nothing of ours"),
    ];
    let directory = Directory::of("own", &files);
    let rules = Rules::built_in().with_directory(&directory.0).unwrap();
    let kinds: Vec<&str> = rules.iter().map(|rule| rule.kind.as_str()).collect();
    assert_eq!(kinds[..2], ["redis", "acme"]);
    assert_eq!(kinds.iter().filter(|kind| **kind == "redis").count(), 2);
    assert!(!kinds.contains(&"nginx"));
    assert!(rules.wrappers().program.contains(&"acme-init".to_owned()));
    assert_eq!(rules.iter().next().unwrap().title, "redis");
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let said =
        Directory::refused("field", "[[service]]\nkind = \"a\"\n[[service.when]]\nprogramm = [\"a\"]\n");
    assert!(said.starts_with(":4: unknown field `programm`, expected one of `program`, `path`"), "{said}");
    let said = Directory::refused("service", "\n[[service]]\nkind = \"a\"\nprogram = [\"a\"]\n");
    assert!(said.starts_with(":4: unknown field `program`, expected one of `kind`, `title`"), "{said}");
    let said = Directory::refused("grammar", "[[service]\n");
    assert!(said.starts_with(":1: "), "{said}");
    for (text, expected) in [
        ("when = [{ port = [80] }]", "decides nothing: it needs program"),
        ("when = [{ argument = [\"a\"] }]", "decides nothing"),
        ("when = [{ called = [\"a\"] }]", "decides nothing"),
        ("when = [{ script = [\"a\"], called = [\"a\"] }]", "says how the program is called"),
        ("when = [{ program = [\"a\"], title = [\"a\"] }]", "which needs a language beside it"),
        ("when = [{ language = [\"cobol\"] }]", "names a language \"cobol\"; there are dotnet, erlang"),
        ("when = [{ program = [\"*\"] }]", "has a pattern in program that everything fits"),
        ("when = []", "has no [[service.when]]"),
        ("when = [{ program = [\"a\"] }]\nunless = [{}]", "so that it would always hold"),
    ] {
        let said = Directory::refused("judged", &format!("# first\n[[service]]\nkind = \"a\"\n{text}\n"));
        assert!(said.starts_with(":2: ") && said.contains(expected), "{text}: {said}");
    }
    let said = Directory::refused("kind", "[[service]]\nkind = \"A b\"\nwhen = [{ program = [\"a\"] }]\n");
    assert!(said.contains("is no kind"), "{said}");
    let said = Directory::refused("unknown", "[[service]]\nkind = \"unknown\"\ndisabled = true\n");
    assert!(said.contains("what no rule knows"), "{said}");
}

#[test]
fn what_is_no_file_is_refused() {
    let missing = Rules::built_in().with_directory(Path::new("/nonexistent/portolan"));
    assert_eq!(missing.unwrap_err().kind(), crate::ErrorKind::NotFound);
    let directory = Directory::of("directory", &[]);
    std::fs::create_dir(directory.0.join("a.toml")).unwrap();
    let error = Rules::built_in().with_directory(&directory.0).unwrap_err();
    assert!(error.to_string().ends_with("a.toml: it is no regular file"), "{error}");
}
