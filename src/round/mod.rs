//! The shell of a round: looks at this machine, carries the errands that the core decides on, and
//! saves what it remembers. Daemon and `--once` are two thin drivers over it.
//!
//! Decides nothing: `core::round` says what is asked, when, and what each answer changes.

mod carry;
mod credentials;
mod drafts;
mod hook;
mod observe;
mod places;
#[cfg_attr(not(feature = "tokens"), path = "../left_out/round_power.rs")]
mod power;
mod tokens;
mod verify;
mod waiting;
mod way;

use std::cell::RefCell;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};

pub use self::credentials::CredentialReader;
pub use self::observe::{look_of, subjects};
pub use self::places::take_places;
pub use self::waiting::{Begun, Waiting};

use crate::config::{Config, HostConfig};
use crate::core::address::renewal::Renewals;
use crate::core::address::standing::{self, Lessons};
use crate::core::memory::Memory;
use crate::core::order::SortedSet;
use crate::core::round::{
    Answer, Errand, Event, HostAccess, Look, Now, Occasion, Report, Round, Shell, Subject, Task,
};
use crate::core::veil::Veil;
use crate::net::http::Clients;
use crate::os::clock::{Clock, monotonic, sleep_until, spread, uptime};
use crate::os::supervisor::Pulse;
use crate::os::waiting::Waiting as Speaker;
use crate::source::sights::{self, Asked, Sights};
use crate::source::snapshot::Snapshot;
use crate::state::Store;

/// The longest delay of a save behind its answer while requests are under way: a crash in that time
/// costs one repeated update, but a save after each of a hundred answers would cost their speed.
const SAVE_LAG: Duration = Duration::from_millis(100);

/// An errand under way: its number and its answer.
type Carried = Pin<Box<dyn Future<Output = (u64, Answer)>>>;

/// The values that rounds need and keep for the next round.
#[derive(Debug)]
pub struct Engine {
    /// The configuration in force.
    pub config: Rc<Config>,
    /// The rounds' decisions, with the memory.
    pub round: Round,
    /// The store of the memory.
    pub store: Store,
    /// The clock.
    pub clock: Clock,
    /// Whether to say what a round is waiting for.
    pub waiting: Speaker,
    /// The steps of its rounds, which show a watchdog that they go on.
    pub pulse: Pulse,
    asked: Asked,
    /// What the sources that are being asked have answered so far.
    sights: Rc<RefCell<Sights>>,
    /// The clients of the last look.
    clients: Rc<Clients>,
    /// Whether these know every host's secret.
    knows_secrets: bool,
    /// The questions on which updates depend.
    requests: FuturesUnordered<Carried>,
    /// All other errands; they end with the program.
    others: FuturesUnordered<Carried>,
    /// Since when something was learnt that is not saved, by the steady clock.
    unsaved_since: Option<Duration>,
    /// How long that may wait: a state of ten thousand hosts takes its time.
    save_lag: Duration,
    /// What is to be told about hosts, and was not taken yet.
    events: Vec<Event>,
    /// How the last change was added to the history; `None` when that was taken, or nothing changed.
    recorded: Option<Result<(), String>>,
}

/// The sources' answers, and when each was asked.
pub type Looked = (Sights, Asked);

impl Engine {
    /// An engine for `config` whose rounds are `round`.
    pub fn new(config: Config, round: Round, store: Store, clock: Clock, waiting: Speaker) -> Self {
        let clients = Rc::new(Clients::new(clock.is_set()));
        Self {
            config: Rc::new(config),
            round,
            store,
            clock,
            waiting,
            pulse: Pulse::default(),
            asked: Asked::default(),
            sights: Rc::new(RefCell::new(Sights::of_nothing(SortedSet::new()))),
            clients,
            knows_secrets: false,
            requests: FuturesUnordered::new(),
            others: FuturesUnordered::new(),
            unsaved_since: None,
            save_lag: SAVE_LAG,
            events: Vec::new(),
            recorded: None,
        }
    }

    /// The memory of earlier rounds.
    pub fn memory(&self) -> &Memory {
        &self.round.memory
    }

    /// The report of the rounds.
    pub fn report(&self) -> &Report {
        &self.round.report
    }

