//! Upkeep of tokens: no token expires for lack of use, none ends without a warning, and new ones are
//! checked for powers beyond their job.
//!
//! Comes when every update is answered, so that it delays none of them. Only a refused credential
//! affects the hosts; every other fault is tried again later, without a report.

use std::collections::VecDeque;

use super::access::HostAccess;
use super::errand::{Holder, Out, Task, TokenAnswer};
use super::report::{Matter, TokenNews};
use super::{Case, Now, Round, Shell};
use crate::core::address::PerFamily;
use crate::core::address::interface::InterfaceName;
use crate::core::memory::{Entry, HoldKind, SelfCheck, TokenEntry};
use crate::core::order::SortedMap;
use crate::core::outcome::{Outcome, Rejection};
use crate::core::pace::{History, Pace};
use crate::core::protocol::manners::Issuer;
use crate::core::secret::Fingerprint;
use crate::core::time::Timestamp;
use crate::core::token::upkeep::{End, Terms, greet_at, next_warning, self_check, warns};

/// The most tokens that are kept alive in one round; the others have days left.
const MOST_GREETINGS: usize = 10;

/// A thousand new tokens must not use up the requests that their account's updates need.
const PACE: Pace = Pace { requests: 4, window: std::time::Duration::from_secs(60 * 60) };

/// The upkeep after one look.
#[derive(Debug, Default)]
pub(super) struct Upkeep {
    /// The earliest moment at which a token is to be looked after.
    pub next: Option<Timestamp>,
    phase: Phase,
    /// The tokens that were used, each with the success.
    spoke: Vec<(Fingerprint, bool)>,
}

#[derive(Debug, Default)]
enum Phase {
    Begin,
    Greet(VecDeque<Fingerprint>),
    Check,
    #[default]
    Over,
}

impl Upkeep {
    /// Lets the upkeep begin anew.
    pub(super) fn begin(&mut self) {
        *self = Self { phase: Phase::Begin, ..Self::default() };
    }
}

/// The tokens that are to be checked; they are not saved.
#[derive(Debug, Default)]
pub(super) struct SelfChecks {
    waiting: Vec<Fingerprint>,
    begun: History,
}

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

/// A token in use.
struct OwnToken {
    /// The hash of login and secret.
    identity: Fingerprint,
    /// The indexes of its hosts; at least one.
    places: Vec<usize>,
}

impl Round {
    /// Does what is to be done when no update waits.
    pub(super) fn rest(&mut self, now: &Now) {
        let is_busy = !self.ready.is_empty()
            || !self.lanes.is_empty()
            || !self.waiting.is_empty()
            || self.out.values().any(Out::is_request);
        if !self.is_stopping && !is_busy {
            self.look_for_drift(now);
            if !self.out.values().any(Out::is_look) {
                self.look_after(now);
            }
        }
    }

    /// Keeps tokens alive, warns of their ends, and checks those that are new: one errand at a time.
    fn look_after(&mut self, now: &Now) {
        while !self.out.values().any(Out::is_about_token) {
            match &mut self.upkeep.phase {
                Phase::Over => return,
                // A clock that is not set does not show what is due or over.
                Phase::Begin if !now.is_set => {
                    (self.upkeep.phase, self.upkeep.next) = (Phase::Over, None);
                }
                Phase::Begin => {
                    let tokens = self.tokens_in_use();
                    self.remember(&tokens, now);
                    self.warn_of_ends(&tokens, now);
                    let is_due =
                        |token: &&OwnToken| self.greeting(token).is_some_and(|at| at <= now.wall);
                    let due = tokens.iter().filter(is_due).take(MOST_GREETINGS);
                    self.upkeep.phase = Phase::Greet(due.map(|token| token.identity).collect());
                }
                Phase::Greet(due) => match due.pop_front() {
                    Some(identity) => {
                        if let Some(holder) = self.holder(identity) {
                            self.send(Out::Greet(identity), Task::Greet(holder));
                        }
                    }
                    None => {
                        self.want_checks(now);
                        self.upkeep.phase = Phase::Check;
                    }
                },
                Phase::Check => {
                    let next = self.checks.as_mut().and_then(|checks| checks.take(now.wall));
                    match next {
                        Some(identity) => self.check(identity, now),
                        None => {
                            self.upkeep.phase = Phase::Over;
                            self.upkeep.next = self.next_upkeep(now);
                        }
                    }
                }
            }
        }
    }

