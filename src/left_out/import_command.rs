//! `cli::import` of a build without the import of other clients' set-ups: no line asks for it.
//!
//! The parser refuses the command before it gets here.

use super::table;
use super::{Given, UsageError};
use crate::core::feature;

/// The command, which this build does not have.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ImportCommand {}

impl ImportCommand {
    /// Refuses `entry`.
    pub(super) fn read(_: &Given, entry: &table::Command) -> Result<Self, UsageError> {
        Err(UsageError(feature::refusal(&entry.line())))
    }
}
