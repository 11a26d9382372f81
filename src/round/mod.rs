//! The round: observe, plan, update, settle, save. Daemon and `--once` are two thin drivers over it.
//!
//! Carries out what the core decides and returns a report of values; drivers print or log it. It
//! owns the memory between rounds and saves it before a request leaves and after its answer.

mod absences;
mod credentials;
mod drafts;
mod hook;
mod perform;
mod places;
mod report;
mod self_check;
mod speaker;
mod traffic;
mod upkeep;
mod verify;
mod zones;

use std::borrow::Cow;
use std::cell::Cell;
use std::collections::{BTreeMap, btree_map};
use std::fmt;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

pub use self::absences::Absences;
pub use self::credentials::{CredentialReader, HostAccess};
pub use self::places::take_places;
pub use self::report::{Answered, HostReport, Matter, Report, TokenNews};
pub use self::self_check::SelfChecks;

use self::traffic::Traffic;
use crate::config::{Config, HostConfig};
use crate::core::address::standing;
use crate::core::address::{Family, PerFamily};
use crate::core::backoff::after_absence;
use crate::core::memory::{Entry, Hold, HoldKind, Key, Memory, Record, Sent, Set, Word};
use crate::core::outcome::{Outcome, Refusal};
use crate::core::plan::{Circumstances, Seen, Stand, Step, WhenGone, Wish, step};
use crate::core::protocol::hosts_file;
use crate::core::provider::Provider;
use crate::core::settle::{note_away, note_gone, note_left_out, note_missing, turn};
use crate::core::time::Timestamp;
use crate::core::token::upkeep::refusal;
use crate::core::veil::Veil;
use crate::net::http::Clients;
use crate::os::clock::{Clock, spread, uptime};
use crate::os::supervisor::Pulse;
use crate::os::waiting::Waiting;
use crate::source::sights::{self, Asked, Sights};
use crate::source::snapshot::Wanted;
use crate::state::Store;

/// The values that rounds need and keep for the next round.
#[derive(Debug)]
pub struct Engine {
    /// The configuration in force.
    pub config: Rc<Config>,
    /// The memory of earlier rounds.
    pub memory: Memory,
    /// The store of the memory.
    pub store: Store,
    /// The clock.
    pub clock: Clock,
    /// Whether to say what a round is waiting for.
    pub waiting: Waiting,
    /// The steps of its rounds, which show a watchdog that they go on.
    pub pulse: Pulse,
    /// Its checks of new tokens, if it makes any.
    pub self_checks: Option<SelfChecks>,
    /// The absences that it has seen, if it runs long enough to see any.
    pub absences: Option<Absences>,
    asked: Asked,
    traffic: Traffic,
    looks: verify::Looks,
    /// The moments at which hosts that came back after a long absence are updated.
    turns: BTreeMap<Key, Timestamp>,
}

/// What began a round, and what the user wants from it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a wish of its own")]
pub struct Occasion {
    /// Only events of the kernel began it: sources outside are not asked.
    pub by_event: bool,
    /// The network changed, or the clock was set.
    pub network_changed: bool,
    /// Unchanged addresses are sent too.
    pub refresh: bool,
    /// Parks and backoff end.
    pub retry_rejected: bool,
    /// The configuration was read again: parks and backoff end once the last answer is a minute old.
    pub reloaded: bool,
    /// No person waits for it: hosts that come back after a long absence draw their turn.
    pub by_itself: bool,
}

/// Writes whether an event began the round, and the wishes: `by_event: false, refresh: true`.
impl fmt::Display for Occasion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "by_event: {}", self.by_event)?;
        let wishes = [
            (self.network_changed, "network_changed"),
            (self.refresh, "refresh"),
            (self.retry_rejected, "retry_rejected"),
            (self.reloaded, "reloaded"),
            (self.by_itself, "by_itself"),
        ];
        let mut wishes = wishes.into_iter().filter(|(is_so, _)| *is_so);
        wishes.try_for_each(|(_, wish)| write!(f, ", {wish}: true"))
    }
}

/// A host with everything that its part of a round needs.
#[derive(Debug)]
struct Planned {
    /// The index of the host in the configuration.
    at: usize,
    access: HostAccess,
    step: Step,
    /// Whether its update was counted in this round; it counts once for all its requests.
    counted: bool,
}

