//! Performing: which requests leave, at most so many at a time and within each server's own limits,
//! and what their answers change.

use std::rc::Rc;

use super::errand::{Out, Sending, Subject, Task};
use super::report::HostReport;
use super::short::Short;
use super::{Case, Now, Round, Shell, Stage};
use crate::core::address::{Addresses, PerFamily};
use crate::core::history::Change;
use crate::core::memory::{Entry, HoldKind, Key, Word};
use crate::core::order::SortedSet;
use crate::core::outcome::{Deferral, Fault, Outcome, Refusal, Rejection};
use crate::core::pace::Pace;
use crate::core::plan::{self, Candidate, Request, Schedule, Why, Wish};
use crate::core::protocol::manners::{Issuer, ZoneNeed};
use crate::core::protocol::{Verdict, dyndns2, rails};
use crate::core::secret::Fingerprint;
use crate::core::settle::{
    News, Situation, fixed_for_a_neighbour, in_view_of, leaving, not_sent, note_earlier, sending,
    settle, settle_pace, settle_zone,
};
use crate::core::time::Timestamp;
use crate::core::token::upkeep::End;
use crate::core::wire::calendar::iso8601;

/// The most times that a question can become narrower: the host alone, then each family.
const NARROWINGS: usize = 3;

/// The hosts of a provider that were asked about since the last look.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// How many requests wait or are under way.
    open: usize,
    hosts: SortedSet<usize>,
    /// How many times hosts were asked about more narrowly.
    narrowings: usize,
}

impl Lane {
    /// The lanes of the requests that are under way, by provider.
    pub(super) fn of(out: &Short<u64, Out>, cases: &[Case]) -> Short<String, Self> {
        let mut lanes: Short<String, Self> = Short::default();
        for request in out.values().filter_map(Out::request) {
            let provider = &cases[request.hosts[0]].subject.provider.name;
            let lane = lanes.or_default(provider.to_string());
            lane.open += 1;
            lane.hosts.extend(request.hosts.iter().copied());
        }
        lanes
    }
}

/// The requests to one provider, or to one deSEC server, while any is under way.
#[derive(Debug, Default)]
pub(super) struct Queue {
    started: usize,
    under_way: usize,
    /// The credentials of the requests under way.
    identities: Vec<Fingerprint>,
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

    /// Notes that a request with that credential starts.
    fn note_start(&mut self, identity: Fingerprint) {
        self.started += 1;
        self.under_way += 1;
        self.identities.push(identity);
    }

    /// Notes that the answer to a request with that credential came.
    fn note_answer(&mut self, identity: Fingerprint) {
        self.under_way -= 1;
        if let Some(at) = self.identities.iter().position(|known| *known == identity) {
            self.identities.swap_remove(at);
        }
        // One request that tried a credential is no group: its connection is already open.
        if self.started == 1 {
            self.started = 0;
        }
    }
}

/// The hosts that use a credential at one place, besides those that an answer was about.
struct Company<'a> {
    /// The host that the answer was about.
    subject: &'a Subject,
    /// The hash of login and secret.
    identity: Fingerprint,
    /// The indexes of the hosts that the answer was about.
    own: &'a [usize],
}

impl Round {
    /// The requests that leave now and those that wait, of the hosts at `ready` indexes.
    pub(super) fn schedule_of(&self, ready: &[usize], now: &Now) -> Schedule {
        let candidate = |&place: &usize| {
            let Case { subject, access, counted, .. } = &self.cases[place];
            let (host, provider) = (&*subject.host, &*subject.provider);
            let (step, credential) = (self.step(place)?, access.identity);
            Some((place, Candidate { host, provider, credential, step, counted: *counted }))
        };
        let (ready, candidates): (Vec<_>, Vec<_>) = ready.iter().filter_map(candidate).unzip();
        let mut schedule = plan::schedule(&candidates, &self.memory, now.wall);
        // The schedule holds indexes of candidates.
        for request in &mut schedule.now {
            request.hosts.iter_mut().for_each(|place| *place = ready[*place]);
        }
        schedule.later.iter_mut().for_each(|(place, _)| *place = ready[*place]);
        schedule
    }

