//! Asks an account with one of its tokens: so that it stays alive, and what it could do beyond its job.
//! Where no account shows a token's rights, the requests of the provider's entry are asked.
//!
//! Reads alone, for one of its hosts, by that host's interface, and no longer than a round can wait.
//! Decides nothing about the token. For a check it reads the token's policies if the receipt holds its
//! id, otherwise what the server offers at records that are not its own.

use std::path::Path;
use std::pin::{Pin, pin};
use std::time::Duration;

use super::credentials::receipt_of;
use super::power;
use super::way::Carrying;
use crate::config::HostConfig;
use crate::core::address::PerFamily;
use crate::core::address::interface::InterfaceName;
use crate::core::name::Hostname;
use crate::core::outcome::{Fault, Outcome};
use crate::core::protocol::manners::Issuer;
use crate::core::round::{Answer, Holder, Subject};
use crate::core::token::desec::audit::judge_policies;
use crate::core::token::finding::Finding;
use crate::core::token::upkeep::TokenFacts;
use crate::core::token::{Duty, Key, TokenId, full_name};
use crate::net::interface::Uplink;
use crate::os::clock::sleep_until;
use crate::provider::Trouble;
use crate::provider::desec::{Account, RecordSet};

/// The longest wait for the account's rate limits within one request.
const PATIENCE: Duration = Duration::from_secs(3);

/// The longest wait for anything here.
const LONGEST: Duration = Duration::from_secs(20);

/// The account's answer about a token; empty after a greeting.
type Findings = Result<Vec<Finding>, Trouble>;

/// Sends one request that changes nothing.
pub async fn greet(carrying: &Carrying, holder: &Holder) -> Answer {
    sleep_until(holder.not_before.unwrap_or_default()).await;
    let Some((account, bind)) = account(carrying, holder) else { return Answer::Token(None) };
    let greeting = async { account.greet().await.map(|()| Vec::new()) };
    answer(bind, in_time(carrying, holder, pin!(greeting)).await)
}

/// Finds out what a token could do beyond its job.
pub async fn check(carrying: &Carrying, holder: &Holder) -> Answer {
    sleep_until(holder.not_before.unwrap_or_default()).await;
    // Only an account of deSEC shows a token its rights.
    let by_powers = |subject: &Subject| subject.provider.manners().tokens != Some(Issuer::Account);
    if let Some(subject) = speaker(holder).filter(|subject| by_powers(subject)) {
        let facts = power::facts(carrying, holder, subject, LONGEST).await;
        return Answer::Token(Some((subject.host.bind, facts)));
    }
    let Some((account, bind)) = account(carrying, holder) else { return Answer::Token(None) };
    let case = TokenCase::of(holder, &carrying.config.hosts);
    let findings = in_time(carrying, holder, pin!(case.findings(&account))).await;
    answer(bind, findings)
}

/// The answer about a token.
fn answer(bind: Option<InterfaceName>, findings: Findings) -> Answer {
    let facts = findings.map(|findings| TokenFacts { findings, end: None });
    let facts = facts.map_err(|trouble| match trouble {
        Trouble::Deferred(deferral) => Outcome::Deferred(deferral),
        Trouble::Rejected(refusal) => Outcome::Rejected(refusal),
        trouble @ (Trouble::Conflict(_) | Trouble::NotThere(_)) => {
            Outcome::deferred(Fault::Unintelligible, trouble.to_string())
        }
    });
    Answer::Token(Some((bind, facts)))
}

/// The host for which, and by whose interface, a token sends: the first host whose interface is there,
/// as far as that is known.
fn speaker(holder: &Holder) -> Option<&Subject> {
    let able = || holder.subjects.iter().zip(&holder.may_speak).filter(|(_, may)| **may);
    let is_there = |(subject, _): &(&Subject, &bool)| {
        subject.host.bind.is_none_or(|name| Uplink::find(name).is_ok())
    };
    able().find(is_there).or_else(|| able().next()).map(|(subject, _)| subject)
}

/// The account as the token sees it, and the interface by which it is asked.
fn account<'a>(
    carrying: &'a Carrying,
    holder: &'a Holder,
) -> Option<(Account<'a>, Option<InterfaceName>)> {
    let subject = speaker(holder)?;
    let (provider, bind) = (&subject.provider, subject.host.bind);
    let api_url = provider.api_url.as_deref()?;
    let ca_file = provider.ca_file.as_deref().map(Path::new);
    let secret = holder.credential.secret.clone();
    let account = Account::new(api_url, ca_file, &carrying.clients, secret, PATIENCE, &());
    Some((account.asked_by(bind), bind))
}

