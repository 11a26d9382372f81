//! Performing: sends requests, at most eight at a time and within each server's own limits, and
//! settles and saves the results of their answers.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt};

use super::credentials::CredentialReader;
use super::hook;
use super::{Engine, HostReport, Planned, Report, Round, SAVE_LAG, has_something_to_say, traffic};
use crate::core::address::PerFamily;
use crate::core::memory::{Entry, HoldKind};
use crate::core::order;
use crate::core::outcome::{Deferral, Fault, Outcome, Refusal, Rejection};
use crate::core::pace::Pace;
use crate::core::plan::{Candidate, Request, Schedule, Wish};
use crate::core::protocol::manners::{Issuer, ZoneNeed};
use crate::core::protocol::step::Moment;
use crate::core::protocol::talk::{Job, Talk};
use crate::core::protocol::{Verdict, dyndns2, rails};
use crate::core::provider::Provider;
use crate::core::secret::Fingerprint;
use crate::core::settle::{
    News, Situation, fixed_for_a_neighbour, in_view_of, leaving, not_sent, note_earlier, sending,
    settle, settle_pace, settle_zone,
};
use crate::core::time::Timestamp;
use crate::core::token::upkeep::End;
use crate::os::clock::{Clock, nonce, rfc3339_seconds, spread};
use crate::provider::carry::Carrier;

/// The requests that leave now and those that wait, of the plans that have something to send.
pub fn schedule(engine: &Engine, planned: &[Planned]) -> Schedule {
    let speakers: Vec<usize> =
        (0..planned.len()).filter(|&at| has_something_to_say(&planned[at].step)).collect();
    let candidates: Vec<_> = speakers
        .iter()
        .map(|&at| {
            let plan = &planned[at];
            let (host, provider) = plan.configured(&engine.config);
            let (credential, counted) = (plan.access.identity, plan.counted);
            Candidate { host: &host.host, provider, credential, step: &plan.step, counted }
        })
        .collect();
    let mut schedule = crate::core::plan::schedule(&candidates, &engine.memory, engine.clock.now());
    // The schedule holds indexes of candidates; its callers need indexes of plans.
    for request in &mut schedule.now {
        request.hosts.iter_mut().for_each(|place| *place = speakers[*place]);
    }
    schedule.later.iter_mut().for_each(|(place, _)| *place = speakers[*place]);
    schedule
}

