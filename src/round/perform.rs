//! Performing: requests leave, at most eight at a time and within each server's own rule, and what
//! their answers mean is settled and saved.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use futures_util::stream::{FuturesUnordered, StreamExt};

use super::credentials::{Access, Reader};
use super::{Answered, Engine, Planned, Report, SAVE_LAG, has_something_to_say};
use crate::clock::spread;
use crate::config::Config;
use crate::core::address::{Addresses, PerFamily};
use crate::core::memory::Entry;
use crate::core::outcome::{Fault, Outcome, Refusal};
use crate::core::plan::{Candidate, Request, Schedule, Update, Wish};
use crate::core::protocol::{Credential, Verdict, desec, dyndns2};
use crate::core::provider::{Protocol, Provider};
use crate::core::secret::Fingerprint;
use crate::core::settle::{Situation, sending, settle, settle_zone};
use crate::hook;
use crate::http::Clients;

/// The most requests under way to one provider, and so the most connections.
const MOST_AT_ONCE: usize = 8;

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
            let credential = plan.access.identity;
            Candidate { host: &host.host, provider, credential, step: &plan.step }
        })
        .collect();
    let mut schedule = crate::core::plan::schedule(&candidates, &engine.memory, engine.clock.now());
    // From places among the speakers to places among the planned.
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
    let now = engine.clock.now();
    for (place, until) in &schedule.later {
        let at = planned[*place].at;
        let key = &engine.config.hosts[at].host.key;
        let since = &mut engine.memory.entry_mut(key).queued_since;
        let host = report.host_mut(at);
        host.queued_until = Some(*until);
        host.newly_queued = since.replace(since.unwrap_or(now)).is_none();
    }
    if schedule.now.is_empty() || stop.get() {
        return;
    }
    let paces = engine.memory.paces.clone();
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
                settle_one(engine, &planned[*place], &update.wishes, &outcome, false, report);
            }
        }
        return;
    }
    let changes = deliver_all(engine, clients, planned, report, schedule.now, stop).await;
    run_hooks(engine, report, changes).await;
}

/// Notes in the memory that `request` leaves now.
fn note_sending(engine: &mut Engine, planned: &[Planned], request: &Request) {
    let now = engine.clock.now();
    for (place, update) in request.hosts.iter().zip(&request.updates) {
        let host = &engine.config.hosts[planned[*place].at];
        sending(engine.memory.entry_mut(&host.host.key), &update.wishes, now);
    }
    let host = &engine.config.hosts[planned[request.hosts[0]].at];
    if let Some(pace) = engine.config.providers[host.provider].pace {
        engine.memory.paces.entry(request.zone.clone()).or_default().note(pace, now);
    }
}

/// The place where requests to one provider queue up.
#[derive(Default)]
struct Lane {
    started: usize,
    under_way: usize,
    last: Option<Instant>,
}

impl Lane {
    /// Whether one more request may start, of `most` at once.
    ///
    /// The second lot waits for the last answer to the first: while connections are still being
    /// made, the client would open further ones for it.
    fn has_room(&self, most: usize) -> bool {
        let answered = self.started - self.under_way;
        self.under_way < most && (self.started < most || answered >= most)
    }
}

