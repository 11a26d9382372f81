//! The daemon: rounds begun by the kernel's events, by time and by signals, until a signal ends it.
//!
//! Requests go on beside events: a provider that is silent delays no other host's new address.
//! `select!` only makes one event, and plain functions decide what to do. No failure of a provider, of
//! the network or of the clock ends the daemon.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use tracing::{debug, error, info, warn};

use super::reports::Reporter;
use super::secret_watch::SecretWatch;
use super::signals::{SignalRequest, Signals, within_last_words};
use super::{Setup, engine, err, news, summary};
use crate::config::{self, Config};
use crate::confine::Confinement;
use crate::core::exit::Exit;
use crate::core::round::Occasion;
use crate::os::clock::{Alarm, ClockJump, monotonic, sleep_until, spread, uptime};
use crate::os::kernel::{Changes, Watcher};
use crate::os::local::Local;
use crate::os::supervisor::{Notice, Supervisor};
use crate::round::{Begun, Engine, Looked, Waiting};
use crate::source::sights::Sights;
use crate::source::snapshot::{self, Snapshot};
use crate::state::{DAEMON, StateAccess, exposure};

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
    /// A report is due although nothing changed.
    ReportDue,
    /// A report was made, or failed.
    Reported,
    /// What is new is to be saved and reported.
    Reporting,
    /// Something happened to a secret file or a receipt.
    Secrets,
    Signal(SignalRequest),
    Time,
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
    let (news, config) = (news::News::default(), common.config);
    let waiting = Waiting::default();
    let (reporter, is_in_round) = (Reporter::new(true), false);
    let daemon = Daemon {
        engine,
        config,
        confinement,
        supervisor,
        status,
        told: String::new(),
        news,
        reporter,
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
    reporter: Reporter,
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
            let begun = Begun { occasion, at: uptime(), routes: snapshot::routes().ok() };
            debug!(%occasion, "a round begins");
            let looked = match self.await_sources(&mut occasion).await {
                Ok(looked) => looked,
                Err(Next::Exit(exit)) => return exit,
                Err(_) => return self.stop().await,
            };
            if self.has_news()
                && let Some(exit) = self.report()
            {
                return exit;
            }
            self.end_round();
            let sights = self.engine.look(looked, occasion);
            self.is_in_round = true;
            self.begin_to_wait(&sights, begun);
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
            occasion.network_changed =
                occasion.network_changed || self.is_news(self.snapshot().as_ref());
        }
    }

    /// Asks the sources, and waits for their answers; hosts that do not need the missing ones are looked
    /// at meanwhile. The error is what ends the daemon.
    async fn await_sources(&mut self, occasion: &mut Occasion) -> Result<Looked, Next> {
        let mut looking: Looking = Box::pin(self.engine.begin_look(*occasion));
        self.waiting.begin_look(&self.engine.now());
        let settle = self.engine.config.daemon.settle;
        let (mut had_event, mut was_looked_at) = (false, false);
        loop {
            match self.event(Some(&mut looking)).await {
                Event::Looked(mut looked) => {
                    // The sources began with the addresses of then.
                    if had_event || was_looked_at {
                        let snapshot = self.snapshot();
                        occasion.network_changed |= had_event && self.is_news(snapshot.as_ref());
                        looked.0.renew(snapshot);
                    }
                    return Ok(*looked);
                }
                Event::Signal(_) => return Err(Next::Stop),
                Event::Kernel(changes) => {
                    debug!(%changes, "the kernel reported a change");
                    self.waiting.note_event(settle, &self.engine.now());
                    had_event = true;
                }
                Event::Time => {
                    if self.times_up().is_some() {
                        (occasion.network_changed, was_looked_at) =
                            (occasion.network_changed || had_event, true);
                        self.look_meanwhile(*occasion);
                    }
                }
                event => {
                    if let Some(exit) = self.note(&event, true) {
                        return Err(Next::Exit(exit));
                    }
                }
            }
        }
    }

    /// Looks at the hosts that do not need the answers for which the daemon is waiting.
    fn look_meanwhile(&mut self, occasion: Occasion) {
        let Self { engine, waiting, .. } = self;
        let occasion = Occasion { by_event: true, ..occasion };
        debug!(%occasion, "sources are silent; the hosts that do not need them are looked at");
        let sights = engine.look_meanwhile(occasion);
        self.is_in_round = true;
        waiting.note_meanwhile(&engine.config, &sights, engine.is_idle(), &engine.now());
    }

    /// The kernel's present snapshot.
    fn snapshot(&self) -> Result<Snapshot, String> {
        Snapshot::take(&self.engine.config, &self.engine.memory().renewals)
    }

    /// Begins to wait for what differs from the last look.
    fn begin_to_wait(&mut self, sights: &Sights, look: Begun) {
        let Self { engine, waiting, .. } = self;
        let known = (&*engine.config, engine.report());
        waiting.begin(known, sights, look, engine.is_idle(), &engine.now(), spread());
        self.ears.watches.follow(&self.engine.config);
    }

    /// Whether the network of `snapshot` differs from that of the last look.
    fn is_news(&self, snapshot: Result<&Snapshot, &String>) -> bool {
        snapshot.is_ok_and(|snapshot| self.waiting.sees_news(&self.engine.config, snapshot))
    }

    /// The occasion of the look to begin when the wait is over, if one begins.
    fn times_up(&mut self) -> Option<Occasion> {
        let Self { engine, waiting, .. } = self;
        let (config, now) = (Rc::clone(&engine.config), engine.now());
        waiting.times_up(&config, &now, || {
            let snapshot = Snapshot::take(&engine.config, &engine.memory().renewals).ok()?;
            // The next poll decides; it has to know when renewals began again.
            engine.renewals().take_up_beginnings(&snapshot.renewals);
            Some(snapshot)
        })
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
                return Next::Look(Occasion { network_changed: true, ..Occasion::BY_ITSELF });
            }
            Event::Kernel(changes) => {
                debug!(%changes, "the kernel reported a change");
                self.waiting.note_event(settle, &self.engine.now());
            }
            Event::Secrets => {
                debug!("a secret file or a receipt changed");
                self.waiting.note_secrets(settle, &self.engine.now());
            }
            Event::Time => {
                if let Some(occasion) = self.times_up() {
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
            Event::ReportDue => self.reporter.make_due(&self.engine),
            Event::Heard if self.engine.is_idle() => return self.report(),
            Event::Reporting => return self.report(),
            _ => {}
        }
        None
    }

    /// Saves and reports what is new.
    fn report(&mut self) -> Option<Exit> {
        let Self { engine, confinement, news, reporter, .. } = self;
        engine.end();
        reporter.begin(engine);
        let report = engine.report();
        news.log(report);
        let needs_restart = report.exit() != Exit::Right && confinement.explain(&engine.config);
        if needs_restart && report.storage_problem.is_some() && self.supervisor.is_there() {
            return Some(end_for_restart(&self.supervisor));
        }
        self.status.note(report, Local::here(engine.clock.now()));
        let line = self.status.line();
        if line != self.told {
            self.supervisor.tell(Notice::Status(&line));
            self.told = line;
        }
        self.waiting.note_report(&engine.config, report, &engine.now(), spread());
        if self.engine.is_idle() {
            self.end_round();
        }
        self.engine.round.begin_news();
        self.engine.round.let_go();
        None
    }

    /// Whether something is not reported yet.
    fn has_news(&self) -> bool {
        self.engine.save_by().is_some() || self.waiting.report_by().is_some()
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
        let Self { engine, ears, waiting, reporter, .. } = self;
        let has_reports = !reporter.is_idle();
        let is_idle = engine.is_idle();
        let report_by = engine.save_by().into_iter().chain(waiting.report_by()).min();
        let due = reporter.due();
        let (reporting, report_due) = (until(report_by), until(due));
        let deadline = waiting.next_check(&engine.now());
        if let Some(looking) = looking {
            return tokio::select! {
                biased;
                () = ears.signals.stopped() => Event::Signal(SignalRequest::Stop),
                _ = engine.heard(), if !is_idle => Event::Heard,
                looked = looking => Event::Looked(Box::new(looked)),
                changes = kernel_changed(&mut ears.watches.kernel) => Event::Kernel(changes),
                () = reporting => Event::Reporting,
                () = reporter.done(), if has_reports => Event::Reported,
                () = report_due => Event::ReportDue,
                () = ears.alarm.until(deadline.min(feeding)) => {
                    if deadline < feeding { Event::Time } else { Event::Feeding }
                }
            };
        }
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
            () = reporter.done(), if has_reports => Event::Reported,
            () = report_due => Event::ReportDue,
            () = ears.alarm.until(deadline.min(feeding)) => {
                if deadline < feeding { Event::Time } else { Event::Feeding }
            }
        }
    }
}

