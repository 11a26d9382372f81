//! Comparing: what has to be written so that a list of records becomes what is wanted.
//!
//! Nobody's records are lost: a record that this machine did not set is replaced only where it is the
//! only one, or where the user said so.

use std::net::IpAddr;

use serde_json::Value;

use crate::core::address::Family;
use crate::core::plan::TakeOver;

/// A listed record.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its id, where the service has ids.
    pub id: Option<String>,
    /// Its value as the service writes it; empty where it has none, as an alias.
    pub value: String,
    /// Its time to live in seconds, where the list has it.
    pub ttl: Option<u32>,
    /// The family whose records it is one of; `None` where only one family is asked about.
    pub family: Option<Family>,
    /// The whole row.
    pub row: Value,
}

/// What is known and wanted of the records of one type of one host.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The addresses that are wanted; none where the records are to be removed.
    pub wanted: &'a [IpAddr],
    /// The records that the list holds.
    pub listed: &'a [Record],
    /// The addresses that this machine has set or sent.
    pub own: &'a [IpAddr],
    /// What may be done with the records of others.
    pub take_over: TakeOver,
    /// The time to live that the user wants, where a write states one.
    pub ttl: Option<u32>,
}

/// The result of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub enum Comparison {
    /// Everything is as it is wanted.
    Equal,
    /// Records of others are in the way: their values.
    Foreign(Vec<String>),
    /// Something has to be written.
    Different {
        /// The wanted addresses that no record holds.
        missing: Vec<IpAddr>,
        /// The records that hold something else, or what another record holds already.
        surplus: Vec<Record>,
        /// The records that hold what is wanted with another time to live.
        other_ttl: Vec<Record>,
    },
}

impl Record {
    /// The address that it holds, if it is one.
    pub fn address(&self) -> Option<IpAddr> {
        self.value.trim().parse().ok()
    }

    fn is_among(&self, addresses: &[IpAddr]) -> bool {
        self.address().is_some_and(|address| addresses.contains(&address))
    }
}

