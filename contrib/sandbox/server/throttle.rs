//! How often one may ask: deSEC's limits per account and zone, and nginx's per client address.
//!
//! Pure: `now` is the time since the Unix epoch and never runs backwards. Rates and their
//! peculiarities: deSEC, recorded August 2026.

use std::collections::BTreeMap;
use std::time::Duration;

use super::api::Api;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// What a request is counted against. All tokens of the account share every one of them.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Scope {
    /// Everything about tokens, their policies, and the account.
    AccountManagementPassive,
    /// Reads of zones and record sets.
    DnsApiCheap,
    /// Registering and removing zones.
    DnsApiExpensive,
    /// Writes of record sets in this zone, and what costs as much.
    DnsApiPerDomainExpensive {
        /// The zone's name.
        zone: String,
    },
    /// Updates of any host in this zone.
    Dyndns {
        /// The zone's name.
        zone: String,
    },
    /// Everything that authenticates.
    User,
}

/// The requests that were let through, by scope: a sliding window.
#[derive(Clone, Debug)]
pub struct History {
    /// Requests a day for the whole account.
    pub daily_limit: usize,
    admitted: BTreeMap<Scope, Vec<Duration>>,
}

impl Default for History {
    fn default() -> Self {
        Self { daily_limit: 2000, admitted: BTreeMap::new() }
    }
}

impl History {
    /// Counts one request against every scope, or returns how long to wait for the slowest one.
    ///
    /// A refused request is not counted by the scope that refused it, but by the others.
    pub fn admit(&mut self, scopes: &[Scope], api: Api, now: Duration) -> Result<(), Duration> {
        let waits = scopes.iter().filter_map(|scope| self.admit_one(scope, api, now).err());
        waits.max().map_or(Ok(()), Err)
    }

    /// Forgets every request.
    pub fn flush(&mut self) {
        self.admitted.clear();
    }

    fn admit_one(&mut self, scope: &Scope, api: Api, now: Duration) -> Result<(), Duration> {
        let rates: &[(usize, Duration)] = match (scope, api) {
            (Scope::AccountManagementPassive, Api::Current) => &[(50, MINUTE), (600, HOUR)],
            (Scope::AccountManagementPassive, Api::Legacy) => &[(10, MINUTE)],
            (Scope::DnsApiCheap, _) => &[(10, SECOND), (50, MINUTE)],
            (Scope::DnsApiExpensive, _) => &[(10, SECOND), (300, MINUTE), (1000, HOUR)],
            (Scope::DnsApiPerDomainExpensive { .. }, _) => {
                &[(2, SECOND), (15, MINUTE), (100, HOUR), (300, DAY)]
            }
            (Scope::Dyndns { .. }, Api::Current) => &[(2, MINUTE.saturating_mul(2))],
            (Scope::Dyndns { .. }, Api::Legacy) => &[(1, MINUTE)],
            (Scope::User, _) => &[(self.daily_limit, DAY)],
        };
        let moments = self.admitted.entry(scope.clone()).or_default();
        let longest = rates.iter().map(|(_, period)| *period).max().unwrap_or_default();
        moments.retain(|moment| *moment + longest > now);
        let waits = rates.iter().filter_map(|(requests, period)| {
            let recent: Vec<_> = moments.iter().filter(|moment| **moment + *period > now).collect();
            let spare = recent.len() < *requests;
            let first = recent.first().map_or(now, |moment| **moment);
            (!spare).then(|| (first + *period).saturating_sub(now))
        });
        if let Some(wait) = waits.max() {
            return Err(wait);
        }
        moments.push(now);
        Ok(())
    }
}

/// What nginx allows one client address: 30 requests a second, in a leaky bucket
/// (`limit_req`) that counts thousandths of a request and whole milliseconds.
///
/// The API host and the update host share it.
#[derive(Clone, Debug, Default)]
pub struct Bucket {
    excess: u64,
    last: Option<u64>,
}

/// The requests beyond the rate that the API host delays instead of refusing.
pub const API_BURST: u64 = 29;
/// The update host has no burst: a second request within 33 ms is refused.
pub const UPDATE_BURST: u64 = 0;

impl Bucket {
    /// How long nginx holds this request back, or `None` if it refuses it.
    pub fn admit(&mut self, burst: u64, now: Duration) -> Option<Duration> {
        const RATE: u64 = 30; // thousandths of a request per millisecond
        let now = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        let excess = match self.last {
            Some(last) => (self.excess + 1000).saturating_sub(RATE * now.saturating_sub(last)),
            None => 0,
        };
        if excess > burst * 1000 {
            return None;
        }
        (self.excess, self.last) = (excess, Some(now));
        Some(Duration::from_millis(excess / RATE))
    }
}

