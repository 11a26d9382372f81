//! Performing: requests leave, at most eight at a time and within each server's own rule, and what
//! their answers mean is settled and saved.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt};

use super::credentials::CredentialReader;
use super::hook;
use super::{Answered, Engine, Planned, Report, SAVE_LAG, has_something_to_say, traffic};
use crate::core::address::PerFamily;
use crate::core::memory::{Entry, HoldKind};
use crate::core::outcome::{Deferral, Fault, Outcome, Refusal, Rejection};
use crate::core::pace::Pace;
use crate::core::plan::{Candidate, Request, Schedule, Wish};
use crate::core::protocol::manners::{Issuer, ZoneNeed};
use crate::core::protocol::talk::{Job, Talk};
use crate::core::protocol::{Verdict, dyndns2};
use crate::core::provider::Provider;
use crate::core::secret::Fingerprint;
use crate::core::settle::{
    News, Situation, fixed_for_a_neighbour, in_view_of, leaving, not_sent, sending, settle,
    settle_pace, settle_zone,
};
use crate::core::time::Timestamp;
use crate::core::token::upkeep::End;
use crate::net::http::Clients;
use crate::os::clock::{rfc3339_seconds, spread};
use crate::provider::carry::Carrier;

/// What leaves now and what waits, of the plans that have something to say.
pub fn schedule(engine: &Engine, planned: &[Planned]) -> Schedule {
    let speakers: Vec<usize> =
        (0..planned.len()).filter(|&at| has_something_to_say(&planned[at].step)).collect();
    let candidates: Vec<_> = speakers
        .iter()
        .map(|&at| {
            let plan = &planned[at];
            let host = &engine.config.hosts[plan.at];
            let provider = &engine.config.providers[host.provider];
            let (credential, counted) = (plan.access.identity, plan.counted);
            Candidate { host: &host.host, provider, credential, step: &plan.step, counted }
        })
        .collect();
    let mut schedule = crate::core::plan::schedule(&candidates, &engine.memory, engine.clock.now());
    // The schedule counts candidates, its callers count plans.
    for request in &mut schedule.now {
        request.hosts.iter_mut().for_each(|place| *place = speakers[*place]);
    }
    schedule.later.iter_mut().for_each(|(place, _)| *place = speakers[*place]);
    schedule
}

/// Sends what the pace allows, and settles and saves what comes back.
pub async fn perform(
    engine: &mut Engine,
    clients: &Clients,
    planned: &mut [Planned],
    report: &mut Report,
    stop: &Cell<bool>,
) {
    let schedule = schedule(engine, planned);
    // Whoever is refused for its pace keeps its place before those that have to wait already.
    for request in &schedule.now {
        take_place(engine, planned, request);
    }
    for (place, until) in &schedule.later {
        queue(engine, planned[*place].at, *until, report);
    }
    if schedule.now.is_empty() || stop.get() {
        return;
    }
    // One server may know the secrets of several hosts.
    planned.iter().for_each(|plan| clients.conceal(&plan.access.credential.secret));
    let paces = engine.memory.paces.clone();
    let speakers: BTreeSet<_> = schedule.now.iter().flat_map(|request| &request.hosts).collect();
    for place in speakers {
        leaving(engine.entry_of(&planned[*place]));
    }
    for request in &schedule.now {
        note_sending(engine, planned, request);
    }
    if !engine.save(report) {
        // What cannot be remembered is not sent: a crash would repeat it for ever.
        engine.memory.paces = paces;
        let reason = report.storage_problem.clone().unwrap_or_default();
        for request in &schedule.now {
            for (place, update) in request.hosts.iter().zip(&request.updates) {
                let outcome = Outcome::deferred(Fault::Storage, reason.clone());
                settle_one(engine, &planned[*place], &update.wishes, &outcome, report);
            }
        }
        return;
    }
    deliver_all(engine, clients, planned, report, schedule.now, stop).await;
    // Whoever the hooks tell may look at the state, or end this process.
    engine.save(report);
}

/// Gives the hosts of a request that counts the place in the queue that they have by now.
fn take_place(engine: &mut Engine, planned: &[Planned], request: &Request) {
    for place in request.hosts.iter().filter(|_| !request.counts.is_empty()) {
        engine.entry_of(&planned[*place]).queued_since.get_or_insert(request.at);
    }
}

