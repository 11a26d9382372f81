//! The daemon: rounds begun by the kernel's events, by time and by signals, until a signal ends it.
//!
//! Requests go on beside events: a provider that is silent delays no other host's new address.
//! `select!` only makes one event, and plain functions decide what to do. No failure of a provider, of
//! the network or of the clock ends the daemon.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tracing::{debug, error, info, warn};

use super::secret_watch::SecretWatch;
use super::signals::{SignalRequest, Signals, within_last_words};
use super::{Setup, engine, err, news, summary};
use crate::config::{self, Config};
use crate::confine::Confinement;
use crate::core::address::PerFamily;
use crate::core::address::auto::Route;
use crate::core::backoff::Backoff;
use crate::core::exit::Exit;
use crate::core::round::Occasion;
use crate::os::clock::{Alarm, ClockJump, monotonic, spread, uptime};
use crate::os::kernel::{Changes, Watcher};
use crate::os::supervisor::{Notice, Supervisor};
use crate::round::{Engine, Looked};
use crate::source::sights::{LONGEST_VERDICT, OUTSIDE_REST, Sights};
use crate::source::snapshot::{self, Snapshot, SourceFacts};
use crate::state::{DAEMON, StateAccess, exposure};

/// The longest time for which events may delay a round.
const LONGEST_SETTLE: Duration = Duration::from_secs(1);

/// The shortest time between two rounds that no person asked for.
const LEAST_GAP: Duration = Duration::from_secs(1);

/// How long after a look what it found is reported at the latest, although requests are under way.
const FIRST_REPORT: Duration = Duration::from_secs(1);

/// The occasion of a round that no person asked for.
const BY_ITSELF: Occasion = Occasion {
    by_event: false,
    network_changed: false,
    refresh: false,
    retry_rejected: false,
    reloaded: false,
    by_itself: true,
};

/// Something that happened while the daemon waited.
enum Event {
    ClockJumped,
    /// The watchdog is to be fed.
    Feeding,
    /// An errand of a round was done.
    Heard,
    Kernel(Changes),
    /// The sources have answered.
    Looked(Box<Looked>),
    /// What is new is to be saved and reported.
    Reporting,
    /// Something happened to a secret file or a receipt.
    Secrets,
    Signal(SignalRequest),
    Time,
}

/// Events for which no round has begun yet.
#[derive(Clone, Copy, Debug)]
struct Pending {
    first: Instant,
    /// The moment to check whether a round is due.
    look_at: Instant,
    /// Whether the last check found a wanted address that is still tentative.
    awaits_verdict: bool,
}

impl Pending {
    /// Delays the check by `settle` after an event, up to the longest allowed delay.
    fn put_off(&mut self, settle: Duration, now: Instant) {
        let longest = if self.awaits_verdict { LONGEST_VERDICT } else { LONGEST_SETTLE };
        self.look_at = (now + settle).min(self.first + longest).max(now);
    }
}

/// Keeps the hosts right until a signal says otherwise.
pub async fn run(setup: Setup) -> Exit {
    let common = setup.common.clone();
    let state_dir = setup.state_dir.clone();
    let mut engine = match engine(setup, StateAccess::Locked { who: DAEMON }, true) {
        Ok(engine) => engine,
        Err(exit) => return exit,
    };
    let (Ok(signals), Ok(alarm)) = (Signals::listen(), Alarm::new()) else {
        err("the kernel gives neither timers nor signals; is the limit of open files too low?");
        return Exit::Deferred;
    };
    engine.round.check_tokens();
    let jump = ClockJump::watch();
    let supervisor = Supervisor::of_environment(|name| std::env::var_os(name));
    let watches = Watches::begin(&engine.config);
    let confinement = begin(&engine.config, &state_dir);
    let status = summary::Status::default();
    supervisor.tell(Notice::Ready(&status.line()));
    let ears = Ears { signals, alarm, jump, watches };
    let (news, config, silences) = (news::News::default(), common.config, 0);
    let waiting = Waiting::new();
    let is_in_round = false;
    let daemon = Daemon {
        engine,
        config,
        confinement,
        supervisor,
        status,
        told: String::new(),
        news,
        silences,
        ears,
        waiting,
        is_in_round,
    };
    Box::pin(daemon.serve()).await
}

/// The sources that are being asked.
type Looking = Pin<Box<dyn Future<Output = Looked>>>;

