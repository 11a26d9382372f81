//! The difference between the policies that a token has and those that it should have.

use crate::core::order;
use crate::core::token::{Api, Duty, Policy, Rule, wanted};

/// One change at the server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Change {
    /// A policy is missing.
    Add(Rule),
    /// A policy is about the right records and has the wrong rights.
    Correct {
        /// The policy as it is.
        is: Policy,
        /// The policy as it should be.
        should: Rule,
    },
    /// A policy is surplus.
    Remove(Policy),
}

/// The changes that turn `is` into `should`, in the order in which they have to be made.
///
/// The default comes first: the server accepts no other policy before it, and at no moment may
/// more be allowed than before or after. Missing policies are added before surplus ones are
/// removed, so that a token in use stays usable. Of the surplus, permissions are removed before
/// denials, because a denial may override a permission.
pub fn difference(is: &[Policy], should: &[Rule]) -> Vec<Change> {
    let mut changes = Vec::new();
    for rule in should {
        match is.iter().find(|policy| policy.rule.is_about_the_same(rule)) {
            None => changes.push(Change::Add(rule.clone())),
            Some(policy) if policy.rule != *rule => {
                changes.push(Change::Correct { is: policy.clone(), should: rule.clone() });
            }
            Some(_) => {}
        }
    }
    let is_wanted = |policy: &&Policy| should.iter().any(|r| r.is_about_the_same(&policy.rule));
    let surplus = is.iter().filter(|policy| !is_wanted(policy));
    changes.extend(surplus.cloned().map(Change::Remove));
    order::sort_by_key(&mut changes, Change::rank);
    changes
}

/// Whether a duty in `duties` has lost all its own policies: this happens when its zone is
/// deleted and registered again, which removes them.
pub fn has_lost_all(is: &[Policy], duties: &[Duty], api: Api) -> bool {
    duties.iter().any(|duty| {
        let own = wanted(api, std::slice::from_ref(duty));
        let mut own = own.iter().filter(|rule| rule.allows()).peekable();
        own.peek().is_some()
            && own.all(|rule| !is.iter().any(|policy| policy.rule.is_about_the_same(rule)))
    })
}

impl Change {
    /// The change as its [`Display`](std::fmt::Display), with the row's zone if by `duties`
    /// another zone is responsible for the name: rows of two zones would look the same.
    pub fn in_words(&self, duties: &[Duty]) -> String {
        let rule = match self {
            Self::Add(rule) | Self::Correct { should: rule, .. } => rule,
            Self::Remove(policy) => &policy.rule,
        };
        match rule.foreign_zone(duties) {
            Some(zone) => format!("{self} (a row of the zone {zone})"),
            None => self.to_string(),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Add(rule) | Self::Correct { should: rule, .. } if rule.is_default() => 0,
            Self::Add(_) => 1,
            Self::Correct { .. } => 2,
            Self::Remove(policy) if policy.rule.allows() => 3,
            Self::Remove(_) => 4,
        }
    }
}

impl std::fmt::Display for Change {
    /// A line of a plan: `+` for what comes, `~` for what changes, `-` for what goes.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Add(rule) => write!(f, "+ {rule}"),
            Self::Correct { is, should } => write!(f, "~ {should} (was: {})", is.rule),
            Self::Remove(policy) => write!(f, "- {}", policy.rule),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::token::Key;

    fn row(zone: Option<&str>, subname: Option<&str>, kind: Option<&str>, write: bool) -> Rule {
        let own = |part: Option<&str>| part.map(str::to_owned);
        Rule::Row { key: Key { zone: own(zone), subname: own(subname), kind: own(kind) }, write }
    }

    fn policies(rules: &[Rule]) -> Vec<Policy> {
        let numbered = rules.iter().enumerate();
        numbered.map(|(at, rule)| Policy { at: at.to_string(), rule: rule.clone() }).collect()
    }

    fn a(write: bool) -> Rule {
        row(Some("example.com"), Some("dev1"), Some("A"), write)
    }

    #[track_caller]
    fn check(is: &[Rule], should: &[Rule], lines: &[&str]) {
        let told: Vec<_> =
            difference(&policies(is), should).iter().map(Change::to_string).collect();
        assert_eq!(told, lines);
    }

    #[test]
    fn what_is_right_is_left_alone() {
        let rules = [Rule::nothing(Api::Rows), a(true)];
        check(&rules, &rules, &[]);
    }

    #[test]
    fn the_default_comes_first_and_denials_go_last() {
        let deny = row(Some("example.com"), Some("www"), None, false);
        let broad = row(Some("example.com"), None, None, true);
        let should = [Rule::nothing(Api::Rows), a(true), row(None, Some("x"), Some("A"), true)];
        check(
            &[deny, broad, a(false), row(None, None, None, true)],
            &should,
            &[
                "~ default: deny everything (was: default: allow everything)",
                "+ allow A of x in every zone",
                "~ allow A of dev1.example.com (was: deny A of dev1.example.com)",
                "- allow any record of any name in example.com",
                "- deny any record of www.example.com",
            ],
        );
    }

    #[test]
    fn a_token_without_policies_gets_the_default_first() {
        let should = [a(true), Rule::nothing(Api::Rows)];
        check(&[], &should, &["+ default: deny everything", "+ allow A of dev1.example.com"]);
    }

    #[test]
    fn old_policies_differ_by_what_they_allow() {
        let zone = |dyndns, records| Rule::Zone {
            zone: Some("dev1.example.com".to_owned()),
            dyndns,
            records,
        };
        check(
            &[Rule::nothing(Api::Zones), zone(true, true)],
            &[Rule::nothing(Api::Zones), zone(true, false)],
            &["~ allow A and AAAA of dev1.example.com and every name below \
               (was: allow any record of dev1.example.com and every name below)"],
        );
    }

    #[test]
    fn a_zone_that_was_made_anew_has_no_row_left() {
        let duty = |host: &str| Duty {
            host: host.parse().unwrap(),
            zone: "example.com".parse().unwrap(),
            families: crate::core::address::PerFamily { v4: true, v6: true },
        };
        let both = [duty("a.example.com"), duty("b.example.com")];
        for api in [Api::Rows, Api::Zones] {
            let mut is = policies(&wanted(api, &both));
            assert!(!has_lost_all(&is, &both, api));
            is.truncate(1);
            assert!(has_lost_all(&is, &both, api), "the default alone");
            assert!(has_lost_all(&[], &both, api));
            assert!(!has_lost_all(&[], &[], api));
        }
        let is = policies(&wanted(Api::Rows, &both[..1]));
        assert!(has_lost_all(&is, &both, Api::Rows), "one host's rows are not the other's");
        assert!(!has_lost_all(&is[..2], &both[..1], Api::Rows), "one row is left");
    }
}
