//! Rights: what policies allow in effect, by deSEC's precedence, and which rights are too much.
//!
//! Of the rows that fit a record, the most specific decides, in the order zone, name, type: eight
//! levels (deSEC, documentation of token policies; measured August 2026). A single row says
//! little: a narrower row may override it.

use crate::core::order::{self, SortedSet};
use crate::core::token::{Key, Policy, Rule};

/// A row: its key, and whether it allows writing.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Right {
    /// The records that the row is about.
    pub key: Key,
    /// Whether they may be written.
    pub write: bool,
}

/// A row that allows more than the duties need.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Excess {
    /// How far it reaches, the farthest first.
    pub reach: RightReach,
    /// The row.
    pub key: Key,
    /// One record that the row allows to write.
    pub example: Key,
}

/// How far a row reaches, the farthest first.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum RightReach {
    /// Everything that no other row is about.
    Default,
    /// Every zone of the account, those to come included.
    EveryZone,
    /// Every name of a zone.
    EveryName,
    /// Every type of a name.
    EveryType,
    /// A type that gives away more than an address: a delegation, an alias, a certificate.
    PowerfulType,
    /// A single record of another type.
    Record,
}

/// The rows that have the effect of `policies`.
///
/// An old policy becomes what the server's own migration made of it: A and AAAA of every name in
/// the zone, and any record where the policy allowed those.
pub fn rights(policies: &[Policy]) -> Vec<Right> {
    policies.iter().flat_map(|policy| of_rule(&policy.rule)).collect()
}

fn of_rule(rule: &Rule) -> Vec<Right> {
    match rule {
        Rule::Row { key, write } => vec![Right { key: key.clone(), write: *write }],
        Rule::Zone { zone, dyndns, records } => {
            let right = |kind: Option<&str>, write| {
                let key = Key { zone: zone.clone(), subname: None, kind: kind.map(str::to_owned) };
                Right { key, write }
            };
            let addresses = *dyndns || *records;
            vec![right(None, *records), right(Some("A"), addresses), right(Some("AAAA"), addresses)]
        }
    }
}

/// The row that decides about `record`; `None` when no row fits. A part of `record` that is
/// `None` stands for one that no row names.
pub fn deciding<'a>(rights: &'a [Right], record: &Key) -> Option<&'a Right> {
    let fits = |row: &Option<String>, asked: &Option<String>| row.is_none() || row == asked;
    let fitting = rights.iter().filter(|Right { key, .. }| {
        fits(&key.zone, &record.zone)
            && fits(&key.subname, &record.subname)
            && fits(&key.kind, &record.kind)
    });
    fitting.max_by_key(|Right { key, .. }| {
        (key.zone.is_some(), key.subname.is_some(), key.kind.is_some())
    })
}

/// The index among `policies` of the one that decides about `record`.
pub fn decided_by(policies: &[Policy], record: &Key) -> Option<usize> {
    let owned: Vec<Vec<Right>> = policies.iter().map(|policy| of_rule(&policy.rule)).collect();
    let all = owned.concat();
    let right = deciding(&all, record)?;
    owned.iter().position(|rights| rights.contains(right))
}

/// Whether `record` may be written: without any policy, everything may.
pub fn may_write(rights: &[Right], record: &Key) -> bool {
    rights.is_empty() || deciding(rights, record).is_some_and(|right| right.write)
}

/// The rows that allow what `is_covered` does not, the farthest-reaching first.
///
/// Looks at every combination of the zones, names and types in the rows, and of one more of each
/// that is in no row: no other record is decided differently.
pub fn excesses(rights: &[Right], is_covered: impl Fn(&Key) -> bool) -> Vec<Excess> {
    let named = |part: fn(&Key) -> Option<&String>| {
        let parts = rights.iter().filter_map(|right| part(&right.key)).collect::<SortedSet<_>>();
        parts.into_iter().cloned().map(Some).chain([None]).collect::<Vec<_>>()
    };
    let zones = named(|key| key.zone.as_ref());
    let subnames = named(|key| key.subname.as_ref());
    let kinds = named(|key| key.kind.as_ref());
    let mut excesses: Vec<Excess> = Vec::new();
    for zone in &zones {
        for subname in &subnames {
            for kind in &kinds {
                let example =
                    Key { zone: zone.clone(), subname: subname.clone(), kind: kind.clone() };
                let Some(Right { key, write }) = deciding(rights, &example) else { continue };
                let is_known = excesses.iter().any(|excess| excess.key == *key);
                if *write && !is_covered(&example) && !is_known {
                    let (reach, key) = (RightReach::of(key), key.clone());
                    excesses.push(Excess { reach, key, example });
                }
            }
        }
    }
    order::sort(&mut excesses);
    excesses
}