/// The daemon between two events.
struct Daemon {
    engine: Engine,
    /// The file of the configuration.
    config: PathBuf,
    confinement: Confinement,
    supervisor: Supervisor,
    status: summary::Status,
    /// The line that the supervisor was told last.
    told: String,
    news: news::News,
    /// The number of looks in a row in which a source returned no address.
    silences: u32,
    ears: Ears,
    waiting: Waiting,
    /// Whether the requests after the last look are not all answered.
    is_in_round: bool,
}

/// What tells of events.
struct Ears {
    signals: Signals,
    alarm: Alarm,
    jump: ClockJump,
    watches: Watches,
}

impl Daemon {
    /// Looks and waits, until a signal ends that.
    async fn serve(mut self) -> Exit {
        let mut occasion = Occasion::default();
        loop {
            let begun = uptime();
            // A route that appears during the look is news to a request that failed without it.
            let routes = snapshot::routes().ok();
            debug!(%occasion, "a round begins");
            let mut looking: Looking = Box::pin(self.engine.begin_look(occasion));
            let looked = loop {
                match self.event(Some(&mut looking)).await {
                    Event::Looked(looked) => break looked,
                    Event::Signal(_) => return self.stop().await,
                    event => {
                        if let Some(exit) = self.note(&event, true) {
                            return exit;
                        }
                    }
                }
            };
            if self.has_news()
                && let Some(exit) = self.report()
            {
                return exit;
            }
            self.end_round();
            let sights = self.engine.look(*looked, occasion);
            self.is_in_round = true;
            self.begin_to_wait(&sights, occasion, routes, begun);
            drop(sights);
            if self.engine.is_idle()
                && let Some(exit) = self.report()
            {
                return exit;
            }
            occasion = loop {
                match self.wait().await {
                    Next::Look(occasion) => break occasion,
                    Next::Exit(exit) => return exit,
                    Next::Stop => return self.stop().await,
                    Next::Nothing => {}
                }
            };
            // The round sees a changed network, whatever began it; for later rounds that is no news.
            let sees_news = self.waiting.sees_news(&self.engine);
            occasion.network_changed = occasion.network_changed || sees_news;
        }
    }

    /// Notes what a look has shown: until it differs, no new one is needed before its time.
    fn begin_to_wait(
        &mut self,
        sights: &Sights,
        occasion: Occasion,
        routes: Option<PerFamily<Option<Route>>>,
        begun: Duration,
    ) {
        let Self { engine, waiting, .. } = self;
        let facts =
            sights.snapshot().ok().map(|snapshot| SourceFacts::of(&engine.config, snapshot));
        let spared = occasion.by_event && engine.report().spared_a_source();
        if sights.is_silent(&engine.config) {
            self.silences = self.silences.saturating_add(1);
        } else if !spared {
            self.silences = 0;
        }
        let report_by = (!engine.is_idle()).then(|| Instant::now() + FIRST_REPORT);
        *waiting = Waiting { facts, routes, begun, spared, report_by, ..Waiting::new() };
        self.set_deadline();
        self.ears.watches.follow(&self.engine.config);
    }

    /// Sets the moment of the next look by what is known now.
    fn set_deadline(&mut self) {
        let Self { engine, waiting, .. } = self;
        let due = engine.report().next.map(|next| next.since(engine.clock.now()));
        let interval = engine.config.daemon.interval;
        let wait = rest(due, self.silences, waiting.spared).min(interval);
        waiting.deadline = waiting.begun.saturating_add(interval).min(uptime() + wait);
    }

    /// Waits for one event and decides what follows from it.
    async fn wait(&mut self) -> Next {
        let settle = self.engine.config.daemon.settle;
        match self.event(None).await {
            Event::Signal(SignalRequest::Stop) => return Next::Stop,
            Event::Signal(SignalRequest::Round) => return Next::Look(Occasion::default()),
            Event::Signal(SignalRequest::Reload) => {
                self.supervisor.tell(Notice::Reloading(monotonic()));
                let Self { engine, config, confinement, .. } = self;
                self.status.outdated = !reload(engine, config, confinement);
                self.supervisor.tell(Notice::Ready(&self.status.line()));
                if !self.status.outdated {
                    return Next::Look(Occasion { reloaded: true, ..Occasion::default() });
                }
            }
            Event::ClockJumped => {
                debug!("the clock was set");
                return Next::Look(Occasion { network_changed: true, ..BY_ITSELF });
            }
            Event::Kernel(changes) => {
                debug!(%changes, "the kernel told of a change");
                self.waiting.note_event(settle);
            }
            Event::Secrets => self.waiting.note_secrets(settle),
            Event::Time => {
                if let Some(occasion) = self.waiting.times_up(&mut self.engine) {
                    return Next::Look(occasion);
                }
            }
            event => return self.note(&event, false).map_or(Next::Nothing, Next::Exit),
        }
        Next::Nothing
    }

