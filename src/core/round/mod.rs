//! The round as a value: what is sent, when, and what each answer changes.
//!
//! No I/O, no clock, no chance. The shell reads the machine and gives what it saw to [`Round::look`],
//! carries the errands that this returns, and gives each answer to [`Round::heard`], which returns
//! more. Providers do not wait for one another, and a look may come while requests are under way: a
//! host that is being asked about is decided about again, from the newest look, as soon as its answer
//! is heard.

mod absences;
mod access;
mod errand;
mod events;
mod looks;
mod perform;
mod report;
mod short;
#[cfg(test)]
mod tests;
mod traffic;
mod upkeep;
mod zones;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

pub use self::access::HostAccess;
pub use self::errand::{
    Answer, BlockFacts, Errand, Holder, HostAnswers, LOOK, Subject, Task, VerifyCase, Whom,
};
pub use self::events::Event;
pub use self::report::{Answered, HostReport, Matter, Report, SecretProblem, TokenNews};
pub use self::zones::needs_zone;

use self::absences::Absences;
use self::errand::Out;
use self::perform::{Lane, Queue};
use self::report::Phase;
use self::short::Short;
use self::traffic::Traffic;
use self::upkeep::{SelfChecks, Upkeep};
use super::address::renewal::Renewals;
use super::address::standing::{self, Lessons, ServiceId};
use super::address::{Addresses, Family, PerFamily};
use super::backoff::after_absence;
use super::history::Change;
use super::memory::{
    Entry, Hold, HoldKind, Key, Memory, REST, Reckoning, Record, Sent, Set, Word, ZoneKey,
};
use super::order::{SortedMap, SortedSet};
use super::outcome::{Outcome, Refusal};
use super::plan::{Circumstances, Request, Seen, Stand, Step, WhenGone, Wish, step};
use super::protocol::hosts_file;
use super::secret::{Fingerprint, Secret};
use super::settle::{note_away, note_gone, note_left_out, note_missing, turn};
use super::time::Timestamp;
use super::token::upkeep::{refusal, refusal_by};

/// The present moment, by every clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct Now {
    /// By the wall clock; while it is not set, the latest known moment and the time since then.
    pub wall: Timestamp,
    /// Whether the wall clock can be right.
    pub is_set: bool,
    /// By a clock that nobody sets and that stands still while the machine sleeps.
    pub steady: Duration,
    /// How long the machine has been up, sleep included.
    pub uptime: Duration,
    /// How moments are reckoned; `None` when the wall clock is set.
    pub reckoning: Option<Reckoning>,
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

impl Occasion {
    /// A look that no person asked for.
    pub const BY_ITSELF: Self = Self {
        by_event: false,
        network_changed: false,
        refresh: false,
        retry_rejected: false,
        reloaded: false,
        by_itself: true,
    };
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

/// One look at this machine: every host in the order of the configuration, and what sources said.
#[derive(Debug, Default)]
pub struct Look {
    /// The hosts.
    pub hosts: Vec<Observed>,
    /// Why the look was made.
    pub occasion: Occasion,
    /// The time between two looks of the slow poll.
    pub interval: Duration,
    /// What the answers of the services outside teach about them.
    pub lessons: Lessons,
    /// The kernel's renewals, unless the kernel could not be asked.
    pub renewals: Option<Renewals>,
    /// Why published addresses are not those by which this machine sends, in words.
    pub detours: SortedSet<String>,
}

/// What a look found out about one host.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The host.
    pub subject: Subject,
    /// Its access, or what is wrong with its secret.
    pub access: Result<Rc<HostAccess>, Box<SecretProblem>>,
    /// The addresses of each family.
    pub seen: PerFamily<Seen>,
    /// The text of the hosts file that the host is written to, or why that cannot be read.
    pub file: Option<FileText>,
}

/// The text of a hosts file, or why it cannot be read.
pub type FileText = Rc<Result<String, String>>;

/// How far a host is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// Nothing about it is under way.
    Rest,
    /// Its zone, or what the zone's servers hold already, is being asked.
    Preparing,
    /// So many requests about it wait or are under way.
    Sending(u32),
}

