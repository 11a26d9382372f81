//! Manual pages and completions as texts: from the table of the command line and from the example
//! configuration, so that neither is described twice.
//!
//! Pure; reads and writes no file. `homing manual` and `homing completions` print them, packages
//! install them, and the tests hand them to the real shells and formatters.

mod bash;
mod fish;
mod manual;
pub mod roff;
pub mod settings;
mod words;
mod zsh;

use super::table::Command;
use super::{Given, UsageError};
use crate::core::pairs::unpack;
use crate::os::log::Printable;

/// The example, whose comments are the manual of the configuration, as build.rs packs it.
const EXAMPLE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/example.packed"));

/// The changelog of the Debian package, whose newest entry has the day of the manual pages.
const CHANGELOG: &str = include_str!("../../../packaging/debian/changelog");

/// A text that the program prints and packages install.
struct Page {
    /// The operand of the command that prints it.
    word: &'static str,
    /// Its file in a package.
    file: &'static str,
    /// Its text, made for a day such as `2026-11-22`.
    text: fn(&str) -> String,
}

/// Every text. No manual page is called like a shell.
const PAGES: [Page; 5] = [
    Page { word: "homing", file: "homing.1", text: manual::page },
    Page { word: "homing.toml", file: "homing.toml.5", text: configuration },
    Page { word: "bash", file: "homing.bash", text: |_| bash::script() },
    Page { word: "fish", file: "homing.fish", text: |_| fish::script() },
    Page { word: "zsh", file: "_homing", text: |_| zsh::script() },
];

/// The page of the configuration.
fn configuration(day: &str) -> String {
    settings::page(day, &unpack(EXAMPLE))
}

/// The files that a package installs, each with its name and text; `day` is that of the manual
/// pages, such as `2026-11-22`.
pub fn files(day: &str) -> impl Iterator<Item = (&'static str, String)> {
    PAGES.iter().map(move |page| (page.file, (page.text)(day)))
}

/// The text that `homing completions SHELL` or `homing manual [PAGE]` prints; without PAGE, the page
/// of the program.
pub(super) fn asked(given: &Given, entry: &Command) -> Result<String, UsageError> {
    let is_optional = entry.operand.starts_with('[');
    let first = given.operands.first().map(String::as_str);
    let word = first.or(entry.choices.first().copied().filter(|_| is_optional));
    let page = word.filter(|word| entry.choices.contains(word));
    let page = page.and_then(|word| PAGES.iter().find(|page| page.word == word));
    let page = page.ok_or_else(|| {
        let (line, choices) = (entry.line(), entry.choices.join(", "));
        UsageError(match word {
            Some(word) => {
                format!("`{line}` has none for `{}`; there are: {choices}", Printable(word))
            }
            None => format!("`{line}` needs a {}, one of: {choices}", entry.operand),
        })
    })?;
    Ok((page.text)(&newest_day().unwrap_or_default()))
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

/// The day of the newest entry of the package's changelog.
pub fn newest_day() -> Option<String> {
    newest(CHANGELOG)
}

/// The day of the newest entry of a Debian changelog.
fn newest(changelog: &str) -> Option<String> {
    let trailer = changelog.lines().find(|line| line.starts_with(" -- "))?;
    day(trailer.split_once(">  ")?.1)
}

#[cfg(test)]
mod tests {
    use super::super::table::{COMMANDS, Verb};
    use super::super::tests::{fails, shows};
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
        assert!(newest_day().is_some());
    }

    #[test]
    fn every_page_can_be_asked_for_by_one_command() {
        let takers = COMMANDS.iter().filter(|c| matches!(c.verb, Verb::Completions | Verb::Manual));
        let words: Vec<_> = takers.flat_map(|command| command.choices).copied().collect();
        for page in &PAGES {
            assert_eq!(words.iter().filter(|word| **word == page.word).count(), 1, "{}", page.word);
        }
        assert_eq!(words.len(), PAGES.len());
    }

    #[test]
    fn a_page_is_printed_by_its_word() {
        shows("completions bash", "complete -F _homing homing");
        shows("completions zsh", "#compdef homing");
        shows("completions fish", "complete -c homing");
        shows("manual", ".TH \"HOMING\" \"1\"");
        shows("manual homing", ".TH \"HOMING\" \"1\"");
        shows("manual homing.toml", ".TH \"HOMING.TOML\" \"5\"");
        fails("completions", "`homing completions` needs a SHELL, one of: bash, fish, zsh");
        fails(
            "completions homing",
            "`homing completions` has none for `homing`; there are: bash, fish, zsh",
        );
        fails(
            "manual homing.yaml",
            "`homing manual` has none for `homing.yaml`; there are: homing, homing.toml",
        );
    }
}
