//! The report of a round: values that drivers print or log, and a summary of the state of every host.

use std::ops::Deref;
use std::rc::Rc;

use super::access::HostAccess;
use super::errand::Subject;
use crate::core::address::standing::Standings;
use crate::core::address::{Addresses, Family, PerFamily};
use crate::core::exit::Exit;
use crate::core::memory::{Entry, Hold, HoldKind, Key, Memory, SelfCheck, Verification};
use crate::core::order::SortedSet;
use crate::core::outcome::Outcome;
use crate::core::plan::{Host, Seen, Stand, Step, Why, Wish};
use crate::core::secret::Fingerprint;
use crate::core::settle::News;
use crate::core::time::Timestamp;
use crate::core::token::upkeep::{NoTerms, Proof};
use crate::core::verify::Drift;

/// The sights, requests and results of one round.
#[derive(Debug, Default)]
pub struct Report {
    /// One report for each host, in the order of the configuration.
    pub hosts: Vec<HostReport>,
    /// Why the state could not be saved.
    pub storage_problem: Option<String>,
    /// The earliest moment at which a decision changes by itself.
    pub next: Option<Timestamp>,
    /// Hooks that failed.
    pub hook_problems: Vec<(Key, String)>,
    /// News about tokens.
    pub tokens: Vec<TokenNews>,
    /// The standings, after the round, of services outside that were blamed for something.
    pub services: Standings,
    /// What would be asked of the providers, in lines of words; a round that asks has none.
    pub drafts: Vec<String>,
    /// Whether a refusal was heard that is not reported yet: it is saved at once.
    pub has_refusal: bool,
    /// Why published addresses are not those by which this machine sends, in words.
    pub detours: SortedSet<String>,
}

/// How far a round is when its report is finished.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    /// Nothing was sent, because nothing was to be.
    Rehearsed,
    /// Some answers are not there yet.
    UnderWay,
    /// Everything is answered.
    Over,
}

/// News about a token.
#[derive(Debug)]
pub struct TokenNews {
    /// One of the hosts that use it.
    pub key: Key,
    /// Whether `homing token` can make another.
    pub is_issued: bool,
    /// The news.
    pub matter: Matter,
}

/// The kinds of news about a token.
#[derive(Debug)]
pub enum Matter {
    /// A self-check looked at its powers.
    Checked(SelfCheck),
    /// Its end is near.
    Ends(Timestamp),
    /// It has expired.
    Ended(Timestamp),
}

/// One answer about one host.
#[derive(Debug)]
pub struct Answered {
    /// The wishes of the request.
    pub wishes: PerFamily<Wish>,
    /// The outcome of the answer.
    pub outcome: Outcome,
    /// The news in it.
    pub news: News,
}

impl Answered {
    /// The family that the answer is about, when it is about one alone.
    pub fn family(&self) -> Option<Family> {
        match (&self.wishes.v4, &self.wishes.v6) {
            (Wish::Set(_) | Wish::Remove, Wish::Leave) => Some(Family::V4),
            (Wish::Leave, Wish::Set(_) | Wish::Remove) => Some(Family::V6),
            (Wish::Leave, Wish::Leave)
            | (Wish::Set(_) | Wish::Remove, Wish::Set(_) | Wish::Remove) => None,
        }
    }
}

/// Why the secret of a host cannot be read.
#[derive(Clone, Debug)]
pub struct SecretProblem {
    /// In words, with what to do about it after a semicolon.
    pub words: String,
    /// The hash of them, where they are remembered: a problem is reported once.
    pub hash: Option<Fingerprint>,
}

/// The results of one round for one host.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each says something of its own")]
pub struct HostReport {
    /// The host.
    pub host: Rc<Host>,
    /// Its access; absent when its secret could not be read.
    pub(super) access: Option<Rc<HostAccess>>,
    /// What was seen of each family.
    pub seen: PerFamily<Seen>,
    /// What was set before the round.
    pub before: PerFamily<Option<Addresses>>,
    /// The decision; absent when the host's secret could not be read.
    pub step: Option<Step>,
    /// Whether the problem of its secret differs from that of the round before.
    pub newly_left_out: bool,
    /// Why something was, or would be, sent, if anything.
    pub sent: Option<Why>,
    /// The answers since the look, in the order in which they came.
    pub answers: Vec<Answered>,
    /// How many of these were reported.
    reported: u32,
    /// Whether the host is to be asked about once more in this round, such as in another form.
    pub ask_again: bool,
    /// Whether something about it is being asked.
    pub is_under_way: bool,
    /// Whether the round was stopped before something about the host could be sent.
    pub cut_short: bool,
    /// Whether it already waited for that before the round.
    pub was_queued: bool,
    /// Whether the wait began in this round.
    pub newly_queued: bool,
    /// The families that should be seen and are not, if that is new.
    pub newly_missing: PerFamily<bool>,
    /// The families that were missing until this round.
    pub seen_again: PerFamily<bool>,
    /// Whether the answers of the zone's own servers are new.
    pub newly_verified: bool,
    /// Whether the program for changes was started since the look.
    pub(super) is_hooked: bool,
    /// The exit code for the state of the host after the round.
    pub standing: Exit,
    particulars: Option<Box<Particulars>>,
}

