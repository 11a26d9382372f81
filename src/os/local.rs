//! Local time: moments as clocks here show them, for people; files and programs get UTC.
//!
//! The zone is read once, at the start: a sandbox may forbid it later.

use std::error::Error;
use std::io::Read;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use tz::{TimeZone, TimeZoneSettings};

use super::clock::{self, rfc3339_seconds};
use super::disk;
use crate::core::time::Timestamp;

/// The clocks that people read, by their zone.
#[derive(Clone, Copy, Debug)]
pub struct Clocks(Option<&'static TimeZone>);

/// A moment, and the zone of the clocks that show it.
#[derive(Clone, Copy, Debug)]
pub struct Local {
    /// The moment, which is now.
    pub now: Timestamp,
    /// The clocks.
    pub clocks: Clocks,
}

impl Clocks {
    /// UTC, which is named in all that is shown.
    pub const UTC: Self = Self(None);

    /// Those of this process, by `TZ` or else `/etc/localtime` (tzset(3)), which are read once; UTC
    /// where that is unknown.
    pub fn here() -> Self {
        static HERE: OnceLock<Option<TimeZone>> = OnceLock::new();
        let named = || std::env::var_os("TZ").map(|name| name.to_string_lossy().into_owned());
        Self(HERE.get_or_init(|| zone(&named().unwrap_or_else(|| "localtime".into()))).as_ref())
    }

    /// The moment in RFC 3339's form with whole seconds: with this zone's offset, in UTC with `Z`.
    pub fn rfc3339(self, moment: Timestamp) -> String {
        let (mut text, offset) = self.shifted(moment);
        if let Some((seconds, _)) = offset {
            text.pop();
            let (sign, minutes) = (if seconds < 0 { '-' } else { '+' }, seconds.abs() / 60);
            text.push_str(&format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60));
        }
        text
    }

    /// `text` by these clocks, where it is a moment in RFC 3339's form in UTC.
    pub fn shown(self, text: &str) -> Option<String> {
        self.0?;
        clock::parse_rfc3339(text).map(|moment| self.rfc3339(moment))
    }

    /// `moment` in this zone, as [`rfc3339_seconds`] shows one in UTC; with the offset in seconds and its
    /// name, except in UTC.
    fn shifted(self, moment: Timestamp) -> (String, Option<(i32, &'static str)>) {
        let seconds = i64::try_from(moment.millis() / 1000).unwrap_or(i64::MAX);
        let offset = self.0.and_then(|zone| zone.find_local_time_type(seconds).ok());
        let offset = offset.map(|offset| (offset.ut_offset(), offset.time_zone_designation()));
        let offset = offset.filter(|(_, name)| *name != "UTC");
        let (seconds, _) = offset.unwrap_or_default();
        let span = Duration::from_secs(seconds.unsigned_abs().into());
        let moment = if seconds < 0 { moment.before(span) } else { moment.after(span) };
        (rfc3339_seconds(moment).to_string(), offset)
    }

    /// The day and the time of `moment`, and the name of the zone where that is UTC.
    fn parts(self, moment: Timestamp) -> (String, String, &'static str) {
        let (text, offset) = self.shifted(moment);
        let (day, time) = text.split_once('T').unwrap_or_default();
        let zone = if offset.is_some() { "" } else { " UTC" };
        (day.to_owned(), time.trim_end_matches('Z').to_owned(), zone)
    }
}

impl Local {
    /// `now` by the clocks of this machine.
    pub fn here(now: Timestamp) -> Self {
        Self { now, clocks: Clocks::here() }
    }

    /// `moment` to the second, where it is of today; else with its date, to the minute: `23:05:07`,
    /// `2026-12-01 07:30`.
    pub fn moment(self, moment: Timestamp) -> String {
        let (today, ..) = self.clocks.parts(self.now);
        let (day, time, zone) = self.clocks.parts(moment);
        if day == today {
            format!("{time}{zone}")
        } else {
            format!("{day} {}{zone}", minute(&time))
        }
    }

    /// `moment` with its date, to the second: `2026-11-30 23:05:07`.
    pub fn full(self, moment: Timestamp) -> String {
        let (day, time, zone) = self.clocks.parts(moment);
        format!("{day} {time}{zone}")
    }

    /// The date of `moment`: `2026-11-30`.
    #[cfg(feature = "tokens")]
    pub fn date(self, moment: Timestamp) -> String {
        self.clocks.parts(moment).0
    }

    /// `moment` rounded up to a minute, with its date when it is not within a day.
    pub fn by_minute(self, moment: Timestamp) -> String {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        // Never earlier than the moment: a wait of seconds would look as if it were over.
        let (day, time, zone) = self.clocks.parts(moment.after(Duration::from_secs(59)));
        let time = minute(&time);
        if moment.since(self.now) < DAY {
            return format!("{time}{zone}");
        }
        format!("{day} {time}{zone}")
    }

    /// `moment` to the minute, with its date and its zone's name, for readers who may be elsewhere:
    /// `2027-01-15 09:00 CET`.
    pub fn anywhere(self, moment: Timestamp) -> String {
        let (text, offset) = self.clocks.shifted(moment);
        let (day, time) = text.split_once('T').unwrap_or_default();
        format!("{day} {} {}", minute(time), offset.map_or("UTC", |(_, name)| name))
    }
}

/// The hours and minutes of a time.
fn minute(time: &str) -> &str {
    time.get(..5).unwrap_or_default()
}

/// The zone that `name` names as `TZ` may (tzset(3)): a file, or a rule; `localtime` is the system's.
fn zone(name: &str) -> Option<TimeZone> {
    TimeZoneSettings::new(&["/usr/share/zoneinfo"], read).parse_posix_tz(name).ok()
}

/// The content of the file of a zone at `path`.
fn read(path: &str) -> Result<Vec<u8>, Box<dyn Error + Send + Sync>> {
    /// More than any zone takes, in bytes.
    const MOST: u64 = 64 << 10;
    let (file, _) = disk::open_named(Path::new(path))?.ok_or("it is no file")?;
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-11-30T22:05:07Z, a Monday.
    const NOW: u64 = 1_796_076_307;

    fn clocks(rule: &str) -> Clocks {
        Clocks(Some(Box::leak(Box::new(zone(rule).unwrap()))))
    }

    fn berlin() -> Clocks {
        clocks("CET-1CEST,M3.5.0,M10.5.0/3")
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(NOW + seconds)
    }

    #[test]
    fn moments_are_shown_as_clocks_here_show_them() {
        let here = Local { now: at(0), clocks: berlin() };
        assert_eq!(here.moment(at(25)), "23:05:32");
        // Midnight here is in 55 minutes, not in two hours.
        assert_eq!(here.moment(at(3292)), "23:59:59");
        assert_eq!(here.moment(at(3293)), "2026-12-01 00:00");
        assert_eq!(here.full(at(0)), "2026-11-30 23:05:07");
        assert_eq!(here.by_minute(at(0)), "23:06");
        assert_eq!(here.by_minute(at(24 * 3600)), "2026-12-01 23:06");
        assert_eq!(here.anywhere(at(0)), "2026-11-30 23:05 CET");
        assert_eq!(here.anywhere(at(200 * 24 * 3600)), "2027-06-19 00:05 CEST");
    }

    #[test]
    fn where_the_zone_is_unknown_it_is_utc_and_says_so() {
        let here = Local { now: at(0), clocks: Clocks::UTC };
        assert_eq!(here.moment(at(25)), "22:05:32 UTC");
        assert_eq!(here.moment(at(24 * 3600)), "2026-12-01 22:05 UTC");
        assert_eq!(here.full(at(0)), "2026-11-30 22:05:07 UTC");
        assert_eq!(here.by_minute(at(0)), "22:06 UTC");
        assert_eq!(here.anywhere(at(0)), "2026-11-30 22:05 UTC");
        assert_eq!(Clocks::UTC.rfc3339(at(0)), "2026-11-30T22:05:07Z");
        assert_eq!(Clocks::UTC.shown("2026-11-30T22:05:07Z"), None);
    }

    #[test]
    fn a_moment_of_the_log_has_its_offset() {
        assert_eq!(berlin().rfc3339(at(0)), "2026-11-30T23:05:07+01:00");
        let shown = berlin().shown("2026-11-30T22:05:07Z");
        assert_eq!(shown.as_deref(), Some("2026-11-30T23:05:07+01:00"));
        assert_eq!(berlin().shown("22:05:07"), None);
        assert_eq!(clocks("NST3:30").rfc3339(at(0)), "2026-11-30T18:35:07-03:30");
    }

    #[test]
    fn a_zone_is_named_by_a_rule_or_a_file_and_else_unknown() {
        assert_eq!(clocks("CET-1").rfc3339(at(0)), "2026-11-30T23:05:07+01:00");
        for unknown in ["", ":", "Mars/Olympus", "/dev/null", "/dev/zero", "/etc/passwd", "UTC+"] {
            assert_eq!(zone(unknown), None, "{unknown}");
        }
    }
}
