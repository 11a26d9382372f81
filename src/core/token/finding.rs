//! What an audit finds about a token of any provider, in words and by weight.
//!
//! Values only. The audits of every kind of token make findings; the token side shows them.

use std::fmt;

use super::desec::rights::{Excess, RightReach};
use super::rails::RailsEntry;
use super::verdict::{TokenVerdict, Weight};
use super::{Key, TokenId};
use crate::core::name::Hostname;
use crate::core::order;
use crate::core::provider::Reach;
use crate::core::time::Timestamp;

/// Something that an audit found.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Finding {
    /// It may make, change and delete tokens: no policy binds it.
    ManagesTokens,
    /// It is the management token itself.
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
    /// The server lets anyone write in this zone, without any key.
    TakesUnsigned(Hostname),
    /// It may change every record of this domain that it does not name (`PowerDNS` on Rails).
    ChangesByDefault(Hostname),
    /// It may create records (`PowerDNS` on Rails).
    CreatesRecords,
    /// It may delete records, which is not its job.
    DeletesRecords,
    /// It may change this, which is not its job (`PowerDNS` on Rails).
    MayChange(RailsEntry),
    /// It belongs to the root user of the account (AWS).
    IsRoot,
    /// It may do this, which has nothing to do with records.
    ReachesAccount(&'static str),
    /// Its user has rights beside its own policy, from this (AWS).
    HasMore(String),
    /// A request that a narrow credential is refused showed that it can do this.
    HasPower(String),
    /// Something could not be found out.
    Untold {
        /// What could not be found out.
        what: String,
        /// The reason.
        why: String,
    },
    /// No receipt says what it was granted (`PowerDNS` on Rails).
    NoGrant,
    /// The token does not exist at the server.
    Gone,
    /// The server no longer accepts it: it has expired, or was switched off.
    Lapsed,
    /// It must be able to write this record and may not.
    Lacks {
        /// The host.
        host: Hostname,
        /// The record's type.
        kind: &'static str,
    },
    /// It may write an address of its host whose family is off here.
    Spare {
        /// The host.
        host: Hostname,
        /// The record's type.
        kind: &'static str,
    },
    /// The host has an alias, beside which no address can be set.
    HasAlias(Hostname),
    /// It would gain rights if it were ever allowed to register zones.
    GrantsItself,
    /// It has the flag to delete zones, but its policies deny it the records in them, and so the zones.
    DeletesNothing,
    /// The old server's policies reach to every name below the host.
    ReachesBelow(Hostname),
    /// It may write every record of this zone, and its server offers nothing narrower.
    WritesZone(Hostname),
    /// No network may use it.
    NoSubnets,
    /// Only these networks may use it: the next change of address may leave them.
    Subnets(Vec<String>),
    /// It expires soon.
    ExpiresSoon(Timestamp),
    /// It never expires.
    NoExpiry,
    /// It was never used.
    NeverUsed,
    /// It was last used at this moment, long ago.
    Unused(Timestamp),
    /// Another token is for the same host.
    Double {
        /// The host.
        host: Hostname,
        /// The other token.
        other: TokenId,
    },
    /// It has the same name as another token, or none.
    Nameless(String),
    /// It must be able to change this record and may not (`PowerDNS` on Rails).
    MayNotChange(RailsEntry),
    /// The moment at which it expires is not known (`PowerDNS` on Rails).
    NoKnownEnd,
    /// It may change an address of its host whose family is off here (`PowerDNS` on Rails).
    MayChangeSpare(RailsEntry),
    /// It can do this, and so can the narrowest credential that the service offers.
    SharesPower(String),
    /// The narrowest credential that the service offers can write this.
    Reaches(Reach),
    /// Nothing beyond its job was found in the answers to this many requests, which proves nothing.
    NotProven(usize),
}

/// Sorts findings, the worst first.
pub fn sort(findings: &mut [Finding]) {
    order::sort_by_key(findings, |finding| finding.rank_and_word().0);
}

/// The verdict of the findings.
pub fn verdict(findings: &[Finding]) -> TokenVerdict {
    let is_dead = |finding: &Finding| matches!(finding, Finding::Gone | Finding::Lapsed);
    let is_zone_wide =
        |finding: &Finding| matches!(finding, Finding::ReachesBelow(_) | Finding::WritesZone(_));
    let is_unproven = |finding: &Finding| {
        matches!(finding, Finding::SharesPower(_) | Finding::Reaches(_) | Finding::NotProven(_))
    };
    match findings.iter().map(Finding::weight).max() {
        Some(Weight::Notice) if findings.iter().any(is_dead) => TokenVerdict::Dead,
        Some(Weight::Notice) if findings.iter().any(is_zone_wide) => TokenVerdict::NarrowToZone,
        Some(Weight::Notice) if findings.iter().any(is_unproven) => TokenVerdict::NotProven,
        None | Some(Weight::Notice) => TokenVerdict::Narrow,
        Some(Weight::Unclear) => TokenVerdict::Inconclusive,
        Some(Weight::TooPowerful) => TokenVerdict::TooPowerful,
    }
}

