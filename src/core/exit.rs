//! Exit codes: the result of the process for a script. With several reasons the largest counts.
//!
//! The only place that turns a result into a number (sysexits); drivers take the maximum.

use crate::core::memory::HoldKind;
use crate::core::outcome::Outcome;

/// The result of the process, ordered by weight.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Exit {
    /// Every host is right.
    #[default]
    Right = 0,
    /// The command line was wrong (`EX_USAGE`).
    Usage = 64,
    /// Trying later may help (`EX_TEMPFAIL`).
    Deferred = 75,
    /// A person must act at the provider (`EX_NOPERM`).
    Rejected = 77,
    /// The configuration or a secret file is wrong (`EX_CONFIG`).
    Configuration = 78,
}

impl Exit {
    /// Every way to end, the lightest first.
    pub const ALL: [Self; 5] =
        [Self::Right, Self::Usage, Self::Deferred, Self::Rejected, Self::Configuration];

    /// The number for the shell.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The weightiest of `reasons`; `Right` when there are none.
    pub fn worst(reasons: impl IntoIterator<Item = Self>) -> Self {
        reasons.into_iter().max().unwrap_or_default()
    }
}

impl From<&Outcome> for Exit {
    fn from(outcome: &Outcome) -> Self {
        match outcome {
            Outcome::Updated | Outcome::Unchanged => Self::Right,
            Outcome::Deferred(_) => Self::Deferred,
            Outcome::Rejected(_) => Self::Rejected,
        }
    }
}

impl From<HoldKind> for Exit {
    fn from(kind: HoldKind) -> Self {
        match kind {
            HoldKind::Backoff(_) | HoldKind::Throttled => Self::Deferred,
            HoldKind::Rejected(_) => Self::Rejected,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::outcome::{Fault, Rejection};

    #[test]
    fn the_largest_code_counts() {
        let codes = Exit::ALL.map(Exit::code);
        assert_eq!(codes, [0, 64, 75, 77, 78]);
        assert!(Exit::ALL.is_sorted() && codes.is_sorted());
        assert_eq!(Exit::worst([Exit::Rejected, Exit::Right, Exit::Deferred]), Exit::Rejected);
        assert_eq!(Exit::worst([]), Exit::Right);
    }

    #[test]
    fn outcomes_and_holds_agree() {
        assert_eq!(Exit::from(&Outcome::Unchanged), Exit::Right);
        assert_eq!(Exit::from(&Outcome::deferred(Fault::Lost, "")), Exit::Deferred);
        assert_eq!(Exit::from(HoldKind::Backoff(Fault::Lost)), Exit::Deferred);
        assert_eq!(Exit::from(&Outcome::rejected(Rejection::Host, "")), Exit::Rejected);
        assert_eq!(Exit::from(HoldKind::Rejected(Rejection::Host)), Exit::Rejected);
    }
}
