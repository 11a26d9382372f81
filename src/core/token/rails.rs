//! Tokens of `PowerDNS` on Rails: what is asked for when one is minted, and what it may do.
//!
//! The server can neither list nor show a token, so what it may do is judged from the [`Grant`] that
//! its receipt keeps, in [`audit`]. Pure.

pub mod audit;

use std::fmt;
use std::time::Duration;

use super::{Duty, Key, Row, Rule};
use crate::core::name::Hostname;
use crate::core::order;
use crate::core::time::Timestamp;

/// A token's rights, in the server's own words.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Grant {
    /// The one domain that it is about.
    pub domain: Hostname,
    /// The policy for records that are not named.
    pub policy: RailsPolicy,
    /// Whether it may create records.
    pub allow_new: bool,
    /// Whether it may delete records.
    pub remove: bool,
    /// Records that it may change.
    pub records: Vec<RailsEntry>,
    /// Records that it may never change.
    pub protect: Vec<RailsEntry>,
    /// Types of which it may never change a record.
    pub protect_types: Vec<String>,
    /// When it expires; `None` when the server gave no date that could be read.
    pub expires: Option<Timestamp>,
}

/// The policy for records that a token does not name.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RailsPolicy {
    /// They may be changed.
    Allow,
    /// They may not be changed.
    Deny,
}

impl RailsPolicy {
    /// The server's own word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

/// A record as tokens name it: `dev1.example.com:A`, or without a type every record of the name.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct RailsEntry {
    /// The name, in lower case and without a final dot.
    pub name: String,
    /// The type, in capitals; `None` is any.
    pub kind: Option<String>,
}

/// Why no token can be asked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum GrantError {
    /// There is no record that it would be for.
    Nothing,
    /// A token is for one domain, and these are two.
    TwoDomains(Hostname, Hostname),
}

/// What cannot be seen of any token of such a server, for the list of an audit.
pub const NOT_VISIBLE: [&str; 3] = [
    "what the server stores about this token: it cannot show tokens",
    "tokens that others made for the same records",
    "its last use",
];

impl Grant {
    /// The narrowest token for `duties`, which expires at `expires`: their A and AAAA and nothing else.
    pub fn narrow(duties: &[Duty], expires: Timestamp) -> Result<Self, GrantError> {
        let first = duties.first().ok_or(GrantError::Nothing)?;
        if let Some(other) = duties.iter().find(|duty| duty.zone != first.zone) {
            return Err(GrantError::TwoDomains(first.zone.clone(), other.zone.clone()));
        }
        let mut records: Vec<_> = duties.iter().flat_map(entries).collect();
        order::sort(&mut records);
        records.dedup();
        if records.is_empty() {
            return Err(GrantError::Nothing);
        }
        Ok(Self {
            domain: first.zone.clone(),
            policy: RailsPolicy::Deny,
            allow_new: false,
            remove: false,
            records,
            protect: Vec::new(),
            protect_types: Vec::new(),
            expires: Some(expires),
        })
    }

    /// Whether the server gave it a much shorter life than the one until `asked`, such as the
    /// hour that a server gives when it does not understand the date.
    pub fn is_cut_short(&self, asked: Timestamp) -> bool {
        self.expires.is_some_and(|given| asked.since(given) > SLACK)
    }

    /// What it allows, as rows: the default of its domain last.
    pub fn rows(&self) -> Vec<Row> {
        let domain = self.domain.as_str();
        let subname = |name: &str| {
            let rest = name.strip_suffix(domain).unwrap_or(name);
            rest.strip_suffix('.').unwrap_or(rest).to_owned()
        };
        let row = |subname: Option<String>, kind: Option<String>, write| {
            let key = Key { zone: Some(domain.to_owned()), subname, kind };
            Row { rule: Rule::Row { key, write }, decides: Vec::new() }
        };
        let named = |entries: &[RailsEntry], write| {
            let of =
                |entry: &RailsEntry| row(Some(subname(&entry.name)), entry.kind.clone(), write);
            entries.iter().map(of).collect::<Vec<_>>()
        };
        let mut rows = named(&self.protect, false);
        rows.extend(self.protect_types.iter().map(|kind| row(None, Some(kind.clone()), false)));
        rows.extend(named(&self.records, true));
        rows.push(row(None, None, self.policy == RailsPolicy::Allow));
        rows
    }

    /// Whether it allows changing a record. NS and SOA are never allowed by any token.
    pub fn allows(&self, name: &str, kind: &str) -> bool {
        let matches = |entry: &RailsEntry| {
            entry.name == name && entry.kind.as_deref().is_none_or(|of_kind| of_kind == kind)
        };
        let is_in = name == self.domain.as_str()
            || name.strip_suffix(self.domain.as_str()).is_some_and(|rest| rest.ends_with('.'));
        let is_protected = matches!(kind, "NS" | "SOA")
            || self.protect_types.iter().any(|of_kind| of_kind == kind)
            || self.protect.iter().any(matches);
        is_in
            && !is_protected
            && (self.policy == RailsPolicy::Allow || self.records.iter().any(matches))
    }
}

