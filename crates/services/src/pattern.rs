//! What `glob(3)` means by a pattern, in the language of `portolan_files`, which has more wildcards.
//!
//! Services hand their patterns to the C library. There, braces and two stars in a row are nothing special, and a
//! bracket that nothing closes before the next slash is a character.

/// The pattern that matches here what this one matches there.
pub(crate) fn of_glob(pattern: &[u8]) -> Vec<u8> {
    let mut meant = Vec::with_capacity(pattern.len());
    let mut left = pattern;
    while let Some((byte, rest)) = left.split_first() {
        left = rest;
        match byte {
            b'\\' => {
                meant.push(b'\\');
                match rest.split_first() {
                    Some((next, after)) => {
                        meant.push(*next);
                        left = after;
                    }
                    None => meant.push(b'\\'),
                }
            }
            b'[' => match set(rest) {
                Some(length) => {
                    meant.push(b'[');
                    meant.extend(rest.get(..length).unwrap_or(&[]));
                    left = rest.get(length..).unwrap_or(&[]);
                }
                None => meant.extend(b"\\["),
            },
            b'{' | b'}' => meant.extend([b'\\', *byte]),
            b'*' if meant.ends_with(b"*") && !meant.ends_with(b"\\*") => {}
            byte => meant.push(*byte),
        }
    }
    meant
}

/// The length of a set after its first bracket; `None` if it has no end.
fn set(text: &[u8]) -> Option<usize> {
    let mut at = usize::from(matches!(text.first(), Some(b'!' | b'^')));
    let start = at;
    loop {
        match text.get(at)? {
            b'/' => return None,
            b']' if at > start => return Some(at.saturating_add(1)),
            b'\\' => at = at.saturating_add(2),
            // A class such as `[:digit:]`.
            b'[' if text.get(at.saturating_add(1)) == Some(&b':') => {
                let inner = text.get(at.saturating_add(2)..)?;
                let end = inner.windows(2).position(|two| two == b":]")?;
                at = at.saturating_add(end).saturating_add(4);
            }
            _ => at = at.saturating_add(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_c_library_knows_is_a_wildcard() {
        for (pattern, meant) in [
            ("/a/*.conf", "/a/*.conf"),
            ("/a/**/b", "/a/*/b"),
            ("/a/***", "/a/*"),
            ("/a/\\**", "/a/\\**"),
            ("/{a,b}/?", "/\\{a,b\\}/?"),
            ("/[a-z]*", "/[a-z]*"),
            ("/[]a]", "/[]a]"),
            ("/[!]]x", "/[!]]x"),
            ("/[[:digit:]]", "/[[:digit:]]"),
            ("/a[]/b]", "/a\\[]/b]"),
            ("/a[", "/a\\["),
            ("/a\\", "/a\\\\"),
            ("/a\\{*", "/a\\{*"),
        ] {
            assert_eq!(String::from_utf8(of_glob(pattern.as_bytes())).unwrap(), meant, "{pattern}");
        }
    }
}
