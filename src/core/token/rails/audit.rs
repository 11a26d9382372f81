//! The audit of a token of `PowerDNS` on Rails: what it could do beyond its job, worst first.
//!
//! A file of its own because a finding names the records that `rails` knows.

use super::{Grant, RailsEntry, RailsPolicy, entries};
use crate::core::address::Family;
use crate::core::time::Timestamp;
use crate::core::token::Duty;
use crate::core::token::finding::{Finding, sort};
use crate::core::token::verdict::WARN_AHEAD;

/// The findings about a token with the rights `grant`: rights beyond `duties`, and duties without a
/// right, worst first; an expired one has no other finding. `None` when no receipt holds its rights.
pub fn judge(grant: Option<&Grant>, duties: &[Duty], now: Timestamp) -> Vec<Finding> {
    let Some(grant) = grant else { return vec![Finding::NoGrant] };
    let mut findings = Vec::new();
    match grant.expires {
        Some(end) if end <= now => return vec![Finding::Lapsed],
        Some(end) if end.since(now) <= WARN_AHEAD => findings.push(Finding::ExpiresSoon(end)),
        Some(_) => {}
        None => findings.push(Finding::NoKnownEnd),
    }
    if grant.policy == RailsPolicy::Allow {
        findings.push(Finding::ChangesByDefault(grant.domain.clone()));
    }
    if grant.allow_new {
        findings.push(Finding::CreatesRecords);
    }
    if grant.remove {
        findings.push(Finding::DeletesRecords);
    }
    let wanted: Vec<RailsEntry> = duties.iter().flat_map(entries).collect();
    let addresses = Family::BOTH.map(|family| Some(family.record_type()));
    let is_of_a_host = |entry: &RailsEntry| {
        addresses.contains(&entry.kind.as_deref())
            && duties.iter().any(|duty| duty.host.as_str() == entry.name)
    };
    for entry in &grant.records {
        if !is_of_a_host(entry) {
            findings.push(Finding::MayChange(entry.clone()));
        } else if !wanted.contains(entry) {
            findings.push(Finding::MayChangeSpare(entry.clone()));
        }
    }
    let is_allowed = |entry: &RailsEntry| {
        let kind = entry.kind.as_deref().unwrap_or_default();
        grant.allows(&entry.name, kind)
    };
    let lacking = wanted.into_iter().filter(|entry| !is_allowed(entry));
    findings.extend(lacking.map(Finding::MayNotChange));
    sort(&mut findings);
    findings.dedup();
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::token::finding::verdict;
    use crate::core::token::rails::tests::{at, dev1, duty, narrow};
    use crate::core::token::verdict::TokenVerdict;

    #[track_caller]
    fn check(grant: Option<&Grant>, expect: &[&str], expect_verdict: TokenVerdict) {
        let findings = judge(grant, &[dev1()], at(0));
        let told: Vec<String> = findings.iter().map(Finding::to_string).collect();
        assert_eq!(told, expect);
        assert_eq!(verdict(&findings), expect_verdict);
    }

    #[test]
    fn what_was_asked_for_is_narrow() {
        check(Some(&narrow()), &[], TokenVerdict::Narrow);
    }

    #[test]
    fn every_power_beyond_the_job_is_found() {
        let entry = |text: &str| text.parse::<RailsEntry>().unwrap();
        let allowing = Grant { policy: RailsPolicy::Allow, ..narrow() };
        let told = ["may change every record of example.com that is not protected"];
        check(Some(&allowing), &told, TokenVerdict::TooPowerful);
        let creating = Grant { allow_new: true, ..narrow() };
        let told = ["may create records (which changes its secret, so that it stops working here)"];
        check(Some(&creating), &told, TokenVerdict::TooPowerful);
        let removing = Grant { remove: true, ..narrow() };
        let told = ["may delete the records that it may change"];
        check(Some(&removing), &told, TokenVerdict::TooPowerful);
        let mut broad = narrow();
        broad.records.extend([entry("dev1.example.com"), entry("dev2.example.com:A")]);
        let told = [
            "may change any record of dev1.example.com, beyond its job",
            "may change A of dev2.example.com, beyond its job",
        ];
        check(Some(&broad), &told, TokenVerdict::TooPowerful);
    }

    #[test]
    fn without_a_receipt_nothing_is_known() {
        let told = "not known what it may change: it has no receipt, and the server cannot show \
            tokens";
        check(None, &[told], TokenVerdict::Inconclusive);
    }

    #[test]
    fn an_end_is_told_and_a_lapsed_token_is_dead() {
        let ends = |days| Grant { expires: Some(at(days)), ..narrow() };
        check(Some(&ends(14)), &["expires soon"], TokenVerdict::Narrow);
        check(Some(&ends(15)), &[], TokenVerdict::Narrow);
        let lapsed = Grant { allow_new: true, ..ends(0) };
        assert_eq!(verdict(&judge(Some(&lapsed), &[dev1()], at(0))), TokenVerdict::Dead);
        let unknown = Grant { expires: None, ..narrow() };
        check(Some(&unknown), &["expires at an unknown time"], TokenVerdict::Narrow);
    }

    #[test]
    fn what_it_lacks_and_what_is_spare_are_notices() {
        let mut grant = narrow();
        grant.protect_types.push("AAAA".to_owned());
        let lacks = "may not change AAAA of dev1.example.com, so its updates are refused";
        check(Some(&grant), &[lacks], TokenVerdict::Narrow);
        let one_family = duty("dev1.example.com", "example.com", true, false);
        let findings = judge(Some(&narrow()), &[one_family], at(0));
        assert_eq!(findings.iter().map(Finding::word).collect::<Vec<_>>(), ["spare"]);
    }
}
