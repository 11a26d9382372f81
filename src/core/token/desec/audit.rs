//! The audit: what a token could do beyond its job, worst first, and what mends it.
//!
//! Judges what the shell has learnt, by an account's own view or by asking as the token itself.
//! Asks nobody; unknown is never fine.

use std::fmt;
use std::time::Duration;

use super::rights::{self, Excess, Reach};
use crate::core::address::Family;
use crate::core::name::Hostname;
use crate::core::order;
use crate::core::time::Timestamp;
use crate::core::token::verdict::{Verdict, WARN_AHEAD, Weight};
use crate::core::token::{Api, Duty, Flags, Key, Limits, Policy, Token, TokenId, rails};

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
    Rails(rails::Finding),
}

/// An account as its tokens are judged: what is the same for all of them.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// The moment of the audit.
    pub now: Timestamp,
    /// The account's own name, where the server tells.
    pub owner: Option<&'a str>,
    /// The form of its policies.
    pub api: Api,
}

/// A token that nobody used for so long has probably been forgotten: a daemon's speaks weekly.
const STALE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A token that young need not have been used.
const YOUNG: Duration = Duration::from_secs(24 * 60 * 60);

/// Everything that the account's own view of a token says, worst first.
pub fn judge(
    token: &Token,
    policies: &[Policy],
    duties: &[Duty],
    circumstances: &Circumstances<'_>,
) -> Vec<Finding> {
    let Circumstances { now, owner, api } = *circumstances;
    let mut findings = judge_flags(&token.flags, policies);
    if token.is_login {
        findings.push(Finding::IsLogin);
    }
    findings.extend(token.acts_for.clone().map(Finding::ActsForAnother));
    match (&token.owner, owner) {
        (Some(of), Some(owner)) if of != owner => {
            findings.push(Finding::BelongsToAnother(of.clone()));
        }
        (Some(of), None) => findings.push(Finding::untold(
            format!("{of}, to whom it belongs, is this account"),
            "the account does not tell its name",
        )),
        _ => {}
    }
    findings.extend(judge_policies(policies, duties, api));
    if !token.is_valid {
        findings.push(Finding::Lapsed);
    }
    findings.extend(judge_limits(&token.limits, token.expires(), now));
    match token.last_used {
        None if now.since(token.created) >= YOUNG => findings.push(Finding::NeverUsed),
        Some(used) if now.since(used) >= STALE => findings.push(Finding::Unused(used)),
        _ => {}
    }
    sort(&mut findings);
    findings
}

/// What its flags allow.
pub fn judge_flags(flags: &Flags, policies: &[Policy]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let is_on = |flag: Option<bool>| flag == Some(true);
    if is_on(flags.manage_tokens) {
        findings.push(Finding::ManagesTokens);
    }
    match (is_on(flags.create_zones), is_on(flags.auto_policy)) {
        (true, writes_there) => findings.push(Finding::CreatesZones { writes_there }),
        (false, true) => findings.push(Finding::GrantsItself),
        (false, false) => {}
    }
    if is_on(flags.delete_zones) {
        findings.push(of_deletion(policies));
    }
    match (flags.create_zones, flags.delete_zones) {
        // Until November 2024 any policy took that right away, and nothing else did.
        (None, None) if policies.is_empty() => {
            findings.extend([Finding::CreatesZones { writes_there: true }, Finding::DeletesZones]);
        }
        (None, None) => {}
        (Some(_), Some(_)) => {}
        (None, Some(_)) | (Some(_), None) => findings.push(Finding::untold(
            "it may register and delete zones",
            "the server tells only one of the two",
        )),
    }
    findings
}

/// What the flag to remove zones comes to: removing one takes the right to write any record in it.
pub fn of_deletion(policies: &[Policy]) -> Finding {
    let rights = rights::rights(policies);
    let mut zones: Vec<_> = rights.iter().map(|right| right.key.zone.as_deref()).collect();
    zones.push(None);
    let any = zones.into_iter().any(|zone| rights::may_write(&rights, zone, None, None));
    if any { Finding::DeletesZones } else { Finding::DeletesNothing }
}

