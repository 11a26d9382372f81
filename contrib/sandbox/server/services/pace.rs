//! How often a service may be asked. Pure.

use std::time::Duration;

/// A limit that a service documents.
#[derive(Clone, Copy, Debug)]
pub enum Limit {
    /// So many at once, each of which can be asked again after this time.
    Bucket(u32, Duration),
    /// So many in a time that begins with the first of them; none after that until it is over.
    Window(u32, Duration),
}

/// How often a service was asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    /// Since when, since the Unix epoch; of a bucket, when it was full or will be.
    since: Duration,
    used: u32,
}

impl Pace {
    /// Counts a request at `now`, or returns how long to wait.
    pub fn admit(&mut self, limit: Limit, now: Duration) -> Result<(), Duration> {
        match limit {
            Limit::Bucket(size, each) => {
                let full = self.since.max(now) + each;
                let wait = full.saturating_sub(now + each * size);
                if !wait.is_zero() {
                    return Err(wait);
                }
                self.since = full;
            }
            Limit::Window(most, length) => {
                if now >= self.since + length {
                    *self = Self { since: now, used: 0 };
                }
                if self.used == most {
                    return Err((self.since + length).saturating_sub(now));
                }
                self.used += 1;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const START: Duration = Duration::from_secs(1_790_000_000);

    #[test]
    fn a_window_is_closed_until_its_end() {
        let (mut pace, limit) = (Pace::default(), Limit::Window(2, SECOND * 60));
        assert_eq!(pace.admit(limit, START), Ok(()));
        assert_eq!(pace.admit(limit, START + SECOND * 30), Ok(()));
        assert_eq!(pace.admit(limit, START + SECOND * 40), Err(SECOND * 20));
        assert_eq!(pace.admit(limit, START + SECOND * 60), Ok(()));
    }

    #[test]
    fn a_bucket_fills_drop_by_drop() {
        let (mut pace, limit) = (Pace::default(), Limit::Bucket(2, SECOND));
        assert_eq!(pace.admit(limit, START), Ok(()));
        assert_eq!(pace.admit(limit, START), Ok(()));
        assert_eq!(pace.admit(limit, START + SECOND / 2), Err(SECOND / 2));
        assert_eq!(pace.admit(limit, START + SECOND), Ok(()));
        assert!(pace.admit(limit, START + SECOND).is_err());
    }
}
