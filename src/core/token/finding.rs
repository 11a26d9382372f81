//! What an audit finds about a token, whatever its provider, in words and by weight.
//!
//! Finds nothing itself. Made by the audits of every kind of token, shown by the token side.

use std::fmt;

use super::desec::rights::{Excess, RightReach};
use super::verdict::{TokenVerdict, Weight};
use super::{Key, TokenId, rails};
use crate::core::name::Hostname;
use crate::core::order;
use crate::core::time::Timestamp;

/// Something that an audit found. The order of the list is that of weight.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Finding {
    /// It may make, change and delete tokens: no policy binds it.
    ManagesTokens,
    /// It is the very secret that was given for management.
    IsManagement,
    /// It acts on another account.
    ActsForAnother(String),
    /// It belongs to another account.
    BelongsToAnother(String),
    /// It is a log-in, which may do everything.
    IsLogin,
    /// It has no policies, so it may write everything.
    NoPolicies,
    /// A policy allows more than the job.
    Exceeds(Excess),
    /// A probe found that it may write this.
    MayWrite(Key),
    /// It may register zones.
    CreatesZones {
        /// Whether it may write in them, too.
        writes_there: bool,
    },
    /// It may remove zones, and nothing denies it the records in them.
    DeletesZones,
    /// The server lets anybody write in this zone, without any key.
    TakesUnsigned(Hostname),
    /// Something could not be told.
    Untold {
        /// What.
        what: String,
        /// Why not.
        why: String,
    },
    /// The token does not exist at the server.
    Gone,
    /// The server takes it no more: its time is over.
    Lapsed,
    /// It must be able to write this record and may not.
    Lacks {
        /// The host.
        host: Hostname,
        /// The record's type.
        kind: &'static str,
    },
    /// It may write an address of its host that is left alone here.
    Spare {
        /// The host.
        host: Hostname,
        /// The record's type.
        kind: &'static str,
    },
    /// The host has an alias, beside which no address can stand.
    HasAlias(Hostname),
    /// It would gain rights if it were ever allowed to register zones.
    GrantsItself,
    /// It may remove zones, but its policies deny it the records in them, and so the zones.
    DeletesNothing,
    /// The old server's policies reach to every name below the host.
    ReachesBelow(Hostname),
    /// It may write every record of this zone, which is its host's own.
    WritesZone(Hostname),
    /// No network may use it.
    NoSubnets,
    /// Only these networks may use it: the next change of address may leave them.
    Subnets(Vec<String>),
    /// Its time ends soon.
    ExpiresSoon(Timestamp),
    /// Nothing ends it but a person.
    NoExpiry,
    /// Nobody has ever used it.
    NeverUsed,
    /// Nobody has used it since then.
    Unused(Timestamp),
    /// Another token is for the same host.
    Double {
        /// The host.
        host: Hostname,
        /// The other one.
        other: TokenId,
    },
    /// Others have the same name, or it has none.
    Nameless(String),
    /// What only a token of `PowerDNS` on Rails can be.
    Rails(rails::RailsFinding),
}

/// Puts the worst first.
pub fn sort(findings: &mut [Finding]) {
    order::sort_by_key(findings, Finding::rank);
}

/// What the findings come to.
pub fn verdict(findings: &[Finding]) -> TokenVerdict {
    let is_dead = |finding: &Finding| matches!(finding, Finding::Gone | Finding::Lapsed);
    let is_zone_wide =
        |finding: &Finding| matches!(finding, Finding::ReachesBelow(_) | Finding::WritesZone(_));
    match findings.iter().map(Finding::weight).max() {
        Some(Weight::Notice) if findings.iter().any(is_dead) => TokenVerdict::Dead,
        Some(Weight::Notice) if findings.iter().any(is_zone_wide) => TokenVerdict::NarrowToZone,
        None | Some(Weight::Notice) => TokenVerdict::Narrow,
        Some(Weight::Unclear) => TokenVerdict::Inconclusive,
        Some(Weight::TooPowerful) => TokenVerdict::TooPowerful,
    }
}