/// What most reports do not have: a thousand of them are to take little memory.
#[derive(Debug, Default)]
pub struct Particulars {
    /// Why the host's secret could not be read.
    pub secret_problem: Option<Box<SecretProblem>>,
    /// Answers about an earlier look that are not reported yet.
    earlier: Vec<Answered>,
    /// Since when each family was known to be gone before the round, where that matters.
    pub gone_since: PerFamily<Option<Timestamp>>,
    /// The end of the wait for its zone's pace.
    pub queued_until: Option<Timestamp>,
    /// Another problem that a person should know.
    pub trouble: Option<String>,
    /// The answers of the zone's own servers after an update, or instead of one.
    pub verified: Option<Box<Verification>>,
    /// News from the zone's own servers between updates.
    pub drift: Option<Drift>,
    /// The holds after the round, the host's own first.
    pub holds: Vec<(Option<Family>, Hold)>,
}

/// The particulars of a report that has none.
static NONE: Particulars = Particulars {
    secret_problem: None,
    earlier: Vec::new(),
    gone_since: PerFamily { v4: None, v6: None },
    queued_until: None,
    trouble: None,
    verified: None,
    drift: None,
    holds: Vec::new(),
};

impl Deref for HostReport {
    type Target = Particulars;

    fn deref(&self) -> &Particulars {
        self.particulars.as_deref().unwrap_or(&NONE)
    }
}

impl HostReport {
    /// A report before anything was decided.
    pub(super) fn new(subject: &Subject, entry: &Entry, seen: PerFamily<Seen>) -> Self {
        let host = &subject.host;
        let gone_since = entry.families.map(|_, record| record.gone_since);
        let is_gone = gone_since.iter().any(|(_, since)| since.is_some());
        let particulars = || Box::new(Particulars { gone_since, ..Particulars::default() });
        Self {
            host: Rc::clone(host),
            access: None,
            seen,
            before: entry.addresses(),
            step: None,
            newly_left_out: false,
            sent: None,
            answers: Vec::new(),
            reported: 0,
            ask_again: false,
            is_under_way: false,
            cut_short: false,
            was_queued: entry.queued_since.is_some(),
            newly_queued: false,
            newly_missing: PerFamily::default(),
            seen_again: PerFamily::default(),
            newly_verified: false,
            is_hooked: false,
            standing: Exit::default(),
            particulars: is_gone.then(particulars),
        }
    }

    /// Leaves the host out for `problem`, which its secret has for the user that will run the round.
    pub fn leave_out(&mut self, problem: String) {
        let problem = SecretProblem { words: problem, hash: None };
        self.note_secret_problem(Box::new(problem));
        (self.step, self.sent) = (None, None);
    }

    /// Why no receipt gives the terms of its token.
    pub fn no_terms(&self) -> Option<&NoTerms> {
        self.access.as_ref()?.terms.as_ref().err()
    }

    /// The proof in the receipt of its token, if that speaks against the token.
    pub fn unfit(&self) -> Option<&Proof> {
        let terms = self.access.as_ref()?.terms.as_ref().ok()?;
        Some(&terms.proof).filter(|proof| proof.is_against_it())
    }

    /// The answers that were not reported yet.
    pub fn news(&self) -> impl Iterator<Item = &Answered> {
        self.earlier.iter().chain(self.answers.iter().skip(self.reported as usize))
    }

    /// Ends the news: they were reported.
    fn begin_news(&mut self) {
        if let Some(particulars) = &mut self.particulars {
            particulars.earlier.clear();
            particulars.drift = None;
        }
        self.reported = u32::try_from(self.answers.len()).unwrap_or(u32::MAX);
        (self.newly_verified, self.newly_left_out, self.newly_queued) = (false, false, false);
        (self.newly_missing, self.seen_again) = Default::default();
    }

    /// Keeps the news of `before`, the report of an earlier look.
    pub(super) fn keep_news(&mut self, before: &mut Self) {
        self.newly_verified = before.newly_verified;
        let known = before.particulars.take().map(|known| *known).unwrap_or_default();
        let Particulars { mut earlier, verified, .. } = known;
        earlier.extend(before.answers.drain(before.reported as usize..));
        if !earlier.is_empty() || verified.is_some() {
            let own = self.particulars();
            (own.earlier, own.verified) = (earlier, verified);
        }
    }