impl Planned {
    /// The host and its provider in `config`.
    fn configured<'a>(&self, config: &'a Config) -> (&'a HostConfig, &'a Provider) {
        let host = &config.hosts[self.at];
        (host, &config.providers[host.provider])
    }
}

/// A round from its plan to its end.
struct Round<'a> {
    engine: &'a mut Engine,
    clients: &'a Clients,
    planned: Vec<Planned>,
    report: Report,
    /// When it turns true, no further request leaves.
    stop: &'a Cell<bool>,
}

impl Engine {
    /// An engine for `config` that remembers `memory`.
    pub fn new(
        config: Config,
        memory: Memory,
        store: Store,
        clock: Clock,
        waiting: Waiting,
    ) -> Self {
        Self {
            config: Rc::new(config),
            memory,
            store,
            clock,
            waiting,
            pulse: Pulse::default(),
            self_checks: None,
            absences: None,
            asked: Asked::default(),
            traffic: Traffic::default(),
            looks: verify::Looks::default(),
            turns: BTreeMap::new(),
        }
    }

    /// Observes and plans; sends nothing to a provider and saves nothing.
    pub async fn rehearse(&mut self, occasion: Occasion) -> (Report, Sights) {
        let clients = Clients::new(self.clock.is_set());
        let sights = self.look(&clients, occasion).await;
        let (planned, mut report) = self.plan(&sights, occasion);
        let schedule = perform::schedule(self, &planned);
        report.expect(&planned, &schedule);
        report.drafts = drafts::drafts(self, &planned, &schedule);
        report.finish(&self.config, &self.memory, self.clock.now(), true);
        (report, sights)
    }

    /// Performs one round. When `stop` turns true, no further request leaves.
    pub async fn round(&mut self, occasion: Occasion, stop: &Cell<bool>) -> (Report, Sights) {
        let clients = Clients::new(self.clock.is_set()).counting(&self.pulse);
        self.traffic.begin_round();
        let refresh = occasion.refresh.then(|| self.clock.now());
        if self.clock.is_set() {
            self.memory.leave_reckoning(self.clock.now(), uptime());
            self.memory.clamp(self.clock.now());
        }
        let sights = self.look(&clients, occasion).await;
        self.pulse.beat();
        if occasion.reloaded {
            let now = self.clock.now();
            self.memory.hosts.values_mut().for_each(|entry| entry.end_waits_soon(now));
        }
        let looked = Instant::now();
        self.learn_of_services(&sights);
        if let Ok(snapshot) = sights.snapshot() {
            self.memory.renewals.clone_from(&snapshot.renewals);
        }
        let (planned, report) = self.plan(&sights, occasion);
        self.note_absences(&report, looked);
        let mut round = Round { engine: self, clients: &clients, planned, report, stop };
        round.draw_turns(occasion);
        round.note(occasion);
        round.note_refusals();
        round.find_zones().await;
        // Boxed, as below: most rounds ask no server of a zone.
        Box::pin(round.first_look()).await;
        round.perform().await;
        for _ in 0..NARROWINGS {
            if stop.get() || !round.narrow(refresh) {
                break;
            }
            round.perform().await;
        }
        if Box::pin(round.look(occasion)).await {
            round.find_zones().await;
            round.perform().await;
        }
        round.save();
        round.engine.pulse.beat();
        let updated = round.updated();
        let verifying = Box::pin(verify::verify(round.engine, updated, stop));
        let hooks = perform::run_hooks(round.engine, &mut round.report, stop);
        let (heard, ()) = tokio::join!(verifying, hooks);
        round.engine.pulse.beat();
        // Nothing else was learnt since the last save; what the disk refused then may work now.
        if !heard.is_empty() || round.report.storage_problem.is_some() {
            round.note_updates(heard);
            round.save();
        }
        // Boxed: its requests are large and rare, and would make the future of every round large.
        Box::pin(round.look_after()).await;
        let Round { mut report, .. } = round;
        report.finish(&self.config, &self.memory, self.clock.now(), false);
        (report, sights)
    }