    /// Notes an event that begins no look, or that happens during one.
    fn note(&mut self, event: &Event, is_looking: bool) -> Option<Exit> {
        match event {
            Event::Feeding => {
                let is_under_way = is_looking || !self.engine.is_idle();
                self.supervisor.feed_unless_hung(&self.engine.pulse, is_under_way);
            }
            Event::Heard if self.engine.is_idle() => return self.report(),
            Event::Reporting => return self.report(),
            _ => {}
        }
        None
    }

    /// Saves and reports what is new.
    fn report(&mut self) -> Option<Exit> {
        let Self { engine, confinement, news, .. } = self;
        engine.end();
        let report = engine.report();
        news.log(report);
        let needs_restart = report.exit() != Exit::Right && confinement.explain(&engine.config);
        if needs_restart && report.storage_problem.is_some() && self.supervisor.is_there() {
            return Some(end_for_restart(&self.supervisor));
        }
        self.status.note(report, engine.clock.now());
        let line = self.status.line();
        if line != self.told {
            self.supervisor.tell(Notice::Status(&line));
            self.told = line;
        }
        self.waiting.awaits_network = report.awaits_network();
        self.waiting.report_by = None;
        self.set_deadline();
        if self.engine.is_idle() {
            self.end_round();
        }
        self.engine.round.begin_news();
        self.engine.round.let_go();
        None
    }

    /// Whether something is not reported yet.
    fn has_news(&self) -> bool {
        self.engine.save_by().is_some() || self.waiting.report_by.is_some()
    }

    /// Notes that the round is over: all is answered, or a new look takes over what is not.
    fn end_round(&mut self) {
        if std::mem::take(&mut self.is_in_round) {
            debug!("the round is over");
        }
    }

    /// Ends the daemon: requests under way have a few seconds left.
    async fn stop(mut self) -> Exit {
        self.supervisor.tell(Notice::Stopping);
        let was_idle = self.engine.is_idle();
        self.engine.stop();
        if within_last_words(&mut self.engine).await && !was_idle {
            self.news.log(self.engine.report());
        }
        info!("stopped");
        Exit::Right
    }

    /// Waits for the next event; while sources are being asked, most others wait.
    async fn event(&mut self, looking: Option<&mut Looking>) -> Event {
        let feeding = self.supervisor.feeding();
        if feeding <= uptime() {
            return Event::Feeding;
        }
        let Self { engine, ears, waiting, .. } = self;
        let is_idle = engine.is_idle();
        let report_by = engine.save_by().into_iter().chain(waiting.report_by).min();
        let reporting = async {
            match report_by {
                Some(moment) => tokio::time::sleep_until(moment.into()).await,
                None => std::future::pending().await,
            }
        };
        if let Some(looking) = looking {
            return tokio::select! {
                biased;
                () = ears.signals.stopped() => Event::Signal(SignalRequest::Stop),
                _ = engine.heard(), if !is_idle => Event::Heard,
                looked = looking => Event::Looked(Box::new(looked)),
                () = reporting => Event::Reporting,
                () = ears.alarm.until(feeding) => Event::Feeding,
            };
        }
        let deadline = waiting.next_check();
        // A flood of events must not hide the alarm.
        if deadline <= uptime() {
            return tokio::select! {
                biased;
                told = ears.signals.next() => Event::Signal(told),
                () = ears.jump.jumped() => Event::ClockJumped,
                // The runtime first polls for other events: after a suspend the clock has jumped, too.
                () = tokio::task::yield_now() => Event::Time,
            };
        }
        tokio::select! {
            biased;
            told = ears.signals.next() => Event::Signal(told),
            event = ears.watches.changed() => event,
            () = ears.jump.jumped() => Event::ClockJumped,
            _ = engine.heard(), if !is_idle => Event::Heard,
            () = reporting => Event::Reporting,
            () = ears.alarm.until(deadline.min(feeding)) => {
                if deadline < feeding { Event::Time } else { Event::Feeding }
            }
        }
    }
}

