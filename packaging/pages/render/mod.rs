//! Manual pages and completions as texts: from the table of the command line and from the example
//! configuration, so that neither is described twice.
//!
//! Pure; reads and writes no file. `main.rs` beside it writes the files for packages, and the tests
//! hand them to the real shells and formatters.

pub mod bash;
pub mod fish;
pub mod manual;
pub mod roff;
pub mod settings;
pub mod words;
pub mod zsh;

/// The files that a package installs, each with its name and text; `day` is that of the manual
/// pages, such as `2026-11-22`.
pub fn files(day: &str, example: &str) -> [(&'static str, String); 5] {
    [
        ("homing.1", manual::page(day)),
        ("homing.toml.5", settings::page(day, example)),
        ("homing.bash", bash::script()),
        ("_homing", zsh::script()),
        ("homing.fish", fish::script()),
    ]
}

/// The day of a date in the form of mail, `Sun, 22 Nov 2026 12:00:00 +0000`, as `2026-11-22`.
///
/// Returns `None` for anything else. It is the form of a Debian changelog, too.
pub fn day(date: &str) -> Option<String> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let mut words = date.split_once(", ")?.1.split(' ');
    let day: u8 = words.next()?.parse().ok()?;
    let name = words.next()?;
    let month = MONTHS.iter().position(|month| *month == name)? + 1;
    let year: u16 = words.next()?.parse().ok()?;
    Some(format!("{year:04}-{month:02}-{day:02}"))
}

/// The date of the newest entry of a Debian changelog.
pub fn newest(changelog: &str) -> Option<String> {
    let trailer = changelog.lines().find(|line| line.starts_with(" -- "))?;
    day(trailer.split_once(">  ")?.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_read_from_the_date_of_a_mail() {
        assert_eq!(day("Sun, 22 Nov 2026 12:00:00 +0000").as_deref(), Some("2026-11-22"));
        assert_eq!(day("Wed, 4 Feb 2026 10:31:29 +0000").as_deref(), Some("2026-02-04"));
        assert_eq!(day("2026-11-22"), None);
    }

    #[test]
    fn the_newest_entry_of_a_changelog_counts() {
        let entry = |day| format!("x (1) y; urgency=low\n\n -- A <a@b>  {day} 12:00:00 +0000\n\n");
        let changelog = entry("Sun, 22 Nov 2026") + &entry("Sat, 21 Nov 2026");
        assert_eq!(newest(&changelog).as_deref(), Some("2026-11-22"));
        assert_eq!(newest("nothing"), None);
    }
}