/// The records that a host needs.
fn entries(duty: &Duty) -> impl Iterator<Item = RailsEntry> {
    let name = duty.host.to_string();
    duty.kinds().map(move |kind| RailsEntry { name: name.clone(), kind: Some(kind.to_owned()) })
}

/// How much earlier than asked for the server may end a token, rounding included.
const SLACK: Duration = Duration::from_secs(60);

impl RailsEntry {
    /// The record in words: `A of dev1.example.com`.
    pub fn words(&self) -> String {
        match &self.kind {
            Some(kind) => format!("{kind} of {}", self.name),
            None => format!("any record of {}", self.name),
        }
    }
}

impl fmt::Display for RailsEntry {
    /// Writes the record in the server's form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.kind.as_ref().map_or(Ok(()), |kind| write!(f, ":{kind}"))
    }
}

impl std::str::FromStr for RailsEntry {
    type Err = &'static str;

    /// Reads what [`fmt::Display`] writes, as receipts keep it.
    fn from_str(text: &str) -> Result<Self, &'static str> {
        let (name, kind) = match text.split_once(':') {
            Some((name, kind)) => (name, Some(kind.to_ascii_uppercase())),
            None => (text, None),
        };
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        if name.is_empty() || kind.as_ref().is_some_and(String::is_empty) {
            return Err("is not a record such as dev1.example.com:A");
        }
        Ok(Self { name, kind })
    }
}

impl fmt::Display for GrantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => {
                f.write_str("the token would have no records; switch on a family of a host")
            }
            Self::TwoDomains(one, other) => write!(
                f,
                "a token is for one domain, and these hosts are in {one} and {other}; give the \
                 hosts of each domain a token file of their own"
            ),
        }
    }
}

impl std::error::Error for GrantError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::address::PerFamily;

    const DAY: u64 = 24 * 60 * 60;

    pub fn at(days: u64) -> Timestamp {
        Timestamp::from_secs(1_800_000_000 + days * DAY)
    }

    pub fn duty(host: &str, zone: &str, v4: bool, v6: bool) -> Duty {
        let families = PerFamily { v4, v6 };
        Duty { host: host.parse().unwrap(), zone: zone.parse().unwrap(), families }
    }

    pub fn dev1() -> Duty {
        duty("dev1.example.com", "example.com", true, true)
    }

    pub fn narrow() -> Grant {
        Grant::narrow(&[dev1()], at(365)).unwrap()
    }

    #[test]
    fn a_token_is_asked_for_with_exactly_the_records_of_its_hosts() {
        let other = duty("www.example.com", "example.com", false, true);
        let grant = Grant::narrow(&[other.clone(), dev1(), other], at(365)).unwrap();
        let records: Vec<String> = grant.records.iter().map(RailsEntry::to_string).collect();
        assert_eq!(
            records,
            ["dev1.example.com:A", "dev1.example.com:AAAA", "www.example.com:AAAA"]
        );
        assert_eq!(
            (grant.policy, grant.allow_new, grant.remove),
            (RailsPolicy::Deny, false, false)
        );
    }

    #[test]
    fn a_token_is_for_one_domain_and_for_something() {
        let elsewhere = duty("a.example.net", "example.net", true, true);
        let error = Grant::narrow(&[dev1(), elsewhere], at(1)).unwrap_err();
        assert!(error.to_string().contains("example.com and example.net"), "{error}");
        let off = duty("dev1.example.com", "example.com", false, false);
        assert_eq!(Grant::narrow(&[off], at(1)), Err(GrantError::Nothing));
        assert_eq!(Grant::narrow(&[], at(1)), Err(GrantError::Nothing));
    }

    #[test]
    fn nothing_outside_the_domain_and_no_ns_is_ever_allowed() {
        let grant = Grant { policy: RailsPolicy::Allow, ..narrow() };
        assert!(grant.allows("www.example.com", "TXT") && grant.allows("example.com", "MX"));
        assert!(!grant.allows("example.com", "NS") && !grant.allows("example.com", "SOA"));
        assert!(!grant.allows("an-example.com", "A") && !grant.allows("example.net", "A"));
        let grant = Grant { protect: vec!["www.example.com".parse().unwrap()], ..grant };
        assert!(!grant.allows("www.example.com", "TXT"));
    }

    #[test]
    fn an_hour_in_place_of_a_year_is_seen() {
        let is_cut_short = |given| {
            let grant = Grant { expires: Some(given), ..narrow() };
            grant.is_cut_short(at(365))
        };
        assert!(is_cut_short(at(0)));
        assert!(!is_cut_short(Timestamp::from_millis(at(365).millis() - 30_000)));
        assert!(!is_cut_short(at(366)));
    }

    #[test]
    fn entries_are_read_as_they_are_written() {
        for text in ["dev1.example.com:AAAA", "dev1.example.com"] {
            assert_eq!(text.parse::<RailsEntry>().unwrap().to_string(), text);
        }
        assert_eq!(
            "Dev1.example.com.:a".parse::<RailsEntry>().unwrap().to_string(),
            "dev1.example.com:A"
        );
        assert!(":A".parse::<RailsEntry>().is_err() && "a:".parse::<RailsEntry>().is_err());
    }
}
