//! Rights: what policies allow in effect, by deSEC's precedence, and what of that is too much.
//!
//! Of the rows that fit a record, the most specific decides, in the order zone, name, type: eight
//! levels (deSEC, documentation of token policies; measured August 2026). Single rows say little: a
//! narrower one may lift or shadow them.

use std::collections::BTreeSet;

use crate::core::order;
use crate::core::token::{Duty, Key, Policy, Rule};

/// A row with what it decides.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Right {
    /// What it is about.
    pub key: Key,
    /// Whether that may be written.
    pub write: bool,
}

/// A row that allows more than the duties need.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Excess {
    /// How bad it is, the worst first.
    pub reach: RightReach,
    /// The row.
    pub key: Key,
    /// What could be written by it, for one.
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
    /// Another record.
    Record,
}

/// The rows that `policies` stand for.
///
/// An old policy is what the server's own migration made of it: A and AAAA of every name in the
/// zone, and any record where it allowed those.
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

/// The row that decides about a record; `None` when there is none. A part that is `None` is one
/// that no row names.
pub fn deciding<'a>(
    rights: &'a [Right],
    zone: Option<&str>,
    subname: Option<&str>,
    kind: Option<&str>,
) -> Option<&'a Right> {
    let fits = |row: &Option<String>, asked: Option<&str>| match row {
        None => true,
        Some(row) => asked == Some(row.as_str()),
    };
    let fitting = rights.iter().filter(|right| {
        let key = &right.key;
        fits(&key.zone, zone) && fits(&key.subname, subname) && fits(&key.kind, kind)
    });
    fitting.max_by_key(|right| {
        let key = &right.key;
        (key.zone.is_some(), key.subname.is_some(), key.kind.is_some())
    })
}

/// The place among `policies` of the one that decides about a record.
pub fn decided_by(policies: &[Policy], zone: &str, subname: &str, kind: &str) -> Option<usize> {
    let owned = policies.iter().map(|policy| of_rule(&policy.rule));
    let owned: Vec<Vec<Right>> = owned.collect();
    let all = owned.concat();
    let right = deciding(&all, Some(zone), Some(subname), Some(kind))?;
    owned.iter().position(|rights| rights.contains(right))
}

/// Whether a record may be written: without any policy, everything may.
pub fn may_write(
    rights: &[Right],
    zone: Option<&str>,
    subname: Option<&str>,
    kind: Option<&str>,
) -> bool {
    if rights.is_empty() {
        return true;
    }
    deciding(rights, zone, subname, kind).is_some_and(|right| right.write)
}

/// The rows that allow what none of `duties` covers, the farthest-reaching first.
///
/// Looks at every combination of the zones, names and types that any row names, and of one more of
/// each that none does: that is all that can make a difference.
pub fn excesses(
    rights: &[Right],
    is_covered: impl Fn(Option<&str>, Option<&str>, Option<&str>) -> bool,
) -> Vec<Excess> {
    let named = |part: fn(&Key) -> Option<&String>| {
        let parts = rights.iter().filter_map(|right| part(&right.key).map(String::as_str));
        let mut parts: Vec<Option<&str>> =
            parts.collect::<BTreeSet<_>>().into_iter().map(Some).collect();
        parts.push(None);
        parts
    };
    let zones = named(|key| key.zone.as_ref());
    let subnames = named(|key| key.subname.as_ref());
    let kinds = named(|key| key.kind.as_ref());
    let mut excesses: Vec<Excess> = Vec::new();
    for &zone in &zones {
        for &subname in &subnames {
            for &kind in &kinds {
                let Some(right) = deciding(rights, zone, subname, kind) else { continue };
                let known = |excess: &Excess| excess.key == right.key;
                if right.write && !is_covered(zone, subname, kind) && !excesses.iter().any(known) {
                    let own = |part: Option<&str>| part.map(str::to_owned);
                    let example = Key { zone: own(zone), subname: own(subname), kind: own(kind) };
                    let (reach, key) = (RightReach::of(&right.key), right.key.clone());
                    excesses.push(Excess { reach, key, example });
                }
            }
        }
    }
    order::sort(&mut excesses);
    excesses
}

/// The records of `duties` that may not be written: host and type.
pub fn missing<'a>(rights: &[Right], duties: &'a [Duty]) -> Vec<(&'a Duty, &'static str)> {
    let records = duties.iter().flat_map(|duty| duty.kinds().map(move |kind| (duty, kind)));
    let may_write = |duty: &Duty, kind| {
        may_write(rights, Some(duty.zone.as_str()), Some(duty.subname()), Some(kind))
    };
    records.filter(|(duty, kind)| !may_write(duty, kind)).collect()
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

    fn right(zone: &str, subname: &str, kind: &str, write: bool) -> Right {
        let part = |text: &str| (text != "any").then(|| text.to_owned());
        Right { key: Key { zone: part(zone), subname: part(subname), kind: part(kind) }, write }
    }

    fn reaches(rights: &[Right]) -> Vec<String> {
        let own = |zone: Option<&str>, subname: Option<&str>, kind: Option<&str>| {
            zone == Some("z") && subname == Some("h") && matches!(kind, Some("A" | "AAAA"))
        };
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
                    let decided = deciding(&rights, Some("z"), Some("h"), Some("A"));
                    assert_eq!(decided, Some(&denial), "{stronger:?} against {weaker:?}");
                }
            }
        }
    }

    #[test]
    fn without_policies_everything_may_be_written() {
        assert!(may_write(&[], Some("z"), None, Some("NS")));
        assert!(!may_write(&[right("z", "h", "A", true)], Some("z"), Some("h"), Some("NS")));
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
        assert!(may_write(&rights, Some("z"), Some("below"), Some("A")));
        assert!(!may_write(&rights, Some("z"), Some("below"), Some("TXT")));
        assert!(may_write(&rights, Some("other"), Some("x"), Some("TXT")));
    }
}