impl Finding {
    /// The finding that, for the reason `why`, it is not known whether `what`.
    pub fn untold(what: impl Into<String>, why: impl fmt::Display) -> Self {
        Self::Untold { what: what.into(), why: why.to_string() }
    }

    /// Whether a token with this finding cannot update its host.
    pub fn stops_the_job(&self) -> bool {
        matches!(
            self,
            Self::Gone
                | Self::Lapsed
                | Self::Lacks { .. }
                | Self::MayNotChange(_)
                | Self::NoSubnets
        )
    }

    /// The weight of the finding.
    pub fn weight(&self) -> Weight {
        match self.rank_and_word().0 {
            ..=19 => Weight::TooPowerful,
            20..=29 => Weight::Unclear,
            30.. => Weight::Notice,
        }
    }

    /// The word for it in `--json`.
    pub fn word(&self) -> &'static str {
        self.rank_and_word().1
    }

    /// The rank, which gives the order and in tens the [`Weight`], and the word for it in `--json`.
    fn rank_and_word(&self) -> (u8, &'static str) {
        match self {
            Self::ManagesTokens => (0, "manages-tokens"),
            Self::IsManagement => (1, "is-management-token"),
            Self::ActsForAnother(_) => (2, "acts-for-another-account"),
            Self::BelongsToAnother(_) => (3, "belongs-to-another-account"),
            Self::IsLogin => (4, "login-token"),
            Self::NoPolicies => (5, "no-policies"),
            Self::Exceeds(excess) if excess.reach == RightReach::Default => (6, "default-allows"),
            Self::Exceeds(_) => (7, "policy-too-broad"),
            Self::MayWrite(_) => (8, "may-write"),
            Self::CreatesZones { .. } => (9, "creates-zones"),
            Self::DeletesZones => (10, "deletes-zones"),
            Self::TakesUnsigned(_) => (11, "takes-unsigned"),
            Self::ChangesByDefault(_) => (12, "default-allows"),
            Self::CreatesRecords => (13, "creates-records"),
            Self::DeletesRecords => (14, "deletes-records"),
            Self::MayChange(_) => (15, "policy-too-broad"),
            Self::IsRoot => (16, "root"),
            Self::ReachesAccount(_) => (17, "reaches-account"),
            Self::HasMore(_) => (18, "more-policies"),
            Self::HasPower(_) => (19, "has-power"),
            Self::Untold { .. } => (20, "inconclusive"),
            Self::NoGrant => (21, "inconclusive"),
            Self::Gone => (30, "gone"),
            Self::Lapsed => (31, "lapsed"),
            Self::Lacks { .. } => (32, "lacks"),
            Self::HasAlias(_) => (33, "host-has-cname"),
            Self::NoSubnets => (34, "no-subnets"),
            Self::ExpiresSoon(_) => (35, "expires-soon"),
            Self::GrantsItself => (36, "auto-policy"),
            Self::DeletesNothing => (37, "deletes-zones-denied"),
            Self::ReachesBelow(_) => (38, "reaches-below"),
            Self::WritesZone(_) => (39, "writes-zone"),
            Self::Subnets(_) => (40, "subnets"),
            Self::NeverUsed => (41, "never-used"),
            Self::Unused(_) => (42, "unused"),
            Self::Double { .. } => (43, "two-tokens"),
            Self::Nameless(_) => (44, "name"),
            Self::Spare { .. } => (45, "spare"),
            Self::NoExpiry => (46, "no-expiry"),
            Self::MayNotChange(_) => (47, "lacks"),
            Self::NoKnownEnd => (48, "expiry-unknown"),
            Self::MayChangeSpare(_) => (49, "spare"),
            Self::SharesPower(_) => (50, "has-power-of-the-narrowest"),
            Self::Reaches(_) => (51, "reaches"),
            Self::NotProven(_) => (52, "not-proven"),
        }
    }

    /// A finding about powers in words; nothing for every other.
    fn of_powers(&self) -> String {
        match self {
            Self::HasPower(power) => power.clone(),
            Self::NotProven(asked) => {
                format!("nothing beyond its job was found (requests: {asked})")
            }
            Self::Reaches(reach) => {
                format!("can change {}: the service offers nothing narrower", reach.words())
            }
            Self::SharesPower(power) => format!("{power}, as even the narrowest credential can"),
            _ => String::new(),
        }
    }

    /// The moment in the finding, if it has one.
    pub fn moment(&self) -> Option<Timestamp> {
        match self {
            Self::ExpiresSoon(moment) | Self::Unused(moment) => Some(*moment),
            _ => None,
        }
    }
}