    /// Lets the hosts that have something to send wait for their request, within the pace.
    pub(super) fn schedule(&mut self, now: &Now, spread: f64, shell: &mut dyn Shell) {
        let lacking = self.lacking_zones();
        let is_free = |place: &usize| !lacking.contains(self.provider_name(*place));
        let ready: Vec<usize> = self.ready.iter().copied().filter(is_free).collect();
        if ready.is_empty() {
            return;
        }
        let schedule = self.schedule_of(&ready, now);
        for place in &ready {
            self.ready.remove(place);
            self.cases[*place].wishes = PerFamily::default();
        }
        // A host that is refused for its pace keeps its turn before those that already have to wait.
        for request in schedule.now.iter().filter(|request| !request.counts.is_empty()) {
            for &place in &request.hosts {
                self.entry_mut(place).queued_since.get_or_insert(request.at);
            }
        }
        for (place, until) in schedule.later {
            self.queue(place, until, now);
        }
        if schedule.now.is_empty() {
            return;
        }
        for place in
            schedule.now.iter().flat_map(|request| &request.hosts).collect::<SortedSet<_>>()
        {
            leaving(self.entry_mut(*place));
        }
        for request in &schedule.now {
            self.note_sending(request, now);
        }
        if self.save(shell) {
            for request in schedule.now {
                self.open(&request);
                self.waiting.push_back(request);
            }
            return;
        }
        // What cannot be saved is not sent: a crash would repeat it for ever.
        let reason = self.report.storage_problem.clone().unwrap_or_default();
        let outcome = Outcome::deferred(Fault::Storage, reason);
        for request in &schedule.now {
            request.uncount(&mut self.memory);
            for (place, update) in request.parts() {
                self.settle(place, &update.wishes, &outcome, now, spread);
            }
        }
    }

    /// Starts the requests whose queue has room.
    pub(super) fn start(&mut self, now: &Now, spread: f64) {
        while let Some(mut request) = self.next_request() {
            if self.is_put_aside(&mut request, now, spread) {
                self.close(&request);
                self.take_up_all(&request, now, spread);
                continue;
            }
            self.recount(&mut request, now);
            let Case { subject, access, .. } = &self.cases[request.hosts[0]];
            let (subject, credential) = (subject.clone(), access.credential.clone());
            let (identity, queue) = (access.identity, subject.queue());
            self.queues.or_default(Rc::clone(&queue)).note_start(identity);
            let not_before = self.traffic.not_before(&subject);
            let sending =
                Sending { request: request.clone(), subject: subject.clone(), identity, queue };
            let task = Task::Update { subject, credential, request, not_before };
            self.send(Out::Update(Box::new(sending)), task);
        }
    }

    /// Notes the answer to a request.
    pub(super) fn heard_update(
        &mut self,
        sending: Sending,
        verdict: Verdict,
        now: &Now,
        spread: f64,
        shell: &mut dyn Shell,
    ) {
        let Sending { request, subject, identity, queue } = sending;
        let bind = subject.host.bind;
        if let Some(known) = self.queues.get_mut(&*queue) {
            known.note_answer(identity);
        }
        self.close(&request);
        let verdict = self.in_view(&request, verdict, now);
        for outcome in verdict.outcomes() {
            self.traffic.learn(&subject, identity, bind, outcome, now.steady);
        }
        if verdict.outcomes().iter().any(|outcome| outcome.credential_refusal().is_some())
            && self.renew(&request.hosts, identity, shell)
        {
            let fresh = |place: &usize| self.cases[*place].access.identity;
            let first = fresh(&request.hosts[0]);
            let is_old = |place: &usize| self.cases[*place].next.is_some();
            let is_whole = request.hosts.iter().all(|at| fresh(at) == first && !is_old(at));
            if is_whole && !self.is_stopping {
                self.open(&request);
                self.waiting.push_front(request);
            } else {
                // Each host uses the secret that its own file holds now, within the pace.
                self.ask_again(&request);
                self.take_up_all(&request, now, spread);
            }
            return;
        }
        if dyndns2::speaks_of_the_first_alone(&verdict) {
            // The other hosts are asked about one by one, from then on all hosts.
            self.memory.without_lists.insert(subject.provider.name.to_string());
        }
        if let Verdict::NoLists(_) = verdict {
            self.memory.without_lists.insert(subject.provider.name.to_string());
            self.ask_again(&request);
        } else {
            self.conclude(&request, (&subject, identity), verdict, now, spread);
        }
        self.take_up_all(&request, now, spread);
    }

