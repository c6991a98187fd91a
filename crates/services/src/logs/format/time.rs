//! Times as runtimes write them: RFC 3339 with up to nine digits of a second, and numbers since 1970.

use std::time::{Duration, SystemTime};

const DAY: i64 = 86_400;

/// The time of a text such as `2024-05-01T10:00:00.123456789+02:00`; `None` when it is no such text, or of a year
/// before 1970 or after 9999. A leap second is the second before.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use portolan_services::logs::format::time::parse;
///
/// let time = parse("1970-01-02T01:00:00.5+01:00").expect("it is one");
/// assert_eq!(time, SystemTime::UNIX_EPOCH + Duration::from_millis(86_400_500));
/// assert_eq!(parse("yesterday"), None);
/// ```
#[must_use]
pub fn parse(text: &str) -> Option<SystemTime> {
    let text = text.as_bytes();
    let (date, rest) = text.split_at_checked(19)?;
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T' | b't' | b' ', h0, h1, b':', n0, n1, b':', s0, s1] =
        date
    else {
        return None;
    };
    let year = number(&[*y0, *y1, *y2, *y3])?;
    let (month, day) = (number(&[*m0, *m1])?, number(&[*d0, *d1])?);
    let (hour, minute, second) = (number(&[*h0, *h1])?, number(&[*n0, *n1])?, number(&[*s0, *s1])?);
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (nanoseconds, zone) = match rest.split_first() {
        Some((b'.', rest)) => {
            let length = rest.iter().take_while(|b| b.is_ascii_digit()).count();
            let (digits, zone) = rest.split_at_checked(length).filter(|_| (1..=9).contains(&length))?;
            let scale = 10_i64.checked_pow(u32::try_from(9_usize.checked_sub(length)?).ok()?)?;
            (number(digits)?.checked_mul(scale)?, zone)
        }
        _ => (0, rest),
    };
    let offset = match zone {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), h0, h1, b':', m0, m1] => {
            let minutes = number(&[*h0, *h1])?.checked_mul(60)?.checked_add(number(&[*m0, *m1])?)?;
            let seconds = minutes.checked_mul(60)?;
            if *sign == b'+' { seconds } else { seconds.checked_neg()? }
        }
        _ => return None,
    };
    let clock = hour.checked_mul(3600)?.checked_add(minute.checked_mul(60)?)?.checked_add(second.min(59))?;
    let seconds = days(year, month, day)?.checked_mul(DAY)?.checked_add(clock)?.checked_sub(offset)?;
    let since = Duration::new(u64::try_from(seconds).ok()?, u32::try_from(nanoseconds).ok()?);
    SystemTime::UNIX_EPOCH.checked_add(since)
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().all(u8::is_ascii_digit).then_some(())?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Days since 1970. Years begin in March here, so that the leap day is the last of one.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let (year, month) =
        if month > 2 { (year, month.checked_sub(3)?) } else { (year.checked_sub(1)?, month.checked_add(9)?) };
    // 31, 30, 31, 30, 31 days, twice, and what is left.
    let before = month.checked_mul(153)?.checked_add(2)?.checked_div(5)?;
    let years = year
        .checked_mul(365)?
        .checked_add(year.checked_div(4)?)?
        .checked_sub(year.checked_div(100)?)?
        .checked_add(year.checked_div(400)?)?;
    // The first of March of the year 0 is so many days before 1970.
    years.checked_add(before)?.checked_add(day)?.checked_sub(719_469)
}

/// The time in UTC as RFC 3339 has it, with nine digits; empty for one before 1970.
///
/// ```
/// use portolan_services::logs::format::time::{format, parse};
///
/// assert_eq!(format(parse("2024-02-29T23:30:00.000000007-01:00").unwrap()), "2024-03-01T00:30:00.000000007Z");
/// ```
#[must_use]
pub fn format(time: SystemTime) -> String {
    let Ok(since) = time.duration_since(SystemTime::UNIX_EPOCH) else { return String::new() };
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    let (day, clock) = (seconds.div_euclid(DAY), seconds.rem_euclid(DAY));
    let Some((year, month, date)) = civil(day) else { return String::new() };
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    format!("{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}.{:09}Z", since.subsec_nanos())
}

/// The date of a day since 1970.
fn civil(day: i64) -> Option<(i64, i64, i64)> {
    /// Days of 400 years, 100, 4 and 1.
    const SPANS: [i64; 4] = [146_097, 36_524, 1_461, 365];
    let since_march = day.checked_add(719_468)?;
    let (eras, mut rest) = (since_march.div_euclid(SPANS[0]), since_march.rem_euclid(SPANS[0]));
    let mut years = eras.checked_mul(400)?;
    for (span, of, most) in [(SPANS[1], 100, 3), (SPANS[2], 4, 24), (SPANS[3], 1, 3)] {
        // The last span of each kind has a leap day more.
        let whole = rest.checked_div(span)?.min(most);
        years = years.checked_add(whole.checked_mul(of)?)?;
        rest = rest.checked_sub(whole.checked_mul(span)?)?;
    }
    let month = rest.checked_mul(5)?.checked_add(2)?.checked_div(153)?;
    let date = rest.checked_sub(month.checked_mul(153)?.checked_add(2)?.checked_div(5)?)?.checked_add(1)?;
    let (month, year) = if month < 10 {
        (month.checked_add(3)?, years)
    } else {
        (month.checked_sub(9)?, years.checked_add(1)?)
    };
    Some((year, month, date))
}

/// The time of so many nanoseconds since 1970.
pub(super) fn of_nanoseconds(number: u64) -> Option<SystemTime> {
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Option<u64> {
        parse(text).map(|time| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs())
    }

    #[test]
    fn there_and_back() {
        // As date(1) has them.
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2000-02-29T12:00:00Z", 951_825_600),
            ("2024-12-31T23:59:59Z", 1_735_689_599),
            ("2100-03-01T00:00:00Z", 4_107_542_400),
            ("9999-12-31T23:59:59Z", 253_402_300_799),
            ("2026-11-21T12:30:00+02:30", 1_795_255_200),
        ] {
            assert_eq!(seconds(text), Some(expected), "{text}");
        }
        for day in (0..80_000).step_by(7) {
            let time = SystemTime::UNIX_EPOCH + Duration::new(day * 86_400 + 45_296, 123_456_789);
            assert_eq!(parse(&format(time)), Some(time), "{day}");
        }
        assert_eq!(format(parse("2016-12-31T23:59:60Z").unwrap()), "2016-12-31T23:59:59.000000000Z");
    }

    #[test]
    fn what_is_no_time() {
        for bad in [
            "",
            "2024-05-01",
            "2024-05-01T10:00:00",
            "2024-13-01T10:00:00Z",
            "2024-05-01T24:00:00Z",
            "2024-05-01T10:00:00.Z",
            "2024-05-01T10:00:00.1234567890Z",
            "1969-12-31T23:59:59Z",
            "2024-05-01T10:00:00+1:00",
            "+024-05-01T10:00:00Z",
            "2024-05-01T10:00:00Zx",
            "2024-05-01T10:00:0\u{661}Z",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
