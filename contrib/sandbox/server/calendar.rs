//! Dates as deSEC writes them, from the time since the Unix epoch; and lengths of time.
//!
//! Pure: whoever has a clock passes its reading in.

use std::time::Duration;

const DAY: u64 = 24 * 60 * 60;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
// The epoch was a Thursday.
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// The form of the REST API: `2026-11-21T23:52:46.183787Z`.
pub fn timestamp(since_epoch: Duration) -> String {
    let (year, month, day) = date(since_epoch);
    let (hour, minute, second) = time_of_day(since_epoch);
    let micros = since_epoch.subsec_micros();
    format!("{year}-{:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{micros:06}Z", month + 1)
}

/// The form of HTTP headers (RFC 9110, section 5.6.7): `Sat, 21 Nov 2026 23:52:33 GMT`.
pub fn http_date(since_epoch: Duration) -> String {
    let (year, month, day) = date(since_epoch);
    let (hour, minute, second) = time_of_day(since_epoch);
    let days = since_epoch.as_secs() / DAY;
    let weekday = WEEKDAYS.iter().cycle().nth((days % 7) as usize).unwrap_or(&"Thu");
    let month = MONTHS.get(month).unwrap_or(&"Jan");
    format!("{weekday}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT")
}

/// Year, month counted from 0, day counted from 1.
fn date(since_epoch: Duration) -> (u64, usize, u64) {
    let mut days = since_epoch.as_secs() / DAY;
    let mut year = 1970;
    while days >= days_of_year(year) {
        days -= days_of_year(year);
        year += 1;
    }
    let february = if days_of_year(year) == 366 { 29 } else { 28 };
    let mut month = 0;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}

fn days_of_year(year: u64) -> u64 {
    let leap = year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400);
    if leap { 366 } else { 365 }
}

fn time_of_day(since_epoch: Duration) -> (u64, u64, u64) {
    let seconds = since_epoch.as_secs() % DAY;
    (seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// `[DD] HH:MM:SS[.uuuuuu]`, the form in which the REST API writes a length of time.
pub fn duration_text(duration: Duration) -> String {
    let days = duration.as_secs() / DAY;
    let (hours, minutes, seconds) = time_of_day(duration);
    let days = if days == 0 { String::new() } else { format!("{days} ") };
    let micros = match duration.subsec_micros() {
        0 => String::new(),
        micros => format!(".{micros:06}"),
    };
    format!("{days}{hours:02}:{minutes:02}:{seconds:02}{micros}")
}

/// A length of time that was given; one before nothing is kept apart, to be refused later.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Length {
    /// Less than nothing.
    Negative,
    /// This long.
    Positive(Duration),
}

/// Reads `[DD] [HH:[MM:]]SS[.uuuuuu]`; `None` if it is not that.
pub fn parse_duration(text: &str) -> Option<Length> {
    let (days, rest) = match text.split_once(' ') {
        Some((days, rest)) => {
            let rest = rest.strip_prefix("days, ").or(rest.strip_prefix("day, ")).unwrap_or(rest);
            (days, rest)
        }
        None => ("0", text),
    };
    let minus = |text: &str| text.strip_prefix('-').map(str::to_owned);
    let negative = minus(days).is_some() || minus(rest).is_some();
    let days = number(&minus(days).unwrap_or(days.to_owned()))?;
    let rest = minus(rest).unwrap_or(rest.to_owned());
    let (rest, fraction) = match rest.split_once(['.', ',']) {
        Some((_, fraction)) if fraction.is_empty() || fraction.len() > 12 => return None,
        Some((rest, fraction)) => {
            number(fraction)?;
            (rest, number(&format!("{fraction:0<6}")[..6])?)
        }
        None => (rest.as_str(), 0),
    };
    let parts: Vec<u64> = rest.split(':').map(number).collect::<Option<_>>()?;
    let clock = match parts.as_slice() {
        [seconds] => *seconds,
        [minutes, seconds] => minutes.checked_mul(60)?.checked_add(*seconds)?,
        [hours, minutes, seconds] => {
            hours.checked_mul(60)?.checked_add(*minutes)?.checked_mul(60)?.checked_add(*seconds)?
        }
        _ => return None,
    };
    let seconds = days.checked_mul(DAY)?.checked_add(clock)?;
    let duration = Duration::from_secs(seconds) + Duration::from_micros(fraction);
    Some(if negative && !duration.is_zero() {
        Length::Negative
    } else {
        Length::Positive(duration)
    })
}

fn number(digits: &str) -> Option<u64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_epoch_is_a_thursday() {
        assert_eq!(http_date(Duration::ZERO), "Thu, 01 Jan 1970 00:00:00 GMT");
    }

    #[test]
    fn a_leap_day_has_its_own_date() {
        let moment = Duration::from_micros(1_709_251_199_000_007);
        assert_eq!(timestamp(moment), "2024-02-29T23:59:59.000007Z");
        assert_eq!(http_date(moment), "Thu, 29 Feb 2024 23:59:59 GMT");
    }

    #[test]
    fn a_year_ends_on_the_last_of_december() {
        assert_eq!(timestamp(Duration::from_secs(1_798_761_599)), "2026-12-31T23:59:59.000000Z");
        assert_eq!(timestamp(Duration::from_secs(1_798_761_600)), "2027-01-01T00:00:00.000000Z");
    }

    #[track_caller]
    fn check_duration(text: &str, expected: Option<&str>) {
        let shown = parse_duration(text).map(|length| match length {
            Length::Negative => "negative".to_owned(),
            Length::Positive(duration) => duration_text(duration),
        });
        assert_eq!(shown.as_deref(), expected, "{text}");
    }

    #[test]
    fn lengths_of_time_are_read_in_every_form_and_written_in_one() {
        check_duration("365 00:00:00", Some("365 00:00:00"));
        check_duration("365 days, 0:00:00", Some("365 00:00:00"));
        check_duration("60", Some("00:01:00"));
        check_duration("90:00", Some("01:30:00"));
        check_duration("25:00:00", Some("1 01:00:00"));
        check_duration("00:00:00.5", Some("00:00:00.500000"));
        check_duration("-1", Some("negative"));
        check_duration("0", Some("00:00:00"));
        check_duration("", None);
        check_duration("1d", None);
        check_duration("1:2:3:4", None);
        check_duration("1 ", None);
        check_duration("99999999999999999999", None);
    }
}
