//! Wall-clock moments as the state file keeps them; durations are std's.
//!
//! Only the shell's clock makes a `Timestamp` of now; everything here computes with given ones.

use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

/// A moment of the wall clock, in milliseconds since 1970-01-01 UTC.
// One more than them, so that a moment that may be absent takes no more room than one that is there:
// a host has a dozen such, and there may be thousands of hosts.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(NonZeroU64);

impl Timestamp {
    /// The moment `millis` milliseconds after 1970-01-01 UTC.
    pub const fn from_millis(millis: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(millis))
    }

    /// The moment `seconds` seconds after 1970-01-01 UTC.
    pub const fn from_secs(seconds: u64) -> Self {
        Self::from_millis(seconds.saturating_mul(1000))
    }

    /// Milliseconds since 1970-01-01 UTC.
    pub const fn millis(self) -> u64 {
        self.0.get() - 1
    }

    /// The moment `wait` later; stays at the end of time instead of wrapping.
    pub fn after(self, wait: Duration) -> Self {
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(millis))
    }

    /// The moment `span` earlier; stays at the beginning of time.
    pub fn before(self, span: Duration) -> Self {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        Self::from_millis(self.millis().saturating_sub(millis))
    }

    /// How long ago `earlier` was, zero when it lies in the future.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.millis().saturating_sub(earlier.millis()))
    }
}

impl Default for Timestamp {
    /// The beginning of 1970, UTC.
    fn default() -> Self {
        Self::from_millis(0)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Timestamp({})", self.millis())
    }
}

/// `span` in words, in the largest unit that it holds twice: `90 min`, `3 days`; at least `1 min`.
pub fn roughly(span: Duration) -> String {
    const HOUR: u64 = 60 * 60;
    const DAY: u64 = 24 * HOUR;
    let seconds = span.as_secs();
    let (unit, name) = match seconds {
        ..7200 => (60, "min"),
        7200..172_800 => (HOUR, "h"),
        172_800.. => (DAY, "days"),
    };
    format!("{} {name}", (seconds / unit).max(1))
}
