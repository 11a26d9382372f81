//! Moments: in many forms in, in Ruby's out.

use std::time::Duration;

use time::{Date, Month};

use super::calendar::timestamp;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// `2009-02-18 10:31:29 UTC`, from the time since the Unix epoch.
pub fn ruby(since_epoch: Duration) -> String {
    let text = timestamp(since_epoch);
    format!("{} {} UTC", &text[..10], &text[11..19])
}

/// Reads a moment as its parts are recognised by what they look like, in any order, as Ruby's
/// `Time.parse` does: mail's `Wed, 18 Feb 2009 12:31:29 +0200`, with or without its weekday, the
/// page's own `2009-02-18 10:31:29 UTC`, and `2009-02-18T10:31:29Z`. Without a zone it is UTC.
pub fn parse(text: &str) -> Option<Duration> {
    let (mut day, mut month, mut year) = (None, None, None);
    let (mut clock, mut zone) = ("00:00:00", "+0000".to_owned());
    let spaced = iso(text).unwrap_or_else(|| text.to_owned());
    for word in spaced.split([' ', ',']).filter(|word| !word.is_empty()) {
        let parts: Vec<&str> = word.split('-').collect();
        let is_number = word.bytes().all(|byte| byte.is_ascii_digit());
        if let [years, months, days] = parts[..] {
            let date = (years.parse().ok()?, months.parse().ok()?, days.parse().ok()?);
            (year, month, day) = (Some(date.0), Some(date.1), Some(date.2));
        } else if word.contains(':') && !word.starts_with(['+', '-']) {
            clock = word;
        } else if let Some(known) = MONTHS.iter().position(|known| is_named(word, known)) {
            month = u8::try_from(known + 1).ok();
        } else if is_number && day.is_none() && word.len() <= 2 {
            day = word.parse().ok();
        } else if is_number {
            year = word.parse().ok();
        } else if ["UTC", "GMT", "UT", "Z"].contains(&word) {
            "+0000".clone_into(&mut zone);
        } else if word.starts_with(['+', '-']) {
            zone = word.replace(':', "");
        } else if !DAYS.iter().any(|known| is_named(word, known)) {
            return None;
        }
    }
    moment((year?, month?, day?), clock, &zone)
}

/// Whether `word` is a name in full, or its first three letters.
fn is_named(word: &str, short: &str) -> bool {
    let is_letter = word.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_letter && word.len() >= 3 && word[..3].eq_ignore_ascii_case(short)
}

/// `2009-02-18T10:31:29Z` with a blank before its clock and its zone.
fn iso(text: &str) -> Option<String> {
    let (date, clock) = text.split_once('T').filter(|(date, _)| date.len() == 10)?;
    let zone = clock.find(['Z', '+', '-']).unwrap_or(clock.len());
    Some(format!("{date} {} {}", &clock[..zone], &clock[zone..]))
}

fn moment(date: (i32, u8, u8), clock: &str, zone: &str) -> Option<Duration> {
    let (year, month, day) = date;
    let clock = clock.split_once('.').map_or(clock, |(whole, _)| whole);
    let clock: Vec<u64> = clock.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [hour, minute, second] = clock[..] else { return None };
    let date = Date::from_calendar_date(year, Month::try_from(month).ok()?, day).ok()?;
    if hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let (sign, digits) = zone.split_at_checked(1)?;
    let offset: u64 = digits.parse().ok().filter(|_| digits.len() == 4)?;
    let offset = (offset / 100 * 60 + offset % 100) * 60;
    let midnight = u64::try_from(date.midnight().assume_utc().unix_timestamp()).ok()?;
    let seconds = midnight + hour * 3600 + minute * 60 + second;
    let seconds = match sign {
        "+" => seconds.checked_sub(offset)?,
        "-" => seconds + offset,
        _ => return None,
    };
    Some(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_page_is_the_same_in_both_forms() {
        let moment = parse("Wed, 18 Feb 2009 12:31:29 +0200").unwrap();
        assert_eq!(ruby(moment), "2009-02-18 10:31:29 UTC");
    }

    #[test]
    fn what_the_page_shows_is_read_and_other_forms_that_ruby_reads() {
        for form in [
            "2009-02-18 10:31:29 UTC",
            "2009-02-18 12:31:29 +0200",
            "2009-02-18T10:31:29Z",
            "2009-02-18T12:31:29.5+02:00",
            "2009-02-18 10:31:29",
            "18 Feb 2009 12:31:29 +0200",
            "Wed Feb 18 10:31:29 UTC 2009",
            "Wednesday, 18 February 2009 10:31:29 GMT",
        ] {
            let read = parse(form).unwrap_or_else(|| panic!("{form}"));
            assert_eq!(ruby(read), "2009-02-18 10:31:29 UTC", "{form}");
        }
    }

    #[test]
    fn leap_days_and_the_turn_of_the_year_are_read() {
        for (mail, rails) in [
            ("Thu, 01 Jan 1970 00:00:00 +0000", "1970-01-01 00:00:00 UTC"),
            ("Thu, 29 Feb 2024 23:59:59 +0000", "2024-02-29 23:59:59 UTC"),
            ("Fri, 01 Mar 2024 00:30:00 +0100", "2024-02-29 23:30:00 UTC"),
            ("Thu, 31 Dec 2026 23:59:59 -0100", "2027-01-01 00:59:59 UTC"),
        ] {
            assert_eq!(ruby(parse(mail).unwrap()), rails);
        }
        for wrong in
            ["", "soon", "12:31", "2009-13-18 10:31:29 UTC", "Wed, 18 Foo 2009 12:31:29 +0200"]
        {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
