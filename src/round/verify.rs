//! Verifying: asks the zone's own servers whether they hold what was set.
//!
//! Asks after an update until they do or the time is over, before a first update, and at the slow
//! poll for changes by others. The answers never change an exit code or a hold.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::pin::pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt};

use super::perform::turned;
use super::{Engine, Occasion, Round, has_something_to_say};
use crate::config::HostConfig;
use crate::core::address::interface::InterfaceName;
use crate::core::address::{Family, PerFamily};
use crate::core::memory::{Entry, Key, VerifyFinding};
use crate::core::name::Hostname;
use crate::core::order;
use crate::core::outcome::Outcome;
use crate::core::plan::{Stand, TakeOver, Use, Wish};
use crate::core::provider::Provider;
use crate::core::server::Server;
use crate::core::settle::settle;
use crate::core::veil::Much;
use crate::core::verify::{
    Drift, Due, Said, ServerAnswer, ServerState, VerifyVerdict, judge, next_time, note_look,
    note_update, question, said, standing,
};
use crate::provider::authorities::{self, Authority};
use crate::provider::name_server::NameServer;

/// The most questions under way.
const MOST_AT_ONCE: usize = 16;

/// The longest time of a look that a round waits for.
const LOOK: Duration = Duration::from_secs(3);

/// The most hosts that are looked at in one round; the others are looked at in the next poll.
const MOST_LOOKS: usize = 64;

/// When the servers of each host were last asked between updates, by a clock that cannot be set.
/// It is not in the state: a file is not written only because nothing has changed.
pub type Looks = BTreeMap<Key, Instant>;

/// A host and what its records should hold.
#[derive(Debug)]
pub struct VerifyCase {
    /// The index of the host in the configuration.
    at: usize,
    due: Due,
}

/// The result for one host.
#[derive(Debug)]
pub struct HostAnswers {
    case: VerifyCase,
    verdict: VerifyVerdict,
    /// The time until the last server that gave the right answer gave it.
    took: Duration,
}

/// Which servers are asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Whom {
    /// All of them.
    All,
    /// The first one.
    First,
    /// The one that takes the updates, where it is one of them; otherwise all.
    Own,
}

/// How servers are asked.
#[derive(Clone, Copy, Debug)]
struct AskOptions {
    whom: Whom,
    /// The longest time; `None` is as long as each host wants, again and again until they are right.
    limit: Option<Duration>,
}

