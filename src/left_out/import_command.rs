//! `cli::import` of a build without the import of other clients' configurations: it has no command.
//!
//! The parser refuses the command earlier.

use super::table;
use super::{Given, UsageError};
use crate::core::feature;

/// The import command, of which this build has no values.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ImportCommand {}

impl ImportCommand {
    /// Refuses the command `entry`.
    pub(super) fn of(_: &Given, entry: &table::Command) -> Result<Self, UsageError> {
        Err(UsageError(feature::refusal(&entry.line())))
    }
}