/// Notes that a host waits for its turn until `until`.
pub fn queue(engine: &mut Engine, at: usize, until: Timestamp, report: &mut Report) {
    let now = engine.clock.now();
    let key = &engine.config.hosts[at].host.key;
    let since = &mut engine.memory.entry_mut(key).queued_since;
    let host = report.host_mut(at);
    host.queued_until = Some(until);
    host.newly_queued = !host.was_queued;
    since.get_or_insert(now);
}

/// Notes in the memory that `request` leaves now.
fn note_sending(engine: &mut Engine, planned: &mut [Planned], request: &Request) {
    engine.note_reckoning();
    let now = engine.clock.now();
    for (place, update) in request.hosts.iter().zip(&request.updates) {
        sending(engine.entry_of(&planned[*place]), &update.wishes, now);
        planned[*place].counted = true;
    }
    let host = &engine.config.hosts[planned[request.hosts[0]].at];
    let provider = &engine.config.providers[host.provider];
    let server = CredentialReader::new(&engine.store).server(provider);
    engine.memory.note_server(&provider.name, server);
    let pace = pace(engine, planned, request);
    request.count(&mut engine.memory, pace);
}

/// The pace that a request keeps.
fn pace(engine: &Engine, planned: &[Planned], request: &Request) -> Option<Pace> {
    let host = &engine.config.hosts[planned[request.hosts[0]].at];
    engine.config.providers[host.provider].pace.map(Pace::kept)
}

/// The requests to one provider, or to one deSEC server.
#[derive(Default)]
struct Queue {
    started: usize,
    under_way: usize,
    /// The credentials of those under way.
    identities: BTreeSet<Fingerprint>,
}

impl Queue {
    /// Whether one more request may start, of `most` at once.
    ///
    /// The second group of requests waits for nearly all answers to the first: while connections are
    /// still being made, the client would open further ones for it.
    fn has_room(&self, most: usize) -> bool {
        let answered = self.started - self.under_way;
        self.under_way < most && (self.started < most || answered + 2 >= most)
    }

    /// Notes that the answer to a request with that credential came.
    fn note_answer(&mut self, identity: Fingerprint) {
        self.under_way -= 1;
        self.identities.remove(&identity);
        // One request that tried a credential is no group: its connection is open already.
        if self.started == 1 {
            self.started = 0;
        }
    }
}

/// Sends `requests`, settles their answers and saves them, refusals at once.
async fn deliver_all(
    engine: &mut Engine,
    clients: &Clients,
    planned: &mut [Planned],
    report: &mut Report,
    requests: Vec<Request>,
    stop: &Cell<bool>,
) {
    let config = Rc::clone(&engine.config);
    let mut waiting: VecDeque<Request> = requests.into();
    let mut under_way = FuturesUnordered::new();
    let mut queues: BTreeMap<String, Queue> = BTreeMap::new();
    let mut unsaved_since: Option<Instant> = None;
    loop {
        while let Some(mut request) = next_request(engine, planned, &mut waiting, &queues) {
            if is_put_aside(engine, planned, report, &mut request, stop) {
                continue;
            }
            let plan = &planned[request.hosts[0]];
            let at = config.hosts[plan.at].provider;
            let provider = &config.providers[at];
            let identity = plan.access.identity;
            let bind = config.hosts[plan.at].host.bind;
            let queue = queues.entry(traffic::queue_name(provider)).or_default();
            queue.started += 1;
            queue.under_way += 1;
            queue.identities.insert(identity);
            recount(engine, planned, &mut request);
            let path = config.hosts[plan.at].path.as_deref();
            let credential = plan.access.credential.clone();
            let not_before = engine.traffic.not_before(provider);
            let clock_is_set = engine.clock.is_set();
            let what = format!("waiting for {} to answer", provider.name);
            let speaker = engine.waiting;
            under_way.push(async move {
                let credential = &credential;
                let carrier = Carrier { clients, provider, credential, path, bind };
                let verdict = deliver(&carrier, not_before, &request, clock_is_set);
                ((at, identity, bind), speaker.during(&what, verdict).await, request)
            });
        }
        let lag = unsaved_since.map(|since| (since + SAVE_LAG).into());
        let ((at, identity, bind), verdict, request) = tokio::select! {
            biased;
            answer = under_way.next() => match answer {
                Some(answer) => answer,
                None => break,
            },
            () = tokio::time::sleep_until(lag.unwrap_or_else(tokio::time::Instant::now)), if lag.is_some() => {
                engine.save(report);
                unsaved_since = None;
                continue;
            }
        };
        engine.pulse.beat();
        let provider = &config.providers[at];
        queues.entry(traffic::queue_name(provider)).or_default().note_answer(identity);
        let_connection_settle().await;
        let verdict = in_view(engine, planned, &request, verdict);
        for outcome in outcomes(&verdict) {
            engine.traffic.learn(provider, identity, bind, outcome);
        }
        if is_credential_refusal(&verdict) && renew(engine, planned, &request.hosts, identity) {
            let fresh = |place: &usize| planned[*place].access.identity;
            let first = fresh(&request.hosts[0]);
            if request.hosts.iter().all(|place| fresh(place) == first) {
                waiting.push_front(request);
            } else {
                // Each with the secret that its own file holds now, within the pace.
                ask_again(engine, planned, &request, report);
            }
            continue;
        }
        if dyndns2::speaks_of_the_first_alone(&verdict) {
            // The others are asked about singly, and from then on all of them.
            engine.memory.without_lists.insert(provider.name.to_string());
        }
        if let Verdict::NoLists(_) = verdict {
            engine.memory.without_lists.insert(provider.name.to_string());
            ask_again(engine, planned, &request, report);
            continue;
        }
        let is_refusal = conclude(engine, planned, report, (&request, identity), verdict, &waiting);
        if is_refusal {
            engine.save(report);
            unsaved_since = None;
        } else {
            unsaved_since.get_or_insert_with(Instant::now);
        }
    }
}

