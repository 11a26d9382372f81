//! The history: which record was changed to what, when and why. Values only.

use super::address::{Addresses, Family};
use super::memory::Key;
use super::plan::Why;
use super::time::Timestamp;

/// A change of one record, as its provider confirmed it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Change {
    /// When the provider confirmed it.
    pub at: Timestamp,
    /// The host and its provider.
    pub key: Key,
    /// The family of the record.
    pub family: Family,
    /// What was set before; `None` where nothing was, as far as is known.
    pub old: Option<Addresses>,
    /// What is set now; `None` where the record was removed.
    pub new: Option<Addresses>,
    /// Why it was sent.
    pub why: Why,
}