impl fmt::Display for Finding {
    /// The finding in one line, without its moment: see [`Finding::moment`].
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ManagesTokens => {
                f.write_str("can create, change and delete tokens, so it can do everything")
            }
            Self::IsManagement => f.write_str("is the management token itself"),
            Self::ActsForAnother(account) => write!(f, "belongs to another account: {account}"),
            Self::BelongsToAnother(account) => write!(f, "belongs to another account: {account}"),
            Self::IsLogin => f.write_str("is a login, which can do everything in the account"),
            Self::NoPolicies => {
                f.write_str("has no policies, so it may write every record of every zone")
            }
            Self::Exceeds(Excess { reach: RightReach::Default, example, .. }) => {
                write!(f, "may write by default, for example {example}")
            }
            Self::Exceeds(Excess { key, example, .. }) if key == example => {
                write!(f, "may write {key}")
            }
            Self::Exceeds(Excess { key, .. }) => write!(f, "may write {key}, beyond its job"),
            Self::MayWrite(key) => write!(f, "may write {key} (tested)"),
            Self::CreatesZones { writes_there: false } => f.write_str(
                "may register zones, also at other hosts' names, which takes these hosts away",
            ),
            Self::CreatesZones { writes_there: true } => f.write_str(
                "may register zones, also at other hosts' names, and write what is in them",
            ),
            Self::DeletesZones => f.write_str("may delete zones"),
            Self::TakesUnsigned(zone) => write!(
                f,
                "the server accepts updates to {zone} from this machine without any key (tested)"
            ),
            Self::ChangesByDefault(domain) => {
                write!(f, "may change every record of {domain} that is not protected")
            }
            Self::CreatesRecords => f.write_str(
                "may create records (which changes its secret, so that it stops working here)",
            ),
            Self::DeletesRecords => f.write_str("may delete the records that it may change"),
            Self::MayChange(entry) => write!(f, "may change {}, beyond its job", entry.words()),
            Self::IsRoot => {
                f.write_str("belongs to the root user of the account, which can do everything")
            }
            Self::ReachesAccount(action) => write!(f, "may also do {action}"),
            Self::HasMore(what) => write!(f, "has rights beside its own policy, from {what}"),
            Self::Untold { what, why } => write!(f, "not known whether {what}: {why}"),
            Self::NoGrant => f.write_str(
                "not known what it may change: it has no receipt, and the server cannot show \
                    tokens",
            ),
            Self::Gone => f.write_str("deleted: it does not exist at the server any more"),
            Self::Lapsed => f.write_str("expired or switched off: the server refuses it"),
            Self::Lacks { host, kind } => {
                write!(f, "may not write {kind} of {host}, so its updates are refused")
            }
            Self::Spare { host, kind } => {
                write!(f, "may also write {kind} of {host}, which is off here")
            }
            Self::HasAlias(host) => write!(
                f,
                "{host} has a CNAME record, and cannot have addresses as well: delete the CNAME"
            ),
            Self::GrantsItself => f.write_str(
                "auto_policy is on: with the right to register zones it could write in them",
            ),
            Self::DeletesNothing => f.write_str(
                "has the permission to delete zones, which its policies make useless; remove it \
                    all the same",
            ),
            Self::ReachesBelow(host) => write!(
                f,
                "may also write A and AAAA of every name below {host}: this server cannot limit \
                    it further"
            ),
            Self::WritesZone(zone) => {
                write!(f, "may write every record of {zone}: this server cannot limit it further")
            }
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
            Self::MayNotChange(entry) => {
                write!(f, "may not change {}, so its updates are refused", entry.words())
            }
            Self::NoKnownEnd => f.write_str("expires at an unknown time"),
            Self::MayChangeSpare(entry) => {
                write!(f, "may also change {}, which is off here", entry.words())
            }
            Self::HasPower(_) | Self::NotProven(_) | Self::Reaches(_) | Self::SharesPower(_) => {
                f.write_str(&self.of_powers())
            }
        }
    }
}
