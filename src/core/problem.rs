//! Problems: when a person is told that a host is not right, and when that it is right again.
//!
//! Pure. The memory keeps what was reported, so that neither a restart nor the next `--once` reports
//! it again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::time::Timestamp;

/// A host that is not right, and what was reported of that.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Problem {
    /// Since when the host has not been right.
    pub since: Timestamp,
    /// The weightiest state that was reported; `None` while nothing was.
    pub reported: Option<Severity>,
}

/// How far a host is from being right, the lighter first.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Trying later may help.
    Deferred,
    /// A person must act at the provider.
    Rejected,
}

/// What is reported about a host.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum EventKind {
    /// It is rejected, or has been deferred for long.
    Problem,
    /// It is right again after a problem that was reported.
    Recovered,
}

impl EventKind {
    /// The word for it in `HOMING_EVENT`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Problem => "problem",
            Self::Recovered => "recovered",
        }
    }
}

/// Notes in `problem` how the host is at `now`, and returns what is to be reported then.
///
/// | now      | reported before | reported now                                  |
/// |----------|-----------------|-----------------------------------------------|
/// | right    | nothing         | nothing; the problem is forgotten             |
/// | right    | anything        | recovered; the problem is forgotten           |
/// | deferred | nothing         | a problem, once it has lasted for `after`     |
/// | deferred | anything        | nothing                                       |
/// | rejected | a rejection     | nothing                                       |
/// | rejected | anything else   | a problem                                     |
pub fn note(
    problem: &mut Option<Problem>,
    severity: Option<Severity>,
    after: Duration,
    now: Timestamp,
) -> Option<EventKind> {
    let Some(severity) = severity else {
        let was_reported = problem.take().is_some_and(|problem| problem.reported.is_some());
        return was_reported.then_some(EventKind::Recovered);
    };
    let problem = problem.get_or_insert(Problem { since: now, reported: None });
    let is_due = match severity {
        Severity::Deferred => now.since(problem.since) >= after,
        Severity::Rejected => true,
    };
    if !is_due || problem.reported >= Some(severity) {
        return None;
    }
    problem.reported = Some(severity);
    Some(EventKind::Problem)
}

impl Problem {
    /// When it is to be reported if it lasts until then; `None` when it was reported.
    pub fn due(&self, after: Duration) -> Option<Timestamp> {
        self.reported.is_none().then(|| self.since.after(after))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use EventKind::{Problem as P, Recovered};
    use Severity::{Deferred, Rejected};

    const AFTER: Duration = Duration::from_secs(900);

    /// The events of a host that is in these states at these seconds.
    #[track_caller]
    fn check(states: &[(u64, Option<Severity>)], expect: &[Option<EventKind>]) {
        let mut problem = None;
        let events = states
            .iter()
            .map(|(at, severity)| note(&mut problem, *severity, AFTER, Timestamp::from_secs(*at)));
        assert_eq!(events.collect::<Vec<_>>(), expect, "{states:?}");
    }

    #[test]
    fn a_rejection_is_reported_at_once_and_once() {
        check(
            &[(0, Some(Rejected)), (1, Some(Rejected)), (9999, Some(Rejected))],
            &[Some(P), None, None],
        );
    }

    #[test]
    fn a_deferral_is_reported_once_when_it_lasts() {
        let states = [(0, Some(Deferred)), (899, Some(Deferred)), (900, Some(Deferred))];
        check(&states, &[None, None, Some(P)]);
        let states = [(0, Some(Deferred)), (900, Some(Deferred)), (5000, Some(Deferred))];
        check(&states, &[None, Some(P), None]);
    }

    #[test]
    fn a_deferral_that_ends_in_time_is_never_reported() {
        let states = [(0, Some(Deferred)), (600, None), (700, Some(Deferred)), (1500, None)];
        check(&states, &[None; 4]);
    }

    #[test]
    fn the_end_of_what_was_reported_is_reported_once() {
        check(&[(0, Some(Rejected)), (1, None), (2, None)], &[Some(P), Some(Recovered), None]);
        check(
            &[(0, Some(Deferred)), (900, Some(Deferred)), (901, None)],
            &[None, Some(P), Some(Recovered)],
        );
    }

    #[test]
    fn a_reported_deferral_that_becomes_a_rejection_is_reported_again() {
        let states = [(0, Some(Deferred)), (900, Some(Deferred)), (901, Some(Rejected))];
        check(&states, &[None, Some(P), Some(P)]);
    }

    #[test]
    fn a_rejection_whose_next_try_is_deferred_is_no_news_nor_is_the_next_rejection() {
        let states = [(0, Some(Rejected)), (5000, Some(Deferred)), (9000, Some(Rejected))];
        check(&states, &[Some(P), None, None]);
    }

    #[test]
    fn a_host_that_was_always_right_is_forgotten() {
        let mut problem = None;
        assert_eq!(note(&mut problem, None, AFTER, Timestamp::from_secs(1)), None);
        assert_eq!(problem, None);
    }

    #[test]
    fn it_is_due_until_it_was_reported() {
        let since = Timestamp::from_secs(5);
        let due = |reported| Problem { since, reported }.due(AFTER);
        assert_eq!(due(None), Some(Timestamp::from_secs(905)));
        assert_eq!(due(Some(Deferred)), None);
    }
}
