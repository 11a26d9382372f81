//! Waiting: when the next look is due, by what the last one has shown and what happened since.
//!
//! Pure: moments come as arguments, and a snapshot only where one is asked for. The daemon and the
//! simulation of years wait by the same rules.

use std::time::Duration;

use crate::config::Config;
use crate::core::address::PerFamily;
use crate::core::address::auto::Route;
use crate::core::backoff::Backoff;
use crate::core::round::{Now, Occasion, Report};
use crate::source::sights::{LONGEST_VERDICT, OUTSIDE_REST, Sights};
use crate::source::snapshot::{Snapshot, SourceFacts};

/// The longest time for which events may delay a look.
const LONGEST_SETTLE: Duration = Duration::from_secs(1);

/// The shortest time between two looks that no person asked for.
const LEAST_GAP: Duration = Duration::from_secs(1);

/// How long after a look what it found is reported at the latest, although requests are under way.
const FIRST_REPORT: Duration = Duration::from_secs(1);

/// How long sources may take until the hosts that need none of them are looked at: nearly all services
/// answer within that time, and then one request carries both families.
const PATIENCE: Duration = Duration::from_secs(1);

/// What is known when a look begins.
#[derive(Clone, Debug)]
pub struct Begun {
    /// Why it was made.
    pub occasion: Occasion,
    /// The uptime.
    pub at: Duration,
    /// The routes to the Internet: one that appears during the look is news to a request that failed
    /// without it.
    pub routes: Option<PerFamily<Option<Route>>>,
}

/// Events for which no look has begun yet; moments by the steady clock.
#[derive(Clone, Copy, Debug)]
struct Pending {
    first: Duration,
    /// The moment to check whether a look is due.
    look_at: Duration,
    /// Whether the last check found a wanted address that is still tentative.
    awaits_verdict: bool,
}

impl Pending {
    /// Delays the check by `settle` after an event, up to the longest allowed delay.
    fn put_off(&mut self, settle: Duration, now: Duration) {
        let longest = if self.awaits_verdict { LONGEST_VERDICT } else { LONGEST_SETTLE };
        self.look_at = (now + settle).min(self.first + longest).max(now);
    }
}

/// The time between two looks.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Waiting {
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
    /// The number of looks in a row in which a source returned no address.
    silences: u32,
    /// The uptime at which the next look begins by itself.
    deadline: Duration,
    /// When what is new is reported although requests are under way, by the steady clock.
    report_by: Option<Duration>,
    pending: Option<Pending>,
    /// Whether sources are being asked: no look begins by itself before they have answered.
    is_looking: bool,
    /// Something happened to a secret file or a receipt.
    new_secrets: bool,
}

impl Waiting {
    /// Begins to wait for the sources' answers: if that takes long, [`Self::times_up`] makes a look at
    /// what is known already.
    pub fn begin_look(&mut self, now: &Now) {
        self.is_looking = true;
        self.note_event(PATIENCE, now);
    }

    /// Notes what a look has shown while sources are still being asked.
    pub fn note_meanwhile(&mut self, config: &Config, sights: &Sights, is_idle: bool, now: &Now) {
        self.facts = sights.snapshot().ok().map(|snapshot| SourceFacts::of(config, snapshot));
        self.report_by = (!is_idle).then(|| now.steady + FIRST_REPORT);
    }

    /// Notes what a look has shown: until it differs, no new one is needed before its time. `is_idle`
    /// says that nothing is under way.
    pub fn begin(
        &mut self,
        (config, report): (&Config, &Report),
        sights: &Sights,
        look: Begun,
        is_idle: bool,
        now: &Now,
        spread: f64,
    ) {
        let facts = sights.snapshot().ok().map(|snapshot| SourceFacts::of(config, snapshot));
        let spared = look.occasion.by_event && report.spared_a_source();
        let silences = match sights.is_silent(config) {
            true => self.silences.saturating_add(1),
            false if spared => self.silences,
            false => 0,
        };
        let report_by = (!is_idle).then(|| now.steady + FIRST_REPORT);
        let Begun { at: begun, routes, .. } = look;
        *self = Self { facts, routes, begun, spared, silences, report_by, ..Self::default() };
        self.set_deadline(config, report, now, spread);
    }

    /// Notes that what is new was reported.
    pub fn note_report(&mut self, config: &Config, report: &Report, now: &Now, spread: f64) {
        self.awaits_network = report.awaits_network();
        self.report_by = None;
        self.set_deadline(config, report, now, spread);
    }