/// Whole seconds for `Retry-After`, rounded up, and the sentence that goes with them.
pub fn refusal(wait: Duration) -> (u64, String) {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    let unit = if seconds == 1 { "second" } else { "seconds" };
    (seconds, format!("Request was throttled. Expected available in {seconds} {unit}."))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> Duration {
        Duration::from_secs(1_785_542_400) + Duration::from_secs_f64(seconds)
    }
    fn zone(name: &str) -> [Scope; 2] {
        [Scope::Dyndns { zone: name.to_owned() }, Scope::User]
    }

    #[test]
    fn the_third_update_of_a_zone_waits_until_the_first_is_two_minutes_old() {
        let mut history = History::default();
        assert_eq!(history.admit(&zone("example.com"), Api::Current, at(0.0)), Ok(()));
        assert_eq!(history.admit(&zone("example.com"), Api::Current, at(1.0)), Ok(()));
        let wait = history.admit(&zone("example.com"), Api::Current, at(2.5));
        assert_eq!(wait, Err(Duration::from_secs_f64(117.5)));
        assert_eq!(refusal(wait.unwrap_err()).0, 118);
        assert_eq!(history.admit(&zone("example.com"), Api::Current, at(120.0)), Ok(()));
        assert!(history.admit(&zone("example.com"), Api::Current, at(120.5)).is_err());
    }

    #[test]
    fn zones_have_their_own_budget() {
        let mut history = History::default();
        for _ in 0..2 {
            assert_eq!(history.admit(&zone("example.com"), Api::Current, at(0.0)), Ok(()));
        }
        assert_eq!(history.admit(&zone("example.org"), Api::Current, at(0.0)), Ok(()));
    }

    #[test]
    fn a_refused_update_still_counts_against_the_daily_limit() {
        let mut history = History { daily_limit: 3, ..History::default() };
        for _ in 0..2 {
            assert_eq!(history.admit(&zone("example.com"), Api::Current, at(0.0)), Ok(()));
        }
        assert!(history.admit(&zone("example.com"), Api::Current, at(1.0)).is_err());
        assert_eq!(
            history.admit(&zone("example.org"), Api::Current, at(2.0)),
            Err(DAY.saturating_sub(SECOND * 2))
        );
    }

    #[test]
    fn a_request_refused_by_the_daily_limit_still_uses_up_its_zone() {
        let mut history = History { daily_limit: 0, ..History::default() };
        for _ in 0..2 {
            assert_eq!(history.admit(&zone("example.com"), Api::Current, at(0.0)), Err(DAY));
        }
        history.daily_limit = 2000;
        assert!(history.admit(&zone("example.com"), Api::Current, at(1.0)).is_err());
    }

    #[test]
    fn of_several_rates_the_longest_wait_is_named() {
        let mut history = History::default();
        for second in 0..5 {
            for _ in 0..10 {
                let moment = at(f64::from(second));
                assert_eq!(history.admit(&[Scope::DnsApiCheap], Api::Current, moment), Ok(()));
            }
        }
        assert_eq!(history.admit(&[Scope::DnsApiCheap], Api::Current, at(4.0)), Err(SECOND * 56));
    }

    #[test]
    fn the_update_host_refuses_a_second_request_within_33_milliseconds() {
        let mut bucket = Bucket::default();
        assert_eq!(bucket.admit(UPDATE_BURST, at(0.0)), Some(Duration::ZERO));
        assert_eq!(bucket.admit(UPDATE_BURST, at(0.033)), None);
        assert_eq!(bucket.admit(UPDATE_BURST, at(0.034)), Some(Duration::ZERO));
    }

    #[test]
    fn the_api_host_delays_a_burst_and_an_update_right_after_it_is_refused() {
        let mut bucket = Bucket::default();
        for earlier in 0..10 {
            let delay = Duration::from_millis(earlier * 1000 / 30);
            assert_eq!(bucket.admit(API_BURST, at(0.0)), Some(delay));
        }
        assert_eq!(bucket.admit(UPDATE_BURST, at(0.0)), None);
    }

    #[test]
    fn the_api_host_refuses_what_goes_beyond_its_burst() {
        let mut bucket = Bucket::default();
        let answers: Vec<_> = (0..31).map(|_| bucket.admit(API_BURST, at(0.0))).collect();
        assert_eq!(answers.iter().filter(|answer| answer.is_none()).count(), 1);
    }

    #[test]
    fn one_second_is_singular() {
        let (seconds, sentence) = refusal(Duration::from_millis(20));
        assert_eq!(seconds, 1);
        assert_eq!(sentence, "Request was throttled. Expected available in 1 second.");
    }

    /// Asks once a second until it is refused; returns how often it was admitted and the wait.
    fn until_refused(scope: &Scope, api: Api, every: f64) -> (u32, u64) {
        let mut history = History::default();
        for count in 0.. {
            let now = at(f64::from(count) * every);
            if let Err(wait) = history.admit(std::slice::from_ref(scope), api, now) {
                return (count, wait.as_secs());
            }
        }
        unreachable!("every scope has an end")
    }

    #[test]
    fn each_scope_has_its_own_rates() {
        let writes = Scope::DnsApiPerDomainExpensive { zone: "example.com".to_owned() };
        let dyndns = Scope::Dyndns { zone: "example.com".to_owned() };
        let cases = [
            (Scope::AccountManagementPassive, Api::Current, 1.0, (50, 10)),
            (Scope::AccountManagementPassive, Api::Current, 2.0, (600, 2400)),
            (Scope::AccountManagementPassive, Api::Legacy, 1.0, (10, 50)),
            (Scope::DnsApiExpensive, Api::Current, 0.01, (10, 0)),
            (Scope::DnsApiExpensive, Api::Current, 0.15, (300, 15)),
            (Scope::DnsApiExpensive, Api::Current, 1.0, (1000, 2600)),
            (writes.clone(), Api::Current, 0.1, (2, 0)),
            (writes.clone(), Api::Current, 1.0, (15, 45)),
            (writes.clone(), Api::Current, 5.0, (100, 3100)),
            (writes, Api::Current, 60.0, (300, 68_400)),
            (dyndns.clone(), Api::Current, 1.0, (2, 118)),
            (dyndns, Api::Legacy, 1.0, (1, 59)),
        ];
        for (scope, api, every, expected) in cases {
            assert_eq!(until_refused(&scope, api, every), expected, "{scope:?} every {every} s");
        }
    }
}
