//! Upkeep of tokens: no token expires for lack of use, and none ends without a warning.
//!
//! Comes after the updates and their saves, so that it delays none of them. Only a refused
//! credential affects the hosts; every other fault is tried again later, without a report.

use std::collections::BTreeMap;
use std::pin::pin;
use std::rc::Rc;

use super::Round;
use super::report::{Matter, TokenNews};
use super::speaker::{OwnToken, outcome};
use crate::core::address::PerFamily;
use crate::core::memory::{Entry, HoldKind, TokenEntry};
use crate::core::outcome::{Outcome, Rejection};
use crate::core::protocol::manners::Issuer;
use crate::core::secret::Fingerprint;
use crate::core::time::Timestamp;
use crate::core::token::upkeep::{End, Terms, greet_at, next_warning, warns};

/// The most tokens that are kept alive in one round; the others have days left.
const MOST_GREETINGS: usize = 10;

impl Round<'_> {
    /// Keeps the tokens of this round alive, warns of their ends, and checks those that are new.
    pub async fn look_after(&mut self) {
        // A clock that is not set does not show what is due or over.
        if !self.engine.clock.is_set() {
            return;
        }
        let tokens = self.tokens_in_use();
        let changed = self.remember(&tokens);
        self.warn_of_ends(&tokens);
        let spoke = self.keep_alive(&tokens).await;
        // A file may hold another token by now.
        let mut tokens = self.tokens_in_use();
        let all = tokens.clone();
        // Only deSEC's accounts can show the rights of a token.
        tokens.retain(|token| self.is_of_account(token));
        let looked = self.check_due(&tokens, &spoke).await;
        if changed || looked || !spoke.is_empty() || !self.report.tokens.is_empty() {
            self.save();
        }
        self.report.next = self.next_upkeep(&all);
    }

    /// The tokens of the planned hosts whose providers have tokens with receipts.
    fn tokens_in_use(&self) -> Vec<OwnToken> {
        let mut tokens: Vec<OwnToken> = Vec::new();
        let mut known: BTreeMap<Fingerprint, usize> = BTreeMap::new();
        for (place, plan) in self.planned.iter().enumerate() {
            if !self.provider(place).manners().has_receipts() {
                continue;
            }
            let identity = plan.access.identity;
            let at = *known.entry(identity).or_insert(tokens.len());
            match tokens.get_mut(at) {
                Some(token) => token.places.push(place),
                None => tokens.push(OwnToken { identity, places: vec![place] }),
            }
        }
        tokens
    }

    fn is_of_account(&self, token: &OwnToken) -> bool {
        let manners = self.provider(token.places[0]).manners();
        manners.tokens == Some(Issuer::Account)
    }

    /// Remembers new tokens, and forgets those that are no longer used; returns whether there
    /// were any.
    fn remember(&mut self, tokens: &[OwnToken]) -> bool {
        let now = self.engine.clock.now();
        let mut known = std::mem::take(&mut self.engine.memory.tokens);
        let mut changed = false;
        for OwnToken { identity, places } in tokens {
            let token = known.remove(identity).unwrap_or_else(|| {
                changed = true;
                // For a token that was used before it was remembered, the records show its last use.
                let entries = places.iter().filter_map(|&place| self.known(place));
                let spoke = entries.filter_map(confirmed).max().unwrap_or(now);
                TokenEntry { spoke, ..TokenEntry::default() }
            });
            self.engine.memory.tokens.insert(*identity, token);
        }
        // A file that cannot be read at this moment may hold one of the other tokens.
        if self.report.hosts.iter().any(|host| host.secret_problem.is_some()) {
            self.engine.memory.tokens.append(&mut known);
        }
        changed || !known.is_empty()
    }

    /// The terms of a token, from the receipt beside the file of any of its hosts.
    fn terms(&self, places: &[usize]) -> Option<&Terms> {
        places.iter().find_map(|&place| self.planned[place].access.terms.as_ref().ok())
    }

    /// Warns of the ends that are near, each as often as it should be.
    fn warn_of_ends(&mut self, tokens: &[OwnToken]) {
        let now = self.engine.clock.now();
        for OwnToken { identity, places } in tokens {
            let Some(&Terms { end: End::At(end), .. }) = self.terms(places) else { continue };
            let Some(token) = self.engine.memory.tokens.get_mut(identity) else { continue };
            if warns(End::At(end), token.warned, now) {
                token.warned = Some(now);
                let key = self.host(places[0]).host.key.clone();
                let matter = if end > now { Matter::Ends(end) } else { Matter::Ended(end) };
                self.report.tokens.push(TokenNews { key, matter });
            }
        }
    }

    /// Sends a request with each token that was not used for long; returns these, with the success.
    async fn keep_alive(&mut self, tokens: &[OwnToken]) -> Vec<(Fingerprint, bool)> {
        let now = self.engine.clock.now();
        let mut spoke = Vec::new();
        for token in tokens {
            let OwnToken { identity, places } = token;
            let is_due = self.greeting(token).is_some_and(|at| at <= now);
            if !is_due || self.stop.get() || spoke.len() >= MOST_GREETINGS {
                continue;
            }
            let Some(outcome) = self.greet(places).await else { continue };
            let was_heard = outcome == Outcome::Unchanged;
            spoke.push((*identity, was_heard));
            let now = self.engine.clock.now();
            let known = self.engine.memory.tokens.entry(*identity).or_default();
            if was_heard {
                known.note_heard(now);
            } else {
                known.unheard = Some(now);
            }
            if outcome.credential_refusal().is_some() {
                self.renew(places, *identity);
                for &place in places {
                    if self.planned[place].access.identity == *identity {
                        self.settle(place, &PerFamily::default(), &outcome);
                    }
                }
            }
        }
        spoke
    }

    /// When a token must be used next, if it may be used at all.
    fn greeting(&self, token: &OwnToken) -> Option<Timestamp> {
        let OwnToken { identity, places } = token;
        // Only there a token expires for lack of use.
        if !self.is_of_account(token) || self.provider(places[0]).api_url.is_none() {
            return None;
        }
        let parks = || places.iter().map(|&place| self.park_of(place));
        let refused = parks().flatten().any(Rejection::is_the_credentials);
        let unused = parks().all(|park| park.is_some_and(Rejection::is_our_own));
        if refused || unused {
            return None;
        }
        let max_unused = self.terms(places).and_then(|terms| terms.max_unused);
        Some(greet_at(self.engine.memory.tokens.get(identity)?, max_unused))
    }

    /// Why the host is parked, if it is.
    fn park_of(&self, place: usize) -> Option<Rejection> {
        let hold = self.known(place)?.hold.as_ref()?;
        let is_current = hold.fingerprint == self.planned[place].access.fingerprint;
        match hold.kind {
            HoldKind::Rejected(rejection) => is_current.then_some(rejection),
            HoldKind::Backoff(_) | HoldKind::Throttled => None,
        }
    }

    /// Sends one request that changes nothing; `None` when it was not worth sending.
    async fn greet(&mut self, places: &[usize]) -> Option<Outcome> {
        let config = Rc::clone(&self.engine.config);
        let plan = self.speaker(places);
        let (host, provider) = plan.configured(&config);
        let identity = plan.access.identity;
        let account = self.account(provider, plan).await?;
        let greeting = async { account.greet().await.map(|()| Vec::new()) };
        let outcome = outcome(&self.in_passing(provider, pin!(greeting)).await);
        self.engine.traffic.learn(provider, identity, host.host.bind, &outcome);
        Some(outcome)
    }

    /// The moment of the next upkeep; overdue upkeep waits for the poll.
    fn next_upkeep(&self, tokens: &[OwnToken]) -> Option<Timestamp> {
        let now = self.engine.clock.now();
        let moments = tokens.iter().flat_map(|token| {
            let greeting = self.greeting(token).filter(|&at| at > now);
            let terms = self.terms(&token.places);
            greeting.into_iter().chain(terms.and_then(|terms| next_warning(terms.end, now)))
        });
        moments.min()
    }
}

/// When the provider last confirmed an address.
fn confirmed(entry: &Entry) -> Option<Timestamp> {
    let sets = entry.families.iter().filter_map(|(_, record)| record.set.as_ref());
    sets.map(|set| set.confirmed).max()
}