    /// When what is new is reported although requests are under way, by the steady clock; `None` when
    /// it was.
    pub fn report_by(&self) -> Option<Duration> {
        self.report_by
    }

    /// The uptime at which to check whether a look is due.
    pub fn next_check(&self, now: &Now) -> Duration {
        let deadline = if self.is_looking { Duration::MAX } else { self.deadline };
        self.pending.map_or(deadline, |pending| {
            let wait = pending.look_at.saturating_sub(now.steady);
            deadline.min(now.uptime.saturating_add(wait))
        })
    }

    /// Notes a change that the kernel reported: the look waits until the kernel is quiet.
    pub fn note_event(&mut self, settle: Duration, now: &Now) {
        let (first, look_at, awaits_verdict) = (now.steady, now.steady, false);
        let pending = self.pending.get_or_insert(Pending { first, look_at, awaits_verdict });
        pending.put_off(settle, now.steady);
    }

    /// Notes a change of a secret file: the look waits until the files are quiet, and keeps the least
    /// gap to the last one.
    pub fn note_secrets(&mut self, settle: Duration, now: &Now) {
        self.new_secrets = true;
        let rest = LEAST_GAP.saturating_sub(now.uptime.saturating_sub(self.begun));
        self.note_event(settle.max(rest), now);
    }

    /// The occasion of the look to begin when the wait is over; `None` when none begins yet. `snapshot`
    /// is taken where events have to be judged; `None` when the kernel cannot be asked.
    pub fn times_up(
        &mut self,
        config: &Config,
        now: &Now,
        snapshot: impl FnOnce() -> Option<Snapshot>,
    ) -> Option<Occasion> {
        let by_time = !self.is_looking && now.uptime >= self.deadline;
        let Some(mut pending) = self.pending.take() else {
            return by_time.then_some(Occasion::BY_ITSELF);
        };
        // A person changed the file, so the look counts as asked for, as after a signal.
        if self.new_secrets {
            return Some(Occasion::default());
        }
        let Some(snapshot) = snapshot() else { return Some(Occasion::BY_ITSELF) };
        let facts = SourceFacts::of(config, &snapshot);
        if !self.is_news(&facts, &snapshot) {
            return by_time.then_some(Occasion::BY_ITSELF);
        }
        let verdict_by = pending.first + LONGEST_VERDICT;
        if facts.awaits_verdict() && now.steady < verdict_by && !by_time {
            // The next event may be the verdict; without one, the next check is when the wait is over.
            pending.awaits_verdict = true;
            pending.look_at = verdict_by;
            self.pending = Some(pending);
            return None;
        }
        Some(Occasion { by_event: !by_time, network_changed: true, ..Occasion::BY_ITSELF })
    }

    /// Whether the network of `snapshot` differs from that of the last look.
    pub fn sees_news(&self, config: &Config, snapshot: &Snapshot) -> bool {
        self.is_news(&SourceFacts::of(config, snapshot), snapshot)
    }

    /// Whether `snapshot`, of which the sources use `facts`, differs from that of the last look.
    fn is_news(&self, facts: &SourceFacts, snapshot: &Snapshot) -> bool {
        self.facts.as_ref() != Some(facts)
            || self.awaits_network
                && self.routes.as_ref().is_some_and(|routes| *routes != snapshot.kernels_routes)
    }

    /// Sets the moment of the next look by what is known now.
    fn set_deadline(&mut self, config: &Config, report: &Report, now: &Now, spread: f64) {
        let due = report.next.map(|next| next.since(now.wall));
        let interval = config.daemon.interval;
        let wait = rest(due, self.silences, self.spared, spread).min(interval);
        self.deadline = self.begun.saturating_add(interval).min(now.uptime + wait);
    }
}

/// The longest wait before the next look: until a decision is `due`, or shorter after `silences` or
/// with a source `spared`.
fn rest(due: Option<Duration>, silences: u32, spared: bool, spread: f64) -> Duration {
    let due = due.map(|due| due.max(LEAST_GAP));
    // At boot, names often do not resolve yet, and no event reports when they do.
    let again = (silences > 0).then(|| Backoff::ORDINARY.delay(silences, Duration::ZERO, spread));
    let waits = [due, again, spared.then_some(OUTSIDE_REST)].into_iter().flatten();
    waits.min().unwrap_or(Duration::MAX)
}
