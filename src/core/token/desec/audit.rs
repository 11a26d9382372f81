//! The audit of a token of deSEC: what it could do beyond its job, worst first.
//!
//! Judges what the shell has found out, from the account's own view or by asking with the token
//! itself. Sends nothing; unknown is never fine.

use std::time::Duration;

use super::rights;
use crate::core::address::Family;
use crate::core::time::Timestamp;
use crate::core::token::finding::{Finding, sort};
use crate::core::token::verdict::WARN_AHEAD;
use crate::core::token::{Api, Duty, Flags, Key, Limits, Policy, Token};

/// The facts of an account that are the same for all its tokens.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances<'a> {
    /// The moment of the audit.
    pub now: Timestamp,
    /// The account's own name, if the server returns it.
    pub owner: Option<&'a str>,
    /// The form of its policies.
    pub api: Api,
}

/// The time without use after which a token is probably forgotten: a daemon's is used weekly.
const STALE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The age up to which a token need not have been used.
const YOUNG: Duration = Duration::from_secs(24 * 60 * 60);

/// All findings from the account's own view of a token, worst first.
pub fn judge(
    token: &Token,
    policies: &[Policy],
    duties: &[Duty],
    circumstances: &Circumstances<'_>,
) -> Vec<Finding> {
    let Circumstances { now, owner, api } = *circumstances;
    let mut findings = judge_flags(token.flags, policies);
    if token.is_login {
        findings.push(Finding::IsLogin);
    }
    findings.extend(token.acts_for.clone().map(Finding::ActsForAnother));
    match (&token.owner, owner) {
        (Some(of), Some(owner)) if of != owner => {
            findings.push(Finding::BelongsToAnother(of.clone()));
        }
        (Some(of), None) => findings.push(Finding::untold(
            format!("it is not known whether this account, {of}, is the token's owner"),
            "the account does not show its name",
        )),
        _ => {}
    }
    findings.extend(judge_policies(policies, duties, api));
    if !token.is_valid {
        findings.push(Finding::Lapsed);
    }
    findings.extend(judge_limits(&token.limits, token.expires(), now));
    findings.extend(judge_use(Some(token.created), token.last_used, now));
    sort(&mut findings);
    findings
}

/// The finding about a token's last use, if that was long ago.
pub fn judge_use(
    created: Option<Timestamp>,
    last_used: Option<Timestamp>,
    now: Timestamp,
) -> Option<Finding> {
    match (last_used, created) {
        (None, Some(created)) if now.since(created) >= YOUNG => Some(Finding::NeverUsed),
        (Some(used), _) if now.since(used) >= STALE => Some(Finding::Unused(used)),
        _ => None,
    }
}

/// The findings about a token's flags.
fn judge_flags(flags: Flags, policies: &[Policy]) -> Vec<Finding> {
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
        // Until November 2024 any policy took these rights away, and nothing else did.
        (None, None) if policies.is_empty() => {
            findings.extend([Finding::CreatesZones { writes_there: true }, Finding::DeletesZones]);
        }
        (None, None) | (Some(_), Some(_)) => {}
        (None, Some(_)) | (Some(_), None) => findings.push(Finding::untold(
            "it may register and delete zones",
            "the server shows only one of the two",
        )),
    }
    findings
}

/// The finding about the flag to delete zones: deletion needs the right to write any record there.
pub fn of_deletion(policies: &[Policy]) -> Finding {
    let rights = rights::rights(policies);
    let named = rights.iter().map(|right| right.key.zone.clone());
    let may_delete = |zone| rights::may_write(&rights, &Key { zone, ..Key::default() });
    if named.chain([None]).any(may_delete) {
        Finding::DeletesZones
    } else {
        Finding::DeletesNothing
    }
}

/// The findings about policies: rights beyond `duties`, and duties without a right.
pub fn judge_policies(policies: &[Policy], duties: &[Duty], api: Api) -> Vec<Finding> {
    if policies.is_empty() {
        return vec![Finding::NoPolicies];
    }
    let rights = rights::rights(policies);
    let is_covered = |record: &Key| {
        duties.iter().any(|duty| match api {
            Api::Rows => duty.covers(record),
            // Nothing is narrower: the zone's own name, and every name below it.
            Api::Zones => {
                let own = duty.is_zone() && record.zone.as_deref() == Some(duty.zone.as_str());
                own && matches!(record.kind.as_deref(), Some("A" | "AAAA"))
            }
        })
    };
    let excesses = rights::excesses(&rights, is_covered);
    let mut findings: Vec<_> = excesses.into_iter().map(Finding::Exceeds).collect();
    for duty in duties {
        for family in Family::BOTH {
            let (host, kind) = (duty.host.clone(), family.record_type());
            match (duty.families[family], rights::may_write(&rights, &duty.record(kind))) {
                (true, false) => findings.push(Finding::Lacks { host, kind }),
                // Where policies are for single records, a family that is off needs none.
                (false, true) if api == Api::Rows => findings.push(Finding::Spare { host, kind }),
                _ => {}
            }
        }
        if api == Api::Zones && duty.is_zone() {
            findings.push(Finding::ReachesBelow(duty.host.clone()));
        }
    }
    findings
}

/// The findings about a token's limits and its end.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::address::PerFamily;
    use crate::core::token::finding::verdict;
    use crate::core::token::verdict::TokenVerdict;
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
        assert_eq!(
            verdict(&judge(&odd, &own_rows(), &duties, &circumstances)),
            TokenVerdict::Narrow
        );
    }

    #[test]
    fn an_address_of_the_host_itself_is_never_too_much() {
        let mut one = duty("dev1.example.com", "example.com");
        one.families.v6 = false;
        let findings = judge_policies(&own_rows(), &[one], Api::Rows);
        assert_eq!(findings.iter().map(Finding::word).collect::<Vec<_>>(), ["spare"]);
        assert_eq!(verdict(&findings), TokenVerdict::Narrow);
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
        assert_eq!(verdict(&findings), TokenVerdict::NarrowToZone);
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
        assert_eq!(verdict(&[Finding::Lapsed, Finding::NoExpiry]), TokenVerdict::Dead);
        assert_eq!(verdict(&[Finding::NoPolicies, Finding::Lapsed]), TokenVerdict::TooPowerful);
    }

    #[test]
    fn what_could_not_be_told_is_not_fine() {
        let untold = Finding::Untold { what: "x".to_owned(), why: "y".to_owned() };
        assert_eq!(verdict(&[Finding::NoExpiry, untold]), TokenVerdict::Inconclusive);
    }
}
