//! The daemon: rounds begun by the kernel's events, by time and by signals, until a signal ends it.
//!
//! `select!` only makes one event, and plain functions decide what to do. No failure of a provider, of
//! the network or of the clock ends the daemon.

use std::cell::Cell;
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tracing::{debug, error, info, warn};

use super::secret_watch::SecretWatch;
use super::signals::{SignalRequest, Signals, until_stopped};
use super::{Setup, engine, err, news, summary};
use crate::config::{self, Config};
use crate::confine::Confinement;
use crate::core::address::PerFamily;
use crate::core::address::auto::Route;
use crate::core::backoff::Backoff;
use crate::exit::Exit;
use crate::os::clock::{Alarm, ClockJump, monotonic, spread, uptime};
use crate::os::kernel::{Changes, Watcher};
use crate::os::supervisor::{Notice, Supervisor};
use crate::round::{Absences, Engine, Occasion, SelfChecks};
use crate::source::sights::{LONGEST_VERDICT, OUTSIDE_REST};
use crate::source::snapshot::{self, Snapshot, SourceFacts};
use crate::state::{DAEMON, StateAccess, exposure};

/// The longest time for which events may delay a round.
const LONGEST_SETTLE: Duration = Duration::from_secs(1);

/// The shortest time between two rounds that no person asked for.
const LEAST_GAP: Duration = Duration::from_secs(1);

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
    Kernel(Changes),
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
    let mut engine = match engine(setup, StateAccess::Locked { who: DAEMON }) {
        Ok(engine) => engine,
        Err(exit) => return exit,
    };
    let parts = (Signals::listen(), Alarm::new());
    let (Ok(mut signals), Ok(alarm)) = parts else {
        err("the kernel gives neither timers nor signals; is the limit of open files too low?");
        return Exit::Deferred;
    };
    engine.self_checks = Some(SelfChecks::default());
    engine.absences = Some(Absences::default());
    let jump = ClockJump::watch();
    let supervisor = Supervisor::of_environment(|name| std::env::var_os(name));
    let stopping = || supervisor.tell(Notice::Stopping);
    let mut watches = Watches::begin(&engine.config);
    let mut confinement = begin(&engine.config, &state_dir);
    let mut status = summary::Status::default();
    supervisor.tell(Notice::Ready(&status.line()));
    let mut news = news::News::default();
    let mut occasion = Occasion::default();
    // The number of rounds in a row in which a source returned no address.
    let mut silences: u32 = 0;
    loop {
        let stop = Cell::new(false);
        let begun = uptime();
        // A route that appears during the round is news to a request that failed without it.
        let routes = snapshot::routes().ok();
        debug!(%occasion, "a round begins");
        let pulse = engine.pulse.clone();
        // Boxed, because each of the futures around it would copy it.
        let round = supervisor.during(Box::pin(engine.round(occasion, &stop)), &pulse);
        let round = until_stopped(round, &stop, &mut signals, stopping).await;
        let Some((report, sights)) = round else {
            // The time after the signal is over; the results until then are saved.
            engine.keep();
            break;
        };
        news.log(&report);
        let needs_restart = report.exit() != Exit::Right && confinement.explain(&engine.config);
        if needs_restart && report.storage_problem.is_some() && supervisor.is_there() {
            return end_for_restart(&supervisor);
        }
        debug!("the round is over");
        if stop.get() {
            break;
        }
        status.note(&report, engine.clock.now());
        supervisor.tell(Notice::Status(&status.line()));
        supervisor.feed();
        let facts =
            sights.snapshot().ok().map(|snapshot| SourceFacts::of(&engine.config, snapshot));
        let spared = occasion.by_event && report.spared_a_source();
        if sights.is_silent(&engine.config) {
            silences = silences.saturating_add(1);
        } else if !spared {
            silences = 0;
        }
        let due = report.next.map(|next| next.since(engine.clock.now()));
        let wait = rest(due, silences, spared).min(engine.config.daemon.interval);
        let deadline = begun.saturating_add(engine.config.daemon.interval).min(uptime() + wait);
        let routes = routes.filter(|_| report.awaits_network());
        drop((report, sights));
        let mut waiting = Waiting { facts, routes, deadline, pending: None, new_secrets: false };
        watches.follow(&engine.config);
        occasion = loop {
            let feeding = supervisor.feeding();
            match waiting.event(&mut signals, &alarm, &jump, &mut watches, feeding).await {
                Event::Signal(SignalRequest::Stop) => {
                    stopping();
                    return stopped();
                }
                Event::Signal(SignalRequest::Round) => break Occasion::default(),
                Event::Signal(SignalRequest::Reload) => {
                    supervisor.tell(Notice::Reloading(monotonic()));
                    status.outdated = !reload(&mut engine, &common.config, &mut confinement);
                    supervisor.tell(Notice::Ready(&status.line()));
                    if !status.outdated {
                        break Occasion { reloaded: true, ..Occasion::default() };
                    }
                }
                Event::ClockJumped => {
                    debug!("the clock was set");
                    break Occasion { network_changed: true, ..BY_ITSELF };
                }
                Event::Feeding => supervisor.feed(),
                Event::Kernel(changes) => {
                    debug!(%changes, "the kernel told of a change");
                    waiting.note_event(engine.config.daemon.settle);
                }
                Event::Secrets => waiting.note_secrets(engine.config.daemon.settle, begun),
                Event::Time => {
                    if let Some(occasion) = waiting.times_up(&mut engine) {
                        break occasion;
                    }
                }
            }
        };
        // The round sees a changed network, whatever began it; for later rounds that is no news.
        occasion.network_changed = occasion.network_changed || waiting.sees_news(&engine);
    }
    stopped()
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