/// The result of `work`, unless it takes too long.
async fn in_time(
    carrying: &Carrying,
    holder: &Holder,
    work: Pin<&mut dyn Future<Output = Findings>>,
) -> Findings {
    let name = holder.subjects.first().map_or("", |subject| &*subject.provider.name);
    let what = format!("waiting for {name} to describe the token");
    let asking = carrying.waiting.during(&what, work);
    tokio::time::timeout(LONGEST, asking)
        .await
        .unwrap_or_else(|_| Err(Trouble::deferred(Fault::Lost, "it takes too long")))
}

/// The facts about a token that are known before any request.
struct TokenCase<'a> {
    /// Its id, if its receipt holds one.
    id: Option<TokenId>,
    /// Its duties.
    duties: Vec<Duty>,
    /// The hosts that use it whose zones are not known.
    homeless: Vec<(&'a Hostname, PerFamily<bool>)>,
    /// One of its hosts.
    host: &'a Hostname,
    /// The zone of that host, where it is known.
    zone: Option<Hostname>,
    /// Every host of the configuration.
    ours: &'a [HostConfig],
}

impl<'a> TokenCase<'a> {
    fn of(holder: &'a Holder, ours: &'a [HostConfig]) -> Self {
        let first = &holder.subjects[0];
        let file = ours.get(first.at).and_then(|host| host.token_file(&first.provider));
        let receipt = file.and_then(|file| receipt_of(file, &holder.credential.secret).ok());
        let written = receipt.as_ref().map(|receipt| receipt.duties.as_slice()).unwrap_or_default();
        let zone_of = |subject: &Subject, known: &Option<Hostname>| {
            let duty = written.iter().find(|duty| duty.host == subject.host.key.host);
            let zone = duty.map(|duty| duty.zone.clone()).or_else(|| subject.host.zone.clone());
            zone.or_else(|| known.clone())
        };
        let (mut duties, mut homeless) = (Vec::new(), Vec::new());
        for (subject, known) in holder.subjects.iter().zip(&holder.zones) {
            let (name, families) = (&subject.host.key.host, subject.host.in_use());
            match zone_of(subject, known) {
                Some(zone) => duties.push(Duty { host: name.clone(), zone, families }),
                None => homeless.push((name, families)),
            }
        }
        Self {
            duties,
            homeless,
            zone: zone_of(first, &holder.zones[0]),
            host: &first.host.key.host,
            ours,
            id: receipt.and_then(|receipt| receipt.id),
        }
    }

    /// The findings about powers beyond its job, asked with the token itself.
    async fn findings(&self, account: &Account<'_>) -> Result<Vec<Finding>, Trouble> {
        if account.manages_tokens().await? {
            return Ok(vec![Finding::ManagesTokens]);
        }
        let Some(id) = &self.id else { return self.offered(account).await };
        match account.policies(id).await {
            Ok(policies) => {
                let mut duties = self.duties.clone();
                for (host, families) in &self.homeless {
                    let Some(zone) = account.zone_of(host).await? else { continue };
                    duties.push(Duty { host: (*host).clone(), zone, families: *families });
                }
                Ok(judge_policies(&policies, &duties, account.api(id).await?))
            }
            // The id is that of another token.
            Err(trouble) if trouble.is_forbidden() => self.offered(account).await,
            Err(trouble) => Err(trouble),
        }
    }

    /// What the server offers to write that is not the token's own: the delegation of its zone,
    /// or a neighbour's address. If it offers nothing, that is no proof.
    async fn offered(&self, account: &Account<'_>) -> Result<Vec<Finding>, Trouble> {
        let zone = match &self.zone {
            Some(zone) => Some(zone.clone()),
            None => account.zone_of(self.host).await?,
        };
        if let Some(zone) = &zone {
            if account.offers_writing(zone, "", "NS").await? {
                return Ok(vec![Finding::MayWrite(Key::of(zone, "", "NS"))]);
            }
            let neighbour = account.best_record_set(zone, |set| self.rank(zone, set)).await?;
            if let Some(RecordSet { subname, kind }) = &neighbour
                && account.offers_writing(zone, subname, kind).await?
            {
                return Ok(vec![Finding::MayWrite(Key::of(zone, subname, kind))]);
            }
        }
        Ok(vec![Finding::untold("it can write other records", "no receipt has its id")])
    }

    /// How well a record set of `zone` serves as a neighbour: an address that none of our hosts
    /// keeps up to date, IPv4 before IPv6.
    fn rank(&self, zone: &Hostname, set: &RecordSet) -> Option<u32> {
        let rank = ["A", "AAAA"].into_iter().zip(0..).find(|(kind, _)| *kind == set.kind)?.1;
        let name = full_name(&set.subname, zone.as_str());
        let is_ours = self.ours.iter().any(|ours| ours.host.key.host.as_str() == name);
        (!is_ours).then_some(rank)
    }
}
