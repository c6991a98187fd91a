//! The shapes of ids, and names made fit to print.

/// No runtime has a longer id or name: an element of a path ends at 255 bytes.
const MAX_NAME: usize = 255;

/// An id of Docker's making: exactly 64 lower hexadecimal digits; 12, 63 or 65 are something else.
pub(crate) fn is_id(text: &[u8]) -> bool {
    is_hex(text, 64)
}

pub(crate) fn is_hex(text: &[u8], digits: usize) -> bool {
    text.len() == digits && text.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

pub(super) fn is_digits(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

/// `8-4-4-4-12` hexadecimal digits.
pub(crate) fn is_uuid(text: &[u8]) -> bool {
    is_grouped(text, b'-', &[8, 4, 4, 4, 12])
}

/// The handle of a Cloud Foundry application: a UUID that ends after 28 characters.
pub(crate) fn is_short_uuid(text: &[u8]) -> bool {
    is_grouped(text, b'-', &[8, 4, 4, 4, 4])
}

pub(super) fn is_grouped(text: &[u8], separator: u8, groups: &[usize]) -> bool {
    let mut parts = text.split(|&b| b == separator);
    groups.iter().all(|&digits| parts.next().is_some_and(|part| is_hex(part, digits)))
        && parts.next().is_none()
}

/// The id of a BuildKit step: 25 digits of base 36.
pub(super) fn is_build_step(text: &[u8]) -> bool {
    text.len() == 25 && text.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'z'))
}

/// What runc, crun and containerd take as an id of the user's choice.
pub(crate) fn is_free_id(text: &[u8]) -> bool {
    let allowed = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'+' | b'-' | b'.');
    !text.is_empty() && text.len() <= MAX_NAME && text.iter().all(allowed)
}

/// A name as text: what is not UTF-8, controls the terminal or turns the writing direction becomes `\xNN`.
/// Nothing for an empty name or one that is too long.
pub(super) fn printable(name: &[u8]) -> Option<String> {
    if name.is_empty() || name.len() > MAX_NAME {
        return None;
    }
    let mut text = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for c in chunk.valid().chars() {
            if c.is_control() || is_invisible(c) {
                escape(&mut text, c.encode_utf8(&mut [0; 4]).as_bytes());
            } else {
                text.push(c);
            }
        }
        escape(&mut text, chunk.invalid());
    }
    Some(text)
}

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

fn escape(text: &mut String, bytes: &[u8]) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f'];
    for byte in bytes {
        text.push_str("\\x");
        let nibbles = [byte >> 4, byte & 15];
        text.extend(nibbles.iter().filter_map(|&n| DIGITS.get(usize::from(n))));
    }
}

/// Replaces each `mark` that two hexadecimal digits follow by the byte they give.
pub(super) fn unescape(name: &[u8], mark: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some((&first, after)) = rest.split_first() {
        let byte = rest.strip_prefix(mark).and_then(|code| {
            let (digits, tail) = code.split_first_chunk::<2>()?;
            let digits =
                std::str::from_utf8(digits).ok().filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()))?;
            Some((u8::from_str_radix(digits, 16).ok()?, tail))
        });
        let (byte, tail) = byte.unwrap_or((first, after));
        plain.push(byte);
        rest = tail;
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_exact_lengths() {
        assert!(is_id(&[b'a'; 64]));
        assert!(!is_id(&[b'a'; 63]));
        assert!(!is_id(&[b'a'; 65]));
        assert!(!is_id(&[b'A'; 64]));
        assert!(!is_id(&[b'g'; 64]));
        assert!(is_uuid(b"00112233-4455-6677-8899-aabbccddeeff"));
        assert!(!is_uuid(b"00112233-4455-6677-8899-aabbccddeeff-"));
        assert!(!is_uuid(b"00112233-4455-6677-8899"));
        assert!(is_short_uuid(b"00112233-4455-6677-8899-aabb"));
        assert!(!is_short_uuid(b"00112233-4455-6677-8899-aab"));
        assert!(is_build_step(b"zzzzzyyyyyxxxxxwwwww01234"));
        assert!(!is_build_step(b"zzzzzyyyyyxxxxxwwwww0123"));
        assert!(!is_free_id(b"a:b"));
        assert!(!is_free_id(b""));
        assert!(!is_digits(b""));
    }

    #[test]
    fn printable_names_do_not_reach_the_terminal() {
        assert_eq!(printable(b"web-01").as_deref(), Some("web-01"));
        assert_eq!(printable("café".as_bytes()).as_deref(), Some("café"));
        assert_eq!(printable(b"a\x1b[2Jb").as_deref(), Some(r"a\x1b[2Jb"));
        assert_eq!(printable(b"a\xffb").as_deref(), Some(r"a\xffb"));
        assert_eq!(printable("a\u{202e}b".as_bytes()).as_deref(), Some(r"a\xe2\x80\xaeb"));
        assert_eq!(printable(b""), None);
        assert!(printable(&[b'a'; 255]).is_some());
        assert_eq!(printable(&[b'a'; 256]), None);
    }

    #[test]
    fn unescaping_leaves_broken_escapes_alone() {
        assert_eq!(unescape(br"a\x2db", br"\x"), b"a-b");
        assert_eq!(unescape(br"a\x2", br"\x"), br"a\x2");
        assert_eq!(unescape(br"a\xzzb\x", br"\x"), br"a\xzzb\x");
        assert_eq!(unescape(br"\x+1", br"\x"), br"\x+1");
        assert_eq!(unescape(b"a.2eb", b"."), b"a.b");
    }
}