fn stopped() -> Exit {
    info!("stopped");
    Exit::Right
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

/// The time between two rounds.
struct Waiting {
    /// The facts that the last round's sources used.
    facts: Option<SourceFacts>,
    /// The routes to the Internet when the last round began, if a host waits for the network.
    routes: Option<PerFamily<Option<Route>>>,
    /// The uptime at which the next round begins by itself.
    deadline: Duration,
    pending: Option<Pending>,
    /// Something happened to a secret file or a receipt.
    new_secrets: bool,
}

impl Waiting {
    /// Waits for the next event; `feeding` is the uptime at which the watchdog must be fed.
    async fn event(
        &self,
        signals: &mut Signals,
        alarm: &Alarm,
        jump: &ClockJump,
        watches: &mut Watches,
        feeding: Duration,
    ) -> Event {
        let deadline = self.pending.map_or(self.deadline, |pending| {
            let wait = pending.look_at.saturating_duration_since(Instant::now());
            self.deadline.min(uptime().saturating_add(wait))
        });
        if feeding <= uptime() {
            return Event::Feeding;
        }
        // A flood of events must not hide the alarm.
        if deadline <= uptime() {
            return tokio::select! {
                biased;
                told = signals.next() => Event::Signal(told),
                () = jump.jumped() => Event::ClockJumped,
                // The runtime first polls for other events: after a suspend the clock has jumped, too.
                () = tokio::task::yield_now() => Event::Time,
            };
        }
        tokio::select! {
            biased;
            told = signals.next() => Event::Signal(told),
            event = watches.changed() => event,
            () = jump.jumped() => Event::ClockJumped,
            () = alarm.until(deadline.min(feeding)) => {
                if deadline < feeding { Event::Time } else { Event::Feeding }
            }
        }
    }

    /// Notes a change that the kernel reported: the round waits until the kernel is quiet.
    fn note_event(&mut self, settle: Duration) {
        let now = Instant::now();
        let pending =
            self.pending.get_or_insert(Pending { first: now, look_at: now, awaits_verdict: false });
        pending.put_off(settle, now);
    }

    /// Notes a change of a secret file: the round waits until the files are quiet, and keeps the least
    /// gap to the round that has `begun`.
    fn note_secrets(&mut self, settle: Duration, begun: Duration) {
        debug!("a secret file or a receipt changed");
        self.new_secrets = true;
        let rest = LEAST_GAP.saturating_sub(uptime().saturating_sub(begun));
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
        let Ok(snapshot) = Snapshot::take(&engine.config, &engine.memory.renewals) else {
            return Some(BY_ITSELF);
        };
        // The next poll decides; it has to know when renewals began again.
        engine.memory.renewals.take_up_beginnings(&snapshot.renewals);
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
        let snapshot = Snapshot::take(&engine.config, &engine.memory.renewals);
        snapshot.is_ok_and(|now| self.is_news(&SourceFacts::of(&engine.config, &now), &now))
    }

    /// Whether `snapshot`, of which the sources use `facts`, differs from the last round's.
    fn is_news(&self, facts: &SourceFacts, snapshot: &Snapshot) -> bool {
        self.facts.as_ref() != Some(facts)
            || self.routes.as_ref().is_some_and(|routes| *routes != snapshot.kernels_routes)
    }
}
