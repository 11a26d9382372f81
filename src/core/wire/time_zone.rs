//! Time zones: how far this place's clocks are from UTC at a moment, from a file of the system (RFC
//! 8536) or from a rule (POSIX.1-2024, section 8.3, `TZ`).
//!
//! Pure; the shell finds the file.

use super::calendar::{LAST, days_before_month, days_before_year, is_leap, year_of};
use crate::core::time::Timestamp;

const HOUR: i64 = 60 * 60;
const DAY: i64 = 24 * HOUR;

/// A time zone.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TimeZone {
    /// The offsets of a file, the one before the first change first.
    offsets: Vec<Offset>,
    /// The moments of the changes, earliest first, in seconds since 1970 UTC; each with the index of the
    /// offset from then on.
    changes: Vec<(i64, u8)>,
    /// What holds after the last change; `None` where that offset stays.
    rule: Option<Rule>,
}

/// How far clocks are from UTC.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Offset {
    /// The seconds that they show more than UTC; negative in the west.
    pub seconds: i32,
    /// The short name, such as `CET` or `+03`.
    pub name: String,
}

/// The offset of a place in every year: standard time, and daylight saving time with its days, if there
/// is one.
#[derive(Clone, Debug, Eq, PartialEq)]
struct Rule {
    standard: Offset,
    daylight: Option<(Offset, Turn, Turn)>,
}

/// When clocks are changed in each year, by the time that they show before.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Turn {
    day: Day,
    /// The seconds since midnight, from -167 to 167 hours (RFC 8536, section 3.3.1).
    seconds: i64,
}

/// A day of every year.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Day {
    /// `Jn`: the day of the year from 1, where 29 February is never counted.
    Julian(u64),
    /// `n`: the day of the year from 0, where it is counted.
    OfYear(u64),
    /// `Mm.w.d`: the week (5 is the last) and the weekday (0 is Sunday) of a month, from 0.
    OfMonth { month: usize, week: u64, weekday: u64 },
}

impl TimeZone {
    /// Reads the content of a file of RFC 8536, or gives `None` for anything else. A file with leap seconds is
    /// refused: its moments are not those of POSIX.
    pub fn from_file(bytes: &[u8]) -> Option<Self> {
        let first = Header::read(bytes)?;
        if first.version == 0 {
            let (zone, _) = first.block(bytes.get(HEADER..)?, 4)?;
            return Some(zone);
        }
        // The first block has only moments of 32 bits; the second has all.
        let rest = bytes.get(HEADER + first.length(4)?..)?;
        let (mut zone, footer) = Header::read(rest)?.block(rest.get(HEADER..)?, 8)?;
        let footer = footer.strip_prefix(b"\n")?;
        let end = footer.iter().position(|byte| *byte == b'\n')?;
        let rule = std::str::from_utf8(&footer[..end]).ok()?;
        if !rule.is_empty() {
            zone.rule = Some(Rule::parse(rule)?);
        }
        Some(zone)
    }

    /// Reads a rule as `TZ` may have it, such as `CET-1CEST,M3.5.0,M10.5.0/3`.
    pub fn from_rule(text: &str) -> Option<Self> {
        Some(Self { rule: Some(Rule::parse(text)?), ..Self::default() })
    }

    /// The offset at `moment`; `None` in a zone of which nothing is known.
    pub fn at(&self, moment: Timestamp) -> Option<&Offset> {
        let seconds = i64::try_from((moment.millis() / 1000).min(LAST)).unwrap_or(i64::MAX);
        let after = self.changes.partition_point(|(at, _)| *at <= seconds);
        if let Some(rule) = self.rule.as_ref().filter(|_| after == self.changes.len()) {
            return Some(rule.at(seconds));
        }
        let last = after.checked_sub(1).map_or(0, |last| self.changes[last].1);
        self.offsets.get(usize::from(last))
    }
}

/// The length of a header, in bytes.
const HEADER: usize = 44;

/// The header of a block: the version of the file, and how much is in the block.
struct Header {
    version: u8,
    /// The counts of UT/local indicators, standard/wall indicators and leap seconds.
    unused: [usize; 3],
    changes: usize,
    types: usize,
    letters: usize,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Self> {
        let header = bytes.get(..HEADER)?.strip_prefix(b"TZif")?;
        let mut counts = header.get(16..)?.chunks_exact(4).map(number);
        let mut count = || usize::try_from(counts.next()?).ok();
        let unused = [count()?, count()?, count()?];
        let (changes, types, letters) = (count()?, count()?, count()?);
        Some(Self { version: *header.first()?, unused, changes, types, letters })
    }

