//! Times as the runtimes write them (RFC 3339).

use std::time::{Duration, SystemTime};

/// The moment that a text such as `2024-05-01T12:00:00.123456789+02:00` names; none for one that is malformed or before
/// 1970 (`0001-01-01T00:00:00Z` is how a Go program says never).
pub(crate) fn moment(text: &str) -> Option<SystemTime> {
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to).filter(|part| part.bytes().all(|b| b.is_ascii_digit()))?;
        digits.parse().ok()
    };
    let sign = |at: usize| text.as_bytes().get(at).copied();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let separated = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    let sound = separated.iter().all(|(at, wanted)| sign(*at) == Some(*wanted))
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !sound {
        return None;
    }
    let mut rest = text.get(19..)?;
    let mut nanos: u32 = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let length = fraction.bytes().take_while(u8::is_ascii_digit).count();
        let digits: String = fraction.get(..length)?.chars().chain("000000000".chars()).take(9).collect();
        nanos = digits.parse().ok()?;
        rest = fraction.get(length..)?;
    }
    let seconds = days(year, month, day)?
        .checked_mul(86_400)?
        .checked_add(hour.checked_mul(3600)?)?
        .checked_add(minute.checked_mul(60)?)?
        .checked_add(second)?
        .checked_sub(offset(rest)?)?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::new(u64::try_from(seconds).ok()?, nanos))
}

/// The offset from UTC in seconds, east positive.
fn offset(text: &str) -> Option<i64> {
    if text == "Z" {
        return Some(0);
    }
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1_i64, text.get(1..)?),
        b'-' => (-1, text.get(1..)?),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let (hours, minutes): (u8, u8) = (hours.parse().ok()?, minutes.parse().ok()?);
    let seconds = i64::from(hours).checked_mul(3600)?.checked_add(i64::from(minutes).checked_mul(60)?)?;
    sign.checked_mul(seconds)
}

/// Days since 1970 of a date of the Gregorian calendar: the years are counted from March, so that the leap day is the
/// last.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let (year, month) =
        if month > 2 { (year, month.checked_sub(3)?) } else { (year.checked_sub(1)?, month.checked_add(9)?) };
    let of_year = month.checked_mul(153)?.checked_add(2)?.checked_div(5)?.checked_add(day)?.checked_sub(1)?;
    let leaps =
        year.checked_div(4)?.checked_sub(year.checked_div(100)?)?.checked_add(year.checked_div(400)?)?;
    // 719,468 days lie between the first of March of the year 0 and 1970.
    year.checked_mul(365)?.checked_add(leaps)?.checked_add(of_year)?.checked_sub(719_468)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_date_says() {
        // Each by `date -d TEXT +%s.%N`.
        for (text, seconds, nanos) in [
            ("1970-01-01T00:00:00Z", 0, 0),
            ("2024-02-29T23:59:59.5Z", 1_709_251_199, 500_000_000),
            ("2026-11-21T10:15:06.123456789+02:00", 1_795_248_906, 123_456_789),
            ("2000-03-01T00:00:00-05:30", 951_888_600, 0),
        ] {
            let wanted = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanos);
            assert_eq!(moment(text), Some(wanted), "{text}");
        }
    }

    #[test]
    fn no_moment_at_all() {
        for text in [
            "0001-01-01T00:00:00Z",
            "",
            "2024-13-01T00:00:00Z",
            "2024-01-01 00:00:00Z",
            "2024-01-01T00:00:00",
            "2024-01-01T00:00:00.Zé",
            "20é4-01-01T00:00:00Z",
            "2024-01-01T00:00:00+99",
        ] {
            assert_eq!(moment(text), None, "{text}");
        }
    }
}
