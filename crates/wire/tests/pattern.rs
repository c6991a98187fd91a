//! Patterns: what they match, what is refused, and that no pattern takes long.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation
)]

use portolan_wire::pattern::{Pattern, PatternError};

fn matches(pattern: &str, path: impl AsRef<[u8]>) -> bool {
    Pattern::parse(pattern.as_bytes()).unwrap().matches(path.as_ref())
}

#[test]
fn names() {
    for (pattern, yes, no) in [
        (
            "/etc/*.conf",
            vec!["/etc/a.conf", "//etc//a.conf"],
            vec!["/etc/.a.conf", "/etc/a.conf.bak", "/etc/d/a.conf"],
        ),
        ("/*", vec!["/a", "/a*"], vec!["/", "/.a", "/a/b"]),
        ("/.*", vec!["/.a"], vec!["/a"]),
        ("/a?c", vec!["/abc", "/aéc"], vec!["/ac", "/abbc"]),
        ("/[a-cx]", vec!["/a", "/c", "/x"], vec!["/d", "/-"]),
        ("/[!a-c]", vec!["/d"], vec!["/a", "/.", "/dd"]),
        ("/[^a-c]", vec!["/d"], vec!["/a"]),
        ("/[]a]", vec!["/]", "/a"], vec!["/b"]),
        ("/[a-]", vec!["/a", "/-"], vec!["/b"]),
        ("/[à-ü]", vec!["/é"], vec!["/e"]),
        ("/[[:digit:]_]", vec!["/7", "/_"], vec!["/a"]),
        ("/\\*", vec!["/*"], vec!["/a"]),
        ("/a\\[b", vec!["/a[b"], vec!["/ab"]),
        ("/{a,b{c,d}}/x", vec!["/a/x", "/bc/x", "/bd/x"], vec!["/b/x", "/abc/x"]),
        ("/a{,b}", vec!["/a", "/ab"], vec!["/b"]),
        ("/[{]", vec!["/{"], vec!["/a"]),
        ("/**/x", vec!["/x", "/a/x", "/a/b/x"], vec!["/.a/x", "/a/.b/x", "/a/y"]),
        ("/a/**", vec!["/a", "/a/b", "/a/b/c"], vec!["/b", "/a/.b"]),
        ("/a/*/", vec!["/a/b/"], vec!["/a/b"]),
        ("/", vec!["/"], vec!["/a"]),
    ] {
        for path in yes {
            assert!(matches(pattern, path), "{pattern} should match {path}");
        }
        for path in no {
            assert!(!matches(pattern, path), "{pattern} should not match {path}");
        }
    }
    assert!(matches("/a?c", b"/a\xffc"), "a byte that is no UTF-8 is one character");
    assert!(matches("/*", b"/\n\xfe\x1b"));
}

#[test]
fn malformed() {
    for (pattern, why) in [
        ("", PatternError::NotAbsolute),
        ("etc/*", PatternError::NotAbsolute),
        ("/[a", PatternError::OpenBracket),
        ("/[a/b]", PatternError::OpenBracket),
        ("/[", PatternError::OpenBracket),
        ("/[]", PatternError::OpenBracket),
        ("/{a,b", PatternError::OpenBrace),
        ("/a}", PatternError::OpenBrace),
        ("/a\\", PatternError::TrailingBackslash),
        ("/[b-a]", PatternError::BadRange),
        ("/[[:no:]]", PatternError::BadRange),
        ("/a\0b", PatternError::Nul),
    ] {
        assert_eq!(Pattern::parse(pattern.as_bytes()), Err(why), "{pattern:?}");
    }
    assert_eq!(Pattern::parse(&[b'/'; 5000]), Err(PatternError::TooLong));
    assert_eq!(Pattern::parse("/a".repeat(65).as_bytes()), Err(PatternError::TooDeep));
    assert_eq!(Pattern::parse("/{a,b}".repeat(7).as_bytes()), Err(PatternError::TooManyAlternatives));
    assert_eq!(Pattern::parse(("/".to_owned() + &"{".repeat(4000)).as_bytes()), Err(PatternError::OpenBrace));
}

#[test]
fn no_pattern_is_a_bomb() {
    // Quadratic at the worst: 255 x 4000 steps. An exponential matcher would not come back.
    let stars = format!("/{}b", "*a".repeat(2000));
    assert!(!matches(&stars, format!("/{}", "a".repeat(255))));
    let deep = format!("/{}x", "**/".repeat(60));
    assert!(!matches(&deep, "/a".repeat(2000)));
    // Braces that stand for few patterns can still be many: each pair would cost a look at all of the text.
    let alternatives = "{a,b}".repeat(6);
    for pairs in ["{}".repeat(600), "{".repeat(600) + &"}".repeat(600), "{x}".repeat(600)] {
        for before in ["", &alternatives] {
            let pattern = format!("/{before}{}{pairs}", "[x]".repeat(600));
            assert_eq!(Pattern::parse(pattern.as_bytes()), Err(PatternError::TooManyAlternatives));
        }
    }
    assert!(matches(&format!("/{}", "{x}".repeat(200)), format!("/{}", "x".repeat(200))));
}

#[test]
fn agrees_with_the_shell() {
    // `case` of sh(1) knows the same wildcards for one name; it is the oracle here.
    let names = ["a", "ab", "a.conf", "b-1", "-", "]", "x]", "é", "*", "a*b", "[a]", "10", "Z"];
    let patterns =
        ["*", "?", "a*", "*b", "[a-z]", "[!a-z]*", "*.conf", "[]x]*", "a\\*b", "[0-9][0-9]", "[[:upper:]]"];
    for pattern in patterns {
        for name in names {
            let script = format!("case \"$1\" in {pattern}) exit 0;; esac; exit 1");
            let mut shell = std::process::Command::new("bash");
            let status = shell.env("LC_ALL", "C.UTF-8").args(["-c", &script, "sh", name]).status().unwrap();
            assert_eq!(
                matches(&format!("/{pattern}"), format!("/{name}")),
                status.success(),
                "{pattern} on {name}"
            );
        }
    }
}