/// A host whose secret can be read.
#[derive(Debug)]
struct Case {
    subject: Subject,
    /// The index of its report.
    at: usize,
    access: Rc<HostAccess>,
    /// What is still to be sent.
    wishes: PerFamily<Wish>,
    /// Whether its update was counted since the last look; it counts once for all its requests.
    counted: bool,
    /// The moment since which unchanged addresses must have been confirmed.
    refresh: Option<Timestamp>,
    stage: Stage,
    /// Whether its zone was asked for since the last look.
    zone_asked: bool,
    /// Whether the zone's servers were asked before its first update since the last look.
    was_looked_at: bool,
    /// The newest look at it, if that came while something about it was under way.
    next: Option<Box<(Observed, Occasion)>>,
}

impl Case {
    /// Whether there is anything to send.
    fn has_something_to_say(&self) -> bool {
        self.wishes.iter().any(|(_, wish)| *wish != Wish::Leave)
    }
}

/// The decisions of all rounds, between which it keeps what the next ones need.
#[derive(Debug, Default)]
pub struct Round {
    /// The memory of earlier rounds, which the shell saves.
    pub memory: Memory,
    /// What is new since the last [`Round::begin_news`], and the state of every host.
    pub report: Report,
    cases: Vec<Case>,
    traffic: Traffic,
    /// The absences that were watched; `None` where only one look is made.
    absences: Option<Absences>,
    /// The moments at which hosts that came back after a long absence are updated, until they are.
    turns: SortedMap<Key, Timestamp>,
    /// When the servers of each host were last asked between updates, by the steady clock. It is not
    /// in the state: a file is not written only because nothing has changed.
    looked: SortedMap<Key, Duration>,
    interval: Duration,
    /// The hosts that have something to send and are not being asked about.
    ready: SortedSet<usize>,
    lanes: Short<String, Lane>,
    queues: Short<Rc<str>, Queue>,
    /// The requests that may leave as soon as their queue has room.
    waiting: VecDeque<Request>,
    /// Providers that return no zones, or not now, by the interface that was used.
    without_zones: zones::Silent,
    out: Short<u64, Out>,
    last_id: u64,
    outbox: Vec<Errand>,
    /// What was set before the change, for hosts that changed again while their program ran.
    hooks_again: Short<Key, PerFamily<Option<Addresses>>>,
    /// Whether the zone's servers are still to be asked about what is set.
    looks_due: bool,
    upkeep: Upkeep,
    checks: Option<SelfChecks>,
    /// The changes that were confirmed, until the shell takes them.
    changes: Vec<Change>,
    is_stopping: bool,
}

impl Round {
    /// Rounds that remember `memory`. One that `watches` makes many looks and counts absences itself.
    pub fn new(memory: Memory, watches: bool) -> Self {
        let absences = watches.then(Absences::default);
        Self { memory, absences, ..Self::default() }
    }

    /// Lets rounds check new tokens.
    pub fn check_tokens(&mut self) {
        self.checks = Some(SelfChecks::default());
    }

    /// Fits the memory to a clock that was set.
    pub fn set_clock(&mut self, now: &Now) {
        if now.is_set {
            self.memory.leave_reckoning(now.wall, now.uptime);
            self.memory.clamp(now.wall);
        }
    }

    /// Prepares the memory for a look at `hosts`, with the `servers` of their providers: forgets what
    /// was true of other places. Comes before the addresses are looked at, because these depend on
    /// what is set.
    pub fn begin(
        &mut self,
        hosts: &[(Subject, Result<Rc<HostAccess>, String>)],
        servers: Vec<(String, Fingerprint)>,
        occasion: Occasion,
        now: &Now,
    ) {
        if occasion.reloaded {
            self.memory.hosts.values_mut().for_each(|entry| entry.end_waits_soon(now.wall));
        }
        let under_way = self.cases.iter().filter(|case| case.stage != Stage::Rest);
        let under_way = under_way.map(|case| &case.subject.host.key).collect::<SortedSet<_>>();
        let places = hosts.iter().map(|(subject, access)| {
            let key = &subject.host.key;
            // A host under way is at its former place until its answer is heard.
            let access = access.as_deref().ok().filter(|_| !under_way.contains(key));
            (key, access)
        });
        note_places(&mut self.memory, places, servers, now.wall);
    }

    /// The addresses that are set for a host, by the text of its hosts file where it has one.
    pub fn set_of(
        &self,
        subject: &Subject,
        file: Option<&FileText>,
    ) -> PerFamily<Option<Addresses>> {
        match file.map(|text| &**text) {
            Some(Ok(text)) => hosts_file::set(text, &subject.host.key.host),
            Some(Err(_)) | None => {
                self.memory.entry(&subject.host.key).map(Entry::addresses).unwrap_or_default()
            }
        }
    }