/// Puts a request aside that must not leave now, because the round is to end, its zone's pause goes
/// on, or its answer is known already; returns whether that is so.
fn is_put_aside(
    engine: &mut Engine,
    planned: &mut [Planned],
    report: &mut Report,
    request: &mut Request,
    stop: &Cell<bool>,
) -> bool {
    let config = Rc::clone(&engine.config);
    let plan = &planned[request.hosts[0]];
    let host = &config.hosts[plan.at];
    let provider = &config.providers[host.provider];
    let paused = engine.memory.paces.get(&request.zone).and_then(|zone| zone.pause_until);
    let paused = paused.filter(|&until| engine.clock.now() < until);
    let foregone = || engine.traffic.foregone(provider, plan.access.identity, host.host.bind);
    if stop.get() {
        take_back(engine, planned, request);
        for &place in &request.hosts {
            report.host_mut(planned[place].at).cut_short = true;
        }
    } else if let Some(until) = paused {
        take_back(engine, planned, request);
        for &place in &request.hosts {
            queue(engine, planned[place].at, until, report);
        }
    } else if let Some(outcome) = foregone() {
        take_back(engine, planned, request);
        answered(engine, planned, report, request, Verdict::All(outcome));
    } else {
        return false;
    }
    true
}

/// Counts a request that leaves now and has waited for those before it.
fn recount(engine: &mut Engine, planned: &[Planned], request: &mut Request) {
    request.uncount(&mut engine.memory);
    request.at = engine.clock.now();
    let pace = pace(engine, planned, request);
    request.count(&mut engine.memory, pace);
}

/// Settles an answer for every host of its request, and what it shows of the others that use the same
/// credential; returns whether anything is refused.
fn conclude(
    engine: &mut Engine,
    planned: &mut [Planned],
    report: &mut Report,
    (request, identity): (&Request, Fingerprint),
    verdict: Verdict,
    waiting: &VecDeque<Request>,
) -> bool {
    let all = outcomes(&verdict);
    let is_refusal = all.iter().any(|outcome| matches!(outcome, Outcome::Rejected(_)));
    let refusal = all.iter().find_map(credential_refusal).cloned();
    let is_success =
        all.iter().any(|outcome| matches!(outcome, Outcome::Updated | Outcome::Unchanged));
    answered(engine, planned, report, request, verdict);
    let config = Rc::clone(&engine.config);
    let provider = &config.providers[config.hosts[planned[request.hosts[0]].at].provider];
    let company = Company { provider, identity, own: &request.hosts };
    if let Some(refusal) = refusal {
        let theirs = waiting.iter().flat_map(|request| &request.hosts).copied().collect();
        company.park(engine, planned, report, &refusal, &theirs);
    }
    if is_success {
        company.end_waits(engine, planned, report);
    }
    is_refusal
}

