//! Dates as deSEC writes them, from the time since the Unix epoch; and lengths of time.
//!
//! Pure: whoever has a clock passes its reading in.

use std::time::{Duration, UNIX_EPOCH};

use time::OffsetDateTime;

/// When everything that has no date of its own was made: 1 August 2026.
pub const OPENED: Duration = Duration::from_secs(1_785_542_400);

/// The form of the REST API: `2026-11-21T23:52:46.183787Z`.
pub fn timestamp(since_epoch: Duration) -> String {
    humantime::format_rfc3339_micros(UNIX_EPOCH + since_epoch).to_string()
}

/// The form of HTTP headers (RFC 9110, section 5.6.7): `Sat, 21 Nov 2026 23:52:33 GMT`.
pub fn http_date(since_epoch: Duration) -> String {
    let at = OffsetDateTime::UNIX_EPOCH + since_epoch;
    let (weekday, month) = (at.weekday().to_string(), at.month().to_string());
    let (hour, minute, second) = at.to_hms();
    let (day, year) = (at.day(), at.year());
    let (weekday, month) = (&weekday[..3], &month[..3]);
    format!("{weekday}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT")
}

/// `[DD] HH:MM:SS[.uuuuuu]`, the form in which the REST API writes a length of time.
pub fn duration_text(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (days, hours) = (seconds / 86_400, seconds / 3600 % 24);
    let (minutes, seconds) = (seconds / 60 % 60, seconds % 60);
    let days = if days == 0 { String::new() } else { format!("{days} ") };
    let micros = match duration.subsec_micros() {
        0 => String::new(),
        micros => format!(".{micros:06}"),
    };
    format!("{days}{hours:02}:{minutes:02}:{seconds:02}{micros}")
}

/// A length of time that was given; those that cannot be are kept apart, to be refused later.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Length {
    /// Less than nothing.
    Negative,
    /// More days than a length of time can have.
    Overflow,
    /// This long.
    Positive(Duration),
}

/// Reads a length of time in the forms that Django knows: its own (`[DD] [[HH:]MM:]SS[.uuuuuu]`),
/// that of ISO 8601 (`P1DT2H`), and `PostgreSQL`'s (`3 days 04:05:06`, of which any part may be left
/// out, so that nothing at all is no time at all); `None` if it is none of them.
pub fn parse_duration(text: &str) -> Option<Length> {
    const DAY: f64 = 86_400.0;
    let (days, clock) = standard(text).or_else(|| iso_8601(text)).or_else(|| postgres(text))?;
    let total = days * DAY + clock;
    // Python's limit.
    if days.abs() > 999_999_999.0 || (total / DAY).abs() > 999_999_999.0 {
        return Some(Length::Overflow);
    }
    if total < 0.0 {
        return Some(Length::Negative);
    }
    let micros = (total * 1e6).round();
    Some(Length::Positive(Duration::from_secs_f64(micros / 1e6)))
}

/// Days and seconds of `[DD] [[HH:]MM:]SS[.uuuuuu]`, in which a sign may stand before either.
fn standard(text: &str) -> Option<(f64, f64)> {
    let (days, rest) = match text.split_once(' ') {
        Some((days, rest)) => {
            let rest = rest.strip_prefix("days, ").or(rest.strip_prefix("day, ")).unwrap_or(rest);
            (signed(days, "-")?, rest)
        }
        None => (0.0, text),
    };
    let (sign, rest) = sign(rest, "-");
    let (rest, fraction) = match rest.split_once(['.', ',']) {
        Some((rest, fraction)) => (rest, micros(fraction, 12)?),
        None => (rest, 0.0),
    };
    let parts: Vec<f64> = rest.split(':').map(number).collect::<Option<_>>()?;
    if parts.len() > 3 {
        return None;
    }
    let clock = parts.into_iter().fold(0.0, |clock, part| clock * 60.0 + part);
    Some((days, sign * (clock + fraction)))
}

