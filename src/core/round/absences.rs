//! Absences: how long each family has been gone, as this process has seen it.
//!
//! The state holds the moment by the wall clock, which may jump. A daemon also counts by a clock
//! that cannot be set and that stops while the machine sleeps. The rounds keep the count.

use std::time::Duration;

use crate::core::address::{Family, PerFamily};
use crate::core::memory::Key;
use crate::core::order::SortedMap;
use crate::core::plan::Seen;

/// When each family that is gone now was first seen as gone.
#[derive(Debug, Default)]
pub struct Absences(SortedMap<(Key, Family), Duration>);

impl Absences {
    /// How long each family of `key` had been gone, at `now`.
    pub fn watched(&self, key: &Key, now: Duration) -> PerFamily<Duration> {
        PerFamily::from_fn(|family| {
            let since = self.0.get(&(key.clone(), family));
            since.map_or(Duration::ZERO, |since| now.saturating_sub(*since))
        })
    }

    /// Notes what was seen at `now` of all hosts to be watched: any family that is not absent in
    /// it counts from zero when it goes.
    pub fn note<'a>(
        &mut self,
        hosts: impl Iterator<Item = (&'a Key, &'a PerFamily<Seen>)>,
        now: Duration,
    ) {
        let mut before = std::mem::take(&mut self.0);
        for (key, seen) in hosts {
            for (family, seen) in seen.iter() {
                if let Seen::Absent(_) = seen {
                    let place = (key.clone(), family);
                    let since = before.remove(&place).unwrap_or(now);
                    self.0.insert(place, since);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_that_is_seen_once_or_not_told_of_counts_anew() {
        let key = Key { host: "a.example".parse().unwrap(), provider: "p".into() };
        let at = Duration::from_secs;
        let gone = || Seen::Absent("no IPv6 here".into());
        let mut absences = Absences::default();
        let mut look = |v6: Option<Seen>, seconds: u64| {
            let watched = absences.watched(&key, at(seconds)).v6.as_secs();
            let seen = v6.map(|v6| PerFamily { v4: Seen::NotAsked, v6 });
            absences.note(seen.iter().map(|seen| (&key, seen)), at(seconds));
            watched
        };
        assert_eq!(look(Some(gone()), 0), 0);
        assert_eq!(look(Some(gone()), 50), 50);
        assert_eq!(look(Some(Seen::Unknown("tentative".into())), 60), 60);
        assert_eq!(look(Some(gone()), 70), 0);
        assert_eq!(look(None, 80), 10);
        assert_eq!(look(Some(gone()), 90), 0);
    }
}
