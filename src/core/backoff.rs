//! How long to wait after the nth failure in a row.
//!
//! Arithmetic only; `settle` decides who waits, and for what.

use std::time::Duration;

/// Doubling waits with a ceiling, which is higher for a fault that lasts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Backoff {
    /// The whole wait after the first failure.
    pub first: Duration,
    /// The longest whole wait during the first day of a fault.
    pub ceiling: Duration,
    /// The longest whole wait after the first day.
    pub later: Duration,
}

/// The first day of a fault: most outages end within it, so the waits stay short.
const FIRST_DAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Backoff {
    /// For faults of a provider or of the network.
    pub const ORDINARY: Self = Self {
        first: Duration::from_secs(30),
        ceiling: Duration::from_secs(15 * 60),
        later: Duration::from_secs(60 * 60),
    };

    /// For a provider that is busy at this instant: deSEC's "too many concurrent requests" and its
    /// web server's limit of one request in 33 ms both end within a second.
    pub const BRIEF: Self = Self { first: Duration::from_secs(5), ..Self::ORDINARY };

    /// For a certificate that is not valid yet while the clock is not set: NTP may set it soon.
    pub const CLOCK: Self = {
        let wait = Duration::from_secs(10);
        Self { first: wait, ceiling: wait, later: wait }
    };

    /// The wait after `failures` failures in a row, when the fault has lasted for `lasted`.
    ///
    /// `spread` lies in `0.0..=1.0` and shortens the wait by up to a half, so that clients that
    /// failed together do not come back together.
    pub fn delay(&self, failures: u32, lasted: Duration, spread: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let ceiling = if lasted < FIRST_DAY { self.ceiling } else { self.later };
        let whole = self.first.saturating_mul(1 << doublings).min(ceiling);
        whole.mul_f64(1.0 - 0.5 * spread.clamp(0.0, 1.0))
    }
}

/// The wait beyond the pause that the provider asked for, after `refusals` refusals in a row for the
/// pace; at most an hour. `spread` lies in `0.0..=1.0`.
///
/// All machines of an account get the same end of the pause. Without this wait they come back together,
/// and each refusal counts against the requests that the account has in a day.
pub fn beyond_the_pause(refusals: u32, spread: f64) -> Duration {
    const FIRST: Duration = Duration::from_secs(120);
    let most = FIRST.saturating_mul(1 << refusals.min(31)).min(Backoff::ORDINARY.later);
    most.mul_f64(spread.clamp(0.0, 1.0))
}

/// The wait of the first update after a long absence, so that machines that come back together do not
/// ask together. `spread` lies in `0.0..=1.0`.
pub fn after_absence(spread: f64) -> Duration {
    Duration::from_secs(60).mul_f64(spread.clamp(0.0, 1.0))
}

/// The longest absence after which the first update does not wait.
pub const SHORT_ABSENCE: Duration = Duration::from_secs(10 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(failures: u32, lasted: u64, spread: f64, expect: u64) {
        let delay = Backoff::ORDINARY.delay(failures, Duration::from_secs(lasted), spread);
        assert_eq!(delay, Duration::from_secs(expect));
    }

    #[test]
    fn waits_double_from_half_a_minute_to_a_quarter_of_an_hour_and_after_a_day_to_an_hour() {
        check(1, 0, 0.0, 30);
        check(2, 0, 0.0, 60);
        check(5, 0, 0.0, 480);
        check(6, 0, 0.0, 900);
        check(u32::MAX, 86_399, 0.0, 900);
        check(1, 86_400, 0.0, 30);
        check(7, 86_400, 0.0, 1920);
        check(8, 86_400, 0.0, 3600);
        check(u32::MAX, u64::MAX, 0.0, 3600);
    }

    #[test]
    fn chance_takes_away_up_to_a_half() {
        check(1, 0, 1.0, 15);
        check(2, 0, 0.5, 45);
        check(8, 0, 7.0, 450);
    }

    #[test]
    fn a_pause_grows_by_chance_with_each_refusal_up_to_an_hour() {
        for (refusals, minutes) in [(0, 2), (1, 4), (4, 32), (5, 60), (u32::MAX, 60)] {
            let most = Duration::from_secs(minutes * 60);
            assert_eq!(beyond_the_pause(refusals, 1.0), most, "{refusals}");
            assert_eq!(beyond_the_pause(refusals, 0.5), most / 2);
            assert_eq!(beyond_the_pause(refusals, 0.0), Duration::ZERO);
        }
        assert_eq!(after_absence(1.0), Duration::from_secs(60));
    }
}
