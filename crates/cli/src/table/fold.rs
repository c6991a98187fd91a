//! Breaks what is too long for its place where it hurts least.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// How many columns of a terminal a text takes.
pub(super) fn length(text: &str) -> usize {
    text.width()
}

/// The lines of a text in so many columns: broken after a blank or a slash where there is one, and where a text goes
/// on it is set two columns deeper than it began.
pub(super) fn fold(text: &str, columns: usize) -> Vec<String> {
    let begins = text.len().saturating_sub(text.trim_start_matches(' ').len());
    // In a place that narrow, depth is a luxury.
    let deeper = if columns >= 16 { begins.saturating_add(2) } else { 0 };
    let mut lines = Vec::new();
    let mut left = text;
    let mut line = String::new();
    while length(&line).saturating_add(length(left)) > columns {
        let (piece, rest) = cut(left, columns.saturating_sub(length(&line)));
        line.push_str(piece.trim_end_matches(' '));
        lines.push(std::mem::replace(&mut line, " ".repeat(deeper)));
        left = rest.trim_start_matches(' ');
    }
    line.push_str(left);
    if !left.is_empty() || lines.is_empty() {
        lines.push(line);
    }
    lines
}

/// The part of a text that has room in so many columns, at least a character, and what is left.
fn cut(text: &str, columns: usize) -> (&str, &str) {
    let mut used = 0_usize;
    let mut fits = 0;
    let mut good = None;
    for (at, c) in text.char_indices() {
        used = used.saturating_add(c.width().unwrap_or(0));
        let after = at.saturating_add(c.len_utf8());
        if used > columns && fits > 0 {
            break;
        }
        fits = after;
        // A break that leaves almost nothing on the line is none.
        if matches!(c, ' ' | '/' | ',') && used.saturating_mul(3) > columns {
            good = Some(after);
        }
    }
    // What comes next begins a word: here is as good a place as any.
    let whole = text.get(fits..).is_some_and(|rest| rest.starts_with(' '));
    let at = if whole { fits } else { good.unwrap_or(fits) };
    text.split_at_checked(at).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_break_after_their_slashes() {
        assert_eq!(fold("/etc/nginx/nginx.conf", 30), ["/etc/nginx/nginx.conf"]);
        let folded = fold("/etc/nginx/sites-enabled/very-long-name.conf", 30);
        assert_eq!(folded, ["/etc/nginx/sites-enabled/", "  very-long-name.conf"]);
        assert_eq!(fold("  host:/var/lib/docker/x", 20), ["  host:/var/lib/", "    docker/x"]);
        assert_eq!(fold("one two three", 16), ["one two three"]);
        assert_eq!(fold("", 5), [""]);
    }

    #[test]
    fn nothing_is_lost_or_too_wide() {
        let text = "a/bb ccc/dddd漢字漢字漢字eeeeeeeeeeeeeeeeeeeeeeeeeeee,ffff ggggggggggggggggg/é";
        for columns in 2..60 {
            let lines = fold(text, columns);
            assert!(lines.iter().all(|line| length(line) <= columns), "{columns}: {lines:?}");
            let all: String = lines.concat().chars().filter(|c| *c != ' ').collect();
            assert_eq!(all, text.replace(' ', ""), "{columns}");
        }
    }
}
