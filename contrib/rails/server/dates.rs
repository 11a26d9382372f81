//! Moments in the two forms that the server knows: mail's in, Ruby's out.

use std::time::Duration;

use super::calendar::timestamp;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `2009-02-18 10:31:29 UTC`, from the time since the Unix epoch.
pub fn ruby(since_epoch: Duration) -> String {
    let text = timestamp(since_epoch);
    format!("{} {} UTC", &text[..10], &text[11..19])
}

/// Reads `Wed, 18 Feb 2009 12:31:29 +0200`; the weekday is not looked at.
pub fn parse_rfc822(text: &str) -> Option<Duration> {
    let (_, rest) = text.split_once(", ")?;
    let words: Vec<&str> = rest.split(' ').collect();
    let [day, month, year, clock, zone] = words[..] else { return None };
    let (day, year): (u64, u64) = (day.parse().ok()?, year.parse().ok()?);
    let month = MONTHS.iter().position(|known| *known == month)? as u64 + 1;
    let clock: Vec<u64> = clock.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [hour, minute, second] = clock[..] else { return None };
    if !(1970..=9999).contains(&year) || !(1..=31).contains(&day) || hour > 23 {
        return None;
    }
    let (sign, digits) = zone.split_at_checked(1)?;
    let offset: u64 = digits.parse().ok().filter(|_| digits.len() == 4)?;
    let offset = (offset / 100 * 60 + offset % 100) * 60;
    // Years begin in March here, so that a leap day is the last one of its year.
    let (shifted, of_year) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days =
        shifted * 365 + shifted / 4 - shifted / 100 + shifted / 400 + (of_year * 153 + 2) / 5 + day
            - 1;
    let seconds = (days - 719_468) * 86400 + hour * 3600 + minute * 60 + second;
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
        let moment = parse_rfc822("Wed, 18 Feb 2009 12:31:29 +0200").unwrap();
        assert_eq!(ruby(moment), "2009-02-18 10:31:29 UTC");
    }

    #[test]
    fn leap_days_and_the_turn_of_the_year_are_read() {
        for (mail, rails) in [
            ("Thu, 01 Jan 1970 00:00:00 +0000", "1970-01-01 00:00:00 UTC"),
            ("Thu, 29 Feb 2024 23:59:59 +0000", "2024-02-29 23:59:59 UTC"),
            ("Fri, 01 Mar 2024 00:30:00 +0100", "2024-02-29 23:30:00 UTC"),
            ("Thu, 31 Dec 2026 23:59:59 -0100", "2027-01-01 00:59:59 UTC"),
        ] {
            assert_eq!(ruby(parse_rfc822(mail).unwrap()), rails);
        }
        for wrong in ["", "2009-02-18 10:31:29 UTC", "Wed, 18 Foo 2009 12:31:29 +0200"] {
            assert_eq!(parse_rfc822(wrong), None, "{wrong}");
        }
    }
}