impl Round<'_> {
    /// Sends what the pace allows, and settles and saves the answers.
    pub async fn perform(&mut self) {
        let schedule = schedule(self.engine, &self.planned);
        // A host that is refused for its pace keeps its turn before those that already have to wait.
        for request in schedule.now.iter().filter(|request| !request.counts.is_empty()) {
            for &place in &request.hosts {
                self.entry_mut(place).queued_since.get_or_insert(request.at);
            }
        }
        for (place, until) in schedule.later {
            self.queue(place, until);
        }
        if schedule.now.is_empty() || self.stop.get() {
            return;
        }
        // One server may know the secrets of several hosts.
        self.planned.iter().for_each(|plan| self.clients.conceal(&plan.access.credential.secret));
        let paces = self.engine.memory.paces.clone();
        for place in order::distinct(schedule.now.iter().flat_map(|request| &request.hosts)) {
            leaving(self.entry_mut(*place));
        }
        for request in &schedule.now {
            self.note_sending(request);
        }
        if self.save() {
            self.deliver_all(schedule.now).await;
            // The programs that the hooks run may read the state, or end this process.
            self.save();
            return;
        }
        // What cannot be saved is not sent: a crash would repeat it for ever.
        self.engine.memory.paces = paces;
        let reason = self.report.storage_problem.clone().unwrap_or_default();
        let outcome = Outcome::deferred(Fault::Storage, reason);
        for request in &schedule.now {
            for (place, update) in request.parts() {
                self.settle(place, &update.wishes, &outcome);
            }
        }
    }

    /// Notes that a host waits for its turn until `until`.
    pub fn queue(&mut self, place: usize, until: Timestamp) {
        let now = self.engine.clock.now();
        let key = self.host(place).host.key.clone();
        self.engine.memory.entry_mut(&key).queued_since.get_or_insert(now);
        let host_report = self.host_report(place);
        host_report.queued_until = Some(until);
        host_report.newly_queued = !host_report.was_queued;
    }

    /// Notes in the memory that `request` leaves now.
    fn note_sending(&mut self, request: &Request) {
        self.engine.note_reckoning();
        let now = self.engine.clock.now();
        let compares = self.provider(request.hosts[0]).manners().compares;
        for (place, update) in request.parts() {
            let entry = self.entry_mut(place);
            if compares {
                note_earlier(entry, &update.wishes);
            }
            sending(entry, &update.wishes, now);
            self.planned[place].counted = true;
        }
        let (_, provider) = self.planned[request.hosts[0]].configured(&self.engine.config);
        let server = CredentialReader::new(&self.engine.store).server(provider);
        self.engine.memory.note_server(&provider.name, server);
        let pace = self.pace(request);
        request.count(&mut self.engine.memory, pace);
    }

    /// Sends `requests`, settles their answers and saves them, refusals at once.
    async fn deliver_all(&mut self, requests: Vec<Request>) {
        let (config, clients) = (Rc::clone(&self.engine.config), self.clients);
        let mut waiting: VecDeque<Request> = requests.into();
        let mut under_way = FuturesUnordered::new();
        let mut queues: BTreeMap<String, Queue> = BTreeMap::new();
        let mut unsaved_since: Option<Instant> = None;
        loop {
            while let Some(mut request) = self.next_request(&mut waiting, &queues) {
                if self.is_put_aside(&mut request) {
                    continue;
                }
                self.recount(&mut request);
                let plan = &self.planned[request.hosts[0]];
                let (host, provider) = plan.configured(&config);
                let (identity, bind) = (plan.access.identity, host.host.bind);
                let queue = queues.entry(traffic::queue_name(provider)).or_default();
                queue.started += 1;
                queue.under_way += 1;
                queue.identities.insert(identity);
                let path = host.path.as_deref();
                let credential = plan.access.credential.clone();
                let not_before = self.engine.traffic.not_before(provider);
                let moment = moment(&self.engine.clock);
                let what = format!("waiting for {} to answer", provider.name);
                let speaker = self.engine.waiting;
                under_way.push(async move {
                    let credential = &credential;
                    let carrier = Carrier { clients, provider, credential, path, bind };
                    let verdict = deliver(&carrier, not_before, &request, moment);
                    ((provider, identity, bind), speaker.during(&what, verdict).await, request)
                });
            }
            let lag = unsaved_since.map(|since| (since + SAVE_LAG).into());
            let ((provider, identity, bind), verdict, request) = tokio::select! {
                biased;
                answer = under_way.next() => match answer {
                    Some(answer) => answer,
                    None => break,
                },
                () = tokio::time::sleep_until(lag.unwrap_or_else(tokio::time::Instant::now)), if lag.is_some() => {
                    self.save();
                    unsaved_since = None;
                    continue;
                }
            };
            self.engine.pulse.beat();
            queues.entry(traffic::queue_name(provider)).or_default().note_answer(identity);
            let_connection_settle().await;
            let verdict = self.in_view(&request, verdict);
            for outcome in verdict.outcomes() {
                self.engine.traffic.learn(provider, identity, bind, outcome);
            }
            if verdict.outcomes().iter().any(|outcome| outcome.credential_refusal().is_some())
                && self.renew(&request.hosts, identity)
            {
                let fresh = |place: &usize| self.planned[*place].access.identity;
                let first = fresh(&request.hosts[0]);
                if request.hosts.iter().all(|place| fresh(place) == first) {
                    waiting.push_front(request);
                } else {
                    // Each host uses the secret that its own file holds now, within the pace.
                    self.ask_again(&request);
                }
                continue;
            }
            if dyndns2::speaks_of_the_first_alone(&verdict) {
                // The other hosts are asked about one by one, from then on all hosts.
                self.engine.memory.without_lists.insert(provider.name.to_string());
            }
            if let Verdict::NoLists(_) = verdict {
                self.engine.memory.without_lists.insert(provider.name.to_string());
                self.ask_again(&request);
                continue;
            }
            if self.conclude(&request, (provider, identity), verdict, &waiting) {
                self.save();
                unsaved_since = None;
            } else {
                unsaved_since.get_or_insert_with(Instant::now);
            }
        }
    }

    /// Skips a request that must not leave now, because the round is to end, its zone is paused,
    /// or its answer is already known; returns whether it did.
    fn is_put_aside(&mut self, request: &mut Request) -> bool {
        let Engine { config, memory, clock, traffic, .. } = &*self.engine;
        let plan = &self.planned[request.hosts[0]];
        let (host, provider) = plan.configured(config);
        let paused = memory.paces.get(&request.zone).and_then(|zone| zone.pause_until);
        let paused = paused.filter(|&until| clock.now() < until);
        let foregone = traffic.foregone(provider, plan.access.identity, host.host.bind);
        if !self.stop.get() && paused.is_none() && foregone.is_none() {
            return false;
        }
        self.take_back(request);
        if self.stop.get() {
            for &place in &request.hosts {
                self.host_report(place).cut_short = true;
            }
        } else if let Some(until) = paused {
            for &place in &request.hosts {
                self.queue(place, until);
            }
        } else if let Some(outcome) = foregone {
            self.settle_all(request, Verdict::All(outcome));
        }
        true
    }

    /// Counts a request at the moment when it leaves, after the wait for those before it.
    fn recount(&mut self, request: &mut Request) {
        request.uncount(&mut self.engine.memory);
        request.at = self.engine.clock.now();
        let pace = self.pace(request);
        request.count(&mut self.engine.memory, pace);
    }

    /// The pace of a request.
    fn pace(&self, request: &Request) -> Option<Pace> {
        self.provider(request.hosts[0]).pace.map(Pace::kept)
    }

    /// Settles an answer for every host of its request, and its consequences for others that use
    /// the same credential; returns whether anything is refused.
    fn conclude(
        &mut self,
        request: &Request,
        (provider, identity): (&Provider, Fingerprint),
        verdict: Verdict,
        waiting: &VecDeque<Request>,
    ) -> bool {
        let all = verdict.outcomes();
        let is_refusal = all.iter().any(|outcome| matches!(outcome, Outcome::Rejected(_)));
        let refusal = all.iter().find_map(Outcome::credential_refusal).cloned();
        let is_success =
            all.iter().any(|outcome| matches!(outcome, Outcome::Updated | Outcome::Unchanged));
        self.settle_all(request, verdict);
        let company = Company { provider, identity, own: &request.hosts };
        if let Some(refusal) = refusal {
            let theirs = waiting.iter().flat_map(|request| &request.hosts).copied().collect();
            self.park(&company, &refusal, &theirs);
        }
        if is_success {
            self.end_waits(&company);
        }
        is_refusal
    }

    /// The verdict of an answer to `request`, with regard to the memory of its hosts.
    fn in_view(&self, request: &Request, verdict: Verdict) -> Verdict {
        let Verdict::All(outcome) = verdict else { return verdict };
        let unknown = Entry::default();
        let asked = request
            .parts()
            .map(|(place, update)| (self.known(place).unwrap_or(&unknown), &update.wishes));
        let asked: Vec<_> = asked.collect();
        Verdict::All(in_view_of(outcome, &asked, self.engine.clock.now()))
    }

    /// Takes the first request whose provider has room for one more, and whose credential is
    /// known to be good or is not being tried at this moment.
    fn next_request(
        &self,
        waiting: &mut VecDeque<Request>,
        queues: &BTreeMap<String, Queue>,
    ) -> Option<Request> {
        let may_start = |request: &Request| {
            let provider = self.provider(request.hosts[0]);
            let identity = self.planned[request.hosts[0]].access.identity;
            queues.get(&traffic::queue_name(provider)).is_none_or(|queue| {
                let being_tried = queue.identities.contains(&identity);
                let is_known = || self.engine.traffic.is_accepted(provider, identity);
                queue.has_room(provider.manners().most_at_once) && (!being_tried || is_known())
            })
        };
        let place = waiting.iter().position(may_start)?;
        waiting.remove(place)
    }

    /// The indexes of the company's hosts that were not asked about in this round.
    fn places(&self, company: &Company<'_>) -> Vec<usize> {
        let door = company.provider.place();
        let is_one = |&place: &usize| {
            let (plan, provider) = (&self.planned[place], self.provider(place));
            plan.access.identity == company.identity
                && !company.own.contains(&place)
                && self.report.hosts[plan.at].answers.is_empty()
                && (std::ptr::eq(provider, company.provider) || provider.place() == door)
        };
        (0..self.planned.len()).filter(is_one).collect()
    }

    /// Parks the hosts of `company`: a refusal of their credential would be repeated for each, and
    /// enough refusals lock an account. Hosts at `waiting` indexes are parked when their turn comes.
    pub fn park(&mut self, company: &Company<'_>, refusal: &Refusal, waiting: &BTreeSet<usize>) {
        let outcome = Outcome::Rejected(refusal.clone());
        for place in self.places(company) {
            let plan = &mut self.planned[place];
            let is_parked = plan.step.hold.as_ref().is_some_and(|hold| match hold.kind {
                HoldKind::Rejected(rejection) => !rejection.may_be_fixed_there(),
                HoldKind::Backoff(_) | HoldKind::Throttled => false,
            });
            if !is_parked && !waiting.contains(&place) {
                plan.step.wishes = PerFamily::default();
                self.settle(place, &PerFamily::default(), &outcome);
            }
        }
    }

    /// Ends the waits of the company's hosts for faults that an answer shows to be over, and lets
    /// them be asked about in the next pass of the round.
    fn end_waits(&mut self, company: &Company<'_>) {
        let now = self.engine.clock.now();
        for place in self.places(company) {
            let at = self.planned[place].at;
            let key = &self.engine.config.hosts[at].host.key;
            let entry = self.engine.memory.hosts.get_mut(key);
            if entry.is_some_and(|entry| fixed_for_a_neighbour(entry, now)) {
                self.report.host_mut(at).ask_again = true;
            }
        }
    }

    /// Reads the secrets behind a refused credential again, for every host that uses it; true when
    /// all hosts at `places` have another one now, so that their request can be repeated at once.
    pub fn renew(&mut self, places: &[usize], refused: Fingerprint) -> bool {
        if self.engine.traffic.may_renew(refused) {
            let mut reader = CredentialReader::new(&self.engine.store);
            for plan in self.planned.iter_mut().filter(|plan| plan.access.identity == refused) {
                let (host, provider) = plan.configured(&self.engine.config);
                if let Ok(fresh) = reader.access(host, provider) {
                    plan.access = fresh;
                }
            }
        }
        places.iter().all(|&place| self.planned[place].access.identity != refused)
    }

    /// Leaves the hosts of `request`, whose answer settles nothing, to the next pass of the round.
    fn ask_again(&mut self, request: &Request) {
        for (place, update) in request.parts() {
            not_sent(self.entry_mut(place), &update.wishes);
            self.host_report(place).ask_again = true;
        }
    }

    /// Notes that `request` was not sent after all.
    fn take_back(&mut self, request: &mut Request) {
        for (place, update) in request.parts() {
            not_sent(self.entry_mut(place), &update.wishes);
            self.planned[place].counted = false;
        }
        request.uncount(&mut self.engine.memory);
        request.counts.clear();
    }

    /// Settles an answer for every host of its request.
    fn settle_all(&mut self, request: &Request, verdict: Verdict) {
        let count = request.hosts.len();
        let (outcomes, shared) = match verdict {
            Verdict::All(outcome) => (vec![outcome; count], count > 1),
            Verdict::Each(outcomes) => (outcomes, false),
            Verdict::NoLists(said) => {
                (vec![Outcome::deferred(Fault::Unintelligible, said); count], false)
            }
        };
        let (now, pace) = (self.engine.clock.now(), self.pace(request));
        let own_doing = settle_pace(&mut self.engine.memory, request, pace, &outcomes, now);
        // The hosts of one answer wait equally long.
        let spread = spread();
        for ((place, update), outcome) in request.parts().zip(&outcomes) {
            let situation = Situation { spread, shared, own_doing, ..self.situation(place) };
            self.settle_as(place, &update.wishes, outcome, &situation);
            if let Outcome::Deferred(Deferral { fault: Fault::Throttled, .. }) = outcome {
                let hold = self.known(place).and_then(|entry| entry.hold.as_ref());
                if let Some(until) = hold.and_then(|hold| hold.until) {
                    settle_zone(&mut self.engine.memory, &request.zone, until, now);
                }
            }
        }
    }

    /// The situation of an answer that comes now and is about one host alone.
    pub fn situation(&self, place: usize) -> Situation {
        Situation {
            now: self.engine.clock.now(),
            spread: spread(),
            shared: false,
            fingerprint: self.planned[place].access.fingerprint,
            own_doing: false,
        }
    }

    /// Settles and reports an outcome that is about one host alone.
    pub fn settle(&mut self, place: usize, wishes: &PerFamily<Wish>, outcome: &Outcome) {
        self.settle_as(place, wishes, outcome, &self.situation(place));
    }

    fn settle_as(
        &mut self,
        place: usize,
        wishes: &PerFamily<Wish>,
        outcome: &Outcome,
        situation: &Situation,
    ) {
        self.engine.note_reckoning();
        let Planned { at, access, .. } = &self.planned[place];
        let (host, provider) = self.planned[place].configured(&self.engine.config);
        let manners = provider.manners();
        let memory = &mut self.engine.memory;
        if manners.tokens == Some(Issuer::Account) && outcome.shows_a_good_credential() {
            memory.tokens.entry(access.identity).or_default().note_heard(situation.now);
        }
        let entry = memory.entry_mut(&host.host.key);
        entry.settle_in(&access.place);
        let (outcome, times) = rails::counted(outcome.clone(), entry.not_shown);
        entry.not_shown = times;
        let end = access.terms.as_ref().ok().map(|terms| terms.end);
        let outcome = with_its_end(outcome, end.unwrap_or_default(), situation.now);
        let news = settle(&host.host, entry, wishes, &outcome, situation);
        if provider.manners().zone != ZoneNeed::Never
            && may_be_the_zone(&outcome)
            && matches!(news, News::Held(_) | News::StillHeld(_))
        {
            // Zones are split and joined: the next question finds the zone that holds the host then.
            (entry.zone, entry.zone_id) = (None, None);
        }
        self.report.host_mut(*at).note_answer(wishes.clone(), outcome, news);
    }
}