    /// Observes and plans; sends nothing to a provider and saves nothing.
    pub async fn rehearse(&mut self, occasion: Occasion) -> Sights {
        let looked = self.begin_look(occasion).await;
        let (sights, look) = self.observed(looked, occasion);
        let requests = self.round.rehearse(look, &self.now());
        self.round.report.drafts = drafts::drafts(self, &requests);
        sights
    }

    /// Performs one round, until every errand of it is done.
    pub async fn perform(&mut self, occasion: Occasion) {
        let looked = self.begin_look(occasion).await;
        self.look(looked, occasion);
        self.finish().await;
    }

    /// Waits until nothing is under way, and saves.
    pub async fn finish(&mut self) {
        loop {
            let lag = self.save_by();
            tokio::select! {
                biased;
                was_heard = self.heard() => if !was_heard { break },
                () = sleep_until(lag.unwrap_or_default()), if lag.is_some() => self.save(),
            }
        }
        self.end();
    }

    /// Begins to ask the sources; what they answer is given to [`Self::look`].
    pub fn begin_look(&mut self, occasion: Occasion) -> impl Future<Output = Looked> + use<> {
        self.clients = Rc::new(Clients::new(self.clock.is_set()).counting(&self.pulse));
        self.knows_secrets = false;
        let now = self.now();
        self.round.set_clock(&now);
        let aside = standing::aside(&self.memory().services, now.wall);
        self.sights = Rc::new(RefCell::new(Sights::of_nothing(aside)));
        let (config, clients) = (Rc::clone(&self.config), Rc::clone(&self.clients));
        let (waiting, mut asked) = (self.waiting, std::mem::take(&mut self.asked));
        let (by_event, known) = (occasion.by_event, self.memory().renewals.clone());
        let sights = Rc::clone(&self.sights);
        async move {
            let asked_now = &mut asked;
            sights::look(&config, &clients, asked_now, &sights, by_event, &known, waiting).await;
            (sights.borrow().clone(), asked)
        }
    }

    /// Decides about what the sources have answered so far, with a new snapshot of the kernel: what is
    /// not answered yet is left to [`Self::look`].
    pub fn look_meanwhile(&mut self, occasion: Occasion) -> Sights {
        let mut sights = self.sights.borrow().clone();
        sights.renew(Snapshot::take(&self.config, &self.memory().renewals));
        let asked = std::mem::take(&mut self.asked);
        let (sights, mut look) = self.observed((sights, asked), occasion);
        // The services are judged once, when all have answered.
        look.lessons = Lessons::new();
        self.decide(look);
        sights
    }

    /// Decides about what the sources answered, and begins the errands that follow.
    pub fn look(&mut self, looked: Looked, occasion: Occasion) -> Sights {
        self.pulse.beat();
        let (sights, look) = self.observed(looked, occasion);
        self.decide(look);
        sights
    }

    /// Begins the errands that follow from a look.
    fn decide(&mut self, look: Look) {
        let now = self.now();
        let machine = &mut Machine { config: &self.config, store: &mut self.store };
        let errands = self.round.look(look, &now, spread(), machine);
        if !self.memory().services.is_empty() {
            self.round.keep_services(&sights::services(&self.config));
        }
        errands.into_iter().for_each(|errand| self.begin(errand));
    }

    /// Waits for the next answer and decides about it; false when nothing is under way. May be dropped
    /// and begun again.
    pub async fn heard(&mut self) -> bool {
        let next = tokio::select! {
            biased;
            Some(answer) = self.requests.next() => Some(answer),
            Some(answer) = self.others.next() => Some(answer),
            else => None,
        };
        let Some((id, answer)) = next else { return false };
        self.pulse.beat();
        let now = self.now();
        let machine = &mut Machine { config: &self.config, store: &mut self.store };
        let errands = self.round.heard(id, answer, &now, spread(), machine);
        errands.into_iter().for_each(|errand| self.begin(errand));
        if self.round.report.has_refusal {
            self.save();
        }
        // A refusal that is saved is still to be reported.
        self.unsaved_since.get_or_insert_with(monotonic);
        true
    }

    /// The moment by the steady clock at which what was learnt is to be saved, if anything was.
    pub fn save_by(&self) -> Option<Duration> {
        self.unsaved_since.map(|since| since + self.save_lag)
    }

    /// Whether nothing is under way.
    pub fn is_idle(&self) -> bool {
        self.requests.is_empty() && self.others.is_empty()
    }

    /// Lets nothing more leave, and gives up all errands but the requests under way.
    pub fn stop(&mut self) {
        self.round.stop();
        self.others.clear();
    }