/// What follows from an event.
enum Next {
    /// A look, for that reason.
    Look(Occasion),
    Exit(Exit),
    Stop,
    Nothing,
}

/// The longest wait before the next round: until a decision is `due`, or shorter after `silences` or
/// with a source `spared`.
fn rest(due: Option<Duration>, silences: u32, spared: bool) -> Duration {
    let due = due.map(|due| due.max(LEAST_GAP));
    // At boot, names often do not resolve yet, and no event reports when they do.
    let again = (silences > 0).then(|| Backoff::ORDINARY.delay(silences, Duration::ZERO, spread()));
    let waits = [due, again, spared.then_some(OUTSIDE_REST)].into_iter().flatten();
    waits.min().unwrap_or(Duration::MAX)
}

/// Logs the start and the warnings; from then on Homing is confined.
fn begin(config: &Config, state_dir: &Path) -> Confinement {
    info!(
        version = env!("CARGO_PKG_VERSION"),
        hosts = config.hosts.len(),
        state = %state_dir.display(),
        "started"
    );
    let exposure = exposure(state_dir);
    config.warnings.iter().chain(&exposure).for_each(|warning| warn!("{warning}"));
    super::show::side_effects(config).iter().for_each(|effect| warn!("{effect}"));
    let confinement = Confinement::begin(config, state_dir);
    confinement.announce(true);
    confinement
}

/// Ends the daemon: the state cannot be saved, and no process can widen the rules that confine it.
fn end_for_restart(supervisor: &Supervisor) -> Exit {
    info!("stopping, so that the service manager starts Homing with rules for what is there now");
    supervisor.tell(Notice::Stopping);
    Exit::Deferred
}

/// The watches that report changes; when one fails, the poll finds the changes later.
struct Watches {
    kernel: Option<Watcher>,
    secrets: Option<SecretWatch>,
}

impl Watches {
    /// Subscribes to the kernel's events, and watches the secret files of `config`.
    fn begin(config: &Config) -> Self {
        let kernel = Watcher::open().inspect_err(|error| {
            warn!(%error, fix = "allow netlink sockets", "changes are found by polling only");
        });
        let mut watches = Self { kernel: kernel.ok(), secrets: SecretWatch::open().ok() };
        watches.follow(config);
        watches
    }

    /// Watches the secret files of `config` where they are now.
    fn follow(&mut self, config: &Config) {
        if let Some(secrets) = &mut self.secrets {
            secrets.follow(config);
        }
    }

    /// Waits for the next change of either kind.
    async fn changed(&mut self) -> Event {
        let Self { kernel, secrets } = self;
        let of_kernel = async {
            if let Some(watcher) = kernel {
                match watcher.changed().await {
                    Ok(changes) => return changes,
                    Err(error) => {
                        let fix = "nothing to do; the poll goes on";
                        warn!(%error, fix, "the kernel's events cannot be read");
                        *kernel = None;
                    }
                }
            }
            std::future::pending().await
        };
        let of_secrets = async {
            if let Some(watch) = secrets {
                match watch.changed().await {
                    Ok(()) => return,
                    Err(error) => {
                        debug!(%error, "secret files are not watched any more");
                        *secrets = None;
                    }
                }
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            biased;
            () = of_secrets => Event::Secrets,
            changes = of_kernel => Event::Kernel(changes),
        }
    }
}

/// Applies a new configuration and returns whether it did; if not, the reason is logged.
fn reload(engine: &mut Engine, path: &Path, confinement: &mut Confinement) -> bool {
    match config::load(path) {
        Ok(config) => {
            if let Some(lacking) = confinement.forbids(&engine.config, &config) {
                engine.config.serve();
                warn!(
                    lacking,
                    fix = "restart Homing",
                    "restart needed: Landlock leaves Homing less than the new configuration needs; the old one goes on"
                );
                return false;
            }
            if config.daemon.state_dir != engine.config.daemon.state_dir {
                warn!(fix = "restart Homing", "a new state-dir is used after a restart only");
            }
            info!(hosts = config.hosts.len(), "configuration read again");
            engine.config = Rc::new(config);
            true
        }
        Err(problems) => {
            engine.config.serve();
            for problem in problems.iter() {
                error!("{problem}");
            }
            warn!(
                fix = "correct the configuration and reload again",
                "the new configuration is wrong; the old one goes on"
            );
            confinement.explain(&engine.config);
            false
        }
    }
}

/// The time between two looks.
struct Waiting {
    /// The facts that the sources of the last look used.
    facts: Option<SourceFacts>,
    /// The routes to the Internet when the last look began.
    routes: Option<PerFamily<Option<Route>>>,
    /// Whether a host waits for the network, so that other routes are news.
    awaits_network: bool,
    /// The uptime at which the last look began.
    begun: Duration,
    /// Whether it left out a source outside.
    spared: bool,
    /// The uptime at which the next look begins by itself.
    deadline: Duration,
    /// When what is new is reported although requests are under way.
    report_by: Option<Instant>,
    pending: Option<Pending>,
    /// Something happened to a secret file or a receipt.
    new_secrets: bool,
}

impl Waiting {
    /// The time before the first look.
    fn new() -> Self {
        Self {
            facts: None,
            routes: None,
            awaits_network: false,
            begun: Duration::ZERO,
            spared: false,
            deadline: Duration::ZERO,
            report_by: None,
            pending: None,
            new_secrets: false,
        }
    }