impl Finding {
    /// That it could not be told whether `what`, for the reason `why`.
    pub fn untold(what: impl Into<String>, why: impl fmt::Display) -> Self {
        Self::Untold { what: what.into(), why: why.to_string() }
    }

    /// Whether a host whose token this was found about cannot be updated with it.
    pub fn stops_the_job(&self) -> bool {
        match self {
            Self::Gone | Self::Lapsed | Self::Lacks { .. } | Self::NoSubnets => true,
            Self::Rails(finding) => matches!(finding, rails::RailsFinding::Lacks(_)),
            _ => false,
        }
    }

    /// What it means for the result.
    pub fn weight(&self) -> Weight {
        match self.rank() {
            ..=19 => Weight::TooPowerful,
            20..=29 => Weight::Unclear,
            30.. => Weight::Notice,
        }
    }

    /// The place in the order of weight, in tens by [`Weight`].
    fn rank(&self) -> u8 {
        match self {
            Self::ManagesTokens => 0,
            Self::IsManagement => 1,
            Self::ActsForAnother(_) => 2,
            Self::BelongsToAnother(_) => 3,
            Self::IsLogin => 4,
            Self::NoPolicies => 5,
            Self::Exceeds(excess) if excess.reach == RightReach::Default => 6,
            Self::Exceeds(_) => 7,
            Self::MayWrite(_) => 8,
            Self::CreatesZones { .. } => 9,
            Self::DeletesZones => 10,
            Self::TakesUnsigned(_) => 11,
            Self::Untold { .. } => 20,
            Self::Gone => 30,
            Self::Lapsed => 31,
            Self::Lacks { .. } => 32,
            Self::HasAlias(_) => 33,
            Self::NoSubnets => 34,
            Self::ExpiresSoon(_) => 35,
            Self::GrantsItself => 36,
            Self::DeletesNothing => 37,
            Self::ReachesBelow(_) => 38,
            Self::Subnets(_) => 40,
            Self::NeverUsed => 41,
            Self::Unused(_) => 42,
            Self::Double { .. } => 43,
            Self::Nameless(_) => 44,
            Self::Spare { .. } => 45,
            Self::NoExpiry => 46,
            Self::WritesZone(_) => 38,
            Self::Rails(finding) => match finding.weight() {
                Weight::TooPowerful => 11,
                Weight::Unclear => 21,
                Weight::Notice => 47,
            },
        }
    }

    /// The word for it in `--json`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::ManagesTokens => "manages-tokens",
            Self::IsManagement => "is-management-token",
            Self::ActsForAnother(_) => "acts-for-another-account",
            Self::BelongsToAnother(_) => "belongs-to-another-account",
            Self::IsLogin => "login-token",
            Self::NoPolicies => "no-policies",
            Self::Exceeds(excess) if excess.reach == RightReach::Default => "default-allows",
            Self::Exceeds(_) => "policy-too-broad",
            Self::MayWrite(_) => "may-write",
            Self::CreatesZones { .. } => "creates-zones",
            Self::DeletesZones => "deletes-zones",
            Self::TakesUnsigned(_) => "takes-unsigned",
            Self::Untold { .. } => "inconclusive",
            Self::Gone => "gone",
            Self::Lapsed => "lapsed",
            Self::Lacks { .. } => "lacks",
            Self::Spare { .. } => "spare",
            Self::HasAlias(_) => "host-has-cname",
            Self::NoSubnets => "no-subnets",
            Self::ExpiresSoon(_) => "expires-soon",
            Self::GrantsItself => "auto-policy",
            Self::DeletesNothing => "deletes-zones-denied",
            Self::ReachesBelow(_) => "reaches-below",
            Self::WritesZone(_) => "writes-zone",
            Self::Subnets(_) => "subnets",
            Self::NeverUsed => "never-used",
            Self::Unused(_) => "unused",
            Self::Double { .. } => "two-tokens",
            Self::Nameless(_) => "name",
            Self::NoExpiry => "no-expiry",
            Self::Rails(finding) => finding.word(),
        }
    }
}

