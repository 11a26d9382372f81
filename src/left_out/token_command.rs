//! `cli::token` of a build without token management: no line asks for it.
//!
//! The parser refuses the commands before it gets here.

use super::table;
use super::{Given, UsageError};
use crate::core::feature;

/// One of the token commands, of which this build has none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TokenCommand {}

impl TokenCommand {
    /// Refuses `entry`.
    pub(super) fn of(_: &Given, entry: &table::Command) -> Result<Self, UsageError> {
        Err(UsageError(feature::refusal(&entry.line())))
    }
}