    /// The tokens of the hosts whose providers have tokens with receipts or show what they can do, and
    /// those with a known end.
    fn tokens_in_use(&self) -> Vec<OwnToken> {
        let mut tokens: Vec<OwnToken> = Vec::new();
        let mut known: SortedMap<Fingerprint, usize> = SortedMap::new();
        for (place, case) in self.cases.iter().enumerate() {
            let manners = case.subject.provider.manners();
            if !(manners.has_receipts() || manners.has_powers || case.access.expires.is_some()) {
                continue;
            }
            let identity = case.access.identity;
            let at = *known.entry(identity).or_insert(tokens.len());
            match tokens.get_mut(at) {
                Some(token) => token.places.push(place),
                None => tokens.push(OwnToken { identity, places: vec![place] }),
            }
        }
        tokens
    }

    /// Only deSEC's accounts can show the rights of a token, and only there a token expires unused.
    fn is_of_account(&self, token: &OwnToken) -> bool {
        let manners = self.cases[token.places[0]].subject.provider.manners();
        manners.tokens == Some(Issuer::Account)
    }

    /// Whether a check can find out what a token can do beyond its job.
    fn is_checked(&self, token: &OwnToken) -> bool {
        self.is_of_account(token)
            || self.cases[token.places[0]].subject.provider.manners().has_powers
    }

    /// Remembers new tokens, and forgets those that are no longer used.
    fn remember(&mut self, tokens: &[OwnToken], now: &Now) {
        let mut known = std::mem::take(&mut self.memory.tokens);
        for OwnToken { identity, places } in tokens {
            let token = known.remove(identity).unwrap_or_else(|| {
                // For a token that was used before it was remembered, the records show its last use.
                let entries = places.iter().filter_map(|&place| self.known(place));
                let spoke = entries.filter_map(confirmed).max().unwrap_or(now.wall);
                TokenEntry { spoke, ..TokenEntry::default() }
            });
            self.memory.tokens.insert(*identity, token);
        }
        // A file that cannot be read at this moment may hold one of the other tokens.
        if self.report.hosts.iter().any(|host| host.secret_problem.is_some()) {
            self.memory.tokens.extend(known);
        }
    }

    /// The terms of a token, from the receipt beside the file of any of its hosts.
    fn terms(&self, places: &[usize]) -> Option<&Terms> {
        places.iter().find_map(|&place| self.cases[place].access.terms.as_ref().ok())
    }

    /// Warns of the ends that are near, each as often as it should be.
    fn warn_of_ends(&mut self, tokens: &[OwnToken], now: &Now) {
        let now = now.wall;
        for token in tokens {
            let End::At(end) = self.token_end(token) else { continue };
            let OwnToken { identity, places } = token;
            let Some(token) = self.memory.tokens.get_mut(identity) else { continue };
            if warns(End::At(end), token.warned, now) {
                token.warned = Some(now);
                let matter = if end > now { Matter::Ends(end) } else { Matter::Ended(end) };
                self.note_news(places[0], matter);
            }
        }
    }

    /// The soonest end of a token that is known, by any of its hosts.
    fn token_end(&self, token: &OwnToken) -> End {
        let check =
            |access: &HostAccess| self.memory.tokens.get(&access.identity)?.check_of(access.about);
        let ends = token.places.iter().map(|&place| {
            let access = &self.cases[place].access;
            access.end(check(access))
        });
        ends.fold(End::Unknown, |soonest, end| match end {
            End::At(at) => soonest.or_sooner(at),
            End::Never | End::Unknown => soonest,
        })
    }