/// Sends `requests` and settles their answers; returns the hosts whose addresses changed.
async fn deliver_all(
    engine: &mut Engine,
    clients: &Clients,
    planned: &mut [Planned],
    report: &mut Report,
    requests: Vec<Request>,
    stop: &Cell<bool>,
) -> BTreeSet<usize> {
    let config = Rc::clone(&engine.config);
    let mut waiting: VecDeque<Request> = requests.into();
    let mut under_way = FuturesUnordered::new();
    let mut lanes: BTreeMap<usize, Lane> = BTreeMap::new();
    let mut refused: BTreeMap<(usize, Fingerprint), Refusal> = BTreeMap::new();
    let mut renewed: BTreeSet<Fingerprint> = BTreeSet::new();
    let mut changed = BTreeSet::new();
    let mut saved = Instant::now();
    loop {
        while let Some(request) = next_request(&config, planned, &mut waiting, &lanes) {
            let plan = &planned[request.hosts[0]];
            let provider = config.hosts[plan.at].provider;
            let identity = plan.access.identity;
            if stop.get() {
                take_back(engine, planned, &request);
                continue;
            }
            // One refusal of a credential speaks for every request that would carry it.
            if let Some(refusal) = refused.get(&(provider, identity)) {
                let verdict = Verdict::All(Outcome::Rejected(refusal.clone()));
                answered(engine, planned, report, &request, verdict, &mut changed);
                continue;
            }
            let lane = lanes.entry(provider).or_default();
            lane.started += 1;
            lane.under_way += 1;
            let gap = lane.last.map(|last| last + desec::LEAST_GAP);
            let gap = gap.filter(|_| config.providers[provider].protocol == Protocol::Desec);
            // The moment at which this one really leaves.
            lane.last = Some(gap.unwrap_or_else(Instant::now).max(Instant::now()));
            let delivery = Delivery {
                provider: &config.providers[provider],
                path: config.hosts[plan.at].path.as_deref(),
                credential: plan.access.credential.clone(),
                not_before: gap,
            };
            let what = format!("waiting for {} to answer", config.providers[provider].name);
            let speaker = engine.waiting;
            under_way.push(async move {
                let verdict = speaker.during(&what, deliver(clients, &delivery, &request.updates));
                let verdict = verdict.await;
                (provider, request, verdict)
            });
        }
        let Some((provider, request, verdict)) = under_way.next().await else { break };
        if let Some(lane) = lanes.get_mut(&provider) {
            lane.under_way -= 1;
        }
        let identity = planned[request.hosts[0]].access.identity;
        match credential_refusal(&verdict) {
            Some(_) if renew(engine, planned, &request, &mut renewed) => {
                waiting.push_front(request);
                continue;
            }
            Some(refusal) => {
                refused.insert((provider, identity), refusal);
            }
            None => {}
        }
        if let Verdict::NoLists(_) = verdict {
            engine.memory.without_lists.insert(config.providers[provider].name.to_string());
            for single in singles(request) {
                waiting.push_back(single);
            }
            continue;
        }
        answered(engine, planned, report, &request, verdict, &mut changed);
        if saved.elapsed() >= SAVE_LAG {
            engine.save(report);
            saved = Instant::now();
        }
    }
    changed
}

/// Takes the first request whose provider has room for one more.
fn next_request(
    config: &Config,
    planned: &[Planned],
    waiting: &mut VecDeque<Request>,
    lanes: &BTreeMap<usize, Lane>,
) -> Option<Request> {
    let has_room = |request: &Request| {
        let provider = config.hosts[planned[request.hosts[0]].at].provider;
        let most = match config.providers[provider].protocol {
            Protocol::Desec | Protocol::HostsFile => 1,
            Protocol::Dyndns2 => MOST_AT_ONCE,
        };
        lanes.get(&provider).is_none_or(|lane| lane.has_room(most))
    };
    let place = waiting.iter().position(has_room)?;
    waiting.remove(place)
}

/// What carrying one request needs.
struct Delivery<'a> {
    provider: &'a Provider,
    path: Option<&'a Path>,
    credential: Credential,
    not_before: Option<Instant>,
}

/// Carries one request and reads its answer.
async fn deliver(clients: &Clients, delivery: &Delivery<'_>, updates: &[Update]) -> Verdict {
    if let Some(moment) = delivery.not_before {
        tokio::time::sleep_until(moment.into()).await;
    }
    let provider = delivery.provider;
    let request = match provider.protocol {
        Protocol::HostsFile => {
            let path = delivery.path.unwrap_or_else(|| Path::new(""));
            return crate::hosts_file::update(path, updates);
        }
        Protocol::Desec => {
            let url = provider.update_url.as_deref().unwrap_or_default();
            desec::request(url, updates, &delivery.credential)
        }
        Protocol::Dyndns2 => dyndns2::request(provider, updates, &delivery.credential),
    };
    let ca_file = provider.ca_file.as_deref().map(Path::new);
    match clients.send(&request, ca_file).await {
        Err(error) => Verdict::All(Outcome::deferred(error.fault, error.detail)),
        Ok(answer) => match provider.protocol {
            Protocol::Desec => desec::verdict(&answer),
            Protocol::Dyndns2 | Protocol::HostsFile => dyndns2::verdict(&answer, updates.len()),
        },
    }
}

/// The refusal of the credential itself, if that is what an answer says.
fn credential_refusal(verdict: &Verdict) -> Option<Refusal> {
    let of = |outcome: &Outcome| match outcome {
        Outcome::Rejected(refusal) if refusal.rejection.is_the_credentials() => {
            Some(refusal.clone())
        }
        _ => None,
    };
    match verdict {
        Verdict::All(outcome) => of(outcome),
        Verdict::Each(_) | Verdict::NoLists(_) => None,
    }
}