    fn particulars(&mut self) -> &mut Particulars {
        self.particulars.get_or_insert_default()
    }

    /// Notes why its secret cannot be read.
    pub(super) fn note_secret_problem(&mut self, problem: Box<SecretProblem>) {
        self.particulars().secret_problem = Some(problem);
    }

    /// Notes another problem that a person should know.
    pub(super) fn note_trouble(&mut self, trouble: String) {
        self.particulars().trouble = Some(trouble);
    }

    /// Notes that it waits for its zone's pace, until then.
    pub(super) fn note_queued(&mut self, until: Timestamp) {
        self.particulars().queued_until = Some(until);
    }

    /// Notes what the servers of the zone said between updates.
    pub(super) fn note_drift(&mut self, drift: Option<Drift>) {
        if drift.is_some() || self.drift.is_some() {
            self.particulars().drift = drift;
        }
    }

    /// Notes what the servers of the zone said.
    pub(super) fn note_verified(&mut self, verified: Option<Box<Verification>>) {
        (self.particulars().verified, self.newly_verified) = (verified, true);
    }

    /// Notes an answer to an attempt.
    pub fn note_answer(&mut self, wishes: PerFamily<Wish>, outcome: Outcome, news: News) {
        self.attempted();
        // Most hosts have one: the first space of a list is for four.
        self.answers.reserve_exact(1);
        self.answers.push(Answered { wishes, outcome, news });
    }

    /// Notes a request that would leave: of the decision remains what all such requests say.
    pub(super) fn rehearsed(&mut self, wishes: &PerFamily<Wish>) {
        let is_first = self.sent.is_none();
        self.attempted();
        let Some(step) = &mut self.step else { return };
        for (family, wish) in wishes.iter() {
            if is_first || *wish != Wish::Leave {
                step.wishes[family] = wish.clone();
            }
        }
    }

    /// Notes an attempt.
    fn attempted(&mut self) {
        let why = self.step.as_ref().and_then(Step::why).unwrap_or(Why::Changed);
        self.sent.get_or_insert(why);
    }

    /// The earliest moment at which something that the host waits for ends by itself.
    pub fn waits_until(&self) -> Option<Timestamp> {
        let ends = self.holds.iter().filter_map(|(_, hold)| hold.until);
        ends.chain(self.queued_until).min()
    }

    /// Whether the provider has confirmed anything.
    pub fn has_succeeded(&self) -> bool {
        let succeeded =
            |answered: &Answered| matches!(answered.outcome, Outcome::Updated | Outcome::Unchanged);
        self.answers.iter().any(succeeded)
    }

    /// Whether a refusal is still being narrowed down: the host was asked, and a narrower
    /// question is left.
    pub fn is_unsettled(&self) -> bool {
        let Some(last) = self.answers.last().filter(|_| !self.ask_again) else {
            return self.ask_again;
        };
        let left = |step: &Step| {
            step.hold.is_none()
                && step.stands.iter().any(|(family, stand)| {
                    matches!(stand, Stand::Wanted(_)) && step.wishes[family] == Wish::Leave
                })
        };
        match last.news {
            News::Narrowed(_) => true,
            News::Changed | News::Confirmed | News::Held(_) | News::StillHeld(_) => {
                self.step.as_ref().is_some_and(left)
            }
        }
    }

    /// Whether an address that was seen is neither set nor held, although the host was asked about.
    fn is_incomplete(&self, entry: Option<&Entry>) -> bool {
        let (Some(entry), Some(step)) = (entry, &self.step) else { return false };
        let is_held = entry.hold.is_some();
        self.seen.iter().any(|(family, seen)| {
            let record = &entry.families[family];
            let is_set = |addresses: &Addresses| {
                record.set.as_ref().is_some_and(|set| set.addresses == *addresses)
            };
            let is_ours = step.stands[family] != Stand::Off && !is_held && record.hold.is_none();
            is_ours && matches!(seen, Seen::Here(addresses) if !is_set(addresses))
        })
    }

    /// Whether the addresses that are set now differ from those before the round.
    pub fn changed(&self, entry: Option<&Entry>) -> bool {
        let Some(entry) = entry.filter(|_| !self.answers.is_empty()) else { return false };
        entry.families.iter().any(|(family, record)| {
            let now = record.set.as_ref().map(|set| &set.addresses);
            (now.is_some() || record.removed.is_some()) && now != self.before[family].as_ref()
        })
    }

