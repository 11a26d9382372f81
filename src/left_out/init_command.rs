//! `cli::init` of a build that leaves it out: it has no command.
//!
//! The parser refuses the command earlier.

use super::table;
use super::{Given, UsageError};
use crate::core::feature;

/// The init command, of which this build has no values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum InitCommand {}

impl InitCommand {
    /// Refuses the command.
    pub(super) fn of(_: &Given, entry: &table::Command) -> Result<Self, UsageError> {
        Err(UsageError(feature::refusal(&entry.line())))
    }
}