/// What an answer to `request` means in view of what is remembered of its hosts.
fn in_view(engine: &Engine, planned: &[Planned], request: &Request, verdict: Verdict) -> Verdict {
    let Verdict::All(outcome) = verdict else { return verdict };
    let unknown = Entry::default();
    let asked = request.hosts.iter().zip(&request.updates).map(|(place, update)| {
        let key = &engine.config.hosts[planned[*place].at].host.key;
        (engine.memory.entry(key).unwrap_or(&unknown), &update.wishes)
    });
    let asked: Vec<_> = asked.collect();
    Verdict::All(in_view_of(outcome, &asked, engine.clock.now()))
}

/// Lets the connection of an answer go back to its pool, so that the next request takes it instead
/// of opening one more: that takes the client's own tasks a few turns.
async fn let_connection_settle() {
    for _ in 0..4 {
        tokio::task::yield_now().await;
    }
}

/// Takes the first request whose provider has room for one more, and whose credential is known to
/// be good or is not being tried at this moment.
fn next_request(
    engine: &Engine,
    planned: &[Planned],
    waiting: &mut VecDeque<Request>,
    queues: &BTreeMap<String, Queue>,
) -> Option<Request> {
    let may_start = |request: &Request| {
        let plan = &planned[request.hosts[0]];
        let at = engine.config.hosts[plan.at].provider;
        let provider = &engine.config.providers[at];
        let most = provider.protocol.manners().most_at_once;
        let identity = plan.access.identity;
        queues.get(&traffic::queue_name(provider)).is_none_or(|queue| {
            let being_tried = queue.identities.contains(&identity);
            let is_known = || engine.traffic.is_accepted(provider, identity);
            queue.has_room(most) && (!being_tried || is_known())
        })
    };
    let place = waiting.iter().position(may_start)?;
    waiting.remove(place)
}

/// Carries one request from `not_before` on, and returns what its provider says to it.
async fn deliver(
    carrier: &Carrier<'_>,
    not_before: Option<Instant>,
    request: &Request,
    clock_is_set: bool,
) -> Verdict {
    if let Some(moment) = not_before {
        tokio::time::sleep_until(moment.into()).await;
    }
    let Carrier { provider, credential, .. } = *carrier;
    let job = Job { provider, credential, request, clock_is_set };
    let (mut talk, step) = Talk::begin(&job);
    carrier.hold(step, |heard| talk.hear(heard)).await
}

/// The outcomes that an answer holds.
fn outcomes(verdict: &Verdict) -> &[Outcome] {
    match verdict {
        Verdict::All(outcome) => std::slice::from_ref(outcome),
        Verdict::Each(outcomes) => outcomes,
        Verdict::NoLists(_) => &[],
    }
}

/// Whether an answer refuses the credential itself.
fn is_credential_refusal(verdict: &Verdict) -> bool {
    outcomes(verdict).iter().any(|outcome| credential_refusal(outcome).is_some())
}

/// The refusal, if it is one of the credential itself.
pub fn credential_refusal(outcome: &Outcome) -> Option<&Refusal> {
    match outcome {
        Outcome::Rejected(refusal) if refusal.rejection.is_the_credentials() => Some(refusal),
        Outcome::Rejected(_) | Outcome::Deferred(_) | Outcome::Unchanged | Outcome::Updated => None,
    }
}

/// The hosts that use a credential at one place, besides those that an answer was about.
pub struct Company<'a> {
    /// The provider that answered.
    pub provider: &'a Provider,
    /// Stands for the credential.
    pub identity: Fingerprint,
    /// The places of those that the answer was about.
    pub own: &'a [usize],
}

impl Company<'_> {
    /// The places of those that were not asked about in this round.
    fn places(&self, engine: &Engine, planned: &[Planned], report: &Report) -> Vec<usize> {
        let door = self.provider.place();
        let is_one = |&place: &usize| {
            let plan = &planned[place];
            let provider = &engine.config.providers[engine.config.hosts[plan.at].provider];
            plan.access.identity == self.identity
                && !self.own.contains(&place)
                && report.hosts[plan.at].answers.is_empty()
                && (std::ptr::eq(provider, self.provider) || provider.place() == door)
        };
        (0..planned.len()).filter(is_one).collect()
    }

    /// Parks them: what is refused for its credential would be refused to each of them, and enough of
    /// that locks an account. Those at `waiting` places are told when their turn comes.
    pub fn park(
        &self,
        engine: &mut Engine,
        planned: &mut [Planned],
        report: &mut Report,
        refusal: &Refusal,
        waiting: &BTreeSet<usize>,
    ) {
        let outcome = Outcome::Rejected(refusal.clone());
        for place in self.places(engine, planned, report) {
            let plan = &mut planned[place];
            let is_parked = plan.step.hold.as_ref().is_some_and(|hold| match hold.kind {
                HoldKind::Rejected(rejection) => !rejection.may_be_fixed_there(),
                HoldKind::Backoff(_) | HoldKind::Throttled => false,
            });
            if !is_parked && !waiting.contains(&place) {
                plan.step.wishes = PerFamily::default();
                settle_one(engine, plan, &PerFamily::default(), &outcome, report);
            }
        }
    }

    /// Ends their waits for faults that are over, as the answer shows, and lets them be asked about in
    /// the next pass of the round.
    fn end_waits(&self, engine: &mut Engine, planned: &[Planned], report: &mut Report) {
        let now = engine.clock.now();
        for place in self.places(engine, planned, report) {
            let at = planned[place].at;
            let entry = engine.memory.hosts.get_mut(&engine.config.hosts[at].host.key);
            if entry.is_some_and(|entry| fixed_for_a_neighbour(entry, now)) {
                report.host_mut(at).ask_again = true;
            }
        }
    }
}

