//! The calendar: moments as dates in UTC, in the forms of messages.
//!
//! Pure; the forms of RFC 3339 in files and in what people read are the shell's, whose library reads
//! and writes them.

use crate::core::time::Timestamp;

const DAY: u64 = 24 * 60 * 60;

// The epoch was a Thursday.
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

const MONTHS: [(&str, u64); 12] = [
    ("Jan", 31),
    ("Feb", 28),
    ("Mar", 31),
    ("Apr", 30),
    ("May", 31),
    ("Jun", 30),
    ("Jul", 31),
    ("Aug", 31),
    ("Sep", 30),
    ("Oct", 31),
    ("Nov", 30),
    ("Dec", 31),
];

/// The moment in the form of RFC 822 (section 5.1, with RFC 1123's four-digit year), in UTC and whole
/// seconds: `Wed, 18 Feb 2009 10:31:29 +0000`. A moment after the year 9999 is its last second.
pub fn rfc822(moment: Timestamp) -> String {
    let (days, clock) = split(moment);
    let weekday = WEEKDAYS.iter().cycle().nth((days % 7) as usize).unwrap_or(&WEEKDAYS[0]);
    let (year, month, day) = date(days);
    let (month, _) = MONTHS[month];
    format!("{weekday}, {day:02} {month} {year:04} {clock} +0000")
}

/// The moment in the extended form of ISO 8601 (RFC 3339, section 5.6), in UTC and whole seconds:
/// `2009-02-18T10:31:29Z`. A moment after the year 9999 is its last second.
pub fn iso8601(moment: Timestamp) -> String {
    let (days, clock) = split(moment);
    let (year, month, day) = date(days);
    format!("{year:04}-{:02}-{day:02}T{clock}Z", month + 1)
}

/// The days from the epoch to the moment, and its time of day as `10:31:29`.
fn split(moment: Timestamp) -> (u64, String) {
    const LAST: u64 = 253_402_300_799;
    let seconds = (moment.millis() / 1000).min(LAST);
    let (days, clock) = (seconds / DAY, seconds % DAY);
    let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
    (days, format!("{hour:02}:{minute:02}:{second:02}"))
}

/// Reads a date of HTTP (RFC 9110, section 5.6.7) in its own form, `Sun, 06 Nov 1994 08:49:37 GMT`, or
/// in one of the two old forms, which servers may still send. A year before 1970 gives the epoch;
/// anything else gives `None`.
pub fn http_date(text: &str) -> Option<Timestamp> {
    let mut words = text.split([' ', ',', '-']).filter(|word| !word.is_empty());
    let mut next = || words.next();
    let (_, second, third, fourth, fifth) = (next()?, next()?, next()?, next()?, next()?);
    let (day, month, year, clock) = match (next(), next()) {
        (Some("GMT"), None) => (second, third, fourth, fifth),
        (None, None) => (third, second, fifth, fourth),
        _ => return None,
    };
    let number = |text: &str, most: u64| text.parse().ok().filter(|number| *number <= most);
    let year = match (year.len(), number(year, 9999)?) {
        (2, short @ ..70) => 2000 + short,
        (2, short) => 1900 + short,
        (_, year) => year,
    };
    let place = MONTHS.iter().position(|(name, _)| *name == month)?;
    let mut parts = clock.splitn(3, ':').map(|part| number(part, 60));
    let mut part = || parts.next().flatten();
    let seconds = part()? * 3600 + part()? * 60 + part()?;
    let years = (1970..year).map(|year| if is_leap(year) { 366 } else { 365 }).sum::<u64>();
    let months = MONTHS[..place].iter().map(|(_, length)| length).sum::<u64>();
    let leap_day = u64::from(place > 1 && is_leap(year));
    let days = years + months + leap_day + number(day, 31)?.saturating_sub(1);
    Some(Timestamp::from_secs(if year < 1970 { 0 } else { days * DAY + seconds }))
}

fn is_leap(year: u64) -> bool {
    year.is_multiple_of(4) && !year.is_multiple_of(100) || year.is_multiple_of(400)
}

/// The year, the month as an index of [`MONTHS`], and the day of the month, `days` days after the
/// epoch.
fn date(mut days: u64) -> (u64, usize, u64) {
    let mut year = 1970;
    loop {
        let length = if is_leap(year) { 366 } else { 365 };
        if days < length {
            break;
        }
        days -= length;
        year += 1;
    }
    for (month, (name, length)) in MONTHS.into_iter().enumerate() {
        let length = if name == "Feb" && is_leap(year) { 29 } else { length };
        if days < length {
            return (year, month, days + 1);
        }
        days -= length;
    }
    // The months add up to the year.
    (year, MONTHS.len() - 1, 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(seconds: u64, expect: &str) {
        assert_eq!(rfc822(Timestamp::from_secs(seconds)), expect);
    }

    #[test]
    fn dates_of_http_are_read_back() {
        for seconds in [0, 951_782_399, 951_868_800, 1_234_953_089, 1_798_761_599, 4_107_542_400] {
            let moment = Timestamp::from_secs(seconds);
            let text = rfc822(moment).replace("+0000", "GMT");
            assert_eq!(http_date(&text), Some(moment), "{text}");
        }
        for wrong in ["", "GMT", "Sun, 06 Nov 1994 08:49:37 GMT GMT", "Sun, 06 Nov 1994 08:49 GMT"]
        {
            assert_eq!(http_date(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn moments_are_written_as_in_mail() {
        check(0, "Thu, 01 Jan 1970 00:00:00 +0000");
        check(1_234_953_089, "Wed, 18 Feb 2009 10:31:29 +0000");
        check(1_798_761_599, "Thu, 31 Dec 2026 23:59:59 +0000");
        check(1_798_761_600, "Fri, 01 Jan 2027 00:00:00 +0000");
    }

    #[cfg(feature = "cloud")]
    #[test]
    fn moments_are_written_as_signatures_have_them() {
        for (seconds, expect) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_234_953_089, "2009-02-18T10:31:29Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (u64::MAX / 1000, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(iso8601(Timestamp::from_secs(seconds)), expect);
        }
    }

    #[test]
    fn leap_days_are_days() {
        check(951_782_400, "Tue, 29 Feb 2000 00:00:00 +0000");
        check(951_868_800, "Wed, 01 Mar 2000 00:00:00 +0000");
        check(1_709_251_199, "Thu, 29 Feb 2024 23:59:59 +0000");
        check(4_107_542_400, "Mon, 01 Mar 2100 00:00:00 +0000");
    }

    #[test]
    fn the_end_of_time_can_be_written() {
        check(u64::MAX / 1000, "Fri, 31 Dec 9999 23:59:59 +0000");
    }
}