    async fn look(&mut self, clients: &Clients, occasion: Occasion) -> Sights {
        let aside = standing::aside(&self.memory.services, self.clock.now());
        let (waiting, asked) = (self.waiting, &mut self.asked);
        let (by_event, known) = (occasion.by_event, &self.memory.renewals);
        let looking = sights::look(&self.config, clients, asked, aside, by_event, known, waiting);
        let mut sights = looking.await;
        if sights.has_complaints() {
            sights.hide(&mut self.veil());
        }
        sights
    }

    /// The secrets of all hosts, to be hidden in messages.
    fn veil(&self) -> Veil {
        let mut veil = Veil::default();
        let mut reader = CredentialReader::new(&self.store);
        for host in &self.config.hosts {
            if let Ok(access) = reader.access(host, &self.config.providers[host.provider]) {
                veil.add(&access.credential.secret);
            }
        }
        veil
    }

    /// Remembers which services outside failed or lied, and forgets those that no host needs.
    fn learn_of_services(&mut self, sights: &Sights) {
        let services = &mut self.memory.services;
        // Before the clock is set, certificates fail although the services are right.
        if self.clock.is_set() {
            standing::settle(services, &sights.lessons(&self.config), self.clock.now());
        }
        if !services.is_empty() {
            let needed = sights::services(&self.config);
            services.retain(|service, _| needed.contains(service));
        }
    }

    /// Decides about every host whose secret can be read; the others are reported. Before that,
    /// forgets what is remembered of other places than the hosts'.
    fn plan(&mut self, sights: &Sights, occasion: Occasion) -> (Vec<Planned>, Report) {
        let now = self.clock.now();
        let accesses = take_places(&self.config, &self.store, &mut self.memory, now);
        let circumstances = Circumstances {
            now,
            network_changed: occasion.network_changed,
            refresh: occasion.refresh.then_some(now),
            retry_rejected: occasion.retry_rejected,
            watched: PerFamily::default(),
        };
        let mut planned = Vec::with_capacity(self.config.hosts.len());
        let mut report = Report::default();
        for ((at, host), access) in self.config.hosts.iter().enumerate().zip(accesses) {
            let provider = &self.config.providers[host.provider];
            let known = self.memory.entry(&host.host.key);
            let mut entry = known.map_or_else(Cow::default, Cow::Borrowed);
            let mut trouble = None;
            if provider.manners().is_local() {
                let families = &mut entry.to_mut().families;
                trouble = entry_from_file(host.path.as_ref(), host, families).err();
            }
            let wanted = |family| {
                let set_now = entry.families[family].set.as_ref().map(|set| &set.addresses);
                Wanted { config: &self.config, host, family, set_now }
            };
            let seen = PerFamily::from_fn(|family| sights.seen(wanted(family)));
            let detours = seen.iter();
            let detours = detours.filter_map(|(family, seen)| sights.detour(wanted(family), seen));
            report.detours.extend(detours);
            let mut host_report = HostReport::new(host, &entry, &seen);
            host_report.trouble = trouble;
            match access {
                Err(problem) => host_report.secret_problem = Some(problem),
                Ok(access) => {
                    let fingerprint = access.fingerprint;
                    let watched = self.watched(&host.host.key);
                    let circumstances = Circumstances { watched, ..circumstances };
                    let mut step =
                        step(&host.host, &seen, fingerprint, Some(&entry), &circumstances);
                    if step.hold.is_none()
                        && let Some(hold) = self.refused(host, &access, &entry)
                    {
                        step.refuse(hold);
                    }
                    host_report.no_terms = access.terms.as_ref().err().cloned();
                    let proof = access.terms.as_ref().ok().map(|terms| &terms.proof);
                    host_report.unfit = proof.filter(|proof| proof.is_against_it()).cloned();
                    host_report.step = Some(step.clone());
                    planned.push(Planned { at, access, step, counted: false });
                }
            }
            report.hosts.push(host_report);
        }
        (planned, report)
    }

