//! How long to wait after the nth failure in a row.
//!
//! One small piece of arithmetic; who waits, and for what, is `settle`'s business.

use std::time::Duration;

/// Doubling waits with a ceiling.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Backoff {
    /// The whole wait after the first failure.
    pub first: Duration,
    /// The longest whole wait.
    pub ceiling: Duration,
}

impl Backoff {
    /// For faults of a provider or of the network.
    pub const ORDINARY: Self =
        Self { first: Duration::from_secs(30), ceiling: Duration::from_secs(60 * 60) };

    /// For a provider that is busy at this instant: deSEC's "too many concurrent requests" and its
    /// web server's limit of one request in 33 ms both end within a second.
    pub const BRIEF: Self =
        Self { first: Duration::from_secs(5), ceiling: Duration::from_secs(60 * 60) };

    /// For a certificate that is not valid yet while the clock is not set: NTP may set it any moment.
    pub const CLOCK: Self =
        Self { first: Duration::from_secs(10), ceiling: Duration::from_secs(10) };

    /// The wait after `failures` failures in a row.
    ///
    /// `spread` lies in `0.0..=1.0` and shortens the wait by up to a half, so that clients that
    /// failed together do not come back together.
    pub fn delay(&self, failures: u32, spread: f64) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let whole = self.first.saturating_mul(1 << doublings).min(self.ceiling);
        whole.mul_f64(1.0 - 0.5 * spread.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(failures: u32, spread: f64, expect: u64) {
        assert_eq!(Backoff::ORDINARY.delay(failures, spread), Duration::from_secs(expect));
    }

    #[test]
    fn waits_double_from_half_a_minute_to_an_hour() {
        check(1, 0.0, 30);
        check(2, 0.0, 60);
        check(7, 0.0, 1920);
        check(8, 0.0, 3600);
        check(u32::MAX, 0.0, 3600);
    }

    #[test]
    fn chance_takes_away_up_to_a_half() {
        check(1, 1.0, 15);
        check(2, 0.5, 45);
        check(8, 7.0, 1800);
    }
}