    /// Decides again about the hosts of `request` that were looked at while it was under way.
    fn take_up_all(&mut self, request: &Request, now: &Now, spread: f64) {
        for &place in &request.hosts {
            if self.cases[place].stage == Stage::Rest {
                self.take_up(place, now, spread);
            }
        }
    }

    /// Asks more narrowly about hosts whose refusal may be caused by another host or by one family, as
    /// soon as all requests of their provider are answered, and ends the lanes that are done; returns
    /// whether a host has something to send. Nothing else is asked twice in a round.
    pub(super) fn narrow(&mut self, now: &Now) -> bool {
        let busy = self.busy();
        let is_done = |(name, lane): &&(String, Lane)| lane.open == 0 && !busy.contains(&**name);
        let done: Vec<String> =
            self.lanes.iter().filter(is_done).map(|(name, _)| name.clone()).collect();
        let mut any = false;
        for name in done {
            let Some(mut lane) = self.lanes.remove(&name) else { continue };
            let mut goes_on = false;
            if !self.is_stopping && lane.narrowings < NARROWINGS {
                for &place in &lane.hosts {
                    if self.host_report(place).is_unsettled() {
                        self.host_report(place).ask_again = false;
                        let Case { refresh, subject, .. } = &self.cases[place];
                        let (refresh, watched) = (*refresh, self.watched(&subject.host.key, now));
                        goes_on |= self.decide(place, refresh, watched, now);
                    }
                }
            }
            if goes_on {
                lane.narrowings += 1;
                self.lanes.insert(name, lane);
            } else {
                self.follow_up(&lane.hosts);
            }
            any |= goes_on;
        }
        any
    }

    /// Ends all lanes before a new look: hosts that are not being asked about are decided about anew.
    /// Requests that have not left are taken back.
    pub(super) fn end_lanes(&mut self) {
        self.take_back_waiting();
        for mut lane in self.lanes.take() {
            lane.hosts.retain(|place| self.cases[*place].stage == Stage::Rest);
            self.follow_up(&lane.hosts);
        }
    }

    /// Takes back the requests that have not left: their hosts were cut short until the next look.
    pub(super) fn take_back_waiting(&mut self) {
        for mut request in std::mem::take(&mut self.waiting) {
            self.take_back(&mut request);
            self.close(&request);
            for &place in &request.hosts {
                self.host_report(place).cut_short = true;
            }
        }
    }

    /// Lets the changes of hosts be verified, and runs their programs.
    pub(super) fn follow_up(&mut self, hosts: &SortedSet<usize>) {
        if self.is_stopping {
            return;
        }
        self.verify(hosts);
        for &place in hosts {
            let case = &self.cases[place];
            let (key, host_report) = (&case.subject.host.key, &mut self.report.hosts[case.at]);
            let entry = self.memory.entry(key);
            if !case.subject.has_hook || host_report.is_hooked || !host_report.changed(entry) {
                continue;
            }
            host_report.is_hooked = true;
            let before = host_report.before.clone();
            // The programs of one host run one after the other.
            if !self.out.values().any(|out| out.is_hook_of(key)) {
                self.run_hook(case.subject.clone(), before);
            } else if self.hooks_again.get(key).is_none() {
                self.hooks_again.insert(key.clone(), before);
            }
        }
    }

    /// Notes that the program of a host has ended.
    pub(super) fn heard_hook(&mut self, key: Key, result: Result<(), String>) {
        if let Some(before) = self.hooks_again.remove(&key)
            && let Some(case) = self.cases.iter().find(|case| case.subject.host.key == key)
        {
            self.run_hook(case.subject.clone(), before);
        }
        self.report.hook_problems.extend(result.err().map(|problem| (key, problem)));
    }

