//! What an audit says of a token of any provider: in one word, and by each finding's weight.
//!
//! Knows no finding. Used by the audits of every kind of token, by the memory and by the output.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The weight of a finding for the result.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Weight {
    /// Worth knowing; changes nothing.
    Notice,
    /// Something could not be found out.
    Unclear,
    /// The token can do more than its job.
    TooPowerful,
}

/// What an audit says in one word.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum TokenVerdict {
    /// The server no longer accepts it, so it can do nothing.
    Dead,
    /// It can do its job and nothing else, as far as can be seen.
    Narrow,
    /// It is as narrow as its server can make a token for this job: it writes in every name of
    /// its own zone.
    NarrowToZone,
    /// Nothing was found against it, and its server does not show what it can do.
    NotProven,
    /// Some right could not be checked.
    Inconclusive,
    /// It could do more than its job.
    TooPowerful,
}

/// How long before an expiry the first warning comes.
pub const WARN_AHEAD: Duration = Duration::from_secs(14 * 24 * 60 * 60);

impl TokenVerdict {
    /// Every verdict.
    #[cfg(test)]
    pub const ALL: [Self; 6] = [
        Self::Dead,
        Self::Narrow,
        Self::NarrowToZone,
        Self::NotProven,
        Self::Inconclusive,
        Self::TooPowerful,
    ];

    /// Whether it is as narrow as its server can make it.
    pub fn is_narrow(self) -> bool {
        match self {
            Self::Narrow | Self::NarrowToZone => true,
            Self::Dead | Self::Inconclusive | Self::NotProven | Self::TooPowerful => false,
        }
    }

    /// The word for it in `--json`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Dead => "dead",
            Self::Narrow => "narrow",
            Self::NarrowToZone => "narrow-to-zone",
            Self::NotProven => "not-proven",
            Self::Inconclusive => "inconclusive",
            Self::TooPowerful => "too-powerful",
        }
    }
}

impl fmt::Display for TokenVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dead => "dead",
            Self::Narrow => "narrow",
            Self::NarrowToZone => "narrow to the zone",
            Self::NotProven => "nothing found",
            Self::Inconclusive => "inconclusive",
            Self::TooPowerful => "TOO POWERFUL",
        })
    }
}