/// Waits until `moment` by the steady clock; for ever without one.
async fn until(moment: Option<Duration>) {
    match moment {
        Some(moment) => sleep_until(moment).await,
        None => std::future::pending().await,
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
    info!("stopping, so that the service manager restarts Homing with a new sandbox");
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
        tokio::select! {
            biased;
            () = secrets_changed(secrets) => Event::Secrets,
            changes = kernel_changed(kernel) => Event::Kernel(changes),
        }
    }
}

/// Waits for the next change of the network; for ever where nothing reports it.
async fn kernel_changed(kernel: &mut Option<Watcher>) -> Changes {
    if let Some(watcher) = kernel {
        match watcher.changed().await {
            Ok(changes) => return changes,
            Err(error) => {
                let fix = "nothing to do; polling continues";
                warn!(%error, fix, "the kernel's events cannot be read");
                *kernel = None;
            }
        }
    }
    std::future::pending().await
}

/// Waits for the next change of a secret file or a receipt; for ever where nothing reports it.
async fn secrets_changed(secrets: &mut Option<SecretWatch>) {
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
                    "restart needed: the Landlock sandbox does not allow what the new \
                        configuration needs; the old one stays in force"
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
                "the new configuration has a mistake; the old one stays in force"
            );
            confinement.explain(&engine.config);
            false
        }
    }
}
