//! Events: what a round shows that a person or a program is to be told about a host.

use std::time::Duration;

use super::report::HostReport;
use super::{Now, Round};
use crate::core::address::{Addresses, PerFamily};
use crate::core::exit::Exit;
use crate::core::memory::{Entry, Key, Word};
use crate::core::plan::Stand;
use crate::core::problem::{self, EventKind, Severity};
use crate::core::time::Timestamp;

/// Something to be told about a host.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Event {
    /// The host and its provider.
    pub key: Key,
    /// What has happened.
    pub kind: EventKind,
    /// The outcome that the host is in.
    pub outcome: Word,
    /// The problem, in words; empty after a recovery.
    pub reason: String,
    /// What a person can do about it; empty after a recovery.
    pub fix: String,
    /// Since when the host is not right, or was not until now.
    pub since: Timestamp,
    /// The addresses that are set now.
    pub set: PerFamily<Option<Addresses>>,
    /// The addresses that were set before the round.
    pub before: PerFamily<Option<Addresses>>,
}

impl Round {
    /// Notes which hosts are not right, and returns what is to be told; a deferral is told when it has
    /// lasted for `after`.
    ///
    /// Called after [`Round::end`], and before the memory is saved: what is told is remembered. A host
    /// that is being asked about is judged by the answer, and a round that is stopped tells nothing.
    pub fn note_events(&mut self, after: Duration, now: &Now) -> Vec<Event> {
        let mut events = Vec::new();
        if self.is_stopping {
            return events;
        }
        for report in self.report.hosts.iter().filter(|report| !report.is_under_way) {
            let severity = severity(report.standing);
            // No entry is made only to note that nothing is wrong.
            let entry = match (severity, self.memory.hosts.get_mut(&report.host.key)) {
                (_, Some(entry)) => &mut **entry,
                (Some(_), None) => self.memory.entry_mut(&report.host.key),
                (None, None) => continue,
            };
            let before = entry.problem;
            let kind = problem::note(&mut entry.problem, severity, after, now.wall);
            let since = entry.problem.or(before).map_or(now.wall, |problem| problem.since);
            events.extend(kind.map(|kind| event(report, kind, severity, entry, since)));
            let due = entry.problem.and_then(|problem| problem.due(after));
            self.report.next = self.report.next.into_iter().chain(due).min();
        }
        events
    }

    /// The problems that were reported and are not over, as events: for one who may not have heard of
    /// them.
    #[cfg(feature = "pages")]
    pub fn open_problems(&self) -> Vec<Event> {
        let open = |report: &HostReport| {
            let entry = self.memory.hosts.get(&report.host.key)?;
            let problem = entry.problem.filter(|problem| problem.reported.is_some())?;
            let severity = severity(report.standing)?;
            Some(event(report, EventKind::Problem, Some(severity), entry, problem.since))
        };
        let heard = self.report.hosts.iter().filter(|report| !report.is_under_way);
        heard.filter_map(open).collect()
    }
}

/// The severity of a host that stands for this exit code; `None` for one that is right.
///
/// A secret that cannot be used counts as deferred: whoever replaces its file may be about to do the
/// second half of that.
fn severity(standing: Exit) -> Option<Severity> {
    match standing {
        Exit::Right => None,
        Exit::Rejected => Some(Severity::Rejected),
        Exit::Configuration | Exit::Deferred | Exit::Usage => Some(Severity::Deferred),
    }
}

fn event(
    report: &HostReport,
    kind: EventKind,
    severity: Option<Severity>,
    entry: &Entry,
    since: Timestamp,
) -> Event {
    let outcome = match (severity, entry.last) {
        (Some(Severity::Rejected), _) => Word::Rejected,
        (Some(Severity::Deferred), _) => Word::Deferred,
        (None, Some((Word::Updated, _))) => Word::Updated,
        (None, _) => Word::Unchanged,
    };
    let (reason, fix) = if severity.is_some() { in_words(report) } else { Default::default() };
    let (key, before) = (report.host.key.clone(), report.before.clone());
    Event { key, kind, outcome, reason, fix, since, set: entry.addresses(), before }
}

/// Why a host is not right, and what a person can do about it.
fn in_words(report: &HostReport) -> (String, String) {
    if let Some(problem) = &report.secret_problem {
        // What is wrong comes first, and what to do about it after a semicolon.
        let words = &*problem.words;
        let (what, fix) = words.split_once("; ").unwrap_or((words, "run `homing check`"));
        return (what.to_owned(), fix.to_owned());
    }
    let holds = report.holds.iter().map(|(_, hold)| hold);
    let is_like = |exit: Exit| exit == report.standing;
    if let Some(hold) =
        holds.clone().find(|hold| is_like(hold.kind.into())).or(holds.clone().next())
    {
        let colon = if hold.detail.is_empty() { "" } else { ": " };
        let fix = hold.remedy(&report.host.key.host).into_owned();
        return (format!("{}{colon}{}", hold.kind, hold.detail), fix);
    }
    let stands = report.step.iter().flat_map(|step| step.stands.iter());
    let missing = stands.filter_map(|(family, stand)| match stand {
        Stand::Missing(reason) => Some(format!("no {family} address found: {reason}")),
        _ => None,
    });
    let missing: Vec<_> = missing.collect();
    if !missing.is_empty() {
        return (missing.join("; "), "run `homing address`".to_owned());
    }
    let reason = match report.queued_until {
        Some(_) => "waiting because of the provider's rate limit",
        None => "the update is not confirmed yet",
    };
    (reason.to_owned(), "nothing to do; Homing tries again".to_owned())
}