/// Reads the secret of a refused request again; true when it is another one now, so that the
/// request can be repeated at once.
fn renew(
    engine: &Engine,
    planned: &mut [Planned],
    request: &Request,
    renewed: &mut BTreeSet<Fingerprint>,
) -> bool {
    let old = planned[request.hosts[0]].access.identity;
    if !renewed.insert(old) {
        return false;
    }
    let mut reader = Reader::new(&engine.store);
    let fresh: Vec<Option<Access>> = request
        .hosts
        .iter()
        .map(|&place| {
            let host = &engine.config.hosts[planned[place].at];
            reader.access(host, &engine.config.providers[host.provider]).ok()
        })
        .collect();
    let is_new = |access: &Option<Access>| access.as_ref().is_some_and(|a| a.identity != old);
    if !fresh.iter().all(is_new) {
        return false;
    }
    for (place, access) in request.hosts.iter().zip(fresh) {
        if let Some(access) = access {
            planned[*place].access = access;
        }
    }
    true
}

/// The same question, asked for each host alone.
fn singles(request: Request) -> impl Iterator<Item = Request> {
    let zone = request.zone;
    request.hosts.into_iter().zip(request.updates).map(move |(place, update)| Request {
        hosts: vec![place],
        updates: vec![update],
        zone: zone.clone(),
    })
}

/// Forgets that `request` was about to leave.
fn take_back(engine: &mut Engine, planned: &[Planned], request: &Request) {
    for (place, update) in request.hosts.iter().zip(&request.updates) {
        let key = &engine.config.hosts[planned[*place].at].host.key;
        crate::core::settle::not_sent(engine.memory.entry_mut(key), &update.wishes);
    }
}

/// Settles an answer for every host of its request.
fn answered(
    engine: &mut Engine,
    planned: &[Planned],
    report: &mut Report,
    request: &Request,
    verdict: Verdict,
    changed: &mut BTreeSet<usize>,
) {
    let (outcomes, shared) = match verdict {
        Verdict::All(outcome) => {
            settle_zone(&mut engine.memory, &request.zone, &outcome, engine.clock.now());
            (vec![outcome; request.hosts.len()], request.hosts.len() > 1)
        }
        Verdict::Each(outcomes) => (outcomes, false),
        Verdict::NoLists(said) => {
            let outcome = Outcome::deferred(Fault::Unintelligible, said);
            (vec![outcome; request.hosts.len()], false)
        }
    };
    for ((place, update), outcome) in request.hosts.iter().zip(&request.updates).zip(&outcomes) {
        settle_one(engine, &planned[*place], &update.wishes, outcome, shared, report);
        let at = planned[*place].at;
        if report.hosts[at].changed() {
            changed.insert(at);
        }
    }
}

/// Settles one outcome of one host, and reports it.
pub fn settle_one(
    engine: &mut Engine,
    plan: &Planned,
    wishes: &PerFamily<Wish>,
    outcome: &Outcome,
    shared: bool,
    report: &mut Report,
) {
    let host = &engine.config.hosts[plan.at].host;
    let situation = Situation {
        now: engine.clock.now(),
        spread: spread(),
        shared,
        fingerprint: plan.access.fingerprint,
    };
    let entry = engine.memory.entry_mut(&host.key);
    let news = settle(host, entry, wishes, outcome, &situation);
    let host_report = report.host_mut(plan.at);
    host_report.attempted(wishes);
    let (wishes, outcome) = (wishes.clone(), outcome.clone());
    host_report.answers.push(Answered { wishes, outcome, news });
}

/// Tells the hooks of hosts whose addresses changed, all at once.
async fn run_hooks(engine: &Engine, report: &mut Report, changed: BTreeSet<usize>) {
    let hosts = changed.into_iter().map(|at| (&engine.config.hosts[at], &report.hosts[at].before));
    let mut hooks: FuturesUnordered<_> = hosts
        .filter(|(host, _)| !host.on_change.is_empty())
        .map(|(host, before)| {
            let now = engine.memory.entry(&host.host.key).map(set_addresses).unwrap_or_default();
            let change = hook::Change { key: host.host.key.clone(), now, before: before.clone() };
            async move {
                let what = format!("waiting for {}", host.on_change[0]);
                let run = hook::run(&host.on_change, &change);
                (host.host.key.clone(), engine.waiting.during(&what, run).await)
            }
        })
        .collect();
    let mut problems = Vec::new();
    while let Some((key, result)) = hooks.next().await {
        problems.extend(result.err().map(|problem| (key, problem)));
    }
    drop(hooks);
    report.hook_problems = problems;
}

/// The addresses that are set now.
fn set_addresses(entry: &Entry) -> PerFamily<Option<Addresses>> {
    entry.families.map(|_, record| record.set.as_ref().map(|set| set.addresses.clone()))
}