/// Days and seconds of `[+-]P[nD][T[nH][nM][nS]]`; the numbers may have a fraction.
fn iso_8601(text: &str) -> Option<(f64, f64)> {
    let (sign, rest) = sign(text, "+-");
    let rest = rest.strip_prefix('P')?;
    let (day, mut time) = match rest.split_once('T') {
        Some((day, time)) => (day, time),
        None => (rest, ""),
    };
    let decimal = |digits: &str| match digits.split_once(['.', ',']) {
        Some((whole, part)) => {
            number(whole)?;
            number(part)?;
            format!("{whole}.{part}").parse().ok()
        }
        None => number(digits),
    };
    let days = if day.is_empty() { 0.0 } else { decimal(day.strip_suffix('D')?)? };
    let mut clock = 0.0;
    for (unit, seconds) in [('H', 3600.0), ('M', 60.0), ('S', 1.0)] {
        if let Some((digits, rest)) = time.split_once(unit) {
            clock += decimal(digits)? * seconds;
            time = rest;
        }
    }
    time.is_empty().then_some((sign * days, sign * clock))
}

/// Days and seconds of `[n days] [HH:MM:SS[.uuuuuu]]`.
fn postgres(text: &str) -> Option<(f64, f64)> {
    let (days, rest) = match text.split_once(" day") {
        Some((days, rest)) => {
            let rest = rest.strip_prefix('s').unwrap_or(rest);
            (signed(days, "-")?, rest.strip_prefix(' ').unwrap_or(rest))
        }
        None => (0.0, text),
    };
    if rest.is_empty() {
        return Some((days, 0.0));
    }
    let (sign, rest) = sign(rest, "+-");
    let (clock, fraction) = match rest.split_once('.') {
        Some((clock, fraction)) => (clock, micros(fraction, 6)?),
        None => (rest, 0.0),
    };
    let parts: Vec<&str> = clock.split(':').collect();
    let [hours, minutes, seconds] = parts.as_slice() else { return None };
    if minutes.len() != 2 || seconds.len() != 2 {
        return None;
    }
    let clock = number(hours)? * 3600.0 + number(minutes)? * 60.0 + number(seconds)?;
    Some((days, sign * (clock + fraction)))
}

/// The sign that `text` begins with, if it is one of `signs`, and what follows.
fn sign<'a>(text: &'a str, signs: &str) -> (f64, &'a str) {
    match text.chars().next().filter(|first| signs.contains(*first)) {
        Some(first) => (if first == '-' { -1.0 } else { 1.0 }, &text[1..]),
        None => (1.0, text),
    }
}

fn signed(text: &str, signs: &str) -> Option<f64> {
    let (sign, digits) = sign(text, signs);
    Some(sign * number(digits)?)
}

/// A fraction of a second with at most so many digits; the seventh and later ones do not count.
fn micros(digits: &str, most: usize) -> Option<f64> {
    number(digits).filter(|_| digits.len() <= most)?;
    Some(number(&format!("{digits:0<6}")[..6])? / 1e6)
}

fn number(digits: &str) -> Option<f64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().ok())?
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
            Length::Overflow => "overflow".to_owned(),
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
        check_duration("1d", None);
        check_duration("1:2:3:4", None);
        check_duration("1 ", None);
    }

    #[test]
    fn lengths_of_time_are_read_as_django_reads_them() {
        check_duration("", Some("00:00:00"));
        check_duration("3 days", Some("3 00:00:00"));
        check_duration("1 day ", Some("1 00:00:00"));
        check_duration("3 days 04:05:06.5", Some("3 04:05:06.500000"));
        check_duration("3 days -04:00:00", Some("2 20:00:00"));
        check_duration("-3 days", Some("negative"));
        check_duration("P1D", Some("1 00:00:00"));
        check_duration("+P1DT2H3M4.5S", Some("1 02:03:04.500000"));
        check_duration("PT0,5S", Some("00:00:00.500000"));
        check_duration("P", Some("00:00:00"));
        check_duration("-P1D", Some("negative"));
        check_duration("99999999999999999999", Some("overflow"));
        for wrong in
            ["P1Y", "P1H", "PT1S1M", "p1d", "3days", "3 weeks", "3 days 4:5:6", "x", "1.", " "]
        {
            check_duration(wrong, None);
        }
    }
}