    /// The length of its block, where a moment has `width` bytes.
    fn length(&self, width: usize) -> Option<usize> {
        let [ut, standard, leap] = self.unused;
        let parts = [
            self.changes.checked_mul(width + 1)?,
            self.types.checked_mul(6)?,
            self.letters,
            leap.checked_mul(width + 4)?,
            standard,
            ut,
        ];
        parts.into_iter().try_fold(0, usize::checked_add)
    }

    /// The zone in `bytes`, where a moment has `width` bytes, and what follows.
    fn block<'a>(&self, bytes: &'a [u8], width: usize) -> Option<(TimeZone, &'a [u8])> {
        let [_, _, leap] = self.unused;
        if leap != 0 {
            return None;
        }
        let rest = bytes.get(self.length(width)?..)?;
        let (moments, bytes) = bytes.split_at_checked(self.changes * width)?;
        let (indexes, bytes) = bytes.split_at_checked(self.changes)?;
        let (types, bytes) = bytes.split_at_checked(self.types * 6)?;
        let names = bytes.get(..self.letters)?;
        let offset = |bytes: &[u8]| {
            let name = names.get(usize::from(*bytes.get(5)?)..)?.split(|byte| *byte == 0).next()?;
            let seconds = i32::try_from(number(bytes.get(..4)?)).ok()?;
            Some(Offset { seconds, name: String::from_utf8(name.to_vec()).ok()? })
        };
        let offsets: Vec<_> = types.chunks_exact(6).map(offset).collect::<Option<_>>()?;
        let changes = moments.chunks_exact(width).map(number).zip(indexes.iter().copied());
        let changes: Vec<_> = changes.collect();
        let are_known = changes.iter().all(|(_, index)| usize::from(*index) < offsets.len());
        let are_sorted = changes.is_sorted_by(|(one, _), (next, _)| one < next);
        let is_right = are_known && are_sorted && !offsets.is_empty();
        is_right.then_some((TimeZone { offsets, changes, rule: None }, rest))
    }
}

/// The number in `bytes`, the first of which has its sign: at most 8, the most significant first.
fn number(bytes: &[u8]) -> i64 {
    let sign = if bytes.first().is_some_and(|first| first & 0x80 != 0) { -1 } else { 0 };
    bytes.iter().fold(sign, |sum, byte| (sum << 8) | i64::from(*byte))
}

impl Rule {
    fn parse(text: &str) -> Option<Self> {
        let mut reader = Reader(text);
        let name = reader.name()?;
        let standard = Offset { seconds: reader.offset()?, name };
        if reader.0.is_empty() {
            return Some(Self { standard, daylight: None });
        }
        let name = reader.name()?;
        let is_an_hour = reader.0.starts_with(',');
        let seconds = if is_an_hour { standard.seconds + 3600 } else { reader.offset()? };
        let (start, end) = (reader.turn()?, reader.turn()?);
        let daylight = Some((Offset { seconds, name }, start, end));
        reader.0.is_empty().then_some(Self { standard, daylight })
    }

    /// The offset `seconds` after the beginning of 1970 UTC.
    fn at(&self, seconds: i64) -> &Offset {
        let Some((daylight, start, end)) = &self.daylight else { return &self.standard };
        let here = seconds.saturating_add(self.standard.seconds.into());
        let year = year_of(u64::try_from(here / DAY).unwrap_or_default());
        let start = start.in_year(year) - i64::from(self.standard.seconds);
        let end = end.in_year(year) - i64::from(daylight.seconds);
        // In the south it begins in one year and ends in the next.
        let is_daylight = if start < end {
            (start..end).contains(&seconds)
        } else {
            !(end..start).contains(&seconds)
        };
        if is_daylight { daylight } else { &self.standard }
    }
}

impl Turn {
    /// The time of it in `year`, as seconds since 1970 by the clocks there.
    fn in_year(self, year: u64) -> i64 {
        let first = days_before_year(year);
        let day = match self.day {
            Day::OfYear(day) => first + day,
            Day::Julian(day) => first + day - 1 + u64::from(is_leap(year) && day > 59),
            Day::OfMonth { month, week, weekday } => {
                let of_month = |month| first + days_before_month(year, month);
                let begin = of_month(month);
                // The epoch was a Thursday, the weekday 4.
                let day = begin + (weekday + 7 - (begin + 4) % 7) % 7 + 7 * (week - 1);
                if day < of_month(month + 1) { day } else { day - 7 }
            }
        };
        i64::try_from(day).unwrap_or(i64::MAX / DAY).saturating_mul(DAY) + self.seconds
    }
}

/// The part of a rule that is not read yet.
struct Reader<'a>(&'a str);