/// What its policies allow beyond `duties`, and what of those they do not.
pub fn judge_policies(policies: &[Policy], duties: &[Duty], api: Api) -> Vec<Finding> {
    if policies.is_empty() {
        return vec![Finding::NoPolicies];
    }
    let rights = rights::rights(policies);
    let is_covered = |zone: Option<&str>, subname: Option<&str>, kind: Option<&str>| {
        duties.iter().any(|duty| match api {
            Api::Rows => duty.covers(zone, subname, kind),
            // There is nothing narrower: the zone's own name, and every name below it.
            Api::Zones => {
                let own = duty.is_zone() && zone == Some(duty.zone.as_str());
                own && matches!(kind, Some("A" | "AAAA"))
            }
        })
    };
    let excesses = rights::excesses(&rights, is_covered);
    let mut findings: Vec<_> = excesses.into_iter().map(Finding::Exceeds).collect();
    let missing = rights::missing(&rights, duties);
    findings.extend(
        missing.into_iter().map(|(duty, kind)| Finding::Lacks { host: duty.host.clone(), kind }),
    );
    // Where a policy is about single records, one for a family that is off need not be there.
    for duty in duties.iter().filter(|_| api == Api::Rows) {
        let off = Family::BOTH.into_iter().filter(|&family| !duty.families[family]);
        for kind in off.map(Family::record_type) {
            let (zone, subname) = (Some(duty.zone.as_str()), Some(duty.subname()));
            if rights::may_write(&rights, zone, subname, Some(kind)) {
                findings.push(Finding::Spare { host: duty.host.clone(), kind });
            }
        }
    }
    if api == Api::Zones {
        let own = duties.iter().filter(|duty| duty.is_zone());
        findings.extend(own.map(|duty| Finding::ReachesBelow(duty.host.clone())));
    }
    findings
}

/// What its limits mean for the time to come.
pub fn judge_limits(limits: &Limits, expires: Option<Timestamp>, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    match limits.subnets.as_deref() {
        None => {}
        Some([]) => findings.push(Finding::NoSubnets),
        Some(subnets) => findings.push(Finding::Subnets(subnets.to_vec())),
    }
    match expires {
        Some(end) if end > now && end.since(now) <= WARN_AHEAD => {
            findings.push(Finding::ExpiresSoon(end));
        }
        None if limits.max_unused.is_none() => findings.push(Finding::NoExpiry),
        _ => {}
    }
    findings
}

/// Puts the worst first.
pub fn sort(findings: &mut [Finding]) {
    order::sort_by_key(findings, Finding::rank);
}