    /// Reports news about the token of the host at `place`.
    fn note_news(&mut self, place: usize, matter: Matter) {
        let subject = &self.cases[place].subject;
        let (key, is_issued) =
            (subject.host.key.clone(), subject.provider.manners().tokens.is_some());
        self.report.tokens.push(TokenNews { key, is_issued, matter });
    }

    /// When a token must be used next, if it may be used at all.
    fn greeting(&self, token: &OwnToken) -> Option<Timestamp> {
        let OwnToken { identity, places } = token;
        if !self.is_of_account(token) || self.cases[places[0]].subject.provider.api_url.is_none() {
            return None;
        }
        let parks = || places.iter().map(|&place| self.park_of(place));
        let refused = parks().flatten().any(Rejection::is_the_credentials);
        let unused = parks().all(|park| park.is_some_and(Rejection::is_our_own));
        if refused || unused {
            return None;
        }
        let max_unused = self.terms(places).and_then(|terms| terms.max_unused);
        Some(greet_at(self.memory.tokens.get(identity)?, max_unused))
    }

    /// Why the host is parked, if it is.
    fn park_of(&self, place: usize) -> Option<Rejection> {
        let hold = self.known(place)?.hold.as_ref()?;
        let is_current = hold.fingerprint == self.cases[place].access.fingerprint;
        match hold.kind {
            HoldKind::Rejected(rejection) => is_current.then_some(rejection),
            HoldKind::Backoff(_) | HoldKind::Throttled => None,
        }
    }

    /// The token with its hosts; `None` when a request is not worth sending in this round.
    fn holder(&self, identity: Fingerprint) -> Option<Holder> {
        let cases: Vec<&Case> =
            self.cases.iter().filter(|case| case.access.identity == identity).collect();
        let Case { subject, access, .. } = cases.first()?;
        let is_worth = |case: &&&Case| {
            self.traffic.foregone(&case.subject, identity, case.subject.host.bind).is_none()
        };
        // One whose server answers speaks for all of them; what is asked is about all.
        cases.iter().find(is_worth)?;
        let zone = |case: &&Case| self.memory.entry(&case.subject.host.key)?.zone.clone();
        let may_speak = cases.iter().map(|case| is_worth(&case)).collect();
        Some(Holder {
            zones: cases.iter().map(zone).collect(),
            subjects: cases.iter().map(|case| case.subject.clone()).collect(),
            may_speak,
            credential: access.credential.clone(),
            identity,
            not_before: self.traffic.not_before(subject),
        })
    }

    /// Notes the answer to a request with a token that was silent for long.
    pub(super) fn heard_greeting(
        &mut self,
        identity: Fingerprint,
        heard: TokenAnswer,
        now: &Now,
        spread: f64,
        shell: &mut dyn Shell,
    ) {
        let Some((bind, answer)) = heard else { return };
        let outcome = answer.err().unwrap_or(Outcome::Unchanged);
        let places = self.places_of(identity);
        self.learn_of_token(&places, identity, bind, &outcome, now);
        let was_heard = outcome == Outcome::Unchanged;
        self.upkeep.spoke.push((identity, was_heard));
        let known = self.memory.tokens.entry(identity).or_default();
        if was_heard {
            known.note_heard(now.wall);
        } else {
            known.unheard = Some(now.wall);
        }
        if outcome.credential_refusal().is_some() {
            self.renew(&places, identity, shell);
            for place in places {
                if self.cases[place].access.identity == identity {
                    self.settle(place, &PerFamily::default(), &outcome, now, spread);
                }
            }
        }
    }