    /// Runs the program of a host, for which `before` was set. What changed while an earlier call ran may
    /// have changed back.
    fn run_hook(&mut self, subject: Subject, before: PerFamily<Option<Addresses>>) {
        let key = subject.host.key.clone();
        let now = self.memory.entry(&key).map(Entry::addresses).unwrap_or_default();
        if now == before {
            return;
        }
        self.send(Out::Hook(key), Task::Hook { subject, now, before });
    }

    /// The providers with a host that has something to send, or whose zone is still asked for.
    fn busy(&self) -> SortedSet<&str> {
        let ready = self.ready.iter().map(|place| self.provider_name(*place));
        ready.chain(self.lacking_zones()).collect()
    }

    /// The providers with a host whose zone is still asked for: it decides which hosts share a request.
    fn lacking_zones(&self) -> SortedSet<&str> {
        let asked = self.out.values().filter_map(Out::zone);
        let to_be_asked = self.ready.iter().copied().filter(|place| self.wants_zone(*place));
        asked.chain(to_be_asked).map(|place| self.provider_name(place)).collect()
    }

    fn provider_name(&self, place: usize) -> &str {
        &self.cases[place].subject.provider.name
    }

    /// Notes that a request waits.
    fn open(&mut self, request: &Request) {
        let lane = self.provider_name(request.hosts[0]).to_owned();
        let lane = self.lanes.or_default(lane);
        lane.open += 1;
        lane.hosts.extend(request.hosts.iter().copied());
        for &place in &request.hosts {
            let stage = &mut self.cases[place].stage;
            *stage = match stage {
                Stage::Sending(count) => Stage::Sending(*count + 1),
                Stage::Preparing | Stage::Rest => Stage::Sending(1),
            };
        }
    }

    /// Notes that a request neither waits nor is under way.
    fn close(&mut self, request: &Request) {
        let name = &self.cases[request.hosts[0]].subject.provider.name;
        if let Some(lane) = self.lanes.get_mut(&**name) {
            lane.open = lane.open.saturating_sub(1);
        }
        for &place in &request.hosts {
            let stage = &mut self.cases[place].stage;
            *stage = match stage {
                Stage::Sending(count) if *count > 1 => Stage::Sending(*count - 1),
                Stage::Sending(_) | Stage::Preparing | Stage::Rest => Stage::Rest,
            };
        }
    }

    /// Notes that a host waits for its turn until `until`.
    pub(super) fn queue(&mut self, place: usize, until: Timestamp, now: &Now) {
        let key = self.cases[place].subject.host.key.clone();
        self.memory.entry_mut(&key).queued_since.get_or_insert(now.wall);
        let host_report = self.host_report(place);
        host_report.note_queued(until);
        host_report.newly_queued = !host_report.was_queued;
    }

    /// Notes in the memory that `request` leaves now.
    fn note_sending(&mut self, request: &Request, now: &Now) {
        self.memory.reckoning = now.reckoning;
        let first = &self.cases[request.hosts[0]];
        let compares = first.subject.provider.manners().compares;
        let (server, provider) = (first.access.server, Rc::clone(&first.subject.provider));
        for (place, update) in request.parts() {
            let entry = self.entry_mut(place);
            if compares {
                note_earlier(entry, &update.wishes);
            }
            sending(entry, &update.wishes, now.wall);
            self.cases[place].counted = true;
        }
        self.memory.note_server(&provider.name, server);
        let pace = self.pace(request);
        request.count(&mut self.memory, pace);
    }