/// Lets the connection of an answer return to its pool, so that the next request uses it instead
/// of opening another: the client's own tasks need a few turns for that.
async fn let_connection_settle() {
    for _ in 0..4 {
        tokio::task::yield_now().await;
    }
}

/// The moment of a conversation, with a random number for its signatures.
pub fn moment(clock: &Clock) -> Moment {
    Moment { now: clock.now(), clock_is_set: clock.is_set(), nonce: nonce() }
}

/// Sends one request, not before `not_before`, and returns the verdict of its provider.
async fn deliver(
    carrier: &Carrier<'_>,
    not_before: Option<Instant>,
    request: &Request,
    moment: Moment,
) -> Verdict {
    if let Some(moment) = not_before {
        tokio::time::sleep_until(moment.into()).await;
    }
    let Carrier { provider, credential, .. } = *carrier;
    let job = Job { provider, credential, request, moment };
    let (mut talk, step) = Talk::begin(&job);
    carrier.hold(step, |heard| talk.hear(heard)).await
}

/// The hosts that use a credential at one place, besides those that an answer was about.
pub struct Company<'a> {
    /// The provider that answered.
    pub provider: &'a Provider,
    /// The hash of login and secret.
    pub identity: Fingerprint,
    /// The indexes of the hosts that the answer was about.
    pub own: &'a [usize],
}