impl Case<'_> {
    /// Compares what is listed with what is wanted.
    ///
    /// | listed                                  | take-over not set     | true     | false         |
    /// |-----------------------------------------|-----------------------|----------|---------------|
    /// | what is wanted                          | equal                 | equal    | equal         |
    /// | beside it only own addresses            | different             | different| different     |
    /// | one record, of somebody else            | different             | different| foreign       |
    /// | several, one of them somebody else's    | foreign               | different| foreign       |
    /// | to be removed: own records              | different             | different| different     |
    /// | to be removed: somebody else's          | left alone            | different| left alone    |
    pub fn compare(&self) -> Comparison {
        let Self { wanted, listed, own, take_over, .. } = *self;
        let is_foreign = |record: &&Record| !record.is_among(own) && !record.is_among(wanted);
        let foreign: Vec<_> = listed.iter().filter(is_foreign).collect();
        if wanted.is_empty() {
            let removed =
                |record: &&Record| take_over == TakeOver::Everything || record.is_among(own);
            let surplus: Vec<_> = listed.iter().filter(removed).cloned().collect();
            if surplus.is_empty() {
                return Comparison::Equal;
            }
            return Comparison::Different { missing: Vec::new(), surplus, other_ttl: Vec::new() };
        }
        let may_replace = match take_over {
            TakeOver::Everything => true,
            TakeOver::Nothing => foreign.is_empty(),
            TakeOver::OnlyOne => foreign.is_empty() || listed.len() == 1,
        };
        if !may_replace {
            return Comparison::Foreign(
                foreign.iter().map(|record| record.value.clone()).collect(),
            );
        }
        let mut missing = wanted.to_vec();
        let (mut surplus, mut other_ttl) = (Vec::new(), Vec::new());
        for record in listed {
            let at = record.address().and_then(|found| missing.iter().position(|it| *it == found));
            match at {
                None => surplus.push(record.clone()),
                Some(at) => {
                    missing.remove(at);
                    if self.ttl.is_some() && record.ttl.is_some() && record.ttl != self.ttl {
                        other_ttl.push(record.clone());
                    }
                }
            }
        }
        if missing.is_empty() && surplus.is_empty() && other_ttl.is_empty() {
            return Comparison::Equal;
        }
        Comparison::Different { missing, surplus, other_ttl }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: &str) -> Record {
        Record { id: None, value: value.into(), ttl: Some(300), family: None, row: Value::Null }
    }

    fn addresses(texts: &str) -> Vec<IpAddr> {
        texts.split_whitespace().map(|text| text.parse().unwrap()).collect()
    }

    /// The comparison in words: `equal`, `foreign VALUES`, or `+missing -surplus ~other-ttl`.
    fn compare(wanted: &str, listed: &str, own: &str, take_over: TakeOver, ttl: u32) -> String {
        let listed: Vec<_> = listed.split_whitespace().map(record).collect();
        let (wanted, own) = (addresses(wanted), addresses(own));
        let ttl = Some(ttl).filter(|ttl| *ttl > 0);
        let case = Case { wanted: &wanted, listed: &listed, own: &own, take_over, ttl };
        match case.compare() {
            Comparison::Equal => "equal".into(),
            Comparison::Foreign(values) => format!("foreign {}", values.join(" ")),
            Comparison::Different { missing, surplus, other_ttl } => {
                let missing = missing.iter().map(|address| format!("+{address}"));
                let surplus = surplus.iter().map(|record| format!("-{}", record.value));
                let other = other_ttl.iter().map(|record| format!("~{}", record.value));
                missing.chain(surplus).chain(other).collect::<Vec<_>>().join(" ")
            }
        }
    }

    #[test]
    fn each_row_of_the_table_holds_for_each_word_of_take_over() {
        let (w, o, f, g) = ("192.0.2.1", "192.0.2.9", "198.51.100.7", "198.51.100.8");
        let both = |a: &str, b: &str| format!("{a} {b}");
        let replaced = |old: &str| format!("+{w} -{old}");
        let rows: [(String, [String; 3]); 9] = [
            (String::new(), [format!("+{w}"), format!("+{w}"), format!("+{w}")]),
            (w.into(), ["equal".into(), "equal".into(), "equal".into()]),
            (o.into(), [replaced(o), replaced(o), replaced(o)]),
            (both(w, o), [format!("-{o}"), format!("-{o}"), format!("-{o}")]),
            (both(w, w), [format!("-{w}"), format!("-{w}"), format!("-{w}")]),
            (f.into(), [replaced(f), replaced(f), format!("foreign {f}")]),
            (both(w, f), [format!("foreign {f}"), format!("-{f}"), format!("foreign {f}")]),
            (
                both(o, f),
                [format!("foreign {f}"), format!("+{w} -{o} -{f}"), format!("foreign {f}")],
            ),
            (
                both(f, g),
                [format!("foreign {f} {g}"), format!("+{w} -{f} -{g}"), format!("foreign {f} {g}")],
            ),
        ];
        for (listed, expect) in rows {
            let words = [TakeOver::OnlyOne, TakeOver::Everything, TakeOver::Nothing];
            for (take_over, expect) in words.into_iter().zip(expect) {
                assert_eq!(compare(w, &listed, o, take_over, 0), expect, "{listed} {take_over:?}");
            }
        }
    }

    #[test]
    fn a_removal_takes_only_what_was_set_here() {
        let (o, f) = ("192.0.2.9", "198.51.100.7");
        for (listed, unsaid, all) in [
            (String::new(), "equal".to_owned(), "equal".to_owned()),
            (o.into(), format!("-{o}"), format!("-{o}")),
            (f.into(), "equal".into(), format!("-{f}")),
            (format!("{o} {f}"), format!("-{o}"), format!("-{o} -{f}")),
        ] {
            assert_eq!(compare("", &listed, o, TakeOver::OnlyOne, 0), unsaid);
            assert_eq!(compare("", &listed, o, TakeOver::Nothing, 0), unsaid);
            assert_eq!(compare("", &listed, o, TakeOver::Everything, 0), all);
        }
    }

    #[test]
    fn addresses_are_compared_as_addresses_and_the_ttl_only_where_it_is_wanted() {
        let only_one = TakeOver::OnlyOne;
        assert_eq!(compare("2001:db8::1", "2001:DB8:0::1", "", only_one, 0), "equal");
        assert_eq!(compare("192.0.2.1", "192.0.2.1", "", only_one, 300), "equal");
        assert_eq!(compare("192.0.2.1", "192.0.2.1", "", only_one, 60), "~192.0.2.1");
        assert_eq!(compare("192.0.2.1 192.0.2.2", "192.0.2.2", "", only_one, 0), "+192.0.2.1");
    }
}