/// Reads the secrets behind a refused credential again, those of every host that uses it; true when
/// all hosts at `places` have another one now, so that their request can be repeated at once.
pub fn renew(
    engine: &mut Engine,
    planned: &mut [Planned],
    places: &[usize],
    refused: Fingerprint,
) -> bool {
    if engine.traffic.may_renew(refused) {
        let mut reader = CredentialReader::new(&engine.store);
        for plan in planned.iter_mut().filter(|plan| plan.access.identity == refused) {
            let host = &engine.config.hosts[plan.at];
            let fresh = reader.access(host, &engine.config.providers[host.provider]);
            plan.access = fresh.unwrap_or_else(|_| plan.access.clone());
        }
    }
    places.iter().all(|&place| planned[place].access.identity != refused)
}

/// Leaves the hosts of `request`, whose answer settles nothing, to the next pass of the round.
fn ask_again(engine: &mut Engine, planned: &[Planned], request: &Request, report: &mut Report) {
    for (place, update) in request.hosts.iter().zip(&request.updates) {
        let at = planned[*place].at;
        let key = &engine.config.hosts[at].host.key;
        not_sent(engine.memory.entry_mut(key), &update.wishes);
        report.host_mut(at).ask_again = true;
    }
}

/// Forgets that `request` was about to leave.
fn take_back(engine: &mut Engine, planned: &mut [Planned], request: &mut Request) {
    for (place, update) in request.hosts.iter().zip(&request.updates) {
        let key = &engine.config.hosts[planned[*place].at].host.key;
        not_sent(engine.memory.entry_mut(key), &update.wishes);
        planned[*place].counted = false;
    }
    request.uncount(&mut engine.memory);
    request.counts.clear();
}

/// Settles an answer for every host of its request.
fn answered(
    engine: &mut Engine,
    planned: &[Planned],
    report: &mut Report,
    request: &Request,
    verdict: Verdict,
) {
    let (outcomes, shared) = match verdict {
        Verdict::All(outcome) => (vec![outcome; request.hosts.len()], request.hosts.len() > 1),
        Verdict::Each(outcomes) => (outcomes, false),
        Verdict::NoLists(said) => {
            let outcome = Outcome::deferred(Fault::Unintelligible, said);
            (vec![outcome; request.hosts.len()], false)
        }
    };
    let (now, pace) = (engine.clock.now(), pace(engine, planned, request));
    let own_doing = settle_pace(&mut engine.memory, request, pace, &outcomes, now);
    // The hosts of one answer wait together.
    let manner = Manner { spread: spread(), shared, own_doing };
    for ((place, update), outcome) in request.hosts.iter().zip(&request.updates).zip(&outcomes) {
        settle_as(engine, &planned[*place], &update.wishes, outcome, manner, report);
        if let Outcome::Deferred(Deferral { fault: Fault::Throttled, .. }) = outcome {
            let key = &engine.config.hosts[planned[*place].at].host.key;
            let hold = engine.memory.entry(key).and_then(|entry| entry.hold.as_ref());
            if let Some(until) = hold.and_then(|hold| hold.until) {
                settle_zone(&mut engine.memory, &request.zone, until, now);
            }
        }
    }
}

/// What else a settlement depends on, and the hosts of one answer share.
#[derive(Clone, Copy)]
struct Manner {
    spread: f64,
    shared: bool,
    own_doing: bool,
}