    /// The hold of a strict host whose token must not be used; the remembered hold, if it has the
    /// same reason.
    fn refused(&self, host: &HostConfig, access: &HostAccess, entry: &Entry) -> Option<Hold> {
        if !host.strict_token {
            return None;
        }
        let token = self.memory.tokens.get(&access.identity);
        let check = token.and_then(|token| token.check_of(access.about));
        let Refusal { rejection, detail } = refusal(&access.terms, check)?;
        let (kind, fingerprint) = (HoldKind::Rejected(rejection), access.fingerprint);
        let is_the_same = |hold: &&Hold| {
            hold.kind == kind && hold.detail == detail && hold.fingerprint == fingerprint
        };
        let standing = entry.hold.as_ref().filter(is_the_same).cloned();
        let (since, until) = (self.clock.now(), None);
        Some(standing.unwrap_or(Hold { kind, detail, since, begun: since, until, fingerprint }))
    }

    /// How long each family of `key` has been gone while watched. A run that looks only once has
    /// watched nothing itself, so the machine's uptime counts.
    fn watched(&self, key: &Key) -> PerFamily<Duration> {
        match &self.absences {
            // The moments in the state cannot be trusted.
            _ if !self.clock.is_set() => PerFamily::default(),
            Some(absences) => absences.watched(key, Instant::now()),
            None => PerFamily::from_fn(|_| uptime()),
        }
    }

    /// Counts the absences of hosts whose records are removed with their addresses.
    fn note_absences(&mut self, report: &Report, looked: Instant) {
        let Some(absences) = &mut self.absences else { return };
        let hosts = self.config.hosts.iter().zip(&report.hosts);
        let matter = hosts.filter(|(host, _)| host.host.when_gone != WhenGone::Keep);
        absences.note(matter.map(|(host, report)| (&host.host.key, &report.seen)), looked);
    }

    /// Remembers how moments are reckoned while the clock is not set.
    fn note_reckoning(&mut self) {
        self.memory.reckoning = self.clock.reckoning(self.memory.reckoning);
    }

    /// Saves what an aborted round has learnt; a failure is ignored, because no report follows.
    pub fn keep(&mut self) {
        let _ = self.store.save(&self.memory);
    }
}