impl Round<'_> {
    /// Asks about hosts without a memory before anything is sent: what the servers already hold
    /// is noted as set.
    pub async fn first_look(&mut self) {
        let config = Rc::clone(&self.engine.config);
        let is_blank = |entry: &Entry| {
            entry.families.iter().all(|(_, record)| {
                record.set.is_none() && record.sent.is_none() && record.removed.is_none()
            })
        };
        let cases = self.planned.iter().enumerate().filter_map(|(place, plan)| {
            let is_wanted = has_something_to_say(&plan.step)
                && self.host(place).verify.is_some()
                && self.known(place).is_none_or(is_blank);
            let due = Due { now: plan.step.wishes.clone(), before: PerFamily::default() };
            is_wanted.then_some(VerifyCase { at: plan.at, due })
        });
        let (cases, options) = (cases.collect(), AskOptions { whom: Whom::Own, limit: Some(LOOK) });
        for HostAnswers { case: VerifyCase { at, due }, verdict, .. } in
            hear(self.engine, cases, options, self.stop).await
        {
            let Some(place) = self.planned.iter().position(|plan| plan.at == at) else { continue };
            if !matches!(verdict, VerifyVerdict::Right { .. }) {
                continue;
            }
            self.planned[place].step.wishes = PerFamily::default();
            let situation = self.situation(place);
            let host = &config.hosts[at].host;
            let entry = self.entry_mut(place);
            // This is not the provider's answer: the credential has not been tried.
            let outcome = Outcome::Unchanged;
            let news = settle(host, entry, &due.now, &outcome, &situation);
            note_update(entry, verdict, Duration::ZERO, true, situation.now);
            let verified = entry.verified.clone();
            let host_report = self.host_report(place);
            host_report.note_answer(due.now, outcome, news);
            host_report.verified = verified;
        }
    }

    /// Looks at slow polls whether others have changed what is set; returns whether anything is
    /// to be put right now, in which case the plan contains only that.
    pub async fn look(&mut self, occasion: Occasion) -> bool {
        // Without a clock it is not known when something was put right.
        if occasion.by_event || self.stop.get() || !self.engine.clock.is_set() {
            return false;
        }
        let (mut suspects, right) = self.due_looks();
        let options = |whom| AskOptions { whom, limit: Some(LOOK) };
        let heard = hear(self.engine, right, options(Whom::First), self.stop).await;
        for HostAnswers { case, verdict, .. } in heard {
            match verdict {
                VerifyVerdict::Right { .. } => self.note_looked(case.at, verdict),
                // The answer of one server alone is not enough.
                VerifyVerdict::Differs { .. } | VerifyVerdict::Unclear(_) => suspects.push(case),
            }
        }
        let heard = hear(self.engine, suspects, options(Whom::All), self.stop).await;
        for HostAnswers { case, verdict, .. } in heard {
            self.note_looked(case.at, verdict);
        }
        let mut any = false;
        for place in 0..self.planned.len() {
            if matches!(self.host_report(place).drift, Some(Drift::PutRight(_))) {
                any |= self.decide(place, None, PerFamily::default());
            } else {
                self.planned[place].step.wishes = PerFamily::default();
            }
        }
        any
    }

    /// The hosts whose turn it is: those with a wrong record or never asked about, and those that
    /// were right.
    fn due_looks(&mut self) -> (Vec<VerifyCase>, Vec<VerifyCase>) {
        // The poll may come a little early, because it goes by another clock.
        const SLACK: Duration = Duration::from_secs(1);
        let Engine { config, memory, looks, .. } = &mut *self.engine;
        let now = Instant::now();
        let interval = config.daemon.interval.saturating_sub(SLACK);
        let mut turns = Vec::new();
        for (at, (host, host_report)) in config.hosts.iter().zip(&self.report.hosts).enumerate() {
            let Some(step) = host_report.step.as_ref().filter(|_| host.verify.is_some()) else {
                continue;
            };
            let rests = step.stands.iter().all(|(_, stand)| {
                matches!(stand, Stand::Absent(_) | Stand::NotAsked | Stand::Off | Stand::Right)
            });
            let last = looks.get(&host.host.key).copied();
            let is_due = last.is_none_or(|last| now.saturating_duration_since(last) >= interval);
            let is_right = step.stands.iter().any(|(_, stand)| *stand == Stand::Right);
            if is_right && rests && is_due && step.hold.is_none() && host_report.answers.is_empty()
            {
                turns.push((last, at));
            }
        }
        order::sort(&mut turns);
        let (mut doubtful, mut right) = (Vec::new(), Vec::new());
        for (_, at) in turns.into_iter().take(MOST_LOOKS) {
            let key = &config.hosts[at].host.key;
            looks.insert(key.clone(), now);
            let Some(entry) = memory.entry(key) else { continue };
            let stands = self.report.hosts[at].step.as_ref().map(|step| &step.stands);
            let is_right = |family| stands.is_some_and(|stands| stands[family] == Stand::Right);
            let before =
                entry.addresses().map(|family, set| set.clone().filter(|_| is_right(family)));
            let now = before.map(|_, set| set.clone().map_or(Wish::Leave, Wish::Set));
            let case = VerifyCase { at, due: Due { now, before } };
            match entry.verified.as_ref().map(|verified| &verified.finding) {
                Some(VerifyFinding::Right { .. }) => right.push(case),
                Some(VerifyFinding::Wrong(_)) | None => doubtful.push(case),
            }
        }
        (doubtful, right)
    }

    /// Remembers and reports the result of a look at a host of the configuration, if it is new.
    fn note_looked(&mut self, at: usize, verdict: VerifyVerdict) {
        let verdict = without_secrets(self.engine, verdict);
        let now = self.engine.clock.now();
        let host = &self.engine.config.hosts[at].host;
        let entry = self.engine.memory.entry_mut(&host.key);
        let may_change = host.take_over != TakeOver::Nothing;
        self.report.host_mut(at).drift = note_look(entry, verdict, may_change, now);
    }

    /// The hosts whose records were set or confirmed in this round.
    pub fn updated(&self) -> Vec<VerifyCase> {
        let hosts = self.engine.config.hosts.iter().zip(&self.report.hosts).enumerate();
        let wanted = hosts.filter(|(_, (host, report))| {
            host.verify.is_some() && report.has_succeeded() && report.verified.is_none()
        });
        let cases = wanted.filter_map(|(at, (host, host_report))| {
            let entry = self.engine.memory.entry(&host.host.key)?;
            let now = PerFamily::from_fn(|family| held(host, entry, family));
            Some(VerifyCase { at, due: Due { now, before: host_report.before.clone() } })
        });
        cases.collect()
    }

    /// Remembers and reports the answers after an update.
    pub fn note_updates(&mut self, heard: Vec<HostAnswers>) {
        let now = self.engine.clock.now();
        for HostAnswers { case: VerifyCase { at, .. }, verdict, took } in heard {
            let verdict = without_secrets(self.engine, verdict);
            let entry = self.engine.memory.entry_mut(&self.engine.config.hosts[at].host.key);
            let host_report = self.report.host_mut(at);
            let changed = host_report.changed(Some(entry));
            // The state counts whole milliseconds, and zero means that no time was measured.
            let took = took.max(Duration::from_millis(1));
            note_update(entry, verdict, took, changed, now);
            host_report.verified.clone_from(&entry.verified);
        }
    }
}