    /// The secrets of all hosts.
    pub fn secrets(&self) -> impl Iterator<Item = &Secret> {
        self.cases.iter().map(|case| &case.access.credential.secret)
    }

    /// Decides about every host from a new look, and returns what is to be asked. The memory is saved
    /// before a request leaves; if that fails, none does.
    pub fn look(
        &mut self,
        look: Look,
        now: &Now,
        spread: f64,
        shell: &mut dyn Shell,
    ) -> Vec<Errand> {
        let goes_on = !self.waiting.is_empty() || self.out.values().any(Out::is_request);
        let refused_since = match look.occasion {
            Occasion { retry_rejected: true, .. } => None,
            Occasion { reloaded: true, .. } => Some(now.steady.saturating_sub(REST)),
            _ => Some(Duration::ZERO),
        };
        self.traffic.begin_round(refused_since.filter(|_| goes_on));
        self.without_zones = zones::Silent::default();
        // Before the clock is set, certificates fail although the services are right.
        if now.is_set {
            standing::settle(&mut self.memory.services, &look.lessons, now.wall);
        }
        if let Some(renewals) = look.renewals {
            self.memory.renewals = renewals;
        }
        self.interval = look.interval;
        let occasion = look.occasion;
        self.end_lanes();
        let before = self.take_cases();
        self.plan(look.hosts, look.detours, occasion, before, now);
        self.note_absences(now);
        self.draw_turns(occasion, now, spread);
        self.note(occasion, now);
        self.note_refusals(now, spread);
        self.ready = (0..self.cases.len()).filter(|&at| self.is_ready(at)).collect();
        // Without a clock it is not known when something was put right.
        self.looks_due = !occasion.by_event && now.is_set;
        self.upkeep.begin();
        self.advance(now, spread, shell)
    }

    /// Forgets which services outside failed or lied, but for those that a host may need.
    pub fn keep_services(&mut self, needed: &SortedSet<ServiceId>) {
        self.memory.services.retain(|service, _| needed.contains(service));
    }

    /// Decides as [`Self::look`] does, for a command that sends nothing; returns what would leave.
    pub fn rehearse(&mut self, look: Look, now: &Now) -> Vec<Request> {
        self.plan(look.hosts, look.detours, look.occasion, Vec::new(), now);
        let ready: Vec<usize> = (0..self.cases.len()).filter(|&at| self.is_ready(at)).collect();
        let schedule = self.schedule_of(&ready, now);
        for request in &schedule.now {
            for (place, update) in request.parts() {
                self.host_report(place).rehearsed(&update.wishes);
            }
        }
        for (place, until) in schedule.later {
            self.host_report(place).note_queued(until);
        }
        self.report.finish(&self.memory, None, now.wall, Phase::Rehearsed);
        schedule.now
    }

    /// The access of the host at `place` of a request of [`Self::rehearse`], with the host.
    pub fn subject(&self, place: usize) -> (&Subject, &HostAccess) {
        (&self.cases[place].subject, &self.cases[place].access)
    }

    /// Takes back what has not left; from now on answers are only heard.
    pub fn stop(&mut self) {
        self.is_stopping = true;
        self.take_back_waiting();
    }

    /// Whether nothing is under way.
    pub fn is_over(&self) -> bool {
        self.out.is_empty() && self.waiting.is_empty()
    }

    /// Determines the state of every host for the report, and the moment at which the next decision
    /// changes by itself.
    pub fn end(&mut self, now: &Now) {
        for case in &self.cases {
            self.report.hosts[case.at].is_under_way = case.stage != Stage::Rest;
        }
        let phase = if self.is_over() { Phase::Over } else { Phase::UnderWay };
        self.report.finish(&self.memory, self.upkeep.next, now.wall, phase);
    }

    /// The changes that were confirmed since this was last called.
    pub fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// Ends the news in the report: they were reported.
    pub fn begin_news(&mut self) {
        self.report.begin_news();
    }

    /// Frees what the last look was about, when all of it is over and reported.
    pub fn let_go(&mut self) {
        if self.is_over() {
            (self.cases, self.report) = Default::default();
            self.ready.clear();
        }
    }