/// Settles one outcome of one host that no other one shares, and reports it.
pub fn settle_one(
    engine: &mut Engine,
    plan: &Planned,
    wishes: &PerFamily<Wish>,
    outcome: &Outcome,
    report: &mut Report,
) {
    let manner = Manner { spread: spread(), shared: false, own_doing: false };
    settle_as(engine, plan, wishes, outcome, manner, report);
}

fn settle_as(
    engine: &mut Engine,
    plan: &Planned,
    wishes: &PerFamily<Wish>,
    outcome: &Outcome,
    manner: Manner,
    report: &mut Report,
) {
    engine.note_reckoning();
    let host = &engine.config.hosts[plan.at].host;
    let situation = Situation {
        now: engine.clock.now(),
        spread: manner.spread,
        shared: manner.shared,
        fingerprint: plan.access.fingerprint,
        own_doing: manner.own_doing,
    };
    let provider = &engine.config.providers[engine.config.hosts[plan.at].provider];
    let manners = provider.protocol.manners();
    if manners.tokens == Some(Issuer::Account) && outcome.shows_a_good_credential() {
        let token = engine.memory.tokens.entry(plan.access.identity).or_default();
        token.note_heard(situation.now);
    }
    let entry = engine.memory.entry_mut(&host.key);
    entry.settle_in(&plan.access.place);
    let (outcome, times) = crate::core::protocol::rails::counted(outcome.clone(), entry.not_shown);
    entry.not_shown = times;
    let end = plan.access.terms.as_ref().ok().map(|terms| terms.end);
    let outcome = with_its_end(outcome, end.unwrap_or_default(), situation.now);
    let news = settle(host, entry, wishes, &outcome, &situation);
    if manners.zone != ZoneNeed::Never
        && may_be_the_zone(&outcome)
        && matches!(news, News::Held(_) | News::StillHeld(_))
    {
        // Zones are cut and joined: the next question finds the one that holds the host by then.
        entry.zone = None;
    }
    let host_report = report.host_mut(plan.at);
    host_report.attempted(wishes);
    let wishes = wishes.clone();
    host_report.answers.push(Answered { wishes, outcome, news });
}

/// An outcome, with the end of the token where that is why its credential is refused.
fn with_its_end(mut outcome: Outcome, end: End, now: Timestamp) -> Outcome {
    if let (Outcome::Rejected(refusal), End::At(end)) = (&mut outcome, end)
        && refusal.rejection == Rejection::Credential
        && end <= now
    {
        let end = rfc3339_seconds(end);
        refusal.detail = format!("by its receipt the token expired at {end}; {}", refusal.detail);
    }
    outcome
}

/// Whether an outcome may come from a zone that is not the host's, or not any more.
fn may_be_the_zone(outcome: &Outcome) -> bool {
    let refused =
        |refusal: &Refusal| matches!(refusal.rejection, Rejection::Forbidden | Rejection::Host);
    matches!(outcome, Outcome::Rejected(refusal) if refused(refusal))
}

/// Tells the hooks of hosts whose addresses changed, all at once; when `stop` turns true, those that
/// still run are ended.
pub async fn run_hooks(engine: &Engine, report: &mut Report, stop: &Cell<bool>) {
    let changed = (0..report.hosts.len()).filter(|&at| {
        let key = &engine.config.hosts[at].host.key;
        report.hosts[at].changed(engine.memory.entry(key))
    });
    let hosts = changed.map(|at| (&engine.config.hosts[at], &report.hosts[at].before));
    let mut hooks: FuturesUnordered<_> = hosts
        .filter(|(host, _)| !host.on_change.is_empty())
        .map(|(host, before)| {
            let now = engine.memory.entry(&host.host.key).map(Entry::addresses).unwrap_or_default();
            let change = hook::Change { key: host.host.key.clone(), now, before: before.clone() };
            async move {
                let what = format!("waiting for {}", host.on_change[0]);
                let run = hook::run((&host.on_change, engine.config.programs_as), &change);
                (host.host.key.clone(), engine.waiting.during(&what, run).await)
            }
        })
        .collect();
    let mut problems = Vec::new();
    loop {
        tokio::select! {
            biased;
            ended = hooks.next() => match ended {
                Some((key, result)) => problems.extend(result.err().map(|problem| (key, problem))),
                None => break,
            },
            () = turned(stop) => break,
        }
    }
    drop(hooks);
    report.hook_problems = problems;
}

/// Waits until `stop` is true; looks often, but only while something runs that it ends.
pub async fn turned(stop: &Cell<bool>) {
    while !stop.get() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
