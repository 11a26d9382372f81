//! `os::local` of a build without pages: all moments are shown in UTC.

use std::time::Duration;

use super::clock::rfc3339_seconds;
use crate::core::time::Timestamp;

/// The clocks that people read, which show UTC.
#[derive(Clone, Copy, Debug)]
pub struct Clocks;

/// A moment, and the clocks that show it.
#[derive(Clone, Copy, Debug)]
pub struct Local {
    /// The moment, which is now.
    pub now: Timestamp,
    /// The clocks.
    pub clocks: Clocks,
}

impl Clocks {
    /// UTC.
    pub const UTC: Self = Self;

    /// UTC.
    pub fn here() -> Self {
        Self
    }

    /// The moment in RFC 3339's form with whole seconds.
    #[expect(clippy::unused_self, reason = "it stands for one that knows a zone")]
    pub fn rfc3339(self, moment: Timestamp) -> String {
        rfc3339_seconds(moment).to_string()
    }

    /// Nothing: a text in UTC is shown as it is.
    #[expect(clippy::unused_self, reason = "it stands for one that knows a zone")]
    pub fn shown(self, _: &str) -> Option<String> {
        None
    }
}

impl Local {
    /// `now`.
    pub fn here(now: Timestamp) -> Self {
        Self { now, clocks: Clocks }
    }

    /// `moment` in RFC 3339's form.
    pub fn moment(self, moment: Timestamp) -> String {
        self.clocks.rfc3339(moment)
    }

    /// As [`Self::moment`].
    pub fn full(self, moment: Timestamp) -> String {
        self.moment(moment)
    }

    /// The date of `moment`: `2026-11-30`.
    #[cfg(feature = "tokens")]
    pub fn date(self, moment: Timestamp) -> String {
        let mut text = self.moment(moment);
        text.truncate("2026-11-30".len());
        text
    }

    /// `moment` rounded up to a minute, with its date when it is not within a day.
    pub fn by_minute(self, moment: Timestamp) -> String {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        // Never earlier than the moment: a wait of seconds would look as if it were over.
        let text = self.moment(moment.after(Duration::from_secs(59)));
        let (day, time) = text.split_once('T').unwrap_or_default();
        let time = time.get(..5).unwrap_or_default();
        if moment.since(self.now) < DAY {
            return format!("{time} UTC");
        }
        format!("{day} {time} UTC")
    }
}