    /// Carries out what can be done now, and returns what is to be asked.
    fn advance(&mut self, now: &Now, spread: f64, shell: &mut dyn Shell) -> Vec<Errand> {
        loop {
            if !self.is_stopping {
                self.ask_for_zones(now, spread);
                self.look_first();
                self.schedule(now, spread, shell);
            }
            self.start(now, spread);
            if !self.narrow(now) {
                break;
            }
        }
        self.rest(now);
        if self.outbox.iter().any(|errand| matches!(errand.task, Task::Hook { .. })) {
            // The programs that hooks run may read the state, or end this process.
            self.save(shell);
        }
        std::mem::take(&mut self.outbox)
    }

    /// Notes the answer to the errand `id`, and returns what is to be asked then.
    pub fn heard(
        &mut self,
        id: u64,
        answer: Answer,
        now: &Now,
        spread: f64,
        shell: &mut dyn Shell,
    ) -> Vec<Errand> {
        match (self.out.remove(&id), answer) {
            (Some(Out::Update(sending)), Answer::Update(verdict)) => {
                self.heard_update(*sending, verdict, now, spread, shell);
            }
            (Some(Out::Zone(place)), Answer::Zone(answer, lesson)) => {
                self.heard_zone(place, (answer, lesson), now, spread, shell);
            }
            (Some(Out::FirstLook(places)), Answer::Look(answers)) => {
                self.heard_first(&places, answers, now, spread);
            }
            (Some(Out::Verify(hosts)), Answer::Look(answers)) => {
                self.heard_verified(id, &hosts, answers, now);
            }
            (Some(Out::Drift(suspects)), Answer::Look(answers)) => {
                self.heard_drift(suspects, answers, now);
            }
            (Some(Out::AllServers), Answer::Look(answers)) => self.heard_all_servers(answers, now),
            (Some(Out::Hook(key)), Answer::Hook(result)) => self.heard_hook(key, result),
            (Some(Out::Greet(identity)), Answer::Token(heard)) => {
                self.heard_greeting(identity, heard, now, spread, shell);
            }
            (Some(Out::Check(identity)), Answer::Token(heard)) => {
                self.heard_check(identity, heard, now);
            }
            // An answer that fits no errand, or to an errand that was given up.
            _ => {}
        }
        self.advance(now, spread, shell)
    }

    /// Saves the memory; a failure is reported.
    fn save(&mut self, shell: &mut dyn Shell) -> bool {
        match shell.save(&self.memory) {
            Ok(()) => true,
            Err(problem) => {
                self.report.storage_problem = Some(problem);
                false
            }
        }
    }

    /// Takes the hosts about which something is under way, with their reports, and forgets the others.
    fn take_cases(&mut self) -> Vec<(usize, Case, HostReport)> {
        let mut hosts: Vec<Option<HostReport>> =
            std::mem::take(&mut self.report.hosts).into_iter().map(Some).collect();
        let cases = std::mem::take(&mut self.cases).into_iter().enumerate();
        let kept = cases.filter(|(_, case)| case.stage != Stage::Rest);
        kept.filter_map(|(place, case)| {
            let report = hosts[case.at].take()?;
            Some((place, case, report))
        })
        .collect()
    }

    /// Decides about every host whose secret can be read; the others are reported. The hosts in
    /// `before` are being asked about: their new look waits for the answer.
    fn plan(
        &mut self,
        hosts: Vec<Observed>,
        detours: SortedSet<String>,
        occasion: Occasion,
        before: Vec<(usize, Case, HostReport)>,
        now: &Now,
    ) {
        let mut under_way: Short<Key, (usize, Case, HostReport)> = Short::default();
        // For each index before the look the one after it.
        let mut places: Vec<usize> =
            vec![0; before.iter().map(|(at, ..)| at + 1).max().unwrap_or(0)];
        for kept in before {
            under_way.insert(kept.1.subject.host.key.clone(), kept);
        }
        self.report = Report { detours, ..Report::default() };
        // A thousand hosts are moved once, not at each doubling.
        self.report.hosts.reserve_exact(hosts.len());
        self.cases.reserve_exact(hosts.len());
        for observed in hosts {
            match under_way.remove(&observed.subject.host.key) {
                Some((place, mut case, report)) => {
                    places[place] = self.cases.len();
                    case.at = self.report.hosts.len();
                    case.subject.at = observed.subject.at;
                    case.next = Some(Box::new((observed, occasion)));
                    self.cases.push(case);
                    self.report.hosts.push(report);
                }
                None => self.observe(observed, occasion, now),
            }
        }
        // A host that is not configured any more is reported until its answer is heard.
        for (place, mut case, report) in under_way.take() {
            places[place] = self.cases.len();
            case.at = self.report.hosts.len();
            case.next = None;
            self.cases.push(case);
            self.report.hosts.push(report);
        }
        self.out.values_mut().for_each(|out| out.renumber(&places));
        self.lanes = Lane::of(&self.out, &self.cases);
    }

