//! Duties of deSEC's tokens, as their account names them, and obstacles to them.
//!
//! Judges no token and changes nothing. Used to issue, audit and probe tokens.

use crate::core::token::desec::rights::RightReach;
use crate::core::token::finding::Finding;
use crate::core::token::{Api, Duty, Token};
use crate::provider::Trouble;
use crate::provider::desec::Account;
use crate::token::subject::Subject;
use crate::token::{Failure, Holder};

/// The largest TTL that deSEC accepts; no zone's minimum is above it.
pub const LONGEST_TTL: u32 = 86_400;

/// The account's tokens and the form of their policies, which only a management token may read.
pub async fn tokens(account: &Account<'_>) -> Result<(Vec<Token>, Api), Failure> {
    let failed =
        |trouble: Trouble| Failure::of_management(&trouble, "listing the account's tokens");
    let tokens = account.tokens().await.map_err(failed)?;
    // The management token is in the list, so there is one to ask about.
    let api = match tokens.first() {
        Some(token) => account.api(&token.id).await.map_err(failed)?,
        None => Api::Rows,
    };
    Ok((tokens, api))
}

/// Whether the server accepts the token that `account` is asked with.
pub async fn lives(account: &Account<'_>) -> Result<bool, Trouble> {
    match account.greet().await {
        Ok(()) => Ok(true),
        Err(trouble) if trouble.is_credential() => Ok(false),
        Err(trouble) => Err(trouble),
    }
}

/// The duties of a subject's hosts, with the zones that `account` names. Adds a finding for each zone
/// that could not be found; if the account could not be asked, the receipt's zone is used.
pub async fn duties(
    account: &Account<'_>,
    subject: &Subject<'_>,
    findings: &mut Vec<Finding>,
) -> Vec<Duty> {
    let mut duties = Vec::new();
    for host in &subject.holder.hosts {
        let name = &host.host.key.host;
        let families = host.host.in_use();
        let (zone, why) = match account.zone_of(name).await {
            Ok(Some(zone)) => (Some(zone), None),
            Ok(None) => (None, Some("no zone of this account holds it".to_owned())),
            Err(trouble) => {
                let issued = subject.receipt.iter().flat_map(|receipt| &receipt.duties);
                let issued = issued.clone().find(|duty| duty.host == *name);
                (issued.map(|duty| duty.zone.clone()), Some(trouble.to_string()))
            }
        };
        let what = || format!("{name} is all that it is for");
        findings.extend(why.map(|why| Finding::untold(what(), why)));
        duties.extend(zone.map(|zone| Duty { host: name.clone(), zone, families }));
    }
    duties
}

/// Drops judgements of single records unless the duties of all hosts are known.
pub fn without_unknown_job(findings: &mut Vec<Finding>, holder: &Holder<'_>, duties: &[Duty]) {
    let is_known =
        holder.hosts.iter().all(|host| duties.iter().any(|duty| duty.host == host.host.key.host));
    let may_be_the_job = |finding: &Finding| match finding {
        Finding::Exceeds(excess) => excess.reach == RightReach::Record,
        _ => false,
    };
    findings.retain(|finding| is_known || !may_be_the_job(finding));
}

/// A finding for each host of `duties` that has an alias (CNAME), which blocks its records.
pub async fn aliases(account: &Account<'_>, duties: &[Duty]) -> Vec<Finding> {
    let mut found = Vec::new();
    for duty in duties {
        // An unknown answer is no obstacle: it says nothing about rights.
        if account.has_record_set(&duty.zone, duty.subname(), "CNAME").await == Ok(true) {
            found.push(Finding::HasAlias(duty.host.clone()));
        }
    }
    found
}
