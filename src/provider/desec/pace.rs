//! The account's limits: when the next request may leave without being refused.
//!
//! The server counts all tokens of an account together, in sliding windows, by kind of request
//! (deSEC, rate limits; measured August 2026). Pure; the account waits.

use std::time::Duration;

use crate::core::order::SortedMap;
use crate::core::pace::{History, Pace};
use crate::core::protocol::manners::DESEC_GAP;
use crate::core::time::Timestamp;

/// The kind of request for the server's limits.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Scope {
    /// Tokens, policies, the account itself (`account_management_passive`).
    Management,
    /// Reading zones and records (`dns_api_cheap`).
    Read,
    /// The API's root, which is in no scope of its own.
    Root,
    /// Writing records of this zone, or asking for the right to (`dns_api_per_domain_expensive`).
    Write(String),
    /// Registering and removing zones (`dns_api_expensive`).
    Zones,
}

/// The requests that have left so far.
#[derive(Clone, Debug, Default)]
pub struct Pacer {
    sent: SortedMap<Scope, History>,
    last: Option<Timestamp>,
}

impl Scope {
    fn paces(&self) -> &'static [Pace] {
        const SECOND: u64 = 1;
        const MINUTE: u64 = 60;
        const HOUR: u64 = 60 * MINUTE;
        const DAY: u64 = 24 * HOUR;
        const fn pace(requests: u32, seconds: u64) -> Pace {
            Pace { requests, window: Duration::from_secs(seconds) }
        }
        match self {
            Self::Management => const { &[pace(50, MINUTE), pace(600, HOUR)] },
            Self::Read => const { &[pace(10, SECOND), pace(50, MINUTE)] },
            Self::Root => &[],
            Self::Write(_) => {
                const { &[pace(2, SECOND), pace(15, MINUTE), pace(100, HOUR), pace(300, DAY)] }
            }
            Self::Zones => const { &[pace(10, SECOND), pace(300, MINUTE), pace(1000, HOUR)] },
        }
    }
}

impl Pacer {
    /// How long a request of that scope has to wait.
    pub fn wait(&self, scope: &Scope, now: Timestamp) -> Duration {
        let after_last = self.last.map_or(now, |last| last.after(DESEC_GAP));
        let windows = scope
            .paces()
            .iter()
            .filter_map(|pace| Some(self.sent.get(scope)?.free_at(Some(pace.kept()), now)));
        windows.max().unwrap_or_default().max(after_last).since(now)
    }

    /// Notes that a request of that scope leaves `now`.
    pub fn note(&mut self, scope: Scope, now: Timestamp) {
        self.last = Some(now);
        let Some(longest) = scope.paces().iter().max_by_key(|pace| pace.window) else { return };
        self.sent.entry(scope).or_default().note(longest.kept(), now);
    }

    /// Notes that a request is over `now`: the server counts from its arrival, which may be late.
    pub fn note_end(&mut self, now: Timestamp) {
        self.last = Some(now);
    }

    /// Removes a request of that scope that was noted at `noted`: it was refused for its pace.
    pub fn take_back(&mut self, scope: &Scope, noted: Timestamp) {
        if let Some(history) = self.sent.get_mut(scope) {
            history.take_back(noted);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000 + millis)
    }

    /// The moments at which `count` requests leave that are sent as soon as they may.
    fn moments(scope: &Scope, count: usize) -> Vec<Timestamp> {
        let mut pacer = Pacer::default();
        let mut now = at(0);
        let mut moments = Vec::new();
        for _ in 0..count {
            now = now.after(pacer.wait(scope, now));
            pacer.note(scope.clone(), now);
            moments.push(now);
        }
        moments
    }

    /// The largest number of `moments` in any window.
    fn most(moments: &[Timestamp], window: Duration) -> usize {
        let within = |from: usize| {
            moments[from..].iter().take_while(|at| at.since(moments[from]) <= window).count()
        };
        (0..moments.len()).map(within).max().unwrap_or_default()
    }

    #[test]
    fn no_window_ever_holds_more_than_the_server_takes() {
        for scope in
            [Scope::Management, Scope::Read, Scope::Write("example.com".to_owned()), Scope::Zones]
        {
            let moments = moments(&scope, 1300);
            for pace in scope.paces() {
                let most = most(&moments, pace.window);
                assert!(most <= pace.requests as usize, "{scope:?}: {most} in {pace:?}");
            }
        }
    }

    /// Two hundred tokens of five requests each: the hour's limit is what counts.
    #[test]
    fn two_hundred_tokens_take_little_more_than_the_limits_ask_for() {
        let moments = moments(&Scope::Management, 1001);
        let taken = moments[1000].since(moments[0]);
        assert!(taken < Duration::from_secs(70 * 60), "{taken:?}");
    }

    #[test]
    fn what_is_in_no_scope_keeps_the_least_gap() {
        let moments = moments(&Scope::Root, 3);
        assert_eq!(moments[2].since(moments[0]), DESEC_GAP * 2);
    }
}