    /// Skips a request that must not leave now, because its zone is paused or its answer is already
    /// known; returns whether it did.
    fn is_put_aside(&mut self, request: &mut Request, now: &Now, spread: f64) -> bool {
        let Case { subject, access, .. } = &self.cases[request.hosts[0]];
        let paused = self.memory.paces.get(&request.zone).and_then(|zone| zone.pause_until);
        let paused = paused.filter(|&until| now.wall < until);
        let foregone = self.traffic.foregone(subject, access.identity, subject.host.bind);
        if paused.is_none() && foregone.is_none() {
            return false;
        }
        self.take_back(request);
        if let Some(until) = paused {
            for &place in &request.hosts {
                self.queue(place, until, now);
            }
        } else if let Some(outcome) = foregone {
            self.settle_all(request, Verdict::All(outcome), now, spread);
        }
        true
    }

    /// Counts a request at the moment when it leaves, after the wait for those before it.
    fn recount(&mut self, request: &mut Request, now: &Now) {
        request.uncount(&mut self.memory);
        request.at = now.wall;
        let pace = self.pace(request);
        request.count(&mut self.memory, pace);
    }

    /// The pace of a request.
    fn pace(&self, request: &Request) -> Option<Pace> {
        self.cases[request.hosts[0]].subject.provider.pace.map(Pace::kept)
    }

    /// Settles an answer for every host of its request, and its consequences for others that use
    /// the same credential.
    fn conclude(
        &mut self,
        request: &Request,
        (subject, identity): (&Subject, Fingerprint),
        verdict: Verdict,
        now: &Now,
        spread: f64,
    ) {
        let all = verdict.outcomes();
        let refusal = all.iter().find_map(Outcome::credential_refusal).cloned();
        let is_success =
            all.iter().any(|outcome| matches!(outcome, Outcome::Updated | Outcome::Unchanged));
        self.report.has_refusal |=
            all.iter().any(|outcome| matches!(outcome, Outcome::Rejected(_)));
        // The requests for a list may be refused at its second host, after a success or a fault at the
        // first, which uses the same credential.
        let each = request.hosts.iter().zip(all);
        let others = each.filter(|(_, outcome)| outcome.credential_refusal().is_none());
        let others: Vec<usize> = others.map(|(&place, _)| place).collect();
        self.settle_all(request, verdict, now, spread);
        let company = Company { subject, identity, own: &request.hosts };
        if let Some(refusal) = refusal {
            self.park(&company, &refusal, now, spread);
            let outcome = Outcome::Rejected(refusal);
            for place in others {
                self.settle(place, &PerFamily::default(), &outcome, now, spread);
            }
        }
        if is_success {
            self.end_waits(&company, now);
        }
    }

    /// The verdict of an answer to `request`, with regard to the memory of its hosts.
    fn in_view(&self, request: &Request, verdict: Verdict, now: &Now) -> Verdict {
        let Verdict::All(outcome) = verdict else { return verdict };
        let unknown = Entry::default();
        let asked = request
            .parts()
            .map(|(place, update)| (self.known(place).unwrap_or(&unknown), &update.wishes));
        let asked: Vec<_> = asked.collect();
        Verdict::All(in_view_of(outcome, &asked, now.wall))
    }

    /// Takes the first request whose provider has room for one more, and whose credential is
    /// known to be good or is not being tried at this moment.
    fn next_request(&mut self) -> Option<Request> {
        let may_start = |request: &Request| {
            let Case { subject, access, .. } = &self.cases[request.hosts[0]];
            self.queues.get(&*subject.queue()).is_none_or(|queue| {
                let being_tried = queue.identities.contains(&access.identity);
                let is_known = || self.traffic.is_accepted(subject, access.identity);
                let most = subject.provider.manners().most_at_once;
                queue.has_room(most) && (!being_tried || is_known())
            })
        };
        let Some(place) = self.waiting.iter().position(may_start) else {
            // A queue ends with its last request: the next ones are a group of their own.
            if self.waiting.is_empty() {
                self.queues.retain(|queue| queue.under_way > 0);
            }
            return None;
        };
        self.waiting.remove(place)
    }

    /// The indexes of the company's hosts that are not being asked about, and whose report fits.
    fn places(&self, company: &Company<'_>, fits: fn(&HostReport) -> bool) -> Vec<usize> {
        let Company { subject, identity, own } = company;
        let is_one = |&place: &usize| {
            let case = &self.cases[place];
            case.access.identity == *identity
                && case.stage == Stage::Rest
                && !own.contains(&place)
                && fits(&self.report.hosts[case.at])
                && case.subject.place == subject.place
        };
        (0..self.cases.len()).filter(is_one).collect()
    }

