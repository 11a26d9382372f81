//! `cli::token` of a build without token management: it has no commands.
//!
//! The parser refuses the commands earlier.

use super::table;
use super::{Given, UsageError};
use crate::core::feature;

/// The token commands, of which this build has no values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TokenCommand {}

impl TokenCommand {
    /// Refuses the command `entry`.
    pub(super) fn of(_: &Given, entry: &table::Command) -> Result<Self, UsageError> {
        Err(UsageError(feature::refusal(&entry.line())))
    }
}
