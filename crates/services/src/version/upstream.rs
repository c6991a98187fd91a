//! Versions as their makers write them, out of versions as packages have them.

/// The makers' part of a Debian version, `[epoch:]upstream[-revision]` (`deb-version(7)`), without what the
/// distribution put behind it: `6:7.0.15+dfsg-1~deb12u7` is 7.0.15.
pub(crate) fn of_debian(version: &str) -> &str {
    let version = version.split_once(':').map_or(version, |(_, rest)| rest);
    let version = version.rsplit_once('-').map_or(version, |(upstream, _)| upstream);
    // `1.3+really1.2` is 1.2, which was packaged again after 1.3 (Debian Developer's Reference).
    let version = version.rsplit_once("+really").map_or(version, |(_, real)| real);
    let marked = |at: usize, mark: &str| {
        let rest = version.get(at.saturating_add(mark.len())..).unwrap_or("");
        PACKAGERS.iter().any(|word| rest.starts_with(word))
    };
    let cut = version.match_indices(['+', '~', '.', '-']).find(|(at, mark)| {
        marked(*at, mark) || version.get(*at..).is_some_and(|rest| rest.starts_with("+~"))
    });
    cut.map_or(version, |(at, _)| version.get(..at).unwrap_or(version))
}

/// What packagers write behind the makers' version, and not the makers: that something was left out, or for whom the
/// package was made. `~rc1` and `+git` are not among them.
const PACKAGERS: &[&str] =
    &["dfsg", "ds", "repack", "deb", "debian", "bpo", "ubuntu", "ubu", "maria", "nmu", "pgdg"];

/// The makers' part of an Alpine version, `upstream[_suffix]-rREVISION`: `9.6_p1-r0` is 9.6p1.
pub(crate) fn of_alpine(version: &str) -> String {
    let upstream = match version.rsplit_once("-r") {
        Some((upstream, revision)) if revision.bytes().all(|b| b.is_ascii_digit()) => upstream,
        _ => version,
    };
    upstream.replace("_p", "p")
}

/// What is written like a version at the beginning of these bytes: numbers with dots between them, `least` of them, and
/// at most one word behind it, as in `9.2p1` and `3.0.0-rc.1`.
pub(crate) fn at_beginning(bytes: &[u8], least: usize) -> Option<&str> {
    const LONGEST: usize = 40;
    let bytes = bytes.get(..LONGEST.min(bytes.len()))?;
    let numbers = bytes.iter().position(|b| !b.is_ascii_digit() && *b != b'.').unwrap_or(bytes.len());
    let (number, rest) = bytes.split_at_checked(numbers)?;
    let dots = number.iter().rev().take_while(|b| **b == b'.').count();
    let end = numbers.saturating_sub(dots);
    let number = number.get(..end)?;
    let parts: Vec<&[u8]> = number.split(|b| *b == b'.').collect();
    if parts.len() < least || parts.iter().any(|part| part.is_empty()) {
        return None;
    }
    let suffix = if dots > 0 { 0 } else { suffix(rest) };
    // A longer one is none.
    let length = Some(end.saturating_add(suffix)).filter(|_| numbers < LONGEST)?;
    str::from_utf8(bytes.get(..length)?).ok()
}

/// How long a word such as `p1`, `-rc.1`, `beta2` is.
fn suffix(rest: &[u8]) -> usize {
    const WORDS: [&[u8]; 5] = [b"alpha", b"beta", b"rc", b"pre", b"p"];
    let dash = usize::from(matches!(rest.first(), Some(b'-' | b'~')));
    let after = rest.get(dash..).unwrap_or(&[]);
    let Some(word) = WORDS.iter().find(|word| after.starts_with(word)) else { return 0 };
    let number = after.get(word.len()..).unwrap_or(&[]);
    let dot = usize::from(number.first() == Some(&b'.'));
    let digits = number.get(dot..).unwrap_or(&[]).iter().take_while(|b| b.is_ascii_digit()).count();
    match digits {
        0 => 0,
        digits => [dash, word.len(), dot, digits].iter().sum(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_packagers_added_is_left_out() {
        for (package, upstream) in [
            ("1.22.1-9+deb12u3", "1.22.1"),
            ("5:7.0.15-1~deb12u7", "7.0.15"),
            ("6:7.2.3-1rl1~bookworm1", "7.2.3"),
            ("1:10.11.19-0+deb12u1", "10.11.19"),
            ("1:11.2.2+maria~ubu2204", "11.2.2"),
            ("1:25.2.3+dfsg-1+deb12u3", "25.2.3"),
            ("2.0.11+ds1-2", "2.0.11"),
            ("1.4.dfsg-1", "1.4"),
            ("1.0-dfsg-1", "1.0"),
            ("15.18-0+deb12u1", "15.18"),
            ("16~rc1-1.pgdg120+1", "16~rc1"),
            ("2:4.17.12+dfsg-0+deb12u2", "4.17.12"),
            ("1:9.2p1-2+deb12u10", "9.2p1"),
            ("1.3+really1.2.1-4", "1.2.1"),
            ("18.20.4+dfsg-1~deb12u1", "18.20.4"),
            ("4.0.0+~4.0.1-2", "4.0.0"),
            ("0~20230101+git5-1", "0~20230101+git5"),
            ("2.6.12-1+deb12u3", "2.6.12"),
            ("10.2.2", "10.2.2"),
            ("", ""),
            (":", ""),
            ("-", ""),
        ] {
            assert_eq!(of_debian(package), upstream, "{package}");
        }
        for (package, upstream) in
            [("1.24.0-r15", "1.24.0"), ("9.6_p1-r0", "9.6p1"), ("3.0-rc", "3.0-rc"), ("16.2-r", "16.2")]
        {
            assert_eq!(of_alpine(package), upstream, "{package}");
        }
    }

    #[test]
    fn versions_in_texts_end_where_they_end() {
        for (text, least, version) in [
            ("1.22.1\0next", 2, Some("1.22.1")),
            ("15.18 (Debian 15.18-0)", 2, Some("15.18")),
            ("2.4.71", 3, Some("2.4.71")),
            ("2.4", 3, None),
            ("9.2p1 Debian-2", 2, Some("9.2p1")),
            ("3.0.0-rc.1+x", 2, Some("3.0.0-rc.1")),
            ("8.0.0beta2,", 2, Some("8.0.0beta2")),
            ("1.2.", 2, Some("1.2")),
            ("1.2.*", 2, Some("1.2")),
            ("1..2", 2, None),
            (".1.2", 2, None),
            ("%d.%d", 1, None),
            ("1.2prefix", 2, Some("1.2")),
            ("", 1, None),
        ] {
            assert_eq!(at_beginning(text.as_bytes(), least), version, "{text}");
        }
        assert_eq!(at_beginning(&b"1.".repeat(1000), 2), None);
    }
}
