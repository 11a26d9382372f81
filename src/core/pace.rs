//! The pace of a zone: how many requests in how much time a provider accepts.
//!
//! All hosts of a zone share one pace, whatever their tokens, because the provider counts that way.
//! The history is part of the memory, so that neither a restart nor cron forgets it.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::time::Timestamp;
use crate::core::order;

/// A number of requests in a length of time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pace {
    /// Requests allowed within any `window`.
    pub requests: u32,
    /// The length of the sliding window.
    pub window: Duration,
}

/// When requests of one zone left, and until when the provider wants none.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct History {
    /// When the last requests left, oldest first.
    pub sent: Vec<Timestamp>,
    /// The end of the pause that the provider asked for.
    pub pause_until: Option<Timestamp>,
    /// When the provider asked for this pause.
    pub pause_since: Option<Timestamp>,
}

/// Why a text is not a pace.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PaceError;

impl Pace {
    /// The pace that Homing keeps where a provider allows this one: with half a second of margin,
    /// because requests that left evenly may arrive closer together.
    pub fn kept(self) -> Self {
        const MARGIN: Duration = Duration::from_millis(500);
        Self { window: self.window.saturating_add(MARGIN), ..self }
    }
}

impl History {
    /// The moment from which the next request may leave; `now` or earlier means at once.
    pub fn free_at(&self, pace: Option<Pace>, now: Timestamp) -> Timestamp {
        let paused = self.pause_until.unwrap_or_default();
        let Some(pace) = pace else { return paused };
        // A moment in the future comes from a clock that was wrong: it counts as just now.
        let recent =
            self.sent.iter().map(|&at| at.min(now)).filter(|&at| now.since(at) < pace.window);
        let mut recent: Vec<_> = recent.collect();
        order::sort(&mut recent);
        // The request that has to leave the window before there is room again.
        match recent.len().checked_sub(pace.requests.max(1) as usize) {
            Some(leaving) => paused.max(recent[leaving].after(pace.window)),
            None => paused,
        }
    }

    /// Notes that a request leaves `now`, and forgets those that no longer matter.
    pub fn note(&mut self, pace: Pace, now: Timestamp) {
        self.sent.retain(|&at| at <= now && now.since(at) < pace.window);
        // Most hosts have one: the first room of a list is for four.
        self.sent.reserve_exact(1);
        self.sent.push(now);
    }

    /// Removes the request that was noted at `noted`: it never left, or was refused for its pace.
    pub fn take_back(&mut self, noted: Timestamp) {
        if let Some(place) = self.sent.iter().rposition(|&at| at == noted) {
            self.sent.remove(place);
        }
    }

    /// Whether this machine's own requests explain that the provider accepts no more at `now`.
    pub fn explains_a_refusal(&self, pace: Option<Pace>, now: Timestamp) -> bool {
        let own = Self { sent: self.sent.clone(), ..Self::default() };
        own.free_at(pace, now) > now
    }

    /// Whether nothing in the history matters any more.
    pub fn is_over(&self, longest: Duration, now: Timestamp) -> bool {
        self.pause_until.is_none_or(|until| until <= now)
            && self.sent.iter().all(|&at| at <= now && now.since(at) >= longest)
    }
}

impl FromStr for Pace {
    type Err = PaceError;

    /// Parses the form `2/2m`: requests, a slash, a number (or 1) of seconds, minutes, hours or days.
    fn from_str(text: &str) -> Result<Self, PaceError> {
        let (requests, window) = text.split_once('/').ok_or(PaceError)?;
        let unit = window.trim_start_matches(|c: char| c.is_ascii_digit());
        let number = &window[..window.len() - unit.len()];
        let seconds: u64 = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 60 * 60,
            "d" => 24 * 60 * 60,
            _ => return Err(PaceError),
        };
        let count: u64 =
            if number.is_empty() { 1 } else { number.parse().map_err(|_| PaceError)? };
        let requests: u32 = requests.parse().map_err(|_| PaceError)?;
        let window = Duration::from_secs(count.checked_mul(seconds).ok_or(PaceError)?);
        if requests == 0 || window.is_zero() {
            return Err(PaceError);
        }
        Ok(Self { requests, window })
    }
}

impl fmt::Display for PaceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("is not a pace; write requests per time, such as \"2/2m\", or \"off\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO_IN_TWO_MINUTES: Pace = Pace { requests: 2, window: Duration::from_secs(120) };

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_secs(1_000_000 + seconds)
    }

    fn free_at(sent: &[u64], now: u64) -> Timestamp {
        let sent = sent.iter().map(|&s| at(s)).collect();
        History { sent, ..History::default() }.free_at(Some(TWO_IN_TWO_MINUTES), at(now))
    }

    #[test]
    fn a_third_request_waits_until_the_first_leaves_the_window() {
        assert!(free_at(&[], 0) <= at(0));
        assert!(free_at(&[0], 1) <= at(1));
        assert_eq!(free_at(&[0, 30], 31), at(120));
        assert!(free_at(&[0, 30], 120) <= at(120));
    }

    #[test]
    fn history_from_a_wrong_clock_counts_as_now() {
        assert_eq!(free_at(&[900, 901], 10), at(130));
    }

    #[test]
    fn what_never_left_or_was_refused_for_its_pace_does_not_count() {
        let mut history = History::default();
        let (pace, [first, second]) = (TWO_IN_TWO_MINUTES, [at(0), at(1)]);
        history.note(pace, first);
        assert!(!history.explains_a_refusal(Some(pace), second), "there was room for one more");
        history.note(pace, second);
        assert!(history.explains_a_refusal(Some(pace), second));
        assert!(!history.explains_a_refusal(None, second));
        history.take_back(first);
        history.take_back(first);
        assert_eq!(history.sent, [second]);
    }

    #[test]
    fn a_pause_outlasts_the_window() {
        let history = History { pause_until: Some(at(500)), ..History::default() };
        assert_eq!(history.free_at(Some(TWO_IN_TWO_MINUTES), at(0)), at(500));
        assert_eq!(history.free_at(None, at(0)), at(500));
    }

    #[test]
    fn a_pace_is_requests_per_time() {
        assert_eq!("2/2m".parse(), Ok(TWO_IN_TWO_MINUTES));
        assert_eq!("1/h".parse(), Ok(Pace { requests: 1, window: Duration::from_secs(3600) }));
        for wrong in ["", "2", "0/1m", "2/0s", "2/2", "two/2m", "2/m2", "2/99999999999999999999d"] {
            assert_eq!(wrong.parse::<Pace>(), Err(PaceError), "{wrong}");
        }
    }
}
