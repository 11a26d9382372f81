//! The self-check: finds out, by reading alone, what a new token could do beyond its job.
//!
//! Asks with the token itself, after a success, at most daily; the core judges. Reads its policies
//! if the receipt holds its id, otherwise what the server offers at records that are not its own.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use super::Round;
use super::credentials::receipt_of;
use super::report::{Matter, TokenNews};
use super::speaker::{OwnToken, outcome};
use crate::config::{Config, HostConfig};
use crate::core::address::PerFamily;
use crate::core::memory::SelfCheck;
use crate::core::name::Hostname;
use crate::core::pace::{History, Pace};
use crate::core::secret::Fingerprint;
use crate::core::time::Timestamp;
use crate::core::token::desec::audit::judge_policies;
use crate::core::token::finding::Finding;
use crate::core::token::upkeep::self_check;
use crate::core::token::{Duty, Key, TokenId, full_name};
use crate::provider::Trouble;
use crate::provider::desec::{Account, RecordSet};

/// The tokens that are to be checked; they are not saved.
#[derive(Debug, Default)]
pub struct SelfChecks {
    waiting: Vec<Fingerprint>,
    begun: History,
}

/// A thousand new tokens must not use up the requests that their account's updates need.
const PACE: Pace = Pace { requests: 4, window: Duration::from_secs(60 * 60) };

impl SelfChecks {
    /// Notes that the server accepted a token that is to be checked.
    fn add(&mut self, identity: Fingerprint) {
        if !self.waiting.contains(&identity) {
            self.waiting.push(identity);
        }
    }

    /// Takes the next token, if the pace allows one more.
    fn take(&mut self, now: Timestamp) -> Option<Fingerprint> {
        if self.waiting.is_empty() || self.begun.free_at(Some(PACE), now) > now {
            return None;
        }
        self.begun.note(PACE, now);
        Some(self.waiting.remove(0))
    }
}

impl Round<'_> {
    /// Checks the tokens that have just had a success and were not checked today, if this engine
    /// checks tokens; returns whether something is to be saved.
    pub async fn check_due(&mut self, tokens: &[OwnToken], spoke: &[(Fingerprint, bool)]) -> bool {
        let Some(mut checks) = self.engine.self_checks.take() else { return false };
        let now = self.engine.clock.now();
        for OwnToken { identity, places } in tokens {
            let has_succeeded =
                |&place: &usize| self.report.hosts[self.planned[place].at].has_succeeded();
            // Most rounds send nothing, so this ends here.
            if !places.iter().any(has_succeeded) && !spoke.contains(&(*identity, true)) {
                continue;
            }
            let known = self.engine.memory.tokens.get(identity);
            let about = self.planned[places[0]].access.about;
            if known.is_none_or(|token| token.wants_a_look(about, now)) {
                checks.add(*identity);
            }
        }
        let mut any = false;
        while let Some(identity) = checks.take(now).filter(|_| !self.stop.get()) {
            // A token that is no longer used is skipped.
            let token = tokens.iter().find(|token| token.identity == identity);
            let Some(OwnToken { places, .. }) = token else { continue };
            any = true;
            let ended = self.check(places).await;
            let token = self.engine.memory.tokens.entry(identity).or_default();
            token.looked = (!ended).then_some(now);
        }
        self.engine.self_checks = Some(checks);
        any
    }

    /// Checks one token and remembers the findings; false when the check failed.
    async fn check(&mut self, places: &[usize]) -> bool {
        let config = Rc::clone(&self.engine.config);
        let plan = self.speaker(places);
        let (host, provider) = plan.configured(&config);
        let (identity, about) = (plan.access.identity, plan.access.about);
        let Some(account) = self.account(provider, plan).await else { return false };
        let case = TokenCase::of(self, &config, places);
        let findings = self.in_passing(provider, pin!(case.findings(&account))).await;
        self.engine.traffic.learn(provider, identity, host.host.bind, &outcome(&findings));
        let Ok(findings) = findings else { return false };
        let check = self_check(&findings, about, self.engine.clock.now());
        let token = self.engine.memory.tokens.entry(identity).or_default();
        let before = token.check.replace(check.clone());
        let is_the_same = |before: SelfCheck| {
            (before.about, before.verdict) == (check.about, check.verdict)
                && before.powers == check.powers
        };
        if !before.is_some_and(is_the_same) {
            let (key, matter) = (host.host.key.clone(), Matter::Checked(check));
            self.report.tokens.push(TokenNews { key, matter });
        }
        true
    }
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
    fn of(round: &Round<'_>, config: &'a Config, places: &[usize]) -> Self {
        let plan = &round.planned[places[0]];
        let (first, provider) = plan.configured(config);
        let file = first.token_file(provider);
        let secret = &plan.access.credential.secret;
        let receipt = file.and_then(|file| receipt_of(file, secret).ok());
        let written = receipt.as_ref().map(|receipt| receipt.duties.as_slice()).unwrap_or_default();
        let zone_of = |place: usize| {
            let host = &config.hosts[round.planned[place].at].host;
            let duty = written.iter().find(|duty| duty.host == host.key.host);
            let known = || round.known(place)?.zone.clone();
            duty.map(|duty| duty.zone.clone()).or_else(|| host.zone.clone()).or_else(known)
        };
        let (mut duties, mut homeless) = (Vec::new(), Vec::new());
        for &place in places {
            let host = &config.hosts[round.planned[place].at].host;
            let (name, families) = (&host.key.host, host.in_use());
            match zone_of(place) {
                Some(zone) => duties.push(Duty { host: name.clone(), zone, families }),
                None => homeless.push((name, families)),
            }
        }
        Self {
            duties,
            homeless,
            zone: zone_of(places[0]),
            host: &first.host.key.host,
            ours: &config.hosts,
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
        Ok(vec![Finding::untold("it can write other records", "no receipt tells its id")])
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(1_800_000_000 + seconds)
    }

    #[test]
    fn a_thousand_new_tokens_take_their_turns() {
        let mut checks = SelfChecks::default();
        (0..1000).for_each(|number| checks.add(Fingerprint(number)));
        let taken = |checks: &mut SelfChecks, now| {
            std::iter::from_fn(|| checks.take(now)).map(|print| print.0).collect::<Vec<_>>()
        };
        assert_eq!(taken(&mut checks, at(0)), [0, 1, 2, 3]);
        assert_eq!(taken(&mut checks, at(3599)), [0; 0]);
        assert_eq!(taken(&mut checks, at(3600)), [4, 5, 6, 7]);
    }
}