    /// Determines the state of every host for the report, and saves what is remembered.
    pub fn end(&mut self) {
        let now = self.now();
        self.round.end(&now);
        let reports = &self.config.reports;
        if reports.tells_of_problems() {
            self.events.extend(self.round.note_events(reports.problem_after, &now));
        }
        self.save();
    }

    /// How changes were added to the history since this was last called, if there were any.
    pub fn take_recorded(&mut self) -> Option<Result<(), String>> {
        self.recorded.take()
    }

    /// What is to be told about hosts since this was last called.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.events)
    }

    /// Saves the memory if it changed; a failure is reported.
    pub fn save(&mut self) {
        self.unsaved_since = None;
        let begun = monotonic();
        // First, so that no change is missing after a loss of power: the state alone says what is set.
        let changes = self.round.take_changes();
        if !changes.is_empty() {
            let recorded = self.store.note_changes(&changes);
            self.recorded = Some(recorded.map_err(|error| error.to_string()));
        }
        if let Err(error) = self.store.save(&self.round.memory) {
            self.round.report.storage_problem = Some(error.to_string());
        }
        self.save_lag = SAVE_LAG.max(monotonic().saturating_sub(begun) * 10);
    }

    /// The present moment, by every clock.
    pub fn now(&self) -> Now {
        Now {
            wall: self.clock.now(),
            is_set: self.clock.is_set(),
            steady: monotonic(),
            uptime: uptime(),
            reckoning: self.clock.reckoning(self.memory().reckoning),
        }
    }

    /// The kernel's renewals that earlier looks found.
    pub fn renewals(&mut self) -> &mut Renewals {
        &mut self.round.memory.renewals
    }

    fn begin(&mut self, errand: Errand) {
        if !self.knows_secrets {
            // One server may know the secrets of several hosts.
            self.round.secrets().for_each(|secret| self.clients.conceal(secret));
            self.knows_secrets = true;
        }
        let Errand { id, task } = errand;
        let is_request = matches!(task, Task::Update { .. } | Task::Zone { .. });
        let carrying = way::Carrying {
            config: Rc::clone(&self.config),
            clients: Rc::clone(&self.clients),
            clock: self.clock.clone(),
            waiting: self.waiting,
        };
        let carried = Box::pin(async move { (id, carrying.carry(task).await) });
        if is_request {
            self.requests.push(carried);
        } else {
            self.others.push(carried);
        }
    }

    /// What the sources' answers say about each host, with its access.
    fn observed(&mut self, looked: Looked, occasion: Occasion) -> (Sights, Look) {
        let (mut sights, asked) = looked;
        self.asked = asked;
        let config = Rc::clone(&self.config);
        let hosts = accesses(&config, &self.store);
        if sights.has_complaints() {
            let mut veil = Veil::default();
            let known = hosts.iter().filter_map(|(_, access)| access.as_ref().ok());
            known.for_each(|access| veil.add(&access.credential.secret));
            sights.hide(&mut veil);
        }
        let now = self.now();
        let servers = credentials::servers(&config, &self.store, self.memory());
        self.round.begin(&hosts, servers, occasion, &now);
        let hash = |problem: &str| self.store.fingerprint(&[problem.as_bytes()]);
        let look = look_of(&config, &sights, &self.round, hosts, occasion, hash);
        (sights, look)
    }
}

/// What decisions need of this machine at once.
struct Machine<'a> {
    config: &'a Config,
    store: &'a mut Store,
}

impl Shell for Machine<'_> {
    fn save(&mut self, memory: &Memory) -> Result<(), String> {
        self.store.save(memory).map_err(|error| error.to_string())
    }

    fn access(&self, subject: &Subject) -> Option<Rc<HostAccess>> {
        let host = self.config.hosts.get(subject.at)?;
        CredentialReader::new(self.store).access(host, &subject.provider).ok()
    }
}

/// Every host of `config` with its access, or what is wrong with its secret.
fn accesses(config: &Config, store: &Store) -> Vec<(Subject, Result<Rc<HostAccess>, String>)> {
    let mut reader = CredentialReader::new(store);
    let hosts = subjects(config).into_iter().zip(&config.hosts);
    let access = |(subject, host): (Subject, &HostConfig)| {
        let access = reader.access(host, &subject.provider);
        (subject, access)
    };
    hosts.map(access).collect()
}
