//! The failures of requests of the token side, at any provider.

use std::fmt;

use crate::core::outcome::{Deferral, Fault, Outcome, Refusal, Rejection, Silence};
use crate::core::protocol::Answer;

/// The failure of a request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Trouble {
    /// The object exists already.
    Conflict(String),
    /// A later try may help.
    Deferred(Deferral),
    /// No object has that name.
    NotThere(String),
    /// A person has to act.
    Rejected(Refusal),
}

impl Trouble {
    /// A deferral without a pause that the server wishes.
    pub fn deferred(fault: Fault, detail: impl Into<String>) -> Self {
        Self::Deferred(Deferral { fault, detail: detail.into(), retry_after: None })
    }

    /// A deferral for `answer`, with the pause that the server wishes.
    pub fn answered(fault: Fault, answer: &Answer) -> Self {
        let retry_after = answer.retry_after;
        Self::Deferred(Deferral { fault, detail: answer.summary(), retry_after })
    }

    /// A rejection with what the server said.
    pub fn rejected(rejection: Rejection, detail: impl Into<String>) -> Self {
        Self::Rejected(Refusal { rejection, detail: detail.into() })
    }

    /// Whether the server may have fulfilled the request nevertheless.
    pub fn leaves_doubt(&self) -> bool {
        matches!(self, Self::Deferred(deferral) if deferral.fault.leaves_doubt())
    }

    /// Whether the server does not accept the secret.
    pub fn is_credential(&self) -> bool {
        matches!(self, Self::Rejected(refusal) if refusal.rejection == Rejection::Credential)
    }

    /// Whether the secret lacks the right.
    pub fn is_forbidden(&self) -> bool {
        matches!(self, Self::Rejected(refusal) if refusal.rejection == Rejection::Forbidden)
    }

    /// Whether the next request would fail in the same way: the server cannot be reached, or asks for a
    /// long pause.
    pub fn is_no_way(&self) -> bool {
        let is_general = |fault: Fault| fault.is_the_networks() || fault == Fault::Throttled;
        matches!(self, Self::Deferred(deferral) if is_general(deferral.fault))
    }
}

impl From<Silence> for Trouble {
    fn from(Silence { fault, detail }: Silence) -> Self {
        Self::deferred(fault, detail)
    }
}

impl From<Outcome> for Trouble {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Deferred(deferral) => Self::Deferred(deferral),
            Outcome::Rejected(refusal) => Self::Rejected(refusal),
            Outcome::Unchanged | Outcome::Updated => {
                Self::deferred(Fault::Unintelligible, "the session ended before it began")
            }
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict(said) => write!(f, "there is one already ({said})"),
            Self::Deferred(deferral) => f.write_str(&deferral.detail),
            Self::NotThere(said) => write!(f, "it does not exist ({said})"),
            Self::Rejected(refusal) => f.write_str(&refusal.detail),
        }
    }
}

impl std::error::Error for Trouble {}
