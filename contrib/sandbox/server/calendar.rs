//! Dates as deSEC writes them, from the time since the Unix epoch.
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
}