impl Round<'_> {
    /// Remembers and reports the strict hosts whose token must not be used, where that is new.
    fn note_refusals(&mut self) {
        for place in 0..self.planned.len() {
            let Some(hold @ Hold { kind: HoldKind::Rejected(rejection), .. }) =
                &self.planned[place].step.hold
            else {
                continue;
            };
            let known = || self.known(place).and_then(|entry| entry.hold.as_ref());
            if rejection.is_our_own() && known() != Some(hold) {
                let outcome = Outcome::rejected(*rejection, hold.detail.clone());
                self.settle(place, &PerFamily::default(), &outcome);
            }
        }
    }

    /// Decides again about the hosts whose refusal may be caused by another host or by one
    /// family; returns whether there are any. Nothing else is asked twice in a round.
    fn narrow(&mut self, refresh: Option<Timestamp>) -> bool {
        let mut any = false;
        for place in 0..self.planned.len() {
            let host_report = self.host_report(place);
            if host_report.is_unsettled() {
                host_report.ask_again = false;
                let watched = self.engine.watched(&self.host(place).host.key);
                any |= self.decide(place, refresh, watched);
            } else {
                self.planned[place].step.wishes = PerFamily::default();
            }
        }
        any
    }

    /// Decides again about one host from what was seen; returns whether there is something to send.
    fn decide(
        &mut self,
        place: usize,
        refresh: Option<Timestamp>,
        watched: PerFamily<Duration>,
    ) -> bool {
        let now = self.engine.clock.now();
        let circumstances = Circumstances { now, refresh, watched, ..Circumstances::default() };
        let plan = &mut self.planned[place];
        let host = &self.engine.config.hosts[plan.at].host;
        let entry = self.engine.memory.entry(&host.key);
        let host_report = self.report.host_mut(plan.at);
        plan.step = step(host, &host_report.seen, plan.access.fingerprint, entry, &circumstances);
        host_report.step = Some(plan.step.clone());
        has_something_to_say(&plan.step)
    }

    /// Lets hosts that come back after a long absence wait for a random moment, one for all of
    /// them: the connections of a whole region may come back at once.
    fn draw_turns(&mut self, occasion: Occasion) {
        if !occasion.by_itself {
            return self.engine.turns.clear();
        }
        let now = self.engine.clock.now();
        self.engine.turns.retain(|_, turn| *turn > now);
        let mut chance = None;
        for place in 0..self.planned.len() {
            let plan = &mut self.planned[place];
            if !has_something_to_say(&plan.step) {
                continue;
            }
            let key = &self.engine.config.hosts[plan.at].host.key;
            let Some(entry) = self.engine.memory.hosts.get_mut(key) else { continue };
            let turns = &mut self.engine.turns;
            if !turns.contains_key(key) {
                let chance = *chance.get_or_insert_with(spread);
                let turn = turn(entry, &plan.step.stands, occasion.network_changed, now, chance);
                turns.extend(turn.map(|turn| (key.clone(), turn)));
            }
            if let Some(turn) = turns.get_mut(key) {
                // A clock that is set back does not make the wait longer.
                *turn = now.after(after_absence(1.0)).min(*turn);
                let turn = *turn;
                plan.step.wishes = PerFamily::default();
                self.queue(place, turn);
            }
        }
    }

    /// Remembers the results of the decisions themselves: families that have gone, and waits that
    /// have no purpose any more because nothing is left to be sent.
    fn note(&mut self, occasion: Occasion) {
        self.note_left_out();
        let Engine { config, memory, clock, .. } = &mut *self.engine;
        let now = clock.now();
        let paces = config.providers.iter().filter_map(|provider| provider.pace);
        let longest = paces.map(|pace| pace.kept().window).max().unwrap_or_default();
        memory.forget_old_paces(longest, now);
        for plan in &self.planned {
            let (host, provider) = plan.configured(config);
            let (key, stands) = (&host.host.key, &plan.step.stands);
            let host_report = self.report.host_mut(plan.at);
            if provider.manners().is_local() {
                learn(memory.hosts.entry(key.clone()), stands, &host_report.seen, now);
            }
            let missing = stands.iter().any(|(_, stand)| matches!(stand, Stand::Missing(_)));
            // No entry is made only to note that nothing is missing.
            if missing || memory.hosts.contains_key(key) {
                let entry = memory.entry_mut(key);
                let was_missing = entry.families.map(|_, record| record.missing_since.is_some());
                host_report.newly_missing = note_missing(entry, stands, now);
                host_report.seen_again = entry.families.map(|family, record| {
                    let is_seen = matches!(host_report.seen[family], Seen::Here(_));
                    is_seen && was_missing[family] && record.missing_since.is_none()
                });
                note_gone(&host.host, entry, stands, &host_report.seen, now);
                // A clock that is not set cannot measure an absence.
                if clock.is_set() {
                    note_away(entry, &host_report.seen, now);
                }
            }
            let Some(entry) = memory.hosts.get_mut(key) else { continue };
            if occasion.retry_rejected {
                entry.end_waits();
            }
            let nothing_left = stands
                .iter()
                .all(|(_, stand)| matches!(stand, Stand::Right | Stand::Off | Stand::Absent(_)));
            if nothing_left {
                entry.queued_since = None;
                if plan.step.hold.is_none() {
                    entry.hold = None;
                    entry.failures = 0;
                }
            }
        }
    }

    /// Remembers the problems of hosts' secrets, and reports them where they are new.
    fn note_left_out(&mut self) {
        let Engine { config, memory, store, .. } = &mut *self.engine;
        for (host, host_report) in config.hosts.iter().zip(&mut self.report.hosts) {
            let problem = host_report.secret_problem.as_ref();
            let problem = problem.map(|problem| store.fingerprint(&[problem.as_bytes()]));
            let key = &host.host.key;
            // No entry is made only to note that there is no problem.
            if problem.is_some() || memory.hosts.contains_key(key) {
                host_report.newly_left_out = note_left_out(memory.entry_mut(key), problem);
            }
        }
    }

    /// The configuration of a planned host.
    fn host(&self, place: usize) -> &HostConfig {
        &self.engine.config.hosts[self.planned[place].at]
    }

    /// The provider of a planned host.
    fn provider(&self, place: usize) -> &Provider {
        self.planned[place].configured(&self.engine.config).1
    }

    /// The entry of a planned host, if there is one.
    fn known(&self, place: usize) -> Option<&Entry> {
        self.engine.memory.entry(&self.host(place).host.key)
    }

    /// The entry of a planned host, valid for the place where its records are now; made if there
    /// was none.
    fn entry_mut(&mut self, place: usize) -> &mut Entry {
        let plan = &self.planned[place];
        let key = &self.engine.config.hosts[plan.at].host.key;
        let entry = self.engine.memory.entry_mut(key);
        entry.settle_in(&plan.access.place);
        entry
    }

    /// The report of a planned host.
    fn host_report(&mut self, place: usize) -> &mut HostReport {
        self.report.host_mut(self.planned[place].at)
    }

    /// Saves the memory if it changed; a failure is reported once a round.
    fn save(&mut self) -> bool {
        match self.engine.store.save(&self.engine.memory) {
            Ok(()) => true,
            Err(error) => {
                self.report.storage_problem = Some(error.to_string());
                false
            }
        }
    }
}