    /// The holds after the round, the host's own first. After an attempt the memory counts, before it
    /// (and without one) the decision counts.
    fn holds_after(&self, entry: Option<&Entry>, now: Timestamp) -> Vec<(Option<Family>, Hold)> {
        let Some(step) = &self.step else { return Vec::new() };
        if !self.answers.is_empty() {
            let holds = entry.into_iter().flat_map(|entry| entry.holds(now));
            return holds.map(|(family, hold)| (family, hold.clone())).collect();
        }
        let own = step.hold.as_deref().map(|hold| (None, hold.clone()));
        let held = step.stands.iter().filter_map(|(family, stand)| match stand {
            Stand::Held(hold) => Some((Some(family), Hold::clone(hold))),
            _ => None,
        });
        own.into_iter().chain(held).collect()
    }

    /// Determines the state of the host, and the moment at which it changes by itself.
    fn finish(&mut self, entry: Option<&Entry>, now: Timestamp, phase: Phase) -> Option<Timestamp> {
        let holds = self.holds_after(entry, now);
        if !holds.is_empty() || !self.holds.is_empty() {
            self.particulars().holds = holds;
        }
        let Some(step) = &self.step else {
            self.standing = Exit::Configuration;
            return None;
        };
        let attempted = !self.answers.is_empty();
        let held = self.holds.iter().map(|(_, hold)| Exit::from(hold.kind));
        let missing = step.stands.iter().any(|(_, stand)| matches!(stand, Stand::Missing(_)));
        let narrowed = self.is_unsettled();
        let incomplete = attempted && self.is_incomplete(entry);
        // A wish that was not sent: the round ended before.
        let cut_short =
            !attempted && phase != Phase::Rehearsed && step.hold.is_none() && step.why().is_some();
        let cut_short = cut_short || self.cut_short;
        let unfinished =
            missing || narrowed || incomplete || cut_short || self.queued_until.is_some();
        let unfinished = if unfinished { Exit::Deferred } else { Exit::Right };
        self.standing = held.max().unwrap_or_default().max(unfinished);
        // The narrower question is asked as soon as the pace allows; the schedule knows when. The
        // same holds for an update that is repeated for a server of the zone.
        let repeats = self.verified.as_ref().is_some_and(|verified| verified.again.is_some());
        let is_over = phase != Phase::UnderWay;
        let again = (is_over && (narrowed || repeats) && self.queued_until.is_none())
            .then(|| now.after(std::time::Duration::from_secs(1)));
        let due = step.due.filter(|_| !attempted);
        [self.waits_until(), again, due].into_iter().flatten().min()
    }
}

impl Report {
    /// Determines the state of every host, and the moment at which the next decision changes by itself.
    ///
    /// `upkeep` is the next moment at which a token is to be looked after.
    pub(super) fn finish(
        &mut self,
        memory: &Memory,
        upkeep: Option<Timestamp>,
        now: Timestamp,
        phase: Phase,
    ) {
        self.services.clone_from(&memory.services);
        let mut next = upkeep;
        for host in &mut self.hosts {
            let due = host.finish(memory.entry(&Rc::clone(&host.host).key), now, phase);
            // A refresh is due one period of the host after the confirmation.
            let refresh = host.host.refresh.filter(|_| !host.answers.is_empty());
            let due = due.into_iter().chain(refresh.map(|period| now.after(period))).min();
            next = [next, due].into_iter().flatten().min();
        }
        self.next = next;
    }

    /// Ends the news: they were reported.
    pub(super) fn begin_news(&mut self) {
        self.hosts.iter_mut().for_each(HostReport::begin_news);
        self.hook_problems.clear();
        self.tokens.clear();
        self.has_refusal = false;
    }

    /// Whether a source was not asked that should be asked soon.
    pub fn spared_a_source(&self) -> bool {
        let spared = |step: &Step| step.stands.iter().any(|(_, stand)| *stand == Stand::NotAsked);
        self.hosts.iter().filter_map(|host| host.step.as_ref()).any(spared)
    }

    /// Whether a host waits because of a fault that may be the network's.
    pub fn awaits_network(&self) -> bool {
        let is_the_networks = |kind| match kind {
            HoldKind::Backoff(fault) => fault.is_the_networks(),
            HoldKind::Rejected(_) | HoldKind::Throttled => false,
        };
        let mut holds = self.hosts.iter().flat_map(|host| &host.holds);
        holds.any(|(_, hold)| is_the_networks(hold.kind))
    }

    /// The exit code of the worst host.
    pub fn exit(&self) -> Exit {
        let worst = self.hosts.iter().map(|host| host.standing);
        let storage = self.storage_problem.as_ref().map(|_| Exit::Deferred);
        Exit::worst(worst.chain(storage))
    }
}
