//! The outbox: when which events are sent to one service, so that much at once is one message and what
//! could not be sent is sent later.
//!
//! One event for each host at most: a newer one replaces what was not sent. Moments are those of the
//! steady clock; the caller sends, and says how it went.

use std::time::Duration;

use crate::core::backoff::Backoff;
use crate::core::problem::EventKind;
use crate::core::round::Event;

/// How long one waits for others that go into the same message, and the least time between two messages.
#[derive(Clone, Copy, Debug)]
pub struct Rhythm {
    /// How long the first event waits for others.
    pub gather: Duration,
    /// The least time between the ends of two messages.
    pub gap: Duration,
}

impl Rhythm {
    /// The daemon's: the answers of a round come one after the other.
    pub const DAEMON: Self = Self { gather: Duration::from_secs(10), gap: Duration::from_secs(60) };

    /// That of a single run, whose events are all there.
    pub const ONCE: Self = Self { gather: Duration::ZERO, gap: Duration::ZERO };
}

/// The events for one service.
#[derive(Debug)]
pub struct Outbox {
    rhythm: Rhythm,
    waiting: Vec<Event>,
    /// Those of the message that is being sent.
    leaving: Vec<Event>,
    /// When the next message is due; `None` while one is being sent, or nothing waits.
    due: Option<Duration>,
    /// The least moment of the next message.
    earliest: Duration,
    /// The tries in a row that failed, and when the first one did.
    failures: u32,
    failing_since: Duration,
    /// Whether somebody may not have heard of problems that were reported before.
    owes: bool,
}

impl Outbox {
    /// An empty one.
    pub fn new(rhythm: Rhythm) -> Self {
        Self {
            rhythm,
            waiting: Vec::new(),
            leaving: Vec::new(),
            due: None,
            earliest: Duration::ZERO,
            failures: 0,
            failing_since: Duration::ZERO,
            owes: false,
        }
    }

    /// One that an earlier run could not empty after so many `failures`, the last one `ago`; the next
    /// try is not before its time.
    pub fn owing(rhythm: Rhythm, failures: u32, ago: Duration, now: Duration) -> Self {
        let wait = Backoff::ORDINARY.delay(failures, Duration::ZERO, 0.0);
        let earliest = if failures == 0 { now } else { now + wait.saturating_sub(ago) };
        Self { owes: true, failures, failing_since: now, earliest, ..Self::new(rhythm) }
    }

    /// Takes an event that is to be sent.
    pub fn add(&mut self, event: Event, now: Duration) {
        // A host that came back may have come back with the network.
        let is_hope = event.kind == EventKind::Recovered && self.failures > 0;
        self.waiting.retain(|waiting| waiting.key != event.key);
        self.waiting.push(event);
        if !self.leaving.is_empty() {
            return;
        }
        let soon = now + self.rhythm.gather;
        let due = if is_hope { soon } else { soon.max(self.earliest) };
        self.due = Some(self.due.map_or(due, |known| known.min(due)));
    }

    /// Whether the problems that are open now are to be added, because an earlier run could not send all
    /// of them; from then on they are not.
    pub fn takes_over(&mut self) -> bool {
        std::mem::take(&mut self.owes)
    }

    /// When the next message is due.
    pub fn due(&self) -> Option<Duration> {
        self.due
    }

    /// Lets what waits be sent at once, because something about the service has changed.
    pub fn hurry(&mut self, now: Duration) {
        (self.failures, self.earliest) = (0, now);
        self.due = self.due.map(|due| due.min(now));
    }

    /// The events of the next message, all of one kind, if it is due; they leave then.
    pub fn take(&mut self, now: Duration) -> &[Event] {
        if self.due.is_none_or(|due| due > now) {
            return &[];
        }
        self.due = None;
        let kinds = [EventKind::Problem, EventKind::Recovered];
        let has = |kind: &EventKind| self.waiting.iter().any(|event| event.kind == *kind);
        let kind = kinds.into_iter().find(has);
        let (leaving, waiting) =
            self.waiting.drain(..).partition(|event: &Event| Some(event.kind) == kind);
        (self.leaving, self.waiting) = (leaving, waiting);
        &self.leaving
    }

    /// Notes that the message was taken.
    pub fn sent(&mut self, now: Duration) {
        self.leaving.clear();
        (self.failures, self.earliest) = (0, now + self.rhythm.gap);
        self.due = (!self.waiting.is_empty()).then_some(self.earliest);
    }

    /// Notes that the message was not taken: it is tried again after a while, at least `pause`. `spread`
    /// lies in `0.0..=1.0`.
    pub fn failed(&mut self, now: Duration, pause: Duration, spread: f64) {
        for event in self.leaving.drain(..) {
            if self.waiting.iter().all(|waiting| waiting.key != event.key) {
                self.waiting.push(event);
            }
        }
        if self.failures == 0 {
            self.failing_since = now;
        }
        self.failures = self.failures.saturating_add(1);
        let lasted = now.saturating_sub(self.failing_since);
        let wait = Backoff::ORDINARY.delay(self.failures, lasted, spread);
        self.earliest = now + wait.max(pause);
        self.due = Some(self.earliest);
    }