/// What the findings come to.
pub fn verdict(findings: &[Finding]) -> Verdict {
    let is_dead = |finding: &Finding| matches!(finding, Finding::Gone | Finding::Lapsed);
    let is_zone_wide =
        |finding: &Finding| matches!(finding, Finding::ReachesBelow(_) | Finding::WritesZone(_));
    match findings.iter().map(Finding::weight).max() {
        Some(Weight::Notice) if findings.iter().any(is_dead) => Verdict::Dead,
        Some(Weight::Notice) if findings.iter().any(is_zone_wide) => Verdict::NarrowToZone,
        None | Some(Weight::Notice) => Verdict::Narrow,
        Some(Weight::Unclear) => Verdict::Inconclusive,
        Some(Weight::TooPowerful) => Verdict::TooPowerful,
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
            Self::Rails(finding) => matches!(finding, rails::Finding::Lacks(_)),
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
            Self::Exceeds(excess) if excess.reach == Reach::Default => 6,
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
            Self::Exceeds(excess) if excess.reach == Reach::Default => "default-allows",
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

impl From<rails::Finding> for Finding {
    /// What means the same of every token gets the word that it has there.
    fn from(finding: rails::Finding) -> Self {
        match finding {
            rails::Finding::ExpiresSoon(end) => Self::ExpiresSoon(end),
            rails::Finding::Lapsed(_) => Self::Lapsed,
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
            Self::Exceeds(Excess { reach: Reach::Default, example, .. }) => {
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

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 5] =
        [Self::Dead, Self::Narrow, Self::NarrowToZone, Self::Inconclusive, Self::TooPowerful];

    /// Whether it is as narrow as its server can make it.
    pub fn is_narrow(self) -> bool {
        match self {
            Self::Narrow | Self::NarrowToZone => true,
            Self::Dead | Self::Inconclusive | Self::TooPowerful => false,
        }
    }

    /// The word for it in `--json`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Dead => "dead",
            Self::Narrow => "narrow",
            Self::NarrowToZone => "narrow-to-zone",
            Self::Inconclusive => "inconclusive",
            Self::TooPowerful => "too-powerful",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dead => "dead",
            Self::Narrow => "narrow",
            Self::NarrowToZone => "narrow to the zone",
            Self::Inconclusive => "inconclusive",
            Self::TooPowerful => "TOO POWERFUL",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::address::PerFamily;
    use crate::core::token::{Rule, wanted};

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    fn now() -> Timestamp {
        Timestamp::from_secs(1_800_000_000)
    }

    fn duty(host: &str, zone: &str) -> Duty {
        let families = PerFamily { v4: true, v6: true };
        Duty { host: host.parse().unwrap(), zone: zone.parse().unwrap(), families }
    }

    fn policies(rules: Vec<Rule>) -> Vec<Policy> {
        rules.into_iter().map(|rule| Policy { at: "x".to_owned(), rule }).collect()
    }

    fn narrow(api: Api, duties: &[Duty]) -> Vec<Policy> {
        policies(wanted(api, duties))
    }

    fn token() -> Token {
        let off = Some(false);
        let flags =
            Flags { manage_tokens: off, create_zones: off, delete_zones: off, auto_policy: off };
        let limits = Limits { max_age: Some(DAY * 365), ..Limits::default() };
        Token {
            id: "t1".parse().unwrap(),
            name: "homing:dev1.example.com".to_owned(),
            created: now(),
            last_used: None,
            limits,
            flags,
            is_valid: true,
            owner: Some("me@example.com".to_owned()),
            acts_for: None,
            is_login: false,
        }
    }

    fn words(token: &Token, policies: &[Policy], api: Api) -> Vec<&'static str> {
        let duties = [duty("dev1.example.com", "example.com")];
        let circumstances = Circumstances { now: now(), owner: Some("me@example.com"), api };
        judge(token, policies, &duties, &circumstances).iter().map(Finding::word).collect()
    }

    fn own_rows() -> Vec<Policy> {
        narrow(Api::Rows, &[duty("dev1.example.com", "example.com")])
    }

    #[test]
    fn a_narrow_token_with_an_end_is_found_fault_with_nowhere() {
        assert_eq!(words(&token(), &own_rows(), Api::Rows), Vec::<&str>::new());
    }

    #[test]
    fn no_policies_is_everything() {
        assert_eq!(words(&token(), &[], Api::Rows), ["no-policies"]);
    }

    #[test]
    fn the_worst_comes_first() {
        let on = Some(true);
        let flags =
            Flags { manage_tokens: on, create_zones: on, delete_zones: on, auto_policy: on };
        let mut wild = Token { flags, acts_for: Some("x@y".into()), is_login: true, ..token() };
        wild.owner = Some("other@example.com".to_owned());
        wild.limits = Limits { subnets: Some(Vec::new()), ..Limits::default() };
        wild.is_valid = false;
        let rules = vec![Rule::Row { key: Key::default(), write: true }];
        let expect = [
            "manages-tokens",
            "acts-for-another-account",
            "belongs-to-another-account",
            "login-token",
            "default-allows",
            "creates-zones",
            "deletes-zones",
            "lapsed",
            "no-subnets",
            "no-expiry",
        ];
        assert_eq!(words(&wild, &policies(rules), Api::Rows), expect);
    }

    #[test]
    fn flags_that_are_harmless_now_are_notices() {
        let mut odd = token();
        odd.flags.delete_zones = Some(true);
        odd.flags.auto_policy = Some(true);
        assert_eq!(words(&odd, &own_rows(), Api::Rows), ["auto-policy", "deletes-zones-denied"]);
        let owner = Some("me@example.com");
        let circumstances = Circumstances { now: now(), owner, api: Api::Rows };
        let duties = [duty("dev1.example.com", "example.com")];
        assert_eq!(verdict(&judge(&odd, &own_rows(), &duties, &circumstances)), Verdict::Narrow);
    }

    #[test]
    fn an_address_of_the_host_itself_is_never_too_much() {
        let mut one = duty("dev1.example.com", "example.com");
        one.families.v6 = false;
        let findings = judge_policies(&own_rows(), &[one], Api::Rows);
        assert_eq!(findings.iter().map(Finding::word).collect::<Vec<_>>(), ["spare"]);
        assert_eq!(verdict(&findings), Verdict::Narrow);
    }

    #[test]
    fn a_job_that_cannot_be_done_is_told() {
        let mut rows = own_rows();
        rows.retain(|policy| !policy.rule.to_string().contains("AAAA"));
        assert_eq!(words(&token(), &rows, Api::Rows), ["lacks"]);
    }

    #[test]
    fn time_is_told_before_it_is_over() {
        let mut old = token();
        old.created = Timestamp::from_secs(1_800_000_000 - 355 * 86400);
        assert_eq!(words(&old, &own_rows(), Api::Rows), ["expires-soon", "never-used"]);
        old.last_used = Some(Timestamp::from_secs(1_800_000_000 - 31 * 86400));
        old.limits = Limits { max_unused: Some(DAY * 90), ..Limits::default() };
        assert_eq!(words(&old, &own_rows(), Api::Rows), ["unused"]);
    }

    #[test]
    fn on_an_old_server_a_host_is_narrow_to_its_zone_as_a_zone_of_its_own() {
        let mut old = token();
        old.flags = Flags { manage_tokens: Some(false), ..Flags::default() };
        let wide = narrow(Api::Zones, &[duty("dev1.example.com", "example.com")]);
        let found = words(&old, &wide, Api::Zones);
        assert_eq!(found, ["policy-too-broad", "policy-too-broad"]);
        let own = [duty("dev1.example.com", "dev1.example.com")];
        let findings = judge_policies(&narrow(Api::Zones, &own), &own, Api::Zones);
        assert_eq!(verdict(&findings), Verdict::NarrowToZone);
        assert_eq!(findings[0].word(), "reaches-below");
    }

    #[test]
    fn where_no_flag_tells_any_policy_takes_zones_away() {
        let mut old = token();
        old.flags = Flags { manage_tokens: Some(false), ..Flags::default() };
        // So it was from December 2023 to November 2024, with policies as now.
        assert_eq!(words(&old, &own_rows(), Api::Rows), Vec::<&str>::new());
        let all = ["no-policies", "creates-zones", "deletes-zones"];
        assert_eq!(words(&old, &[], Api::Rows), all);
        assert_eq!(words(&old, &[], Api::Zones), all);
    }

    #[test]
    fn a_token_that_is_over_is_dead_unless_it_could_do_too_much_if_revived() {
        assert_eq!(verdict(&[Finding::Lapsed, Finding::NoExpiry]), Verdict::Dead);
        assert_eq!(verdict(&[Finding::NoPolicies, Finding::Lapsed]), Verdict::TooPowerful);
    }

    #[test]
    fn what_could_not_be_told_is_not_fine() {
        let untold = Finding::Untold { what: "x".to_owned(), why: "y".to_owned() };
        assert_eq!(verdict(&[Finding::NoExpiry, untold]), Verdict::Inconclusive);
    }
}