    /// The uptime at which to check whether a look is due.
    fn next_check(&self) -> Duration {
        self.pending.map_or(self.deadline, |pending| {
            let wait = pending.look_at.saturating_duration_since(Instant::now());
            self.deadline.min(uptime().saturating_add(wait))
        })
    }

    /// Notes a change that the kernel reported: the round waits until the kernel is quiet.
    fn note_event(&mut self, settle: Duration) {
        let now = Instant::now();
        let pending =
            self.pending.get_or_insert(Pending { first: now, look_at: now, awaits_verdict: false });
        pending.put_off(settle, now);
    }

    /// Notes a change of a secret file: the look waits until the files are quiet, and keeps the least
    /// gap to the last one.
    fn note_secrets(&mut self, settle: Duration) {
        debug!("a secret file or a receipt changed");
        self.new_secrets = true;
        let rest = LEAST_GAP.saturating_sub(uptime().saturating_sub(self.begun));
        self.note_event(settle.max(rest));
    }

    /// The occasion of the round to begin when the wait is over; `None` when no round begins yet.
    fn times_up(&mut self, engine: &mut Engine) -> Option<Occasion> {
        let by_time = uptime() >= self.deadline;
        let Some(mut pending) = self.pending.take() else {
            return by_time.then_some(BY_ITSELF);
        };
        // A person changed the file, so the round counts as asked for, as after a signal.
        if self.new_secrets {
            return Some(Occasion::default());
        }
        let Ok(snapshot) = Snapshot::take(&engine.config, &engine.memory().renewals) else {
            return Some(BY_ITSELF);
        };
        // The next poll decides; it has to know when renewals began again.
        engine.renewals().take_up_beginnings(&snapshot.renewals);
        let facts = SourceFacts::of(&engine.config, &snapshot);
        if !self.is_news(&facts, &snapshot) {
            return by_time.then_some(BY_ITSELF);
        }
        let waited = pending.first.elapsed();
        if facts.awaits_verdict() && waited < LONGEST_VERDICT && !by_time {
            // The next event may be the verdict; without one, the next check is when the wait is over.
            pending.awaits_verdict = true;
            pending.look_at = pending.first + LONGEST_VERDICT;
            self.pending = Some(pending);
            return None;
        }
        Some(Occasion { by_event: !by_time, network_changed: true, ..BY_ITSELF })
    }

    /// Whether the network differs from that of the last round.
    fn sees_news(&self, engine: &Engine) -> bool {
        let snapshot = Snapshot::take(&engine.config, &engine.memory().renewals);
        snapshot.is_ok_and(|now| self.is_news(&SourceFacts::of(&engine.config, &now), &now))
    }

    /// Whether `snapshot`, of which the sources use `facts`, differs from the last round's.
    fn is_news(&self, facts: &SourceFacts, snapshot: &Snapshot) -> bool {
        self.facts.as_ref() != Some(facts)
            || self.awaits_network
                && self.routes.as_ref().is_some_and(|routes| *routes != snapshot.kernels_routes)
    }
}