/// `verdict` without secrets: a zone can name its servers as it likes.
fn without_secrets(engine: &Engine, mut verdict: VerifyVerdict) -> VerifyVerdict {
    let words = match &mut verdict {
        VerifyVerdict::Differs { words, .. }
        | VerifyVerdict::Right { others: words, .. }
        | VerifyVerdict::Unclear(words) => words,
    };
    if !words.is_empty()
        && let Some(cleaned) = engine.veil().clean(words, Much::Whole)
    {
        *words = cleaned;
    }
    verdict
}

/// What the record of a family should hold, according to the memory.
fn held(host: &HostConfig, entry: &Entry, family: Family) -> Wish {
    let record = &entry.families[family];
    match (&record.set, record.removed, &record.sent) {
        _ if host.host.families[family] == Use::Off => Wish::Leave,
        (_, _, Some(_)) | (None, None, None) => Wish::Leave,
        (Some(set), _, None) => Wish::Set(set.addresses.clone()),
        (None, Some(_), None) => Wish::Remove,
    }
}

/// Asks about each of `cases` until all servers are right or its time is over.
pub async fn verify(
    engine: &Engine,
    cases: Vec<VerifyCase>,
    stop: &Cell<bool>,
) -> Vec<HostAnswers> {
    hear(engine, cases, AskOptions { whom: Whom::All, limit: None }, stop).await
}

/// The servers' answers about each of `cases`; empty when `stop` turns true meanwhile.
async fn hear(
    engine: &Engine,
    cases: Vec<VerifyCase>,
    manner: AskOptions,
    stop: &Cell<bool>,
) -> Vec<HostAnswers> {
    if cases.is_empty() || stop.get() {
        return Vec::new();
    }
    let hearing = pin!(hear_all(engine, cases, manner));
    let heard = engine.waiting.during("waiting for the zone's own servers", hearing);
    tokio::select! {
        biased;
        heard = heard => heard,
        () = turned(stop) => Vec::new(),
    }
}