/// The requests to one provider, or to one deSEC server.
#[derive(Default)]
struct Queue {
    started: usize,
    under_way: usize,
    /// The credentials of the requests under way.
    identities: BTreeSet<Fingerprint>,
}

impl Queue {
    /// Whether one more request may start, with at most `most` at once.
    ///
    /// The second group of requests waits for nearly all answers to the first: while connections
    /// are still being opened, the client would open more of them.
    fn has_room(&self, most: usize) -> bool {
        let answered = self.started - self.under_way;
        self.under_way < most && (self.started < most || answered + 2 >= most)
    }

    /// Notes that the answer to a request with that credential came.
    fn note_answer(&mut self, identity: Fingerprint) {
        self.under_way -= 1;
        self.identities.remove(&identity);
        // One request that tried a credential is no group: its connection is already open.
        if self.started == 1 {
            self.started = 0;
        }
    }
}

/// An outcome, with the end of the token where that explains the refusal of the credential.
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

/// Whether the cause of an outcome may be a zone that is not the host's, or no longer.
fn may_be_the_zone(outcome: &Outcome) -> bool {
    let refused =
        |refusal: &Refusal| matches!(refusal.rejection, Rejection::Forbidden | Rejection::Host);
    matches!(outcome, Outcome::Rejected(refusal) if refused(refusal))
}

/// Runs the hooks of hosts whose addresses changed, all at once; when `stop` turns true, running
/// hooks are ended.
pub async fn run_hooks(engine: &Engine, report: &mut Report, stop: &Cell<bool>) {
    let hosts = engine.config.hosts.iter().zip(&report.hosts).filter(|(host, report)| {
        !host.on_change.is_empty() && report.changed(engine.memory.entry(&host.host.key))
    });
    let mut hooks: FuturesUnordered<_> = hosts
        .map(|(host, HostReport { before, .. })| async move {
            let key = &host.host.key;
            let now = engine.memory.entry(key).map(Entry::addresses).unwrap_or_default();
            let what = format!("waiting for {}", host.on_change[0]);
            let run = hook::run((&host.on_change, engine.config.programs_as), key, &now, before);
            (key.clone(), engine.waiting.during(&what, run).await)
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

/// Waits until `stop` is true; checks often, but only while something runs that it ends.
pub async fn turned(stop: &Cell<bool>) {
    while !stop.get() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