    /// Parks the hosts of `company`: a refusal of their credential would be repeated for each, and
    /// enough refusals lock an account. Hosts whose request waits are parked when their turn comes.
    fn park(&mut self, company: &Company<'_>, refusal: &Refusal, now: &Now, spread: f64) {
        let outcome = Outcome::Rejected(refusal.clone());
        // One whose update failed before for another reason would try the credential again.
        for place in self.places(company, |report| !report.has_succeeded()) {
            let hold = self.step(place).and_then(|step| step.hold.as_deref());
            let is_parked = hold.is_some_and(|hold| match hold.kind {
                HoldKind::Rejected(rejection) => !rejection.may_be_fixed_there(),
                HoldKind::Backoff(_) | HoldKind::Throttled => false,
            });
            if !is_parked {
                self.cases[place].wishes = PerFamily::default();
                self.ready.remove(&place);
                self.settle(place, &PerFamily::default(), &outcome, now, spread);
            }
        }
    }

    /// Parks the hosts with the credential of the host at `place`, which was refused.
    pub(super) fn park_company(&mut self, place: usize, refusal: &Refusal, now: &Now, spread: f64) {
        let Case { subject, access, .. } = &self.cases[place];
        let (subject, identity) = (subject.clone(), access.identity);
        self.park(&Company { subject: &subject, identity, own: &[place] }, refusal, now, spread);
    }

    /// Ends the waits of the company's hosts for faults that an answer shows to be over, and lets
    /// them be asked about as soon as the others are answered.
    fn end_waits(&mut self, company: &Company<'_>, now: &Now) {
        for place in self.places(company, |report| report.answers.is_empty()) {
            let key = &self.cases[place].subject.host.key;
            let entry = self.memory.hosts.get_mut(key);
            if entry.is_some_and(|entry| fixed_for_a_neighbour(entry, now.wall)) {
                self.host_report(place).ask_again = true;
                self.join_lane(place);
            }
        }
    }

    /// Lets a host be decided about again, or its program run, when the others of its provider are done.
    pub(super) fn join_lane(&mut self, place: usize) {
        let lane = self.provider_name(place).to_owned();
        self.lanes.or_default(lane).hosts.insert(place);
    }