async fn hear_all(engine: &Engine, cases: Vec<VerifyCase>, manner: AskOptions) -> Vec<HostAnswers> {
    let begun = Instant::now();
    let patience = |case: &VerifyCase| {
        let verify = engine.config.hosts[case.at].verify.as_ref();
        manner.limit.or(verify.map(|verify| verify.timeout)).unwrap_or(LOOK)
    };
    let longest = cases.iter().map(patience).max().unwrap_or_default();
    let mut finder = Finder::default();
    let mut hearings = Vec::with_capacity(cases.len());
    for case in cases {
        // The remaining time is shared by all of them.
        let left = longest.saturating_sub(begun.elapsed());
        let found = tokio::time::timeout(left, finder.find(engine, case.at, manner.whom)).await;
        let late = || (Vec::new(), Some("they were not found in time".to_owned()));
        let (servers, trouble) = found.unwrap_or_else(|_| late());
        let patience = patience(&case);
        hearings.push(Hearing::new(case, patience, servers, trouble, &finder.authorities));
    }
    let authorities = &finder.authorities;
    // The questions to come: the moment, the index of the hearing, the index of its server. The
    // first servers of all hosts come first: a silent one must not take the others' time.
    let mut waiting: Vec<(Duration, usize, usize)> = Vec::new();
    for (place, hearing) in hearings.iter().enumerate() {
        waiting.extend((0..hearing.servers.len()).map(|server| (Duration::ZERO, place, server)));
    }
    order::sort_by_key(&mut waiting, |(_, _, server)| *server);
    let mut silent: BTreeMap<(usize, Option<InterfaceName>), String> = BTreeMap::new();
    let mut under_way = FuturesUnordered::new();
    let end = tokio::time::sleep_until((begun + longest).into());
    let mut end = pin!(end);
    loop {
        let now = begun.elapsed();
        while under_way.len() < MOST_AT_ONCE {
            let Some(next) = waiting.iter().position(|(moment, ..)| *moment <= now) else { break };
            let (_, place, server) = waiting.remove(next);
            let hearing = &mut hearings[place];
            let host = &engine.config.hosts[hearing.case.at].host;
            let at = (hearing.servers[server], host.bind);
            if let Some(why) = silent.get(&at) {
                hearing.told[server].said = unclear(why);
                continue;
            }
            let wishes = hearing.case.due.now.clone();
            let (authority, name) = (&authorities[at.0], &host.key.host);
            under_way.push(async move {
                (place, server, at, ask(authority, name, &wishes, at.1).await)
            });
        }
        if waiting.is_empty() && under_way.is_empty() {
            break;
        }
        let next = waiting.iter().map(|(moment, ..)| *moment).min();
        let next = next.filter(|_| under_way.len() < MOST_AT_ONCE);
        let pause = tokio::time::sleep_until((begun + next.unwrap_or(longest)).into());
        tokio::select! {
            biased;
            () = &mut end => break,
            Some((place, server, at, said)) = under_way.next() => {
                let hearing = &mut hearings[place];
                hearing.told[server].said = said.unwrap_or_else(|why| {
                    let said = unclear(&why);
                    silent.insert(at, why);
                    said
                });
                let asked = begun.elapsed();
                match standing(&hearing.case.due, &hearing.told[server]) {
                    ServerState::Right => hearing.took = asked,
                    // A server that did not answer was already asked several times.
                    ServerState::Unclear => {}
                    ServerState::Behind | ServerState::Foreign => {
                        let again = next_time(asked);
                        if manner.limit.is_none() && again < hearing.patience {
                            waiting.push((again, place, server));
                        }
                    }
                }
            }
            () = pause, if next.is_some() => {}
        }
    }
    drop(under_way);
    let heard = hearings.into_iter().map(|Hearing { case, told, took, .. }| {
        let verdict = judge(&case.due, &told);
        HostAnswers { case, verdict, took }
    });
    heard.collect()
}

/// The answers about one host, as they come in.
struct Hearing {
    case: VerifyCase,
    /// The longest time for its servers.
    patience: Duration,
    /// The indexes of its servers among the authorities.
    servers: Vec<usize>,
    /// The last answer of each of them, and then why there are no others.
    told: Vec<ServerAnswer>,
    took: Duration,
}

impl Hearing {
    fn new(
        case: VerifyCase,
        patience: Duration,
        servers: Vec<usize>,
        trouble: Option<String>,
        authorities: &[Authority],
    ) -> Self {
        let asked = servers.iter().map(|&server| {
            let server = authorities[server].title.clone();
            ServerAnswer { server, said: unclear("did not answer in time") }
        });
        let nobody = trouble.map(|why| {
            let server = "the zone".to_owned();
            ServerAnswer { server, said: unclear(&format!("names no server: {why}")) }
        });
        let told = asked.chain(nobody).collect();
        Self { case, patience, servers, told, took: Duration::ZERO }
    }
}

/// An unclear answer about both families, for this reason.
fn unclear(why: &str) -> PerFamily<Said> {
    PerFamily::from_fn(|_| Said::Unclear(why.to_owned()))
}