    /// Decides about one host for the first time since its look.
    fn observe(&mut self, observed: Observed, occasion: Occasion, now: &Now) {
        let at = self.report.hosts.len();
        let (report, case) = self.decide_first(observed, at, occasion, now);
        self.report.hosts.push(report);
        self.cases.extend(case);
    }

    fn decide_first(
        &self,
        observed: Observed,
        at: usize,
        occasion: Occasion,
        now: &Now,
    ) -> (HostReport, Option<Case>) {
        let Observed { subject, access, seen, file } = observed;
        let host = &subject.host;
        let mut entry = self.entry_with_file(&host.key, file.as_ref());
        let trouble = file.and_then(|text| in_file(&text, &subject, entry.to_mut()).err());
        let mut report = HostReport::new(&subject, &entry, seen);
        if let Some(trouble) = trouble {
            report.note_trouble(trouble);
        }
        let access = match access {
            Ok(access) => access,
            Err(problem) => {
                report.note_secret_problem(problem);
                return (report, None);
            }
        };
        let refresh = occasion.refresh.then_some(now.wall);
        let circumstances = Circumstances {
            now: now.wall,
            network_changed: occasion.network_changed,
            refresh,
            retry_rejected: occasion.retry_rejected,
            watched: self.watched(&host.key, now),
        };
        let mut step = step(host, &report.seen, access.fingerprint, Some(&entry), &circumstances);
        if step.hold.is_none()
            && let Some(hold) = self.refused(&subject, &access, &entry, now)
        {
            step.refuse(hold);
        }
        report.access = Some(Rc::clone(&access));
        let wishes = step.wishes.clone();
        report.step = Some(step);
        let stage = Stage::Rest;
        let (counted, zone_asked, was_looked_at, next) = (false, false, false, None);
        let case = Case {
            subject,
            at,
            access,
            wishes,
            counted,
            refresh,
            stage,
            zone_asked,
            was_looked_at,
            next,
        };
        (report, Some(case))
    }