/// Remembers what the hosts file itself shows to be right: a state that was lost, or whose last
/// answer was never saved, would otherwise show for ever an update that is never sent.
fn learn(
    entry: btree_map::Entry<'_, Key, Box<Entry>>,
    stands: &PerFamily<Stand>,
    seen: &PerFamily<Seen>,
    now: Timestamp,
) {
    let right = |family: Family| match (&stands[family], &seen[family]) {
        (Stand::Right, Seen::Here(addresses)) => Some(addresses),
        _ => None,
    };
    let entry = match entry {
        btree_map::Entry::Occupied(entry) => entry.into_mut(),
        _ if Family::BOTH.into_iter().all(|family| right(family).is_none()) => return,
        btree_map::Entry::Vacant(entry) => entry.insert(Box::default()),
    };
    for family in Family::BOTH {
        if let (Stand::Absent(_), Some(at)) = (&stands[family], removal(&entry.families[family])) {
            entry.families[family] = Record { removed: Some(at), ..Record::default() };
        }
        let Some(addresses) = right(family) else { continue };
        let record = &mut entry.families[family];
        record.sent = None;
        if record.set.as_ref().is_none_or(|set| set.addresses != *addresses) {
            record.set = Some(Set { addresses: addresses.clone(), since: now, confirmed: now });
            entry.last = Some((Word::Unchanged, now));
        }
    }
}

/// Takes what is set from the hosts file, so that a line that a person removed is written again.
fn entry_from_file(
    path: Option<&PathBuf>,
    host: &HostConfig,
    families: &mut PerFamily<Record>,
) -> Result<(), String> {
    let Some(path) = path else { return Ok(()) };
    let text = crate::provider::hosts_file::read_hosts_file(path)?;
    let in_file = hosts_file::set(&text, &host.host.key.host);
    for family in Family::BOTH {
        let record = &mut families[family];
        // A write that was under way when the machine stopped is either in the file or not.
        let removed = removal(record).or(record.removed);
        record.sent = None;
        record.removed = removed.filter(|_| in_file[family].is_none());
        let remembered = record.set.take();
        record.set = in_file[family].clone().map(|addresses| {
            let known = remembered.filter(|set| set.addresses == addresses);
            let (since, confirmed) =
                known.map(|set| (set.since, set.confirmed)).unwrap_or_default();
            Set { addresses, since, confirmed }
        });
    }
    match hosts_file::foreign(&text, &host.host.key.host)[..] {
        [] => Ok(()),
        [line, ..] => Err(format!(
            "{}:{line} names the host as well, without Homing's mark; remove that line",
            path.display()
        )),
    }
}

/// When the record's removal was sent, if it was the last update sent.
fn removal(record: &Record) -> Option<Timestamp> {
    match record.sent {
        Some(Sent { addresses: None, at, .. }) => Some(at),
        _ => None,
    }
}

/// Whether a step has anything to send.
fn has_something_to_say(step: &Step) -> bool {
    step.wishes.iter().any(|(_, wish)| *wish != Wish::Leave)
}

/// The most times that a question can become narrower: the host alone, then each family.
const NARROWINGS: usize = 3;

/// The longest delay of a save behind its answer while requests are under way: a crash in that time
/// costs one repeated update, but a save after each of a hundred answers would cost their speed.
const SAVE_LAG: Duration = Duration::from_millis(100);