    /// Lets the tokens be checked that have just had a success and were not checked today, if these
    /// rounds check tokens.
    fn want_checks(&mut self, now: &Now) {
        if self.checks.is_none() {
            return;
        }
        let spoke = std::mem::take(&mut self.upkeep.spoke);
        let mut wanted = Vec::new();
        for token in self.tokens_in_use().into_iter().filter(|token| self.is_checked(token)) {
            let OwnToken { identity, places } = token;
            // A host may be right by the answers of the zone's own servers, with a credential not tried.
            let has_succeeded = |&place: &usize| {
                let Case { subject, at, .. } = &self.cases[place];
                self.report.hosts[*at].has_succeeded()
                    && self.traffic.is_accepted(subject, identity)
            };
            // Most rounds send nothing, so this ends here.
            if !places.iter().any(has_succeeded) && !spoke.contains(&(identity, true)) {
                continue;
            }
            let known = self.memory.tokens.get(&identity);
            let about = self.cases[places[0]].access.about;
            if known.is_none_or(|token| token.wants_a_look(about, now.wall)) {
                wanted.push(identity);
            }
        }
        if let Some(checks) = &mut self.checks {
            wanted.into_iter().for_each(|identity| checks.add(identity));
        }
    }

    /// Asks what a token could do beyond its job. A token that is no longer used is skipped.
    fn check(&mut self, identity: Fingerprint, now: &Now) {
        if self.places_of(identity).is_empty() {
            return;
        }
        match self.holder(identity) {
            Some(holder) => {
                self.send(Out::Check(identity), Task::Check(holder));
            }
            None => self.memory.tokens.entry(identity).or_default().looked = Some(now.wall),
        }
    }

    /// Remembers and reports what a token could do; after a check that did not end, only when it was.
    pub(super) fn heard_check(&mut self, identity: Fingerprint, heard: TokenAnswer, now: &Now) {
        let places = self.places_of(identity);
        let (Some((bind, answer)), Some(&first)) = (heard, places.first()) else {
            self.memory.tokens.entry(identity).or_default().looked = Some(now.wall);
            return;
        };
        let outcome = answer.as_ref().err().cloned().unwrap_or(Outcome::Unchanged);
        self.learn_of_token(&places, identity, bind, &outcome, now);
        let about = self.cases[first].access.about;
        let token = self.memory.tokens.entry(identity).or_default();
        let Ok(facts) = answer else {
            token.looked = Some(now.wall);
            return;
        };
        token.looked = None;
        let check = self_check(&facts, about, now.wall);
        let before = token.check.replace(check.clone());
        let is_the_same = |before: SelfCheck| {
            (before.about, before.verdict) == (check.about, check.verdict)
                && before.powers == check.powers
        };
        if !before.is_some_and(is_the_same) {
            self.note_news(first, Matter::Checked(check));
        }
    }

    /// The indexes of the hosts that use a token.
    fn places_of(&self, identity: Fingerprint) -> Vec<usize> {
        let uses = |place: &usize| self.cases[*place].access.identity == identity;
        (0..self.cases.len()).filter(uses).collect()
    }

    /// Learns what an answer about a token shows of its server.
    fn learn_of_token(
        &mut self,
        places: &[usize],
        identity: Fingerprint,
        bind: Option<InterfaceName>,
        outcome: &Outcome,
        now: &Now,
    ) {
        if let Some(&first) = places.first() {
            let subject = &self.cases[first].subject;
            self.traffic.learn(subject, identity, bind, outcome, now.steady);
        }
    }

    /// The moment of the next upkeep; overdue upkeep waits for the poll.
    fn next_upkeep(&self, now: &Now) -> Option<Timestamp> {
        let tokens = self.tokens_in_use();
        let moments = tokens.iter().flat_map(|token| {
            let greeting = self.greeting(token).filter(|&at| at > now.wall);
            greeting.into_iter().chain(next_warning(self.token_end(token), now.wall))
        });
        moments.min()
    }
}

/// When the provider last confirmed an address.
fn confirmed(entry: &Entry) -> Option<Timestamp> {
    let sets = entry.families.iter().filter_map(|(_, record)| record.set.as_ref());
    sets.map(|set| set.confirmed).max()
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