    /// The entry of a host; a copy where a file says more than the memory.
    fn entry_with_file(&self, key: &Key, file: Option<&FileText>) -> Cow<'_, Entry> {
        let known = self.memory.entry(key);
        match (known, file) {
            (Some(entry), Some(_)) => Cow::Owned(entry.clone()),
            (Some(entry), None) => Cow::Borrowed(entry),
            (None, _) => Cow::default(),
        }
    }

    /// The hold of a strict host whose token must not be used; the remembered hold, if it has the
    /// same reason.
    fn refused(
        &self,
        subject: &Subject,
        access: &HostAccess,
        entry: &Entry,
        now: &Now,
    ) -> Option<Hold> {
        if !subject.strict_token {
            return None;
        }
        let token = self.memory.tokens.get(&access.identity);
        let check = token.and_then(|token| token.check_of(access.about));
        let refusal = if subject.provider.manners().has_receipts() {
            refusal(&access.terms, check)
        } else {
            refusal_by(check)
        };
        let Refusal { rejection, detail } = refusal?;
        let (kind, fingerprint) = (HoldKind::Rejected(rejection), access.fingerprint);
        let is_the_same = |hold: &&Hold| {
            hold.kind == kind && hold.detail == detail && hold.fingerprint == fingerprint
        };
        let standing = entry.hold.as_deref().filter(is_the_same).cloned();
        let (since, until) = (now.wall, None);
        Some(standing.unwrap_or(Hold { kind, detail, since, begun: since, until, fingerprint }))
    }

    /// How long each family of `key` has been gone while watched. A run that looks only once has
    /// watched nothing itself, so the machine's uptime counts.
    fn watched(&self, key: &Key, now: &Now) -> PerFamily<Duration> {
        match &self.absences {
            // The moments in the state cannot be trusted.
            _ if !now.is_set => PerFamily::default(),
            Some(absences) => absences.watched(key, now.steady),
            None => PerFamily::from_fn(|_| now.uptime),
        }
    }

    /// Counts the absences of hosts whose records are removed with their addresses.
    fn note_absences(&mut self, now: &Now) {
        let Some(absences) = &mut self.absences else { return };
        let mut newest: Vec<&PerFamily<Seen>> =
            self.report.hosts.iter().map(|host| &host.seen).collect();
        for case in &self.cases {
            if let Some(next) = &case.next {
                newest[case.at] = &next.0.seen;
            }
        }
        let hosts = self.report.hosts.iter().zip(newest);
        let matter = hosts.filter(|(report, _)| report.host.when_gone != WhenGone::Keep);
        let seen = matter.map(|(report, seen)| (&report.host.key, seen));
        absences.note(seen, now.steady);
    }

    /// Lets hosts that come back after a long absence wait for a random moment, one for all of
    /// them: the connections of a whole region may come back at once.
    fn draw_turns(&mut self, occasion: Occasion, now: &Now, spread: f64) {
        if !occasion.by_itself {
            return self.turns.clear();
        }
        // A turn that has come is kept while the host has something to send: the reason for it lasts
        // until then, and another turn would be drawn, again and again.
        let ready: Vec<usize> = (0..self.cases.len()).filter(|&at| self.is_ready(at)).collect();
        let cases = &self.cases;
        let is_ready = |key: &Key| ready.iter().any(|&at| cases[at].subject.host.key == *key);
        self.turns.retain(|key, _| is_ready(key));
        for place in ready {
            let case = &mut self.cases[place];
            let key = &case.subject.host.key;
            let Some(entry) = self.memory.hosts.get_mut(key) else { continue };
            let step = self.report.hosts[case.at].step.as_ref();
            if let Some(step) = step.filter(|_| !self.turns.contains_key(key)) {
                let changed = occasion.network_changed;
                let turn = turn(entry, &step.stands, changed, now.wall, spread);
                self.turns.extend(turn.map(|turn| (key.clone(), turn)));
            }
            if let Some(turn) = self.turns.get_mut(key) {
                // A clock that is set back does not make the wait longer.
                *turn = now.wall.after(after_absence(1.0)).min(*turn);
                let turn = *turn;
                if turn <= now.wall {
                    continue;
                }
                case.wishes = PerFamily::default();
                self.queue(place, turn, now);
            }
        }
    }

    /// Remembers the results of the decisions themselves: families that have gone, and waits that
    /// have no purpose any more because nothing is left to be sent.
    fn note(&mut self, occasion: Occasion, now: &Now) {
        for at in 0..self.report.hosts.len() {
            self.note_left_out(at);
        }
        let paces = self.cases.iter().filter_map(|case| case.subject.provider.pace);
        let longest = paces.map(|pace| pace.kept().window).max().unwrap_or_default();
        self.memory.forget_old_paces(longest, now.wall);
        for place in 0..self.cases.len() {
            if self.cases[place].stage == Stage::Rest {
                self.note_case(place, occasion, now);
            }
        }
    }

    fn note_case(&mut self, place: usize, occasion: Occasion, now: &Now) {
        let Case { subject, at, .. } = &self.cases[place];
        let host_report = &mut self.report.hosts[*at];
        let Some(step) = &host_report.step else { return };
        let (host, stands) = (&subject.host, &step.stands);
        let (key, memory) = (&host.key, &mut self.memory);
        if subject.provider.manners().is_local() {
            learn((&mut memory.hosts, key), stands, &host_report.seen, now.wall);
        }
        let missing = stands.iter().any(|(_, stand)| matches!(stand, Stand::Missing(_)));
        // No entry is made only to note that nothing is missing.
        let entry = if missing {
            memory.entry_mut(key)
        } else {
            let Some(entry) = memory.hosts.get_mut(key) else { return };
            entry
        };
        let was_missing = entry.families.map(|_, record| record.missing_since.is_some());
        host_report.newly_missing = note_missing(entry, stands, now.wall);
        host_report.seen_again = entry.families.map(|family, record| {
            let is_seen = matches!(host_report.seen[family], Seen::Here(_));
            is_seen && was_missing[family] && record.missing_since.is_none()
        });
        note_gone(host, entry, stands, &host_report.seen, now.wall);
        // A clock that is not set cannot measure an absence.
        if now.is_set {
            note_away(entry, &host_report.seen, now.wall);
        }
        if occasion.retry_rejected {
            entry.end_waits();
        }
        let nothing_left = stands
            .iter()
            .all(|(_, stand)| matches!(stand, Stand::Right | Stand::Off | Stand::Absent(_)));
        if nothing_left {
            entry.queued_since = None;
            if step.hold.is_none() {
                entry.end_needless_wait();
            }
        }
    }

    /// Remembers the problem of the secret of a host, by the index of its report, and reports it where it
    /// is new.
    fn note_left_out(&mut self, at: usize) {
        let host_report = &mut self.report.hosts[at];
        let problem = host_report.secret_problem.as_ref().and_then(|problem| problem.hash);
        // No entry is made only to note that there is no problem.
        let entry = if problem.is_some() {
            self.memory.entry_mut(&host_report.host.key)
        } else {
            let Some(entry) = self.memory.hosts.get_mut(&host_report.host.key) else { return };
            entry
        };
        host_report.newly_left_out = note_left_out(entry, problem);
    }

    /// Remembers and reports the strict hosts whose token must not be used, where that is new.
    fn note_refusals(&mut self, now: &Now, spread: f64) {
        for place in 0..self.cases.len() {
            self.note_refusal(place, now, spread);
        }
    }

    fn note_refusal(&mut self, place: usize, now: &Now, spread: f64) {
        let case = &self.cases[place];
        let hold = self.step(place).and_then(|step| step.hold.as_deref());
        let Some(hold @ Hold { kind: HoldKind::Rejected(rejection), .. }) = hold else {
            return;
        };
        let known = || self.known(place).and_then(|entry| entry.hold.as_deref());
        if case.stage == Stage::Rest && rejection.is_our_own() && known() != Some(hold) {
            let outcome = Outcome::rejected(*rejection, hold.detail.clone());
            self.settle(place, &PerFamily::default(), &outcome, now, spread);
        }
    }

    /// Decides again about one host from what was seen; returns whether there is something to send.
    fn decide(
        &mut self,
        place: usize,
        refresh: Option<Timestamp>,
        watched: PerFamily<Duration>,
        now: &Now,
    ) -> bool {
        let circumstances =
            Circumstances { now: now.wall, refresh, watched, ..Circumstances::default() };
        let case = &mut self.cases[place];
        let host = &case.subject.host;
        let entry = self.memory.entry(&host.key);
        let host_report = &mut self.report.hosts[case.at];
        let step = step(host, &host_report.seen, case.access.fingerprint, entry, &circumstances);
        case.wishes = step.wishes.clone();
        host_report.step = Some(step);
        let is_ready = case.has_something_to_say();
        if is_ready {
            self.ready.insert(place);
        }
        is_ready
    }

    /// Decides about a host from the look that came while something about it was under way.
    fn take_up(&mut self, place: usize, now: &Now, spread: f64) {
        let Some((observed, occasion)) = self.cases[place].next.take().map(|next| *next) else {
            return;
        };
        if let Ok(access) = &observed.access {
            settle_in(&mut self.memory, &observed.subject.host.key, access);
        }
        // What was set for the look before is verified, and the host's program runs, all the same.
        self.follow_up(&SortedSet::from([place]));
        let at = self.cases[place].at;
        let (mut report, case) = self.decide_first(observed, at, occasion, now);
        report.keep_news(&mut self.report.hosts[at]);
        self.report.hosts[at] = report;
        match case {
            Some(case) => self.cases[place] = case,
            // Its secret cannot be read any more.
            None => self.cases[place].wishes = PerFamily::default(),
        }
        self.note_left_out(at);
        self.note_case(place, occasion, now);
        self.note_refusal(place, now, spread);
        if self.is_ready(place) {
            self.ready.insert(place);
        } else {
            self.ready.remove(&place);
        }
    }

    /// The decision about a host, unless its secret cannot be read.
    fn step(&self, place: usize) -> Option<&Step> {
        self.report.hosts[self.cases[place].at].step.as_ref()
    }

    /// Whether a host has something to send and is not being asked about.
    fn is_ready(&self, place: usize) -> bool {
        let case = &self.cases[place];
        case.stage == Stage::Rest && case.has_something_to_say()
    }

    /// The entry of a host, if there is one.
    fn known(&self, place: usize) -> Option<&Entry> {
        self.memory.entry(&self.cases[place].subject.host.key)
    }

    /// The entry of a host, valid for the place where its records are now; made if there was none.
    fn entry_mut(&mut self, place: usize) -> &mut Entry {
        let case = &self.cases[place];
        let entry = self.memory.entry_mut(&case.subject.host.key);
        entry.settle_in(&case.access.place);
        entry
    }

    /// The report of a host.
    fn host_report(&mut self, place: usize) -> &mut HostReport {
        &mut self.report.hosts[self.cases[place].at]
    }

    /// Sends an errand.
    fn send(&mut self, out: Out, task: Task) {
        self.last_id += 1;
        self.out.insert(self.last_id, out);
        self.outbox.push(Errand { id: self.last_id, task });
    }
}