impl<'a> Reader<'a> {
    /// The part before the first byte that is not `wanted`.
    fn run(&mut self, wanted: impl Fn(u8) -> bool) -> &'a str {
        let end = self.0.bytes().position(|byte| !wanted(byte)).unwrap_or(self.0.len());
        let (run, rest) = self.0.split_at(end);
        self.0 = rest;
        run
    }

    fn skip(&mut self, begin: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(begin)?;
        Some(())
    }

    /// A name: three letters or more, or in angle brackets also digits and signs.
    fn name(&mut self) -> Option<String> {
        let name = if self.skip("<").is_some() {
            let name = self.run(|byte| byte.is_ascii_alphanumeric() || b"+-".contains(&byte));
            self.skip(">")?;
            name
        } else {
            self.run(|byte| byte.is_ascii_alphabetic())
        };
        (name.len() >= 3).then(|| name.to_owned())
    }

    /// A number of at most `most`.
    fn number(&mut self, most: u64) -> Option<u64> {
        self.run(|byte| byte.is_ascii_digit()).parse().ok().filter(|number| *number <= most)
    }

    /// `[+-]hh[:mm[:ss]]` in seconds.
    fn time(&mut self, most_hours: u64) -> Option<i64> {
        let sign = if self.skip("-").is_some() { -1 } else { 1 };
        if sign == 1 {
            let _ = self.skip("+");
        }
        let mut seconds = self.number(most_hours)? * 3600;
        for unit in [60, 1] {
            if self.skip(":").is_none() {
                break;
            }
            seconds += self.number(59)? * unit;
        }
        Some(sign * i64::try_from(seconds).ok()?)
    }

    /// An offset, which a rule counts to the west.
    fn offset(&mut self) -> Option<i32> {
        i32::try_from(-self.time(24)?).ok()
    }

    /// `,DAY[/TIME]`, at two o'clock without a time.
    fn turn(&mut self) -> Option<Turn> {
        self.skip(",")?;
        let day = if self.skip("J").is_some() {
            Day::Julian(self.number(365).filter(|day| *day >= 1)?)
        } else if self.skip("M").is_some() {
            let month = usize::try_from(self.number(12)?.checked_sub(1)?).ok()?;
            self.skip(".")?;
            let week = self.number(5).filter(|week| *week >= 1)?;
            self.skip(".")?;
            Day::OfMonth { month, week, weekday: self.number(6)? }
        } else {
            Day::OfYear(self.number(365)?)
        };
        let seconds = if self.skip("/").is_some() { self.time(167)? } else { 2 * HOUR };
        Some(Turn { day, seconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BERLIN: &str = "CET-1CEST,M3.5.0,M10.5.0/3";

    /// A file of the second version with these changes to the offsets of the two types, and the rule.
    fn file(changes: &[(i64, u8)], types: [(i32, &str); 2], rule: &str) -> Vec<u8> {
        let names = format!("{}\0{}\0", types[0].1, types[1].1);
        let header = |changes: usize| {
            let counts = [0, 0, 0, changes, 2, names.len()];
            let counts =
                counts.into_iter().flat_map(|count| u32::try_from(count).unwrap().to_be_bytes());
            [b"TZif2".to_vec(), vec![0; 15], counts.collect()].concat()
        };
        let second = u8::try_from(types[0].1.len()).unwrap() + 1;
        let both = [(types[0].0, 0), (types[1].0, second)];
        let both = both.map(|(seconds, name)| [&seconds.to_be_bytes()[..], &[0, name]].concat());
        let moments = changes.iter().flat_map(|(at, _)| at.to_be_bytes()).collect();
        let indexes = changes.iter().map(|(_, index)| *index).collect();
        [
            header(0),
            both.concat(),
            names.clone().into_bytes(),
            header(changes.len()),
            moments,
            indexes,
            both.concat(),
            names.into_bytes(),
            format!("\n{rule}\n").into_bytes(),
        ]
        .concat()
    }

    #[track_caller]
    fn check(zone: &TimeZone, seconds: u64, expect: (i32, &str)) {
        let offset = zone.at(Timestamp::from_secs(seconds)).unwrap();
        assert_eq!((offset.seconds, &*offset.name), expect, "{seconds}");
    }

    #[test]
    fn clocks_are_changed_in_spring_and_autumn() {
        let (winter, summer) = ((3600, "CET"), (7200, "CEST"));
        let zone = TimeZone::from_rule(BERLIN).unwrap();
        // 2026-03-29 and 2026-10-25, both at 01:00 UTC; 2500-03-28, far ahead.
        for (seconds, before, after) in [
            (1_774_746_000, winter, summer),
            (1_792_890_000, summer, winter),
            (16_732_659_600, winter, summer),
        ] {
            check(&zone, seconds - 1, before);
            check(&zone, seconds, after);
        }
        check(&zone, 1_798_761_599, winter);
        check(&zone, 0, winter);
    }

    #[test]
    fn in_the_south_summer_goes_over_the_end_of_the_year() {
        let (winter, summer) = ((43_200, "NZST"), (46_800, "NZDT"));
        let zone = TimeZone::from_rule("NZST-12NZDT,M9.5.0,M4.1.0/3").unwrap();
        // 2026-04-04 14:00 UTC and 2026-09-26 14:00 UTC.
        check(&zone, 1_775_311_200 - 1, summer);
        check(&zone, 1_775_311_200, winter);
        check(&zone, 1_790_431_200 - 1, winter);
        check(&zone, 1_790_431_200, summer);
        // The last second of 2026 and the first of 2027, there.
        check(&zone, 1_798_714_800 - 1, summer);
        check(&zone, 1_798_714_800, summer);
    }

    #[test]
    fn rules_have_days_names_and_times_of_all_forms() {
        let cases = [
            ("<-03>3", 1_795_305_600, (-10_800, "-03")),
            ("NST3:30NDT,M3.2.0,M11.1.0", 1_795_305_600, (-12_600, "NST")),
            ("NST3:30NDT,M3.2.0,M11.1.0", 1_783_000_000, (-9000, "NDT")),
            // Daylight saving time all year, as RFC 8536 (section 3.3.1) has it.
            ("XXX3EDT4,0/0,J365/23", 1_798_761_600 + 3 * 3600, (-14_400, "EDT")),
            ("XXX3EDT4,0/0,J365/23", 1_783_000_000, (-14_400, "EDT")),
            ("<-02>2<-01>,M3.5.0/-1,M10.5.0/0", 1_783_000_000, (-3600, "-01")),
            // 2024-03-01 is day 60 of the Julian form and the sixty-first of the other.
            ("AAA0BBB,J60/0,J300", 1_709_251_200, (3600, "BBB")),
            ("AAA0BBB,J60/0,J300", 1_709_251_199, (0, "AAA")),
            ("AAA0BBB,60/0,J300", 1_709_251_200, (3600, "BBB")),
            ("UTC0", 1_795_305_600, (0, "UTC")),
        ];
        for (rule, seconds, expect) in cases {
            check(&TimeZone::from_rule(rule).unwrap(), seconds, expect);
        }
        for wrong in [
            "",
            "CET",
            "-1",
            "AB1",
            "CET-1CEST",
            "CET-25",
            "CET-1CEST,M13.1.0,M1.1.0",
            "CET-1CEST,M3.5.0",
            "CET-1CEST,M3.6.0,M10.5.0",
            "CET-1 ",
            "CET-1CEST,J0,J1",
            "<CET-1",
        ] {
            assert_eq!(TimeZone::from_rule(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_file_has_changes_and_then_its_rule() {
        let types = [(3208, "LMT"), (3600, "CET")];
        let zone = TimeZone::from_file(&file(&[(1000, 1)], types, BERLIN)).unwrap();
        check(&zone, 999, (3208, "LMT"));
        check(&zone, 1000, (3600, "CET"));
        check(&zone, 1_783_000_000, (7200, "CEST"));
        let zone = TimeZone::from_file(&file(&[(1000, 1)], types, "")).unwrap();
        check(&zone, 1_783_000_000, (3600, "CET"));
        let zone = TimeZone::from_file(&file(&[], types, "UTC0")).unwrap();
        check(&zone, 1_783_000_000, (0, "UTC"));
        assert_eq!(TimeZone::default().at(Timestamp::from_secs(0)), None);
    }

    #[test]
    fn a_file_that_is_cut_or_wrong_is_refused() {
        let types = [(3208, "LMT"), (3600, "CET")];
        let whole = file(&[(1000, 1), (2000, 0)], types, BERLIN);
        assert!(TimeZone::from_file(&whole).is_some());
        for length in 0..whole.len() {
            assert_eq!(TimeZone::from_file(&whole[..length]), None, "{length}");
        }
        for wrong in [&[(2000, 1), (1000, 0)][..], &[(1000, 2)]] {
            assert_eq!(TimeZone::from_file(&file(wrong, types, BERLIN)), None, "{wrong:?}");
        }
        assert_eq!(TimeZone::from_file(&file(&[], types, "Mars/Olympus")), None);
        // No change of a byte makes it panic.
        for at in 0..whole.len() {
            for byte in [0, 1, 0x7f, 0xff] {
                let mut changed = whole.clone();
                changed[at] = byte;
                let _ = TimeZone::from_file(&changed)
                    .map(|zone| zone.at(Timestamp::from_secs(1500)).cloned());
            }
        }
    }
}