    /// Reads the secrets behind a refused credential again, for every host that uses it; true when
    /// all hosts at `places` have another one now, so that their request can be repeated at once.
    pub(super) fn renew(
        &mut self,
        places: &[usize],
        refused: Fingerprint,
        shell: &mut dyn Shell,
    ) -> bool {
        if self.traffic.may_renew(refused) {
            for case in self.cases.iter_mut().filter(|case| case.access.identity == refused) {
                if let Some(fresh) = shell.access(&case.subject) {
                    case.access = fresh;
                }
            }
        }
        places.iter().all(|&place| self.cases[place].access.identity != refused)
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
            self.cases[place].counted = false;
        }
        request.uncount(&mut self.memory);
        request.counts.clear();
    }

    /// Settles an answer for every host of its request.
    fn settle_all(&mut self, request: &Request, verdict: Verdict, now: &Now, spread: f64) {
        let count = request.hosts.len();
        let (outcomes, shared) = match verdict {
            Verdict::All(outcome) => (vec![outcome; count], count > 1),
            Verdict::Each(outcomes) => (outcomes, false),
            Verdict::NoLists(said) => {
                (vec![Outcome::deferred(Fault::Unintelligible, said); count], false)
            }
        };
        let pace = self.pace(request);
        let own_doing = settle_pace(&mut self.memory, request, pace, &outcomes, now.wall);
        for ((place, update), outcome) in request.parts().zip(&outcomes) {
            let situation = Situation { shared, own_doing, ..self.situation(place, now, spread) };
            self.settle_as(place, &update.wishes, outcome, &situation, now);
            if let Outcome::Deferred(Deferral { fault: Fault::Throttled, .. }) = outcome {
                let hold = self.known(place).and_then(|entry| entry.hold.as_ref());
                if let Some(until) = hold.and_then(|hold| hold.until) {
                    settle_zone(&mut self.memory, &request.zone, until, now.wall);
                }
            }
        }
    }

    /// The situation of an answer that comes now and is about one host alone.
    pub(super) fn situation(&self, place: usize, now: &Now, spread: f64) -> Situation {
        let fingerprint = self.cases[place].access.fingerprint;
        Situation { now: now.wall, spread, shared: false, fingerprint, own_doing: false }
    }

    /// Settles and reports an outcome that is about one host alone.
    pub(super) fn settle(
        &mut self,
        place: usize,
        wishes: &PerFamily<Wish>,
        outcome: &Outcome,
        now: &Now,
        spread: f64,
    ) {
        let situation = self.situation(place, now, spread);
        self.settle_as(place, wishes, outcome, &situation, now);
    }

    fn settle_as(
        &mut self,
        place: usize,
        wishes: &PerFamily<Wish>,
        outcome: &Outcome,
        situation: &Situation,
        now: &Now,
    ) {
        self.memory.reckoning = now.reckoning;
        let Case { subject, access, at, .. } = &self.cases[place];
        let manners = subject.provider.manners();
        if manners.tokens == Some(Issuer::Account) && outcome.shows_a_good_credential() {
            let token = self.memory.tokens.entry(access.identity).or_default();
            token.note_heard(situation.now);
        }
        let token = self.memory.tokens.get(&access.identity);
        let end = access.end(token.and_then(|token| token.check_of(access.about)));
        let entry = self.memory.entry_mut(&subject.host.key);
        entry.settle_in(&access.place);
        let before = entry.addresses();
        let (outcome, times) = rails::counted(outcome.clone(), entry.not_shown);
        entry.not_shown = times;
        let outcome = with_its_end(outcome, end, situation.now);
        let news = settle(&subject.host, entry, wishes, &outcome, situation);
        if manners.zone != ZoneNeed::Never
            && may_be_the_zone(&outcome)
            && matches!(news, News::Held(_) | News::StillHeld(_))
        {
            // Zones are split and joined: the next question finds the zone that holds the host then.
            (entry.zone, entry.zone_id) = (None, None);
        }
        let word = Word::of(&outcome);
        let is_success = matches!(outcome, Outcome::Updated | Outcome::Unchanged);
        let host_report = &mut self.report.hosts[*at];
        host_report.note_answer(wishes.clone(), outcome, news);
        let why = host_report.sent.unwrap_or(Why::Changed);
        for (family, record) in entry.families.iter().filter(|_| is_success) {
            let new = record.set.as_ref().map(|set| set.addresses.clone());
            let old = before[family].clone();
            if new != old && (new.is_some() || record.removed.is_some()) {
                let key = subject.host.key.clone();
                // The first room of a long list would be for many more.
                if self.changes.len() == self.changes.capacity() {
                    self.changes.reserve_exact(64);
                }
                self.changes.push(Change { at: situation.now, key, family, old, new, why });
            }
        }
        let answers = self.memory.answers.entry(word).or_default();
        *answers = answers.saturating_add(1);
    }
}

/// An outcome, with the end of the token where that explains the refusal of the credential.
fn with_its_end(mut outcome: Outcome, end: End, now: Timestamp) -> Outcome {
    if let (Outcome::Rejected(refusal), End::At(end)) = (&mut outcome, end)
        && refusal.rejection == Rejection::Credential
        && end <= now
    {
        let end = iso8601(end);
        refusal.detail = format!("the token expired at {end} (by its receipt); {}", refusal.detail);
    }
    outcome
}

/// Whether the cause of an outcome may be a zone that is not the host's, or no longer.
fn may_be_the_zone(outcome: &Outcome) -> bool {
    let refused =
        |refusal: &Refusal| matches!(refusal.rejection, Rejection::Forbidden | Rejection::Host);
    matches!(outcome, Outcome::Rejected(refusal) if refused(refusal))
}
