//! Patterns over one text: `*` is any bytes, `?` one byte; all else is itself.

/// Whether a text as a whole fits a pattern. It takes time in proportion to the product of both lengths at most.
pub(crate) fn matches(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0_usize, 0_usize);
    // Where the last `*` was, and where the text went on after it.
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p = p.saturating_add(1);
            }
            Some(b'?') => (p, t) = (p.saturating_add(1), t.saturating_add(1)),
            Some(byte) if text.get(t) == Some(byte) => (p, t) = (p.saturating_add(1), t.saturating_add(1)),
            _ => match star {
                Some((at, went_on)) => {
                    p = at.saturating_add(1);
                    t = went_on.saturating_add(1);
                    star = Some((at, t));
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).unwrap_or(&[]).iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::matches;

    #[test]
    fn stars_and_question_marks() {
        for (pattern, text) in
            [("*", ""), ("a*", "abc"), ("*c", "abc"), ("a?c", "abc"), ("*a*b*", "xxaxxbxx"), ("", "")]
        {
            assert!(matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
        for (pattern, text) in [("", "a"), ("a", ""), ("?", ""), ("a*c", "ab"), ("*ab", "aab c"), ("A", "a")]
        {
            assert!(!matches(pattern.as_bytes(), text.as_bytes()), "{pattern} {text}");
        }
        assert!(matches(b"*aa*aa*aa*aab", &[b"a".repeat(4000), b"b".to_vec()].concat()));
    }
}