impl RightReach {
    fn of(key: &Key) -> Self {
        const POWERFUL: [&str; 9] =
            ["CAA", "CNAME", "DNAME", "DS", "HTTPS", "MX", "NS", "SVCB", "TXT"];
        match (&key.zone, &key.subname, &key.kind) {
            (None, None, None) => Self::Default,
            (None, ..) => Self::EveryZone,
            (_, None, _) => Self::EveryName,
            (.., None) => Self::EveryType,
            (.., Some(kind)) if POWERFUL.contains(&kind.as_str()) => Self::PowerfulType,
            _ => Self::Record,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(zone: &str, subname: &str, kind: &str) -> Key {
        let part = |text: &str| (text != "any").then(|| text.to_owned());
        Key { zone: part(zone), subname: part(subname), kind: part(kind) }
    }

    fn right(zone: &str, subname: &str, kind: &str, write: bool) -> Right {
        Right { key: key(zone, subname, kind), write }
    }

    fn reaches(rights: &[Right]) -> Vec<String> {
        let own = |record: &Key| ["A", "AAAA"].iter().any(|kind| *record == key("z", "h", kind));
        let told = |excess: &Excess| format!("{:?}: {}", excess.reach, excess.key);
        excesses(rights, own).iter().map(told).collect()
    }

    /// Every level against every other: the more specific one decides, whatever the order.
    #[test]
    fn zone_counts_before_name_before_type() {
        let levels = [
            right("z", "h", "A", true),
            right("z", "h", "any", true),
            right("z", "any", "A", true),
            right("z", "any", "any", true),
            right("any", "h", "A", true),
            right("any", "h", "any", true),
            right("any", "any", "A", true),
            right("any", "any", "any", true),
        ];
        for (place, stronger) in levels.iter().enumerate() {
            for weaker in &levels[place + 1..] {
                let denial = Right { write: false, ..stronger.clone() };
                for rights in
                    [vec![denial.clone(), weaker.clone()], vec![weaker.clone(), denial.clone()]]
                {
                    let decided = deciding(&rights, &key("z", "h", "A"));
                    assert_eq!(decided, Some(&denial), "{stronger:?} against {weaker:?}");
                }
            }
        }
    }

    #[test]
    fn without_policies_everything_may_be_written() {
        assert!(may_write(&[], &key("z", "any", "NS")));
        assert!(!may_write(&[right("z", "h", "A", true)], &key("z", "h", "NS")));
    }

    #[test]
    fn a_narrow_token_has_no_excess() {
        let rights = [
            right("any", "any", "any", false),
            right("z", "h", "A", true),
            right("z", "h", "AAAA", true),
        ];
        assert_eq!(reaches(&rights), Vec::<String>::new());
    }

    #[test]
    fn a_row_that_a_narrower_denial_shadows_everywhere_is_no_excess() {
        let shadowed = [
            right("any", "any", "any", false),
            right("z", "h", "any", true),
            right("z", "h", "A", true),
        ];
        assert_eq!(reaches(&shadowed), ["EveryType: any record of h.z"]);
        let rights = [
            right("any", "any", "any", false),
            right("any", "h", "A", true),
            right("z", "any", "any", false),
        ];
        // Another zone is still open to it.
        assert_eq!(reaches(&rights), ["EveryZone: A of h in every zone"]);
        let all_denied = [right("z", "www", "TXT", false), right("z", "h", "A", true)];
        assert_eq!(reaches(&all_denied), Vec::<String>::new());
    }

    #[test]
    fn excesses_are_told_worst_first() {
        let rights = [
            right("z", "h", "TXT", true),
            right("z", "w", "A", true),
            right("z", "h", "any", true),
            right("z", "any", "A", true),
            right("any", "h", "A", true),
            right("any", "any", "any", true),
        ];
        let expect = [
            "Default: any record of any name in every zone",
            "EveryZone: A of h in every zone",
            "EveryName: A of any name in z",
            "EveryType: any record of h.z",
            "PowerfulType: TXT of h.z",
            "Record: A of w.z",
        ];
        assert_eq!(reaches(&rights), expect);
    }

    #[test]
    fn an_old_policy_covers_every_name_of_its_zone() {
        let policy = |zone: Option<&str>, dyndns, records| Policy {
            at: "x".to_owned(),
            rule: Rule::Zone { zone: zone.map(str::to_owned), dyndns, records },
        };
        let rights = rights(&[policy(None, true, true), policy(Some("z"), true, false)]);
        assert!(may_write(&rights, &key("z", "below", "A")));
        assert!(!may_write(&rights, &key("z", "below", "TXT")));
        assert!(may_write(&rights, &key("other", "x", "TXT")));
    }
}