/// The answer of one server about the families that matter; the error is why there is none.
async fn ask(
    authority: &Authority,
    host: &Hostname,
    wishes: &PerFamily<Wish>,
    bind: Option<InterfaceName>,
) -> Result<PerFamily<Said>, String> {
    let mut all = PerFamily::from_fn(|_| Said::NotAsked);
    for (family, wish) in wishes.iter() {
        let Some(expected) = wish.content() else { continue };
        let question = question(host, family);
        let heard = said(&authority.ask(&question, bind).await?, &question);
        // Anyone who saw the datagram may have forged its answer: an answer that speaks against
        // the record is asked for again over TCP.
        all[family] = match heard {
            Said::Holds(held) if held.as_ref() != expected => {
                let again = authority.ask_by_tcp(&question, bind).await;
                again.map_or(Said::Holds(held), |message| said(&message, &question))
            }
            heard => heard,
        };
    }
    Ok(all)
}

/// Finds the servers of hosts, each once.
#[derive(Default)]
struct Finder {
    authorities: Vec<Authority>,
    known: Vec<Server>,
    /// The servers of zones, according to the provider with that name or to the system's resolvers.
    zones: BTreeMap<(Option<String>, Hostname), Result<Vec<Server>, String>>,
    /// Why the system's resolvers do not answer about zones.
    deaf: Option<String>,
}

impl Finder {
    /// The indexes of a host's servers among the authorities, and why there are no others.
    async fn find(
        &mut self,
        engine: &Engine,
        at: usize,
        whom: Whom,
    ) -> (Vec<usize>, Option<String>) {
        let host = &engine.config.hosts[at];
        let provider = &engine.config.providers[host.provider];
        let own = provider.name_server.as_ref();
        let mut servers: Vec<Server> = own.cloned().into_iter().collect();
        let given = host.verify.iter().flat_map(|verify| verify.servers.iter().cloned());
        servers.extend(given);
        let is_given = servers.len() > usize::from(own.is_some());
        let is_enough = match whom {
            Whom::All => is_given,
            Whom::First => !servers.is_empty(),
            Whom::Own => is_given || own.is_some(),
        };
        let mut trouble = None;
        if !is_enough {
            match self.of_zone(engine, host, provider).await {
                Ok(found) => servers.extend(found),
                Err(why) => trouble = Some(why),
            }
        }
        let most = match whom {
            Whom::All => usize::MAX,
            Whom::First => 1,
            Whom::Own if own.is_some() => 1,
            Whom::Own => usize::MAX,
        };
        let mut places: Vec<usize> = Vec::new();
        for server in servers.into_iter().take(most) {
            let place = self.locate(server).await;
            let authorities = &self.authorities;
            let is_same =
                |other: &usize| *other == place || authorities[*other].is(&authorities[place]);
            if !places.iter().any(is_same) {
                places.push(place);
            }
        }
        (places, trouble)
    }

    /// The servers of the host's zone; the provider's name server, if there is one, knows them itself.
    async fn of_zone(
        &mut self,
        engine: &Engine,
        host: &HostConfig,
        provider: &Provider,
    ) -> Result<Vec<Server>, String> {
        let entry = engine.memory.entry(&host.host.key);
        let known = host.host.zone.as_ref().or(entry.and_then(|entry| entry.zone.as_ref()));
        let own = provider.name_server.as_ref();
        let own = own.map(|server| NameServer { server, bind: host.host.bind });
        if let (None, Some(why)) = (&own, &self.deaf) {
            return Err(why.clone());
        }
        let zone = match known {
            Some(zone) => zone.clone(),
            None => match authorities::zone(&host.host.key.host).await {
                Ok(zone) => zone,
                Err(why) => return Err(self.deaf.insert(why).clone()),
            },
        };
        let key = (own.map(|_| provider.name.to_string()), zone);
        if let Some(servers) = self.zones.get(&key) {
            return servers.clone();
        }
        let servers = authorities::of_zone(&key.1, own).await;
        self.zones.insert(key, servers.clone());
        servers
    }

    async fn locate(&mut self, server: Server) -> usize {
        if let Some(place) = self.known.iter().position(|known| *known == server) {
            return place;
        }
        self.authorities.push(Authority::find(&server).await);
        self.known.push(server);
        self.known.len() - 1
    }
}
