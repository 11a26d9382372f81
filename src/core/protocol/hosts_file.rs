//! A hosts-format file, such as dnsmasq's `addn-hosts` and CoreDNS' `hosts` read (hosts(5)).
//!
//! Our lines carry a mark; every other line is foreign and kept unchanged. Pure: text in, text
//! out; the shell reads and replaces the file.

use std::net::IpAddr;

use crate::core::address::{Addresses, Family, PerFamily};
use crate::core::name::Hostname;
use crate::core::order::SortedSet;
use crate::core::plan::{Update, Wish};

/// The comment that marks a line as ours.
const MARK: &str = "# homing";

/// The addresses that our own lines in `text` give to `host`.
pub fn set(text: &str, host: &Hostname) -> PerFamily<Option<Addresses>> {
    let ours = text
        .lines()
        .filter_map(own_line)
        .filter(|(_, name)| *name == host.as_str())
        .map(|(address, _)| address)
        .collect::<SortedSet<_>>();
    PerFamily::from_fn(|family| {
        Addresses::new(ours.iter().copied().filter(|&address| Family::of(address) == family))
    })
}

/// The numbers of foreign lines that name `host`, from 1: readers of the file use those as well.
pub fn foreign(text: &str, host: &Hostname) -> Vec<usize> {
    let names_it = |line: &str| {
        let content = line.split('#').next().unwrap_or_default();
        let mut names = content.split_ascii_whitespace().skip(1);
        own_line(line).is_none() && names.any(|name| name.eq_ignore_ascii_case(host.as_str()))
    };
    let lines = text.lines().enumerate().filter(|(_, line)| names_it(line));
    lines.map(|(place, _)| place + 1).collect()
}

/// The text after `updates`: our lines of families to set are replaced, those of families to
/// remove are deleted; families to leave alone keep their lines, and foreign lines stay.
pub fn updated(text: &str, updates: &[Update]) -> String {
    let replaced = |line: &str| {
        own_line(line).is_some_and(|(address, name)| {
            updates.iter().any(|update| {
                update.host.as_str() == name && update.wishes[Family::of(address)] != Wish::Leave
            })
        })
    };
    let mut out = String::with_capacity(text.len() + 64 * updates.len());
    for line in text.split_inclusive('\n').filter(|line| !replaced(line)) {
        out.push_str(line);
    }
    if !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
    for update in updates {
        for (_, wish) in update.wishes.iter() {
            let Wish::Set(addresses) = wish else { continue };
            for address in addresses.iter() {
                out.push_str(&format!("{address}\t{}\t{MARK}\n", update.host));
            }
        }
    }
    out
}

/// The address and name of a line that is ours.
fn own_line(line: &str) -> Option<(IpAddr, &str)> {
    let content = line.trim_end().strip_suffix(MARK)?;
    let mut words = content.split_ascii_whitespace();
    let address = words.next()?.parse().ok()?;
    let name = words.next()?;
    words.next().is_none().then_some((address, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wish(text: &str) -> Wish {
        Wish::Set(Addresses::from(text.parse::<IpAddr>().unwrap()))
    }

    fn update(host: &str, v4: Wish, v6: Wish) -> Update {
        Update { host: host.parse().unwrap(), wishes: PerFamily { v4, v6 } }
    }

    const FOREIGN: &str = "# my own lines\n127.0.0.1 localhost\n10.0.0.9 nas.lan # homing pigeon";

    #[test]
    fn foreign_lines_are_kept_and_ours_replaced() {
        let first = updated(FOREIGN, &[update("a.lan", wish("10.0.0.1"), wish("fd00::1"))]);
        assert_eq!(
            first,
            format!("{FOREIGN}\n10.0.0.1\ta.lan\t# homing\nfd00::1\ta.lan\t# homing\n")
        );
        let second = updated(&first, &[update("a.lan", wish("10.0.0.2"), Wish::Leave)]);
        assert_eq!(
            second,
            format!("{FOREIGN}\nfd00::1\ta.lan\t# homing\n10.0.0.2\ta.lan\t# homing\n")
        );
    }

    #[test]
    fn a_family_that_is_removed_takes_its_own_lines_along() {
        let both = updated(FOREIGN, &[update("a.lan", wish("10.0.0.1"), wish("fd00::1"))]);
        let removed = updated(&both, &[update("a.lan", wish("10.0.0.1"), Wish::Remove)]);
        assert_eq!(removed, format!("{FOREIGN}\n10.0.0.1\ta.lan\t# homing\n"));
    }

    #[test]
    fn what_is_set_is_what_the_file_says() {
        let host: Hostname = "a.lan".parse().unwrap();
        let text = updated("10.0.0.7 a.lan\n", &[update("a.lan", wish("10.0.0.1"), Wish::Leave)]);
        let set = set(&text, &host);
        assert_eq!(set.v4.unwrap().to_string(), "10.0.0.1");
        assert_eq!(set.v6, None);
        assert_eq!(foreign(&text, &host), [1]);
    }

    #[test]
    fn writing_the_same_twice_changes_nothing() {
        let updates = [update("a.lan", wish("10.0.0.1"), Wish::Leave)];
        let once = updated(FOREIGN, &updates);
        assert_eq!(updated(&once, &updates), once);
    }
}