impl From<rails::RailsFinding> for Finding {
    /// What means the same of every token gets the word that it has there.
    fn from(finding: rails::RailsFinding) -> Self {
        match finding {
            rails::RailsFinding::ExpiresSoon(end) => Self::ExpiresSoon(end),
            rails::RailsFinding::Lapsed(_) => Self::Lapsed,
            other => Self::Rails(other),
        }
    }
}

impl fmt::Display for Finding {
    /// What it is, in one line; moments are told by [`Finding::moment`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ManagesTokens => f.write_str(
                "may make, change and delete tokens, so nothing binds it: it can do everything",
            ),
            Self::IsManagement => f.write_str("is the management token itself"),
            Self::ActsForAnother(account) => write!(f, "acts on another account: {account}"),
            Self::BelongsToAnother(account) => write!(f, "belongs to another account: {account}"),
            Self::IsLogin => f.write_str("is a log-in, which may do everything in the account"),
            Self::NoPolicies => {
                f.write_str("has no policies, so it may write every record of every zone")
            }
            Self::Exceeds(Excess { reach: RightReach::Default, example, .. }) => {
                write!(f, "its default policy allows writing: {example}, for one")
            }
            Self::Exceeds(Excess { key, example, .. }) if key == example => {
                write!(f, "may write {key}")
            }
            Self::Exceeds(Excess { key, .. }) => write!(f, "may write {key}, beyond its job"),
            Self::MayWrite(key) => write!(f, "may write {key} (tried)"),
            Self::CreatesZones { writes_there: false } => f.write_str(
                "may register zones, also below or at other hosts' names, which takes those away",
            ),
            Self::CreatesZones { writes_there: true } => f.write_str(
                "may register zones, also at other hosts' names, and write what is in them",
            ),
            Self::DeletesZones => f.write_str("may delete zones"),
            Self::TakesUnsigned(zone) => write!(
                f,
                "is not even needed: the server lets this machine write in {zone} without any key \
                 (tried)"
            ),
            Self::Untold { what, why } => write!(f, "not known whether {what}: {why}"),
            Self::Gone => f.write_str("does not exist at the server any more"),
            Self::Lapsed => f.write_str("has lapsed: the server refuses it"),
            Self::Lacks { host, kind } => {
                write!(f, "may not write {kind} of {host}, so its updates are refused")
            }
            Self::Spare { host, kind } => {
                write!(f, "may also write {kind} of {host}, which is off here")
            }
            Self::HasAlias(host) => write!(
                f,
                "{host} has a CNAME record, beside which no address can be set: delete the CNAME"
            ),
            Self::GrantsItself => f.write_str(
                "auto_policy is on: with the right to register zones it could write in them",
            ),
            Self::DeletesNothing => f.write_str(
                "has the flag to delete zones, which its policies make useless; still, take it away",
            ),
            Self::ReachesBelow(host) => write!(
                f,
                "also writes A and AAAA of every name below {host}: this server has nothing narrower"
            ),
            Self::WritesZone(zone) => write!(
                f,
                "writes every record of {zone}, its host's own zone: this server has nothing narrower"
            ),
            Self::NoSubnets => f.write_str("no network may use it: every request is refused"),
            Self::Subnets(subnets) => write!(
                f,
                "works only from {}: after a change of address it may be refused",
                subnets.join(", ")
            ),
            Self::ExpiresSoon(_) => f.write_str("expires soon"),
            Self::NoExpiry => f.write_str("never expires"),
            Self::NeverUsed => f.write_str("was never used"),
            Self::Unused(_) => f.write_str("was not used for a long time"),
            Self::Double { host, other } => write!(f, "{host} has another token as well: {other}"),
            Self::Nameless(name) if name.is_empty() => f.write_str("has no name"),
            Self::Nameless(name) => write!(f, "shares its name {name:?} with another token"),
            Self::Rails(finding) => finding.fmt(f),
        }
    }
}

impl Finding {
    /// The moment that it speaks of.
    pub fn moment(&self) -> Option<Timestamp> {
        match self {
            Self::ExpiresSoon(moment) | Self::Unused(moment) => Some(*moment),
            _ => None,
        }
    }
}