/// What decisions need at once, and cannot wait for.
pub trait Shell {
    /// Stores the memory; the error says in words why that failed.
    fn save(&mut self, memory: &Memory) -> Result<(), String>;

    /// Reads the secret of a host again; `None` if it cannot be read.
    fn access(&self, subject: &Subject) -> Option<Rc<HostAccess>>;
}

/// Notes which `servers` the names of providers mean now, which of the remembered hosts are among the
/// configured `hosts`, and where the records of these are, as far as that is known.
pub fn note_places<'a>(
    memory: &mut Memory,
    hosts: impl Iterator<Item = (&'a Key, Option<&'a HostAccess>)> + Clone,
    servers: Vec<(String, Fingerprint)>,
    now: Timestamp,
) {
    for (provider, server) in servers {
        memory.note_server(&provider, server);
    }
    let mut known = 0;
    for (key, access) in hosts.clone() {
        let Some(entry) = memory.hosts.get_mut(key) else { continue };
        known += 1;
        entry.note_configured(true, now);
        if let Some(access) = access
            && entry.settle_in(&access.place)
        {
            forget_place(memory, key, access);
        }
    }
    if known < memory.hosts.len() {
        let configured = hosts.map(|(key, _)| key).collect::<SortedSet<_>>();
        let others = memory.hosts.iter_mut().filter(|(key, _)| !configured.contains(key));
        others.for_each(|(_, entry)| entry.note_configured(false, now));
    }
}