    /// The tries in a row that failed, if there is something that was not sent.
    pub fn debt(&self) -> Option<u32> {
        let is_empty = self.waiting.is_empty() && self.leaving.is_empty() && !self.owes;
        (!is_empty).then_some(self.failures)
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::tests::event;
    use super::*;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn problem(name: &str) -> Event {
        event(name, "why")
    }

    fn end(name: &str) -> Event {
        event(name, "")
    }

    fn names(events: &[Event]) -> Vec<String> {
        events.iter().map(|event| event.key.host.to_string()).collect()
    }

    #[test]
    fn what_comes_in_a_short_time_is_one_message_and_the_next_one_waits() {
        let mut outbox = Outbox::new(Rhythm::DAEMON);
        assert_eq!((outbox.due(), outbox.debt()), (None, None));
        (0..50).for_each(|n| outbox.add(problem(&format!("h{n}.example")), at(100 + n / 10)));
        assert_eq!(outbox.due(), Some(at(110)));
        assert!(outbox.take(at(109)).is_empty());
        assert_eq!(outbox.take(at(110)).len(), 50);
        assert!(outbox.take(at(111)).is_empty(), "it is being sent");
        outbox.add(problem("x.example"), at(111));
        assert_eq!(outbox.due(), None);
        outbox.sent(at(112));
        assert_eq!((outbox.due(), outbox.debt()), (Some(at(172)), Some(0)));
        assert_eq!(names(outbox.take(at(172))), ["x.example"]);
        outbox.sent(at(173));
        assert_eq!((outbox.due(), outbox.debt()), (None, None));
        outbox.add(problem("y.example"), at(1000));
        assert_eq!(outbox.due(), Some(at(1010)));
    }

    #[test]
    fn problems_come_before_ends_and_each_kind_is_a_message() {
        let mut outbox = Outbox::new(Rhythm::ONCE);
        outbox.add(end("a.example"), at(1));
        outbox.add(problem("b.example"), at(1));
        assert_eq!(names(outbox.take(at(1))), ["b.example"]);
        outbox.sent(at(2));
        assert_eq!(names(outbox.take(at(2))), ["a.example"]);
        outbox.sent(at(3));
        assert!(outbox.take(at(4)).is_empty());
    }

    #[test]
    fn what_could_not_be_sent_is_tried_again_with_longer_waits() {
        let mut outbox = Outbox::new(Rhythm::DAEMON);
        outbox.add(problem("a.example"), at(0));
        let mut now = at(10);
        for wait in [30, 60, 120, 240, 480, 900, 900] {
            assert_eq!(names(outbox.take(now)), ["a.example"]);
            outbox.failed(now, Duration::ZERO, 0.0);
            assert_eq!(outbox.due(), Some(now + at(wait)));
            now += at(wait);
        }
        assert_eq!(outbox.debt(), Some(7));
        outbox.take(now);
        outbox.failed(now, at(5000), 0.0);
        assert_eq!(outbox.due(), Some(now + at(5000)), "the service wants a pause");
        // Others wait with it.
        outbox.add(problem("b.example"), now);
        assert_eq!(outbox.due(), Some(now + at(5000)));
        outbox.hurry(now + at(1));
        assert_eq!(names(outbox.take(now + at(1))), ["a.example", "b.example"]);
    }

    #[test]
    fn the_end_of_a_problem_replaces_it_and_is_a_reason_to_try_again() {
        let mut outbox = Outbox::new(Rhythm::DAEMON);
        outbox.add(problem("a.example"), at(0));
        outbox.add(problem("b.example"), at(0));
        outbox.take(at(10));
        outbox.add(end("a.example"), at(11));
        outbox.failed(at(20), at(4000), 0.0);
        outbox.add(end("b.example"), at(30));
        assert_eq!(outbox.due(), Some(at(40)), "the network may be back");
        let left = outbox.take(at(40));
        assert_eq!(names(left), ["a.example", "b.example"]);
        assert!(left.iter().all(|event| event.kind == EventKind::Recovered));
    }

    #[test]
    fn what_an_earlier_run_owes_is_taken_over_once_and_not_before_its_time() {
        let mut outbox = Outbox::owing(Rhythm::ONCE, 3, at(100), at(5000));
        assert_eq!(outbox.debt(), Some(3));
        assert!(outbox.takes_over() && !outbox.takes_over());
        outbox.add(problem("a.example"), at(5000));
        assert_eq!(outbox.due(), Some(at(5020)));
        let mut outbox = Outbox::owing(Rhythm::ONCE, 0, at(0), at(5000));
        outbox.add(problem("a.example"), at(5000));
        assert_eq!(outbox.due(), Some(at(5000)));
    }
}