/// Forgets what is remembered of another place than that where the host's records are now.
fn settle_in(memory: &mut Memory, key: &Key, access: &HostAccess) {
    let entry = memory.hosts.get_mut(key);
    if entry.is_some_and(|entry| entry.settle_in(&access.place)) {
        forget_place(memory, key, access);
    }
}

/// Forgets what was true of the former place of a host besides its entry.
fn forget_place(memory: &mut Memory, key: &Key, access: &HostAccess) {
    // The remembered pace is that of the former zone.
    memory.paces.remove(&ZoneKey { provider: Arc::clone(&key.provider), zone: None });
    if let Some(token) = memory.tokens.get_mut(&access.identity) {
        token.check = None;
    }
}

/// Remembers what the hosts file itself shows to be right: a state that was lost, or whose last
/// answer was never saved, would otherwise show for ever an update that is never sent.
fn learn(
    (hosts, key): (&mut SortedMap<Key, Box<Entry>>, &Key),
    stands: &PerFamily<Stand>,
    seen: &PerFamily<Seen>,
    now: Timestamp,
) {
    let right = |family: Family| match (&stands[family], &seen[family]) {
        (Stand::Right, Seen::Here(addresses)) => Some(addresses),
        _ => None,
    };
    if !hosts.contains_key(key) && Family::BOTH.into_iter().all(|family| right(family).is_none()) {
        return;
    }
    let entry = hosts.entry(key.clone()).or_default();
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

/// Takes what is set from the `text` of the hosts file, so that a line that a person removed is
/// written again; the error is what a person should know.
fn in_file(
    text: &Result<String, String>,
    subject: &Subject,
    entry: &mut Entry,
) -> Result<(), String> {
    let (text, host) = (text.as_ref().map_err(String::clone)?, &subject.host.key.host);
    let in_file = hosts_file::set(text, host);
    for family in Family::BOTH {
        let record = &mut entry.families[family];
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
    match hosts_file::foreign(text, host)[..] {
        [] => Ok(()),
        [line, ..] => Err(format!(
            "{}:{line} also has the host, without Homing's mark; remove that line",
            subject.path.as_deref().unwrap_or_default()
        )),
    }
}

/// When the record's removal was sent, if it was the last update sent.
fn removal(record: &Record) -> Option<Timestamp> {
    match record.sent.as_deref() {
        Some(Sent { addresses: None, at, .. }) => Some(*at),
        _ => None,
    }
}
